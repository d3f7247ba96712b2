package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

func TestWithoutConfigurationTheStandardPolicyIsInForce(t *testing.T) {
	r := newRig(t)
	r.start()
	s := r.status()
	if s.Version != "1.2.3" || !s.Enforcing || s.Tier != guard.TierLSM || s.Generation != 1 || s.Reason != "" {
		t.Errorf("status %+v", s)
	}
	if s.Policy.Name != "standard" || s.Policy.Source != "built in" || !s.Policy.Good {
		t.Errorf("policy %+v", s.Policy)
	}
	if s.Memory.Agent == 0 || s.Memory.Kernel != 4096 {
		t.Errorf("memory %+v", s.Memory)
	}
}

func TestAControlWithoutHooksIsNotClaimed(t *testing.T) {
	r := newRig(t)
	r.fake.gaps = []guard.Gap{{Control: "write", Rule: "system:/opt", Subject: "/opt", Why: "is not owned by root"}}
	r.start()
	got := map[host.Control]ControlStatus{}
	for _, c := range r.status().Controls {
		got[c.Control] = c
	}
	if c := got[host.Launch]; c.Mode != host.Enforce || c.Hooks != 5 {
		t.Errorf("launch %+v", c)
	}
	if c := got[host.Private]; c.Mode != ModeNone || c.Asked != host.Enforce {
		t.Errorf("private has no hook, and status says %+v", c)
	}
	if c := got[host.Write]; len(c.Gaps) != 1 {
		t.Errorf("write %+v", c)
	}
	p := r.protection()
	if !p.Enforced(host.Launch) || p.Enforced(host.Private) || len(p.Surfaces) > 0 {
		t.Errorf("protection %+v", p)
	}
	i := slices.IndexFunc(p.Controls, func(c host.ControlStatus) bool { return c.Control == host.Write })
	if i < 0 || !slices.Equal(p.Controls[i].Gaps, []string{"/opt: is not owned by root (rule system:/opt)"}) {
		t.Errorf("protection's gaps %+v", p.Controls)
	}
}

// protection reads the report of an agent that has ended, so that it is written.
func (r *rig) protection() host.Protection {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	var p host.Protection
	text, err := os.ReadFile(filepath.Join(r.cfg.State, protectionFile))
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return p
}

func TestProtectionNamesWhatRunsContained(t *testing.T) {
	r := newRig(t)
	r.cfg.Proc = fakeProc(t, map[int]process{
		41: {comm: "nginx", parent: 1, cgroup: "0::/system.slice/nginx.service\n", exe: "/usr/sbin/nginx"},
		42: {comm: "sshd", parent: 1, cgroup: "0::/system.slice/ssh.service\n", exe: "/usr/sbin/sshd"},
	})
	r.fake.labels[41] = guard.Label{Contained: true}
	inventoried := make(chan struct{})
	r.start(func(a *agent) {
		a.stock.collect = func(context.Context) (host.Inventory, error) {
			defer close(inventoried)
			return host.Inventory{Collected: begin, Processes: []host.Process{{Exe: "/usr/sbin/nginx", Package: "nginx-core"}, {Exe: "/usr/sbin/sshd", Package: "openssh-server"}}}, nil
		}
	})
	<-inventoried
	r.untilStatus(func(s Status) bool { return !s.Inventory.Collected.IsZero() })
	r.pass(pollEvery+time.Second, func(a *agent) { a.force.mu.Lock(); a.force.applied.Until = begin; a.force.mu.Unlock() })
	if p := r.protection(); !slices.Equal(p.Contained, []string{"nginx-core", "nginx.service"}) {
		t.Errorf("contained %v", p.Contained)
	}
}

