package triage

import (
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// CoverageQuestion asks what a protection takes away from the vulnerabilities of a
// product: Table 4 of TRIAGE.md.
type CoverageQuestion struct {
	TypeQuestion
	Protection host.Protection
	Now        time.Time
}

// CoverageTable is Table 4, Table 1 held against Table 3: how many distinct
// vulnerabilities the guard cuts off, reduces and leaves.
type CoverageTable struct {
	Product string        `json:"product"` // or the hosts it is about
	Rules   string        `json:"rules"`
	Rows    []CoverageRow `json:"rows"`

	Source string    `json:"-"` // whose records counted; "" for a table of hosts
	Until  time.Time `json:"-"`
	Hosts  int       `json:"-"` // how many it is about; 0: a product's
}

// CoverageRow is one year. The five effects and Untyped add up to Distinct. What is
// covered is prevented or contained; shares are in percent of Distinct, to a tenth.
type CoverageRow struct {
	Year      int `json:"year"` // of publication; 0: not known, and of a total
	Distinct  int `json:"distinct"`
	Prevented int `json:"prevented"`
	Contained int `json:"contained"`
	Limited   int `json:"limited"`
	None      int `json:"none"`
	Untyped   int `json:"untyped"`
	// OverlappingSumPercent adds up the types that are covered: what has two of them
	// counts twice, so it may exceed 100. It stands here because others publish it.
	OverlappingSumPercent float64 `json:"overlapping_sum_percent"`
	DistinctPercent       float64 `json:"distinct_percent"`

	Sum   int                          `json:"-"` // what OverlappingSumPercent is of
	Types map[vuln.Type]map[Effect]int `json:"-"` // distinct vulnerabilities per type and effect
	Each  map[Effect]int               `json:"-"` // judged one by one, see BuildCoverageTable; nil for hosts
}

// Covered is how many distinct vulnerabilities are prevented or contained.
func (r *CoverageRow) Covered() int { return r.Prevented + r.Contained }

func newCoverageRow(year int) *CoverageRow {
	r := &CoverageRow{Year: year, Types: map[vuln.Type]map[Effect]int{}, Each: map[Effect]int{}}
	for _, t := range vuln.Types {
		r.Types[t] = map[Effect]int{}
	}
	return r
}

// count adds one vulnerability.
func (r *CoverageRow) count(typings []vuln.Typing, e Effect) {
	r.Distinct++
	switch {
	case len(typings) == 0:
		r.Untyped++
	case e == Prevented:
		r.Prevented++
	case e == Contained:
		r.Contained++
	case e == Limited:
		r.Limited++
	default:
		r.None++
	}
	for _, t := range typings {
		if t.Type == vuln.DoS { // nothing covers it, whatever is covered beside it
			r.Types[t.Type][None]++
			continue
		}
		r.Types[t.Type][e]++
	}
}

// finish works out the shares.
func (r *CoverageRow) finish() {
	r.OverlappingSumPercent, r.DistinctPercent = percent(r.Sum, r.Distinct), percent(r.Covered(), r.Distinct)
}

// percent is n of all in percent, to a tenth; 0 of nothing.
func percent(n, all int) float64 {
	if all == 0 {
		return 0
	}
	return math.Round(1000*float64(n)/float64(all)) / 10
}

// Total adds up the rows. A vulnerability is published in one year, so that distinct
// numbers of years add up.
func (t *CoverageTable) Total() CoverageRow {
	sum := newCoverageRow(0)
	for _, r := range t.Rows {
		sum.Distinct += r.Distinct
		sum.Prevented += r.Prevented
		sum.Contained += r.Contained
		sum.Limited += r.Limited
		sum.None += r.None
		sum.Untyped += r.Untyped
		sum.Sum += r.Sum
		for typ, by := range r.Types {
			for e, n := range by {
				sum.Types[typ][e] += n
			}
		}
		for e, n := range r.Each {
			sum.Each[e] += n
		}
	}
	if t.Hosts > 0 {
		sum.Each = nil
	}
	sum.finish()
	return *sum
}

// BuildCoverageTable answers a question over the same vulnerabilities as BuildTypeTable.
// Nothing is known of a host, so a vulnerability is judged by its types alone, as if a
// contained service had it (EffectsByType): the weakest effect of its types decides, as
// on a host, and stopping the service only where it has no other.
//
// Each counts beside it what is stricter: every vulnerability judged as Cover would on
// a host, by its vector and its evidence too, and as one of the kernel where its text
// speaks of the kernel.
func BuildCoverageTable(q CoverageQuestion, vulns iter.Seq[vuln.Vulnerability]) (CoverageTable, error) {
	rows := map[int]*CoverageRow{}
	product := parseProduct(q.Product)
	err := q.each(vulns, func(c counted) {
		row := rows[c.year]
		if row == nil {
			row = newCoverageRow(c.year)
			rows[c.year] = row
		}
		v := covering{component: product.component(c.Vulnerability, q.Protection), typings: classifyBy(q.Rules, c.input), protection: q.Protection, now: q.Now}
		row.Sum += v.columns()
		row.count(v.typings, v.byTypes())
		v.component.Kernel = v.component.Kernel || speaksOfKernel(c.input.Title+"\n"+c.input.Details)
		var severity vuln.Severity
		if len(c.input.Severities) > 0 {
			severity = c.input.Severities[0]
		}
		row.Each[Cover(v.component, v.typings, severity, q.Protection, q.Now).Effect]++
	})
	if err != nil {
		return CoverageTable{}, err
	}
	t := CoverageTable{Product: q.Product, Rules: q.Rules, Source: q.Source, Until: q.Until, Rows: everyYear(rows, q.From, q.To, newCoverageRow)}
	for i := range t.Rows {
		t.Rows[i].finish()
	}
	return t, nil
}

// component is a product as something that runs contained under p.
func (p *product) component(v *vuln.Vulnerability, under host.Protection) Component {
	c := Component{Vulnerability: v.ID, Source: p.name, Packages: under.Contained}
	for i := range v.Records {
		for _, cfg := range v.Records[i].Configurations {
			for _, n := range cfg.Nodes {
				c.System = c.System || slices.ContainsFunc(n.Matches, func(m vuln.CPEMatch) bool {
					return !n.Negate && m.Vulnerable && strings.HasPrefix(m.CPE, "cpe:2.3:o:") && p.isCPE(m.CPE)
				})
			}
		}
		c.System = c.System || slices.ContainsFunc(v.Records[i].Products, func(listed vuln.Product) bool {
			return p.lists(&listed) && strings.HasPrefix(listed.Name, "Windows")
		})
	}
	c.Kernel = c.System && strings.HasSuffix(p.name, "kernel")
	return c
}

// speaksOfKernel tells whether a description puts the bug into the kernel.
func speaksOfKernel(text string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc([]string{"kernel", "win32k", ".sys "}, func(word string) bool { return strings.Contains(text, word) })
}

// byTypes is the effect on what has v's types.
func (v covering) byTypes() Effect {
	v.byType = true
	if len(v.typings) == 0 || len(v.protection.Contained) == 0 && len(v.protection.Controls) == 0 {
		return None
	}
	_, effect, _ := v.claims(v.outcomes())
	return effect
}

// columns counts the types of v that are covered, each by itself.
func (v covering) columns() int {
	n := 0
	all := v.typings
	for i := range all {
		v.typings = all[i : i+1]
		if e := v.byTypes(); e == Prevented || e == Contained {
			n++
		}
	}
	return n
}
