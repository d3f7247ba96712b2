package agent

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
)

// protection is what the kernel of this host enforces now. A control of which no hook
// is attached is not in it: what is asked for and not in force protects nothing.
func protection(v view, g guard.Status, kernel string, c census, now time.Time) host.Protection {
	p := host.Protection{Kernel: kernel, Reported: now}
	if g.Tier == "" || v.at.IsZero() {
		return p
	}
	p.Generation, p.Tier, p.Contained, p.Partly = g.Generation, g.Tier, c.contained, c.partly
	for _, as := range controlStatuses(v, g, true) {
		if as.Mode == ModeNone {
			continue
		}
		s := host.ControlStatus{Control: as.Control, Mode: as.Mode, Hooks: as.Hooks}
		for _, gap := range as.Gaps {
			s.Gaps = append(s.Gaps, gapText(gap))
		}
		p.Controls = append(p.Controls, s)
	}
	if p.Enforced(host.KernelCtl) {
		p.Surfaces, p.Allowed = surfaces(v.held, v.applied.Gaps, c.lineages, now)
	}
	if p.Enforced(host.ProcessCtl) && !slices.ContainsFunc(g.Missing, asksForWX) {
		p.WX = c.wx
	}
	return p
}

// asksForWX tells of a hook whether the guard needs it to hold processes to W^X.
func asksForWX(m guard.Missing) bool { return m.Hook == "mmap_file" || m.Hook == "file_mprotect" }

func gapText(g guard.Gap) string {
	text := strings.TrimPrefix(g.Subject+": "+g.Why, ": ")
	if g.Rule != "" {
		text += fmt.Sprintf(" (rule %s)", g.Rule)
	}
	return text
}

// alarm tells once of controls that only observe though they are asked to enforce, and has
// the policy put in force again.
func (a *agent) alarm(v view, g guard.Status, now time.Time) {
	open := lacking(controlStatuses(v, g, a.enforcer != nil))
	if len(open) > 0 && !slices.Equal(open, a.open) {
		a.log.Error(onlyObserves(open, g, now))
		a.recorder.note("only-observes", "", onlyObserves(open, g, now), event.Actor{LoginUID: -1})
	}
	if a.open = open; len(open) > 0 {
		if a.force.again(errors.New("the kernel observes what nobody asked it to")) {
			a.wake()
		}
	}
}

// protectionEvery is how often an unchanged protection is confirmed on disk.
const protectionEvery = 5 * time.Minute

// report writes protection.json where it has changed, or it is time to confirm it.
func (a *agent) report(now time.Time) {
	v, g, err := a.force.look()
	if err != nil {
		a.log.Error("the guard does not say how it is", "error", err)
		return // the last report stands, and grows old
	}
	if g.Deaf != "" && !a.deaf {
		a.log.Error("nothing is refused", "why", g.Deaf)
		a.recorder.note("deaf", "", "NOTHING IS REFUSED: "+g.Deaf, event.Actor{LoginUID: -1})
	}
	a.deaf = g.Deaf != ""
	var c census
	if a.enforcer != nil {
		c = a.census()
		c.lineages = a.seen(c.lineages, now)
		if err := a.enforcer.Learn(); err != nil {
			a.log.Error("ports of deputies are not held at new addresses, nor new kinds of devices", "error", err)
		}
	}
	a.alarm(v, g, now)
	p := protection(v, g, a.proc.release(), c, now.UTC())
	a.vouch(&p, v, g, now)
	same := a.reported
	same.Reported = p.Reported
	if reflect.DeepEqual(p, same) && now.Sub(a.reported.Reported) < protectionEvery {
		return
	}
	if err := a.keep.write(protectionFile, p); err != nil {
		a.log.Error("the protection cannot be reported", "error", err)
		return
	}
	a.reported = p
}
