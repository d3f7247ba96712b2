package agentcli

import (
	"cmp"
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) utilitiesCommand() *cobra.Command {
	var opt struct {
		json            bool
		category, since string
	}
	cmd := &cobra.Command{
		Use:     "utilities",
		Short:   a.T("agent.utilities.short"),
		Long:    a.T("agent.utilities.long"),
		Example: "  kannuki-agent utilities\n  kannuki-agent utilities --category shell\n  kannuki-agent utilities --since 7d --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := a.since(cmd, opt.since)
			if err != nil {
				return err
			}
			list, told, err := a.utilitiesHere(cmd.Context(), since)
			if err != nil {
				return err
			}
			if list, err = a.inCategory(cmd, list, opt.category); err != nil {
				return err
			}
			if opt.json {
				return a.json(list)
			}
			return a.utilities(list, since, told)
		},
	}
	cmd.Flags().StringVar(&opt.category, "category", "", a.T("agent.flag.category"))
	cmd.Flags().StringVar(&opt.since, "since", "30d", a.T("agent.flag.since"))
	a.jsonFlag(cmd, &opt.json)
	return cmd
}

// utilitiesHere is the list by the policy in force, with what is installed and who
// asked. Without an agent the policy file answers, and nobody has told who asked.
func (a *app) utilitiesHere(ctx context.Context, since time.Time) (list []*utility, told bool, err error) {
	p, _, err := a.inForce(ctx)
	if err != nil {
		return nil, false, err
	}
	h, err := a.Host()
	if err != nil {
		return nil, false, err
	}
	list = utilityList(p, a.Now())
	f := finderOf(list)
	if err := f.install(filepath.Join("/", h.Root), p.Programs); err != nil {
		return nil, false, err
	}
	events, err := a.recorded(ctx, since)
	if errors.Is(err, agent.ErrNoAgent) {
		a.Say(a.T("agent.utilities.no-agent"))
		return list, false, nil
	} else if err != nil {
		return nil, false, a.answered(err)
	}
	f.count(list, events)
	return list, true, nil
}

// recorded are the events since then but for those of drills, in which nobody wanted
// anything. What could not be read is told.
func (a *app) recorded(ctx context.Context, since time.Time) ([]event.Event, error) {
	c := agent.Dial(a.socket)
	defer c.Close()
	var events []event.Event
	err := a.eachEvent(c.Events(ctx, since, false), func(e event.Event) error {
		if e.Drill == "" {
			events = append(events, e)
		}
		return nil
	})
	return events, err
}

func (a *app) inCategory(cmd *cobra.Command, list []*utility, category string) ([]*utility, error) {
	if category == "" {
		return list, nil
	}
	var categories []string
	for _, u := range list {
		if !slices.Contains(categories, u.Category) {
			categories = append(categories, u.Category)
		}
	}
	if !slices.Contains(categories, category) {
		text := a.T("cli.unknown-value", "--category", category, a.List(categories))
		if near := nearest.Word(category, categories); nearest.Distance(category, near) <= 2 {
			text = a.T("agent.unknown-category-near", category, near)
		}
		return nil, command.Usagef(cmd, "%s", text)
	}
	return slices.DeleteFunc(list, func(u *utility) bool { return u.Category != category }), nil
}

// utilities tells who asked for what, and then each group: why it is refused, what of it
// is here, and who may run some of it.
func (a *app) utilities(list []*utility, since time.Time, told bool) error {
	pg := a.page()
	here := 0
	for _, u := range list {
		if len(u.Installed) > 0 {
			here++
		}
	}
	pg.Text(0, a.T("agent.utilities.title", len(list), here))
	if told {
		a.askings(pg, list, since)
	}
	category := ""
	for from := 0; from < len(list); {
		to := from
		for to < len(list) && list[to].Rule == list[from].Rule {
			to++
		}
		if list[from].Category != category {
			category = list[from].Category
			pg.Heading(category)
		}
		a.utilityGroup(pg, list[from:to])
		from = to
	}
	return pg.Err()
}

// askings tells who asked for utilities, the latest first.
func (a *app) askings(pg *textpage.Page, list []*utility, since time.Time) {
	type row struct {
		name string
		asking
	}
	var rows []row
	for _, u := range list {
		for _, by := range u.Asked {
			rows = append(rows, row{u.Name, by})
		}
	}
	if len(rows) == 0 {
		pg.Text(0, a.T("agent.utilities.unasked", a.DateTime(since)))
		return
	}
	slices.SortStableFunc(rows, func(x, y row) int { return y.Last.Compare(x.Last) })
	pg.Heading(a.T("agent.utilities.asked", a.DateTime(since)))
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{Head: a.T("agent.head.utility"), Flex: true}, {Head: a.T("agent.head.asked-by"), Flex: true},
		{Head: a.T("agent.head.refused"), Right: true}, {Head: a.T("agent.head.observed"), Right: true}, {Head: a.T("agent.head.last")}}}
	for _, r := range rows {
		t.Add(textpage.Plain, r.name, r.Who, a.Number(r.Refused), a.Number(r.Observed), a.clock(r.Last))
	}
	pg.Table(&t)
}

// utilityGroup tells names that have one reason.
func (a *app) utilityGroup(pg *textpage.Page, group []*utility) {
	var here, missing []string
	for _, u := range group {
		if len(u.Installed) == 0 {
			missing = append(missing, u.Name)
			continue
		}
		here = append(here, u.Name+a.otherNames(u))
	}
	pg.Sides(textpage.Plain, "  "+group[0].Rule, group[0].Technique)
	pg.Text(4, cmp.Or(a.groupReason(group[0].Rule, group[0].Why), group[0].Why))
	label := func(key string) string { return "    " + lang.Pad(a.T(key), 10) }
	if len(here) > 0 {
		pg.Item(0, label("agent.utilities.here"), a.List(here))
	}
	if len(missing) > 0 {
		pg.Item(0, label("agent.utilities.missing"), a.List(missing))
	}
	lines, helped := allowedLines(group)
	for _, line := range lines {
		pg.Item(0, label("agent.utilities.allowed"), a.T("agent.utilities.allow", line.rule, a.List(line.names), a.List(line.to)))
	}
	if len(helped) > 0 {
		pg.Item(0, label("agent.utilities.allowed"), a.T("agent.utilities.helpers", a.List(helped)))
	}
}

// otherNames are what a utility is called here besides its name: its versions.
func (a *app) otherNames(u *utility) string {
	var other []string
	for _, file := range u.Installed {
		if base := path.Base(file); base != u.Name && !slices.Contains(other, base) {
			other = append(other, base)
		}
	}
	if len(other) == 0 {
		return ""
	}
	return a.T("agent.utilities.also", strings.Join(other, " "))
}

type allowedLine struct {
	rule      string
	names, to []string
}

// allowedLines join what one rule allows of a group. helped are those who start a shell
// for their helpers only.
func allowedLines(group []*utility) (out []allowedLine, helped []string) {
	for _, u := range group {
		for _, by := range u.Allowed {
			if by.Shell {
				if !slices.Contains(helped, by.To[0]) {
					helped = append(helped, by.To[0])
				}
				continue
			}
			i := slices.IndexFunc(out, func(l allowedLine) bool { return l.rule == by.Rule })
			if i < 0 {
				i, out = len(out), append(out, allowedLine{rule: by.Rule, to: by.To})
			}
			out[i].names = append(out[i].names, u.Name)
		}
	}
	return out, helped
}
