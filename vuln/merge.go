package vuln

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Value is a chosen value and the source it was taken from.
type Value[T any] struct {
	Value  T      `json:"value"`
	Source string `json:"source"`
}

// Vulnerability is what all sources together say about one identifier. Every
// chosen value keeps its source; lists keep one entry per source.
type Vulnerability struct {
	ID        string           `json:"id"`
	Published Value[time.Time] `json:"published,omitzero"`
	Modified  Value[time.Time] `json:"modified,omitzero"`
	// Rejected is true when a source rejected the identifier and none stands by it
	// with a higher rank.
	Rejected bool `json:"rejected,omitempty"`

	Title     Value[string] `json:"title,omitzero"`
	Details   Value[string] `json:"details,omitzero"`
	TitleJA   Value[string] `json:"title_ja,omitzero"`
	DetailsJA Value[string] `json:"details_ja,omitzero"`

	// Severity is the vector that decides; Severities are all that were given.
	Severity   *Severity   `json:"severity,omitempty"`
	Severities []Severity  `json:"severities,omitempty"`
	Weaknesses []Weakness  `json:"weaknesses,omitempty"`
	Impacts    []Impact    `json:"impacts,omitempty"`
	References []Reference `json:"references,omitempty"`

	KEV  *KEV  `json:"kev,omitempty"`
	EPSS *EPSS `json:"epss,omitempty"`
	SSVC *SSVC `json:"ssvc,omitempty"`

	// Records are the records merged, best-ranked first.
	Records []Record `json:"-"`
}

// precedence ranks who is believed first for CVSS, CWE and text: DESIGN.md's chain
// vendor → CNA → CISA ADP → (NVD) → distribution. NVD stands after the ADP because
// we must not depend on it, and before distributions because they mostly repeat it.
var precedence = []string{"msrc", "redhat", "cna", "cve5", "cisa-adp", "nvd", "jvn", "kev", "osv", "sample"}

// Rank is the place of source in the precedence, 0 first; unknown sources come last.
func Rank(source string) int {
	head, _, _ := strings.Cut(source, "/")
	if i := slices.Index(precedence, head); i >= 0 {
		return i
	}
	return len(precedence)
}

// Merge combines the records of several sources about id. Withdrawn records say
// nothing. The result does not depend on the order of records.
func Merge(id string, records []Record) Vulnerability {
	v := Vulnerability{ID: id}
	for _, r := range records {
		if r.Withdrawn.IsZero() {
			v.Records = append(v.Records, r)
		}
	}
	slices.SortStableFunc(v.Records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(Rank(a.Source), Rank(b.Source)), directFirst(id, a, b),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.ID, b.ID))
	})
	rejected, standing := false, false
	for i := range v.Records {
		r := &v.Records[i]
		if r.Rejected {
			rejected = true
			continue
		}
		standing = standing || r.ID == id
		v.take(r)
	}
	v.Rejected = rejected && !standing
	v.order()
	return v
}

// directFirst puts the record about id itself before an advisory that mentions it.
func directFirst(id string, a, b Record) int {
	return cmp.Compare(boolRank(a.ID != id), boolRank(b.ID != id))
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// take adds what r says. Records come best-ranked first, so a filled value stays.
// An advisory about several vulnerabilities lends no text or score to one of them.
func (v *Vulnerability) take(r *Record) {
	direct := r.ID == v.ID || len(r.Vulnerabilities) <= 1
	// The earliest date a standing record gives is when the public learnt of it.
	if direct && !r.Published.IsZero() && (v.Published.Value.IsZero() || r.Published.Before(v.Published.Value)) {
		v.Published = Value[time.Time]{r.Published, r.Source}
	}
	if r.Modified.After(v.Modified.Value) {
		v.Modified = Value[time.Time]{r.Modified, r.Source}
	}
	if direct {
		v.takeTexts(r)
		v.Severities = append(v.Severities, r.Severities...)
		v.Weaknesses = append(v.Weaknesses, r.Weaknesses...)
		v.Impacts = append(v.Impacts, r.Impacts...)
	}
	for _, ref := range r.References {
		if !slices.ContainsFunc(v.References, func(x Reference) bool { return x.URL == ref.URL && x.Kind == ref.Kind }) {
			v.References = append(v.References, ref)
		}
	}
	v.takeKEV(r)
	v.SSVC = joinSSVC(v.SSVC, r.SSVC)
}

// joinSSVC takes the newer assessment, and from the older what the newer leaves open:
// a vendor says "active" and nothing about the rest.
func joinSSVC(a, b *SSVC) *SSVC {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if b.At.After(a.At) {
		a, b = b, a
	}
	out := *a
	out.Exploitation = cmp.Or(a.Exploitation, b.Exploitation)
	out.Automatable = cmp.Or(a.Automatable, b.Automatable)
	out.Impact = cmp.Or(a.Impact, b.Impact)
	if out != *a && a.Source != b.Source {
		out.Source = a.Source + "+" + b.Source
	}
	return &out
}

// takeKEV prefers the catalogue itself: what others repeat of it lacks most of it.
func (v *Vulnerability) takeKEV(r *Record) {
	if r.KEV != nil && (v.KEV == nil || r.Source == "kev") {
		v.KEV = r.KEV
	}
}

func (v *Vulnerability) takeTexts(r *Record) {
	for _, t := range r.Texts {
		title, details := &v.Title, &v.Details
		if strings.HasPrefix(t.Lang, "ja") {
			title, details = &v.TitleJA, &v.DetailsJA
		} else if !strings.HasPrefix(t.Lang, "en") && t.Lang != "" {
			continue
		}
		source := cmp.Or(t.Source, r.Source)
		if title.Value == "" && t.Title != "" {
			*title = Value[string]{t.Title, source}
		}
		if details.Value == "" && t.Details != "" {
			*details = Value[string]{t.Details, source}
		}
	}
}

// order sorts what several records gave, and picks the severity that decides: the
// best-ranked source, and of its vectors the newest CVSS version, then the highest
// score: a vendor that scores per product gives several.
func (v *Vulnerability) order() {
	slices.SortStableFunc(v.Severities, func(a, b Severity) int {
		return cmp.Or(cmp.Compare(boolRank(a.Vector == ""), boolRank(b.Vector == "")),
			cmp.Compare(Rank(a.Source), Rank(b.Source)), -cmp.Compare(cvssOrder(a.Version), cvssOrder(b.Version)),
			-cmp.Compare(a.Score, b.Score), cmp.Compare(a.Vector, b.Vector))
	})
	slices.SortStableFunc(v.Weaknesses, func(a, b Weakness) int {
		return cmp.Or(cmp.Compare(Rank(a.Source), Rank(b.Source)), cmp.Compare(a.Source, b.Source), cmp.Compare(a.CWE, b.CWE))
	})
	v.Weaknesses = slices.Compact(v.Weaknesses)
	if len(v.Severities) > 0 {
		s := v.Severities[0]
		v.Severity = &s
	}
}

// cvssOrder prefers the versions whose vectors say what a decision needs: 3.x
// first, then 4.0, then 2.0.
func cvssOrder(version string) int {
	switch version {
	case "3.1":
		return 4
	case "3.0":
		return 3
	case "4.0":
		return 2
	case "2.0":
		return 1
	}
	return 0
}
