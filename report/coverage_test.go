package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

func coveragePage(list ...CoverageOf) write {
	return func(w io.Writer, p lang.Printer, layout Page) error { return Coverage(w, list, "table", p, layout) }
}

// coverageRow is a year of Table 4 whose shares are those of its counts.
func coverageRow(year, prevented, contained, limited, none, untyped, sum int) triage.CoverageRow {
	r := triage.CoverageRow{Year: year, Distinct: prevented + contained + limited + none + untyped, Prevented: prevented, Contained: contained, Limited: limited,
		None: none, Untyped: untyped, Sum: sum, Types: map[vuln.Type]map[triage.Effect]int{}}
	r.Types[vuln.Exec] = map[triage.Effect]int{triage.Contained: contained, triage.None: none / 4}
	r.Types[vuln.Inclusion] = map[triage.Effect]int{triage.Prevented: prevented}
	r.Types[vuln.Traversal] = map[triage.Effect]int{triage.Limited: limited}
	r.Types[vuln.DoS] = map[triage.Effect]int{triage.None: none}
	r.OverlappingSumPercent = float64(1000*sum/max(r.Distinct, 1)) / 10
	r.DistinctPercent = float64(1000*r.Covered()/max(r.Distinct, 1)) / 10
	return r
}

func productTable(rules string, scale int) triage.CoverageTable {
	t := triage.CoverageTable{Product: "Windows Server 2019", Rules: rules, Source: "nvd", Until: morning}
	for i := range 2 {
		r := coverageRow(2018+i, 3*scale, (40+60*i)*scale, 5*scale, 50*scale, 7*scale, 130*scale)
		r.Each = map[triage.Effect]int{triage.Contained: 31 * scale, triage.None: r.Distinct - 31*scale}
		t.Rows = append(t.Rows, r)
	}
	return t
}

func productCoverage() CoverageOf {
	beside := productTable("cvedetails", 1)
	return CoverageOf{At: morning, Table: productTable("full", 2), Beside: &beside, Guard: triage.FullProtection(morning)}
}

// guardedProtection is a protection in force with everything a page tells of one: a
// drill that passed, one that failed, one that expired, one of another policy, none.
func guardedProtection() host.Protection {
	proof := func(passed bool, generation uint64, expires time.Duration) *host.Proof {
		return &host.Proof{At: morning.Add(-2 * time.Hour), Expires: morning.Add(expires), Generation: generation, Kernel: "6.1.0-21-amd64", Passed: passed, Steps: 6}
	}
	week := 7 * 24 * time.Hour
	return host.Protection{Generation: 7, Kernel: "6.1.0-21-amd64", Tier: "bpf-lsm", Reported: morning.Add(-time.Minute),
		Contained: []string{"gatehttp", "gatehttp.service", "keysd.service"}, Surfaces: []string{"userns", "nf_tables"},
		Controls: []host.ControlStatus{
			{Control: host.Launch, Mode: host.Enforce, Hooks: 4, Proof: proof(true, 7, week)},
			{Control: host.Write, Mode: host.Enforce, Hooks: 9, Proof: proof(true, 7, week), Gaps: []string{"overlay: no hook below 5.14"}},
			{Control: host.ProcessCtl, Mode: host.Enforce, Hooks: 5, Proof: proof(false, 7, week)},
			{Control: host.Utility, Mode: host.Observe, Hooks: 1},
			{Control: host.Containing, Mode: host.Enforce, Hooks: 2, Proof: proof(true, 7, -time.Hour)},
			{Control: host.KernelCtl, Mode: host.Enforce, Hooks: 8, Proof: proof(true, 6, week)},
			{Control: host.Private, Mode: host.Enforce, Hooks: 1},
		}}
}

func asOnHost() CoverageOf {
	c := productCoverage()
	c.Table.Product, c.Beside.Product = "gate:gate_server", "gate:gate_server"
	c.Guard, c.Of = guardedProtection(), "web01"
	return c
}

func hostGuards() []control.HostGuard {
	full, stale := guardedProtection(), guardedProtection()
	stale.Reported = morning.Add(-3 * time.Hour)
	return []control.HostGuard{{Host: "web01", Reported: full, Counts: full}, {Host: "web02", Reported: stale}, {Host: "db01"}}
}

func hostsCoverage() CoverageOf {
	t := triage.CoverageTable{Product: "web01, web02, db01", Rules: "full", Hosts: 3, Rows: []triage.CoverageRow{coverageRow(0, 0, 0, 0, 2, 1, 0), coverageRow(2029, 4, 9, 2, 30, 1, 18)}}
	return CoverageOf{At: morning, Table: t, Guards: hostGuards(), Guard: hostGuards()[0].Counts, Of: "web01"}
}

func hostCoverage() CoverageOf {
	c := hostsCoverage()
	c.Table.Product, c.Table.Hosts, c.Guards = "web01", 1, c.Guards[:1]
	return c
}

func nastyCoverage() []CoverageOf {
	var list []CoverageOf
	for i, name := range []string{longWord, wideTitle, combining, hostile, ""} {
		c := productCoverage()
		beside := productTable(name, 123456)
		c.Table = productTable(name, i)
		c.Table.Product, c.Beside, c.Of, c.Guard = name, &beside, name, nastyGuard(name)
		list = append(list, c)
	}
	return append(list, CoverageOf{Table: triage.CoverageTable{Product: longWord}})
}

func nastyGuard(name string) host.Protection {
	p := guardedProtection()
	p.Contained, p.Surfaces = []string{name + ".service", name}, []string{name}
	for i := range p.Controls {
		p.Controls[i].Gaps = []string{name, wideTitle}
	}
	p.Controls = append(p.Controls, host.ControlStatus{Control: host.Control(name), Mode: name})
	return p
}

