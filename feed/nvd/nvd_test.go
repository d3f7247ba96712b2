package nvd

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

func decode(text string) (records []vuln.Record, rejects []string, err error) {
	err = Decode(strings.NewReader(text),
		func(r vuln.Record) error { records = append(records, r); return nil },
		func(_ int64, id, reason string) error { rejects = append(rejects, id+": "+reason); return nil })
	return records, rejects, err
}

const feed11 = `{"CVE_data_type": "CVE", "CVE_data_numberOfCVEs": "2", "CVE_Items": [
 {"cve": {"CVE_data_meta": {"ID": "CVE-2031-10001"},
   "problemtype": {"problemtype_data": [{"description": [{"lang": "en", "value": "CWE-416"}]}]},
   "references": {"reference_data": [
     {"url": "https://example.org/poc", "tags": ["Third Party Advisory", "Exploit"]},
     {"url": "https://example.org/fix", "tags": ["Patch", "Vendor Advisory"]}]},
   "description": {"description_data": [{"lang": "en", "value": "A lantern is used after it was blown out."}]}},
  "configurations": {"nodes": [
    {"operator": "OR", "cpe_match": [{"vulnerable": true, "cpe23Uri": "cpe:2.3:a:acme:lantern:*:*:*:*:*:*:*:*", "versionStartIncluding": "1.0", "versionEndExcluding": "1.4"}]},
    {"operator": "AND", "children": [
      {"operator": "OR", "cpe_match": [{"vulnerable": true, "cpe23Uri": "cpe:2.3:o:acme:lantern_firmware:2.0:*:*:*:*:*:*:*"}]},
      {"operator": "OR", "cpe_match": [{"vulnerable": false, "cpe23Uri": "cpe:2.3:h:acme:lantern:-:*:*:*:*:*:*:*"}]}]},
    {"operator": "AND", "cpe_match": [
      {"vulnerable": true, "cpe23Uri": "cpe:2.3:a:acme:wick:1:*:*:*:*:*:*:*"},
      {"vulnerable": false, "cpe23Uri": "cpe:2.3:o:acme:os:1:*:*:*:*:*:*:*"}]}]},
  "impact": {
    "baseMetricV3": {"cvssV3": {"version": "3.0", "vectorString": "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "baseScore": 7.8, "baseSeverity": "HIGH"}},
    "baseMetricV2": {"cvssV2": {"version": "2.0", "vectorString": "AV:L/AC:L/Au:N/C:P/I:P/A:P", "baseScore": 4.6}, "severity": "MEDIUM"}},
  "publishedDate": "2031-01-02T03:04Z", "lastModifiedDate": "2031-02-03T04:05Z"},
 {"cve": {"CVE_data_meta": {"ID": "CVE-2031-10002"},
   "description": {"description_data": [{"lang": "en", "value": "** REJECT ** It was no lantern."}]}},
  "publishedDate": "2031-01-02T03:04Z", "lastModifiedDate": "2031-02-03T04:05Z"}
]}`

