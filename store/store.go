// Package store says what kannuki keeps and for how long a promise holds: records as
// the feeds gave them, what they add up to, inventories, and what changed when. One
// file is one transaction, what was committed survives kill -9, and importing the
// same content twice changes nothing. Children hold one engine each; storetest is
// the conformance suite every engine passes.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// ErrUnchanged is returned by Begin for a file whose content is already imported.
var ErrUnchanged = errors.New("already imported, unchanged")

// ErrUnknown is returned for a vulnerability or host that the store does not hold.
var ErrUnknown = errors.New("not in the store")

// Sample is the source of the built-in sample's records. What it says about an
// ecosystem counts only while no other source speaks about that ecosystem.
const Sample = "sample"

// Store keeps records, digests, inventories and changes.
type Store interface {
	triage.Records

	// Begin starts the import of one file. Only one import runs at a time.
	Begin(ctx context.Context, f vuln.File) (Batch, error)

	// Vulnerability returns everything known about id, merged. ErrUnknown if nothing.
	Vulnerability(ctx context.Context, id string) (vuln.Vulnerability, error)
	// RecordsOf calls visit with every record of source that names the product: a
	// CPE product "vendor:product" as vulnerable (source "nvd", …), or a vendor's
	// product name (source "msrc").
	RecordsOf(ctx context.Context, source string, products []string, visit func(vuln.Record) error) error
	// ProductNames lists the products a source names: "vendor:product" or the
	// vendor's own names.
	ProductNames(ctx context.Context, source string) ([]string, error)

	// Sources tells what is held of each source, sorted by name.
	Sources(ctx context.Context) ([]vuln.SourceStatus, error)
	// Rejects lists what could not be taken of the files in force.
	Rejects(ctx context.Context) ([]vuln.Reject, error)
	// Changes lists what imports changed at or after since, oldest first.
	Changes(ctx context.Context, since time.Time) ([]vuln.Change, error)

	// PutHost keeps the newest inventory of a host and returns when it was first seen.
	PutHost(ctx context.Context, inv host.Inventory) (first time.Time, err error)
	// Hosts calls visit with the newest inventory of every host, by name.
	Hosts(ctx context.Context, visit func(inv host.Inventory, first time.Time) error) error

	// PutProtection keeps what guards a host, as of p.Reported. A report that says
	// nothing new confirms the last one; an older one than is held changes nothing.
	PutProtection(ctx context.Context, h host.Host, p host.Protection) error
	// Protection returns what was last reported of a host at or before at, with
	// Reported as it was then; the zero value where nothing was.
	Protection(ctx context.Context, h host.Host, at time.Time) (host.Protection, error)
	// Protections returns everything that was reported of a host from a time to another,
	// what was in force at the first included, oldest first; each with Reported as it
	// was first confirmed in that time, or last before it.
	Protections(ctx context.Context, h host.Host, from, to time.Time) ([]host.Protection, error)

	Close() error
}

// Batch is the transaction of one file. Nothing of it is seen before Commit.
type Batch interface {
	Record(vuln.Record) error
	EPSS(vuln.EPSS) error
	Reject(vuln.Reject) error
	Commit() error
	Rollback() error
}
