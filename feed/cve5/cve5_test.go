package cve5

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

func decode(text string) (records []vuln.Record, rejects []string, err error) {
	err = Decode(strings.NewReader(text),
		func(r vuln.Record) error { records = append(records, r); return nil },
		func(_ int64, id, reason string) error { rejects = append(rejects, id+": "+reason); return nil })
	return records, rejects, err
}

const published = `{"dataType": "CVE_RECORD", "dataVersion": "5.1",
 "cveMetadata": {"cveId": "CVE-2031-10001", "state": "PUBLISHED", "datePublished": "2031-01-02T03:04:05", "dateUpdated": "2031-02-03T04:05:06.789Z"},
 "containers": {
  "cna": {"providerMetadata": {"orgId": "11111111-2222-3333-4444-555555555555", "shortName": "acme"},
   "title": "Lantern burns",
   "descriptions": [{"lang": "de", "value": "Eine Laterne."}, {"lang": "en-US", "value": "A lantern."}],
   "metrics": [
     {"format": "CVSS", "scenarios": [], "cvssV3_1": {"version": "3.1", "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8, "baseSeverity": "CRITICAL"},
      "cvssV2_0": {"version": "2.0", "vectorString": "AV:N/AC:L/Au:N/C:P/I:P/A:P", "baseScore": 7.5}},
     {"cvssV4_0": {"version": "4.0", "vectorString": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "baseScore": 9.3}},
     {"other": {"type": "Acme severity", "content": {"value": "Important"}}},
     {"other": {"type": "unknown", "content": ["x"]}}],
   "problemTypes": [{"descriptions": [{"type": "CWE", "cweId": "CWE-416", "description": "CWE-416 Use After Free", "lang": "en"}]},
                    {"descriptions": [{"type": "text", "description": "CWE-787: Out-of-bounds Write"}, {"type": "text", "description": "a fire"}]}],
   "references": [{"url": "https://example.org/poc", "tags": ["technical-description", "exploit"]}, {"url": "https://example.org/adv", "tags": ["vendor-advisory"]}],
   "affected": [{"vendor": "acme", "product": "lantern", "defaultStatus": "unaffected", "cpes": ["cpe:2.3:a:acme:lantern:1.4:*:*:*:*:*:*:*"],
      "versions": [{"version": "1.0", "lessThan": "1.4", "status": "affected", "versionType": "semver"}, {"version": "1.4", "status": "unaffected"}]}]},
  "adp": [
   {"title": "CISA ADP Vulnrichment", "providerMetadata": {"orgId": "134c704f-9b21-4f2e-91b3-4a467353bcc0", "shortName": "CISA-ADP"},
    "metrics": [
     {"other": {"type": "ssvc", "content": {"id": "CVE-2031-10001", "role": "CISA Coordinator", "version": "2.0.3", "timestamp": "2031-02-01T00:00:00.5+09:00",
       "options": [{"Exploitation": "PoC"}, {"Automatable": "Yes"}, {"Technical Impact": "total"}]}}},
     {"other": {"type": "kev", "content": {"dateAdded": "2031-01-20", "reference": "https://example.org"}}},
     {"cvssV3_1": {"version": "3.1", "vectorString": "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 8.4, "baseSeverity": "HIGH"}}],
    "problemTypes": [{"descriptions": [{"type": "CWE", "cweId": "CWE-416"}]}]},
   {"title": "CVE Program Container", "providerMetadata": {"orgId": "x", "shortName": "CVE"},
    "references": [{"url": "https://example.org/adv", "tags": ["vendor-advisory", "x_transferred"]}]}]}}`

