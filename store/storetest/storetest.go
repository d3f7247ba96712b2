// Package storetest is the conformance suite of store.Store: every engine passes it
// unchanged, so that SQLite and what joins it later keep the same promises.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/vuln"
)

// Clock is a clock the tests move.
type Clock struct{ At time.Time }

// Now returns the time it was set to.
func (c *Clock) Now() time.Time { return c.At }

// Run runs the suite. open returns a new, empty store that uses the clock; it is
// closed by the suite.
func Run(t *testing.T, open func(t *testing.T, now func() time.Time) store.Store) {
	for _, c := range []struct {
		promise string
		run     func(*fixture)
	}{
		{"a committed record is found by package and merged by vulnerability", (*fixture).findsAndMerges},
		{"a rolled back file leaves nothing", (*fixture).rollbackLeavesNothing},
		{"nothing of a file is seen before it is committed", (*fixture).unseenBeforeCommit},
		{"the same content is not imported twice", (*fixture).sameContentOnce},
		{"importing the same records again changes nothing", (*fixture).reimportChangesNothing},
		{"the newer version of a record stays, whatever the order", (*fixture).newerStays},
		{"what a record no longer says is forgotten", (*fixture).forgets},
		{"a withdrawn record no longer matches", (*fixture).withdrawnIsSilent},
		{"the first load of a feed is no news", (*fixture).firstLoadIsNoNews},
		{"the first load of a feed in several files is no news", (*fixture).firstLoadOfManyFilesIsNoNews},
		{"new, re-scored, exploited and fixed are news", (*fixture).tellsNews},
		{"EPSS keeps the newest day and joins the digest", (*fixture).epss},
		{"rejects are kept with file, place and reason", (*fixture).rejects},
		{"vendor products and CPE products are found by name", (*fixture).products},
		{"an older inventory never replaces a newer one", (*fixture).hosts},
		{"what guarded a host is told as of any time", (*fixture).protections},
		{"an unknown vulnerability is said to be unknown", (*fixture).unknown},
		{"the built-in sample is silent about what a real source speaks of", (*fixture).sampleIsSilent},
	} {
		t.Run(c.promise, func(t *testing.T) {
			clock := &Clock{At: time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC)}
			s := open(t, clock.Now)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			c.run(&fixture{T: t, Store: s, clock: clock})
		})
	}
}

// fixture is one store under test.
type fixture struct {
	*testing.T
	store.Store
	clock *Clock
	files int
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// begin starts a file of content nobody has seen.
func (f *fixture) begin() store.Batch {
	f.Helper()
	f.files++
	b, err := f.Begin(f.ctx(), vuln.File{Path: fmt.Sprintf("file%d.json", f.files), SHA256: fmt.Sprintf("%064d", f.files), Size: 10})
	f.must(err)
	return b
}

func (f *fixture) ctx() context.Context { return f.Context() }

// put imports records as one file.
func (f *fixture) put(records ...vuln.Record) {
	f.Helper()
	b := f.begin()
	for _, r := range records {
		f.must(b.Record(r))
	}
	f.must(b.Commit())
}

// record is a small record of one package fixed in version fixed ("" for none).
func record(source, id string, modified int, fixed string) vuln.Record {
	events := []vuln.Event{{Introduced: "0"}}
	if fixed != "" {
		events = append(events, vuln.Event{Fixed: fixed})
	}
	return vuln.Record{Source: source, ID: id, Vulnerabilities: []string{"CVE-2026-1000"},
		Published: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), Modified: time.Date(2026, 2, modified, 0, 0, 0, 0, time.UTC),
		Texts:    []vuln.Text{{Lang: "en", Title: "title of " + source, Details: "A buffer overflow in demo."}},
		Affected: []vuln.Affected{{Ecosystem: "Debian:12", Package: "demo", SourcePackage: true, Ranges: []vuln.Range{{Events: events}}}}}
}

func (f *fixture) affected(packages ...string) int {
	f.Helper()
	found, err := f.Affected(f.ctx(), []string{"Debian:12"}, packages)
	f.must(err)
	n := 0
	for _, list := range found {
		n += len(list)
	}
	return n
}

