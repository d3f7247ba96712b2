package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// base is the policy with the modes as they were set by hand, as it is when nothing is
// unlocked.
func (f *inForce) base() policy.Policy { return withModes(f.loaded.policy, f.modes) }

// effective is what is asked for now. What is unlocked past its end nobody asks for.
func (f *inForce) effective() policy.Policy {
	if f.unlocked == nil || f.unlocked.due(f.now()) {
		return f.base()
	}
	return withModes(f.base(), f.unlocked.modes())
}

// lasting is what the kernel gets to keep. What may observe for a while only enforces
// there, and is relaxed: that ends whether an agent is there or not.
func (f *inForce) lasting() policy.Policy {
	m := modes{}
	for _, c := range f.opened() {
		m[c] = policy.Enforce
	}
	return withModes(f.base(), m)
}

// opened are the controls that observe until the pending change is confirmed.
func (f *inForce) opened() []host.Control {
	if f.pending == nil {
		return nil
	}
	base := f.base()
	return slices.DeleteFunc(slices.Clone(f.pending.Opens), func(c host.Control) bool { return base.ModeOf(c) != policy.Observe })
}

// relax tells the kernel what may only observe, and until when. It knows one end: where
// two are asked for it is the earlier one, and the agent tells it anew then.
func (f *inForce) relax() error {
	controls := f.opened()
	var until time.Time
	if len(controls) > 0 {
		until = f.pending.Deadline
	}
	if f.unlocked != nil {
		controls, until = union(controls, f.unlocked.Controls), sooner(until, f.unlocked.Until)
	}
	if err := f.enforcer.RelaxUntil(controls, until); err != nil {
		return fmt.Errorf("the kernel programs cannot be told what only observes, and until when: %w", err)
	}
	return nil
}

func withModes(p policy.Policy, m modes) policy.Policy {
	controls := map[host.Control]policy.Mode{}
	maps.Copy(controls, p.Controls)
	maps.Copy(controls, m)
	if p.Controls = controls; len(controls) == 0 {
		p.Controls = nil
	}
	return p
}

// opens are the controls that enforce in one policy and observe in the other.
func opens(from, to policy.Policy) []host.Control {
	return slices.DeleteFunc(policy.Controls(), func(c host.Control) bool {
		return from.ModeOf(c) != policy.Enforce || to.ModeOf(c) != policy.Observe
	})
}

// asksAnew is to be called when something else is asked for.
func (f *inForce) asksAnew() {
	f.book.Store(newBook(f.effective()))
	f.unproven()
}

// unproven ends the proofs of what is asked to observe.
func (f *inForce) unproven() {
	if f.proofs != nil {
		f.proofs.relaxed(f.effective())
	}
}