func TestCNAAndADPStayApart(t *testing.T) {
	want := vuln.Record{
		Source: "cve5", ID: "CVE-2031-10001", Vulnerabilities: []string{"CVE-2031-10001"},
		Published: time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC), Modified: time.Date(2031, 2, 3, 4, 5, 6, 789e6, time.UTC),
		Texts: []vuln.Text{{Lang: "en", Source: "cna", Title: "Lantern burns", Details: "A lantern."}},
		Severities: []vuln.Severity{
			{Source: "cna", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Word: "CRITICAL"},
			{Source: "cna", Version: "2.0", Vector: "AV:N/AC:L/Au:N/C:P/I:P/A:P", Score: 7.5},
			{Source: "cna", Version: "4.0", Vector: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Score: 9.3},
			{Source: "cna", Word: "Important"},
			{Source: "cisa-adp", Version: "3.1", Vector: "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 8.4, Word: "HIGH"},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-416", Source: "cna"}, {CWE: "CWE-787", Source: "cna"}, {CWE: "CWE-416", Source: "cisa-adp"}},
		References: []vuln.Reference{{URL: "https://example.org/poc", Kind: "EXPLOIT"}, {URL: "https://example.org/adv", Kind: "ADVISORY"}},
		Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{
			{CPE: "cpe:2.3:a:acme:lantern:*:*:*:*:*:*:*:*", Vulnerable: true, StartIncluding: "1.0", EndExcluding: "1.4"}}}}}},
		SSVC: &vuln.SSVC{Source: "cisa-adp", Exploitation: "poc", Automatable: "yes", Impact: "total", At: time.Date(2031, 1, 31, 15, 0, 0, 5e8, time.UTC)},
		KEV:  &vuln.KEV{Added: time.Date(2031, 1, 20, 0, 0, 0, 0, time.UTC)},
	}
	got, rejects, err := decode(published)
	if err != nil || len(rejects) > 0 || len(got) != 1 {
		t.Fatal(len(got), rejects, err)
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
}

