package triage_test

import (
	"encoding/xml"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// cpes are the names a node and those below it are about.
func cpes(n realdata.NVD11Node) (out []vuln.CPEMatch) {
	for _, m := range n.Match {
		out = append(out, vuln.CPEMatch{CPE: m.CPE, Vulnerable: m.Vulnerable})
	}
	for _, child := range n.Children {
		out = append(out, cpes(child)...)
	}
	return out
}

func vulnerability(t testing.TB, it *realdata.NVD11Item) vuln.Vulnerability {
	published, err := time.Parse("2006-01-02T15:04Z", it.PublishedDate)
	if err != nil {
		t.Fatal(err)
	}
	r := vuln.Record{Source: "nvd", ID: it.CVE.Meta.ID, Published: published}
	for _, d := range it.CVE.Description.Data {
		r.Texts = append(r.Texts, vuln.Text{Lang: d.Lang, Details: d.Value})
	}
	for _, cwe := range it.Weaknesses() {
		r.Weaknesses = append(r.Weaknesses, vuln.Weakness{CWE: cwe, Source: "nvd"})
	}
	for _, v := range it.Vectors() {
		r.Severities = append(r.Severities, vuln.Severity{Source: "nvd", Vector: v})
	}
	for _, n := range it.Configurations.Nodes {
		r.Configurations = append(r.Configurations, vuln.Configuration{Nodes: []vuln.Node{{Matches: cpes(n)}}})
	}
	return vuln.Vulnerability{ID: r.ID, Records: []vuln.Record{r}}
}

// realNVD reads all records with identifiers of 2017 to 2019: what was published
// in 2018 and 2019 carries older identifiers too.
func realNVD(t testing.TB) (out []vuln.Vulnerability) {
	for item := range realdata.NVD11(t, "2017", "2018", "2019") {
		out = append(out, vulnerability(t, item))
	}
	return out
}

func build(t *testing.T, q triage.TypeQuestion, vulns iter.Seq[vuln.Vulnerability]) []triage.TypeRow {
	t.Helper()
	table, err := triage.BuildTypeTable(q, vulns)
	if err != nil {
		t.Fatal(err)
	}
	return table.Rows
}

// TestRealTypeTablesAreTheReference holds Table 1 against TRIAGE.md section 2 and
// CVEDETAILS-REFERENCE.md, and other products against counts made with the literal
// expressions by another program.
func TestRealTypeTablesAreTheReference(t *testing.T) {
	vulns := realNVD(t)
	q := triage.TypeQuestion{Product: "Windows Server 2019", Rules: triage.CVEDetailsRules, Source: "nvd", From: 2018, To: 2019}
	want := []triage.TypeRow{
		row(2018, 54, 29, 28, map[vuln.Type]int{vuln.DoS: 2, vuln.Exec: 13, vuln.Overflow: 3, vuln.XSS: 1, vuln.Bypass: 6, vuln.Info: 3}),
		row(2019, 434, 130, 417, map[vuln.Type]int{vuln.DoS: 35, vuln.Exec: 144, vuln.Overflow: 111, vuln.MemCorr: 8, vuln.XSS: 1, vuln.Bypass: 19, vuln.Info: 99}),
	}
	if diff := cmp.Diff(want, build(t, q, slices.Values(vulns))); diff != "" {
		t.Errorf("Windows Server 2019: (-want +got)\n%s", diff)
	}

	for product, want := range map[string]int{"windows_server_2016": 444, "microsoft:windows_10": 449, "cpe:2.3:o:microsoft:windows_7:*:*:*:*:*:*:*:*": 322,
		"Windows Server 2012": 315, "windows 8.1": 311, "windows_rt_8.1": 297, "acrobat_dc": 433} {
		q := triage.TypeQuestion{Product: product, Rules: triage.CVEDetailsRules, Source: "nvd", From: 2019, To: 2019}
		if got := build(t, q, slices.Values(vulns))[0].Distinct; got != want {
			t.Errorf("%s published in 2019: %d, want %d", product, got, want)
		}
	}
	for product, want := range map[string]triage.TypeRow{
		"linux_kernel": row(2019, 274, 119, 179, map[vuln.Type]int{vuln.DoS: 104, vuln.Overflow: 26, vuln.Exec: 8, vuln.Info: 25, vuln.MemCorr: 9, vuln.Priv: 1, vuln.Traversal: 1, vuln.Bypass: 5}),
		"cPanel":       row(2019, 226, 108, 119, map[vuln.Type]int{vuln.Exec: 32, vuln.Info: 26, vuln.XSS: 53, vuln.SQLi: 2, vuln.Traversal: 1, vuln.Bypass: 5}),
		"Debian Linux": row(2019, 488, 230, 325, map[vuln.Type]int{vuln.DoS: 74, vuln.Exec: 68, vuln.Overflow: 87, vuln.Bypass: 22, vuln.MemCorr: 26, vuln.Info: 26, vuln.SQLi: 5, vuln.Traversal: 6, vuln.XSS: 8, vuln.CSRF: 2, vuln.Splitting: 1}),
	} {
		q := triage.TypeQuestion{Product: product, Rules: triage.CVEDetailsRules, Source: "nvd", From: 2019, To: 2019}
		if diff := cmp.Diff([]triage.TypeRow{want}, build(t, q, slices.Values(vulns))); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", product, diff)
		}
	}
}

