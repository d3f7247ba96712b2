package agentcli

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) eventsCommand() *cobra.Command {
	var opt struct {
		follow, json bool
		since        string
	}
	cmd := &cobra.Command{
		Use:     "events",
		Short:   a.T("agent.events.short"),
		Long:    a.T("agent.events.long"),
		Example: "  kannuki-agent events\n  kannuki-agent events --follow\n  kannuki-agent events --since 2026-11-20 --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := a.since(cmd, opt.since)
			if err != nil {
				return err
			}
			if opt.follow && !cmd.Flags().Changed("since") {
				since = a.Now()
			}
			tell := a.tellEvents()
			if opt.json {
				tell = a.eventJSON
			}
			told := 0
			err = a.ask(func(c *agent.Client) error {
				return a.eachEvent(c.Events(cmd.Context(), since, opt.follow), func(e event.Event) error {
					told++
					return tell(e)
				})
			})
			if err == nil && told == 0 && !opt.json && !opt.follow {
				a.Say(a.T("agent.events.none", a.DateTime(since)))
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&opt.follow, "follow", "f", false, a.T("agent.flag.follow"))
	cmd.Flags().StringVar(&opt.since, "since", "24h", a.T("agent.flag.since"))
	cmd.Flags().BoolVar(&opt.json, "json", false, a.T("agent.flag.json-lines"))
	return cmd
}

// eachEvent goes over events. What could not be read in between is said on standard
// error, and the rest follows.
func (a *app) eachEvent(events iter.Seq2[event.Event, error], each func(event.Event) error) error {
	for e, err := range events {
		var unread *agent.Error
		if errors.As(err, &unread) && unread.Code == 0 {
			a.Say(a.T("agent.events.unread", unread))
			continue
		}
		if err != nil {
			return err
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return nil
}

// eventJSON writes one event as one line, so that a stream can be read while it grows.
func (a *app) eventJSON(e event.Event) error { return json.NewEncoder(a.Stdout).Encode(e) }

// tellEvents returns what tells one event after the other as blocks: what and where;
// who, with what started it; the rule and why it is there; what to do.
func (a *app) tellEvents() func(event.Event) error {
	pg := a.page()
	return func(e event.Event) error {
		style := map[event.Kind]textpage.Style{event.Refused: textpage.Red, event.Observed: textpage.Amber}[e.Kind]
		times := ""
		if e.Count > 1 {
			times = a.T("agent.events.times", e.Count)
		}
		pg.Sides(style, a.T("agent.kind."+string(e.Kind))+times+"  "+a.operation(e), a.clock(e.At))
		label := func(key string) string { return "  " + padded(a.T(key)) }
		if e.Path != "" {
			pg.Item(0, label("agent.events.where"), e.Path+a.spaceOf(e))
		}
		if e.Actor.PID > 0 {
			pg.Item(0, label("agent.events.who"), a.actor(e.Actor))
		}
		if e.Actor.Cmdline != "" {
			pg.Item(0, label("agent.events.ran"), e.Actor.Cmdline)
		}
		if line := a.lineage(e.Actor); line != "" {
			pg.Item(0, label("agent.events.from"), line)
		}
		if e.Rule != "" {
			pg.Item(0, label("agent.events.rule"), e.Rule)
		}
		if why := a.why(e); why != "" {
			pg.Item(0, label("agent.events.why"), why)
		}
		if e.Drill != "" {
			pg.Item(0, label("agent.events.drill"), a.T("agent.events.of-drill", e.Drill))
		}
		if do := a.wayOut(e); do != "" && e.Kind != event.Note {
			pg.Item(0, label("agent.events.do"), do)
		}
		pg.Line(textpage.Plain, "")
		return pg.Err()
	}
}

// padded makes labels of one block end in the same column.
func padded(label string) string { return lang.Pad(label, 8) }

// operation says in words what was tried; an operation without words goes by its name.
func (a *app) operation(e event.Event) string {
	word := e.Op
	if a.Has("agent.op." + e.Op) {
		word = a.T("agent.op." + e.Op)
	}
	if e.Control == "" {
		return word
	}
	return word + " (" + e.Control + ")"
}

func (a *app) spaceOf(e event.Event) string {
	if e.Space == "" {
		return ""
	}
	if key := "agent.space." + e.Space; a.Has(key) {
		return a.T("agent.events.space", a.T(key))
	}
	return a.T("agent.events.space", e.Space)
}

// actor is who tried: program, account, unit, and what the guard holds it for.
func (a *app) actor(who event.Actor) string {
	name := who.Comm
	if who.Exe != "" {
		name = who.Exe
	}
	facts := []string{a.T("agent.actor.uid", strconv.Itoa(who.UID))}
	if who.LoginUID >= 0 {
		facts = append(facts, a.T("agent.actor.session", strconv.Itoa(who.LoginUID)))
	}
	if who.Unit != "" {
		facts = append(facts, who.Unit)
	}
	for _, label := range []struct {
		key string
		on  bool
	}{{"contained", who.Contained}, {"updater", who.Updater}, {"granted", who.Granted}} {
		if label.on {
			facts = append(facts, a.T("agent.actor."+label.key))
		}
	}
	return fmt.Sprintf("%s[%d] (%s)", name, who.PID, a.List(facts))
}

// lineage is what started it, the nearest first.
func (a *app) lineage(who event.Actor) string {
	var names []string
	for _, p := range who.Ancestry {
		names = append(names, fmt.Sprintf("%s[%d]", p.Comm, p.PID))
	}
	if len(names) == 0 && who.Parent > 0 {
		names = []string{fmt.Sprintf("%s[%d]", who.ParentIs, who.Parent)}
	}
	return strings.Join(names, " < ")
}
