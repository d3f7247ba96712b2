package agentcli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   a.T("agent.status.short"),
		Long:    a.T("agent.status.long"),
		Example: "  kannuki-agent status\n  kannuki-agent status --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s agent.Status
			err := a.ask(func(c *agent.Client) (err error) {
				s, err = c.Status(cmd.Context())
				return err
			})
			if err != nil {
				return err
			}
			if asJSON {
				err = a.json(s)
			} else {
				err = a.status(s)
			}
			if err == nil && !s.Enforcing {
				return command.Exit(ExitNo)
			}
			return err
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

// status tells how this host is protected: the answer first, then each control, then
// what somebody has to do something about.
func (a *app) status(s agent.Status) error {
	pg := a.page()
	a.statusHead(pg, s)
	a.statusControls(pg, s.Controls)
	a.pending(pg, s.Pending)
	if s.Unlocked != nil {
		pg.Line(textpage.Plain, "")
		a.unlocked(pg, s.Unlocked)
	}
	a.faults(pg, s)
	gaps(pg, openGaps(s))
	if len(s.Missing) > 0 {
		pg.Heading(a.T("agent.missing.title", len(s.Missing)))
		for _, m := range s.Missing {
			pg.Item(2, m.Hook+"  ", m.Why)
		}
	}
	a.statusDrills(pg, s.Controls)
	a.statusGrants(pg, s.Grants)
	a.statusCounts(pg, s)
	a.statusNext(pg, s)
	return pg.Err()
}

// state is the answer in a word: "protected", "partly", "reduced", "observing" or
// "unprotected".
func state(s agent.Status) string {
	lacking, observed := len(s.Missing), 0
	for _, c := range s.Controls {
		if c.Mode != string(policy.Enforce) {
			lacking++
		}
		if c.Mode == string(policy.Observe) {
			observed++
		}
	}
	switch {
	case s.Enforcing && s.Tier == guard.TierFanotify:
		return "reduced"
	case s.Enforcing && lacking == 0:
		return "protected"
	case s.Enforcing:
		return "partly"
	case observed > 0 && s.Reason == "":
		return "observing"
	}
	return "unprotected"
}

func (a *app) statusHead(pg *textpage.Page, s agent.Status) {
	word := state(s)
	style := map[string]textpage.Style{"protected": textpage.Green, "unprotected": textpage.Red}[word]
	if style == textpage.Plain {
		style = textpage.Amber
	}
	title := a.T("agent.status." + word)
	if open := len(openGaps(s)); word == "protected" && open > 0 {
		title, style = a.T("agent.status.with-gaps", open), textpage.Amber
	}
	pg.Sides(style, title, a.DateTime(a.Now()))
	if s.Reason != "" {
		pg.Text(2, a.T("agent.status.reason", s.Reason))
	}
	pg.Text(0, a.T("agent.status.policy", s.Policy.Name, s.Policy.Source))
	if s.Tier != "" {
		pg.Text(0, a.T("agent.status.tier", a.T("agent.tier."+s.Tier), strconv.FormatUint(s.Generation, 10), cmp.Or(s.Kernel, "?")))
	}
	since := a.T("agent.status.since", s.Version, a.Age(a.Now().Sub(s.Since)))
	if s.Adopted {
		since += a.T("agent.status.adopted")
	}
	pg.Text(0, since)
}

// openGaps are what cannot be enforced here, of every control.
func openGaps(s agent.Status) []guard.Gap {
	var open []guard.Gap
	for _, c := range s.Controls {
		open = append(open, c.Gaps...)
	}
	return open
}

// marks show a control at a glance; the word stands beside them.
var marks = map[string]struct {
	mark  string
	style textpage.Style
}{
	string(policy.Enforce): {"[####]", textpage.Green},
	string(policy.Observe): {"[##--]", textpage.Amber},
	agent.ModeNone:         {"[----]", textpage.Red},
}

func (a *app) statusControls(pg *textpage.Page, controls []agent.ControlStatus) {
	pg.Line(textpage.Plain, "")
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{Head: a.T("agent.head.control")}, {}, {Head: a.T("agent.head.mode")},
		{Head: a.T("agent.head.hooks"), Right: true}, {Head: a.T("agent.head.gaps"), Right: true}, {Head: a.T("agent.head.does"), Wrap: true}}}
	for _, c := range controls {
		m, mode := marks[c.Mode], a.T("agent.mode."+c.Mode)
		if c.Overridden {
			mode += " *"
		}
		t.Add(m.style, string(c.Control), m.mark, mode, a.Number(c.Hooks), a.Number(len(c.Gaps)), a.T("agent.does."+string(c.Control)))
	}
	pg.Table(&t)
	for _, c := range controls {
		if c.Overridden {
			pg.Text(2, a.T("agent.status.overridden"))
			break
		}
	}
}

