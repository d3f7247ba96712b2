package cli

import (
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// whatIfOptions are the flags of what-if.
type whatIfOptions struct {
	protection, policy string
	without            []string
	hosts              []string
	table, tableFile   string
	json, all          bool
}

func (a *app) whatIfCommand() *cobra.Command {
	var opt whatIfOptions
	cmd := &cobra.Command{
		Use:     "what-if --without CONTROL|--policy NAME|--protection FILE",
		Short:   a.T("cli.whatif.short"),
		Long:    a.T("cli.whatif.long"),
		Example: "  kannuki what-if --without utility\n  kannuki what-if --policy strict --host web1.example.com --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.whatIf(cmd, s, opt) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.protection, "protection", "", a.T("cli.flag.whatif-protection"))
	flags.StringVar(&opt.policy, "policy", "", a.T("cli.flag.whatif-policy"))
	flags.StringSliceVar(&opt.without, "without", nil, a.T("cli.flag.without"))
	flags.StringSliceVar(&opt.hosts, "host", nil, a.T("cli.flag.host"))
	flags.StringVar(&opt.table, "table", "ssvc", a.T("cli.flag.table"))
	flags.StringVar(&opt.tableFile, "table-file", "", a.T("cli.flag.table-file"))
	flags.BoolVar(&opt.all, "all", false, a.T("cli.flag.whatif-all"))
	flags.BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	command.Choices(cmd, "policy", policyfile.BuiltinNames()...)
	command.Choices(cmd, "without", controlWords()...)
	command.Choices(cmd, "table", triage.TableNames...)
	a.Exclusive(cmd, "protection", "policy", "without")
	a.Exclusive(cmd, "table", "table-file")
	a.Exclusive(cmd, "json", "all")
	return cmd
}

// controlWords are the controls there are.
func controlWords() []string {
	var out []string
	for _, c := range policy.Controls() {
		out = append(out, string(c))
	}
	return out
}

// change is what a what-if asks: the other protection, in words, and what it assumes.
type change struct {
	changed     control.Changed
	said, notes string
}

func (a *app) whatIf(cmd *cobra.Command, s store.Store, opt whatIfOptions) error {
	table, err := a.decisionTable(cmd, opt.table, opt.tableFile)
	if err != nil {
		return err
	}
	c, err := a.changeOf(cmd, opt)
	if err != nil {
		return err
	}
	answer, err := control.AskWhatIf(cmd.Context(), s, table, opt.hosts, c.said, c.changed, a.Now())
	if err != nil {
		return a.hostError(err)
	}
	if len(answer.Hosts) == 0 {
		return errors.New(a.T("cli.no-hosts"))
	}
	if opt.json {
		return report.JSON(a.Stdout, answer)
	}
	return report.WhatIf(a.Stdout, answer, c.notes, opt.all, a.Printer, a.page())
}

// changeOf reads what is asked.
func (a *app) changeOf(cmd *cobra.Command, opt whatIfOptions) (change, error) {
	switch {
	case opt.protection != "":
		p, err := inventory.ReadProtectionFile(opt.protection)
		return change{changed: func(*control.Inventoried) host.Protection { return p }, said: a.T("whatif.change.protection", opt.protection)}, err
	case opt.policy != "":
		p, err := a.policy(cmd, opt.policy)
		return change{said: a.T("whatif.change.policy", opt.policy), notes: a.T("whatif.assumes"), changed: func(h *control.Inventoried) host.Protection {
			return triage.Predict(p, &h.Inventory, control.Counting(h.Protection, a.Now()), a.Now())
		}}, err
	case len(opt.without) == 0:
		return change{}, command.Usagef(cmd, "%s", a.T("cli.whatif.want-change"))
	}
	var controls []host.Control
	var names []string
	for _, word := range opt.without {
		if !slices.Contains(controlWords(), word) {
			return change{}, command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--without", word, a.List(controlWords())))
		}
		controls = append(controls, host.Control(word))
		names = append(names, a.T("control."+word))
	}
	return change{said: a.T("whatif.change.without", a.List(names)), changed: func(h *control.Inventoried) host.Protection {
		return triage.Without(h.Protection, controls...)
	}}, nil
}

// policy is the built-in policy of a name, or the one in a file.
func (a *app) policy(cmd *cobra.Command, name string) (policy.Policy, error) {
	if slices.Contains(policyfile.BuiltinNames(), name) {
		return policyfile.Builtin(name)
	}
	f, err := os.Open(name)
	if err != nil {
		if !strings.ContainsAny(name, "./") {
			return policy.Policy{}, command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--policy", name, a.List(policyfile.BuiltinNames())))
		}
		return policy.Policy{}, command.Usagef(cmd, "%s", a.T("cli.policy.neither", name, a.List(policyfile.BuiltinNames()), err.Error()))
	}
	defer f.Close()
	return policyfile.Parse(f, name)
}
