package triage

import (
	"slices"

	"github.com/kannuki/kannuki/host"
)

// Stage is one stage of an attack, and what of it the guard refuses here.
type Stage struct {
	Stage    string         `json:"stage"`
	State    string         `json:"state"`
	Controls []host.Control `json:"controls,omitempty"` // that refuse it
	Proven   bool           `json:"proven"`             // a drill in force stands behind every one of them
}

// The stages of an attack, in its order.
const (
	StageEntry       = "entry"       // the bug is reached and fires
	StageExecution   = "execution"   // the attacker's programs, scripts and shells run
	StagePersistence = "persistence" // the attacker comes back after a restart
	StagePrivilege   = "privilege"   // the attacker becomes somebody stronger
	StageImpact      = "impact"      // secrets are read, the host and other services are changed
)

// What the guard leaves of a stage.
const (
	StageRefused = "refused" // nothing of it is known to be left
	StagePartly  = "partly"  // some of it is refused
	StageOpen    = "open"    // all of it is left
)

// AttackStages lists all stages in the order of an attack; StageStates what may be
// left of one.
var (
	AttackStages = []string{StageEntry, StageExecution, StagePersistence, StagePrivilege, StageImpact}
	StageStates  = []string{StageRefused, StagePartly, StageOpen}
)

// hurdles are the controls that together refuse a stage to whoever is inside a
// contained process, and those that alone refuse a part of it. Nothing refuses the
// whole impact: a service reads and writes its own data.
var hurdles = []struct {
	stage      string
	most       string // the strongest state there is
	all        []host.Control
	any        []host.Control
	everywhere bool // the first of all holds outside containment too
}{
	{StageExecution, StageRefused, []host.Control{host.Launch, host.Utility, host.Containing}, []host.Control{host.Launch, host.Utility}, true},
	{StagePersistence, StageRefused, []host.Control{host.Write, host.Containing}, []host.Control{host.Write}, true},
	{StagePrivilege, StageRefused, []host.Control{host.ProcessCtl, host.KernelCtl, host.Containing}, []host.Control{host.ProcessCtl, host.KernelCtl}, false},
	{StageImpact, StagePartly, []host.Control{host.Write, host.Private, host.Containing}, []host.Control{host.Write, host.Private}, false},
}

// stages fills in what of each stage of the attack is refused. It is the outlook of
// one who has come in through this vulnerability: each stage is judged by itself, also
// those after one that is refused.
func (v *covering) stages(outcomes []outcome, claims []claim) {
	v.result.Stages = append(v.result.Stages, v.entry(outcomes, claims))
	held := v.held(outcomes, claims)
	for _, h := range hurdles {
		s := Stage{Stage: h.stage, State: StageOpen}
		switch {
		case held && v.enforced(h.all):
			s.State, s.Controls = h.most, h.all
		case held:
			s.Controls = slices.DeleteFunc(slices.Clone(h.any), func(c host.Control) bool { return !v.protection.Enforced(c) })
		case h.everywhere && !v.component.Kernel && v.protection.Enforced(h.all[0]):
			s.Controls = h.all[:1]
		}
		if s.State == StageOpen && len(s.Controls) > 0 {
			s.State = StagePartly
		}
		v.result.Stages = append(v.result.Stages, v.proved(s))
	}
}

// entry is refused where every way in is closed at its first step.
func (v *covering) entry(outcomes []outcome, claims []claim) Stage {
	s := Stage{Stage: StageEntry, State: StageRefused}
	for i, o := range outcomes {
		switch {
		case o.coverCase == caseDoS:
		case claims[i].proved != Prevented:
			return Stage{Stage: StageEntry, State: StageOpen}
		default:
			for _, c := range claims[i].needs {
				if !slices.Contains(s.Controls, c) {
					s.Controls = append(s.Controls, c)
				}
			}
		}
	}
	return v.proved(s)
}

// held tells whether the attacker acts from inside a contained process: the component
// is one, or every way in starts from one. Who is in the kernel is held by nothing.
func (v *covering) held(outcomes []outcome, claims []claim) bool {
	for i, o := range outcomes {
		switch {
		case o.coverCase == caseDoS, o.local && len(v.protection.Contained) > 0 && (!v.component.Kernel || claims[i].proved == Prevented):
		case v.component.Kernel || !v.contained():
			return false
		}
	}
	return true
}

func (v *covering) enforced(controls []host.Control) bool {
	return !slices.ContainsFunc(controls, func(c host.Control) bool { return !v.protection.Enforced(c) })
}

// proved takes a stage one step back where no drill in force stands behind it.
func (v *covering) proved(s Stage) Stage {
	if s.State == StageOpen {
		return s
	}
	s.Proven = !slices.ContainsFunc(s.Controls, func(c host.Control) bool { return !v.protection.Proven(c, v.now) })
	if s.Proven {
		return s
	}
	s.State = StageStates[slices.Index(StageStates, s.State)+1]
	if s.State == StageOpen {
		s.Controls = nil
	}
	return s
}
