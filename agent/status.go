package agent

import (
	"cmp"
	"fmt"
	"maps"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// view is inForce at one moment.
type view struct {
	loaded    loaded
	modes     modes
	effective policy.Policy // what is asked for
	held      policy.Policy // what the kernel has
	heldText  string
	pending   *Pending
	unlocked  *Unlocked
	applied   guard.Applied
	at, first time.Time // of the last Apply that came off, and of the first one
	failed    error
	odd       []string
}

func (f *inForce) view() view {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.viewed()
}

// look is the view, and what the kernel says at the same moment.
func (f *inForce) look() (view, guard.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.enforcer == nil {
		return f.viewed(), guard.Status{}, nil
	}
	g, err := f.enforcer.Status()
	return f.viewed(), g, err
}

// viewed is the view; f.mu is held.
func (f *inForce) viewed() view {
	v := view{loaded: f.loaded, modes: maps.Clone(f.modes), effective: f.effective(), held: f.held.policy, heldText: f.held.text, applied: f.applied, at: f.at, first: f.first, failed: f.failed, odd: append([]string{}, f.odd...)}
	if f.pending != nil {
		p := f.pending.Pending
		v.pending = &p
	}
	if f.unlocked != nil {
		u := *f.unlocked
		v.unlocked = &u
	}
	return v
}

func (v view) policyStatus() PolicyStatus {
	return PolicyStatus{Name: v.loaded.policy.Name, Source: v.loaded.source, Good: v.loaded.fault == "", Fault: v.loaded.fault, Applied: v.at, Rules: v.applied.Rules}
}

// status is everything the agent knows about itself.
func (a *agent) status() Status {
	v, g, err := a.force.look()
	now := a.now()
	s := Status{Version: a.cfg.Version, Since: a.started, Kernel: a.proc.release(), Reason: a.reason(), Policy: v.policyStatus(),
		Pending: v.pending, Unlocked: v.unlocked, Inventory: a.stock.status(), Memory: Memory{Agent: a.proc.resident()}}
	if err != nil {
		s.Faults = append(s.Faults, fmt.Sprintf("the guard does not say how it is: %v; see journalctl -u kannuki-agent", err))
	}
	s.Tier, s.Generation, s.Adopted, s.Memory.Kernel = g.Tier, g.Generation, g.Adopted, g.KernelBytes
	for _, m := range g.Missing {
		s.Missing = append(s.Missing, Missing{Hook: m.Hook, Why: m.Why})
	}
	if !v.first.IsZero() {
		s.EnforcedAfter = Span(v.first.Sub(a.started))
	}
	s.Boot = a.boots.view()
	s.Controls = controlStatuses(v, g, a.enforcer != nil)
	a.proven(s.Controls, v, g, now)
	for _, c := range s.Controls {
		s.Enforcing = s.Enforcing || c.Mode == host.Enforce
	}
	s.Events = a.recorder.counts(g)
	for _, x := range a.recorder.exporters {
		s.Exports = append(s.Exports, x.status())
	}
	if a.enforcer != nil {
		if s.Grants, err = a.grants.list(); err != nil {
			s.Faults = append(s.Faults, fmt.Sprintf("grants cannot be listed: %v", err))
		}
	}
	if g.Deaf != "" {
		s.Faults = append(s.Faults, "NOTHING IS REFUSED: "+g.Deaf)
	}
	if open := lacking(s.Controls); len(open) > 0 {
		s.Faults = append(s.Faults, onlyObserves(open, g, now))
	}
	s.Faults = append(s.Faults, a.faults(v, now)...)
	return s
}

// reason is why nothing can be enforced; "" where something can.
func (a *agent) reason() string {
	switch {
	case a.enforcer != nil:
		return ""
	case a.cfg.Reason != nil:
		return a.cfg.Reason.Error()
	}
	return "no guard was loaded"
}

// faults are what an administrator should see at once.
func (a *agent) faults(v view, now time.Time) []string {
	var out []string
	if v.loaded.fault != "" {
		out = append(out, v.loaded.fault+"; mend it, then kannuki-agent policy apply")
	}
	if v.failed != nil {
		out = append(out, fmt.Sprintf("what the files ask for is not in force: %v; it is tried again every %v", v.failed, retryAfter))
	}
	if s := a.permits.status(v.effective.Self); s.Asked && !s.Wanted {
		out = append(out, "the policy asks for tokens and names no key, so an administrator's session alone relaxes the guard; name one under self.keys (kannuki token key makes it)")
	}
	out = append(out, v.odd...)
	out = append(out, a.recorder.faults()...)
	if err := a.following(); err != nil {
		out = append(out, fmt.Sprintf("events are not read: %v; refusing goes on", err))
	}
	if v.pending != nil && now.After(v.pending.Deadline) {
		out = append(out, v.pending.What+" was not confirmed and cannot fall back yet")
	}
	return out
}

// controlStatuses are the controls, as they are asked for and as they are in force.
func controlStatuses(v view, g guard.Status, guarded bool) []ControlStatus {
	var out []ControlStatus
	for _, c := range policy.Controls() {
		asked := v.effective.ModeOf(c)
		_, overridden := v.modes[c]
		s := ControlStatus{Control: c, Mode: ModeNone, Asked: string(asked), Overridden: overridden, Hooks: g.Hooks[c]}
		if guarded && !v.at.IsZero() && s.Hooks > 0 {
			s.Mode = cmp.Or(string(g.Modes[c]), ModeNone)
		}
		for _, gap := range v.applied.Gaps {
			if host.Control(gap.Control) == c {
				s.Gaps = append(s.Gaps, gap)
			}
		}
		out = append(out, s)
	}
	return out
}

// lacking are the controls that observe in the kernel and are asked to enforce.
func lacking(controls []ControlStatus) (out []host.Control) {
	for _, c := range controls {
		if c.Mode == host.Observe && c.Asked == host.Enforce {
			out = append(out, c.Control)
		}
	}
	return out
}

// onlyObserves says that of controls, and how long if the kernel knows.
func onlyObserves(controls []host.Control, g guard.Status, now time.Time) string {
	text := listed(controls) + ": asked to enforce, and the kernel ONLY OBSERVES"
	if now.Before(g.RelaxedUntil) {
		text += " until " + stamp(g.RelaxedUntil)
	}
	return text
}

func (r *recorder) counts(g guard.Status) EventCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return EventCounts{Refused: g.Refused, Observed: g.Observed, LostRefusals: g.Drops.Refusals, LostNotes: g.Drops.Notes, Summed: g.Drops.Summed,
		LostSpool: r.spool.Lost(), LostFollow: r.lostFollow.Load()}
}

func (r *recorder) faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := cmp.Or(r.openErr, r.spoolErr); err != nil {
		return []string{fmt.Sprintf("events are not kept on disk: %v", err)}
	}
	return nil
}
