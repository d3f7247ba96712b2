package agentcli

import (
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

// shownGaps is how many gaps of a control a page tells before it folds.
const shownGaps = 3

// changes tells what a policy changes: "+" and "-" as in a patch, "!" where it loosens.
func changes(pg *textpage.Page, list []policy.Change) {
	for _, c := range list {
		mark := map[string]string{"added": "+", "removed": "-"}[c.Kind]
		if mark == "" {
			mark = "~"
		}
		if c.Loosens {
			mark += "!"
		}
		pg.Item(2, (mark + "  ")[:3], c.Rule+": "+c.Text)
	}
}

// changed tells what came of a change, and how to keep it.
func (a *app) changed(c agent.Changed) error {
	pg := a.page()
	pg.Line(textpage.Bold, a.T("agent.changed.title", c.Policy, strconv.FormatUint(c.Generation, 10)))
	if len(c.Changes) == 0 {
		pg.Text(2, a.T("agent.changed.nothing"))
	}
	changes(pg, c.Changes)
	gaps(pg, c.Gaps)
	a.pending(pg, c.Pending)
	return pg.Err()
}

// pending tells what falls back and how to keep it.
func (a *app) pending(pg *textpage.Page, p *agent.Pending) {
	if p == nil {
		return
	}
	pg.Heading(a.T("agent.pending.title"))
	pg.Text(2, a.T("agent.pending.what", p.What, a.clock(p.Deadline), a.left(p.Deadline), p.FallsBack))
	pg.Line(textpage.Amber, "  "+a.T("agent.pending.how"))
}

// gaps tells what cannot be enforced here.
func gaps(pg *textpage.Page, list []guard.Gap) {
	if len(list) == 0 {
		return
	}
	pg.Heading(pg.T("agent.gaps.title", len(list)))
	told := map[string]int{}
	for _, g := range list {
		if told[g.Control]++; told[g.Control] <= shownGaps {
			pg.Item(2, g.Control+"  ", strings.TrimSpace(strings.Join(notEmpty(g.Subject, g.Why), ": ")))
		}
	}
	for _, control := range policy.Controls() {
		if all := told[string(control)]; all > shownGaps {
			pg.Text(2, pg.T("agent.gaps.more", control, all-shownGaps))
		}
	}
}

func notEmpty(words ...string) (out []string) {
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// clock is the time of day, with the day where it is another one.
func (a *app) clock(t time.Time) string {
	t, now := t.In(a.Now().Location()), a.Now()
	if t.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return t.Format("15:04:05")
	}
	return t.Format("2006-01-02 15:04:05")
}

// left is how long it is until t, in minutes, at least none.
func (a *app) left(t time.Time) string {
	return a.T("agent.left", int(max(0, t.Sub(a.Now())).Round(time.Minute)/time.Minute))
}
