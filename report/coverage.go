package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// CoverageFormats are the formats Coverage writes.
var CoverageFormats = []string{"table", "json", "csv", "md", "html", "xlsx"}

// CoverageOf is what Coverage writes: Table 4 of a product or of hosts, with Table 3
// behind it.
type CoverageOf struct {
	At time.Time
	// Table is what was asked for. Beside is the same product by the other typing rules,
	// nil for hosts: the two are shown side by side.
	Table  triage.CoverageTable
	Beside *triage.CoverageTable
	// Guard is the protection Tables 3 and 4 were made with, and Of whose it is; "":
	// nobody's, it is assumed.
	Guard host.Protection
	Of    string
	// Guards are the hosts of a table of hosts.
	Guards []control.HostGuard
}

// Coverage writes how much of the vulnerabilities of products, or of hosts, the guard
// takes away, by effect and by type, and by what. The share of distinct vulnerabilities
// and the sum over types stand side by side, the sum labelled as overlapping. JSON and
// csv hold Table 4 alone; JSON is one object per table, one after the other.
func Coverage(w io.Writer, list []CoverageOf, format string, p lang.Printer, layout Page) error {
	switch format {
	case "json":
		for _, c := range list {
			if err := JSON(w, c.Table); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return coverageCSV(w, list)
	}
	doc := coverageDocument(list, p)
	doc.clean()
	switch format {
	case "table":
		pg := newPage(w, p, layout)
		doc.page(pg)
		return pg.Err()
	case "md":
		return doc.markdown(w, p)
	case "html":
		return doc.html(w, p)
	case "xlsx":
		return doc.workbook(w, p)
	}
	return fmt.Errorf("format %q: choose one of %s", format, strings.Join(CoverageFormats, ", "))
}

func coverageCSV(w io.Writer, list []CoverageOf) error {
	out := csv.NewWriter(w)
	header := []string{"year", "distinct", "prevented", "contained", "limited", "none", "untyped", "overlapping_sum_percent", "distinct_percent"}
	if len(list) > 1 {
		header = append([]string{"product", "rules"}, header...)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, c := range list {
		for _, r := range c.Table.Rows {
			record := []string{strconv.Itoa(r.Year)}
			for _, cell := range coverageCells(r) {
				record = append(record, cell.raw())
			}
			if len(list) > 1 {
				record = append([]string{c.Table.Product, c.Table.Rules}, record...)
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// coverageCells are a row of Table 4 behind its year, as its keys are ordered.
func coverageCells(r triage.CoverageRow) []cell {
	return []cell{count(r.Distinct), count(r.Prevented), count(r.Contained), count(r.Limited), count(r.None), count(r.Untyped),
		share(r.OverlappingSumPercent), share(r.DistinctPercent)}
}

// coverageDocument is the report for people.
func coverageDocument(list []CoverageOf, p lang.Printer) document {
	d := document{title: p.T("cover.title")}
	if len(list) == 0 {
		return d
	}
	var names []string
	for _, c := range list {
		names = append(names, coverageName(c, p))
	}
	d.title = p.T("cover.title.of", strings.Join(names, ", "))
	d.notes = append(coverageNotes(list[0], p), p.T("cover.covered"))
	for i, c := range list {
		number := ""
		if len(list) > 1 {
			number = " " + strconv.Itoa(i+1)
		}
		d.sections = append(d.sections, c.sections(number, p)...)
	}
	d.sections = append(d.sections, list[0].guardSections(p)...)
	return d
}

// coverageName is what a table is of.
func coverageName(c CoverageOf, p lang.Printer) string {
	if c.Table.Hosts > 1 {
		return p.T("cover.hosts", c.Table.Hosts)
	}
	return c.Table.Product
}

// coverageNotes say how it was counted and with which guard.
func coverageNotes(c CoverageOf, p lang.Printer) []string {
	var notes []string
	switch {
	case c.Table.Hosts > 0:
		notes = append(notes, p.T("cover.of-hosts", p.DateTime(c.At)))
	case c.Of == "":
		notes = append(notes, p.T("cover.assumed"))
	default:
		notes = append(notes, p.T("cover.as-on", c.Of))
	}
	if c.Table.Source != "" {
		source := p.T("types.source", c.Table.Rules, c.Table.Source)
		if !c.Table.Until.IsZero() {
			source += p.T("types.until", p.Date(lastDay(c.Table.Until)))
		}
		notes = append(notes, source)
	}
	return notes
}

// sections are those of one table: in short, by year, by type.
func (c CoverageOf) sections(number string, p lang.Printer) []section {
	heading := func(key string) string {
		if number == "" {
			return p.T(key)
		}
		return p.T("cover.heading-of", p.T(key), c.Table.Product)
	}
	if len(c.Table.Rows) == 0 {
		return []section{{name: p.T("cover.sheet.table4") + number, heading: heading("cover.table4"), lead: p.T("types.empty")}}
	}
	sum := c.Table.Total()
	var out []section
	if c.Beside != nil {
		out = append(out, c.besides(number, heading("cover.short"), sum, p))
	}
	return append(out, c.years(number, heading("cover.table4"), sum, p), c.types(number, heading("cover.types"), sum, p))
}

// besides holds the two ways of counting against each other, by both rule sets, and
// against what others published.
func (c CoverageOf) besides(number, heading string, sum triage.CoverageRow, p lang.Printer) section {
	s := section{name: p.T("cover.sheet.short") + number, heading: heading,
		grid: grid{heads: []string{p.T("cover.head.rules"), p.T("cover.head.distinct"), p.T("cover.head.covered"), p.T("cover.head.share"), p.T("cover.head.sum")}}}
	s.chart = bars{title: p.T("cover.chart.short"), description: p.T("cover.chart.short.text"), most: 1000, perMille: true}
	for _, one := range []struct {
		rules string
		triage.CoverageRow
	}{{c.Table.Rules, sum}, {c.Beside.Rules, c.Beside.Total()}} {
		name := p.T("cover.rules." + one.rules)
		s.grid.add(one.rules == c.Table.Rules, text(name), count(one.Distinct), count(one.Covered()), share(one.DistinctPercent), share(one.OverlappingSumPercent))
		s.chart.amounts = append(s.chart.amounts,
			amount{p.T("cover.bar.share", name), int(10 * one.DistinctPercent), p.Percent(one.DistinctPercent / 100), false},
			amount{p.T("cover.bar.sum", name), int(10 * one.OverlappingSumPercent), p.Percent(one.OverlappingSumPercent / 100), true})
	}
	s.notes = append(s.notes, p.T("cover.overlap"))
	if sum.Each != nil {
		each := sum.Each[triage.Prevented] + sum.Each[triage.Contained]
		s.notes = append(s.notes, p.T("cover.each", each, sum.Distinct, p.Percent(float64(each)/float64(max(sum.Distinct, 1)))))
	}
	if published, ok := triage.PublishedFigures(c.Table.Product); ok {
		said := p.T("cover.article", published.Claim)
		if published.Listed > 0 {
			said += p.T("cover.article.listed", published.Listed)
		}
		s.notes = append(s.notes, said)
	}
	return s
}

// years is Table 4.
func (c CoverageOf) years(number, heading string, sum triage.CoverageRow, p lang.Printer) section {
	s := section{name: p.T("cover.sheet.table4") + number, heading: heading,
		grid: grid{heads: []string{p.T("types.year"), p.T("cover.head.distinct"), p.T("cover.head.prevented"), p.T("cover.head.contained"), p.T("cover.head.limited"),
			p.T("cover.head.none"), p.T("cover.head.untyped"), p.T("cover.head.sum"), p.T("cover.head.share")}}}
	for _, r := range c.Table.Rows {
		year := strconv.Itoa(r.Year)
		if r.Year == 0 {
			year = p.T("cover.no-date")
		}
		s.grid.add(false, append([]cell{text(year)}, coverageCells(r)...)...)
	}
	if len(c.Table.Rows) > 1 {
		s.grid.add(true, append([]cell{text(p.T("types.total"))}, coverageCells(sum)...)...)
	}
	s.chart = bars{title: p.T("cover.chart.effects"), description: p.T("cover.chart.effects.text"), most: sum.Distinct}
	part := func(label string, n int, faint bool) {
		s.chart.amounts = append(s.chart.amounts, amount{label, n, p.T("types.share", n, p.Percent(float64(n)/float64(max(sum.Distinct, 1)))), faint})
	}
	for _, e := range []struct {
		effect triage.Effect
		n      int
	}{{triage.Prevented, sum.Prevented}, {triage.Contained, sum.Contained}, {triage.Limited, sum.Limited}, {triage.None, sum.None}} {
		part(p.T("effect."+string(e.effect)), e.n, e.effect == triage.Limited || e.effect == triage.None)
	}
	part(p.T("cover.untyped"), sum.Untyped, true)
	if c.Beside == nil {
		s.notes = append(s.notes, p.T("cover.overlap"))
	}
	if c.Table.Hosts > 1 {
		s.notes = append(s.notes, p.T("cover.weakest"))
	}
	return s
}

// types is Table 1 held against Table 3: what is covered of each type.
func (c CoverageOf) types(number, heading string, sum triage.CoverageRow, p lang.Printer) section {
	s := section{name: p.T("cover.sheet.types") + number, heading: heading, lead: p.T("cover.types.lead"),
		grid: grid{heads: []string{p.T("types.label"), p.T("cover.head.distinct"), p.T("cover.head.prevented"), p.T("cover.head.contained"), p.T("cover.head.limited"),
			p.T("cover.head.none")}}}
	s.chart = bars{title: p.T("cover.chart.types"), description: p.T("cover.chart.types.text")}
	for _, t := range vuln.Types {
		by := sum.Types[t]
		all := 0
		for _, n := range by {
			all += n
		}
		s.grid.add(false, text(p.T("type.label."+string(t))), count(all), count(by[triage.Prevented]), count(by[triage.Contained]), count(by[triage.Limited]), count(by[triage.None]))
		if all > 0 {
			covered := by[triage.Prevented] + by[triage.Contained]
			s.chart.amounts = append(s.chart.amounts, amount{p.T("type.label." + string(t)), covered, p.T("cover.of", covered, all), false})
		}
	}
	return s
}

// coverageTime is a time of a report, in the zone it was asked in.
func (c CoverageOf) time(at time.Time, p lang.Printer) string {
	if at.IsZero() {
		return p.T("time.never")
	}
	return p.DateTime(at.In(c.At.Location()))
}

// enforcing counts the controls of p that refuse, and of those the proven ones.
func enforcing(p host.Protection, at time.Time) (refuse, proven int) {
	for _, s := range p.Controls {
		if s.Mode == host.Enforce {
			refuse++
			if p.Proven(s.Control, at) {
				proven++
			}
		}
	}
	return refuse, proven
}

// services are the units among what is contained.
func services(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(s string) bool { return !strings.HasSuffix(s, ".service") })
}