func TestRealTypeTableEndsWhereItIsTold(t *testing.T) {
	vulns := realNVD(t)
	for product, want := range map[string]int{"Windows Server 2019": 343, "Windows 10": 351, "Windows Server 2016": 351, "acrobat_dc": 342} {
		q := triage.TypeQuestion{Product: product, Rules: triage.CVEDetailsRules, Source: "nvd", From: 2019, To: 2019, Until: day("2019-10-10T00:00:00Z")}
		if got := build(t, q, slices.Values(vulns))[0].Distinct; got != want {
			t.Errorf("%s published before 10 October 2019: %d, want %d", product, got, want)
		}
	}
}

// TestRealCoverageSharesOfServer2019 recomputes the two shares of TRIAGE.md section 2.
func TestRealCoverageSharesOfServer2019(t *testing.T) {
	covered := []vuln.Type{vuln.Exec, vuln.Overflow, vuln.MemCorr, vuln.Bypass}
	distinct, sum, with := 0, 0, 0
	full, fullWith := 0, map[string]int{}
	untyped := 0
	for _, v := range realNVD(t) {
		r := v.Records[0]
		if r.Published.UTC().Year() != 2019 || !triage.ProductMatches(r, "Windows Server 2019") {
			continue
		}
		distinct++
		n := 0
		for _, ty := range triage.TypesOf(v, triage.CVEDetailsRules, "nvd") {
			if slices.Contains(covered, ty.Type) {
				n++
			}
		}
		sum += n
		with += min(n, 1)
		typings := triage.TypesOf(v, triage.FullRules, "nvd")
		if len(typings) == 0 {
			untyped++
		}
		hit := map[string]int{}
		for _, ty := range typings {
			if slices.Contains(append(covered, vuln.Priv), ty.Type) {
				hit[ty.Confidence] = 1
			}
		}
		full += max(hit["high"], hit["low"])
		fullWith["high"] += hit["high"]
	}
	got := fmt.Sprintf("%.1f %.1f", 100*float64(sum)/float64(distinct), 100*float64(with)/float64(distinct))
	if want := "65.0 41.0"; got != want {
		t.Errorf("shares of %d: %s, want %s", distinct, got, want)
	}
	t.Logf("full types: %.1f %% distinct (%.1f %% by high confidence alone), %d of %d untyped",
		100*float64(full)/float64(distinct), 100*float64(fullWith["high"])/float64(distinct), untyped, distinct)
}

