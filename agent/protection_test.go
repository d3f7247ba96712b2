package agent

import (
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// What is asked for and what the kernel has differ where putting it in force fails: only
// the latter protects.
func TestWhatCannotBePutInForceIsNotReportedToBe(t *testing.T) {
	r := newRig(t)
	everyControl(r.fake)
	r.start()
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce, Controls: []host.Control{host.Launch}, Confirm: Span(time.Minute)}))(t)
	r.fake.set(func(f *fake) { f.fail = func(policy.Policy) error { return errors.New("map is full") } })
	if p := r.pass(time.Minute); p.ModeOf(host.Launch) != policy.Observe {
		t.Fatalf("the kernel is not asked to observe again: %s", p.ModeOf(host.Launch))
	}
	r.agent.kick()
	r.untilStatus(func(s Status) bool { return len(s.Faults) > 0 })
	for _, c := range r.status().Controls {
		if c.Control == host.Launch && (c.Mode != host.Enforce || c.Asked != host.Observe) {
			t.Errorf("%+v", c)
		}
	}
	if p := r.reported(func(p host.Protection) bool { return p.Tier != "" }); !p.Enforced(host.Launch) || !p.Enforced(host.Write) {
		t.Errorf("%+v", p.Controls)
	}
	r.fake.set(func(f *fake) { f.fail = nil })
	r.pass(retryAfter)
	r.reported(not(func(p host.Protection) bool { return p.Enforced(host.Launch) }))
}

// Whatever made it observe: what the kernel does is read back from there.
func TestAControlThatOnlyObservesInTheKernelIsToldAndPutInForceAgain(t *testing.T) {
	r := newRig(t)
	everyControl(r.fake)
	r.start()
	r.reported(func(p host.Protection) bool { return p.Enforced(host.Launch) && p.Enforced(host.Write) })
	r.drain()
	r.fake.set(func(f *fake) { f.inForce.Controls = map[host.Control]policy.Mode{host.Launch: policy.Observe} })
	for _, c := range r.status().Controls {
		if want := map[bool]string{true: host.Observe, false: host.Enforce}[c.Control == host.Launch]; c.Mode != want || c.Asked != host.Enforce {
			t.Errorf("%s: mode %s, asked %s", c.Control, c.Mode, c.Asked)
		}
	}
	if f := strings.Join(r.status().Faults, " "); !strings.Contains(f, "launch: asked to enforce, and the kernel ONLY OBSERVES") {
		t.Errorf("faults: %s", f)
	}
	r.agent.kick()
	r.untilStatus(func(s Status) bool { return len(s.Faults) == 0 })
	if n := r.notes("only-observes"); len(n) != 1 || !strings.HasPrefix(n[0].Why, "launch: ") {
		t.Errorf("told %+v", n)
	}
	r.reported(func(p host.Protection) bool { return p.Enforced(host.Launch) })
}

func TestWXIsReportedWhileTheKernelRefusesIt(t *testing.T) {
	var v view
	v.at, v.held = begin, policy.Policy{Mode: policy.Enforce}
	held := census{wx: []string{"shop.service"}}
	status := func(missing ...string) guard.Status {
		g := guard.Status{Tier: guard.TierLSM, Hooks: map[host.Control]int{host.ProcessCtl: 3}, Modes: map[host.Control]policy.Mode{host.ProcessCtl: policy.Enforce}}
		for _, hook := range missing {
			g.Missing = append(g.Missing, guard.Missing{Hook: hook})
		}
		return g
	}
	deaf := status()
	deaf.Hooks = nil
	observing := status()
	observing.Modes = map[host.Control]policy.Mode{host.ProcessCtl: policy.Observe}
	for name, c := range map[string]struct {
		v    view
		g    guard.Status
		want []string
	}{
		"in force":                             {v, status(), []string{"shop.service"}},
		"another hook is missing":              {v, status("userns_create"), []string{"shop.service"}},
		"the hook for mprotect is missing":     {v, status("file_mprotect"), nil},
		"process observes":                     {v, observing, nil},
		"what is refused happens all the same": {v, deaf, nil},
		"nothing was ever put in force":        {view{held: v.held}, status(), nil},
	} {
		if p := protection(c.v, c.g, "6.12", held, begin); !slices.Equal(p.WX, c.want) {
			t.Errorf("%s: %q", name, p.WX)
		}
	}
}