func nastyHosts() CoverageOf {
	c := hostsCoverage()
	for _, name := range []string{longWord, wideTitle, combining, hostile} {
		c.Guards = append(c.Guards, control.HostGuard{Host: name, Reported: nastyGuard(name), Counts: nastyGuard(name)})
	}
	return c
}

func TestCoverageSaysTheSameInEveryFormat(t *testing.T) {
	list := []CoverageOf{productCoverage()}
	for _, l := range lang.Languages {
		for _, format := range []string{"md", "html"} {
			var b bytes.Buffer
			if err := Coverage(&b, list, format, lang.New(l), Page{}); err != nil {
				t.Fatal(err)
			}
			golden(t, "coverage."+format+"."+l, b.Bytes())
		}
	}
	var b bytes.Buffer
	if err := Coverage(&b, list, "csv", lang.New("ja"), Page{}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"year", "distinct", "prevented", "contained", "limited", "none", "untyped", "overlapping_sum_percent", "distinct_percent"},
		{"2018", "210", "6", "80", "10", "100", "14", "123.8", "40.9"}, {"2019", "330", "6", "200", "10", "100", "14", "78.7", "62.4"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("csv (-want +got)\n%s", diff)
	}
	if Coverage(&b, list, "pdf", lang.New("en"), Page{}) == nil {
		t.Error("a format nobody knows is written")
	}
}

func TestTheJSONOfCoverageIsOneObjectPerTableAndNothingElse(t *testing.T) {
	var b bytes.Buffer
	if err := Coverage(&b, []CoverageOf{productCoverage(), asOnHost()}, "json", lang.New("ja"), Page{}); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(&b)
	for _, product := range []string{"Windows Server 2019", "gate:gate_server"} {
		var doc map[string]any
		if err := decoder.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		keys := func(m map[string]any) string {
			var out []string
			for k := range m {
				out = append(out, k)
			}
			slices.Sort(out)
			return strings.Join(out, " ")
		}
		row := doc["rows"].([]any)[0].(map[string]any)
		if keys(doc) != "product rows rules" || doc["product"] != product ||
			keys(row) != "contained distinct distinct_percent limited none overlapping_sum_percent prevented untyped year" {
			t.Errorf("%s: %v", product, doc)
		}
	}
	if err := decoder.Decode(&struct{}{}); err != io.EOF {
		t.Errorf("something follows: %v", err)
	}
}

func TestTheHTMLOfCoverageStandsAloneAndIsWellFormed(t *testing.T) {
	for _, list := range [][]CoverageOf{{productCoverage()}, {hostsCoverage()}, nastyCoverage(), {nastyHosts()}, nil} {
		for _, l := range lang.Languages {
			var b bytes.Buffer
			if err := Coverage(&b, list, "html", lang.New(l), Page{}); err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"<script", "http://", "https://", "url(", "@import", "\x1b"} {
				if strings.Contains(b.String(), bad) {
					t.Errorf("%s: the page holds %q", l, bad)
				}
			}
			d := xml.NewDecoder(strings.NewReader(strings.Replace(b.String(), "<!DOCTYPE html>", "", 1)))
			d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
			for {
				if _, err := d.Token(); err == io.EOF {
					break
				} else if err != nil {
					t.Fatalf("%s: %v", l, err)
				}
			}
			if len(list) > 0 && strings.Count(b.String(), "<svg ") == 0 {
				t.Errorf("%s: no chart", l)
			}
		}
	}
}

// The workbook is opened by a reader: what is a number has to be one there.
func TestTheWorkbookOpensAndItsNumbersAreNumbers(t *testing.T) {
	for _, list := range [][]CoverageOf{{productCoverage()}, {productCoverage(), asOnHost()}, {hostsCoverage()}, nastyCoverage()} {
		for _, l := range lang.Languages {
			p := lang.New(l)
			var b bytes.Buffer
			if err := Coverage(&b, list, "xlsx", p, Page{}); err != nil {
				t.Fatal(err)
			}
			f, err := excelize.OpenReader(&b)
			if err != nil {
				t.Fatal(err)
			}
			sheets := f.GetSheetList()
			if !slices.Contains(sheets, p.T("cover.sheet.table3")) || slices.Contains(sheets, "Sheet1") {
				t.Errorf("%s: sheets %q", l, sheets)
			}
			f.Close()
		}
	}
	var b bytes.Buffer
	if err := Coverage(&b, []CoverageOf{productCoverage()}, "xlsx", lang.New("en"), Page{}); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("Table 4", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(rows, func(r []string) bool { return len(r) > 1 && r[0] == "2018" })
	if at < 0 {
		t.Fatalf("no year in %q", rows)
	}
	if want := []string{"2018", "210", "6", "80", "10", "100", "14", "1.238", "0.409"}; !slices.Equal(rows[at], want) {
		t.Errorf("row %q, want %q", rows[at], want)
	}
	short, err := f.GetRows("Side by side", excelize.Options{RawCellValue: true})
	if err != nil || !slices.ContainsFunc(short, func(r []string) bool { return len(r) > 1 && r[0] == "full types: distinct" && r[1] == "0.541" }) {
		t.Errorf("the chart's shares are not among %q (%v)", short, err)
	}
	for _, cell := range []string{"B", "H"} {
		name := cell + string(rune('1'+at))
		if kind, err := f.GetCellType("Table 4", name); err != nil || kind != excelize.CellTypeUnset && kind != excelize.CellTypeNumber {
			t.Errorf("%s is of kind %v (%v), not a number", name, kind, err)
		}
	}
}
