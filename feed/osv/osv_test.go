package osv

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

// result is all that came out of one document.
type result struct {
	records []vuln.Record
	rejects []string // id and reason
	notes   map[string]int
}

func decode(text string) (result, error) {
	res := result{notes: map[string]int{}}
	err := DecodeNoting(strings.NewReader(text),
		func(r vuln.Record) error { res.records = append(res.records, r); return nil },
		func(_ int64, id, reason string) error { res.rejects = append(res.rejects, id+": "+reason); return nil },
		func(what string, n int) { res.notes[what] += n })
	return res, err
}

func one(t *testing.T, text string) vuln.Record {
	t.Helper()
	res, err := decode(text)
	if err != nil || len(res.records) != 1 {
		t.Fatalf("%d records, rejects %v, %v", len(res.records), res.rejects, err)
	}
	return res.records[0]
}

const debian = `{
 "schema_version": "1.6.0", "id": "CVE-2031-10001", "modified": "2031-02-03T04:05:06.5+09:00", "published": "2031-01-01T00:00:00Z",
 "summary": "Lantern leaks", "details": "The wick is read past its end.",
 "related": ["DSA-9001-1", "CVE-2031-10002"], "aliases": ["GHSA-aaaa-bbbb-cccc"],
 "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}, {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:P/I:N/A:N"}],
 "database_specific": {"cwe_ids": ["CWE-125"], "severity": "HIGH"},
 "affected": [
  {"package": {"ecosystem": "Debian:12", "name": "lantern", "purl": "pkg:deb/debian/lantern?arch=source"},
   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-3"}]}], "versions": ["1.0-1", "1.1-1"],
   "ecosystem_specific": {"urgency": "low"}},
  {"package": {"ecosystem": "Debian:11", "name": "lantern"},
   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}], "ecosystem_specific": {"urgency": "end-of-life"}},
  {"package": {"ecosystem": "Debian:13", "name": "lantern"},
   "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}], "ecosystem_specific": {"urgency": "not yet assigned"}},
  {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}], "versions": ["v1"]}
 ],
 "references": [{"type": "ADVISORY", "url": "https://example.org/a"}, {"type": "WEB", "url": ""}]
}`

func TestRecordKeepsWhatTheDocumentSays(t *testing.T) {
	all := []vuln.Event{{Introduced: "0"}}
	want := vuln.Record{
		Source: "osv/debian", ID: "CVE-2031-10001", Vulnerabilities: []string{"CVE-2031-10001"},
		Published: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC), Modified: time.Date(2031, 2, 2, 19, 5, 6, 5e8, time.UTC),
		Texts: []vuln.Text{{Lang: "en", Title: "Lantern leaks", Details: "The wick is read past its end."}},
		Severities: []vuln.Severity{
			{Source: "osv/debian", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"},
			{Source: "osv/debian", Version: "2.0", Vector: "AV:N/AC:L/Au:N/C:P/I:N/A:N"},
			{Source: "osv/debian", Word: "HIGH"},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-125", Source: "osv/debian"}},
		References: []vuln.Reference{{URL: "https://example.org/a", Kind: "ADVISORY"}},
		Affected: []vuln.Affected{
			{Ecosystem: "Debian:12", Package: "lantern", SourcePackage: true, Urgency: "low",
				Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "1.2-3"}}}}},
			{Ecosystem: "Debian:11", Package: "lantern", SourcePackage: true, Urgency: "end-of-life", Status: "end_of_life",
				Ranges: []vuln.Range{{Events: all}}},
			{Ecosystem: "Debian:13", Package: "lantern", SourcePackage: true, Ranges: []vuln.Range{{Events: all}}},
		},
	}
	if diff := cmp.Diff(want, one(t, debian)); diff != "" {
		t.Error(diff)
	}
	if res, _ := decode(debian); res.notes[NoPackage] != 1 || len(res.notes) != 1 {
		t.Errorf("noted %v, want one entry without a package", res.notes)
	}
}

