package msrc

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

// guideURL is the public page of one vulnerability in the update guide.
const guideURL = "https://msrc.microsoft.com/update-guide/vulnerability/"

// record turns one <Vulnerability> into a record.
func (v vulnerability) record(d *document) (vuln.Record, error) {
	published, modified, err := v.dates(d.released)
	if err != nil {
		return vuln.Record{}, err
	}
	products, err := v.affected(d.products)
	if err != nil {
		return vuln.Record{}, err
	}
	rec := vuln.Record{
		Source: Source, ID: v.ID, Vulnerabilities: []string{v.ID},
		Published: published, Modified: modified,
		Texts:      v.texts(),
		Severities: v.severities(d.products),
		Weaknesses: v.weaknesses(),
		Impacts:    v.impacts(products),
		References: []vuln.Reference{{URL: guideURL + v.ID, Kind: "ADVISORY"}},
		Products:   products,
	}
	if v.exploited() {
		// Only "yes" is an assessment: Exploited:No was true on the day of release.
		rec.SSVC = &vuln.SSVC{Source: Source, Exploitation: "active", At: modified}
	}
	return rec, nil
}

// dates are the earliest and the latest revision. Documents are re-issued for years,
// so their own dates serve only where a vulnerability has no revision.
func (v vulnerability) dates(released string) (first, last time.Time, err error) {
	for _, r := range v.Revisions {
		t, err := parseTime(r.Date)
		if err != nil {
			return first, last, fmt.Errorf("revision date: %w", err)
		}
		if first.IsZero() || t.Before(first) {
			first = t
		}
		if t.After(last) {
			last = t
		}
	}
	if first.IsZero() {
		if first, err = parseTime(released); err != nil {
			return first, last, fmt.Errorf("no revision, and the document's release date: %w", err)
		}
		last = first
	}
	return first, last, nil
}

// parseTime reads "2019-11-12T08:00:00" with or without zone; without, it is UTC.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date like 2019-11-12T08:00:00Z", s)
}

// texts are the title and the description. The title of what another CNA assigned is
// that CNA's; the description in the update guide is always Microsoft's.
func (v vulnerability) texts() []vuln.Text {
	title, details, cna := plainText(v.Title), "", ""
	for _, n := range v.Notes {
		switch n.Type {
		case "Description":
			details = strings.TrimSpace(details + "\n" + plainText(n.Text))
		case "CNA":
			cna = strings.TrimSpace(n.Text)
		}
	}
	title = strings.ReplaceAll(title, "\n", " ")
	if cna == "" || strings.EqualFold(cna, "Microsoft") {
		return nonEmpty(vuln.Text{Lang: "en", Title: title, Details: details})
	}
	return nonEmpty(vuln.Text{Lang: "en", Source: "cna", Title: title}, vuln.Text{Lang: "en", Details: details})
}

func nonEmpty(texts ...vuln.Text) []vuln.Text {
	return slices.DeleteFunc(texts, func(t vuln.Text) bool { return t.Title == "" && t.Details == "" })
}

// severityWords rank Microsoft's severity words, worst first.
var severityWords = []string{"Critical", "Important", "Moderate", "Low", "None"}

// severities are the distinct vectors, those of operating systems first and the
// highest first, then the worst of the severity words. Who else scored is not in the
// document, so the source is always Microsoft.
func (v vulnerability) severities(products map[string]product) []vuln.Severity {
	type scored struct {
		vuln.Severity
		system bool
	}
	var all []scored
	for _, s := range v.Scores {
		sev, ok := s.severity()
		if !ok {
			continue
		}
		system := slices.ContainsFunc(s.Products, func(id string) bool { return products[id].system })
		if i := slices.IndexFunc(all, func(x scored) bool { return x.Vector == sev.Vector }); i >= 0 {
			all[i].system = all[i].system || system
			continue
		}
		all = append(all, scored{sev, system})
	}
	slices.SortStableFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(rankTrue(a.system), rankTrue(b.system)), -cmp.Compare(a.Score, b.Score), cmp.Compare(a.Vector, b.Vector))
	})
	var out []vuln.Severity
	for _, s := range all {
		out = append(out, s.Severity)
	}
	if word := v.worstWord(); word != "" {
		out = append(out, vuln.Severity{Source: Source, Word: word})
	}
	return out
}

func rankTrue(b bool) int {
	if b {
		return 0
	}
	return 1
}

// severity reads one score set; ok is false where it holds no vector.
func (s scoreSet) severity() (sev vuln.Severity, ok bool) {
	vector := strings.TrimSpace(s.Vector)
	version, found := strings.CutPrefix(vector, "CVSS:")
	if !found {
		return sev, false
	}
	version, _, _ = strings.Cut(version, "/")
	score, err := strconv.ParseFloat(strings.TrimSpace(s.Base), 64)
	if err != nil || score < 0 || score > 10 {
		score = 0 // not given
	}
	return vuln.Severity{Source: Source, Version: version, Vector: vector, Score: score}, true
}

func (v vulnerability) worstWord() string {
	worst := len(severityWords)
	for _, t := range v.Threats {
		if t.Type != "Severity" {
			continue
		}
		if i := slices.Index(severityWords, strings.TrimSpace(t.Description)); i >= 0 {
			worst = min(worst, i)
		}
	}
	if worst == len(severityWords) {
		return ""
	}
	return severityWords[worst]
}

var cweID = regexp.MustCompile(`^CWE-\d+$`)

func (v vulnerability) weaknesses() []vuln.Weakness {
	var out []vuln.Weakness
	for _, c := range v.CWEs {
		w := vuln.Weakness{CWE: strings.TrimSpace(c.ID), Source: Source}
		if cweID.MatchString(w.CWE) && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// exploited tells whether Microsoft saw attacks: "…;Exploited:Yes;…".
func (v vulnerability) exploited() bool {
	for _, t := range v.Threats {
		if t.Type != "Exploit Status" {
			continue
		}
		for part := range strings.SplitSeq(t.Description, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(part), ":")
			if strings.EqualFold(key, "Exploited") && strings.EqualFold(strings.TrimSpace(value), "Yes") {
				return true
			}
		}
	}
	return false
}

// unite adds to a what b says beyond it. The later of the two leads, so that its
// text and score count; both lists of products stand.
func unite(a, b vuln.Record) vuln.Record {
	if b.Modified.After(a.Modified) {
		a, b = b, a
	}
	if b.Published.Before(a.Published) {
		a.Published = b.Published
	}
	a.Severities = union(a.Severities, b.Severities, func(x, y vuln.Severity) bool { return x == y })
	a.Weaknesses = union(a.Weaknesses, b.Weaknesses, func(x, y vuln.Weakness) bool { return x == y })
	a.Impacts = union(a.Impacts, b.Impacts, func(x, y vuln.Impact) bool { return x.Word == y.Word && slices.Equal(x.Products, y.Products) })
	a.Products = union(a.Products, b.Products, func(x, y vuln.Product) bool { return x.ID == y.ID })
	if len(a.Texts) == 0 {
		a.Texts = b.Texts
	}
	if a.SSVC == nil {
		a.SSVC = b.SSVC
	}
	return a
}

func union[T any](a, b []T, same func(x, y T) bool) []T {
	for _, y := range b {
		if !slices.ContainsFunc(a, func(x T) bool { return same(x, y) }) {
			a = append(a, y)
		}
	}
	return a
}