func (f *fixture) findsAndMerges() {
	r := record("osv/debian", "CVE-2026-1000", 1, "1.2-1")
	f.put(r, vuln.Record{Source: "nvd", ID: "CVE-2026-1000", Modified: r.Modified,
		Severities: []vuln.Severity{{Source: "nvd", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8}}})
	found, err := f.Affected(f.ctx(), []string{"Debian:12", "Debian:13"}, []string{"demo", "other"})
	f.must(err)
	if len(found["demo"]) != 1 || len(found["other"]) != 0 {
		f.Fatalf("found %+v, want one statement about demo", found)
	}
	if got := found["demo"][0]; got.Record != r.ID || !reflect.DeepEqual(got.Affected, r.Affected[0]) {
		f.Errorf("statement came back as %+v, want %+v", got, r.Affected[0])
	}
	v, err := f.Vulnerability(f.ctx(), "CVE-2026-1000")
	f.must(err)
	if len(v.Records) != 2 || v.Severity == nil || v.Severity.Source != "nvd" || v.Title.Source != "osv/debian" {
		f.Errorf("merged to %d records, severity %+v, title %+v", len(v.Records), v.Severity, v.Title)
	}
	for _, got := range v.Records {
		if got.Source == r.Source && !reflect.DeepEqual(got, r) {
			f.Errorf("record came back as\n%+v\nwant\n%+v", got, r)
		}
	}
	digests, err := f.Digests(f.ctx(), []string{"CVE-2026-1000", "CVE-1999-0001"})
	f.must(err)
	d := digests["CVE-2026-1000"]
	if len(digests) != 1 || d == nil || d.Severity.Score != 9.8 || !d.Known.Equal(f.clock.At) || len(d.Typings) == 0 {
		f.Errorf("digests %+v, want one with score 9.8, types, and known at %v", d, f.clock.At)
	}
}

func (f *fixture) rollbackLeavesNothing() {
	b := f.begin()
	f.must(b.Record(record("osv/debian", "CVE-2026-1000", 1, "")))
	f.must(b.EPSS(vuln.EPSS{CVE: "CVE-2026-1000", Score: 0.5}))
	f.must(b.Reject(vuln.Reject{Path: "file1.json", Source: "osv/debian", Reason: "broken"}))
	f.must(b.Rollback())
	sources, err := f.Sources(f.ctx())
	f.must(err)
	rejects, err := f.Rejects(f.ctx())
	f.must(err)
	if len(sources) != 0 || len(rejects) != 0 || f.affected("demo") != 0 {
		f.Errorf("after rollback: sources %v, rejects %v, %d statements", sources, rejects, f.affected("demo"))
	}
	again, err := f.Begin(f.ctx(), vuln.File{Path: "file1.json", SHA256: fmt.Sprintf("%064d", 1)})
	if err != nil {
		f.Fatalf("a file that was rolled back counts as imported: %v", err)
	}
	f.must(again.Rollback())
}

func (f *fixture) unseenBeforeCommit() {
	b := f.begin()
	f.must(b.Record(record("osv/debian", "CVE-2026-1000", 1, "")))
	if n := f.affected("demo"); n != 0 {
		f.Errorf("%d statements seen before commit", n)
	}
	f.must(b.Commit())
	if n := f.affected("demo"); n != 1 {
		f.Errorf("%d statements after commit, want 1", n)
	}
}

func (f *fixture) sameContentOnce() {
	f.put(record("osv/debian", "CVE-2026-1000", 1, ""))
	_, err := f.Begin(f.ctx(), vuln.File{Path: "elsewhere.json", SHA256: fmt.Sprintf("%064d", 1)})
	if !errors.Is(err, store.ErrUnchanged) {
		f.Errorf("second import of the same content: %v, want ErrUnchanged", err)
	}
}

func (f *fixture) reimportChangesNothing() {
	r := record("osv/debian", "CVE-2026-1000", 1, "1.2-1")
	f.put(r)
	before, err := f.Vulnerability(f.ctx(), "CVE-2026-1000")
	f.must(err)
	f.clock.At = f.clock.At.Add(24 * time.Hour)
	f.put(r)
	after, err := f.Vulnerability(f.ctx(), "CVE-2026-1000")
	f.must(err)
	changes, err := f.Changes(f.ctx(), time.Time{})
	f.must(err)
	if !reflect.DeepEqual(before, after) || len(changes) != 0 || f.affected("demo") != 1 {
		f.Errorf("re-import changed %+v to %+v, news %v, %d statements", before, after, changes, f.affected("demo"))
	}
}

func (f *fixture) newerStays() {
	f.put(record("osv/debian", "CVE-2026-1000", 5, "1.5-1"))
	f.put(record("osv/debian", "CVE-2026-1000", 2, "1.2-1"))
	if got := f.fix(); got != "1.5-1" {
		f.Errorf("an older version replaced the newer: fixed %s", got)
	}
	f.put(record("osv/debian", "CVE-2026-1000", 9, "1.9-1"))
	if got := f.fix(); got != "1.9-1" {
		f.Errorf("the newer version did not replace the older: fixed %s", got)
	}
}

