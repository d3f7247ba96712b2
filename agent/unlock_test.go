package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

var locksmith = Unlock{Controls: []host.Control{host.Launch, host.Write}, For: Span(15 * time.Minute), Reason: "locked out, INC-4711"}

func TestAnUnlockEndsByItself(t *testing.T) {
	r := newRig(t)
	r.start()
	u := must(r.client.Unlock(t.Context(), locksmith))(t)
	if !u.Until.Equal(begin.Add(15*time.Minute)) || r.fake.modeOf(host.Launch) != policy.Observe || r.fake.modeOf(host.Containing) != policy.Enforce {
		t.Errorf("%+v, launch %s, contain %s", u, r.fake.modeOf(host.Launch), r.fake.modeOf(host.Containing))
	}
	if s := r.status(); s.Unlocked == nil || s.Unlocked.Reason != locksmith.Reason || len(s.Faults) > 0 {
		t.Errorf("status %+v", s)
	}
	r.clock.advance(15*time.Minute - time.Second)
	r.agent.wake()
	if r.status(); r.fake.modeOf(host.Launch) != policy.Observe {
		t.Error("it ended before its time")
	}
	r.unlockEnds(time.Second)
	if mode := r.fake.modeOf(host.Launch); mode != policy.Enforce {
		t.Errorf("launch is in mode %s", mode)
	}
	var ops []string
	for e, err := range r.client.Events(t.Context(), time.Time{}, false) {
		ops = append(ops, must(e, err)(t).Op)
	}
	if got := strings.Join(ops, " "); got != "unlocked locked" {
		t.Errorf("notes %q", got)
	}
}

// unlockEnds lets time pass after which nothing is unlocked any more.
func (r *rig) unlockEnds(after time.Duration) {
	r.t.Helper()
	r.clock.advance(after)
	r.agent.wake()
	r.untilStatus(func(s Status) bool { return s.Unlocked == nil })
}

func TestAnUnlockEndsThoughTheAgentWasOff(t *testing.T) {
	for name, c := range map[string]struct {
		off  time.Duration
		want policy.Mode
	}{
		"its time was over":           {16 * time.Minute, policy.Enforce},
		"its time is not over":        {14 * time.Minute, policy.Observe},
		"the clock went back":         {-400 * 24 * time.Hour, policy.Enforce},
		"the clock went back a bit":   {-2 * time.Minute, policy.Enforce},
		"it ends in the same instant": {15 * time.Minute, policy.Enforce},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.t = t
			r.start()
			must(r.client.Unlock(t.Context(), locksmith))(t)
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.clock.advance(c.off)
			r.start()
			if got := r.fake.modeOf(host.Launch); got != c.want {
				t.Errorf("launch is in mode %s", got)
			}
			_, err := os.Stat(filepath.Join(r.cfg.State, unlockFile))
			if (err == nil) != (c.want == policy.Observe) {
				t.Errorf("%s: %v", unlockFile, err)
			}
			if c.want == policy.Observe {
				if r.unlockEnds(time.Minute); r.fake.modeOf(host.Launch) != policy.Enforce {
					t.Error("it did not end")
				}
			}
		})
	}
}

func TestWhatWasUnlockedUnreadablyIsLocked(t *testing.T) {
	for name, text := range map[string]string{"no JSON": "{", "no time": `{"controls":["launch"]}`, "no control": `{"asked":"2026-11-23T07:00:00Z","until":"2026-11-23T09:00:00Z"}`,
		"a control there is not": `{"controls":["lunch"],"asked":"2026-11-23T07:00:00Z","until":"2026-11-23T09:00:00Z"}`} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write(filepath.Join(r.cfg.State, unlockFile), text)
			r.start()
			if s := r.status(); r.fake.modeOf(host.Launch) != policy.Enforce || s.Unlocked != nil || !strings.Contains(strings.Join(s.Faults, " "), "so it is locked") {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestLockEndsAnUnlockAtOnce(t *testing.T) {
	r := newRig(t)
	r.start()
	_, err := r.client.Lock(t.Context())
	refusedWith(t, err, 409, "nothing is unlocked")
	must(r.client.Unlock(t.Context(), locksmith))(t)
	must(r.client.Lock(t.Context()))(t)
	if r.status().Unlocked != nil || r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Error("it is not locked")
	}
	r.restart()
	if r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Error("a restart unlocked it again")
	}
}

// While something is unlocked, what is changed for good is judged by what holds without.
func TestAnUnlockIsNoWayToRelaxForGood(t *testing.T) {
	r, o := wanting(t)
	ask := locksmith
	ask.Token = o.sign("unlock")
	must(r.client.Unlock(t.Context(), ask))(t)
	_, err := r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: ask.Controls})
	refusedWith(t, err, 403, "asks for a signed token")
	r.unlockEnds(15 * time.Minute)
	if r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Error("it is relaxed after the unlock")
	}
}

func TestAnUnlockIsPossibleWhileAChangeWaitsAndLeavesItAlone(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web)
	r.start()
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(other), Confirm: Span(10 * time.Minute)}))(t)
	must(r.client.Unlock(t.Context(), Unlock{Controls: []host.Control{host.Launch}, For: Span(5 * time.Minute), Reason: "x"}))(t)
	if r.unlockEnds(5 * time.Minute); r.fake.name() != "other" || r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Errorf("after the unlock %s", r.fake.name())
	}
	if p := r.pass(5 * time.Minute); p.Name != "web" {
		t.Errorf("it fell back to %s", p.Name)
	}
}

func TestAnUnlockHasAnEndAndAReason(t *testing.T) {
	r := newRig(t)
	r.start()
	for want, u := range map[string]Unlock{
		"needs an end":             {Reason: "x"},
		"at most 24h":              {For: Span(25 * time.Hour), Reason: "x"},
		"needs a reason":           {For: Span(time.Minute)},
		`there is no control "lun`: {Controls: []host.Control{"lunch"}, For: Span(time.Minute), Reason: "x"},
	} {
		_, err := r.client.Unlock(t.Context(), u)
		refusedWith(t, err, 400, want)
	}
}

// The guard lets itself be taken off: its defence of itself is observed for a while, and
// what comes after it is not held to its policy.
func TestUninstallOpensTheGuardItselfForAWhile(t *testing.T) {
	r, o := wanting(t)
	u := must(r.client.Uninstall(t.Context(), Uninstall{Token: o.sign("uninstall")}))(t)
	if r.fake.modeOf(host.Self) != policy.Observe || r.fake.modeOf(host.Launch) != policy.Enforce || u.Until.Sub(begin) != forUninstall {
		t.Errorf("%+v: self is in mode %s, launch in mode %s", u, r.fake.modeOf(host.Self), r.fake.modeOf(host.Launch))
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.write(r.cfg.Policy, web)
	r.clock.advance(time.Hour)
	r.start()
	if s := r.status(); !s.Policy.Good || r.fake.modeOf(host.Self) != policy.Enforce {
		t.Errorf("the next guard: %+v", s.Policy)
	}
}

func TestWhereNothingIsEnforcedNothingIsUnlocked(t *testing.T) {
	r := newRig(t)
	r.fake = nil
	r.start(stranger)
	_, err := r.client.Unlock(t.Context(), locksmith)
	refusedWith(t, err, 503, "nothing can be enforced")
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe}))(t)
}
