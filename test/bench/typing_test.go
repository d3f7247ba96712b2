package main

import (
	"slices"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// The bar of the typing: what a defender reads from a text has to be what the vendor
// says of it, without the vendor saying so.
func TestTypingOfWindowsAgreesWithMicrosoftWithoutItsImpact(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in -short: three years of NVD and MSRC take a quarter of a minute")
	}
	const bar = 0.95
	pooled := make([]typingResult, len(inputs))
	for _, year := range typingYears {
		records, err := windowsRecords(t.Context(), realdata.Dir(t), year)
		if err != nil {
			t.Fatal(err)
		}
		for i, in := range inputs {
			pooled[i].score(records, in.types)
		}
	}
	for i, in := range inputs {
		r := pooled[i]
		if r.CVEs < 1000 {
			t.Errorf("%s: only %d Windows CVEs", in.name, r.CVEs)
		}
		for _, typ := range labelled {
			s := r.Scores[typ]
			if s.precision() < bar || s.recall() < bar || s.meant < 50 {
				t.Errorf("%s: %s has precision %.3f and recall %.3f of %d, want %.2f of 50 or more", in.name, typ, s.precision(), s.recall(), s.meant, bar)
			}
		}
		if t.Failed() {
			t.Logf("%s: %q", in.name, r.Wrong)
		}
	}
}

func TestAWrongTypeCostsPrecisionAndAMissingOneRecall(t *testing.T) {
	microsoft := func(id, impact string) vuln.Record {
		return vuln.Record{Source: "msrc", ID: id, Products: []vuln.Product{{ID: "1", Name: "Windows Server 2019"}}, Impacts: []vuln.Impact{{Word: impact, Products: []string{"1"}}}}
	}
	nvd := func(id, text string) vuln.Record {
		return vuln.Record{Source: "nvd", ID: id, Texts: []vuln.Text{{Lang: "en", Details: text}}}
	}
	office := microsoft("CVE-4", "Remote Code Execution")
	office.Products[0].Name = "Microsoft Office"
	records := collector{
		"CVE-1": {microsoft("CVE-1", "Remote Code Execution"), nvd("CVE-1", "Attackers execute arbitrary code.")},
		"CVE-2": {microsoft("CVE-2", "Denial of Service"), nvd("CVE-2", "Attackers execute arbitrary code.")},
		"CVE-3": {microsoft("CVE-3", "Spoofing"), nvd("CVE-3", "Attackers execute arbitrary code.")},
		"CVE-4": {office, nvd("CVE-4", "Nothing.")},
		"CVE-5": {microsoft("CVE-5", "Remote Code Execution")},
	}
	var r typingResult
	r.score(records, nvdTypes)
	if r.CVEs != 2 || r.Scores[vuln.Exec] != (score{both: 1, given: 2, meant: 1}) || r.Scores[vuln.DoS] != (score{meant: 1}) {
		t.Errorf("%d CVEs, %+v", r.CVEs, r.Scores)
	}
	if !slices.Equal(r.Wrong, []string{"CVE-2: gives [exec], means [dos]"}) {
		t.Errorf("wrong %q", r.Wrong)
	}
}
