package agent

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// openings are all ways to let only observe what enforces, for ten minutes.
var openings = map[string]func(ctx context.Context, c *Client) error{
	"unlock of a control": func(ctx context.Context, c *Client) error {
		_, err := c.Unlock(ctx, Unlock{Controls: []host.Control{host.Launch}, For: Span(10 * time.Minute), Reason: "x"})
		return err
	},
	"unlock of everything": func(ctx context.Context, c *Client) error {
		_, err := c.Unlock(ctx, Unlock{For: Span(10 * time.Minute), Reason: "x"})
		return err
	},
	"uninstall": func(ctx context.Context, c *Client) error { _, err := c.Uninstall(ctx, Uninstall{}); return err },
	"observe to be confirmed": func(ctx context.Context, c *Client) error {
		_, err := c.SetMode(ctx, SetMode{Mode: policy.Observe, Confirm: Span(10 * time.Minute)})
		return err
	},
	"a policy to be confirmed that observes": func(ctx context.Context, c *Client) error {
		_, err := c.ApplyPolicy(ctx, Apply{Source: source(web + "mode: observe\n"), Confirm: Span(10 * time.Minute)})
		return err
	},
	"an unlock beside a change to be confirmed": func(ctx context.Context, c *Client) error {
		_, err := c.SetMode(ctx, SetMode{Mode: policy.Observe, Controls: []host.Control{host.Launch}, Confirm: Span(10 * time.Minute)})
		if err == nil {
			_, err = c.Unlock(ctx, Unlock{Controls: []host.Control{host.Write}, For: Span(time.Hour), Reason: "x"})
		}
		return err
	},
}

// observed are the controls that only observe in the kernel.
func (f *fake) observed() (out []host.Control) {
	for _, c := range policy.Controls() {
		if f.modeOf(c) == policy.Observe {
			out = append(out, c)
		}
	}
	return out
}

func TestADeadAgentLeavesNothingOpen(t *testing.T) {
	for name, open := range openings {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.start()
			if err := open(t.Context(), r.client); err != nil {
				t.Fatal(err)
			}
			if r.fake.observed() == nil {
				t.Fatal("nothing was opened")
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.clock.advance(10*time.Minute + time.Second)
			if left := r.fake.observed(); left != nil {
				t.Errorf("open without an agent: %v", left)
			}
			r.start()
			if left, s := r.fake.observed(), r.status(); left != nil || s.Unlocked != nil || s.Pending != nil {
				t.Errorf("the next agent: open %v, unlocked %+v, pending %+v", left, s.Unlocked, s.Pending)
			}
		})
	}
}

// The kernel knows one end: the agent tells it the next when the first has come.
func TestTheEndThatComesFirstLeavesTheOther(t *testing.T) {
	r := newRig(t)
	r.start()
	if err := openings["an unlock beside a change to be confirmed"](t.Context(), r.client); err != nil {
		t.Fatal(err)
	}
	if got := listed(r.fake.observed()); got != "launch, write" {
		t.Fatalf("open: %s", got)
	}
	r.pass(10 * time.Minute)
	r.untilStatus(func(s Status) bool { return s.Pending == nil })
	if got := listed(r.fake.observed()); got != "write" {
		t.Errorf("after the change has fallen back: %s", got)
	}
	if r.unlockEnds(50 * time.Minute); r.fake.observed() != nil {
		t.Errorf("after the unlock: %v", r.fake.observed())
	}
}

func TestWhatIsConfirmedObservesForGood(t *testing.T) {
	r := newRig(t)
	r.start()
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Launch}, Confirm: Span(10 * time.Minute)}))(t)
	must(r.client.Confirm(t.Context()))(t)
	r.clock.advance(24 * time.Hour)
	r.restart()
	if got := listed(r.fake.observed()); got != "launch" {
		t.Errorf("observes: %s", got)
	}
}

// What opens is one write that carries its end; no policy is applied for it, or to end it.
func TestTheKernelIsToldTheEndTogetherWithWhatOpens(t *testing.T) {
	clock, kernel := &clock{at: begin}, newFake()
	f := state(t, t.TempDir(), clock, kernel, func(string) {})
	f.start()
	must(f.unlock(Unlock{Controls: []host.Control{host.Launch}, For: Span(10 * time.Minute), Reason: "x"}, anybody))(t)
	clock.advance(10 * time.Minute)
	if _, ended := f.tendUnlock(); ended == nil {
		t.Error("it is over and did not end")
	}
	if got, want := strings.Join(kernel.told, ", "), "launch enforce, nothing, launch until 07:10, nothing"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	kernel.told, kernel.unrelaxed = nil, errors.New("no such map")
	_, err := f.unlock(Unlock{For: Span(time.Minute), Reason: "x"}, anybody)
	refusedWith(t, err, 500, "cannot be told what only observes, and until when: no such map", "what was in force stays")
	if kernel.observed() != nil || f.unlocked != nil {
		t.Errorf("it opened: %v", kernel.observed())
	}
}

// A host that was started anew while something was unlocked is protected first.
func TestAnUnlockThatOutlivesTheKernelIsToldAfterThePolicyIsInForce(t *testing.T) {
	dir, clock := t.TempDir(), &clock{at: begin}
	f := state(t, dir, clock, newFake(), func(string) {})
	f.start()
	must(f.unlock(Unlock{Controls: []host.Control{host.Launch}, For: Span(10 * time.Minute), Reason: "x"}, anybody))(t)
	clock.advance(time.Minute)
	anew := newFake()
	f = state(t, dir, clock, anew, func(string) {})
	f.start()
	if got, want := strings.Join(anew.told, ", "), "launch enforce, launch until 07:10"; got != want || f.failed != nil {
		t.Errorf("got %s, want %s; %v", got, want, f.failed)
	}
}