func TestWhereNothingCanBeEnforcedItSaysSoOnceAndInventories(t *testing.T) {
	r := newRig(t)
	r.fake = nil
	r.cfg.Reason = errors.New("bpf is not in /sys/kernel/security/lsm, and fmod_ret is not there either")
	r.start()
	r.untilStatus(func(s Status) bool { return s.Inventory.Packages == 1 })
	s := r.status()
	if s.Enforcing || !strings.Contains(s.Reason, "fmod_ret is not there") || s.Policy.Name != "standard" || !s.Policy.Applied.IsZero() {
		t.Errorf("status %+v", s)
	}
	if n := strings.Count(r.log.String(), "fmod_ret"); n != 1 {
		t.Errorf("the reason is in the log %d times:\n%s", n, r.log)
	}
	if strings.Contains(r.log.String(), "in force") {
		t.Errorf("a policy nobody enforces is said to be in force:\n%s", r.log)
	}
	v := must(r.client.Explain(t.Context(), Explain{Op: policy.Exec, Path: "/tmp/x", As: policy.AsContained}))(t)
	if v.Allowed {
		t.Errorf("explain %+v", v)
	}
	_, err := r.client.Grant(t.Context(), Ask{For: Span(time.Minute), Reason: "x"})
	refusedWith(t, err, 503, "nothing can be enforced on this host", "fmod_ret is not there")
	if _, err := os.Stat(filepath.Join(r.cfg.State, inventoryFile)); err != nil {
		t.Error(err)
	}
	if p := r.protection(); len(p.Controls) != 0 || p.Tier != "" {
		t.Errorf("protection %+v of a host without a guard", p)
	}
}

func TestACollectorsErrorIsShownAndNotFatal(t *testing.T) {
	r := newRig(t)
	r.start(func(a *agent) {
		a.stock.collect = func(context.Context) (host.Inventory, error) {
			return host.Inventory{}, errors.New("no package database below /")
		}
	})
	r.untilStatus(func(s Status) bool { return strings.Contains(s.Inventory.Error, "no package database") })
	if !r.status().Enforcing {
		t.Error("not enforcing any more")
	}
}

// untilStatus asks for the status until it is as wanted: for what runs beside the loop.
func (r *rig) untilStatus(ok func(Status) bool) {
	r.t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(r.status()); {
		if time.Now().After(end) {
			r.t.Fatalf("still %+v\nlog:\n%s", r.status(), r.log)
		}
	}
}

func TestAMovedPlaceIsResolvedAgain(t *testing.T) {
	r := newRig(t)
	r.start()
	r.fake.events <- event.Event{At: begin, Kind: event.Note, Op: "place-moved", Count: 1}
	<-r.fake.fresh
	r.untilStatus(func(s Status) bool { return s.Generation == 2 })
}

func TestPlacesAreResolvedAgainWhenMountsHaveChanged(t *testing.T) {
	r := newRig(t)
	r.start()
	r.mounts <- struct{}{}
	select {
	case <-r.fake.fresh:
	case <-time.After(10 * time.Second):
		t.Fatal("places were not resolved again")
	}
	r.mounts <- struct{}{} // the loop goes round
	r.mounts <- struct{}{}
	select {
	case <-r.fake.fresh:
		t.Error("places were resolved again within the same second")
	default:
	}
	r.clock.advance(refreshEvery)
	select {
	case <-r.fake.fresh:
	case <-time.After(10 * time.Second):
		t.Fatal("places were not resolved again a second later")
	}
}

func TestPlacesAreResolvedAgainAtMostOnceASecond(t *testing.T) {
	r := newRig(t)
	r.start()
	if err := r.stop(); err != nil { // the loop has ended: its rounds are made here
		t.Fatal(err)
	}
	now := begin.Add(time.Hour)
	for range 100 { // ten seconds of a package transaction
		r.agent.moved.Store(true)
		if next := r.agent.tick(now); r.agent.moved.Load() && next.After(now.Add(refreshEvery)) {
			t.Errorf("comes back after %v although a place moved", next.Sub(now))
		}
		now = now.Add(100 * time.Millisecond)
	}
	if n := len(r.fake.fresh); n != 10 {
		t.Errorf("resolved %d times in ten seconds", n)
	}
	r.agent.tick(now)
	if r.agent.tick(now.Add(time.Second)); r.agent.moved.Load() || len(r.fake.fresh) != 11 {
		t.Errorf("the last move was never resolved: %d times in all", len(r.fake.fresh))
	}
}

