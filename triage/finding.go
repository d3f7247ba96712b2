// Package triage answers the morning question: which known vulnerabilities concern
// which host, of which types they are, what the guard in force takes away from an
// attacker, and so what has to be patched when. It is pure: the caller brings
// records (Records), inventories and the time; every verdict carries its reasons.
//
// Matching is done once for every distinct (release, package, version) and fanned
// out to hosts, so the cost grows with distinct package versions, not with hosts.
package triage

import (
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// Finding is one vulnerability in one source package of one version on one host.
type Finding struct {
	ID            string   `json:"id"`
	SourcePackage string   `json:"source_package"`
	SourceVersion string   `json:"source_version"`
	FixedVersion  string   `json:"fixed_version"` // empty: no fix known
	Packages      []string `json:"packages"`      // installed binary packages built from it
	// State is "" (patch it), "reboot-needed" or "restart-needed": the fix is on disk but not what runs.
	State string `json:"state,omitempty"`

	Title        string        `json:"title,omitempty"`
	TitleJA      string        `json:"title_ja,omitempty"` // where JVN has one
	Severity     string        `json:"severity,omitempty"` // CVSS vector that counted
	Score        float64       `json:"score,omitempty"`    // CVSS base score
	Types        []vuln.Type   `json:"types"`
	Typings      []vuln.Typing `json:"typings,omitempty"`
	Exploitation string        `json:"exploitation"` // "none", "poc", "active"
	EPSS         float64       `json:"epss,omitempty"`
	KEV          bool          `json:"kev,omitempty"`
	Exposure     string        `json:"exposure"` // "small", "controlled", "open"
	Automatable  string        `json:"automatable,omitempty"`
	Impact       string        `json:"technical_impact,omitempty"` // "partial", "total"

	Decision  Action     `json:"decision"`
	Unguarded Action     `json:"unguarded,omitempty"` // the decision without the guard, where it differs
	Table     string     `json:"table,omitempty"`     // decision table: "ssvc", "bod-26-04"
	Row       string     `json:"row,omitempty"`       // the row that decided
	FirstSeen time.Time  `json:"first_seen,omitzero"`
	Deadline  *time.Time `json:"deadline"` // null: with the regular upgrade
	Forensics bool       `json:"forensics,omitempty"`

	Coverage Effect    `json:"coverage"`
	Stages   *Coverage `json:"coverage_basis,omitempty"`

	Matches []Match  `json:"matches,omitempty"`
	Advice  []Reason `json:"advice,omitempty"`
	Reasons []Reason `json:"reasons"`

	window  *time.Duration // how long there is; nil: no clock
	earlier *time.Duration // how long there was before the vulnerability was known to be exploited
}

// Match says which record and range made a package version vulnerable.
type Match struct {
	Source    string `json:"source"`
	Record    string `json:"record"`
	Ecosystem string `json:"ecosystem"`
	Package   string `json:"package"`
	Version   string `json:"version"` // the version compared
	Range     string `json:"range"`   // "0 ≤ v < 1:9.2p1-2+deb12u3"
	Fixed     string `json:"fixed,omitempty"`
	// Method says what Version is of: "source" or "binary" package, "module" (an RPM
	// module build), "cpe" (an SBOM component) or "kb" (Windows).
	Method  string `json:"method"`
	Urgency string `json:"urgency,omitempty"` // the distribution's own word
	Status  string `json:"status,omitempty"`  // Affected.Status
}

// Reason is one link of a finding's chain. Code names a message of the catalogue
// ("match.range", "decision.row", …) and Args fill it, so that it reads in any
// language; Text is filled by whoever prints it.
type Reason struct {
	Step string   `json:"step"` // "match", "type", "exploitation", "exposure", "coverage", "decision"
	Code string   `json:"code"`
	Args []string `json:"args,omitempty"`
	Text string   `json:"text,omitempty"`
}

// NotJudged is something on the host triage could say nothing about, and why.
type NotJudged struct {
	What    string `json:"what"` // package, "os", "kernel", …
	Version string `json:"version,omitempty"`
	Reason
}

// Digest is what a decision needs of one vulnerability: small, computed once when
// records change, read thousands of times.
type Digest struct {
	ID        string        `json:"id"`
	Title     string        `json:"title,omitempty"`
	TitleJA   string        `json:"title_ja,omitempty"`
	Published time.Time     `json:"published,omitzero"`
	Rejected  bool          `json:"rejected,omitempty"`
	Severity  vuln.Severity `json:"severity,omitzero"`
	CWEs      []string      `json:"cwes,omitempty"`
	Typings   []vuln.Typing `json:"typings,omitempty"` // by the full rule set
	KEV       *vuln.KEV     `json:"kev,omitempty"`
	SSVC      *vuln.SSVC    `json:"ssvc,omitempty"`
	EPSS      float64       `json:"-"`                 // joined when read: it changes daily for everything
	Known     time.Time     `json:"-"`                 // when it first entered the store
	Exploit   string        `json:"exploit,omitempty"` // a public exploit's address
}

// Scan is the verdict on one host.
type Scan struct {
	Host       host.Host       `json:"host"`
	At         time.Time       `json:"at"`
	Findings   []Finding       `json:"findings"`
	NotJudged  []NotJudged     `json:"not_judged"`
	Totals     Totals          `json:"totals"`
	Protection host.Protection `json:"protection,omitzero"`
}

// Totals count what a scan looked at and found.
type Totals struct {
	Packages        int               `json:"packages"`        // installed binary packages
	SourcePackages  int               `json:"source_packages"` // distinct source package versions
	Findings        int               `json:"findings"`
	Vulnerabilities int               `json:"vulnerabilities"` // distinct ids
	Decisions       map[Action]int    `json:"decisions"`       // findings per decision
	Types           map[vuln.Type]int `json:"types"`           // findings per type (overlapping)
	Untyped         int               `json:"untyped"`
	Fixable         int               `json:"fixable"`
	NotJudged       int               `json:"not_judged"`
}

// TypeTable is Table 1 of TRIAGE.md: vulnerabilities of one product by year of
// publication and type.
type TypeTable struct {
	Product string    `json:"product"`
	Rules   string    `json:"rules"`  // "cvedetails" or "full"
	Source  string    `json:"source"` // "nvd" or "msrc"
	Until   time.Time `json:"until,omitzero"`
	Rows    []TypeRow `json:"rows"`
}

// TypeRow is one year. A vulnerability with several types counts in each, so Sum
// overlaps and Distinct is what to compare.
type TypeRow struct {
	Year     int               `json:"year"`
	Distinct int               `json:"distinct"`
	Types    map[vuln.Type]int `json:"types"` // all thirteen keys, zeroes too
	Untyped  int               `json:"untyped"`
	Sum      int               `json:"sum"`
}
