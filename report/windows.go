package report

import (
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage"
)

// windowsStates prints what an export says of Windows' own protections, and for which
// control each counts, or why for none.
func (p *page) windowsStates(w *host.Windows) {
	states := triage.WindowsStates(w)
	p.Heading(p.T("windows.states"))
	if len(states) == 0 {
		p.Text(2, p.T("windows.states.none"))
		return
	}
	for _, s := range states {
		what := p.word("windows.state.", s.What)
		if s.Count > 0 {
			what = p.T("windows.state."+s.What, s.Count)
		}
		text := p.T("windows.state", what, p.word("windows.mode.", s.Mode))
		if counts := p.counts(s); counts != "" {
			text += p.T("windows.state.separator") + counts
		}
		p.Item(2, "- ", text)
	}
	p.Text(2, p.T("windows.states.rest"))
}

// counts says for what a state counts; nothing where it is off and needs no reason.
func (p *page) counts(s triage.WindowsState) string {
	switch {
	case s.Control != "":
		return p.T("windows.counts", p.word("control.", string(s.Control)))
	case s.What == "realtime" && s.Mode == host.Off:
		return p.T("windows.none.realtime-off")
	case s.Mode == host.Off || s.What == "realtime":
		return ""
	}
	if key := "windows.none." + s.What; p.Has(key) {
		return p.T(key)
	}
	return ""
}

// windowsGuard says which controls a Windows host's own report counts for.
func (p *page) windowsGuard(guard host.Protection) string {
	var controls []string
	for _, c := range guard.Controls {
		controls = append(controls, p.T("windows.guard.control", p.word("control.", string(c.Control)), p.word("windows.mode.", c.Mode)))
	}
	return p.T("windows.guard", p.List(controls))
}