func (f *fixture) fix() string {
	f.Helper()
	found, err := f.Affected(f.ctx(), []string{"Debian:12"}, []string{"demo"})
	f.must(err)
	if len(found["demo"]) != 1 {
		f.Fatalf("%d statements about demo, want 1", len(found["demo"]))
	}
	return found["demo"][0].Ranges[0].Events[1].Fixed
}

func (f *fixture) forgets() {
	r := record("osv/debian", "CVE-2026-1000", 1, "")
	r.Affected = append(r.Affected, vuln.Affected{Ecosystem: "Debian:12", Package: "gone", Ranges: r.Affected[0].Ranges})
	f.put(r)
	r = record("osv/debian", "CVE-2026-1000", 2, "")
	r.Vulnerabilities = []string{"CVE-2026-2000"}
	f.put(r)
	if n := f.affected("gone"); n != 0 {
		f.Errorf("%d statements about a package the record no longer names", n)
	}
	v, err := f.Vulnerability(f.ctx(), "CVE-2026-2000")
	if err != nil || len(v.Records) != 1 {
		f.Errorf("the vulnerability it names now: %+v, %v", v, err)
	}
}

func (f *fixture) withdrawnIsSilent() {
	f.put(record("osv/debian", "CVE-2026-1000", 1, ""))
	r := record("osv/debian", "CVE-2026-1000", 2, "")
	r.Withdrawn = r.Modified
	f.put(r)
	if n := f.affected("demo"); n != 0 {
		f.Errorf("%d statements of a withdrawn record", n)
	}
}

func (f *fixture) firstLoadIsNoNews() {
	f.put(record("osv/debian", "CVE-2026-1000", 1, "1.2-1"))
	changes, err := f.Changes(f.ctx(), time.Time{})
	f.must(err)
	if len(changes) != 0 {
		f.Errorf("first load made news: %+v", changes)
	}
}

func (f *fixture) firstLoadOfManyFilesIsNoNews() {
	f.put(record("osv/debian", "CVE-2026-1000", 1, ""))
	f.clock.At = f.clock.At.Add(10 * time.Minute)
	second := record("osv/debian", "CVE-2026-2000", 1, "1.2-1")
	second.Vulnerabilities = []string{"CVE-2026-2000"}
	f.put(second, record("osv/debian", "CVE-2026-1000", 2, "1.2-1"))
	changes, err := f.Changes(f.ctx(), time.Time{})
	f.must(err)
	if len(changes) != 0 {
		f.Errorf("the second file of the first load made news: %+v", changes)
	}
}

func (f *fixture) tellsNews() {
	r := record("osv/debian", "CVE-2026-1000", 1, "")
	r.Severities = []vuln.Severity{{Source: "osv/debian", Version: "3.1", Vector: "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:L/I:N/A:N"}}
	f.put(r, vuln.Record{Source: "kev", ID: "CVE-2026-7777", KEV: &vuln.KEV{Name: "old"}})
	f.clock.At = f.clock.At.Add(24 * time.Hour)
	since := f.clock.At
	next := record("osv/debian", "CVE-2026-1000", 2, "1.2-1")
	next.Severities = []vuln.Severity{{Source: "osv/debian", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}}
	fresh := record("osv/debian", "CVE-2026-3000", 2, "3-1")
	fresh.Vulnerabilities = []string{"CVE-2026-3000"}
	f.put(next, fresh, vuln.Record{Source: "kev", ID: "CVE-2026-1000", KEV: &vuln.KEV{Name: "Demo overflow"}})
	changes, err := f.Changes(f.ctx(), since)
	f.must(err)
	var got []string
	for _, c := range changes {
		got = append(got, c.Vulnerability+" "+string(c.Kind))
		if !c.At.Equal(since) {
			f.Errorf("%v is dated %v, want %v", c, c.At, since)
		}
	}
	slices.Sort(got)
	want := []string{"CVE-2026-1000 newly-exploited", "CVE-2026-1000 newly-fixed", "CVE-2026-1000 re-scored", "CVE-2026-3000 new"}
	if !slices.Equal(got, want) {
		f.Errorf("news %q, want %q", got, want)
	}
	later, err := f.Changes(f.ctx(), since.Add(time.Second))
	f.must(err)
	if len(later) != 0 {
		f.Errorf("news after their time: %v", later)
	}
}

