package triage_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

func TestDigestHoldsWhatEverySourceKnows(t *testing.T) {
	const vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	nvd := nvdRecord("CVE-2024-0001", "2024-01-02T00:00:00Z", "An overflow in the widget. It is bad.", widget)
	nvd.Weaknesses = []vuln.Weakness{{CWE: "NVD-CWE-noinfo", Source: "nvd"}, {CWE: "CWE-190", Source: "nvd"}}
	nvd.References = []vuln.Reference{{URL: "https://example.org/fix", Kind: "FIX"}, {URL: "https://example.org/poc", Kind: "EXPLOIT"}}
	jvn := vuln.Record{Source: "jvn", ID: "JVNDB-2024-000001", Vulnerabilities: []string{"CVE-2024-0001"}, Published: day("2024-01-05T00:00:00Z"),
		Texts: []vuln.Text{{Lang: "ja", Title: "ウィジェットの脆弱性"}}}
	cve := vuln.Record{Source: "cve5", ID: "CVE-2024-0001", Vulnerabilities: []string{"CVE-2024-0001"}, Published: day("2024-01-01T00:00:00Z"),
		Weaknesses: []vuln.Weakness{{CWE: "CWE-190", Source: "cna"}, {CWE: "CWE-416", Source: "cisa-adp"}},
		Severities: []vuln.Severity{{Source: "cna", Version: "3.1", Vector: vector, Score: 9.8}},
		SSVC:       &vuln.SSVC{Source: "cisa-adp", Exploitation: "poc", Automatable: "yes", Impact: "total"}}
	kev := vuln.Record{Source: "kev", ID: "CVE-2024-0001", Vulnerabilities: []string{"CVE-2024-0001"}, KEV: &vuln.KEV{Ransomware: true}}
	v := vuln.Merge("CVE-2024-0001", []vuln.Record{nvd, jvn, cve, kev})
	v.EPSS = &vuln.EPSS{Score: 0.5}

	want := triage.Digest{
		ID: "CVE-2024-0001", Title: "An overflow in the widget", TitleJA: "ウィジェットの脆弱性", Published: day("2024-01-01T00:00:00Z"),
		Severity: cve.Severities[0], CWEs: []string{"CWE-190", "CWE-416"},
		Typings: []vuln.Typing{
			{Type: vuln.Exec, Source: "cvss", Confidence: "low", Why: "memory-safety weakness and " + vector + " (cna)"},
			{Type: vuln.Overflow, Source: "text", Confidence: "high", Why: `"overflow"`},
			{Type: vuln.MemCorr, Source: "adp", Confidence: "high", Why: "CWE-416 (cisa-adp)"},
		},
		KEV: kev.KEV, SSVC: cve.SSVC, EPSS: 0.5, Exploit: "https://example.org/poc",
	}
	if diff := cmp.Diff(want, triage.DigestOf(v)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestDigestOfARejectedIdentifierHasNoTypes(t *testing.T) {
	r := nvdRecord("CVE-2024-0002", "2024-01-02T00:00:00Z", "An overflow.", widget)
	r.Rejected = true
	if d := triage.DigestOf(one(r)); !d.Rejected || d.Typings != nil {
		t.Errorf("digest %+v, want it rejected and without types", d)
	}
}

func TestDigestTitleIsShortWithoutATitle(t *testing.T) {
	long := strings.Repeat("word ", 60)
	for details, want := range map[string]string{
		"One sentence. Another.":        "One sentence",
		"Version 1.2.3 is\nvulnerable.": "Version 1.2.3 is vulnerable",
		"一つ目。二つ目。":                      "一つ目",
		long:                            strings.TrimSuffix(strings.Repeat("word ", 24), " ") + "…",
		"":                              "",
	} {
		v := vuln.Vulnerability{ID: "CVE-2024-0003", Details: vuln.Value[string]{Value: details}}
		if got := triage.DigestOf(v).Title; got != want {
			t.Errorf("title of %q: %q, want %q", details, got, want)
		}
	}
}

func TestTypesOfOneSourceReadOnlyThatSource(t *testing.T) {
	nvd := nvdRecord("CVE-2024-0004", "2024-01-02T00:00:00Z", "An XSS.", widget)
	cve := vuln.Record{Source: "cve5", ID: "CVE-2024-0004", Published: day("2024-01-01T00:00:00Z"), Texts: []vuln.Text{{Lang: "ja", Details: "overflow"}, {Lang: "en-US", Details: "An SQL injection."}}}
	v := vuln.Merge("CVE-2024-0004", []vuln.Record{nvd, cve})
	for source, want := range map[string]vuln.Type{"nvd": vuln.XSS, "cve5": vuln.SQLi, "": vuln.SQLi} {
		for _, rules := range []string{triage.FullRules, triage.CVEDetailsRules} {
			got := triage.TypesOf(v, rules, source)
			if len(got) != 1 || got[0].Type != want {
				t.Errorf("TypesOf(%s, %q) = %v, want %s", rules, source, got, want)
			}
		}
	}
	if got := triage.TypesOf(v, triage.FullRules, "msrc"); got != nil {
		t.Errorf("a source that says nothing gave %v", got)
	}
}
