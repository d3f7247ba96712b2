package agentcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "policy",
		Short:   a.T("agent.policy.short"),
		Long:    a.T("agent.policy.long"),
		Example: "  kannuki-agent policy show\n  kannuki-agent policy check web.yaml\n  kannuki-agent policy apply web.yaml --confirm 10m",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.policyCheckCommand(), a.policyShowCommand(), a.policyDiffCommand(), a.policyApplyCommand(), a.policyReloadCommand())
	confirm := a.confirmCommand()
	confirm.Example = "  kannuki-agent policy confirm"
	cmd.AddCommand(confirm)
	return cmd
}

// source reads a policy: the built-in one of that name, "-" for standard input, else a
// file. A file is before a built-in policy of the same name only with its path ("./strict").
func (a *app) source(arg string) (agent.Source, error) {
	if slices.Contains(policyfile.BuiltinNames(), arg) {
		text, err := policyfile.BuiltinText(arg)
		return agent.Source{Name: arg, Text: text}, err
	}
	if arg == "-" {
		text, err := io.ReadAll(a.Stdin)
		return agent.Source{Name: "-", Text: string(text)}, err
	}
	text, err := os.ReadFile(arg)
	if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(arg, "./") {
		return agent.Source{}, errors.New(a.T("agent.policy.unknown", arg, a.List(policyfile.BuiltinNames())))
	}
	return agent.Source{Name: arg, Text: string(text)}, err
}

// parse reads a policy that has to be fit; its mistakes are told one by one.
func (a *app) parse(s agent.Source) (policy.Policy, error) {
	p, err := policyfile.Parse(strings.NewReader(s.Text), s.Name)
	if mistakes := policyfile.Mistakes(err); len(mistakes) > 0 {
		for _, m := range mistakes {
			a.Say(m.Error())
		}
		return p, errors.New(a.T("agent.policy.unfit", len(mistakes)))
	}
	return p, err
}

// inForce is the policy of this host as it holds: the running agent's, else the file's,
// else the built-in one. from tells which.
func (a *app) inForce(ctx context.Context) (p policy.Policy, from string, err error) {
	c := agent.Dial(a.socket)
	defer c.Close()
	text, err := c.Policy(ctx)
	switch {
	case err == nil:
		p, err = a.parse(agent.Source{Name: text.Name, Text: text.Effective})
		return p, a.T("agent.policy.in-force", text.Source), err
	case !errors.Is(err, agent.ErrNoAgent):
		return p, "", a.answered(err)
	}
	return a.filed()
}

// filed is the policy an agent would start with.
func (a *app) filed() (p policy.Policy, from string, err error) {
	s, err := a.source(agent.DefaultPolicy)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = policyfile.Builtin(policyfile.Default)
		return p, a.T("agent.policy.builtin", policyfile.Default), err
	}
	if err != nil {
		return p, "", err
	}
	p, err = a.parse(s)
	return p, a.T("agent.policy.filed", agent.DefaultPolicy), err
}

func (a *app) policyCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check FILE",
		Short:   a.T("agent.policy.check.short"),
		Long:    a.T("agent.policy.check.long"),
		Example: "  kannuki-agent policy check web.yaml\n  kannuki-agent policy check strict --json",
		Args:    a.OneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.source(args[0])
			if err != nil {
				return err
			}
			checked, err := a.check(s)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.json(checked)
			} else {
				err = a.checked(s.Name, checked)
			}
			if err == nil && !checked.OK {
				return command.Exit(ExitError)
			}
			return err
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) check(s agent.Source) (agent.Checked, error) {
	checked := agent.Checked{Mistakes: []*policyfile.Mistake{}, Unwise: []agent.Advice{}}
	p, err := policyfile.Parse(strings.NewReader(s.Text), s.Name)
	if mistakes := policyfile.Mistakes(err); len(mistakes) > 0 {
		checked.Mistakes = mistakes
		return checked, nil
	} else if err != nil {
		return checked, err
	}
	checked.OK = true
	for _, f := range p.Check(a.Now()) {
		checked.Unwise = append(checked.Unwise, agent.Advice{At: f.Path, Message: f.Message, Hint: f.Hint})
	}
	return checked, nil
}

