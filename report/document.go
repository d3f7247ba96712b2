package report

import (
	"strconv"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

// document is a report before it is laid out: the same content as a text page,
// Markdown, HTML or a workbook.
type document struct {
	title    string
	notes    []string // under the title
	sections []section
}

// section is one heading with a chart, a table and what has to be said about them; any
// of the three may be absent.
type section struct {
	name    string // short: the name of a sheet
	heading string
	lead    string // how it was counted
	chart   bars
	grid    grid
	notes   []string
}

// grid is a table. The last column may hold sentences.
type grid struct {
	heads []string // a line break is where a narrow page breaks it
	prose bool     // the last column is wrapped
	rows  []gridRow
}

type gridRow struct {
	cells  []cell
	strong bool // a total
}

// cell is a text, a count or a share in percent.
type cell struct {
	text  string
	value float64
	kind  cellKind
}

type cellKind int

const (
	textCell cellKind = iota
	countCell
	shareCell
)

func text(s string) cell         { return cell{text: s} }
func count(n int) cell           { return cell{value: float64(n), kind: countCell} }
func share(percent float64) cell { return cell{value: percent, kind: shareCell} }

func (g *grid) add(strong bool, cells ...cell) { g.rows = append(g.rows, gridRow{cells, strong}) }

// say is a cell in the reader's language.
func (c cell) say(p lang.Printer) string {
	switch c.kind {
	case countCell:
		return p.Number(int(c.value))
	case shareCell:
		return p.Percent(c.value / 100)
	}
	return c.text
}

// raw is a cell for programs.
func (c cell) raw() string {
	if c.kind == textCell {
		return c.text
	}
	return strconv.FormatFloat(c.value, 'f', -1, 64)
}

// bars is a bar chart: amounts with how each is said. Every number of it also stands in
// the table under it.
type bars struct {
	title, description string
	amounts            []amount
	most               int  // the amount a full bar stands for; 0: the largest
	perMille           bool // the amounts are shares of a thousand
}

// clean makes every text safe to show, once for all layouts.
func (d *document) clean() {
	d.title = lang.Clean(d.title)
	for i := range d.notes {
		d.notes[i] = lang.Clean(d.notes[i])
	}
	for i := range d.sections {
		s := &d.sections[i]
		s.heading, s.lead = lang.Clean(s.heading), lang.Clean(s.lead)
		for k := range s.notes {
			s.notes[k] = lang.Clean(s.notes[k])
		}
		for k := range s.chart.amounts {
			a := &s.chart.amounts[k]
			a.label, a.value = lang.Clean(a.label), lang.Clean(a.value)
		}
		for _, r := range s.grid.rows {
			for k := range r.cells {
				r.cells[k].text = lang.Clean(r.cells[k].text)
			}
		}
	}
}

// barCells is how wide the longest bar of a text page is.
const barCells = 24

// page lays a document out as text.
func (d *document) page(pg *page) {
	for _, l := range lang.Wrap(lang.Clean(d.title), pg.Width()) {
		pg.Line(bold, l)
	}
	for _, n := range d.notes {
		pg.Text(0, n)
	}
	for _, s := range d.sections {
		pg.Heading(s.heading)
		if s.lead != "" {
			pg.Text(0, s.lead)
		}
		s.chart.page(pg)
		s.grid.page(pg)
		if len(s.grid.rows) > 0 && len(s.notes) > 0 {
			pg.Line(plain, "")
		}
		for _, n := range s.notes {
			pg.Item(0, "- ", n)
		}
	}
}

// narrowProse is the fewest cells in which a sentence still reads beside its columns.
const narrowProse = 36

// page writes a grid; sentences that would stand in too narrow a column stand under
// their row.
func (g *grid) page(pg *page) {
	if len(g.rows) == 0 {
		return
	}
	t := g.table(pg.Printer)
	widths := t.Widths(pg.Width())
	last := len(widths) - 1
	if !g.prose || widths[last] >= min(narrowProse, g.longest(pg.Printer)) {
		pg.Table(&t)
		return
	}
	short := grid{heads: g.heads[:last]}
	for _, r := range g.rows {
		short.rows = append(short.rows, gridRow{r.cells[:last], r.strong})
	}
	columns := short.table(pg.Printer)
	for i, r := range g.rows {
		pg.Row(&columns, i, i == 0)
		pg.Text(6, r.cells[last].say(pg.Printer))
	}
}

// longest is the width of the longest sentence.
func (g *grid) longest(p lang.Printer) int {
	most := 0
	for _, r := range g.rows {
		most = max(most, lang.Width(r.cells[len(r.cells)-1].say(p)))
	}
	return most
}

// table lays a grid out for a text page.
func (g *grid) table(p lang.Printer) table {
	t := table{Indent: 2}
	for i, head := range g.heads {
		c := column{Head: head, Flex: i == 0 && !g.prose}
		if len(g.rows) > 0 {
			c.Right = g.rows[0].cells[i].kind != textCell
		}
		c.Wrap = g.prose && i == len(g.heads)-1
		t.Columns = append(t.Columns, c)
	}
	for _, r := range g.rows {
		words := make([]string, len(r.cells))
		for i, c := range r.cells {
			words[i] = c.say(p)
		}
		s := plain
		if r.strong {
			s = bold
		}
		t.Add(s, words...)
	}
	return t
}

func (b *bars) largest() int {
	most := max(b.most, 1)
	for _, a := range b.amounts {
		most = max(most, a.n)
	}
	return most
}

// page draws the bars of a text page.
func (b *bars) page(pg *page) {
	if len(b.amounts) == 0 {
		return
	}
	most := b.largest()
	t := table{Indent: 2, Columns: []column{{Flex: true}, {Right: true}, {}}}
	for _, a := range b.amounts {
		t.Add(plain, a.label, a.value, textpage.Bar(a.n, most, barCells))
	}
	pg.Table(&t)
	pg.Line(plain, "")
}