func (a *app) faults(pg *textpage.Page, s agent.Status) {
	list := s.Faults
	if s.Policy.Fault != "" {
		list = append([]string{s.Policy.Fault}, list...)
	}
	if len(list) == 0 {
		return
	}
	pg.Heading(a.T("agent.faults.title"))
	for _, f := range list {
		pg.Item(2, "! ", f)
	}
}

func (a *app) statusGrants(pg *textpage.Page, grants []agent.Grant) {
	if len(grants) == 0 {
		return
	}
	pg.Heading(a.T("agent.grants.title", len(grants)))
	a.grantTable(pg, grants)
}

func (a *app) grantTable(pg *textpage.Page, grants []agent.Grant) {
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{Head: a.T("agent.head.id"), Right: true}, {Head: a.T("agent.head.process"), Flex: true},
		{Head: a.T("agent.head.until")}, {Head: a.T("agent.head.what"), Wrap: true}}}
	for _, g := range grants {
		what := a.T("agent.grant.anything")
		if len(g.Launch)+len(g.Write) > 0 {
			var parts []string
			if len(g.Launch) > 0 {
				parts = append(parts, a.T("agent.grant.launch", a.List(g.Launch)))
			}
			if len(g.Write) > 0 {
				parts = append(parts, a.T("agent.grant.write", a.List(g.Write)))
			}
			what = a.List(parts)
		}
		if g.Reason != "" {
			what += a.T("agent.grant.because", g.Reason)
		}
		t.Add(textpage.Plain, strconv.FormatUint(g.ID, 10), fmt.Sprintf("%s[%d]", g.Comm, g.PID), a.clock(g.Until), what)
	}
	pg.Table(&t)
}

func (a *app) statusCounts(pg *textpage.Page, s agent.Status) {
	pg.Heading(a.T("agent.counts.title"))
	e := s.Events
	pg.Text(2, a.T("agent.counts.events", number(a, e.Refused), number(a, e.Observed), number(a, e.Summed)))
	if lost := e.LostRefusals + e.LostNotes + e.LostSpool + e.LostFollow; lost > 0 {
		pg.Item(2, "! ", a.T("agent.counts.lost", number(a, lost), number(a, e.LostRefusals), number(a, e.LostNotes), number(a, e.LostSpool), number(a, e.LostFollow)))
	}
	for _, x := range s.Exports {
		pg.Item(2, x.Name+"  ", a.T("agent.counts.export", number(a, x.Sent), x.Waiting, number(a, x.Dropped)))
		if x.Error != "" {
			pg.Item(4, "! ", x.Error)
		}
	}
	cost := a.T("agent.counts.memory", megabytes(s.Memory.Agent), megabytes(s.Memory.Kernel))
	if s.EnforcedAfter > 0 {
		cost += a.T("agent.counts.after", time.Duration(s.EnforcedAfter).Round(time.Millisecond).String())
	}
	pg.Text(2, cost)
	if b := s.Boot; b != nil {
		pg.Text(2, a.T("agent.counts.boot", span(time.Duration(b.Unprotected)), a.Number(len(b.Before))))
	}
	switch {
	case s.Inventory.Error != "":
		pg.Item(2, "! ", a.T("agent.counts.no-inventory", s.Inventory.Error))
	case !s.Inventory.Collected.IsZero():
		pg.Text(2, a.T("agent.counts.inventory", s.Inventory.Packages, a.Age(a.Now().Sub(s.Inventory.Collected))))
	}
}

func number(a *app, n uint64) string { return a.Number(int(n)) }

// span is a length of time, as exact as its length lets anybody care.
func span(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// megabytes of bytes, with one decimal.
func megabytes(bytes uint64) string {
	return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', 1, 64) + " MiB"
}

// statusNext is the next step for whoever has nothing else to do.
func (a *app) statusNext(pg *textpage.Page, s agent.Status) {
	if s.Pending == nil && state(s) == "observing" {
		pg.Heading(a.T("agent.next.title"))
		pg.Text(2, a.T("agent.next.observing"))
	}
	proven := slices.ContainsFunc(s.Controls, func(c agent.ControlStatus) bool { return c.Proof != nil })
	if s.Pending == nil && s.Enforcing && !proven {
		pg.Heading(a.T("agent.next.title"))
		pg.Text(2, a.T("agent.next.drill"))
	}
}
