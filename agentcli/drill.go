package agentcli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

func (a *app) drillCommand() *cobra.Command {
	var opt struct {
		json, list bool
		expires    string
	}
	cmd := &cobra.Command{
		Use:               "drill [CONTROL...]",
		Short:             a.T("agent.drill.short"),
		Long:              a.T("agent.drill.long", len(drill.Steps())),
		Example:           "  kannuki-agent drill\n  kannuki-agent drill launch utility --expires 1d\n  kannuki-agent drill --list",
		ValidArgsFunction: cobra.FixedCompletions(controlNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			controls, err := a.controls(cmd, args)
			if err != nil {
				return err
			}
			if opt.list {
				return a.drillList(controls, opt.json)
			}
			length, err := a.length(cmd, opt.expires)
			if err != nil {
				return err
			}
			return a.drillNow(cmd.Context(), agent.Drill{Controls: controls, For: agent.Span(length)}, opt.json)
		},
	}
	cmd.Flags().StringVar(&opt.expires, "expires", "7d", a.T("agent.flag.expires"))
	cmd.Flags().BoolVar(&opt.list, "list", false, a.T("agent.flag.drill-list"))
	a.jsonFlag(cmd, &opt.json)
	return cmd
}

// length reads how long something holds: "7d", "12h".
func (a *app) length(cmd *cobra.Command, text string) (time.Duration, error) {
	number, unit := text, time.Duration(1)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		number, unit = days+"h", 24
	}
	d, err := time.ParseDuration(number)
	if err != nil || d <= 0 {
		return 0, command.Usagef(cmd, "%s", a.T("agent.drill.bad-expires", text))
	}
	return unit * d, nil
}

// drillProcessCommand is what a process of a drill is started with: nobody types it.
func (a *app) drillProcessCommand() *cobra.Command {
	return &cobra.Command{
		Use: drill.Command + " WHAT", Hidden: true, Args: a.OneArg("WHAT"), Short: a.T("agent.drill.process"),
		RunE: func(_ *cobra.Command, args []string) error { return drill.Act(args[0], a.Stdin, a.Stdout) },
	}
}

// drillNow runs a drill and tells what it has shown. It exits with ExitNo where a step
// was not refused, or nothing was proven.
func (a *app) drillNow(ctx context.Context, ask agent.Drill, asJSON bool) error {
	report, err := a.drilled(ctx, ask)
	if err != nil {
		return err
	}
	if asJSON {
		err = a.json(report)
	} else {
		err = a.drillPage(report)
	}
	if err == nil && !passed(report, len(ask.Controls) > 0) {
		return command.Exit(ExitNo)
	}
	return err
}

// passed tells whether every step that was done was refused, nothing was left, and
// something was proven: each control, where they were named.
func passed(r agent.DrillReport, named bool) bool {
	any := false
	for _, c := range r.Controls {
		proven := c.Proof != nil && c.Proof.Passed
		if c.Refused != c.Done || named && !proven {
			return false
		}
		any = any || proven
	}
	return any && r.Void == "" && len(r.Left) == 0
}

// drilled has the agent prepare a drill, does its steps, and has the agent clear it,
// whatever happens.
func (a *app) drilled(ctx context.Context, ask agent.Drill) (agent.DrillReport, error) {
	c := agent.Dial(a.socket)
	defer c.Close()
	plan, err := c.Drill(ctx, ask)
	if err != nil {
		return agent.DrillReport{}, a.answered(err)
	}
	err = a.drillSteps(ctx, c, plan)
	// An interrupt ends the steps; the drill's things have to go all the same.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	report, endErr := c.EndDrill(last, agent.DrillEnd{ID: plan.ID, Broken: err != nil})
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // what it interrupted is of no interest
	}
	return report, a.answered(errors.Join(err, endErr))
}

// drillSteps does the steps of a plan one after the other.
func (a *app) drillSteps(ctx context.Context, c *agent.Client, plan agent.DrillPlan) (err error) {
	if len(plan.Orders) == 0 {
		return nil
	}
	crew, err := drill.Start(plan.Scene)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, crew.Close()) }()
	if err := c.DrillCrew(ctx, agent.DrillCrew{ID: plan.ID, Contained: crew.Contained(), Free: crew.Free()}); err != nil {
		return err
	}
	bar := a.stepBar(len(plan.Orders))
	defer bar.end()
	for i, o := range plan.Orders {
		if err := ctx.Err(); err != nil {
			return err
		}
		bar.at(i, o.Step)
		o.Scene = plan.Scene
		attempt, err := crew.Attempt(o)
		if err != nil {
			return err
		}
		if _, err := c.DrillStep(ctx, agent.DrillStep{ID: plan.ID, Attempt: attempt}); err != nil {
			return err
		}
	}
	return nil
}

// drillList tells the steps without doing any.
func (a *app) drillList(controls []host.Control, asJSON bool) error {
	if len(controls) == 0 {
		controls = policy.Controls()
	}
	var list []drill.Outcome
	for _, s := range drill.Steps() {
		for _, c := range controls {
			if s.Control == c {
				list = append(list, s.Outcome(""))
			}
		}
	}
	if asJSON {
		return a.json(list)
	}
	pg := a.page()
	pg.Text(0, a.T("agent.drill.listed", len(list)))
	a.drillSections(pg, list, func(c host.Control) string { return a.T("agent.does." + string(c)) })
	return pg.Err()
}

// drillText is a step in the reader's language.
func (a *app) drillText(o drill.Outcome) string { return a.said("drill.step."+o.Step, o.Does) }

// drillWhy is a reason in the reader's language.
func (a *app) drillWhy(o drill.Outcome) string {
	if o.Why == nil {
		return ""
	}
	args := make([]any, len(o.Why.Args))
	for i, arg := range o.Why.Args {
		args[i] = arg
	}
	if key := "drill.why." + o.Why.Code; a.Has(key) {
		return a.T(key, args...)
	}
	return o.Reason
}

// share is "8/8": how many of how many.
func share(n, of int) string { return strconv.Itoa(n) + "/" + strconv.Itoa(of) }