func TestAPolicyIsAppliedAgainWhenItsGrantEnds(t *testing.T) {
	r := newRig(t)
	r.fake.until = begin.Add(time.Hour)
	r.start()
	r.drain()
	r.fake.mu.Lock()
	r.fake.until = time.Time{}
	r.fake.mu.Unlock()
	r.clock.advance(59 * time.Minute)
	r.agent.wake()
	if r.status(); len(r.fake.applied) != 0 {
		t.Error("applied before the grant ended")
	}
	r.pass(time.Minute)
}

func TestWhatFailedIsTriedAgain(t *testing.T) {
	r := newRig(t)
	broken := true
	r.fake.fail = func(policy.Policy) error {
		if broken {
			return errors.New("map is full")
		}
		return nil
	}
	r.start()
	s := r.status()
	if len(s.Faults) == 0 || !strings.Contains(s.Faults[0], "map is full") || s.Enforcing {
		t.Errorf("status %+v", s)
	}
	r.fake.mu.Lock()
	broken = false
	r.fake.mu.Unlock()
	r.pass(retryAfter)
	r.untilStatus(func(s Status) bool { return s.Enforcing && len(s.Faults) == 0 })
}

func TestReadingEventsIsTakenUpAgain(t *testing.T) {
	r := newRig(t)
	r.fake.follows = errors.New("ring was closed")
	r.start()
	r.untilStatus(func(s Status) bool { return len(s.Faults) == 1 && strings.Contains(s.Faults[0], "ring was closed") })
	r.fake.mu.Lock()
	r.fake.follows = nil
	r.fake.mu.Unlock()
	sent := make(chan struct{})
	go func() {
		r.fake.events <- event.Event{At: begin, Kind: event.Refused, Op: "exec", Count: 1}
		close(sent)
	}()
	for told := false; !told; {
		r.clock.advance(retryAfter)
		select {
		case <-sent:
			told = true
		case <-time.After(time.Millisecond):
		}
	}
	r.untilStatus(func(s Status) bool { return len(s.Faults) == 0 })
}

func TestOneStateDirectoryHasOneAgent(t *testing.T) {
	r := newRig(t)
	r.start()
	if _, _, err := open(r.cfg); err == nil || !strings.Contains(err.Error(), "another agent uses "+r.cfg.State) {
		t.Errorf("a second agent: %v", err)
	}
}

func TestTheGuardIsLetGoAndNotRemoved(t *testing.T) {
	r := newRig(t)
	r.start()
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if !r.fake.closed {
		t.Error("the enforcer was not closed")
	}
	_, err := r.client.Status(t.Context())
	if !errors.Is(err, ErrNoAgent) || !strings.Contains(err.Error(), "systemctl start kannuki-agent") {
		t.Errorf("asking an agent that is gone: %v", err)
	}
}

func TestEnforcedAfterIsTheFirstApplyThatCameOff(t *testing.T) {
	r := newRig(t)
	var broken atomic.Bool
	broken.Store(true)
	r.fake.fail = func(policy.Policy) error {
		if broken.Load() {
			return errors.New("the verifier says no")
		}
		return nil
	}
	r.start()
	if s := r.status(); s.EnforcedAfter != 0 {
		t.Errorf("nothing is in force, and it says after %v", time.Duration(s.EnforcedAfter))
	}
	broken.Store(false)
	r.pass(retryAfter)
	r.pass(time.Hour, func(a *agent) { a.force.mu.Lock(); a.force.failed = errors.New("again"); a.force.mu.Unlock() })
	if s := r.status(); time.Duration(s.EnforcedAfter) != retryAfter {
		t.Errorf("enforced after %v, want %v", time.Duration(s.EnforcedAfter), retryAfter)
	}
}
