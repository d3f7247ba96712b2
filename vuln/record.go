// Package vuln holds the words for vulnerabilities: what one source says about
// one (Record), what all sources together say (Vulnerability), and the thirteen
// types our users sort them by (Type). It is pure: it reads no files, knows no
// feed format and decides nothing; feeds fill it, the store keeps it and triage
// judges it. Values are plain data, safe to copy and to encode as JSON.
package vuln

import (
	"strings"
	"time"
)

// Record is what one source says about one identifier, in one shape for all
// feeds. A source that says nothing about a field leaves it empty: an empty field
// never means "no".
type Record struct {
	// Source names the feed, lower case: "nvd", "cve5", "kev", "msrc", "redhat",
	// "jvn", "sample", or "osv/<ecosystem>" such as "osv/debian".
	Source string `json:"source"`
	// ID is the identifier the source uses: CVE-2024-6387, DSA-5724-1, JVNDB-2022-000001.
	ID string `json:"id"`
	// Vulnerabilities are the identifiers this record speaks about: CVE ids where
	// there are any, else the record's own ID. Never empty in a stored record.
	Vulnerabilities []string `json:"vulnerabilities,omitempty"`

	Published time.Time `json:"published,omitzero"`
	Modified  time.Time `json:"modified,omitzero"`
	// Withdrawn is when the source took the record back; zero while it stands.
	Withdrawn time.Time `json:"withdrawn,omitzero"`
	// Rejected says that the identifier itself was rejected (not a vulnerability).
	Rejected bool `json:"rejected,omitempty"`

	Texts      []Text      `json:"texts,omitempty"`
	Severities []Severity  `json:"severities,omitempty"`
	Weaknesses []Weakness  `json:"weaknesses,omitempty"`
	Impacts    []Impact    `json:"impacts,omitempty"`
	References []Reference `json:"references,omitempty"`

	Affected       []Affected      `json:"affected,omitempty"`
	Configurations []Configuration `json:"configurations,omitempty"`
	Products       []Product       `json:"products,omitempty"`

	KEV  *KEV  `json:"kev,omitempty"`
	SSVC *SSVC `json:"ssvc,omitempty"`
}

// Text is a title and a description in one language.
type Text struct {
	Lang    string `json:"lang"`             // BCP 47: "en", "ja"
	Source  string `json:"source,omitempty"` // who wrote it, where it is not the record's source: "cna", "cisa-adp"
	Title   string `json:"title,omitempty"`
	Details string `json:"details,omitempty"`
}

// Severity is one CVSS vector, or a vendor's word where there is no vector.
type Severity struct {
	Source  string  `json:"source"`            // who scored: "nvd", "cna", "cisa-adp", "msrc", "redhat", "jvn", "osv/debian"
	Version string  `json:"version,omitempty"` // CVSS version: "2.0", "3.0", "3.1", "4.0"; empty for a word alone
	Vector  string  `json:"vector,omitempty"`
	Score   float64 `json:"score,omitempty"` // base score 0–10; 0 with a Vector means "not given"
	Word    string  `json:"word,omitempty"`  // the source's own word: "Important", "critical"
}

// Weakness is a CWE id ("CWE-79"; also "NVD-CWE-Other", "NVD-CWE-noinfo") and who gave it.
type Weakness struct {
	CWE    string `json:"cwe"`
	Source string `json:"source"`
}

// Impact is a vendor's own word for what an attacker gains ("Remote Code Execution").
type Impact struct {
	Word     string   `json:"word"`
	Source   string   `json:"source"`
	Products []string `json:"products,omitempty"` // Product.ID it holds for; empty: all
}

// Reference is a link; Kind uses OSV's words (ADVISORY, ARTICLE, REPORT, FIX, WEB,
// PACKAGE, EVIDENCE) and EXPLOIT where the source marks one.
type Reference struct {
	URL  string `json:"url"`
	Kind string `json:"kind,omitempty"`
}

// Affected says which versions of one package of one ecosystem a record concerns.
type Affected struct {
	// Ecosystem is OSV's word with the release: "Debian:12", "AlmaLinux:9",
	// "Ubuntu:22.04:LTS", "Rocky Linux:9", "Red Hat:enterprise_linux:9", "Alpine:v3.19".
	Ecosystem string `json:"ecosystem"`
	// Package is the name as the ecosystem uses it: the source package for Debian,
	// Ubuntu and Alpine; the binary package (or the source package) for RPM systems.
	Package string `json:"package"`
	// Source is true where Package is known to name a source package.
	SourcePackage bool    `json:"source_package,omitempty"`
	Ranges        []Range `json:"ranges,omitempty"`
	// Versions lists affected versions one by one; kept only where no range says it.
	Versions []string `json:"versions,omitempty"`
	Arches   []string `json:"arches,omitempty"` // package architectures; empty: all
	Module   string   `json:"module,omitempty"` // RPM module stream, "nodejs:18"; empty: not modular
	Urgency  string   `json:"urgency,omitempty"`
	// Status is "" (affected, decided by ranges), "not_affected", "will_not_fix",
	// "deferred", "end_of_life" or "under_investigation".
	Status string `json:"status,omitempty"`
}

