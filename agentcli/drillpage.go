package agentcli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

// verdictStyles underline what the word says.
var verdictStyles = map[drill.Verdict]textpage.Style{
	drill.Refused: textpage.Green, drill.CameOff: textpage.Red, drill.Observed: textpage.Amber, drill.Unproven: textpage.Amber, drill.Skipped: textpage.Faint,
}

// drillPage tells what a drill has shown: the answer, each control with its steps, what
// was kept as proof, and that nothing is left.
func (a *app) drillPage(r agent.DrillReport) error {
	pg := a.page()
	refused, done, skipped := 0, 0, 0
	of := map[host.Control]agent.DrilledOf{}
	for _, c := range r.Controls {
		refused, done, skipped = refused+c.Refused, done+c.Done, skipped+c.Skipped
		of[c.Control] = c
	}
	style, title := textpage.Green, a.T("agent.drill.all", refused)
	switch {
	case done == 0:
		style, title = textpage.Amber, a.T("agent.drill.nothing")
	case refused < done:
		style, title = textpage.Red, a.T("agent.drill.not-all", refused, done)
	}
	pg.Sides(style, title, a.DateTime(r.At))
	pg.Text(0, a.T("agent.drill.on", r.Policy, a.T("agent.tier."+r.Tier), r.Kernel))
	if skipped > 0 {
		pg.Text(0, a.T("agent.drill.skipped", skipped))
	}
	a.drillSections(pg, r.Steps, func(c host.Control) string { return a.drillMark(of[c]) })
	a.drillEnd(pg, r)
	return pg.Err()
}

// drillSections tells steps control by control, in columns of one table.
func (a *app) drillSections(pg *textpage.Page, steps []drill.Outcome, says func(host.Control) string) {
	found := false
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{Head: a.T("agent.head.step")}, {Head: "ATT&CK"}, {Head: a.T("agent.head.found")}, {Head: a.T("agent.head.does-step"), Wrap: true}}}
	for _, o := range steps {
		word := ""
		if o.Verdict != "" {
			word, found = a.T("drill.verdict."+string(o.Verdict)), true
		}
		what := a.drillText(o)
		if o.Verdict == drill.Skipped {
			what = a.drillWhy(o)
		}
		t.Add(verdictStyles[o.Verdict], o.Step, o.Technique, word, what)
	}
	if !found {
		t.Columns[2].Head = ""
	}
	control := host.Control("")
	for i, o := range steps {
		if o.Control != control {
			control = o.Control
			pg.Line(textpage.Plain, "")
			pg.Sides(textpage.Bold, string(control), says(control))
		}
		pg.Row(&t, i, i == 0)
		if o.Why != nil && o.Verdict != drill.Skipped {
			pg.Item(6, "! ", a.drillWhy(o))
		}
	}
}

// drillMark is a control at a glance.
func (a *app) drillMark(c agent.DrilledOf) string {
	switch {
	case c.Mode == agent.ModeNone:
		return a.T("drill.why.not-in-force")
	case c.Done == 0:
		return a.T("agent.drill.none-done")
	}
	const cells = 8
	bar := textpage.Bar(c.Refused, c.Done, cells)
	return fmt.Sprintf("[%s%s] %s", bar, strings.Repeat("-", cells-len(bar)), a.T("agent.drill.of", share(c.Refused, c.Done)))
}

// drillEnd tells what is kept as proof, and what is left behind.
func (a *app) drillEnd(pg *textpage.Page, r agent.DrillReport) {
	pg.Heading(a.T("agent.drill.proof"))
	var kept, failed []string
	var until time.Time
	for _, c := range r.Controls {
		switch {
		case c.Proof == nil:
		case c.Proof.Passed:
			kept, until = append(kept, string(c.Control)), c.Proof.Expires
		default:
			failed = append(failed, string(c.Control))
		}
	}
	switch {
	case r.Void != "":
		pg.Item(2, "! ", a.T("agent.drill.void", a.said("agent.drill.void."+r.Void, r.Reason)))
	case len(kept) > 0:
		pg.Text(2, a.T("agent.drill.kept", a.List(kept), a.DateTime(until)))
	}
	if len(failed) > 0 {
		pg.Item(2, "! ", a.T("agent.drill.failed", a.List(failed)))
	}
	if r.Void == "" && len(kept)+len(failed) == 0 {
		pg.Text(2, a.T("agent.drill.no-proof"))
	}
	if len(r.Left) > 0 {
		pg.Item(2, "! ", a.T("agent.drill.left", a.List(r.Left)))
		return
	}
	pg.Text(2, a.T("agent.drill.clean", len(r.Checked)))
}

// statusDrills tells the last drill of each control; nothing where there was none.
func (a *app) statusDrills(pg *textpage.Page, controls []agent.ControlStatus) {
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{Head: a.T("agent.head.control")}, {Head: a.T("agent.head.found")}, {Head: a.T("agent.head.steps"), Right: true},
		{Head: a.T("agent.head.drilled")}, {Head: a.T("agent.head.until")}}}
	any := false
	for _, c := range controls {
		any = any || c.Proof != nil
	}
	if !any {
		return
	}
	pg.Heading(a.T("agent.drills.title"))
	for _, c := range controls {
		p := c.Proof
		switch {
		case p == nil && c.Mode == string(policy.Enforce):
			t.Add(textpage.Amber, string(c.Control), a.T("agent.drills.none"), "", "", "")
		case p == nil:
		case p.Passed:
			t.Add(textpage.Green, string(c.Control), a.T("agent.drills.proven"), a.Number(p.Steps), a.DateTime(p.At), a.DateTime(p.Expires))
		default:
			t.Add(textpage.Red, string(c.Control), a.T("agent.drills.failed"), a.Number(p.Steps), a.DateTime(p.At), a.DateTime(p.Expires))
		}
	}
	pg.Table(&t)
}

// stepBar shows how far a drill is, on a terminal and once it has taken a second.
type stepBar struct {
	to    io.Writer // nil: nowhere
	now   func() time.Time
	began time.Time
	of    int
}

func (a *app) stepBar(of int) *stepBar {
	b := &stepBar{now: a.Now, began: a.Now(), of: of}
	if command.IsTerminal(a.Stderr) {
		b.to = a.Stderr
	}
	return b
}

const barCells = 20

func (b *stepBar) at(done int, step string) {
	if b.to == nil || b.now().Sub(b.began) < time.Second {
		return
	}
	bar := textpage.Bar(done, b.of, barCells)
	fmt.Fprintf(b.to, "\r[%s%s] %s  %s", bar, strings.Repeat("-", barCells-len(bar)), lang.PadLeft(share(done, b.of), 7), lang.Pad(step, 24))
}

func (b *stepBar) end() {
	if b.to != nil {
		fmt.Fprint(b.to, "\r\x1b[K")
	}
}
