package guard

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// relaxation is what only observes for a while whatever the policy says.
type relaxation struct {
	controls ruleset.Controls
	until    time.Duration // by the boot clock
}

// relaxing is a relaxation from now until a moment of the wall clock; none where that is
// past, or of no controls.
func relaxing(controls []host.Control, until, now time.Time) (relaxation, error) {
	var r relaxation
	left := untilEnd(until, now)
	if left == 0 || len(controls) == 0 {
		return r, nil
	}
	for _, c := range controls {
		r.controls |= ruleset.ControlBit(c)
	}
	boot, err := bootNow()
	r.until = boot + left
	return r, err
}

// holds tells whether a control only observes at a moment of the boot clock.
func (r relaxation) holds(c ruleset.Controls, boot time.Duration) bool {
	return r.controls&c != 0 && boot < r.until
}

// tell puts into s what r lets only observe, and until when by the wall clock.
func (r relaxation) tell(s *Status, boot time.Duration, now time.Time) {
	if boot < r.until {
		s.Relaxed, s.RelaxedUntil = ruleset.ControlsOf(r.controls), now.Add(r.until-boot)
	}
}

// RelaxUntil lets controls that enforce only observe until a moment, under the policy in
// force and every one that is applied before then, and no others. The kernel ends it by
// its own clock: nobody has to be there. No controls, or a moment that is past, end now
// what held before. On an error that goes on.
func (g *Guard) RelaxUntil(controls []host.Control, until time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	gen, err := g.Generation()
	if err != nil {
		return err
	}
	r, err := relaxing(controls, until, g.now())
	if err != nil {
		return err
	}
	if gen == 0 {
		if r == (relaxation{}) {
			return nil
		}
		return errors.New("guard: there is no policy in force to relax")
	}
	var config bpf.GuardConfig
	if err := g.maps["configs"].Lookup(gen, &config); err != nil {
		return fmt.Errorf("guard: the policy in force: %w", err)
	}
	r.enter(&config)
	if err := g.maps["configs"].Put(gen, config); err != nil {
		return fmt.Errorf("guard: relax: %w", err)
	}
	return nil
}

// enter writes a relaxation into what a generation's programs read.
func (r relaxation) enter(c *bpf.GuardConfig) {
	c.Relaxed, c.RelaxedUntil = uint32(r.controls), uint64(r.until)
}

// relaxedIn is the relaxation in a generation's programs.
func relaxedIn(c bpf.GuardConfig) relaxation {
	return relaxation{ruleset.Controls(c.Relaxed), time.Duration(c.RelaxedUntil)}
}

// keepRelaxed gives a new generation's programs what the old one's are let.
func (g *Guard) keepRelaxed(c *bpf.GuardConfig, old uint64) error {
	var before bpf.GuardConfig
	err := g.maps["configs"].Lookup(old, &before)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil // there was none
	}
	if err != nil {
		return fmt.Errorf("the policy in force: %w", err)
	}
	relaxedIn(before).enter(c)
	return nil
}

// modes reads back what the programs do about each control.
func (g *Guard) modes(s *Status) error {
	if s.Generation == 0 {
		return nil
	}
	var c bpf.GuardConfig
	if err := g.maps["configs"].Lookup(s.Generation, &c); err != nil {
		return fmt.Errorf("guard: the policy in force: %w", err)
	}
	boot, err := bootNow()
	if err != nil {
		return err
	}
	s.Modes = modesIn(c, boot)
	relaxedIn(c).tell(s, boot, g.now())
	return nil
}

// modesIn are the modes of the controls in a generation's programs at a moment of the boot
// clock: refuse of guard/bpf/event.h.
func modesIn(c bpf.GuardConfig, boot time.Duration) map[host.Control]policy.Mode {
	modes, relaxed := map[host.Control]policy.Mode{}, relaxedIn(c)
	for _, control := range policy.Controls() {
		bit := ruleset.ControlBit(control)
		switch {
		case ruleset.Controls(c.Enforce)&bit != 0 && !relaxed.holds(bit, boot):
			modes[control] = policy.Enforce
		case ruleset.Controls(c.Enforce|c.Observe)&bit != 0:
			modes[control] = policy.Observe
		}
	}
	return modes
}
