package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// TypeFormats are the formats TypeTables writes.
var TypeFormats = []string{"table", "json", "csv", "md", "html"}

// TypeTables writes Table 1 of every product (vulnerabilities by year and type) and,
// where people read it, Table 2 (what each type means). Distinct vulnerabilities come
// first; the sum over types is labelled as overlapping. JSON is one object per table,
// one after the other; csv has the product in front only where there are several.
func TypeTables(w io.Writer, tables []triage.TypeTable, format string, p lang.Printer, layout Page) error {
	for i := range tables {
		tables = slices.Clone(tables)
		tables[i].Rows = completeRows(tables[i].Rows)
	}
	switch format {
	case "table":
		return typePages(w, tables, p, layout)
	case "json":
		for _, t := range tables {
			if err := JSON(w, t); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return typeCSV(w, tables)
	case "md":
		return typeMarkdown(w, tables, p)
	case "html":
		return typeHTML(w, tables, p)
	}
	return fmt.Errorf("format %q: choose one of %s", format, strings.Join(TypeFormats, ", "))
}

// completeRows are copies of rows by year with all thirteen types present.
func completeRows(rows []triage.TypeRow) []triage.TypeRow {
	list := make([]triage.TypeRow, 0, len(rows))
	for _, r := range rows {
		types := make(map[vuln.Type]int, len(vuln.Types))
		for _, t := range vuln.Types {
			types[t] = r.Types[t]
		}
		r.Types = types
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b triage.TypeRow) int { return a.Year - b.Year })
	return list
}

// total is the sum of rows. A vulnerability is published in one year, so distinct
// numbers of years add up.
func total(rows []triage.TypeRow) triage.TypeRow {
	sum := triage.TypeRow{Types: map[vuln.Type]int{}}
	for _, r := range rows {
		sum.Distinct += r.Distinct
		sum.Untyped += r.Untyped
		sum.Sum += r.Sum
		for t, n := range r.Types {
			sum.Types[t] += n
		}
	}
	return sum
}

func typePages(w io.Writer, tables []triage.TypeTable, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	for i, t := range tables {
		if i > 0 {
			pg.Line(plain, "")
		}
		pg.typeTable(t)
	}
	pg.Heading(p.T("types.table2"))
	meanings := table{Indent: 2, Columns: []column{{Head: p.T("types.head")}, {Head: p.T("types.label")}, {Head: p.T("types.meaning"), Wrap: true}}}
	for _, t := range vuln.Types {
		meanings.Add(plain, strings.ReplaceAll(p.T("type.head."+string(t)), "\n", ""), p.T("type.label."+string(t)), p.T("type.meaning."+string(t)))
	}
	pg.Table(&meanings)
	return pg.Err()
}

func (p *page) typeTable(t triage.TypeTable) {
	for _, l := range lang.Wrap(lang.Clean(p.T("types.table1", t.Product)), p.Width()) {
		p.Line(bold, l)
	}
	p.Text(0, p.typeSource(t))
	if len(t.Rows) == 0 {
		p.Text(2, p.T("types.empty"))
		return
	}
	for _, block := range p.typeBlocks(t) {
		p.Line(plain, "")
		p.Table(&block)
	}
	p.Line(plain, "")
	p.Text(0, p.T("types.overlap"))
}

// lastDay is the last day before until: what is published at until counts no more.
func lastDay(until time.Time) time.Time { return until.Add(-time.Nanosecond) }

// typeSource says by whose rules and from which records the table was counted.
func (p *page) typeSource(t triage.TypeTable) string {
	s := p.T("types.source", t.Rules, t.Source)
	if !t.Until.IsZero() {
		s += p.T("types.until", p.Date(lastDay(t.Until)))
	}
	return s
}

// typeBlocks lays the table's columns out in as few blocks as the width allows (one,
// on 80 cells and with numbers as they are); each begins with the year.
func (p *page) typeBlocks(t triage.TypeTable) []table {
	rows := t.Rows
	if len(rows) > 1 {
		rows = append(slices.Clone(rows), total(rows))
	}
	columns := p.typeColumns(rows)
	var blocks []table
	room := 0
	for _, c := range columns[1:] {
		w := 1 + c.width()
		if room < w {
			blocks = append(blocks, table{Gap: 1})
			room = p.Width() - columns[0].width()
			blocks[len(blocks)-1].AddColumn(columns[0].column, columns[0].cells...)
		}
		room -= w
		blocks[len(blocks)-1].AddColumn(c.column, c.cells...)
	}
	return blocks
}

