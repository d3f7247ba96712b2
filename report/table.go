package report

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/lang"
)

// column is one column of a table.
type column struct {
	head  string
	right bool // numbers stand right
	flex  bool // may be cut where the table is too wide
	wrap  bool // as flex, but wrapped instead of cut; the last column only
}

// table lays rows out in columns that are as wide as their widest cell, and cuts the
// widest flexible columns where the sum exceeds the page.
type table struct {
	indent  int
	gap     int // cells between columns; 0 is 2
	columns []column
	rows    [][]string
	styles  []style // per row; may be shorter than rows
}

func (t *table) space() int {
	if t.gap == 0 {
		return 2
	}
	return t.gap
}

func (t *table) add(s style, cells ...string) {
	for len(t.styles) < len(t.rows) {
		t.styles = append(t.styles, plain)
	}
	for i := range cells {
		cells[i] = lang.Clean(cells[i])
	}
	t.rows = append(t.rows, cells)
	t.styles = append(t.styles, s)
}

// table writes t; the heads only where there is one.
func (p *page) table(t *table) {
	widths := t.widths(p.width)
	for _, heads := range t.heads() {
		p.line(faint, t.layout(heads, widths))
	}
	for i, row := range t.rows {
		for _, line := range t.lines(row, widths) {
			p.line(t.styles[i], t.layout(line, widths))
		}
	}
}

// heads are the head rows: a head may have several lines; they stand at the bottom.
func (t *table) heads() [][]string {
	depth := 0
	for _, c := range t.columns {
		if c.head != "" {
			depth = max(depth, 1+strings.Count(c.head, "\n"))
		}
	}
	rows := make([][]string, depth)
	for r := range rows {
		for _, c := range t.columns {
			lines := strings.Split(c.head, "\n")
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
func (t *table) lines(row []string, widths []int) [][]string {
	last := len(row) - 1
	if !t.columns[last].wrap {
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

func (t *table) layout(cells []string, widths []int) string {
	var b strings.Builder
	b.WriteString(strings.Repeat(" ", t.indent))
	for i, c := range cells {
		if i > 0 {
			b.WriteString(strings.Repeat(" ", t.space()))
		}
		c = lang.Cut(c, widths[i])
		if t.columns[i].right {
			b.WriteString(lang.PadLeft(c, widths[i]))
		} else {
			b.WriteString(lang.Pad(c, widths[i]))
		}
	}
	return b.String()
}

// widths are the column widths that fit into total cells.
func (t *table) widths(total int) []int {
	widths := make([]int, len(t.columns))
	sum := t.indent + t.space()*(len(t.columns)-1)
	for i, c := range t.columns {
		for _, line := range strings.Split(c.head, "\n") {
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
func (t *table) widest(widths []int) int {
	best := -1
	for i, c := range t.columns {
		if (c.flex || c.wrap) && widths[i] > 8 && (best < 0 || widths[i] > widths[best]) {
			best = i
		}
	}
	if best >= 0 {
		return best
	}
	return slices.Index(widths, slices.Max(widths))
}

// bar draws n of most as a bar of at most cells; what is not zero is seen.
func bar(n, most, cells int) string {
	if n <= 0 || most <= 0 {
		return ""
	}
	return strings.Repeat("#", max(1, n*cells/most))
}