func (a *app) checked(name string, c agent.Checked) error {
	pg := a.page()
	for _, m := range c.Mistakes {
		pg.Line(textpage.Red, fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column))
		a.remark(pg, m.Path, m.Message, m.Hint)
	}
	switch {
	case !c.OK:
		pg.Text(0, a.T("agent.policy.unfit", len(c.Mistakes)))
		return pg.Err()
	case len(c.Unwise) == 0:
		pg.Text(0, a.T("agent.policy.good", name))
		return pg.Err()
	}
	pg.Text(0, a.T("agent.policy.unwise", name, len(c.Unwise)))
	for _, f := range c.Unwise {
		a.remark(pg, f.At, f.Message, f.Hint)
	}
	return pg.Err()
}

// remark is one thing to be said about a place of a policy, and the way out.
func (a *app) remark(pg *textpage.Page, at, message, hint string) {
	if at != "" {
		message = at + ": " + message
	}
	pg.Item(2, "! ", message)
	if hint != "" {
		pg.Item(4, "-> ", hint)
	}
}

func (a *app) policyShowCommand() *cobra.Command {
	var opt struct{ json, yaml bool }
	cmd := &cobra.Command{
		Use:     "show [NAME|FILE]",
		Short:   a.T("agent.policy.show.short"),
		Long:    a.T("agent.policy.show.long"),
		Example: "  kannuki-agent policy show\n  kannuki-agent policy show strict\n  kannuki-agent policy show --yaml > policy.yaml",
		Args:    a.atMostOne("NAME|FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, from, err := a.named(cmd.Context(), args)
			switch {
			case err != nil:
				return err
			case opt.json:
				return a.json(shown{p.Name, p.Description, p.Mode, modes(p), p.Rules()})
			case opt.yaml:
				_, err := io.WriteString(a.Stdout, policyfile.Format(p))
				return err
			}
			return a.show(p, from)
		},
	}
	a.jsonFlag(cmd, &opt.json)
	cmd.Flags().BoolVar(&opt.yaml, "yaml", false, a.T("agent.flag.yaml"))
	a.Exclusive(cmd, "json", "yaml")
	return cmd
}

// shown is what policy show prints as JSON.
type shown struct {
	Name        string                 `json:"name"`
	Description string                 `json:"description,omitempty"`
	Mode        policy.Mode            `json:"mode"`
	Controls    map[string]policy.Mode `json:"controls"`
	Rules       []policy.Rule          `json:"rules"`
}

func modes(p policy.Policy) map[string]policy.Mode {
	out := map[string]policy.Mode{}
	for _, c := range policy.Controls() {
		out[string(c)] = p.ModeOf(c)
	}
	return out
}

// atMostOne takes one argument or none.
func (a *app) atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return command.Usagef(cmd, "%s", a.T("agent.want-at-most-one", name, len(args)))
		}
		return nil
	}
}

// named is the policy an argument names, or the one in force.
func (a *app) named(ctx context.Context, args []string) (policy.Policy, string, error) {
	if len(args) == 0 {
		return a.inForce(ctx)
	}
	s, err := a.source(args[0])
	if err != nil {
		return policy.Policy{}, "", err
	}
	p, err := a.parse(s)
	return p, s.Name, err
}

