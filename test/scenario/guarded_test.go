//go:build linux && amd64

package scenario_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/vm"
	"github.com/kannuki/kannuki/test/scenario"
)

// tiers by the kernel's list of security modules.
var tiers = []struct {
	name string
	lsm  func(testing.TB, *vm.Linux) string
}{
	{"bpf-lsm", func(testing.TB, *vm.Linux) string { return "" }}, // Debian's own list has bpf
	{"fmod-ret", func(t testing.TB, k *vm.Linux) string { return k.WithoutBPF(t) }},
}

// fully is the kernel and tier that everything is run on, and the only ones where the
// machines are not what is asked for (make test-guard).
func fully() string { return chosenKernel() + "/bpf-lsm" }

// onEach runs a test on every kernel and tier.
func onEach(t *testing.T, run func(t *testing.T, c vm.Config, tier string)) {
	for _, series := range vm.Matrix() {
		for _, tier := range tiers {
			name := series + "/" + tier.name
			t.Run(name, func(t *testing.T) {
				if name != fully() && os.Getenv("KANNUKI_VM") != "required" {
					t.Skip("SKIPPED: one kernel and tier is enough here; make test-guard runs on all")
				}
				kernel := vm.Kernel(t, series)
				run(t, vm.Config{Kernel: kernel, LSM: tier.lsm(t, kernel)}, tier.name)
			})
		}
	}
}

// install puts the guard in with its one command, and returns what it says of itself.
func (m *machine) install(t testing.TB) agent.Status {
	t.Helper()
	program := build(t, "github.com/kannuki/kannuki/cmd/kannuki-agent")
	m.Push(t, program, "/root/kannuki-agent")
	began := time.Now()
	if r := m.Do(t, vm.Command{Args: []string{"/root/kannuki-agent", "install"}, Merge: true}); r.ExitCode != 0 {
		t.Fatalf("install: exit status %d\n%s\n%s", r.ExitCode, r.Output, m.Run(t, "", "journalctl", "-u", "kannuki-agent", "--no-pager", "-n", "30").Output)
	}
	s := m.status(t)
	if !s.Enforcing {
		t.Fatalf("nothing is enforced: %+v", s)
	}
	m.note(t, fmt.Sprintf("installed in %.1f s; enforced %s after the agent's start; tier %s; %.1f MiB resident, %.1f MiB in the kernel", time.Since(began).Seconds(),
		time.Duration(s.EnforcedAfter).Round(time.Millisecond), s.Tier, float64(s.Memory.Agent)/(1<<20), float64(s.Memory.Kernel)/(1<<20)))
	for _, f := range s.Faults {
		t.Log("fault: " + f)
	}
	return s
}

// status asks the agent, which may be starting.
func (m *machine) status(t testing.TB) agent.Status {
	t.Helper()
	var said vm.Result
	for range 40 {
		said = m.Do(t, vm.Command{Args: []string{"kannuki-agent", "status", "--json"}})
		var s agent.Status
		if err := json.Unmarshal([]byte(said.Stdout), &s); err == nil {
			return s
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("the agent does not answer: exit status %d\n%s", said.ExitCode, said.Output)
	return agent.Status{}
}

// events are all the agent has told.
func (m *machine) events(t testing.TB) []event.Event {
	t.Helper()
	said := m.Do(t, vm.Command{Args: []string{"kannuki-agent", "events", "--json"}})
	var all []event.Event
	for line := range strings.Lines(said.Stdout) {
		var e event.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("an event is %q: %v", line, err)
		}
		all = append(all, e)
	}
	if said.ExitCode != 0 {
		t.Fatalf("events: exit status %d\n%s\n%s", said.ExitCode, said.Output, m.Run(t, "", "journalctl", "-u", "kannuki-agent", "--no-pager", "-n", "30").Output)
	}
	return all
}

// told are all events of what was done so far: those of one ring come in the order in
// which it was refused, so one more refusal is made and waited for. It is left out.
func (m *machine) told(t testing.TB) []event.Event {
	t.Helper()
	const lasts = "/tmp/kannuki-last-"
	last := lasts + strconv.FormatInt(m.now(t).UnixNano(), 36)
	m.Run(t, "", "sh", "-c", "cp /bin/true "+last+" && "+last+"; rm -f "+last)
	for range 60 {
		if told := m.events(t); slices.ContainsFunc(told, func(e event.Event) bool { return e.Path == last }) {
			return slices.DeleteFunc(told, func(e event.Event) bool { return strings.HasPrefix(e.Path, lasts) })
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatalf("no event tells of %s, which was to be the last", last)
	return nil
}

// now is the machine's clock, which the events go by.
func (m *machine) now(t testing.TB) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(m.Run(t, "", "date", "+%s%N").Stdout), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}

// enforced are the controls that refuse on this host, as it says itself.
func enforced(s agent.Status) []host.Control {
	var all []host.Control
	for _, c := range s.Controls {
		if c.Mode == host.Enforce && c.Hooks > 0 {
			all = append(all, c.Control)
		}
	}
	return all
}

// With the guard every attack is refused to whom it says, and one event tells of it.
func TestEveryAttackIsRefusedWithTheGuard(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c vm.Config, tier string) {
		m := start(t, c)
		all := readAll(t, chosenFiles())
		m.prepare(t, all)
		m.note(t, "everything is prepared")
		s := m.install(t)
		if s.Tier != tier {
			t.Errorf("it is guarded by %s, want %s", s.Tier, tier)
		}
		// One service was there before the guard, the other comes after it.
		m.must(t, "restart", "systemctl restart attacker@root && for i in $(seq 40); do nc -z 127.0.0.1 7002 && exit 0; sleep 0.25; done; exit 1")
		results := m.attack(t, all, true)
		m.note(t, "all attacks are done")
		slowest(t, results)
		told := m.told(t)
		t.Logf("%d events, counts %+v", len(told), m.status(t).Events)
		have := enforced(s)
		t.Logf("enforced: %v", have)
		for _, i := range all {
			if i.ID != "" {
				t.Run(i.Name, func(t *testing.T) { judge(t, i, results[i.N], told, have) })
			}
		}
	})
}

