package triage

import (
	"context"

	"github.com/kannuki/kannuki/vuln"
)

// Records is where triage reads what the sources say. The store implements it.
// Withdrawn records are never returned.
type Records interface {
	// Affected returns every statement of the ecosystems about the named packages,
	// by package name.
	Affected(ctx context.Context, ecosystems, packages []string) (map[string][]Statement, error)
	// Products returns what vendors list for the products with exactly these names.
	Products(ctx context.Context, names []string) ([]Listing, error)
	// Configured returns the records whose configurations name one of the CPE
	// products ("vendor:product", lower case) as vulnerable.
	Configured(ctx context.Context, products []string) ([]vuln.Record, error)
	// Digests returns the digest of each id that is known.
	Digests(ctx context.Context, ids []string) (map[string]*Digest, error)
	// Ecosystems tells which ecosystems there are statements about, so that "nothing
	// found" and "nothing loaded" are never confused.
	Ecosystems(ctx context.Context) (map[string]bool, error)
}

// Statement is one Affected of one record.
type Statement struct {
	Source          string
	Record          string
	Vulnerabilities []string
	vuln.Affected
}

// Listing is one Product of one record.
type Listing struct {
	Source          string
	Record          string
	Vulnerabilities []string
	vuln.Product
}

// RulesVersion is raised whenever DigestOf would give another digest for the same
// records, so that the store computes its digests again.
const RulesVersion = 2