func (a *app) show(p policy.Policy, from string) error {
	pg := a.page()
	pg.Sides(textpage.Bold, a.T("agent.policy.title", p.Name), from)
	if p.Description != "" {
		pg.Text(0, p.Description)
	}
	t := textpage.Table{Indent: 2, Columns: []textpage.Column{{}, {}, {}, {Wrap: true}}}
	for _, c := range policy.Controls() {
		m := marks[string(p.ModeOf(c))]
		t.Add(m.style, string(c), m.mark, a.T("agent.mode."+string(p.ModeOf(c))), a.T("agent.does."+string(c)))
	}
	pg.Line(textpage.Plain, "")
	pg.Table(&t)
	list := ""
	for _, r := range p.Rules() {
		if r.List != list {
			list = r.List
			pg.Heading(list)
		}
		pg.Item(2, "", r.Says)
		why := ""
		if r.Why != "" {
			why = ": " + r.Why
		}
		pg.Item(4, "", "("+r.ID+")"+why)
	}
	return pg.Err()
}

func (a *app) policyDiffCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "diff [OLD] NEW",
		Short:   a.T("agent.policy.diff.short"),
		Long:    a.T("agent.policy.diff.long"),
		Example: "  kannuki-agent policy diff web.yaml\n  kannuki-agent policy diff standard strict --json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return command.Usagef(cmd, "%s", a.T("agent.want-diff", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			old, from, err := a.named(cmd.Context(), args[:len(args)-1])
			if err != nil {
				return err
			}
			p, to, err := a.named(cmd.Context(), args[len(args)-1:])
			if err != nil {
				return err
			}
			list := policy.Diff(old, p)
			if asJSON {
				return a.json(list)
			}
			return a.diff(list, from, to)
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) diff(list []policy.Change, from, to string) error {
	pg := a.page()
	pg.Item(0, "--- ", from)
	pg.Item(0, "+++ ", to)
	changes(pg, list)
	loosens := 0
	for _, c := range list {
		if c.Loosens {
			loosens++
		}
	}
	pg.Line(textpage.Plain, "")
	pg.Text(0, a.T("agent.policy.diff.sum", len(list), loosens))
	return pg.Err()
}

func (a *app) policyApplyCommand() *cobra.Command {
	var confirm time.Duration
	var asJSON bool
	var token string
	cmd := &cobra.Command{
		Use:     "apply NAME|FILE",
		Short:   a.T("agent.policy.apply.short"),
		Long:    a.T("agent.policy.apply.long"),
		Example: "  kannuki-agent policy apply web.yaml --confirm 10m\n  kannuki-agent policy apply standard",
		Args:    a.OneArg("NAME|FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.source(args[0])
			if err != nil {
				return err
			}
			if _, err := a.parse(s); err != nil {
				return err
			}
			return a.change(asJSON, token, func(c *agent.Client, token string) (agent.Changed, error) {
				return c.ApplyPolicy(cmd.Context(), agent.Apply{Source: s, Confirm: agent.Span(confirm), Token: token})
			})
		},
	}
	a.confirmFlag(cmd, &confirm)
	a.tokenFlag(cmd, &token)
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) policyReloadCommand() *cobra.Command {
	var asJSON bool
	var token string
	cmd := &cobra.Command{
		Use:     "reload",
		Short:   a.T("agent.policy.reload.short"),
		Long:    a.T("agent.policy.reload.long"),
		Example: "  kannuki-agent policy reload",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.change(asJSON, token, func(c *agent.Client, token string) (agent.Changed, error) {
				return c.Reload(cmd.Context(), agent.Reload{Token: token})
			})
		},
	}
	a.tokenFlag(cmd, &token)
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

// change asks for a change, with a token where it takes one, and tells what came of it.
func (a *app) change(asJSON bool, tokenFile string, ask func(c *agent.Client, token string) (agent.Changed, error)) error {
	var came agent.Changed
	err := a.relaxing(tokenFile, func(c *agent.Client, token string) (err error) {
		came, err = ask(c, token)
		return err
	})
	switch {
	case err != nil:
		return err
	case asJSON:
		if came.Changes == nil {
			came.Changes = []policy.Change{}
		}
		return a.json(came)
	}
	return a.changed(came)
}
