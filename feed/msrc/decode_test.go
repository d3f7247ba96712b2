package msrc

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

// decode collects what Decode says about a document.
func decode(doc string) (records []vuln.Record, rejects []string, err error) {
	err = Decode(strings.NewReader(doc), func(r vuln.Record) error {
		records = append(records, r)
		return nil
	}, func(offset int64, id, reason string) error {
		rejects = append(rejects, fmt.Sprintf("%d %s %s", offset, id, reason))
		return nil
	})
	return records, rejects, err
}

func fixture(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/2030-jan.xml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeKeepsWhatTriageNeeds(t *testing.T) {
	records, rejects, err := decode(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	day := func(d int) time.Time { return time.Date(2030, 1, d, 8, 0, 0, 0, time.UTC) }
	want := vuln.Record{
		Source: "msrc", ID: "CVE-2030-0001", Vulnerabilities: []string{"CVE-2030-0001"},
		Published: day(8), Modified: day(20),
		Texts: []vuln.Text{{Lang: "en", Title: "Window Latch Elevation of Privilege Vulnerability",
			Details: "A latch can be lifted from outside when a < b & c.\nSomebody lifted it."}},
		Severities: []vuln.Severity{
			{Source: "msrc", Version: "3.1", Vector: "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C", Score: 7.8},
			{Source: "msrc", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:U/RL:O/RC:C", Score: 9.8},
			{Source: "msrc", Word: "Critical"},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-269", Source: "msrc"}},
		Impacts: []vuln.Impact{
			{Word: "Elevation of Privilege", Source: "msrc", Products: []string{"11", "12"}},
			{Word: "Remote Code Execution", Source: "msrc", Products: []string{"20"}},
		},
		References: []vuln.Reference{{URL: "https://msrc.microsoft.com/update-guide/vulnerability/CVE-2030-0001", Kind: "ADVISORY"}},
		Products: []vuln.Product{
			{ID: "11", Name: "Windows Server 2019", Family: "Windows", Status: "Known Affected", Fixes: []vuln.Fix{
				{KB: "5000011", Supersedes: []string{"4999999", "4999998"}, Build: "10.0.17763.9001", URL: "https://example.com/KB5000011", Restart: "Yes", Kind: "Security Update"}}},
			{ID: "12", Name: "Windows Server 2019 (Server Core installation)", Family: "Windows", Status: "Known Affected", Fixes: []vuln.Fix{
				{KB: "5000011", Supersedes: []string{"4999999", "4999998"}, Build: "10.0.17763.9001", URL: "https://example.com/KB5000011", Restart: "Yes", Kind: "Security Update"}}},
			{ID: "20", Name: "Window Cleaner 3.5 AND 4.8 on Windows Server 2019", Component: true, Family: "Developer Tools", Status: "Known Affected", Fixes: []vuln.Fix{
				{Build: "3.5.1", URL: "https://example.com/notes", Restart: "Maybe", Kind: "Monthly Rollup"},
				{Build: "4.8.2", URL: "https://example.com/notes", Restart: "Maybe", Kind: "Monthly Rollup"}}},
		},
		SSVC: &vuln.SSVC{Source: "msrc", Exploitation: "active", At: day(20)},
	}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Errorf("first record (-want +got):\n%s", diff)
	}
	var ids []string
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	if !slices.Equal(ids, []string{"CVE-2030-0001", "CVE-2030-0002", "ADV300001"}) {
		t.Errorf("records = %v", ids)
	}
	if len(rejects) != 3 {
		t.Errorf("rejects = %q; want the one without identifier, with an unknown product, with a wrong date", rejects)
	}
}

func TestTwoMentionsInOneDocumentAreUnitedNewerFirst(t *testing.T) {
	records, _, err := decode(fixture(t))
	if err != nil {
		t.Fatal(err)
	}
	r := records[1] // CVE-2030-0002
	if len(r.Products) != 2 || len(r.Impacts) != 1 || len(r.Weaknesses) != 1 {
		t.Errorf("products %v, impacts %v, weaknesses %v; want both products, one impact, the older text's weakness", r.Products, r.Impacts, r.Weaknesses)
	}
	wantTexts := []vuln.Text{{Lang: "en", Source: "cna", Title: "hinge: fix squeak, again"}}
	if diff := cmp.Diff(wantTexts, r.Texts); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
}

func TestBrokenDocumentIsRefusedWithItsPlace(t *testing.T) {
	whole := fixture(t)
	for _, c := range []struct{ name, doc, want string }{
		{"empty", "", "no XML root"},
		{"truncated", whole[:len(whole)/2], "ends before"},
		{"root not closed", strings.TrimSuffix(strings.TrimSpace(whole), "</cvrf:cvrfdoc>"), "ends before"},
		{"garbage after", whole + "garbage", "after the root"},
		{"another format", "<rdf/>", "cvrfdoc"},
		{"another publisher", strings.ReplaceAll(strings.ReplaceAll(whole, "Microsoft", "Acme"), "microsoft", "acme"), "publisher"},
		{"undeclared entity", strings.Replace(whole, "January", "&jan;", 1), "entity"},
	} {
		records, _, err := decode(c.doc)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error = %v; want one saying %q", c.name, err, c.want)
		}
		if len(records) != 0 {
			t.Errorf("%s: %d records of a broken document", c.name, len(records))
		}
	}
}

func TestErrorsOfTheReceiverStopDecoding(t *testing.T) {
	full := errors.New("disk full")
	err := Decode(strings.NewReader(fixture(t)), func(vuln.Record) error { return full }, func(int64, string, string) error { return nil })
	if !errors.Is(err, full) {
		t.Errorf("error of emit: got %v", err)
	}
	err = Decode(strings.NewReader(fixture(t)), func(vuln.Record) error { return nil }, func(int64, string, string) error { return full })
	if !errors.Is(err, full) {
		t.Errorf("error of reject: got %v", err)
	}
}

func TestSystemsAreToldFromComponents(t *testing.T) {
	for name, want := range map[string]bool{
		"Windows Server 2019":                                            true,
		"Windows Server 2019 (Server Core installation)":                 true,
		"Windows Server, version 1903 (Server Core installation)":        true,
		"Windows Server 2022, 23H2 Edition (Server Core installation)":   true,
		"Windows Server 2008 for x64-based Systems Service Pack 2":       true,
		"Windows 10 Version 1809 for x64-based Systems":                  true,
		"Windows 8.1 for 32-bit systems":                                 true,
		"Windows RT 8.1":                                                 true,
		"Microsoft Windows XP Service Pack 3":                            true,
		"Azure Linux 3.0 x64":                                            true,
		"Internet Explorer 11 on Windows Server 2019":                    false,
		"Microsoft .NET Framework 4.8 on Windows 10 Version 1903":        false,
		"Windows HLK for Windows Server 2019":                            false,
		"Windows 11 HLK 24H2":                                            false,
		"Windows Admin Center":                                           false,
		"Windows 10 Update Assistant":                                    false,
		"Windows Defender on Windows Server 2019":                        false,
		"Microsoft Exchange Server 2019 Cumulative Update 14":            false,
		"Windows Server Update Services 3.0":                             false,
		"azl3 crash 8.0.4-3 on Azure Linux 3.0":                          false,
		"Windows Azure Pack Rollup 13.1":                                 false,
		"Microsoft SQL Server 2016 for x64-based Systems Service Pack 2": false,
	} {
		if got := isSystem(name); got != want {
			t.Errorf("isSystem(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestPlainTextKeepsWordsAndDropsMarkup(t *testing.T) {
	for in, want := range map[string]string{
		"<p>one</p><p>two<br/>three</p>":                 "one\ntwo\nthree",
		"a <b>bold</b>&nbsp;claim &lt;tag&gt;":           "a bold claim <tag>",
		"if a < b and c > d":                             "if a < b and c > d",
		"<a href='x>y'>link</a>":                         "y'>link", // tags end at the first ">"
		"<!-- hidden -->seen":                            "seen",
		"<ul><li>x</li><li>y</li></ul>":                  "x\ny",
		"<table><tr><td>k</td><td>v</td></tr></table>\n": "k v",
		"unfinished <p":                                  "unfinished <p",
		"":                                               "",
	} {
		if got := plainText(in); got != want {
			t.Errorf("plainText(%q) = %q; want %q", in, got, want)
		}
	}
}

func TestFixesReadEveryFormOfSupersedenceAndBuild(t *testing.T) {
	for in, want := range map[string][]string{
		"4520008": {"4520008"}, "4520008; 4519338": {"4520008", "4519338"}, "KB4520008, 4519338 ": {"4520008", "4519338"},
		"4520008<br><br>4520008": {"4520008"}, "": nil,
	} {
		if got := supersedes(in); !slices.Equal(got, want) {
			t.Errorf("supersedes(%q) = %v; want %v", in, got, want)
		}
	}
	for in, want := range map[string][]string{
		"10.0.17763.864": {"10.0.17763.864"}, "1.2 & 3.4 and 5.6.": {"1.2", "3.4", "5.6"}, "-": nil,
		"https://example.com/releases": nil, "\t\n4.8.1": {"4.8.1"}, "Fixed Version 2.0.1": {"2.0.1"}, "1.0 Quick Fix": {"1.0"},
	} {
		if got := builds(in); !slices.Equal(got, want) {
			t.Errorf("builds(%q) = %v; want %v", in, got, want)
		}
	}
}

// FuzzDecode: whatever the bytes, there is no panic, and what is emitted has an
// identifier, a date and products with a name or status.
func FuzzDecode(f *testing.F) {
	whole := fixture(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/3])
	f.Add("<cvrfdoc><DocumentPublisher><ContactDetails>microsoft</ContactDetails></DocumentPublisher><Vulnerability><CVE>CVE-2030-1234</CVE></Vulnerability></cvrfdoc>")
	f.Fuzz(func(t *testing.T, doc string) {
		records, _, err := decode(doc)
		if err != nil && len(records) != 0 {
			t.Errorf("%d records and the error %v", len(records), err)
		}
		for _, r := range records {
			if r.Source != Source || r.ID == "" || len(r.Vulnerabilities) != 1 || r.Published.IsZero() || r.Modified.Before(r.Published) {
				t.Errorf("incomplete record %+v", r)
			}
		}
	})
}
