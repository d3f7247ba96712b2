package redhat

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

func decode(doc string) (records []vuln.Record, rejects []string, err error) {
	err = Decode(strings.NewReader(doc), func(r vuln.Record) error {
		records = append(records, r)
		return nil
	}, func(offset int64, id, reason string) error {
		rejects = append(rejects, fmt.Sprintf("%d|%s|%s", offset, id, reason))
		return nil
	})
	return records, rejects, err
}

// latch is a made-up record with every form of package and state.
const latch = `{
  "name": "CVE-2030-1111", "public_date": "2030-02-03T04:05:06Z", "threat_severity": "Important",
  "bugzilla": {"description": "CVE-2030-1111 CVE-2030-1112 latchd: lifted from outside\nsecond line", "id": "9", "url": "https://bugzilla.example/9"},
  "cvss": {"cvss_base_score": "6.8", "cvss_scoring_vector": "AV:N/AC:M/Au:N/C:P/I:P/A:P", "status": "verified"},
  "cvss3": {"cvss3_base_score": 8.1, "cvss3_scoring_vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", "status": "draft"},
  "cwe": "CWE-20->(CWE-416|CWE-787)->CWE-416",
  "details": ["The latch daemon can be lifted.", " The latch daemon can be lifted. ", "Ours is heavier."],
  "references": ["https://example.com/a\nhttps://example.com/b\nnot a link"],
  "affected_release": [
    {"advisory": "RHSA-2030:0001", "cpe": "cpe:/a:redhat:enterprise_linux:9::appstream", "package": "latchd-0:8.7p1-38.el9_4.1", "impact": "low"},
    {"advisory": "RHSA-2030:0001", "cpe": "cpe:/o:redhat:enterprise_linux:9::baseos", "package": "latchd-0:8.7p1-38.el9_4.1", "impact": "low"},
    {"advisory": "RHSA-2030:0002", "cpe": "cpe:/o:redhat:rhel_eus:9.2::baseos", "package": "latchd-2:8.7p1-30.el9_2.4"},
    {"advisory": "RHSA-2030:0003", "cpe": "cpe:/a:redhat:enterprise_linux:8", "package": "nodejs:18-8090020240301110609.a75119d5"},
    {"advisory": "RHSA-2030:0004", "cpe": "cpe:/a:redhat:openshift:4.13::el9", "package": "openshift4/ose-cli-rhel9:v4.13.0-202407081338"},
    {"advisory": "RHSA-2030:0004", "cpe": "cpe:/a:redhat:openshift:4.13::el9", "package": "rhcos-413.92.202407091321-0"},
    {"advisory": "RHSA-2030:0005", "cpe": "cpe:/o:redhat:enterprise_linux:7", "package": "kpatch-patch"},
    {"advisory": "RHSA-2030:0006", "cpe": "cpe:/a:redhat:openshift_application_runtimes:1.0"}
  ],
  "package_state": [
    {"cpe": "cpe:/o:redhat:enterprise_linux:6", "fix_state": "Out of support scope", "package_name": "latchd", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:7", "fix_state": "Not affected", "package_name": "latchd", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:8", "fix_state": "Affected", "package_name": "mariadb:10.3/mariadb", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:8", "fix_state": "Will not fix", "package_name": "latch-tools", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:8", "fix_state": "Fix deferred", "package_name": "hinge", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:8", "fix_state": "Perhaps", "package_name": "door", "product_name": "x"},
    {"cpe": "cpe:/o:redhat:enterprise_linux:9", "fix_state": "Affected", "package_name": "latchd", "product_name": "x"},
    {"cpe": "cpe:/a:redhat:openshift:4", "fix_state": "Under investigation", "package_name": "openshift4/ose-cli", "product_name": "x"}
  ]
}`