func TestSourceIsTheDatabaseTheRecordIsAtHomeIn(t *testing.T) {
	entry := func(ecosystem string) string {
		return `{"package":{"ecosystem":"` + ecosystem + `","name":"n"},"versions":["1"]}`
	}
	for _, c := range []struct{ id, affected, want string }{
		{"CVE-2031-1000", entry("Alpine:v3.20") + "," + entry("Debian:12"), "osv/debian"},
		{"CVE-2031-1000", entry("centos:7") + "," + entry("Debian:12"), "osv/centos"},
		{"CVE-2031-1000", entry("Alpine:v3.20"), "osv/alpine"},
		{"CVE-2031-1000", `{"ranges":[]}`, "osv/git"},
		{"CVE-2031-1000", ``, "osv"},
		{"DSA-9001-1", entry("Debian:12"), "osv/debian"},
		{"DLA-9001-1", entry("Debian:11"), "osv/debian"},
		{"DEBIAN-CVE-2031-1000", entry("Debian:12"), "osv/debian"},
		{"UBUNTU-CVE-2031-1000", entry("Ubuntu:22.04:LTS"), "osv/ubuntu"},
		{"USN-9001-1", entry("Ubuntu:Pro:16.04:LTS"), "osv/ubuntu"},
		{"ALPINE-CVE-2031-1000", entry("Alpine:v3.20"), "osv/alpine"},
		{"ALSA-2031:1", entry("AlmaLinux:9"), "osv/almalinux"},
		{"RLSA-2031:1", entry("Rocky Linux:9"), "osv/rocky"},
		{"RHSA-2031:1", entry("Red Hat:enterprise_linux:9::appstream"), "osv/redhat"},
		{"SUSE-SU-2031:1-1", entry("SUSE:Linux Enterprise Server 15"), "osv/suse"},
		{"openSUSE-SU-2031:1-1", entry("openSUSE:Leap 15.6"), "osv/suse"},
		{"GHSA-aaaa-bbbb-cccc", entry("npm"), "osv/github"},
		{"NEW-1", entry("Rocky Linux:9"), "osv/rocky"},
		{"NEW-1", entry("Some Distro:1"), "osv/some-distro"},
	} {
		r := one(t, `{"id":"`+c.id+`","modified":"2031-01-01T00:00:00Z","affected":[`+c.affected+`]}`)
		if r.Source != c.want {
			t.Errorf("%s with %s: source %q, want %q", c.id, c.affected, r.Source, c.want)
		}
	}
}

func TestVulnerabilitiesAreTheCVEsTheRecordIsAbout(t *testing.T) {
	for _, c := range []struct{ id, lists, want string }{
		{"CVE-2031-1000", `"aliases":["CVE-2031-2000"]`, "CVE-2031-1000"},
		{"UBUNTU-CVE-2031-1000", `"related":["CVE-2031-2000"]`, "CVE-2031-1000"},
		{"DSA-9001-1", `"aliases":["CVE-2031-2000"],"upstream":["DEBIAN-CVE-2031-3000"],"related":["CVE-2031-4000","CVE-2031-2000","GHSA-x"]`,
			"CVE-2031-2000 CVE-2031-3000 CVE-2031-4000"},
		{"GHSA-aaaa-bbbb-cccc", `"aliases":["CVE-2031-2000"],"related":["CVE-2031-3000"]`, "CVE-2031-2000"},
		{"MAL-2031-1", `"related":["CVE-2031-3000"]`, "MAL-2031-1"},
		{"ALBA-2031:1", `"related":[]`, "ALBA-2031:1"},
		{"CURL-CVE-2031-1000", `"aliases":[]`, "CURL-CVE-2031-1000"},
	} {
		r := one(t, `{"id":"`+c.id+`","modified":"2031-01-01T00:00:00Z",`+c.lists+`}`)
		if got := strings.Join(r.Vulnerabilities, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.id, got, c.want)
		}
	}
}

func TestAffectedEntries(t *testing.T) {
	events := func(list ...vuln.Event) []vuln.Range { return []vuln.Range{{Events: list}} }
	for _, c := range []struct {
		name, entry string
		want        []vuln.Affected
		noted       string
	}{
		{"several fixed events stay in order",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"1"},{"fixed":"1.5"},{"introduced":"2"},{"fixed":"2.5"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: events(vuln.Event{Introduced: "1"}, vuln.Event{Fixed: "1.5"}, vuln.Event{Introduced: "2"}, vuln.Event{Fixed: "2.5"})}}, ""},
		{"two events in one object",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0","fixed":"2"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: events(vuln.Event{Introduced: "0"}, vuln.Event{Fixed: "2"})}}, ""},
		{"last affected is inclusive and stays so",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"last_affected":"2"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: []vuln.Range{{Kind: "SEMVER", Events: []vuln.Event{{Introduced: "0"}, {LastAffected: "2"}}}}}}, ""},
		{"one limit ends the range like a fix",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"3"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: events(vuln.Event{Introduced: "0"}, vuln.Event{Fixed: "3"})}}, ""},
		{"no limit is meant by *",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"*"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: events(vuln.Event{Introduced: "0"})}}, ""},
		{"several limits leave the wider range",
			`{"package":{"ecosystem":"X","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"limit":"3"},{"limit":"10"}]}]}`,
			[]vuln.Affected{{Ecosystem: "X", Package: "n", Ranges: events(vuln.Event{Introduced: "0"})}}, ManyLimits},
		{"versions count where commits are the only range",
			`{"package":{"ecosystem":"OSS-Fuzz","name":"n"},"ranges":[{"type":"GIT","events":[{"introduced":"abc"}]}],"versions":["1.0","1.1"]}`,
			[]vuln.Affected{{Ecosystem: "OSS-Fuzz", Package: "n", Versions: []string{"1.0", "1.1"}}}, ""},
		{"commits alone name no version",
			`{"package":{"ecosystem":"OSS-Fuzz","name":"n"},"ranges":[{"type":"GIT","events":[{"introduced":"abc"}]}],"versions":[]}`, nil, GitOnly},
		{"a package without any version",
			`{"package":{"ecosystem":"X","name":"n"}}`, nil, NoVersions},
		{"Red Hat's repository is not part of the release; arch and module come from the package URL",
			`{"package":{"ecosystem":"Red Hat:enterprise_linux:9::appstream","name":"nodejs","purl":"pkg:rpm/redhat/nodejs?arch=x86_64&rpmmod=nodejs%3A18"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1:18.1-2.module"}]}]}`,
			[]vuln.Affected{{Ecosystem: "Red Hat:enterprise_linux:9", Package: "nodejs", Arches: []string{"x86_64"}, Module: "nodejs:18",
				Ranges: events(vuln.Event{Introduced: "0"}, vuln.Event{Fixed: "1:18.1-2.module"})}}, ""},
		{"Ubuntu's priority is its urgency",
			`{"package":{"ecosystem":"Ubuntu:22.04:LTS","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"}]}],"ecosystem_specific":{"ubuntu_priority":"medium"}}`,
			[]vuln.Affected{{Ecosystem: "Ubuntu:22.04:LTS", Package: "n", SourcePackage: true, Urgency: "medium", Ranges: events(vuln.Event{Introduced: "0"})}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, err := decode(`{"id":"X-1","modified":"2031-01-01T00:00:00Z","affected":[` + c.entry + `]}`)
			if err != nil || len(res.records) != 1 {
				t.Fatalf("%v, rejects %v", err, res.rejects)
			}
			if diff := cmp.Diff(c.want, res.records[0].Affected); diff != "" {
				t.Error(diff)
			}
			if (c.noted == "") != (len(res.notes) == 0) || c.noted != "" && res.notes[c.noted] != 1 {
				t.Errorf("noted %v, want %q", res.notes, c.noted)
			}
		})
	}
}

