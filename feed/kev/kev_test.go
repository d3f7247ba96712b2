package kev

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

const asJSON = `{"title": "A catalogue", "catalogVersion": "2031.01.02", "count": 2, "vulnerabilities": [
 {"cveID": "CVE-2031-10001", "vendorProject": "Acme", "product": "Lantern", "vulnerabilityName": "Acme Lantern Fire", "dateAdded": "2031-01-02",
  "shortDescription": "It burns, \"badly\".", "requiredAction": "Blow it out.", "dueDate": "2031-01-23", "knownRansomwareCampaignUse": "Known",
  "notes": "see https://example.org/a ; https://example.org/b", "cwes": ["CWE-416", "CWE-787"]},
 {"cveID": "CVE-2031-10002", "vulnerabilityName": "Acme Wick", "dateAdded": "2031-01-03", "knownRansomwareCampaignUse": "Unknown", "cwes": []}
]}`

const asCSV = `cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate,knownRansomwareCampaignUse,notes,cwes
CVE-2031-10001,Acme,Lantern,"Acme Lantern Fire",2031-01-02,"It burns, ""badly"".","Blow it out.",2031-01-23,Known,"see https://example.org/a ; https://example.org/b","CWE-416, CWE-787"
CVE-2031-10002,,,"Acme Wick",2031-01-03,,,,Unknown,,
`

func TestJSONAndCSVSayTheSame(t *testing.T) {
	day := func(d int) time.Time { return time.Date(2031, 1, d, 0, 0, 0, 0, time.UTC) }
	want := []vuln.Record{{
		Source: "kev", ID: "CVE-2031-10001", Vulnerabilities: []string{"CVE-2031-10001"}, Modified: day(2),
		Texts:      []vuln.Text{{Lang: "en", Title: "Acme Lantern Fire", Details: `It burns, "badly".`}},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-416", Source: "kev"}, {CWE: "CWE-787", Source: "kev"}},
		References: []vuln.Reference{{URL: "https://example.org/a", Kind: "WEB"}, {URL: "https://example.org/b", Kind: "WEB"}},
		KEV:        &vuln.KEV{Added: day(2), Due: day(23), Name: "Acme Lantern Fire", Action: "Blow it out.", Ransomware: true},
	}, {
		Source: "kev", ID: "CVE-2031-10002", Vulnerabilities: []string{"CVE-2031-10002"}, Modified: day(3),
		Texts: []vuln.Text{{Lang: "en", Title: "Acme Wick"}},
		KEV:   &vuln.KEV{Added: day(3), Name: "Acme Wick"},
	}}
	for name, text := range map[string]string{"json": asJSON, "csv": asCSV} {
		got, rejects, err := decode(text)
		if err != nil || len(rejects) > 0 {
			t.Errorf("%s: %v %v", name, rejects, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestUnusableEntriesAreRejectedAndTheOthersStand(t *testing.T) {
	for _, text := range []string{
		strings.Replace(asJSON, "2031-01-03", "2031-13-03", 1), strings.Replace(asCSV, "2031-01-03", "2031-13-03", 1),
		strings.Replace(asJSON, "CVE-2031-10002", "CVE-x", 1), strings.Replace(asCSV, "CVE-2031-10002", "CVE-x", 1),
		strings.Replace(asJSON, `"Unknown"`, `false`, 1), strings.Replace(asJSON, `2031-01-23`, `soon`, 1),
	} {
		records, rejects, err := decode(text)
		if err != nil || len(records) != 1 || len(rejects) != 1 || !strings.HasPrefix(rejects[0], "CVE-") {
			t.Errorf("%d records, rejects %q, %v of %s", len(records), rejects, err, text)
		}
	}
}

func TestIncompleteCatalogueIsRefused(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{strings.Replace(asJSON, `"count": 2`, `"count": 3`, 1), "count is 3, but 2 entries came"},
		{strings.Replace(asJSON, `"count": 2,`, ``, 1), "count is -1, but 2"},
		{`{"count": 0}`, "no vulnerabilities in it"},
		{strings.TrimSuffix(asCSV, "\n"), "last line has no end"},
		{strings.Replace(asCSV, ",Unknown,,\n", ",Unk\n", 1), "wrong number of fields"},
		{strings.Replace(asCSV, `"Acme Wick"`, `"Acme Wick`, 1), "extraneous or missing"},
		{"cveID,vendorProject\n", `no column "vulnerabilityName"`},
	} {
		if _, _, err := decode(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestCatalogueCutAnywhereIsAnError(t *testing.T) {
	for _, text := range []string{asJSON, asCSV} {
		for cut := range len(text) {
			if text == asCSV && text[max(cut-1, 0)] == '\n' {
				continue // between two lines: nothing in a CSV tells, only the archive around it
			}
			if _, _, err := decode(text[:cut]); err == nil {
				t.Fatalf("cut at %d: no error", cut)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(asJSON)
	f.Add(asCSV)
	f.Fuzz(func(t *testing.T, text string) {
		records, _, _ := decode(text)
		for _, r := range records {
			if !vuln.IsCVE(r.ID) || r.Source != Source || r.KEV == nil || r.KEV.Added.IsZero() {
				t.Errorf("unusable record %+v", r)
			}
		}
	})
}
