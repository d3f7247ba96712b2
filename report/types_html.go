package report

import (
	"embed"
	"html/template"
	"io"
	"strconv"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

//go:embed types.html.tmpl
var typesPage embed.FS

// Geometry of the charts, in the units of the drawing.
const (
	chartWidth = 860
	labelRoom  = 232 // left of the bars: the longest label in either language
	valueRoom  = 104 // right of the longest bar: "1,234 (100.0%)"
	rowHeight  = 26
	barHeight  = 16
)

type htmlBar struct {
	Label, Value        string
	Y, TextY, Width, VX int
	Faint               bool
}

type htmlTable struct {
	ID, Caption, Source string
	Years, Types        htmlChart
	Head                []string
	Rows                [][]string
	Total               []string
}

type htmlChart struct {
	ID, Title, Description   string
	Width, Height, X, LabelX int
	Bars                     []htmlBar
}

type htmlDocument struct {
	Lang, Title, Overlap string
	Tables               []htmlTable
	Table2               string
	MeaningHead          []string
	Meanings             [][]string
}

// typeHTML writes a page that stands alone: no script, no font, no picture from
// elsewhere. Every number of a chart also stands in the table under it.
func typeHTML(w io.Writer, tables []triage.TypeTable, p lang.Printer) error {
	t, err := template.ParseFS(typesPage, "types.html.tmpl")
	if err != nil {
		return err
	}
	doc := htmlDocument{Lang: p.Language(), Title: p.T("types.title"), Overlap: p.T("types.overlap"), Table2: p.T("types.table2"),
		MeaningHead: []string{p.T("types.head"), p.T("types.label"), p.T("types.meaning")}}
	for i, table := range tables {
		doc.Tables = append(doc.Tables, htmlTableOf(strconv.Itoa(i+1), table, p))
	}
	for _, k := range vuln.Types {
		doc.Meanings = append(doc.Meanings, []string{p.T("type.short." + string(k)), p.T("type.label." + string(k)), p.T("type.meaning." + string(k))})
	}
	return t.Execute(w, doc)
}

func htmlTableOf(id string, t triage.TypeTable, p lang.Printer) htmlTable {
	pg := newPage(io.Discard, p, Page{})
	h := htmlTable{ID: id, Caption: p.T("types.table1", t.Product), Source: pg.typeSource(t)}
	h.Head = []string{p.T("types.year"), p.T("types.distinct")}
	for _, k := range vuln.Types {
		h.Head = append(h.Head, p.T("type.short."+string(k)))
	}
	h.Head = append(h.Head, p.T("types.untyped"), p.T("types.sum"))
	for _, r := range t.Rows {
		h.Rows = append(h.Rows, typeRecord(r))
	}
	sum := total(t.Rows)
	if len(t.Rows) > 1 {
		h.Total = typeRecord(sum)
		h.Total[0] = p.T("types.total")
		h.Years = yearChart("years"+id, t, p)
	}
	if len(t.Rows) > 0 {
		h.Types = typeChart("types"+id, t.Product, sum, p)
	}
	return h
}

// amount is one bar before it is drawn.
type amount struct {
	label string
	n     int
	value string
	faint bool
}

func yearChart(id string, t triage.TypeTable, p lang.Printer) htmlChart {
	var amounts []amount
	for _, r := range t.Rows {
		amounts = append(amounts, amount{strconv.Itoa(r.Year), r.Distinct, p.Number(r.Distinct), false})
	}
	return chart(id, p.T("types.chart.years"), p.T("types.chart.years.text", t.Product), amounts, 0)
}

func typeChart(id, product string, sum triage.TypeRow, p lang.Printer) htmlChart {
	share := func(n int) string {
		if sum.Distinct == 0 {
			return p.Number(n)
		}
		return p.T("types.share", n, p.Percent(float64(n)/float64(sum.Distinct)))
	}
	var amounts []amount
	for _, k := range vuln.Types {
		amounts = append(amounts, amount{p.T("type.label." + string(k)), sum.Types[k], share(sum.Types[k]), false})
	}
	amounts = append(amounts, amount{p.T("type.none"), sum.Untyped, share(sum.Untyped), true})
	return chart(id, p.T("types.chart.types"), p.T("types.chart.types.text", product), amounts, 0)
}

// chart draws horizontal bars; one of most, or the longest, takes all the room there is.
func chart(id, title, description string, amounts []amount, most int) htmlChart {
	c := htmlChart{ID: id, Title: title, Description: description, Width: chartWidth, Height: rowHeight*len(amounts) + 4, X: labelRoom, LabelX: labelRoom - 10}
	most = max(most, 1)
	for _, a := range amounts {
		most = max(most, a.n)
	}
	for i, a := range amounts {
		width := a.n * (chartWidth - labelRoom - valueRoom) / most
		if a.n > 0 {
			width = max(width, 2)
		}
		y := 4 + i*rowHeight
		c.Bars = append(c.Bars, htmlBar{Label: a.label, Value: a.value, Y: y, TextY: y + barHeight - 4, Width: width, VX: labelRoom + width + 8, Faint: a.faint})
	}
	return c
}
