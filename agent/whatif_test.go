package agent

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/store/sqlite"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

const (
	remote = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	local  = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"
	reads  = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
	writes = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"
)

// known are vulnerabilities that between them need every control that coverage knows.
var known = []struct{ id, source, text, vector string }{
	{"CVE-2026-10001", "demo", "A remote attacker can execute arbitrary code.", remote},
	{"CVE-2026-10002", "demo", "It allows a denial of service.", remote},
	{"CVE-2026-10003", "demo", "A path traversal lets attackers read arbitrary files.", reads},
	{"CVE-2026-10004", "demo", "A directory traversal allows files to be overwritten.", writes},
	{"CVE-2026-10005", "demo", "A PHP remote file inclusion.", remote},
	{"CVE-2026-10006", "demo", "An information disclosure: it discloses memory of another process.", reads},
	{"CVE-2026-10007", "sudo", "A privilege escalation to root.", local},
	{"CVE-2026-10008", "snapd", "A privilege escalation to root.", local},
	{"CVE-2024-1086", "linux", "A use-after-free lets local users gain privileges.", local},
}

// fleet is a store that knows the vulnerabilities and one host with what they are of.
type fleet struct {
	*testing.T
	store.Store
	table *triage.Table
	inv   *host.Inventory
	now   func() time.Time
}

