package textpage

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/lang"
)

// Column is one column of a table.
type Column struct {
	Head  string
	Right bool // numbers stand right
	Flex  bool // may be cut where the table is too wide
	Wrap  bool // as flex, but wrapped instead of cut; the last column only
}

// Table lays rows out in columns that are as wide as their widest cell, and cuts the
// widest flexible columns where the sum exceeds the page.
type Table struct {
	Indent  int
	Gap     int // cells between columns; 0 is 2
	Columns []Column
	rows    [][]string
	styles  []Style // per row; may be shorter than rows
}

func (t *Table) space() int {
	if t.Gap == 0 {
		return 2
	}
	return t.Gap
}

// Add adds a row; every cell is made safe to print.
func (t *Table) Add(s Style, cells ...string) {
	for len(t.styles) < len(t.rows) {
		t.styles = append(t.styles, Plain)
	}
	for i := range cells {
		cells[i] = lang.Clean(cells[i])
	}
	t.rows = append(t.rows, cells)
	t.styles = append(t.styles, s)
}

// AddColumn adds a column on the right, with a cell for every row; where there is no
// row yet, its cells make them.
func (t *Table) AddColumn(c Column, cells ...string) {
	for len(t.rows) < len(cells) {
		t.Add(Plain)
	}
	t.Columns = append(t.Columns, c)
	for i, cell := range cells {
		t.rows[i] = append(t.rows[i], lang.Clean(cell))
	}
}

// Table writes t; the heads only where there is one.
func (p *Page) Table(t *Table) {
	widths := t.Widths(p.width)
	for _, heads := range t.heads() {
		p.Line(Faint, t.layout(heads, widths))
	}
	for i, row := range t.rows {
		for _, line := range t.lines(row, widths) {
			p.Line(t.styles[i], t.layout(line, widths))
		}
	}
}

// Row writes one row of t, with the heads above it where asked: for pages that put
// something of their own between rows. Widths are those of the whole table.
func (p *Page) Row(t *Table, row int, heads bool) {
	widths := t.Widths(p.width)
	if heads {
		for _, h := range t.heads() {
			p.Line(Faint, t.layout(h, widths))
		}
	}
	for _, line := range t.lines(t.rows[row], widths) {
		p.Line(t.styles[row], t.layout(line, widths))
	}
}

// heads are the head rows: a head may have several lines; they stand at the bottom.
func (t *Table) heads() [][]string {
	depth := 0
	for _, c := range t.Columns {
		if c.Head != "" {
			depth = max(depth, 1+strings.Count(c.Head, "\n"))
		}
	}
	rows := make([][]string, depth)
	for r := range rows {
		for _, c := range t.Columns {
			lines := strings.Split(c.Head, "\n")
			cell := ""
			if i := r - depth + len(lines); i >= 0 {
				cell = lines[i]
			}
			rows[r] = append(rows[r], cell)
		}
	}
	return rows
}

// lines are the lines one row takes: more than one where its last cell is wrapped.
func (t *Table) lines(row []string, widths []int) [][]string {
	last := len(row) - 1
	if !t.Columns[last].Wrap {
		return [][]string{row}
	}
	var lines [][]string
	for i, part := range lang.Wrap(row[last], widths[last]) {
		line := make([]string, len(row))
		if i == 0 {
			copy(line, row)
		}
		line[last] = part
		lines = append(lines, line)
	}
	return lines
}

func (t *Table) layout(cells []string, widths []int) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", t.Indent))
	for i, c := range cells {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", t.space()))
		}
		c = lang.Cut(c, widths[i])
		if t.Columns[i].Right {
			b.WriteString(lang.PadLeft(c, widths[i]))
		} else {
			b.WriteString(lang.Pad(c, widths[i]))
		}
	}
	return b.String()
}

// Widths are the column widths that fit into total cells.
func (t *Table) Widths(total int) []int {
	widths := make([]int, len(t.Columns))
	sum := t.Indent + t.space()*(len(t.Columns)-1)
	for i, c := range t.Columns {
		for _, line := range strings.Split(c.Head, "\n") {
			widths[i] = max(widths[i], lang.Width(line))
		}
		for _, row := range t.rows {
			widths[i] = max(widths[i], lang.Width(row[i]))
		}
		sum += widths[i]
	}
	for sum > total {
		i := t.widest(widths)
		if widths[i] <= 4 {
			break // nothing sensible is left to cut: the page cuts the line
		}
		widths[i]--
		sum--
	}
	return widths
}

// widest is the column to cut next: the widest flexible one, else the widest.
func (t *Table) widest(widths []int) int {
	best := -1
	for i, c := range t.Columns {
		if (c.Flex || c.Wrap) && widths[i] > 8 && (best < 0 || widths[i] > widths[best]) {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	return slices.Index(widths, slices.Max(widths))
}

// Bar draws n of most as a bar of at most cells; what is not zero is seen.
func Bar(n, most, cells int) string {
	if n <= 0 || most <= 0 {
		return ""
	}
	return strings.Repeat("#", max(1, n*cells/most))
}
