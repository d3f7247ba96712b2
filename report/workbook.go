package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/kannuki/kannuki/lang"
)

// workbook lays a document out in sheets.
type workbook struct {
	file    *excelize.File
	printer lang.Printer
	styles  map[string]int
	err     error
}

// Widths of a sheet's columns, in characters.
const (
	numberWidth = 14
	wordWidth   = 34
	proseWidth  = 96
)

// keep keeps the first error.
func (x *workbook) keep(err error) {
	if x.err == nil {
		x.err = err
	}
}

func (x *workbook) write(d *document) error {
	x.makeStyles()
	first := x.file.GetSheetName(0)
	for i, s := range d.sections {
		if i == 0 {
			x.keep(x.file.SetSheetName(first, s.name))
		} else if _, err := x.file.NewSheet(s.name); err != nil {
			x.keep(err)
		}
		notes := s.notes
		if i == 0 {
			notes = append(append([]string{}, d.notes...), notes...)
		}
		x.sheet(&s, cmp.Or(map[bool]string{true: d.title}[i == 0], s.heading), notes)
	}
	x.file.SetActiveSheet(0)
	return x.err
}

// makeStyles are the few looks there are; Excel's own number formats are written the
// way the reader's system does.
func (x *workbook) makeStyles() {
	x.styles = map[string]int{}
	percent := "0.0%"
	line := []excelize.Border{{Type: "bottom", Color: "5A6776", Style: 1}}
	for name, s := range map[string]excelize.Style{
		"title":  {Font: &excelize.Font{Bold: true, Size: 14}},
		"head":   {Font: &excelize.Font{Bold: true}, Border: line, Alignment: &excelize.Alignment{WrapText: true, Vertical: "bottom"}},
		"count":  {NumFmt: 3},
		"share":  {CustomNumFmt: &percent},
		"prose":  {Alignment: &excelize.Alignment{WrapText: true, Vertical: "top"}},
		"text":   {Alignment: &excelize.Alignment{Vertical: "top"}},
		"count+": {NumFmt: 3, Font: &excelize.Font{Bold: true}},
		"share+": {CustomNumFmt: &percent, Font: &excelize.Font{Bold: true}},
		"text+":  {Font: &excelize.Font{Bold: true}},
	} {
		id, err := x.file.NewStyle(&s)
		x.keep(err)
		x.styles[name] = id
	}
}

// sheet writes one section: heading, how it was counted, table, notes, chart.
func (x *workbook) sheet(s *section, heading string, notes []string) {
	x.put(s.name, 1, 1, heading, "title")
	row := 2
	if s.lead != "" {
		x.put(s.name, 1, row, s.lead, "text")
		row++
	}
	row++
	for i, h := range s.grid.flatHeads(x.printer) {
		x.put(s.name, i+1, row, h, "head")
	}
	for _, r := range s.grid.rows {
		row++
		for i, c := range r.cells {
			x.cell(s, i, row, c, r.strong)
		}
	}
	x.widths(s)
	row += 2
	for _, n := range notes {
		x.put(s.name, 1, row, n, "text")
		row++
	}
	x.chart(s, row+1)
	x.print(s.name)
}

func (x *workbook) put(sheet string, column, row int, value any, style string) {
	at, err := excelize.CoordinatesToCellName(column, row)
	x.keep(err)
	x.keep(x.file.SetCellValue(sheet, at, value))
	x.keep(x.file.SetCellStyle(sheet, at, at, x.styles[style]))
}

func (x *workbook) cell(s *section, column, row int, c cell, strong bool) {
	style, value := "text", any(c.text)
	switch {
	case c.kind == countCell:
		style, value = "count", int(c.value)
	case c.kind == shareCell:
		style, value = "share", c.value/100
	case s.grid.prose && column == len(s.grid.heads)-1:
		style = "prose"
	}
	if strong && style != "prose" {
		style += "+"
	}
	x.put(s.name, column+1, row, value, style)
}

func (x *workbook) widths(s *section) {
	for i := range s.grid.heads {
		name, err := excelize.ColumnNumberToName(i + 1)
		x.keep(err)
		width := float64(numberWidth)
		switch {
		case s.grid.prose && i == len(s.grid.heads)-1:
			width = proseWidth
		case len(s.grid.rows) > 0 && s.grid.rows[0].cells[i].kind == textCell:
			width = wordWidth
		}
		x.keep(x.file.SetColWidth(s.name, name, name, width))
	}
}

// chart draws the section's bars from cells of their own, written below the notes: what
// a chart shows can be changed there and copied.
func (x *workbook) chart(s *section, row int) {
	if len(s.chart.amounts) == 0 {
		return
	}
	x.put(s.name, 1, row, s.chart.title, "head")
	for i, a := range s.chart.amounts {
		x.put(s.name, 1, row+1+i, a.label, "text")
		if s.chart.perMille {
			x.put(s.name, 2, row+1+i, float64(a.n)/1000, "share")
		} else {
			x.put(s.name, 2, row+1+i, a.n, "count")
		}
	}
	sheet := "'" + strings.ReplaceAll(s.name, "'", "''") + "'!"
	last := row + len(s.chart.amounts)
	at, err := excelize.CoordinatesToCellName(4, row)
	x.keep(err)
	x.keep(x.file.AddChart(s.name, at, &excelize.Chart{
		Type: excelize.Bar,
		Series: []excelize.ChartSeries{{Name: fmt.Sprintf("%s$A$%d", sheet, row),
			Categories: fmt.Sprintf("%s$A$%d:$A$%d", sheet, row+1, last), Values: fmt.Sprintf("%s$B$%d:$B$%d", sheet, row+1, last)}},
		Title:     excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: s.chart.title}}},
		Legend:    excelize.ChartLegend{Position: "none"},
		YAxis:     excelize.ChartAxis{MajorGridLines: true},
		XAxis:     excelize.ChartAxis{ReverseOrder: true},
		PlotArea:  excelize.ChartPlotArea{ShowVal: true},
		Dimension: excelize.ChartDimension{Width: 640, Height: uint(80 + 26*len(s.chart.amounts))},
	}))
}

// print sets a sheet up for A4 paper: landscape, one page wide.
func (x *workbook) print(sheet string) {
	a4, landscape, one, all := 9, "landscape", 1, 0
	fit := true
	x.keep(x.file.SetPageLayout(sheet, &excelize.PageLayoutOptions{Size: &a4, Orientation: &landscape, FitToWidth: &one, FitToHeight: &all}))
	x.keep(x.file.SetSheetProps(sheet, &excelize.SheetPropsOptions{FitToPage: &fit}))
}