func TestDecodeKeepsWhatTriageNeeds(t *testing.T) {
	records, rejects, err := decode(latch)
	if err != nil || len(records) != 1 || len(rejects) != 0 {
		t.Fatalf("records %v, rejects %v, error %v", records, rejects, err)
	}
	fixed := func(v string) []vuln.Range {
		return []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: v}}}}
	}
	open := []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}}}}
	want := vuln.Record{
		Source: "redhat", ID: "CVE-2030-1111", Vulnerabilities: []string{"CVE-2030-1111"},
		Published: time.Date(2030, 2, 3, 4, 5, 6, 0, time.UTC),
		Texts:     []vuln.Text{{Lang: "en", Title: "latchd: lifted from outside", Details: "The latch daemon can be lifted.\n\nOurs is heavier."}},
		Severities: []vuln.Severity{
			{Source: "redhat", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 8.1},
			{Source: "redhat", Version: "2.0", Vector: "AV:N/AC:M/Au:N/C:P/I:P/A:P", Score: 6.8},
			{Source: "redhat", Word: "Important"},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-20", Source: "redhat"}, {CWE: "CWE-416", Source: "redhat"}, {CWE: "CWE-787", Source: "redhat"}},
		References: []vuln.Reference{
			{URL: "https://access.redhat.com/security/cve/CVE-2030-1111", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0001", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0002", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0003", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0004", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0005", Kind: "ADVISORY"},
			{URL: "https://access.redhat.com/errata/RHSA-2030:0006", Kind: "ADVISORY"},
			{URL: "https://bugzilla.example/9", Kind: "REPORT"},
			{URL: "https://example.com/a", Kind: "WEB"}, {URL: "https://example.com/b", Kind: "WEB"},
		},
		Affected: []vuln.Affected{
			{Ecosystem: "Red Hat:enterprise_linux:9", Package: "latchd", SourcePackage: true, Ranges: fixed("8.7p1-38.el9_4.1"), Urgency: "low"},
			{Ecosystem: "Red Hat:rhel_eus:9.2", Package: "latchd", SourcePackage: true, Ranges: fixed("2:8.7p1-30.el9_2.4")},
			{Ecosystem: "Red Hat:enterprise_linux:8", Package: "nodejs:18", Module: "nodejs:18", Ranges: fixed("8090020240301110609")},
			{Ecosystem: "Red Hat:openshift:4.13::el9", Package: "openshift4/ose-cli-rhel9", Ranges: fixed("v4.13.0-202407081338")},
			{Ecosystem: "Red Hat:openshift:4.13::el9", Package: "rhcos", SourcePackage: true, Ranges: fixed("413.92.202407091321-0")},
			{Ecosystem: "Red Hat:enterprise_linux:6", Package: "latchd", SourcePackage: true, Ranges: open, Status: "end_of_life"},
			{Ecosystem: "Red Hat:enterprise_linux:7", Package: "latchd", SourcePackage: true, Status: "not_affected"},
			{Ecosystem: "Red Hat:enterprise_linux:8", Package: "mariadb", SourcePackage: true, Module: "mariadb:10.3", Ranges: open},
			{Ecosystem: "Red Hat:enterprise_linux:8", Package: "latch-tools", SourcePackage: true, Ranges: open, Status: "will_not_fix"},
			{Ecosystem: "Red Hat:enterprise_linux:8", Package: "hinge", SourcePackage: true, Ranges: open, Status: "deferred"},
			{Ecosystem: "Red Hat:enterprise_linux:8", Package: "door", SourcePackage: true, Ranges: open, Status: "under_investigation"},
			{Ecosystem: "Red Hat:openshift:4", Package: "openshift4/ose-cli", Ranges: open, Status: "under_investigation"},
		},
	}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestABrokenElementIsRejectedAndTheRestIsRead(t *testing.T) {
	list := `[` + latch + `, {"name": "CVE-2030-2222", "details": "not a list"}, {"name": "RHSA-1"}, 7,
	  {"name": "CVE-2030-3333", "public_date": "yesterday"}, {"name": "CVE-2030-4444", "details": ["** REJECT ** never was"]}]`
	records, rejects, err := decode(list)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 2 || records[1].ID != "CVE-2030-4444" || !records[1].Rejected || records[0].Rejected {
		t.Errorf("records = %+v; want the first and the rejected last one", records)
	}
	want := []string{"|CVE-2030-2222|field \"details\" is a JSON string", "|RHSA-1|name \"RHSA-1\" is no CVE identifier", "||field \"\" is a JSON number", "|CVE-2030-3333|public_date: \"yesterday\" is not a date"}
	if len(rejects) != len(want) {
		t.Fatalf("rejects = %q; want %d", rejects, len(want))
	}
	for i, w := range want {
		if !strings.Contains(rejects[i], w) {
			t.Errorf("reject %d = %q; want %q in it", i, rejects[i], w)
		}
	}
	if offset := strings.Index(list, `{"name": "CVE-2030-2222"`); !strings.HasPrefix(rejects[0], fmt.Sprint(offset)+"|") {
		t.Errorf("reject %q; want offset %d", rejects[0], offset)
	}
}

func TestBrokenFileIsRefusedWithItsPlace(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"empty", " \n", "empty file"},
		{"text", "hello", "starts with {"},
		{"truncated object", latch[:len(latch)/2], "ends inside"},
		{"truncated list", "[" + latch, "ends inside"},
		{"missing comma", "[" + latch + latch + "]", "expected comma"},
		{"garbage after", latch + "\n{}", "follows"},
		{"text after", latch + "x", "follows"},
	} {
		if _, _, err := decode(c.doc); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "byte ") {
			t.Errorf("%s: error = %v; want one with a byte that says %q", c.name, err, c.want)
		}
	}
}

