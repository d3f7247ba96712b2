package agentcli

import (
	"context"
	"io"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent/suggest"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) suggestCommand() *cobra.Command {
	var opt struct {
		json, yaml bool
		since      string
	}
	cmd := &cobra.Command{
		Use:     "suggest",
		Short:   a.T("agent.suggest.short"),
		Long:    a.T("agent.suggest.long"),
		Example: "  kannuki-agent suggest\n  kannuki-agent suggest --since 7d --yaml >> web.yaml\n  kannuki-agent suggest --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := a.since(cmd, opt.since)
			if err != nil {
				return err
			}
			list, err := a.suggestions(cmd.Context(), since)
			switch {
			case err != nil:
				return err
			case opt.json:
				return a.json(list)
			case opt.yaml:
				_, err := io.WriteString(a.Stdout, suggest.Lines(list))
				return err
			}
			return a.suggested(list, since)
		},
	}
	cmd.Flags().StringVar(&opt.since, "since", "30d", a.T("agent.flag.since"))
	cmd.Flags().BoolVar(&opt.yaml, "yaml", false, a.T("agent.flag.suggest-yaml"))
	a.jsonFlag(cmd, &opt.json)
	a.Exclusive(cmd, "json", "yaml")
	return cmd
}

// suggestions judges what was recorded by the policy in force.
func (a *app) suggestions(ctx context.Context, since time.Time) ([]suggest.Suggestion, error) {
	events, err := a.recorded(ctx, since)
	if err != nil {
		return nil, a.answered(err)
	}
	p, _, err := a.inForce(ctx)
	if err != nil {
		return nil, err
	}
	return suggest.Host{Accounts: accounts(events)}.From(slices.Values(events), p), nil
}

// accounts are the names of those in whose sessions something happened; an account
// that is gone has none.
func accounts(events []event.Event) map[int]string {
	names := map[int]string{}
	for _, e := range events {
		id := e.Actor.LoginUID
		if _, known := names[id]; known || id < 0 {
			continue
		}
		if u, err := user.LookupId(strconv.Itoa(id)); err == nil {
			names[id] = u.Username
		}
	}
	return names
}

// risks show a risk at a glance; the word stands beside them.
var risks = map[suggest.Risk]struct {
	mark  string
	style textpage.Style
}{
	suggest.Low:    {"[#--]", textpage.Green},
	suggest.Medium: {"[##-]", textpage.Amber},
	suggest.High:   {"[###]", textpage.Red},
}

// suggested tells suggestions by what to do about them.
func (a *app) suggested(list []suggest.Suggestion, since time.Time) error {
	pg := a.page()
	pg.Text(0, a.T("agent.suggest.title", a.DateTime(since)))
	if len(list) == 0 {
		pg.Text(0, a.T("agent.suggest.none"))
		return pg.Err()
	}
	for _, advice := range []suggest.Advice{suggest.Add, suggest.Refuse, suggest.Unable, suggest.Already} {
		some := slices.DeleteFunc(slices.Clone(list), func(s suggest.Suggestion) bool { return s.Advice != advice })
		if len(some) == 0 {
			continue
		}
		pg.Heading(a.T("agent.suggest."+string(advice), len(some)))
		for _, s := range some {
			a.suggestion(pg, s)
		}
	}
	return pg.Err()
}

func (a *app) suggestion(pg *textpage.Page, s suggest.Suggestion) {
	head, style := s.ID, textpage.Plain
	if r, risky := risks[s.Risk]; risky {
		head, style = r.mark+" "+a.T("agent.risk."+string(s.Risk))+"  "+s.ID, r.style
	}
	pg.Sides(style, "  "+head, a.T("agent.suggest.often", s.Events, s.Actors))
	if s.Lets != "" {
		pg.Text(4, s.Lets)
	}
	pg.Text(4, a.T("agent.suggest.example", s.Example.Actor.Comm, a.operation(s.Example), s.Example.Path))
	if s.Why != "" {
		pg.Item(4, "! ", a.said("agent.reason."+s.Reason, s.Why))
	}
	if s.WayOut != "" {
		pg.Item(4, "-> ", a.said("agent.reason."+s.Reason+".do", s.WayOut))
	}
	for line := range strings.Lines(s.Lines) {
		pg.Line(textpage.Faint, "    | "+strings.TrimSuffix(line, "\n"))
	}
}