// Range is a list of half-open intervals in the ecosystem's own version order.
type Range struct {
	Kind   string  `json:"kind,omitempty"` // "" is ECOSYSTEM; "SEMVER", "GIT" as in OSV
	Events []Event `json:"events"`
}

// Event opens or closes an interval; exactly one field is filled. Introduced "0"
// is before every version. Fixed is exclusive, LastAffected inclusive.
type Event struct {
	Introduced   string `json:"introduced,omitempty"`
	Fixed        string `json:"fixed,omitempty"`
	LastAffected string `json:"last_affected,omitempty"`
}

// Configuration is one NVD configuration: it holds when every node holds.
type Configuration struct {
	Nodes []Node `json:"nodes"`
}

// Node holds when any of its matches holds (or none, where Negate).
type Node struct {
	Negate  bool       `json:"negate,omitempty"`
	Matches []CPEMatch `json:"matches"`
}

// CPEMatch names a product by CPE 2.3 and a version range.
type CPEMatch struct {
	CPE string `json:"cpe"`
	// Vulnerable is false for the platform a vulnerable product runs on: such a
	// match never makes the platform itself vulnerable.
	Vulnerable     bool   `json:"vulnerable"`
	StartIncluding string `json:"start_including,omitempty"`
	StartExcluding string `json:"start_excluding,omitempty"`
	EndIncluding   string `json:"end_including,omitempty"`
	EndExcluding   string `json:"end_excluding,omitempty"`
}

// Product is one product a vendor (MSRC) lists, with the updates that fix it.
type Product struct {
	ID   string `json:"id"`   // vendor's product id: "11571"
	Name string `json:"name"` // "Windows Server 2019"
	// Component is true for software shipped on an operating system ("Internet
	// Explorer 11 on Windows Server 2019") rather than the system itself.
	Component bool   `json:"component,omitempty"`
	Family    string `json:"family,omitempty"` // "Windows", "ESU", "Browser"
	Status    string `json:"status,omitempty"` // "Known Affected", "Known Not Affected", …
	Fixes     []Fix  `json:"fixes,omitempty"`
}

// Fix is one update of a product.
type Fix struct {
	KB         string   `json:"kb,omitempty"`         // digits only: "4525237"
	Supersedes []string `json:"supersedes,omitempty"` // KBs it replaces, digits only
	Build      string   `json:"build,omitempty"`      // fixed build: "10.0.17763.864"
	URL        string   `json:"url,omitempty"`
	Restart    string   `json:"restart,omitempty"` // vendor's word: "Yes", "No", "Maybe"
	Kind       string   `json:"kind,omitempty"`    // "Security Update", "Monthly Rollup", "Security Only"
}

// KEV is an entry of CISA's Known Exploited Vulnerabilities catalogue.
type KEV struct {
	Added      time.Time `json:"added,omitzero"`
	Due        time.Time `json:"due,omitzero"`
	Name       string    `json:"name,omitempty"`
	Action     string    `json:"action,omitempty"`
	Ransomware bool      `json:"ransomware,omitempty"`
}

// EPSS is FIRST's Exploit Prediction Scoring System value for one CVE.
type EPSS struct {
	CVE        string    `json:"cve,omitempty"`
	Score      float64   `json:"score"`                // probability of exploitation in 30 days, 0–1
	Percentile float64   `json:"percentile,omitempty"` // 0–1; 0 where the file has none
	Date       time.Time `json:"date,omitzero"`
	Model      string    `json:"model,omitempty"`
}

// SSVC is a coordinator's SSVC assessment, in CISA's words.
type SSVC struct {
	Source       string    `json:"source,omitempty"`       // "cisa-adp"
	Exploitation string    `json:"exploitation,omitempty"` // "none", "poc", "active"
	Automatable  string    `json:"automatable,omitempty"`  // "yes", "no"
	Impact       string    `json:"impact,omitempty"`       // technical impact: "partial", "total"
	At           time.Time `json:"at,omitzero"`
}

// IsCVE tells whether id is a CVE identifier: "CVE-", four digits of year, a dash
// and four or more digits.
func IsCVE(id string) bool {
	rest, ok := strings.CutPrefix(id, "CVE-")
	if !ok || len(rest) < 9 || rest[4] != '-' {
		return false
	}
	for i := range len(rest) {
		if i != 4 && (rest[i] < '0' || rest[i] > '9') {
			return false
		}
	}
	return true
}