// The kernel's clock is nobody's to turn: what it has ended, or ends earlier, is over.
func TestAnUnlockThatTheKernelHasEndedIsOver(t *testing.T) {
	ended := func(f *fake) { f.relaxed = nil }
	for name, c := range map[string]struct {
		kernel  func(*fake)
		restart bool
		until   time.Duration // 0: it is over
	}{
		"while the agent runs":                {ended, false, 0},
		"while no agent ran":                  {ended, true, 0},
		"the next agent's clock is behind":    {func(f *fake) { f.relaxedTo = begin.Add(5 * time.Minute) }, true, 5 * time.Minute},
		"both tell the same, nearly":          {func(f *fake) { f.relaxedTo = begin.Add(15*time.Minute - time.Millisecond) }, true, 15 * time.Minute},
		"the next agent's clock is ahead":     {func(f *fake) { f.relaxedTo = begin.Add(20 * time.Minute) }, true, 15 * time.Minute},
		"nothing happened":                    {func(*fake) {}, false, 15 * time.Minute},
		"nothing happened to an agent either": {func(*fake) {}, true, 15 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.start()
			must(r.client.Unlock(t.Context(), locksmith))(t)
			if c.restart {
				if err := r.stop(); err != nil {
					t.Fatal(err)
				}
			}
			r.fake.set(c.kernel)
			if c.restart {
				r.start()
			}
			if c.until == 0 {
				r.agent.wake()
				r.untilStatus(func(s Status) bool { return s.Unlocked == nil })
				r.restart()
				if left := r.fake.observed(); left != nil {
					t.Errorf("opened again: %v", left)
				}
				return
			}
			if u := r.status().Unlocked; u == nil || !u.Until.Equal(begin.Add(c.until)) {
				t.Errorf("unlocked: %+v", u)
			}
			r.clock.advance(c.until - time.Second)
			if got := r.fake.observed(); !slices.Equal(got, locksmith.Controls) {
				t.Errorf("open a second before its end: %v", got)
			}
		})
	}
}

// stubborn is a kernel that relaxes, and fails in saying so.
func stubborn(f *fake) { f.unrelaxed, f.stubborn = errors.New("no such map"), true }

// An unlock that fails, and cannot be taken back: what is told is what the kernel does.
func TestAnUnlockThatFailedAndCannotBeUndoneIsToldAsItIs(t *testing.T) {
	r := newRig(t)
	everyControl(r.fake)
	r.start()
	r.reported(func(p host.Protection) bool { return p.Enforced(host.Launch) })
	r.fake.set(stubborn)
	_, err := r.client.Unlock(t.Context(), locksmith)
	refusedWith(t, err, 500, "no such map")
	p := r.reported(not(func(p host.Protection) bool { return p.Enforced(host.Launch) }))
	if p.Enforced(host.Write) || !p.Enforced(host.Containing) {
		t.Errorf("reported: %+v", p.Controls)
	}
	s := r.status()
	if f := strings.Join(s.Faults, " "); !strings.Contains(f, "launch, write: asked to enforce, and the kernel ONLY OBSERVES until 2026-11-23T07:15:00Z") {
		t.Errorf("faults: %s", f)
	}
	if len(r.notes("unlocked")) != 0 || len(r.notes("only-observes")) != 1 {
		t.Errorf("told %d times that it is unlocked, %d times that it only observes", len(r.notes("unlocked")), len(r.notes("only-observes")))
	}
	r.fake.set(func(f *fake) { f.unrelaxed = nil })
	r.pass(retryAfter)
	r.reported(func(p host.Protection) bool { return p.Enforced(host.Launch) && p.Enforced(host.Write) })
	r.untilStatus(func(s Status) bool { return len(s.Faults) == 0 })
}

func TestALockThatFailsIsNotToldToHaveLocked(t *testing.T) {
	r := newRig(t)
	r.start()
	must(r.client.Unlock(t.Context(), locksmith))(t)
	r.fake.set(func(f *fake) { f.unrelaxed = errors.New("no such map") })
	_, err := r.client.Lock(t.Context())
	refusedWith(t, err, 500, "cannot be locked yet", "no such map", "ends by itself at 2026-11-23T07:15:00Z")
	if s := r.status(); s.Unlocked == nil || len(r.notes("locked")) != 0 {
		t.Errorf("unlocked %+v", s.Unlocked)
	}
	r.fake.set(func(f *fake) { f.unrelaxed = nil })
	must(r.client.Lock(t.Context()))(t)
	if r.fake.observed() != nil || len(r.notes("locked")) != 1 {
		t.Errorf("open: %v", r.fake.observed())
	}
}

// A change that got into the kernel and failed all the same is taken out of it again.
func TestAChangeThatFailsHalfWayIsTakenBackInTheKernelToo(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	r.fake.set(func(f *fake) { f.unrelaxed = errors.New("no such map") })
	_, err := r.client.ApplyPolicy(t.Context(), Apply{Source: source(other)})
	refusedWith(t, err, 500, "no such map", "not in force again yet")
	if r.fake.name() != "web" {
		t.Errorf("in force is %s", r.fake.name())
	}
	r.fake.set(func(f *fake) { f.unrelaxed = nil })
	r.pass(retryAfter)
	if s := r.status(); s.Policy.Name != "web" || r.fake.name() != "web" || filepath.Base(s.Policy.Source) != "policy.yaml" {
		t.Errorf("in force is %s, told %+v", r.fake.name(), s.Policy)
	}
}