func newFleet(t *testing.T, now func() time.Time) *fleet {
	t.Helper()
	table := must(triage.BuiltinTable("ssvc"))(t)
	db := must(sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "k.db"), now))(t)
	t.Cleanup(func() { db.Close() })
	batch := must(db.Begin(t.Context(), vuln.File{Path: "records", SHA256: "1"}))(t)
	was := begin.AddDate(0, -1, 0)
	inv := &host.Inventory{Host: host.Host{ID: hostHere, Name: "web1", OS: host.OS{ID: "debian", VersionID: "12"}, Importance: "high", Addresses: []string{"203.0.113.5"}}, Collected: begin,
		Kernel: host.Kernel{Running: "6.1.0-21-amd64", RunningVersion: "1", RunningPackage: "linux-image-6.1.0-21-amd64",
			Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "1"}}},
		Packages: []host.Package{{Name: "linux-image-6.1.0-21-amd64", Version: "1", Source: "linux", SourceVersion: "1", Kind: "dpkg"}},
		Processes: []host.Process{{PID: 41, Name: "demod", Exe: "/usr/sbin/demod", Unit: "demo.service", Package: "demo",
			Listeners: []host.Listener{{Protocol: "tcp", Address: "0.0.0.0", Port: 80}}}}}
	for _, name := range []string{"demo", "sudo", "snapd"} {
		inv.Packages = append(inv.Packages, host.Package{Name: name, Version: "1", Source: name, SourceVersion: "1", Kind: "dpkg"})
	}
	for _, k := range known {
		err := batch.Record(vuln.Record{Source: "osv/debian", ID: k.id, Vulnerabilities: []string{k.id}, Published: was, Modified: was,
			Texts: []vuln.Text{{Lang: "en", Details: k.text}}, Severities: []vuln.Severity{{Source: "osv/debian", Version: "3.1", Vector: k.vector}},
			SSVC:     &vuln.SSVC{Source: "cisa-adp", Exploitation: triage.PoC, Automatable: "yes", Impact: "total"},
			Affected: []vuln.Affected{{Ecosystem: "Debian:12", Package: k.source, SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "2"}}}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	return &fleet{t, db, table, inv, now}
}

// scan holds the host against everything under what its agent reports.
func (f *fleet) scan(p host.Protection) triage.Scan {
	f.Helper()
	return must(control.Scan(f.Context(), f.Store, f.inv, p, f.table, f.now()))(f.T)
}

// whatIf asks what relaxing a control would move.
func (f *fleet) whatIf(c host.Control) []triage.Move {
	f.Helper()
	without := func(h *control.Inventoried) host.Protection { return triage.Without(h.Protection, c) }
	return must(control.AskWhatIf(f.Context(), f.Store, f.table, nil, string(c), without, f.now()))(f.T).Moves
}

// returned are the findings the news says came back since a time, and why.
func (f *fleet) returned(since time.Time) (moves []triage.Move, why []triage.Reason) {
	f.Helper()
	news := must(control.WhatsNew(f.Context(), f.Store, f.table, since, f.now()))(f.T)
	for _, r := range news.Returned {
		moves, why = append(moves, r.Moves...), append(why, r.Why...)
	}
	return moves, why
}

func returning(all []triage.Move) (out []triage.Move) {
	for _, m := range all {
		if m.Sooner() {
			out = append(out, m)
		}
	}
	return out
}

// The two lines meet: an agent that was drilled reports, its host is scanned, one control
// is turned to observe, and it is drilled again. Of every control.
func TestWhatRelaxingAControlReturnsIsWhatWhatIfPredicted(t *testing.T) {
	r := drilling(t)
	everyControl(r.fake)
	r.cfg.Proc = fakeProc(t, map[int]process{41: in("demo.service", "/usr/sbin/demod"), 42: in("wg.service", "/usr/sbin/wgd")})
	r.write(filepath.Join(r.cfg.Proc, "sys", "kernel", "osrelease"), "6.1.0-21-amd64\n")
	for _, name := range []string{"etc/shadow", "bin/sh"} { // what steps of private and utility are about
		r.write(filepath.Join(r.cfg.Drill.Root, name), "")
	}
	r.fake.labels[41] = guard.Label{Contained: true}
	r.start(r.fakeCrew)
	f := newFleet(t, r.clock.now)
	r.drilled(Drill{})
	moved := map[host.Control]int{}
	for _, c := range policy.Controls() {
		r.clock.advance(protectionEvery)
		before := r.reported(func(p host.Protection) bool { return allProven(p, r.clock.now()) && p.Reported.Equal(r.clock.now()) })
		was := f.scan(before)
		predicted := f.whatIf(c)

		asked := r.clock.now()
		r.clock.advance(protectionEvery)
		must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{c}}))(t)
		after := r.reported(func(p host.Protection) bool { return !p.Enforced(c) && p.Reported.Equal(r.clock.now()) })
		if after.Generation == before.Generation {
			t.Fatalf("%s: what is in force is no other generation", c)
		}
		for _, s := range after.Controls {
			if (s.Proof == nil) != (s.Control == c) {
				t.Errorf("%s observes: the proof of %s is %+v", c, s.Control, s.Proof)
			}
		}
		if diff := cmp.Diff(predicted, triage.Moves(was, f.scan(after))); diff != "" {
			t.Errorf("%s (-predicted +happened)\n%s", c, diff)
		}
		told, why := f.returned(asked)
		if diff := cmp.Diff(returning(predicted), told); diff != "" {
			t.Errorf("%s (-predicted +told)\n%s", c, diff)
		}
		want := []triage.Reason{{Step: "protection", Code: triage.CodeReturnControl, Args: []string{string(c)}}}
		if diff := cmp.Diff(want, why); diff != "" {
			t.Errorf("%s: why (-want +got)\n%s", c, diff)
		}
		moved[c] = len(predicted)

		must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce, Controls: []host.Control{c}}))(t)
		r.clock.advance(protectionEvery)
		unproven := r.reported(func(p host.Protection) bool { return p.Enforced(c) && p.Reported.Equal(r.clock.now()) })
		if unproven.Proven(c, r.clock.now()) {
			t.Errorf("%s is proven without another drill", c)
		}
		r.drilled(Drill{Controls: []host.Control{c}})
	}
	t.Logf("findings that hang on each control: %v", moved)
	for _, c := range policy.Controls() {
		if none := c == host.Self; (moved[c] == 0) != none {
			t.Errorf("%d findings hang on %s: the test shows nothing of it", moved[c], c)
		}
	}
}

// allProven tells whether a drill in force stands behind every control.
func allProven(p host.Protection, now time.Time) bool {
	for _, c := range policy.Controls() {
		if !p.Proven(c, now) {
			return false
		}
	}
	return true
}
