package control_test

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/store/sqlite"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

var start = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

// world is a store with two hosts that run one vulnerable server, and a clock.
type world struct {
	*testing.T
	store.Store
	table *triage.Table
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, now: start}
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "k.db"), func() time.Time { return w.now })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w.Store = db
	if w.table, err = triage.BuiltinTable("ssvc"); err != nil {
		t.Fatal(err)
	}
	batch, err := db.Begin(t.Context(), vuln.File{Path: "records", SHA256: "1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct{ id, text, vector string }{
		{"CVE-2026-10001", "A remote attacker can execute arbitrary code.", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
		{"CVE-2026-10002", "It allows a denial of service.", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"},
	} {
		err := batch.Record(vuln.Record{Source: "osv/debian", ID: r.id, Vulnerabilities: []string{r.id}, Published: start.AddDate(0, -1, 0), Modified: start.AddDate(0, -1, 0),
			Texts: []vuln.Text{{Lang: "en", Details: r.text}}, Severities: []vuln.Severity{{Source: "osv/debian", Version: "3.1", Vector: r.vector}},
			SSVC:     &vuln.SSVC{Source: "cisa-adp", Exploitation: triage.PoC, Automatable: "yes", Impact: "total"},
			Affected: []vuln.Affected{{Ecosystem: "Debian:12", Package: "demo", SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "2"}}}}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Commit(); err != nil {
		t.Fatal(err)
	}
	return w
}

func demo(name string) *host.Inventory {
	return &host.Inventory{Host: host.Host{ID: name + "-id", Name: name, OS: host.OS{ID: "debian", VersionID: "12"}, Importance: "high", Addresses: []string{"203.0.113.5"}}, Collected: start,
		Packages:  []host.Package{{Name: "demo", Version: "1", Source: "demo", SourceVersion: "1", Kind: "dpkg"}},
		Processes: []host.Process{{PID: 1, Name: "demod", Unit: "demo.service", Package: "demo", Listeners: []host.Listener{{Protocol: "tcp", Address: "0.0.0.0", Port: 80}}}}}
}

// full is a protection that refuses everything, proven, as of a time.
func full(at time.Time) host.Protection {
	p := triage.FullProtection(start)
	p.Reported, p.Contained = at, []string{"demo", "demo.service"}
	for i := range p.Controls {
		p.Controls[i].Proof.Expires = start.Add(time.Hour)
	}
	return p
}

func (w *world) scan(name string, p host.Protection) triage.Scan {
	w.Helper()
	s, err := control.Scan(w.Context(), w.Store, demo(name), p, w.table, w.now)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// after moves the clock.
func (w *world) after(d time.Duration) *world { w.now = w.now.Add(d); return w }

// exec is the decision about code execution.
func exec(s triage.Scan) triage.Action {
	i := slices.IndexFunc(s.Findings, func(f triage.Finding) bool { return f.ID == "CVE-2026-10001" })
	if i < 0 {
		return ""
	}
	return s.Findings[i].Decision
}

func (w *world) returned(since time.Duration) map[string][]string {
	w.Helper()
	news, err := control.WhatsNew(w.Context(), w.Store, w.table, w.now.Add(-since), w.now)
	if err != nil {
		w.Fatal(err)
	}
	out := map[string][]string{}
	for _, r := range news.Returned {
		ids := []string{r.Why[0].Code}
		for _, m := range r.Moves {
			ids = append(ids, m.ID)
		}
		out[r.Host] = ids
	}
	return out
}

func TestWhatWasReportedOfAHostCountsUntilItIsTooOld(t *testing.T) {
	w := newWorld(t)
	if got := exec(w.scan("web1", full(start))); got != triage.Scheduled {
		t.Fatalf("guarded: %s", got)
	}
	if got := exec(w.after(10*time.Minute).scan("web1", host.Protection{})); got != triage.Scheduled {
		t.Errorf("ten minutes after the last report: %s", got)
	}
	if got := exec(w.after(10*time.Minute).scan("web1", host.Protection{})); got != triage.OutOfCycle {
		t.Errorf("twenty minutes after the last report: %s", got)
	}
	if got := exec(w.scan("web2", host.Protection{})); got != triage.OutOfCycle {
		t.Errorf("another host is guarded by the report of the first: %s", got)
	}
}

func TestFindingsThatComeBackAreToldWithTheirReasonWithinOneInterval(t *testing.T) {
	for name, c := range map[string]struct {
		wait  time.Duration
		then  func(at time.Time) host.Protection // what is reported then; nil: nothing
		since time.Duration
		want  map[string][]string
	}{
		"the policy is relaxed": {5 * time.Minute, func(at time.Time) host.Protection { return triage.Without(full(at), host.Utility) }, 6 * time.Minute,
			map[string][]string{"web1": {triage.CodeReturnControl, "CVE-2026-10001"}}},
		"the agent is gone": {triage.DefaultReportingInterval + time.Minute, nil, 16 * time.Minute,
			map[string][]string{"web1": {triage.CodeProtectionStale, "CVE-2026-10001"}}},
		"the agent says it enforces nothing any more": {5 * time.Minute, func(at time.Time) host.Protection { return host.Protection{Reported: at} }, 6 * time.Minute,
			map[string][]string{"web1": {triage.CodeReturnControl, "CVE-2026-10001"}}},
		"the drills have expired": {61 * time.Minute, full, 62 * time.Minute, map[string][]string{"web1": {triage.CodeReturnProof, "CVE-2026-10001"}}},
		"the service is not contained any more": {5 * time.Minute, func(at time.Time) host.Protection { p := full(at); p.Contained = []string{"other.service"}; return p }, 6 * time.Minute,
			map[string][]string{"web1": {triage.CodeReturnContained, "CVE-2026-10001"}}},
		"what nothing hangs on is relaxed": {5 * time.Minute, func(at time.Time) host.Protection { return triage.Without(full(at), host.Self) }, 6 * time.Minute,
			map[string][]string{"web1": {triage.CodeReturnControl}}},
		"the guard came and went since": {5 * time.Minute, func(at time.Time) host.Protection { return triage.Without(full(at), host.Utility) }, 24 * time.Hour,
			map[string][]string{"web1": {triage.CodeReturnControl, "CVE-2026-10001"}}},
		"nothing has happened": {5 * time.Minute, full, 6 * time.Minute, map[string][]string{}},
		"it was longer ago than asked": {5 * time.Minute, func(at time.Time) host.Protection { return triage.Without(full(at), host.Utility) }, 0,
			map[string][]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.scan("web1", full(start))
			w.scan("web2", host.Protection{})
			w.after(c.wait)
			if c.then != nil {
				w.scan("web1", c.then(w.now))
			}
			if diff := cmp.Diff(c.want, w.returned(c.since)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatIfPredictsWhatTheNewsTellsAfterwards(t *testing.T) {
	w := newWorld(t)
	w.scan("web1", full(start))
	w.scan("web2", host.Protection{})
	before := func(h *control.Inventoried) host.Protection { return triage.Without(h.Protection, host.Launch) }
	predicted, err := control.AskWhatIf(t.Context(), w.Store, w.table, nil, "without launch", before, w.now)
	if err != nil {
		t.Fatal(err)
	}
	if len(predicted.Hosts) != 2 || len(predicted.Moves) != 1 || predicted.Hosts[0].Sooner != 1 || predicted.Hosts[0].Findings != 2 {
		t.Fatalf("%+v", predicted)
	}
	if got := exec(w.scan("web1", host.Protection{})); got != triage.Scheduled {
		t.Errorf("the question changed the answer: %s", got)
	}
	w.after(time.Minute).scan("web1", triage.Without(full(w.now), host.Launch))
	news, err := control.WhatsNew(t.Context(), w.Store, w.table, start, w.now)
	if err != nil || len(news.Returned) != 1 {
		t.Fatal(news.Returned, err)
	}
	if diff := cmp.Diff(predicted.Moves, news.Returned[0].Moves); diff != "" {
		t.Errorf("(-predicted +happened)\n%s", diff)
	}
	// And back again.
	restored := func(*control.Inventoried) host.Protection { return full(w.now) }
	back, err := control.AskWhatIf(t.Context(), w.Store, w.table, []string{"web1"}, "all on", restored, w.now)
	if err != nil || len(back.Moves) != 1 || !back.Moves[0].Later() || back.Hosts[0].Later != 1 {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestAHostNobodyHasScannedIsNamedWithTheNearest(t *testing.T) {
	w := newWorld(t)
	visit := func(names ...string) error {
		return control.EachHost(t.Context(), w.Store, names, w.now, func(*control.Inventoried) error { return nil })
	}
	var unknown *control.UnknownHost
	if err := visit("web1"); !errors.As(err, &unknown) || unknown.Known != nil {
		t.Errorf("of an empty store: %v", err)
	}
	w.scan("web1", host.Protection{})
	w.scan("db1", host.Protection{})
	for _, name := range []string{"web1", "web1-id"} {
		if err := visit(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := visit("web1", "bd1"); !errors.As(err, &unknown) || unknown.Name != "bd1" || unknown.Near != "db1" || len(unknown.Known) != 2 {
		t.Errorf("%v: %+v", err, unknown)
	}
}

func TestEvidenceTellsWhyAHostIsFreeOrCouldNotBeJudged(t *testing.T) {
	w := newWorld(t)
	w.scan("web1", full(start))
	fixed := demo("new1")
	fixed.Packages[0].Version, fixed.Packages[0].SourceVersion = "2", "2"
	other := demo("other1")
	other.Packages[0].Name, other.Packages[0].Source = "else", "else"
	odd := demo("odd1")
	odd.Host.OS = host.OS{ID: "plan9", VersionID: "4"}
	for _, inv := range []*host.Inventory{fixed, other, odd} {
		if _, err := control.Scan(t.Context(), w.Store, inv, host.Protection{}, w.table, w.now); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"web1": control.Vulnerable, "new1": control.NotAffected, "other1": control.NotNamed, "odd1": control.Unjudged} {
		err := control.EachHost(t.Context(), w.Store, []string{name}, w.now, func(h *control.Inventoried) error {
			ev, err := control.GatherEvidence(t.Context(), w.Store, w.table, *h, "CVE-2026-10001", w.now)
			if ev.Verification.Verdict != want || (len(ev.Findings) > 0) != (want == control.Vulnerable) || len(ev.News.Records) != 1 {
				t.Errorf("%s: %s, %d findings, %d records; want %s", name, ev.Verification.Verdict, len(ev.Findings), len(ev.News.Records), want)
			}
			if want == control.Vulnerable && (ev.Findings[0].Coverage != triage.Contained || len(ev.Findings[0].Stages.Stages) != 5 || ev.Stale) {
				t.Errorf("%s: %+v", name, ev.Findings[0])
			}
			if want == control.NotAffected && (len(ev.Heard) != 1 || ev.Heard[0].Affected || ev.Heard[0].Fixed != "2") {
				t.Errorf("%s: heard %+v", name, ev.Heard)
			}
			_, unknown := control.GatherEvidence(t.Context(), w.Store, w.table, *h, "CVE-1999-0001", w.now)
			if !errors.Is(unknown, store.ErrUnknown) {
				t.Errorf("of what nobody knows: %v", unknown)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