func (f *fixture) epss() {
	f.put(record("osv/debian", "CVE-2026-1000", 1, ""))
	day := func(d int, score float64) vuln.EPSS {
		return vuln.EPSS{CVE: "CVE-2026-1000", Score: score, Date: time.Date(2026, 2, d, 0, 0, 0, 0, time.UTC)}
	}
	for _, e := range []vuln.EPSS{day(3, 0.2), day(1, 0.9)} {
		b := f.begin()
		f.must(b.EPSS(e))
		f.must(b.Commit())
	}
	digests, err := f.Digests(f.ctx(), []string{"CVE-2026-1000"})
	f.must(err)
	if got := digests["CVE-2026-1000"].EPSS; got != 0.2 {
		f.Errorf("EPSS %v, want the newest day's 0.2", got)
	}
	v, err := f.Vulnerability(f.ctx(), "CVE-2026-1000")
	f.must(err)
	if v.EPSS == nil || v.EPSS.Score != 0.2 || v.EPSS.Date.Day() != 3 {
		f.Errorf("EPSS %+v, want 0.2 of the 3rd", v.EPSS)
	}
}

func (f *fixture) rejects() {
	want := vuln.Reject{Path: "file1.json", Entry: "a/b.json", Offset: 77, Source: "osv/debian", ID: "CVE-2026-1000", Reason: "no affected package"}
	b := f.begin()
	f.must(b.Reject(want))
	f.must(b.Commit())
	got, err := f.Rejects(f.ctx())
	f.must(err)
	if len(got) != 1 || got[0] != want {
		f.Errorf("rejects %+v, want %+v", got, want)
	}
	sources, err := f.Sources(f.ctx())
	f.must(err)
	if len(sources) != 1 || sources[0].Rejected != 1 {
		f.Errorf("sources %+v, want one reject counted", sources)
	}
}

func (f *fixture) products() {
	cpe := "cpe:2.3:o:acme:server:1.0:*:*:*:*:*:*:*"
	platform := "cpe:2.3:o:acme:platform:-:*:*:*:*:*:*:*"
	f.put(
		vuln.Record{Source: "nvd", ID: "CVE-2026-1000", Configurations: []vuln.Configuration{{Nodes: []vuln.Node{
			{Matches: []vuln.CPEMatch{{CPE: cpe, Vulnerable: true}}}, {Matches: []vuln.CPEMatch{{CPE: platform}}}}}}},
		vuln.Record{Source: "msrc", ID: "CVE-2026-1000", Products: []vuln.Product{{ID: "1", Name: "Acme Server", Status: "Known Affected",
			Fixes: []vuln.Fix{{KB: "500", Supersedes: []string{"499"}}}}}})
	listings, err := f.Products(f.ctx(), []string{"Acme Server", "Acme"})
	f.must(err)
	if len(listings) != 1 || listings[0].Name != "Acme Server" || listings[0].Fixes[0].KB != "500" {
		f.Errorf("listings %+v", listings)
	}
	configured, err := f.Configured(f.ctx(), []string{"acme:server"})
	f.must(err)
	onPlatform, err := f.Configured(f.ctx(), []string{"acme:platform"})
	f.must(err)
	if len(configured) != 1 || len(onPlatform) != 0 {
		f.Errorf("%d records name the vulnerable product, %d the platform; want 1 and 0", len(configured), len(onPlatform))
	}
	names, err := f.ProductNames(f.ctx(), "msrc")
	f.must(err)
	cpes, err := f.ProductNames(f.ctx(), "nvd")
	f.must(err)
	if !slices.Equal(names, []string{"Acme Server"}) || !slices.Equal(cpes, []string{"acme:server"}) {
		f.Errorf("product names %q and %q", names, cpes)
	}
}

func (f *fixture) hosts() {
	inv := host.Inventory{Host: host.Host{ID: "m1", Name: "web1"}, Collected: f.clock.At, Packages: []host.Package{{Name: "new"}}}
	first, err := f.PutHost(f.ctx(), inv)
	f.must(err)
	f.clock.At = f.clock.At.Add(time.Hour)
	inv.Collected, inv.Packages = inv.Collected.Add(-time.Hour), []host.Package{{Name: "old"}}
	again, err := f.PutHost(f.ctx(), inv)
	f.must(err)
	if !again.Equal(first) {
		f.Errorf("first seen %v, then %v", first, again)
	}
	n := 0
	f.must(f.Hosts(f.ctx(), func(got host.Inventory, at time.Time) error {
		n++
		if got.Packages[0].Name != "new" || !at.Equal(first) {
			f.Errorf("host %+v first seen %v", got, at)
		}
		return nil
	}))
	if n != 1 {
		f.Errorf("%d hosts, want 1", n)
	}
	if _, err := f.PutHost(f.ctx(), host.Inventory{}); err == nil {
		f.Error("an inventory without a name was kept")
	}
}

