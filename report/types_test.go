package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// oneTable has the figures of one year, invented but of an ordinary size.
func oneTable() triage.TypeTable {
	return triage.TypeTable{Product: "Gate Server 2019", Rules: "cvedetails", Source: "nvd", Rows: []triage.TypeRow{row(2019, 412, 121, 31, 140, 99, 7, 0, 2, 0, 0, 21, 88, 0, 0, 0)}}
}

// row adds the types up itself, so that the sum is right.
func row(year, distinct, untyped int, types ...int) triage.TypeRow {
	r := triage.TypeRow{Year: year, Distinct: distinct, Untyped: untyped, Types: map[vuln.Type]int{}}
	for i, t := range vuln.Types {
		r.Types[t] = types[i]
		r.Sum += types[i]
	}
	return r
}

func yearsTable(product string, scale int) triage.TypeTable {
	t := triage.TypeTable{Product: product, Rules: "full", Source: "nvd", Until: morning}
	for i := range 5 {
		n := make([]int, len(vuln.Types))
		for k := range n {
			n[k] = (k*k*7 + i*13) % 50 * scale
		}
		t.Rows = append([]triage.TypeRow{row(2017+i, 300*scale+i, 40*scale, n...)}, t.Rows...)
	}
	return t
}

func typePage(tables ...triage.TypeTable) func(io.Writer, lang.Printer, Page) error {
	return func(w io.Writer, p lang.Printer, layout Page) error {
		return TypeTables(w, tables, "table", p, layout)
	}
}

func TestOneYearOfTypesFitsIntoOneBlockOfEightyCells(t *testing.T) {
	for _, l := range lang.Languages {
		out := string(render(t, typePage(oneTable()), l, Page{}))
		if n := strings.Count(out, "2019 "); n != 1 {
			t.Errorf("%s: the year stands on %d lines, want all columns in one\n%s", l, n, out)
		}
	}
}

func TestHugeNumbersAreNotCut(t *testing.T) {
	table := yearsTable("everything", 1234)
	for _, l := range lang.Languages {
		for _, width := range []int{60, 80, 200} {
			out := string(render(t, typePage(table), l, Page{Width: width}))
			if strings.Contains(out[:strings.Index(out, lang.New(l).T("types.table2"))], "…") {
				t.Errorf("%s at %d: a number was cut\n%s", l, width, out)
			}
			for _, r := range table.Rows {
				for k, n := range r.Types {
					if !regexp.MustCompile(`\b` + strconv.Itoa(n) + `\b`).MatchString(out) {
						t.Errorf("%s at %d: %d %s = %d is missing", l, width, r.Year, k, n)
					}
				}
			}
		}
	}
}

func TestTypeTableJSONIsTheDocumentedObject(t *testing.T) {
	var b bytes.Buffer
	table := oneTable()
	delete(table.Rows[0].Types, vuln.CSRF) // zero types may be missing from the input
	if err := TypeTables(&b, []triage.TypeTable{table}, "json", lang.New("ja"), Page{}); err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"product": "Gate Server 2019", "rules": "cvedetails", "source": "nvd", "rows": []any{map[string]any{
		"year": 2019.0, "distinct": 412.0, "untyped": 121.0, "sum": 388.0, "types": map[string]any{"dos": 31.0, "exec": 140.0, "overflow": 99.0,
			"memcorr": 7.0, "sqli": 0.0, "xss": 2.0, "traversal": 0.0, "splitting": 0.0, "bypass": 21.0, "info": 88.0, "priv": 0.0, "csrf": 0.0, "inclusion": 0.0}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	if err := TypeTables(&b, []triage.TypeTable{{Product: "nothing"}}, "json", lang.New("en"), Page{}); err != nil || !strings.Contains(b.String(), `"rows": []`) {
		t.Errorf("an empty table is %s (%v), want an empty list of rows", b.String(), err)
	}
}

func TestTypeTableCSV(t *testing.T) {
	read := func(tables ...triage.TypeTable) [][]string {
		var b bytes.Buffer
		if err := TypeTables(&b, tables, "csv", lang.New("en"), Page{}); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(&b).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
	want := [][]string{
		strings.Split("year,distinct,dos,exec,overflow,memcorr,sqli,xss,traversal,splitting,bypass,info,priv,csrf,inclusion,untyped,sum", ","),
		strings.Split("2019,412,31,140,99,7,0,2,0,0,21,88,0,0,0,121,388", ","),
	}
	if diff := cmp.Diff(want, read(oneTable())); diff != "" {
		t.Error(diff)
	}
	several := read(oneTable(), yearsTable(`with "quotes", and commas`, 1))
	if len(several) != 7 || several[0][0] != "product" || several[6][0] != `with "quotes", and commas` {
		t.Errorf("several products read back as %q", several)
	}
}

func TestTypeTablesInMarkdownAndHTML(t *testing.T) {
	for _, format := range []string{"md", "html"} {
		for _, l := range lang.Languages {
			var b bytes.Buffer
			if err := TypeTables(&b, []triage.TypeTable{oneTable(), yearsTable("<b>Gate</b> | Kernel_*", 1)}, format, lang.New(l), Page{}); err != nil {
				t.Fatal(err)
			}
			golden(t, "types."+format+"."+l, b.Bytes())
			if strings.Contains(b.String(), "<b>Gate") {
				t.Errorf("%s in %s: a product's name became markup", format, l)
			}
		}
	}
}

func TestTypeHTMLStandsAloneAndIsWellFormed(t *testing.T) {
	var b bytes.Buffer
	if err := TypeTables(&b, []triage.TypeTable{oneTable(), yearsTable(hostile, 3), {Product: "empty"}}, "html", lang.New("ja"), Page{}); err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)(src|href|url)\s*[=(]|@import|<script`).FindString(b.String()); m != "" {
		t.Errorf("the page refers to something outside or runs something: %q", m)
	}
	body := regexp.MustCompile(`(?s)<meta[^>]*>|<!DOCTYPE html>`).ReplaceAllString(b.String(), "")
	d := xml.NewDecoder(strings.NewReader(strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' {
			return -1
		}
		return r
	}, body)))
	ids := map[string]bool{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok {
			for _, a := range e.Attr {
				if a.Name.Local == "id" && ids[a.Value] {
					t.Errorf("id %q is used twice", a.Value)
				} else if a.Name.Local == "id" {
					ids[a.Value] = true
				}
				if a.Name.Local == "aria-labelledby" {
					for _, ref := range strings.Fields(a.Value) {
						if !strings.Contains(body, `id="`+ref+`"`) {
							t.Errorf("aria-labelledby refers to %q, which does not exist", ref)
						}
					}
				}
			}
		}
	}
}

func TestAnUnknownFormatNamesTheKnownOnes(t *testing.T) {
	err := TypeTables(io.Discard, nil, "xlsx", lang.New("en"), Page{})
	if err == nil || !strings.Contains(err.Error(), "xlsx") || !strings.Contains(err.Error(), "table, json, csv, md, html") {
		t.Errorf("error %v", err)
	}
}