// cvrf is what the test reads of an MSRC document, apart from package feed as NVD's.
type cvrf struct {
	Products []struct {
		ID   string `xml:"ProductID,attr"`
		Name string `xml:",chardata"`
	} `xml:"ProductTree>FullProductName"`
	Vulnerabilities []struct {
		CVE, Title string
		Notes      []struct {
			Type string `xml:",attr"`
			Text string `xml:",chardata"`
		} `xml:"Notes>Note"`
		Statuses []struct {
			Type string   `xml:",attr"`
			IDs  []string `xml:"ProductID"`
		} `xml:"ProductStatuses>Status"`
		Threats []struct {
			Type        string `xml:",attr"`
			Description string
			ID          string `xml:"ProductID"`
		} `xml:"Threats>Threat"`
		Revisions []string `xml:"RevisionHistory>Revision>Date"`
	} `xml:"Vulnerability"`
}

func (doc *cvrf) vulnerabilities(t testing.TB, yield func(vuln.Vulnerability)) {
	names := map[string]string{}
	for _, p := range doc.Products {
		names[p.ID] = p.Name
	}
	for _, v := range doc.Vulnerabilities {
		r := vuln.Record{Source: "msrc", ID: v.CVE}
		text := vuln.Text{Lang: "en", Title: v.Title}
		for _, n := range v.Notes {
			if n.Type == "Description" {
				text.Details += strings.NewReplacer("<p>", "", "</p>", "").Replace(n.Text)
			}
		}
		r.Texts = []vuln.Text{text}
		for _, s := range v.Statuses {
			for _, id := range s.IDs {
				r.Products = append(r.Products, vuln.Product{ID: id, Name: names[id], Status: s.Type, Component: strings.Contains(names[id], " on ")})
			}
		}
		for _, threat := range v.Threats {
			if threat.Type == "Impact" {
				r.Impacts = append(r.Impacts, vuln.Impact{Word: threat.Description, Source: "msrc", Products: []string{threat.ID}})
			}
		}
		for _, d := range v.Revisions {
			at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(d, "Z"))
			if err != nil {
				t.Fatal(err)
			}
			if r.Published.IsZero() || at.Before(r.Published) {
				r.Published = at
			}
		}
		yield(vuln.Vulnerability{ID: r.ID, Records: []vuln.Record{r}})
	}
}

func realMSRC(t testing.TB, year string) (out []vuln.Vulnerability) {
	files, err := fs.Glob(os.DirFS(realdata.Dir(t)), "msrc-cvrf/"+year+"-*.xml.zst")
	if err != nil || len(files) == 0 {
		t.Skipf("SKIPPED: no MSRC documents of %s: %v", year, err)
	}
	for _, name := range files {
		var doc cvrf
		if err := xml.NewDecoder(realdata.Open(t, name)).Decode(&doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		doc.vulnerabilities(t, func(v vuln.Vulnerability) { out = append(out, v) })
	}
	return out
}

// TestRealTableByVendorImpactHasEveryImpact: by MSRC, Server 2019 has 443 CVEs of 2019
// with an impact (windows-server-2019-published-2019.tsv) and CVE-2019-1454 without.
func TestRealTableByVendorImpactHasEveryImpact(t *testing.T) {
	vulns := realMSRC(t, "2019")
	q := triage.TypeQuestion{Product: "Windows Server 2019", Rules: triage.FullRules, Source: "msrc", From: 2019, To: 2019}
	full := build(t, q, slices.Values(vulns))[0]
	if full.Distinct != 444 {
		t.Errorf("%d distinct, want 444", full.Distinct)
	}
	byImpact := map[vuln.Type]int{vuln.Priv: 146, vuln.Exec: 138, vuln.Info: 98, vuln.DoS: 40, vuln.Bypass: 16}
	for typ, n := range byImpact {
		if full.Types[typ] < n {
			t.Errorf("%s: %d by the full rules, fewer than the %d the vendor names", typ, full.Types[typ], n)
		}
	}
	// Microsoft's standing sentences must not add code execution to the other impacts.
	if got := full.Types[vuln.Exec]; got > 142 {
		t.Errorf("exec: %d by the full rules, far more than the vendor's 138", got)
	}
	q.Rules = triage.CVEDetailsRules
	t.Logf("full %+v\ncvedetails %+v", full, build(t, q, slices.Values(vulns))[0])
}