// judge holds what became of an attack against what its file says.
func judge(t *testing.T, i scenario.Instance, r *result, told []event.Event, have []host.Control) {
	t.Helper()
	if r == nil {
		t.Fatalf("%s:%d: not tried", i.File, i.Line)
	}
	if why := r.notReady(); why != "" {
		t.Errorf("%s:%d: what is needed before it: %s", i.File, i.Line, why)
	}
	matching := tellOf(i, r, told)
	if !i.Refuses() {
		if !r.cameOff {
			t.Errorf("%s:%d: refused, and must work for %s: %s\n%s%s", i.File, i.Line, i.Actor, r.Error, r.Output, listed(near(r, told)))
		}
		return
	}
	if !slices.ContainsFunc(i.By, func(c host.Control) bool { return slices.Contains(have, c) }) {
		t.Skipf("SKIPPED: it is for %v to refuse, and this guard says that it enforces %v", i.By, have)
	}
	if r.cameOff {
		t.Errorf("%s:%d: it came off: %s\n%s%s", i.File, i.Line, r.Error, r.Output, listed(near(r, told)))
	}
	if len(matching) == 0 && i.Unseen == "" {
		t.Errorf("%s:%d: no event tells of it (by %v, path with %q); it said: %s\n%s%s", i.File, i.Line, i.By, i.EventPath(), r.Error, r.Output, listed(near(r, told)))
	}
}

// tellOf are the refusals that tell of a step: by one of its controls, at its path, of
// its actor. A path that other steps have too is told once in a while only, with a
// count: then an earlier event of the same actor will do.
func tellOf(i scenario.Instance, r *result, told []event.Event) []event.Event {
	var now, ever []event.Event
	for _, e := range told {
		if e.Kind != event.Refused || !slices.Contains(i.By, host.Control(e.Control)) || !strings.Contains(e.Path, i.EventPath()) || !isActor(i.Actor, e.Actor) {
			continue
		}
		ever = append(ever, e)
		if e.At.After(r.Began.Add(-200*time.Millisecond)) && e.At.Before(r.Ended.Add(time.Second)) {
			now = append(now, e)
		}
	}
	if i.Event == "" || len(now) == 0 {
		return ever
	}
	return now
}

func isActor(name string, a event.Actor) bool {
	switch name {
	case scenario.WWWData:
		return a.UID == 33 && a.Contained
	case scenario.Root:
		return a.UID == 0 && a.Contained
	}
	return true
}

// near are the events of the time in which a step was done.
func near(r *result, told []event.Event) []event.Event {
	var all []event.Event
	for _, e := range told {
		if e.Kind != event.Note && e.At.After(r.Began.Add(-200*time.Millisecond)) && e.At.Before(r.Ended.Add(time.Second)) {
			all = append(all, e)
		}
	}
	return all
}

func listed(events []event.Event) string {
	var b strings.Builder
	b.WriteString("\nevents of that time:\n")
	for _, e := range events[:min(len(events), 20)] {
		line, _ := json.Marshal(e)
		b.Write(append(line, '\n'))
	}
	return b.String()
}