func TestAControlThatWasOffForAMomentIsUnprovenThoughNobodyLooked(t *testing.T) {
	files, unlock, err := openKeep(t.TempDir(), "policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	on := grounds{Kernel: "6.12", Tier: guard.TierLSM}
	shown := proof{At: begin, Expires: begin.Add(time.Hour), Passed: true, Steps: 3, On: on}
	p := &proofs{files: files, log: slog.New(slog.DiscardHandler)}
	p.load()
	if err := p.keep(map[host.Control]proof{host.Launch: shown, host.Write: shown}); err != nil {
		t.Fatal(err)
	}
	proven := func(c host.Control) bool { return p.of(c, host.Enforce, on, 7, begin) != nil }
	all := func(host.Control) string { return host.Enforce } // what is seen: the control refuses again
	p.relaxed(policy.Policy{Mode: policy.Enforce})
	if !proven(host.Launch) || !proven(host.Write) || p.drop(all, on, begin) != nil {
		t.Error("a policy under which everything refuses ended a proof")
	}
	p.relaxed(policy.Policy{Mode: policy.Enforce, Controls: map[host.Control]policy.Mode{host.Launch: policy.Observe}})
	p.relaxed(policy.Policy{Mode: policy.Enforce})
	if proven(host.Launch) || !proven(host.Write) {
		t.Errorf("launch proven %v, write %v", proven(host.Launch), proven(host.Write))
	}
	if gone := p.drop(all, on, begin); len(gone) != 1 || gone[0] != (ended{host.Launch, "the control does not refuse any more"}) {
		t.Errorf("told: %v", gone)
	}
	if gone := p.drop(all, on, begin); gone != nil || proven(host.Launch) {
		t.Errorf("told twice: %v", gone)
	}
	p.relaxed(policy.Policy{Mode: policy.Observe})
	if err := p.keep(map[host.Control]proof{host.Launch: shown}); err != nil || !proven(host.Launch) || proven(host.Write) {
		t.Errorf("a drill since then: launch proven %v, write %v, %v", proven(host.Launch), proven(host.Write), err)
	}
}

// What a proof rests on is looked at whenever it is told, not only when it is reported.
func TestAProofIsGoneTheMomentWhatItRestsOnIsAnother(t *testing.T) {
	release := func(r *rig, text string) {
		dir := filepath.Join(r.cfg.Proc, "sys", "kernel")
		r.write(filepath.Join(dir, "osrelease"), text+"\n")
	}
	for name, change := range map[string]func(t *testing.T, r *rig){
		"policy": func(t *testing.T, r *rig) { must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)}))(t) },
		"tier": func(_ *testing.T, r *rig) {
			r.fake.mu.Lock()
			defer r.fake.mu.Unlock()
			r.fake.status.Tier = guard.TierModRet
		},
		"kernel": func(_ *testing.T, r *rig) { release(r, "6.12.9") },
		"mode": func(t *testing.T, r *rig) {
			must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Launch}}))(t)
		},
		"unlock": func(t *testing.T, r *rig) {
			must(r.client.Unlock(t.Context(), Unlock{Controls: []host.Control{host.Launch}, For: Span(time.Minute), Reason: "x"}))(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := drilling(t)
			r.cfg.Proc = fakeProc(t, map[int]process{})
			release(r, "6.12.8")
			r.start(r.fakeCrew)
			r.drilled(Drill{Controls: []host.Control{host.Launch, host.Write}})
			proven := func() (out []host.Control) {
				for _, c := range r.status().Controls {
					if c.Proof != nil {
						out = append(out, c.Control)
					}
				}
				return out
			}
			if got := proven(); !slices.Equal(got, []host.Control{host.Launch, host.Write}) {
				t.Fatalf("proven before: %v", got)
			}
			change(t, r)
			var want []host.Control // another policy, tier or kernel: nothing is
			if name == "mode" || name == "unlock" {
				want = []host.Control{host.Write}
			}
			if got := proven(); !slices.Equal(got, want) {
				t.Errorf("proven at once after: %v, want %v", got, want)
			}
		})
	}
}
