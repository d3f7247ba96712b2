package triage_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

func day(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// nvdRecord is a record that names cpes, the first len(cpes)-platforms of them vulnerable.
func nvdRecord(id, published, text string, cpes ...string) vuln.Record {
	r := vuln.Record{Source: "nvd", ID: id, Vulnerabilities: []string{id}, Published: day(published),
		Texts: []vuln.Text{{Lang: "en", Details: text}}}
	var node vuln.Node
	for _, c := range cpes {
		node.Matches = append(node.Matches, vuln.CPEMatch{CPE: c, Vulnerable: true})
	}
	r.Configurations = []vuln.Configuration{{Nodes: []vuln.Node{node}}}
	return r
}

func one(records ...vuln.Record) vuln.Vulnerability {
	return vuln.Merge(records[0].ID, records)
}

// row is a year's row with only the counts that are not zero.
func row(year, distinct, untyped, sum int, types map[vuln.Type]int) triage.TypeRow {
	all := map[vuln.Type]int{}
	for _, t := range vuln.Types {
		all[t] = types[t]
	}
	return triage.TypeRow{Year: year, Distinct: distinct, Types: all, Untyped: untyped, Sum: sum}
}

const widget = "cpe:2.3:o:acme:widget_server_9:-:*:*:*:*:*:*:*"

func TestTypeTableCountsByYearOfPublicationAndOverlappingTypes(t *testing.T) {
	running := nvdRecord("CVE-2019-0006", "2019-05-01T00:00:00Z", "denial of service", widget)
	running.Configurations[0].Nodes[0].Matches[0].Vulnerable = false
	rejected := nvdRecord("CVE-2019-0007", "2019-05-01T00:00:00Z", "denial of service", widget)
	rejected.Rejected = true
	marked := nvdRecord("CVE-2019-0008", "2019-05-01T00:00:00Z", "** REJECT ** denial of service", widget)
	other := nvdRecord("CVE-2019-0009", "2019-05-01T00:00:00Z", "denial of service", widget)
	other.Source = "jvn"
	advisory := nvdRecord("ADV190001", "2019-05-01T00:00:00Z", "denial of service", widget)
	twice := one(nvdRecord("CVE-2019-0002", "2019-06-01T00:00:00Z", "An XSS.", widget))
	vulns := []vuln.Vulnerability{
		one(nvdRecord("CVE-2017-0001", "2019-01-01T00:00:00Z", "An overflow may cause a denial of service.", widget)),
		one(nvdRecord("CVE-2019-0001", "2018-12-31T23:59:59Z", "An overflow.", widget)),
		one(nvdRecord("CVE-2019-0003", "2019-12-31T23:30:00-01:00", "An overflow.", widget)), // 2020 in UTC
		one(nvdRecord("CVE-2019-0004", "2019-07-01T00:00:00Z", "A flaw.", widget)),
		one(nvdRecord("CVE-2019-0005", "2019-05-01T00:00:00Z", "denial of service", "cpe:2.3:o:acme:widget_server_90:-:*:*:*:*:*:*:*")),
		twice, twice, one(running), one(rejected), one(marked), one(other), one(advisory),
	}
	q := triage.TypeQuestion{Product: "Widget Server 9", Rules: triage.CVEDetailsRules, Source: "nvd", From: 2017, To: 2019}
	got, err := triage.BuildTypeTable(q, slices.Values(vulns))
	if err != nil {
		t.Fatal(err)
	}
	want := triage.TypeTable{Product: "Widget Server 9", Rules: "cvedetails", Source: "nvd", Rows: []triage.TypeRow{
		row(2017, 0, 0, 0, nil),
		row(2018, 1, 0, 1, map[vuln.Type]int{vuln.Overflow: 1}),
		row(2019, 3, 1, 3, map[vuln.Type]int{vuln.Overflow: 1, vuln.DoS: 1, vuln.XSS: 1}),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	q.From, q.To, q.Until = 0, 0, day("2019-07-01T00:00:00Z")
	got, err = triage.BuildTypeTable(q, slices.Values(vulns))
	if err != nil {
		t.Fatal(err)
	}
	want.Until = q.Until
	want.Rows = []triage.TypeRow{want.Rows[1], row(2019, 2, 0, 3, want.Rows[2].Types)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("until July, years as the data has them: (-want +got)\n%s", diff)
	}
}

func TestTypeTableOfMSRCUsesTheImpactOnThatProduct(t *testing.T) {
	r := vuln.Record{Source: "msrc", ID: "CVE-2019-0100", Vulnerabilities: []string{"CVE-2019-0100"}, Published: day("2019-02-12T08:00:00Z"),
		Texts: []vuln.Text{{Lang: "en", Title: "Widget Vulnerability", Details: "A flaw."}},
		Impacts: []vuln.Impact{
			{Word: "Elevation of Privilege", Source: "msrc", Products: []string{"1", "2"}},
			{Word: "Denial of Service", Source: "msrc", Products: []string{"3"}},
		},
		Products: []vuln.Product{
			{ID: "2", Name: "Widget Server 9  (Server Core installation)", Status: "Known Affected"},
			{ID: "3", Name: "Widget Server 8", Status: "Known Affected"},
		}}
	for rules, want := range map[string]triage.TypeRow{
		"full":       row(2019, 1, 0, 1, map[vuln.Type]int{vuln.Priv: 1}),
		"cvedetails": row(2019, 1, 1, 0, nil),
	} {
		q := triage.TypeQuestion{Product: "Widget Server 9", Rules: rules, Source: "msrc"}
		got, err := triage.BuildTypeTable(q, slices.Values([]vuln.Vulnerability{one(r)}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]triage.TypeRow{want}, got.Rows); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", rules, diff)
		}
	}
}

func TestTypeTableRefusesWhatItCannotAnswer(t *testing.T) {
	none := slices.Values([]vuln.Vulnerability(nil))
	if _, err := triage.BuildTypeTable(triage.TypeQuestion{Product: "x", Rules: "guess", Source: "nvd"}, none); err == nil {
		t.Error("unknown rules were taken")
	}
	if _, err := triage.BuildTypeTable(triage.TypeQuestion{Product: "x", Rules: "full", Source: "nvd", From: 2020, To: 2019}, none); err == nil {
		t.Error("years running backwards were taken")
	}
	got, err := triage.BuildTypeTable(triage.TypeQuestion{Product: "x", Rules: "full", Source: "nvd", From: 2019, To: 2019}, none)
	if err != nil || len(got.Rows) != 1 || len(got.Rows[0].Types) != len(vuln.Types) {
		t.Errorf("an empty year has no row with all types: %+v, %v", got, err)
	}
}

func TestProductMatchesInAllItsSpellings(t *testing.T) {
	r := nvdRecord("CVE-2019-1", "2019-01-01T00:00:00Z", "", widget, `cpe:2.3:a:acme:gadget\+\+_pro:5.4:*:*:*:*:*:*:*`, "cpe:2.3:o:acme:widget_server_8:r2:*:*:*:*:*:*:*")
	msrc := vuln.Record{Source: "msrc", Products: []vuln.Product{
		{ID: "1", Name: "Widget Server 9", Status: "Known Affected"},
		{ID: "2", Name: "Widget Server 8  (Server Core installation)", Status: "Known Affected"},
		{ID: "3", Name: "Widget Server 7", Status: "Known Not Affected"},
		{ID: "4", Name: "Browser on Widget Server 6", Status: "Known Affected", Component: true},
		{ID: "5", Name: "Widget Server 5", Status: "Known Affected", Component: true},
	}}
	negated := nvdRecord("CVE-2019-2", "2019-01-01T00:00:00Z", "", widget)
	negated.Configurations[0].Nodes[0].Negate = true
	platform := nvdRecord("CVE-2019-3", "2019-01-01T00:00:00Z", "", widget)
	platform.Configurations[0].Nodes[0].Matches[0].Vulnerable = false
	for _, c := range []struct {
		record  vuln.Record
		product string
		want    bool
	}{
		{r, "Widget Server 9", true}, {r, "widget_server_9", true}, {r, "WIDGET-server 9", true}, {r, " acme  widget server 9 ", true},
		{r, "acme:widget_server_9", true}, {r, "Acme:Widget Server 9", true}, {r, widget, true}, {r, "cpe:2.3:o:acme:widget_server_9", true},
		{r, "cpe:2.3:*:acme:widget_server_9:*:*:*:*:*:*:*:*", true}, {r, "cpe:2.3:a:acme:widget_server_9:*:*:*:*:*:*:*:*", false},
		{r, "Widget Server", false}, {r, "Widget Server 90", false}, {r, "other:widget_server_9", false}, {r, "", false}, {r, ":", false},
		{r, "gadget++ pro", true}, {r, `cpe:2.3:a:acme:gadget\+\+_pro:5.4:*:*:*:*:*:*:*`, true}, {r, `cpe:2.3:a:acme:gadget\+\+_pro:5.5:*:*:*:*:*:*:*`, false},
		{r, "gadget++ pro 5.4", false}, {r, "Widget Server 8 R2", true}, {r, "Widget Server 8", true}, {r, "Widget Server 8 R1", false},
		{negated, "Widget Server 9", false}, {platform, "Widget Server 9", false},
		{msrc, "Widget Server 9", true}, {msrc, "microsoft widget_server_9", true}, {msrc, "Widget Server 8", true}, {msrc, "Widget Server 8 (Server Core installation)", true},
		{msrc, "Widget Server 7", false}, {msrc, "Widget Server 6", false}, {msrc, "Widget Server 5", false}, {msrc, "Widget", false},
	} {
		if got := triage.ProductMatches(c.record, c.product); got != c.want {
			t.Errorf("ProductMatches(%s, %q) = %v", c.record.Source, c.product, got)
		}
	}
}

func TestProductsNamedAndNearestAnswerFromAList(t *testing.T) {
	all := []string{"microsoft:windows_10", "microsoft:windows_server_2012", "microsoft:windows_server_2016", "microsoft:windows_server_2019", "acme:windows_server_2019", "linux:linux_kernel", "cpanel:cpanel", "apache:http_server"}
	vendors := []string{"Windows Server 2019", "Windows Server 2019  (Server Core installation)", "Windows Server 2016"}
	for _, c := range []struct {
		product string
		all     []string
		want    []string
	}{
		{"Windows Server 2019", all, []string{"microsoft:windows_server_2019", "acme:windows_server_2019"}},
		{"microsoft windows server 2019", all, []string{"microsoft:windows_server_2019"}},
		{"Windows Server 2012 R2", all, []string{"microsoft:windows_server_2012"}},
		{"cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*", all, []string{"linux:linux_kernel"}},
		{"Windows Server 2019", vendors, vendors[:2]},
		{"Windows Server", all, nil},
		{"", all, nil},
	} {
		if diff := cmp.Diff(c.want, triage.ProductsNamed(c.product, c.all)); diff != "" {
			t.Errorf("ProductsNamed(%q): (-want +got)\n%s", c.product, diff)
		}
	}
	for product, want := range map[string]string{"Windows Sever 2019": "acme:windows_server_2019", "linux kernl": "linux:linux_kernel", "kernel": "linux:linux_kernel", "c-panel": "cpanel:cpanel", "server http": "apache:http_server"} {
		if got := triage.NearestProducts(product, all, 3); len(got) == 0 || got[0] != want || len(got) > 3 {
			t.Errorf("NearestProducts(%q) = %q, want %s first", product, got, want)
		}
	}
	if got := triage.NearestProducts("qqqqqqqq", all, 3); got != nil {
		t.Errorf("suggested %q for a name like none", got)
	}
}
