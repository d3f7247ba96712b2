//go:build guest && linux

package guard_test

import (
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// modeOf is what the programs do about launching now, as they tell it.
func modeOf(t *testing.T, g *guard.Guard) policy.Mode {
	t.Helper()
	s, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	return s.Modes[host.Launch]
}

// Nobody does anything when the time is over.
func TestWhatIsRelaxedIsRefusedAgainByTheKernelsOwnClock(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	a := start(t, attacker)
	a.is(t, false, "launch", scratch+"/in/x")
	end := time.Now().Add(6 * time.Second)
	t.Cleanup(func() { _ = g.RelaxUntil(nil, time.Time{}) })
	if err := g.RelaxUntil([]host.Control{host.Launch}, end); err != nil {
		t.Fatal(err)
	}
	a.is(t, true, "launch", scratch+"/in/x")
	a.is(t, false, "write", "/usr/lib/demo") // another control
	if _, err := g.ApplyRuleset(lifeRules()); err != nil {
		t.Fatal(err)
	}
	a.is(t, true, "launch", scratch+"/in/x") // under the next policy too
	if mode := modeOf(t, g); mode != policy.Observe {
		t.Errorf("told to be in mode %s", mode)
	}
	time.Sleep(time.Until(end) + 100*time.Millisecond)
	a.is(t, false, "launch", scratch+"/in/x")
	if mode := modeOf(t, g); mode != policy.Enforce {
		t.Errorf("after its end told to be in mode %s", mode)
	}
}

func TestWhatIsRelaxedIsRefusedAgainAtOnceWhereSomebodyAsks(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	a := start(t, attacker)
	if err := g.RelaxUntil([]host.Control{host.Launch}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	a.is(t, true, "launch", scratch+"/in/x")
	if err := g.RelaxUntil(nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	a.is(t, false, "launch", scratch+"/in/x")
}