func TestTheListOfSummariesIsLeftAlone(t *testing.T) {
	records, _, err := decode(`[{"CVE": "CVE-2030-1", "severity": "low", "affected_packages": []}]`)
	if !errors.Is(err, ErrSummary) || len(records) != 0 {
		t.Errorf("records %v, error %v; want ErrSummary", records, err)
	}
}

func TestEcosystemNamesTheSystemNotTheRepository(t *testing.T) {
	for cpe, want := range map[string]string{
		"cpe:/a:redhat:enterprise_linux:9":                           "Red Hat:enterprise_linux:9",
		"cpe:/o:redhat:enterprise_linux:8::nfv":                      "Red Hat:enterprise_linux:8",
		"cpe:/o:redhat:enterprise_linux:10.1":                        "Red Hat:enterprise_linux:10",
		"cpe:/o:redhat:enterprise_linux:2.1":                         "Red Hat:enterprise_linux:2.1",
		"cpe:/o:redhat:enterprise_linux:7::hypervisor":               "Red Hat:enterprise_linux:7::hypervisor",
		"cpe:/o:redhat:rhel_eus:9.2::baseos":                         "Red Hat:rhel_eus:9.2",
		"cpe:/a:redhat:rhel_e4s:9.0":                                 "Red Hat:rhel_e4s:9.0",
		"cpe:/a:redhat:rhel_software_collections:3::el7":             "Red Hat:rhel_software_collections:3::el7",
		"cpe:/a:redhat:jboss_enterprise_application_platform:7::el8": "Red Hat:jboss_enterprise_application_platform:7::el8",
		"cpe:/a:rhel_sam:1":                                          "Red Hat:rhel_sam:1",
		"cpe:/:redhat:enterprise_linux:::hypervisor":                 "Red Hat:enterprise_linux::hypervisor",
	} {
		if got := ecosystem(cpe); got != want {
			t.Errorf("ecosystem(%q) = %q; want %q", cpe, got, want)
		}
	}
}

// FuzzDecode: whatever the bytes, there is no panic, and what is emitted can be stored.
func FuzzDecode(f *testing.F) {
	f.Add(latch)
	f.Add("[" + latch + ",{}]")
	f.Add(`{"name":"CVE-2030-9999","affected_release":[{"cpe":"cpe:/","package":"a-0:1-1"}],"package_state":[{"cpe":":","package_name":"/"}]}`)
	f.Fuzz(func(t *testing.T, doc string) {
		records, _, _ := decode(doc)
		for _, r := range records {
			if !vuln.IsCVE(r.ID) || len(r.Vulnerabilities) != 1 {
				t.Errorf("incomplete record %+v", r)
			}
			for _, a := range r.Affected {
				if a.Package == "" || !strings.HasPrefix(a.Ecosystem, "Red Hat:") || (a.Status == "not_affected") != (a.Ranges == nil) {
					t.Errorf("incomplete affected %+v", a)
				}
			}
		}
	})
}
