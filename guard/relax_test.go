package guard

import (
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

func TestModesAreWhatTheProgramsDoNowAndNotWhatThePolicyAskedFor(t *testing.T) {
	const minute = time.Minute
	all := uint32(ruleset.ControlLaunch | ruleset.ControlWrite)
	for name, c := range map[string]struct {
		config        bpf.GuardConfig
		launch, write policy.Mode
	}{
		"nothing is relaxed":         {bpf.GuardConfig{Enforce: all}, policy.Enforce, policy.Enforce},
		"one control":                {bpf.GuardConfig{Enforce: all, Relaxed: uint32(ruleset.ControlLaunch), RelaxedUntil: uint64(2 * minute)}, policy.Observe, policy.Enforce},
		"its end is now":             {bpf.GuardConfig{Enforce: all, Relaxed: uint32(ruleset.ControlLaunch), RelaxedUntil: uint64(minute)}, policy.Enforce, policy.Enforce},
		"what observes anyway stays": {bpf.GuardConfig{Enforce: uint32(ruleset.ControlWrite), Observe: uint32(ruleset.ControlLaunch), Relaxed: all, RelaxedUntil: uint64(minute)}, policy.Observe, policy.Enforce},
		"no rules of a control":      {bpf.GuardConfig{Observe: uint32(ruleset.ControlLaunch)}, policy.Observe, ""},
	} {
		got := modesIn(c.config, minute)
		if got[host.Launch] != c.launch || got[host.Write] != c.write {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestARelaxationIsTimedByTheBootClockAndEndsByIt(t *testing.T) {
	now := time.Date(2026, 11, 24, 7, 0, 0, 0, time.UTC)
	boot, err := bootNow()
	if err != nil {
		t.Fatal(err)
	}
	r, err := relaxing([]host.Control{host.Launch, host.Self}, now.Add(time.Hour), now)
	if err != nil || r.controls != ruleset.ControlLaunch|ruleset.ControlSelf || r.until < boot+time.Hour || r.until > boot+time.Hour+time.Minute {
		t.Fatalf("%+v, %v; booted %v ago", r, err, boot)
	}
	var c bpf.GuardConfig
	r.enter(&c)
	if relaxedIn(c) != r {
		t.Errorf("the programs read %+v, not %+v", relaxedIn(c), r)
	}
	var s Status
	r.tell(&s, r.until-time.Minute, now)
	if !slices.Equal(s.Relaxed, []host.Control{host.Launch, host.Self}) || !s.RelaxedUntil.Equal(now.Add(time.Minute)) {
		t.Errorf("a minute before its end: %v until %v", s.Relaxed, s.RelaxedUntil)
	}
	s = Status{}
	if r.tell(&s, r.until, now); s.Relaxed != nil || r.holds(ruleset.ControlLaunch, r.until) {
		t.Errorf("at its end: %v", s.Relaxed)
	}
	for name, ended := range map[string]func() (relaxation, error){
		"a moment that is past": func() (relaxation, error) { return relaxing([]host.Control{host.Launch}, now, now) },
		"no controls":           func() (relaxation, error) { return relaxing(nil, now.Add(time.Hour), now) },
		"no moment":             func() (relaxation, error) { return relaxing([]host.Control{host.Launch}, time.Time{}, now) },
	} {
		if r, err := ended(); r != (relaxation{}) || err != nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}
