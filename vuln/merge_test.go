package vuln

import (
	"reflect"
	"testing"
	"time"
)

const id = "CVE-2026-1000"

func day(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }

// text is a record of one source with an English title and a score.
func text(source, record string, score float64) Record {
	return Record{Source: source, ID: record, Vulnerabilities: []string{id}, Published: day(9), Modified: day(9),
		Texts:      []Text{{Lang: "en", Title: "title of " + source}},
		Severities: []Severity{{Source: source, Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: score}}}
}

func TestMergeBelievesSourcesInTheStatedOrder(t *testing.T) {
	order := []string{"msrc", "redhat", "cve5", "nvd", "osv/debian", "sample"}
	for i := range order[:len(order)-1] {
		better, worse := text(order[i], id, 5), text(order[i+1], id, 9)
		for _, records := range [][]Record{{better, worse}, {worse, better}} {
			v := Merge(id, records)
			if v.Title.Source != order[i] || v.Severity.Source != order[i] {
				t.Errorf("%s against %s: title from %s, severity from %s", order[i], order[i+1], v.Title.Source, v.Severity.Source)
			}
			if len(v.Severities) != 2 || len(v.Records) != 2 {
				t.Errorf("%s against %s: the other's values are lost: %+v", order[i], order[i+1], v)
			}
		}
	}
}

func TestMergeDoesNotDependOnTheOrderOfRecords(t *testing.T) {
	records := []Record{text("nvd", id, 5), text("osv/debian", id, 7), text("redhat", id, 6), text("osv/debian", "DSA-1", 9),
		{Source: "kev", ID: id, KEV: &KEV{Name: "x"}}, {Source: "jvn", ID: "JVNDB-1", Vulnerabilities: []string{id}, Texts: []Text{{Lang: "ja", Title: "題"}}}}
	want := Merge(id, records)
	for range len(records) {
		records = append(records[1:], records[0])
		if got := Merge(id, records); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order gave\n%+v\nwant\n%+v", got, want)
		}
	}
}

func TestAnAdvisoryAboutSeveralLendsNoTextOrScoreToOne(t *testing.T) {
	advisory := text("redhat", "RHSA-1", 9)
	advisory.Vulnerabilities = []string{id, "CVE-2026-2000"}
	v := Merge(id, []Record{advisory, text("osv/debian", id, 5)})
	if v.Title.Source != "osv/debian" || v.Severity.Source != "osv/debian" || len(v.Severities) != 1 {
		t.Errorf("title %+v, severity %+v came from the advisory", v.Title, v.Severity)
	}
}

func TestWithdrawnRecordsSayNothingAndRejectionNeedsNobodyToStandByTheID(t *testing.T) {
	withdrawn := text("redhat", id, 9)
	withdrawn.Withdrawn = day(10)
	rejected := Record{Source: "nvd", ID: id, Rejected: true}
	if v := Merge(id, []Record{withdrawn, rejected}); !v.Rejected || v.Title.Value != "" {
		t.Errorf("rejected and withdrawn everywhere: %+v", v)
	}
	if v := Merge(id, []Record{text("redhat", id, 9), rejected}); v.Rejected {
		t.Error("rejected by one, while another stands by it")
	}
	advisory := text("osv/debian", "DSA-1", 9)
	if v := Merge(id, []Record{advisory, rejected}); !v.Rejected {
		t.Error("an advisory that mentions it is no record of the id itself")
	}
}

func TestTheCatalogueItselfSpeaksForKEV(t *testing.T) {
	full := &KEV{Name: "Demo", Added: day(3), Ransomware: true}
	for _, records := range [][]Record{
		{{Source: "cve5", ID: id, KEV: &KEV{Added: day(3)}}, {Source: "kev", ID: id, KEV: full}},
		{{Source: "kev", ID: id, KEV: full}, {Source: "nvd", ID: id, KEV: &KEV{Added: day(3)}}},
	} {
		if v := Merge(id, records); !reflect.DeepEqual(v.KEV, full) {
			t.Errorf("KEV %+v, want the catalogue's %+v", v.KEV, full)
		}
	}
}

func TestJapaneseTextsStandBesideTheEnglishOnes(t *testing.T) {
	jvn := Record{Source: "jvn", ID: "JVNDB-2026-000001", Vulnerabilities: []string{id}, Texts: []Text{{Lang: "ja", Title: "題", Details: "説明"}}}
	v := Merge(id, []Record{text("nvd", id, 5), jvn})
	if v.TitleJA != (Value[string]{"題", "jvn"}) || v.Title.Value != "title of nvd" {
		t.Errorf("titles %+v and %+v", v.TitleJA, v.Title)
	}
}

func TestThePublicationDateIsTheEarliestAnyoneGives(t *testing.T) {
	late, early := text("redhat", id, 5), text("nvd", id, 5)
	early.Published = day(2)
	if v := Merge(id, []Record{late, early}); !v.Published.Value.Equal(day(2)) || v.Published.Source != "nvd" {
		t.Errorf("published %+v", v.Published)
	}
}

func TestCVEIdentifiersAreTold(t *testing.T) {
	for s, want := range map[string]bool{"CVE-2026-1000": true, "CVE-1999-0001": true, "CVE-2026-1234567": true,
		"CVE-2026-100": false, "cve-2026-1000": false, "CVE-2026-10x0": false, "DSA-1-1": false, "CVE-20261000": false, "": false} {
		if IsCVE(s) != want {
			t.Errorf("IsCVE(%q) = %v", s, !want)
		}
	}
}

func TestCPEFieldsKeepEscapedColons(t *testing.T) {
	for cpe, want := range map[string]string{
		"cpe:2.3:o:Microsoft:Windows_Server_2019:-:*:*:*:*:*:*:*": "microsoft:windows_server_2019",
		`cpe:2.3:a:acme:a\:b:1.0:*:*:*:*:*:*:*`:                   `acme:a\:b`,
		"cpe:/o:microsoft:windows":                                "",
		`cpe:2.3:a:acme\`:                                         "",
		"":                                                        "",
	} {
		if got := CPEProduct(cpe); got != want {
			t.Errorf("CPEProduct(%q) = %q, want %q", cpe, got, want)
		}
	}
}