func TestUnusableRecordsAreRejectedWithTheirReason(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"modified":"2031-01-01T00:00:00Z"}`, ": no id"},
		{`{"id":"X-1"}`, "X-1: no modified time"},
		{`{"id":"X-1","modified":"yesterday"}`, `X-1: modified: "yesterday" is no RFC 3339 time`},
		{`{"id":"X-1","modified":"2031-01-01T00:00:00Z","affected":{}}`, "X-1: json: cannot unmarshal object"},
		{`{"id":"X-1","modified":"2031-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"E","name":"n"},"ranges":[{"type":"ECOSYSTEM","events":[{"fixed":"2"}]}]}]}`,
			"X-1: affected E n: a range has no introduced event"},
	} {
		res, err := decode(c.text)
		if err != nil || len(res.records) != 0 || len(res.rejects) != 1 || !strings.HasPrefix(res.rejects[0], c.want) {
			t.Errorf("%s: %d records, rejects %q, %v; want %q", c.text, len(res.records), res.rejects, err, c.want)
		}
	}
}

func TestWithdrawnRecordSaysSince(t *testing.T) {
	r := one(t, `{"id":"X-1","modified":"2031-01-02T00:00:00Z","withdrawn":"2031-01-02T00:00:00Z"}`)
	if r.Withdrawn.IsZero() {
		t.Error("withdrawn record stands")
	}
}

func TestDocumentCutAnywhereGivesAnErrorAndNothingElse(t *testing.T) {
	for cut := range len(debian) {
		res, err := decode(debian[:cut])
		if err == nil || len(res.records)+len(res.rejects) != 0 {
			t.Fatalf("cut at %d: %d records, %d rejects, %v", cut, len(res.records), len(res.rejects), err)
		}
	}
}

func TestErrorOfEmitIsReturned(t *testing.T) {
	full := errors.New("disk full")
	err := Decode(strings.NewReader(debian), func(vuln.Record) error { return full }, nil)
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(debian, 40)
	f.Add(`{"id":"DSA-1","modified":"2031-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"A::b","name":"n","purl":"x?arch=%zz"},"versions":[1]}]}`, 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		res, err := decode(text)
		for _, r := range res.records {
			if r.ID == "" || r.Source == "" || len(r.Vulnerabilities) == 0 || r.Modified.IsZero() || r.Modified.Location() != time.UTC {
				t.Errorf("unusable record %+v", r)
			}
			for _, a := range r.Affected {
				if a.Package == "" || a.Ecosystem == "" || len(a.Ranges)+len(a.Versions) == 0 {
					t.Errorf("empty entry %+v", a)
				}
			}
		}
		if err == nil && len(res.records)+len(res.rejects) != 1 {
			t.Errorf("%d records and %d rejects from one document", len(res.records), len(res.rejects))
		}
		if body := strings.TrimRight(text, " \t\r\n"); err == nil && cut > 0 && cut < len(body) {
			if _, err := decode(body[:cut]); err == nil {
				t.Errorf("accepted %q, which is %q cut off", body[:cut], body)
			}
		}
	})
}