func TestFeed11(t *testing.T) {
	match := func(cpe string, vulnerable bool) vuln.CPEMatch {
		return vuln.CPEMatch{CPE: cpe, Vulnerable: vulnerable}
	}
	node := func(m vuln.CPEMatch) vuln.Node { return vuln.Node{Matches: []vuln.CPEMatch{m}} }
	want := []vuln.Record{{
		Source: "nvd", ID: "CVE-2031-10001", Vulnerabilities: []string{"CVE-2031-10001"},
		Published: time.Date(2031, 1, 2, 3, 4, 0, 0, time.UTC), Modified: time.Date(2031, 2, 3, 4, 5, 0, 0, time.UTC),
		Texts: []vuln.Text{{Lang: "en", Details: "A lantern is used after it was blown out."}},
		Severities: []vuln.Severity{
			{Source: "nvd", Version: "3.0", Vector: "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Score: 7.8, Word: "HIGH"},
			{Source: "nvd", Version: "2.0", Vector: "AV:L/AC:L/Au:N/C:P/I:P/A:P", Score: 4.6},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-416", Source: "nvd"}},
		References: []vuln.Reference{{URL: "https://example.org/poc", Kind: "EXPLOIT"}, {URL: "https://example.org/fix", Kind: "FIX"}},
		Configurations: []vuln.Configuration{
			{Nodes: []vuln.Node{node(vuln.CPEMatch{CPE: "cpe:2.3:a:acme:lantern:*:*:*:*:*:*:*:*", Vulnerable: true, StartIncluding: "1.0", EndExcluding: "1.4"})}},
			{Nodes: []vuln.Node{node(match("cpe:2.3:o:acme:lantern_firmware:2.0:*:*:*:*:*:*:*", true)), node(match("cpe:2.3:h:acme:lantern:-:*:*:*:*:*:*:*", false))}},
			{Nodes: []vuln.Node{node(match("cpe:2.3:a:acme:wick:1:*:*:*:*:*:*:*", true)), node(match("cpe:2.3:o:acme:os:1:*:*:*:*:*:*:*", false))}},
		},
	}, {
		Source: "nvd", ID: "CVE-2031-10002", Vulnerabilities: []string{"CVE-2031-10002"}, Rejected: true,
		Published: time.Date(2031, 1, 2, 3, 4, 0, 0, time.UTC), Modified: time.Date(2031, 2, 3, 4, 5, 0, 0, time.UTC),
		Texts: []vuln.Text{{Lang: "en", Details: "** REJECT ** It was no lantern."}},
	}}
	got, rejects, err := decode(feed11)
	if err != nil || len(rejects) > 0 {
		t.Fatal(rejects, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

const api20 = `{"resultsPerPage": 2, "startIndex": 0, "totalResults": 9, "format": "NVD_CVE", "version": "2.0", "vulnerabilities": [
 {"cve": {"id": "CVE-2031-20001", "published": "2031-01-02T03:04:05.678", "lastModified": "2031-02-03T04:05:06.789", "vulnStatus": "Analyzed",
   "descriptions": [{"lang": "es", "value": "Una linterna."}, {"lang": "en", "value": "A lantern."}],
   "metrics": {
     "cvssMetricV31": [
       {"source": "nvd@nist.gov", "type": "Primary", "cvssData": {"version": "3.1", "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8, "baseSeverity": "CRITICAL"}},
       {"source": "cna@example.org", "type": "Secondary", "cvssData": {"version": "3.1", "vectorString": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 8.1, "baseSeverity": "HIGH"}},
       {"source": "134c704f-9b21-4f2e-91b3-4a467353bcc0", "type": "Secondary", "cvssData": {"version": "3.1", "vectorString": "CVSS:3.1/AV:L/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 7.4}}],
     "cvssMetricV40": [{"source": "cna@example.org", "type": "Secondary", "cvssData": {"version": "4.0", "vectorString": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", "baseScore": 9.3, "baseSeverity": "CRITICAL"}}],
     "cvssMetricV2": [{"source": "nvd@nist.gov", "type": "Primary", "cvssData": {"version": "2.0", "vectorString": "AV:N/AC:L/Au:N/C:P/I:P/A:P", "baseScore": 7.5}, "baseSeverity": "HIGH"}],
     "ssvcV203": [{"source": "134c704f-9b21-4f2e-91b3-4a467353bcc0", "ssvcData": {"timestamp": "2031-02-01T00:00:00.5Z",
        "options": [{"exploitation": "PoC"}, {"automatable": "yes"}, {"technicalImpact": "total"}]}}]},
   "weaknesses": [{"source": "nvd@nist.gov", "type": "Secondary", "description": [{"lang": "en", "value": "CWE-917"}]},
                  {"source": "cna@example.org", "type": "Primary", "description": [{"lang": "en", "value": "CWE-20"}, {"lang": "en", "value": "CWE-20"}]}],
   "configurations": [
     {"operator": "AND", "nodes": [
       {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:o:acme:fw:*:*:*:*:*:*:*:*", "versionEndIncluding": "3"}]},
       {"operator": "OR", "negate": true, "cpeMatch": [{"vulnerable": false, "criteria": "cpe:2.3:h:acme:box:-:*:*:*:*:*:*:*"}]}]},
     {"nodes": [
       {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:a:acme:a:1:*:*:*:*:*:*:*"}]},
       {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:a:acme:b:1:*:*:*:*:*:*:*"}]}]},
     {"negate": true, "nodes": [{"operator": "OR", "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:a:acme:safe:1:*:*:*:*:*:*:*"}]}]}],
   "references": [{"url": "https://example.org/x", "tags": ["Exploit"]}, {"url": "https://example.org/x", "source": "other", "tags": ["Exploit"]}, {"url": "https://example.org/y"}],
   "cisaExploitAdd": "2031-01-10", "cisaActionDue": "2031-01-31", "cisaRequiredAction": "Blow it out.", "cisaVulnerabilityName": "Acme Lantern Fire"}},
 {"cve": {"id": "CVE-2031-20002", "published": "2031-01-02T03:04:05.678", "lastModified": "2031-02-03T04:05:06.789", "vulnStatus": "Rejected",
   "descriptions": [{"lang": "en", "value": "Rejected reason: no lantern."}]}}]}`

func TestAPI20(t *testing.T) {
	node := func(cpe, endIncluding string, vulnerable, negate bool) vuln.Node {
		return vuln.Node{Negate: negate, Matches: []vuln.CPEMatch{{CPE: cpe, Vulnerable: vulnerable, EndIncluding: endIncluding}}}
	}
	want := vuln.Record{
		Source: "nvd", ID: "CVE-2031-20001", Vulnerabilities: []string{"CVE-2031-20001"},
		Published: time.Date(2031, 1, 2, 3, 4, 5, 678e6, time.UTC), Modified: time.Date(2031, 2, 3, 4, 5, 6, 789e6, time.UTC),
		Texts: []vuln.Text{{Lang: "en", Details: "A lantern."}},
		Severities: []vuln.Severity{
			{Source: "nvd", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Word: "CRITICAL"},
			{Source: "cna", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 8.1, Word: "HIGH"},
			{Source: "cisa-adp", Version: "3.1", Vector: "CVSS:3.1/AV:L/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 7.4},
			{Source: "cna", Version: "4.0", Vector: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Score: 9.3, Word: "CRITICAL"},
			{Source: "nvd", Version: "2.0", Vector: "AV:N/AC:L/Au:N/C:P/I:P/A:P", Score: 7.5, Word: "HIGH"},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-917", Source: "nvd"}, {CWE: "CWE-20", Source: "cna"}},
		References: []vuln.Reference{{URL: "https://example.org/x", Kind: "EXPLOIT"}, {URL: "https://example.org/y", Kind: "WEB"}},
		Configurations: []vuln.Configuration{
			{Nodes: []vuln.Node{node("cpe:2.3:o:acme:fw:*:*:*:*:*:*:*:*", "3", true, false), node("cpe:2.3:h:acme:box:-:*:*:*:*:*:*:*", "", false, true)}},
			{Nodes: []vuln.Node{node("cpe:2.3:a:acme:a:1:*:*:*:*:*:*:*", "", true, false)}},
			{Nodes: []vuln.Node{node("cpe:2.3:a:acme:b:1:*:*:*:*:*:*:*", "", true, false)}},
		},
		SSVC: &vuln.SSVC{Source: "cisa-adp", Exploitation: "poc", Automatable: "yes", Impact: "total", At: time.Date(2031, 2, 1, 0, 0, 0, 5e8, time.UTC)},
		KEV: &vuln.KEV{Added: time.Date(2031, 1, 10, 0, 0, 0, 0, time.UTC), Due: time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC),
			Name: "Acme Lantern Fire", Action: "Blow it out."},
	}
	got, rejects, err := decode(api20)
	if err != nil || len(rejects) > 0 || len(got) != 2 {
		t.Fatal(len(got), rejects, err)
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Error(diff)
	}
	if !got[1].Rejected {
		t.Error("a rejected id stands")
	}
}

func TestNestedAlternativesMultiply(t *testing.T) {
	leaf := func(cpe string) node11 { return node11{Operator: "OR", Matches: []match{{URI: cpe, Vulnerable: true}}} }
	either := node11{Operator: "OR", Children: []node11{leaf("a"), leaf("b")}}
	both := node11{Operator: "AND", Children: []node11{either, leaf("c")}}
	var got []string
	for _, nodes := range both.alternatives() {
		names := ""
		for _, n := range nodes {
			names += n.Matches[0].CPE
		}
		got = append(got, names)
	}
	if diff := cmp.Diff([]string{"ac", "bc"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestFileWhoseCountDiffersIsRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{strings.Replace(feed11, `"2"`, `"3"`, 1), "CVE_data_numberOfCVEs is 3, but 2 items came"},
		{strings.Replace(feed11, `"2"`, `"many"`, 1), "CVE_data_numberOfCVEs"},
		{strings.Replace(feed11, `"CVE_data_numberOfCVEs": "2",`, ``, 1), "does not say how many"},
		{strings.Replace(api20, `"resultsPerPage": 2`, `"resultsPerPage": 2000`, 1), "resultsPerPage is 2000, but 2 items came"},
		{`{"resultsPerPage": 0}`, "no NVD document"},
	} {
		_, _, err := decode(c.text)
		var at *stream.Error
		if !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q with a place", err, c.want)
		}
	}
}

func TestUnusableItemsAreRejectedAndTheOthersStand(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{`"ID": "CVE-2031-10002"`, `"ID": "CVE-31-2"`, `CVE-31-2: "CVE-31-2" is no CVE id`},
		{`"publishedDate": "2031-01-02T03:04Z", "lastModifiedDate": "2031-02-03T04:05Z"}` + "\n]", `"publishedDate": "soon"}` + "\n]", `CVE-2031-10002: published: "soon" is no time`},
		{`{"lang": "en", "value": "** REJECT ** It was no lantern."}`, `"text"`, "CVE-2031-10002: json: cannot unmarshal string"},
	} {
		text := strings.Replace(feed11, c.old, c.new, 1)
		records, rejects, err := decode(text)
		if err != nil || len(records) != 1 || len(rejects) != 1 || !strings.HasPrefix(rejects[0], c.want) {
			t.Errorf("%d records, rejects %q, %v; want one of each, %q", len(records), rejects, err, c.want)
		}
	}
}

func TestFileCutAnywhereIsAnError(t *testing.T) {
	for _, text := range []string{feed11, api20} {
		for cut := 0; cut < len(text); cut += 3 {
			if _, _, err := decode(text[:cut]); err == nil {
				t.Fatalf("cut at %d of %d: no error", cut, len(text))
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(feed11, 100)
	f.Add(api20, 900)
	f.Add(`{"vulnerabilities":[{"cve":{}}],"resultsPerPage":1}`, 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		records, _, err := decode(text)
		for _, r := range records {
			if !vuln.IsCVE(r.ID) || r.Source != Source || len(r.Vulnerabilities) != 1 || r.Published.Location() != time.UTC {
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
		if body := strings.TrimRight(text, " \t\r\n"); err == nil && cut > 0 && cut < len(body) {
			if _, _, err := decode(body[:cut]); err == nil {
				t.Errorf("accepted %q cut at %d", body, cut)
			}
		}
	})
}
