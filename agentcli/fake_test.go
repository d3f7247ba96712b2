package agentcli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// fakeGuard is a kernel for transcripts: it enforces nothing and remembers what it was
// asked. It tells two events and has a gap, so that pages have something to show.
type fakeGuard struct {
	now     func() time.Time
	lacking bool // a hook
	reduced bool // it is the third tier
	asked   bool // for utilities too
	drilled chan event.Event

	mu     sync.Mutex
	gen    uint64
	policy policy.Policy
	open   []host.Control // that only observe until then
	until  time.Time
	grants []guard.Grant
	labels map[int]guard.Label
}

func newFakeGuard(now func() time.Time) *fakeGuard {
	return &fakeGuard{now: now, labels: map[int]guard.Label{}, drilled: make(chan event.Event)}
}

var fakeGaps = []guard.Gap{
	{Control: string(host.Launch), Subject: "/opt/app", Why: "a file system of kind nfs is mounted there"},
}

func (f *fakeGuard) RelaxUntil(controls []host.Control, until time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open, f.until = controls, until
	return nil
}

func (f *fakeGuard) Apply(p policy.Policy, _ time.Time) (guard.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gen++
	f.policy = p
	return guard.Applied{Generation: f.gen, Gaps: fakeGaps, Rules: 321}, nil
}

func (f *fakeGuard) Status() (guard.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	hooks, modes := map[host.Control]int{}, map[host.Control]policy.Mode{}
	for i, c := range policy.Controls() {
		hooks[c], modes[c] = i+2, f.policy.ModeOf(c)
		if slices.Contains(f.open, c) && f.now().Before(f.until) {
			modes[c] = policy.Observe
		}
	}
	if f.reduced {
		return guard.Status{Tier: guard.TierFanotify, Generation: f.gen, Hooks: map[host.Control]int{host.Launch: 1}, Modes: modes, Refused: 3,
			Missing: []guard.Missing{{Hook: "bpf-lsm, fmod-ret", Why: "this kernel describes no types (BTF)"}}}, nil
	}
	s := guard.Status{Tier: guard.TierLSM, Generation: f.gen, Hooks: hooks, Modes: modes, Refused: 3, KernelBytes: 5 << 20}
	if len(f.open) > 0 && f.now().Before(f.until) {
		s.Relaxed, s.RelaxedUntil = f.open, f.until
	}
	if f.lacking {
		s.Missing = []guard.Missing{{Hook: "file_truncate", Why: "this kernel has no bpf_lsm_file_truncate"}}
	}
	return s, nil
}

func (f *fakeGuard) Follow(ctx context.Context, each func(event.Event)) error {
	web := event.Actor{PID: 812, Comm: "nginx", Parent: 1, ParentIs: "systemd", UID: 33, LoginUID: -1, Contained: true}
	each(event.Event{At: f.now(), Kind: event.Refused, Control: string(host.Launch), Op: "exec", Count: 3, Path: "/tmp/x", Space: "user", Rule: "user-space", Actor: web})
	each(event.Event{At: f.now(), Kind: event.Observed, Control: string(host.Private), Op: "read", Count: 1, Path: "/etc/shadow\x1b[2J", Space: "private", Rule: "private:/etc/shadow", Actor: web})
	for _, e := range f.askedFor(web) {
		each(e)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-f.drilled:
			each(e)
		}
	}
}

// askedFor are utilities a service asked for: by name, by a file that a link leads to, and
// one that is refused for the rights it would give.
func (f *fakeGuard) askedFor(web event.Actor) []event.Event {
	if !f.asked {
		return nil
	}
	web.Unit = "nginx.service"
	utility := event.Event{At: f.now().Add(-time.Hour), Kind: event.Refused, Control: string(host.Utility), Op: "utility", Count: 12, Path: "/usr/bin/python3.11", Rule: "utility:language", Actor: web}
	linked, risen := utility, utility
	linked.Path, linked.Rule, linked.Kind, linked.Count = "/usr/bin/w.other", "utility:discovery-session", event.Observed, 2
	risen.Path, risen.Rule, risen.Op, risen.Control, risen.Count, risen.At = "/usr/bin/sudo", "setuid", "setuid", string(host.Containing), 1, f.now()
	return []event.Event{utility, linked, risen}
}

func (f *fakeGuard) Label(pid int) (guard.Label, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.labels[pid], nil
}

func (f *fakeGuard) Contain(pid int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.labels[pid] = guard.Label{Contained: true}
	if comm, by := parentOf(pid); comm == drill.Comm {
		go f.refuseDrill(by, pid)
	}
	return nil
}

// parentOf is a process's name and its parent.
func parentOf(pid int) (comm string, parent int) {
	var state string
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	name, rest, _ := strings.Cut(string(text), ") ")
	_, comm, _ = strings.Cut(name, "(")
	if _, err := fmt.Sscan(rest, &state, &parent); err != nil {
		return "", 0
	}
	return comm, parent
}

// refuseDrill tells a refusal of every step there is, by the process that the fake crew
// says it was: whoever asked for the drill.
func (f *fakeGuard) refuseDrill(by, actor int) {
	for _, s := range drill.Steps() {
		f.drilled <- event.Event{At: f.now(), Kind: event.Refused, Control: string(s.Control), Op: s.Op, Count: 1, Rule: "kernel:" + string(s.Surface),
			Actor: event.Actor{PID: by, Comm: drill.Comm, Parent: actor, UID: 0, LoginUID: -1, Contained: !s.Everybody}}
	}
}

func (f *fakeGuard) Grant(pid int, e guard.Exception) (guard.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := guard.Grant{ID: uint64(len(f.grants) + 1), PID: pid, Until: f.now().Add(e.For), Exception: e}
	f.grants = append(f.grants, g)
	return g, nil
}

func (f *fakeGuard) Grants() ([]guard.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]guard.Grant{}, f.grants...), nil
}

func (f *fakeGuard) Revoke(id uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, g := range f.grants {
		if g.ID == id {
			f.grants = append(f.grants[:i], f.grants[i+1:]...)
			return nil
		}
	}
	return errors.New("there is no such grant")
}

func (f *fakeGuard) Refresh() (bool, []guard.Gap, error) { return false, fakeGaps, nil }

func (f *fakeGuard) Learn() error  { return nil }
func (f *fakeGuard) Close() error  { return nil }
func (f *fakeGuard) Remove() error { return nil }
