package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/kannuki/kannuki/lang"
)

//go:embed document.html.tmpl
var documentPage embed.FS

// markdown writes a document as Markdown.
func (d *document) markdown(w io.Writer, p lang.Printer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", markdown(d.title))
	for _, n := range d.notes {
		fmt.Fprintf(&b, "%s\n\n", markdown(n))
	}
	for _, s := range d.sections {
		fmt.Fprintf(&b, "## %s\n\n", markdown(s.heading))
		if s.lead != "" {
			fmt.Fprintf(&b, "%s\n\n", markdown(s.lead))
		}
		s.grid.markdown(&b, p)
		for _, n := range s.notes {
			fmt.Fprintf(&b, "- %s\n", markdown(n))
		}
		if len(s.notes) > 0 {
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}

func (g *grid) markdown(b *strings.Builder, p lang.Printer) {
	if len(g.rows) == 0 {
		return
	}
	markdownRow(b, g.flatHeads(p))
	marks := make([]string, len(g.heads))
	for i := range marks {
		marks[i] = "---"
		if g.rows[0].cells[i].kind != textCell {
			marks[i] = "--:"
		}
	}
	b.WriteString("| " + strings.Join(marks, " | ") + " |\n")
	for _, r := range g.rows {
		words := make([]string, len(r.cells))
		for i, c := range r.cells {
			words[i] = c.say(p)
		}
		markdownRow(b, words)
	}
	b.WriteString("\n")
}

// flatHeads are the heads on one line each, as if no narrow page had broken them.
func (g *grid) flatHeads(p lang.Printer) []string {
	between := " "
	if p.Language() == "ja" {
		between = ""
	}
	out := make([]string, len(g.heads))
	for i, h := range g.heads {
		out[i] = strings.NewReplacer("-\n", "", "\n", between).Replace(h)
	}
	return out
}

// What the template is given.
type (
	htmlPage struct {
		Lang, Title string
		Notes       []string
		Sections    []htmlSection
	}
	htmlSection struct {
		ID, Heading, Lead string
		Chart             htmlChart
		Heads             []htmlCell
		Rows              []htmlRow
		Notes             []string
	}
	htmlRow struct {
		Cells  []htmlCell
		Strong bool
	}
	htmlCell struct {
		Text          string
		Number, Prose bool
	}
)

// html writes a page that stands alone: no script, no font, no picture from elsewhere.
func (d *document) html(w io.Writer, p lang.Printer) error {
	t, err := template.ParseFS(documentPage, "document.html.tmpl")
	if err != nil {
		return err
	}
	doc := htmlPage{Lang: p.Language(), Title: d.title, Notes: d.notes}
	for i, s := range d.sections {
		doc.Sections = append(doc.Sections, s.html(fmt.Sprintf("s%d", i+1), p))
	}
	return t.Execute(w, doc)
}

func (s *section) html(id string, p lang.Printer) htmlSection {
	h := htmlSection{ID: id, Heading: s.heading, Lead: s.lead, Notes: s.notes}
	if len(s.chart.amounts) > 0 {
		h.Chart = chart(id+"c", s.chart.title, s.chart.description, s.chart.amounts, s.chart.most)
	}
	if len(s.grid.rows) == 0 {
		return h
	}
	last := len(s.grid.heads) - 1
	for i, head := range s.grid.flatHeads(p) {
		h.Heads = append(h.Heads, htmlCell{head, s.grid.rows[0].cells[i].kind != textCell, s.grid.prose && i == last})
	}
	for _, r := range s.grid.rows {
		row := htmlRow{Strong: r.strong}
		for i, c := range r.cells {
			row.Cells = append(row.Cells, htmlCell{c.say(p), c.kind != textCell, s.grid.prose && i == last})
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

// workbook writes a document as an Office Open XML workbook: a sheet per section, the
// numbers as numbers, and a chart beside the table where the section has one.
func (d *document) workbook(w io.Writer, p lang.Printer) error {
	f := excelize.NewFile()
	defer f.Close()
	x := workbook{file: f, printer: p}
	if err := x.write(d); err != nil {
		return fmt.Errorf("workbook: %w", err)
	}
	return f.Write(w)
}