func (f *fixture) protections() {
	start := f.clock.At
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	web, db := host.Host{ID: "m1", Name: "web1"}, host.Host{Name: "db1"}
	full := host.Protection{Generation: 7, Controls: []host.ControlStatus{{Control: host.Launch, Mode: host.Enforce}}, Contained: []string{"nginx.service"}}
	relaxed := full
	relaxed.Controls = []host.ControlStatus{{Control: host.Launch, Mode: host.Observe}}
	put := func(h host.Host, p host.Protection, n int) {
		p.Reported = minute(n)
		f.must(f.PutProtection(f.ctx(), h, p))
	}
	put(web, full, 0)
	put(web, full, 5)
	put(web, relaxed, 10)
	put(web, full, 7) // came late: what it says is no longer so
	put(web, relaxed, 15)
	put(db, full, 3)
	for _, c := range []struct {
		host     host.Host
		at       int
		mode     string // of launch; "": nothing was known
		reported int
	}{{web, -1, "", 0}, {web, 0, host.Enforce, 0}, {web, 3, host.Enforce, 3}, {web, 8, host.Enforce, 5}, {web, 10, host.Observe, 10},
		{web, 99, host.Observe, 15}, {db, 99, host.Enforce, 3}, {host.Host{Name: "nobody"}, 99, "", 0}} {
		p, err := f.Protection(f.ctx(), c.host, minute(c.at))
		f.must(err)
		if c.mode == "" {
			if len(p.Controls) > 0 || !p.Reported.IsZero() {
				f.Errorf("%s at %d: %+v of what nobody reported", c.host.Name, c.at, p)
			}
			continue
		}
		if len(p.Controls) != 1 || p.Controls[0].Mode != c.mode || !p.Reported.Equal(minute(c.reported)) || p.Generation != 7 {
			f.Errorf("%s at %d: %+v, want %s reported at %d", c.host.Name, c.at, p, c.mode, c.reported)
		}
	}
	for _, c := range []struct{ from, to, n, first, last int }{{-1, 99, 2, 0, 10}, {2, 12, 2, 2, 10}, {7, 12, 2, 5, 10}, {11, 99, 1, 11, 11}, {2, 2, 1, 2, 2}, {-9, -1, 0, 0, 0}} {
		list, err := f.Protections(f.ctx(), web, minute(c.from), minute(c.to))
		f.must(err)
		if len(list) != c.n || c.n > 0 && (!list[0].Reported.Equal(minute(c.first)) || !list[c.n-1].Reported.Equal(minute(c.last))) {
			f.Errorf("from %d to %d: %+v", c.from, c.to, list)
		}
	}
	for _, h := range []host.Host{{}, web} {
		if f.PutProtection(f.ctx(), h, host.Protection{}) == nil {
			f.Errorf("a protection of %q that nobody reported was kept", h.Name)
		}
	}
}

func (f *fixture) unknown() {
	if _, err := f.Vulnerability(f.ctx(), "CVE-1999-0001"); !errors.Is(err, store.ErrUnknown) {
		f.Errorf("got %v, want ErrUnknown", err)
	}
}

func (f *fixture) sampleIsSilent() {
	built := record(store.Sample, "CVE-2026-4000", 1, "9-1")
	other := built.Affected[0]
	other.Ecosystem = "Debian:13"
	built.Affected = append(built.Affected, other)
	f.put(built)
	if n := f.affected("demo"); n != 1 {
		f.Fatalf("%d statements of the sample alone, want 1", n)
	}
	f.put(record("osv/debian", "CVE-2026-5000", 1, "2-1"))
	found, err := f.Affected(f.ctx(), []string{"Debian:12", "Debian:13"}, []string{"demo"})
	f.must(err)
	var said []string
	for _, st := range found["demo"] {
		said = append(said, st.Ecosystem+" "+st.Source)
	}
	slices.Sort(said)
	if want := []string{"Debian:12 osv/debian", "Debian:13 sample"}; !slices.Equal(said, want) {
		f.Errorf("%q speak, want %q", said, want)
	}
	built.Modified = built.Modified.AddDate(0, 0, 1)
	f.put(built)
	if n := f.affected("demo"); n != 1 {
		f.Errorf("the sample came back when it was imported again: %d statements", n)
	}
}