func TestRejectedIDSaysWhy(t *testing.T) {
	got, _, err := decode(`{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2031-10002","state":"REJECTED","dateRejected":"2031-01-02T00:00:00.000Z"},
	 "containers":{"cna":{"rejectedReasons":[{"lang":"en","value":"No lantern."}]}}}`)
	if err != nil || len(got) != 1 || !got[0].Rejected || len(got[0].Texts) != 1 || got[0].Texts[0].Details != "No lantern." || got[0].Modified.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAffectedBecomesAConfigurationOnlyWhereItIsSound(t *testing.T) {
	const cpe = "cpe:2.3:a:acme:lantern:*:*:*:*:*:*:*:*"
	r := func(version, below, upTo string) versionRange {
		return versionRange{Version: version, Status: "affected", Kind: "custom", Below: below, UpTo: upTo}
	}
	for _, c := range []struct {
		name string
		p    product
		want []vuln.CPEMatch // nil: left out
	}{
		{"below", product{Versions: []versionRange{r("0", "2.0", "")}}, []vuln.CPEMatch{{EndExcluding: "2.0"}}},
		{"up to", product{Versions: []versionRange{r("1.1", "", "v2.0-p1")}}, []vuln.CPEMatch{{StartIncluding: "1.1", EndIncluding: "v2.0-p1"}}},
		{"one version", product{Versions: []versionRange{r("5.247.01", "", "")}}, []vuln.CPEMatch{{StartIncluding: "5.247.01", EndIncluding: "5.247.01"}}},
		{"two branches with bounds", product{Versions: []versionRange{r("1.0", "1.4", ""), r("2.0", "2.2", "")}},
			[]vuln.CPEMatch{{StartIncluding: "1.0", EndExcluding: "1.4"}, {StartIncluding: "2.0", EndExcluding: "2.2"}}},
		{"an unaffected version that ends the range", product{Versions: []versionRange{r("0", "2.0", ""), {Version: "2.0", Status: "unaffected"}}},
			[]vuln.CPEMatch{{EndExcluding: "2.0"}}},
		{"two branches without a lower bound", product{Versions: []versionRange{r("0", "", "17.4"), r("unspecified", "", "18.1")}}, nil},
		{"an exception inside the range", product{Versions: []versionRange{r("0", "2.0", ""), {Version: "1.3", Status: "unaffected"}}}, nil},
		{"status changes inside the range", product{Versions: []versionRange{{Version: "1", Status: "affected", Below: "9", Switches: []any{"x"}}}}, nil},
		{"affected by default", product{Default: "affected", Versions: []versionRange{r("0", "2.0", "")}}, nil},
		{"commits", product{Versions: []versionRange{{Version: "0", Status: "affected", Kind: "git", Below: "1234567"}}}, nil},
		{"prose", product{Versions: []versionRange{r("All versions prior to 2.1", "", "")}}, nil},
		{"pattern", product{Versions: []versionRange{r("1.0", "", "2.*")}}, nil},
		{"zero alone", product{Versions: []versionRange{r("0", "", "")}}, nil},
		{"only unaffected", product{Versions: []versionRange{{Version: "1", Status: "unaffected"}}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The version in the CPE is the fixed one, as Microsoft writes it; it must not count.
			c.p.CPEs = []string{"cpe:2.3:a:acme:lantern:99.9:*:*:*:*:*:*:*", "cpe:/a:acme:lantern", "cpe:2.3:*:*:*:*:*:*:*:*:*:*:*"}
			got, sound := c.p.configuration()
			if sound != (c.want != nil) {
				t.Fatalf("sound %v, want %v: %+v", sound, c.want != nil, got)
			}
			if !sound {
				return
			}
			for i := range c.want {
				c.want[i].CPE, c.want[i].Vulnerable = cpe, true
			}
			if diff := cmp.Diff([]vuln.Node{{Matches: c.want}}, got.Nodes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestApplicabilityIsFlattenedAsNVDs(t *testing.T) {
	got, rejects, err := decode(`{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2031-10003","state":"PUBLISHED"},"containers":{"cna":{"cpeApplicability":[
	 {"operator":"AND","nodes":[
	   {"operator":"OR","cpeMatch":[{"vulnerable":true,"criteria":"cpe:2.3:o:acme:fw:*:*:*:*:*:*:*:*","versionEndExcluding":"3"}]},
	   {"operator":"OR","negate":true,"cpeMatch":[{"vulnerable":false,"criteria":"cpe:2.3:h:acme:box:-:*:*:*:*:*:*:*"}]}]},
	 {"operator":"OR","nodes":[{"operator":"AND","cpeMatch":[{"vulnerable":true,"criteria":"a"},{"vulnerable":true,"criteria":"b"}]}]},
	 {"negate":true,"nodes":[{"cpeMatch":[{"vulnerable":true,"criteria":"c"}]}]}]}}}`)
	if err != nil || len(got) != 1 {
		t.Fatal(rejects, err)
	}
	want := []vuln.Configuration{
		{Nodes: []vuln.Node{
			{Matches: []vuln.CPEMatch{{CPE: "cpe:2.3:o:acme:fw:*:*:*:*:*:*:*:*", Vulnerable: true, EndExcluding: "3"}}},
			{Negate: true, Matches: []vuln.CPEMatch{{CPE: "cpe:2.3:h:acme:box:-:*:*:*:*:*:*:*"}}}}},
		{Nodes: []vuln.Node{
			{Matches: []vuln.CPEMatch{{CPE: "a", Vulnerable: true}}}, {Matches: []vuln.CPEMatch{{CPE: "b", Vulnerable: true}}}}},
	}
	if diff := cmp.Diff(want, got[0].Configurations); diff != "" {
		t.Error(diff)
	}
}

func TestUnusableRecordsAreRejected(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"CVE-2031-10001", "CVE-2031-../../x", "CVE-2031-../../x: cveId"},
		{`"state": "PUBLISHED"`, `"state": "RESERVED"`, `CVE-2031-10001: state "RESERVED"`},
		{`2031-02-03T04:05:06.789Z`, `soon`, `CVE-2031-10001: dateUpdated: "soon" is no time`},
		{`2031-02-01T00:00:00.5+09:00`, `soon`, `CVE-2031-10001: ssvc timestamp`},
		{`"cveMetadata": {`, `"cveMetadata": {"assigner": 1, "state": 7, `, `CVE-2031-10001: json: cannot unmarshal number`},
	} {
		records, rejects, err := decode(strings.Replace(published, c.old, c.new, 1))
		if err != nil || len(records) != 0 || len(rejects) != 1 || !strings.HasPrefix(rejects[0], c.want) {
			t.Errorf("%d records, rejects %q, %v; want %q", len(records), rejects, err, c.want)
		}
	}
}

func TestDocumentCutAnywhereIsAnError(t *testing.T) {
	for cut := range len(published) {
		if records, _, err := decode(published[:cut]); err == nil || len(records) > 0 {
			t.Fatalf("cut at %d: %d records, %v", cut, len(records), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(published, 99)
	f.Add(`{"cveMetadata":{"cveId":"CVE-2031-10002","state":"REJECTED"},"containers":{"cna":{"rejectedReasons":[{"lang":"en","value":"x"}]},"adp":[{}]}}`, 5)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		records, rejects, err := decode(text)
		for _, r := range records {
			if !vuln.IsCVE(r.ID) || r.Source != Source || r.Modified.Location() != time.UTC {
				t.Errorf("unusable record %+v", r)
			}
			for _, c := range r.Configurations {
				for _, n := range c.Nodes {
					if len(n.Matches) == 0 {
						t.Errorf("node without a match in %+v", c)
					}
				}
			}
		}
		if err == nil && len(records)+len(rejects) != 1 {
			t.Errorf("%d records and %d rejects from one document", len(records), len(rejects))
		}
		if body := strings.TrimRight(text, " \t\r\n"); err == nil && cut > 0 && cut < len(body) {
			if _, _, err := decode(body[:cut]); err == nil {
				t.Errorf("accepted %q cut at %d", body, cut)
			}
		}
	})
}