// filled is a column with its cells.
type filled struct {
	column
	cells []string
}

func (f filled) width() int {
	var t table
	t.AddColumn(f.column, f.cells...)
	return t.Widths(Page{}.Cells())[0]
}

func (p *page) typeColumns(rows []triage.TypeRow) []filled {
	columns := []filled{{column: column{Head: p.T("types.year")}}}
	for _, r := range rows {
		year := strconv.Itoa(r.Year)
		if r.Year == 0 {
			year = p.T("types.total")
		}
		columns[0].cells = append(columns[0].cells, year)
	}
	add := func(head string, count func(triage.TypeRow) int) {
		f := filled{column: column{Head: head, Right: true}}
		for _, r := range rows {
			f.cells = append(f.cells, strconv.Itoa(count(r)))
		}
		columns = append(columns, f)
	}
	add(p.T("types.distinct"), func(r triage.TypeRow) int { return r.Distinct })
	for _, t := range vuln.Types {
		add(p.T("type.head."+string(t)), func(r triage.TypeRow) int { return r.Types[t] })
	}
	add(p.T("types.untyped"), func(r triage.TypeRow) int { return r.Untyped })
	add(p.T("types.sum"), func(r triage.TypeRow) int { return r.Sum })
	return columns
}

func typeCSV(w io.Writer, tables []triage.TypeTable) error {
	out := csv.NewWriter(w)
	header := []string{"year", "distinct"}
	for _, t := range vuln.Types {
		header = append(header, string(t))
	}
	header = append(header, "untyped", "sum")
	several := len(tables) > 1
	if several {
		header = append([]string{"product", "rules", "source"}, header...)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, t := range tables {
		for _, r := range t.Rows {
			record := typeRecord(r)
			if several {
				record = append([]string{t.Product, t.Rules, t.Source}, record...)
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// typeRecord is a row as cells: year, distinct, the types, untyped, sum.
func typeRecord(r triage.TypeRow) []string {
	record := []string{strconv.Itoa(r.Year), strconv.Itoa(r.Distinct)}
	for _, t := range vuln.Types {
		record = append(record, strconv.Itoa(r.Types[t]))
	}
	return append(record, strconv.Itoa(r.Untyped), strconv.Itoa(r.Sum))
}

func typeMarkdown(w io.Writer, tables []triage.TypeTable, p lang.Printer) error {
	pg := newPage(io.Discard, p, Page{})
	var b strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", markdown(p.T("types.table1", t.Product)), markdown(pg.typeSource(t)))
		head := []string{p.T("types.year"), p.T("types.distinct")}
		for _, k := range vuln.Types {
			head = append(head, p.T("type.short."+string(k)))
		}
		head = append(head, p.T("types.untyped"), p.T("types.sum"))
		markdownRow(&b, head)
		markdownRow(&b, strings.Split(strings.TrimSuffix(strings.Repeat("--:,", len(head)), ","), ","))
		for _, r := range t.Rows {
			markdownRow(&b, typeRecord(r))
		}
		if len(t.Rows) > 1 {
			record := typeRecord(total(t.Rows))
			record[0] = p.T("types.total")
			markdownRow(&b, record)
		}
		fmt.Fprintf(&b, "\n%s\n\n", markdown(p.T("types.overlap")))
	}
	fmt.Fprintf(&b, "## %s\n\n", markdown(p.T("types.table2")))
	markdownRow(&b, []string{p.T("types.head"), p.T("types.label"), p.T("types.meaning")})
	markdownRow(&b, []string{"---", "---", "---"})
	for _, k := range vuln.Types {
		markdownRow(&b, []string{p.T("type.short." + string(k)), p.T("type.label." + string(k)), p.T("type.meaning." + string(k))})
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownRow(b *strings.Builder, cells []string) {
	for i, c := range cells {
		cells[i] = markdown(c)
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// markdown escapes what Markdown would read as markup.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "<", "&lt;", "[", `\[`, "`", "\\`").Replace(lang.Clean(s))
}
