package triage

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/kannuki/kannuki/triage/classify"
	"github.com/kannuki/kannuki/vuln"
)

// TypeQuestion asks for a table of types.
type TypeQuestion struct {
	Product string // as ProductMatches takes it
	Rules   string // CVEDetailsRules or FullRules
	Source  string // whose records count: "nvd" or "msrc"
	// From and To are the first and last year shown; 0 is the first or last with data.
	From, To int
	// Until leaves out what was published then or later; zero: nothing.
	Until time.Time
}

// BuildTypeTable counts the CVEs whose records of the chosen source name the product,
// by the year (UTC) in which that source published them – never the year in the
// identifier – and by type. Each counts once; a rejected or withdrawn one does not,
// nor does an advisory without a CVE id. The caller brings vulnerabilities with their Records;
// those of other sources and products are passed over, so bringing too many is safe.
func BuildTypeTable(q TypeQuestion, vulns iter.Seq[vuln.Vulnerability]) (TypeTable, error) {
	rows := map[int]*TypeRow{}
	err := q.each(vulns, func(c counted) {
		if rows[c.year] == nil {
			rows[c.year] = newTypeRow(c.year)
		}
		rows[c.year].count(classifyBy(q.Rules, c.input))
	})
	if err != nil {
		return TypeTable{}, err
	}
	t := TypeTable{Product: q.Product, Rules: q.Rules, Source: q.Source, Until: q.Until}
	t.Rows = everyYear(rows, q.From, q.To, newTypeRow)
	return t, nil
}

// counted is a vulnerability that counts for a question.
type counted struct {
	*vuln.Vulnerability
	year  int
	input classify.Input
}

// each calls count with every vulnerability that counts, once.
func (q TypeQuestion) each(vulns iter.Seq[vuln.Vulnerability], count func(counted)) error {
	if q.Rules != CVEDetailsRules && q.Rules != FullRules {
		return fmt.Errorf("triage: unknown typing rules %q: use %q or %q", q.Rules, CVEDetailsRules, FullRules)
	}
	if q.From != 0 && q.To != 0 && q.From > q.To {
		return fmt.Errorf("triage: the years of the table run backwards: %d to %d", q.From, q.To)
	}
	seen := map[string]bool{}
	product := parseProduct(q.Product)
	for v := range vulns {
		if !vuln.IsCVE(v.ID) {
			continue
		}
		named, published := product.in(v.Records, q.Source)
		if !named || seen[v.ID] || !q.Until.IsZero() && !published.Before(q.Until) {
			continue
		}
		year := published.UTC().Year()
		if q.From != 0 && year < q.From || q.To != 0 && year > q.To {
			continue
		}
		in := inputOf(v.Records, q.Source)
		if in.IsRejected() {
			continue
		}
		seen[v.ID] = true
		in.Impacts = product.impacts(v.Records, q.Source)
		count(counted{&v, year, in})
	}
	return nil
}

func newTypeRow(year int) *TypeRow {
	row := &TypeRow{Year: year, Types: make(map[vuln.Type]int, len(vuln.Types))}
	for _, t := range vuln.Types {
		row.Types[t] = 0
	}
	return row
}

func (r *TypeRow) count(typings []vuln.Typing) {
	r.Distinct++
	if len(typings) == 0 {
		r.Untyped++
	}
	for _, t := range typings {
		r.Types[t.Type]++
		r.Sum++
	}
}

// everyYear sorts the rows and fills the years between, so that a year without
// vulnerabilities is seen to have none.
func everyYear[R any](rows map[int]*R, from, to int, empty func(year int) *R) []R {
	for year := range rows {
		from = cmp.Or(from, year)
		to = cmp.Or(to, year)
		from, to = min(from, year), max(to, year)
	}
	out := []R{}
	if from == 0 || to == 0 {
		return out
	}
	for year := from; year <= to; year++ {
		if rows[year] == nil {
			rows[year] = empty(year)
		}
		out = append(out, *rows[year])
	}
	return out
}

// in tells whether the records of source that stand name the product, and when that
// source first published one.
func (p *product) in(records []vuln.Record, source string) (named bool, published time.Time) {
	for i := range records {
		r := &records[i]
		if r.Source != source || r.Rejected || !r.Withdrawn.IsZero() || r.Published.IsZero() {
			continue
		}
		named = named || p.matches(r)
		if published.IsZero() || r.Published.Before(published) {
			published = r.Published
		}
	}
	return named, published
}

// impacts are the vendor's impacts on this product; an impact that names no product
// holds for all.
func (p *product) impacts(records []vuln.Record, source string) []vuln.Impact {
	var out []vuln.Impact
	for i := range records {
		r := &records[i]
		if r.Source != source || r.Rejected || !r.Withdrawn.IsZero() {
			continue
		}
		for _, impact := range r.Impacts {
			if len(impact.Products) == 0 || slices.ContainsFunc(r.Products, func(listed vuln.Product) bool {
				return p.lists(&listed) && slices.Contains(impact.Products, listed.ID)
			}) {
				out = append(out, impact)
			}
		}
	}
	return out
}
