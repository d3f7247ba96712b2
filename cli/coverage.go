package cli

import (
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// coverageOptions are the flags of report coverage.
type coverageOptions struct {
	typesOptions
	products         []string
	hosts            []string
	protection       string
	table, tableFile string
}

func (a *app) coverageCommand() *cobra.Command {
	var opt coverageOptions
	cmd := &cobra.Command{
		Use:   "coverage [--product TEXT --year Y[..Y]]",
		Short: a.T("cli.coverage.short"),
		Long:  a.T("cli.coverage.long"),
		Example: "  kannuki report coverage\n  kannuki report coverage --product \"Windows Server 2019\" --year 2019\n" +
			"  kannuki report coverage --host web1.example.com --format html > web1.html",
		Args: a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.coverage(cmd, s, opt) })
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opt.products, "product", nil, a.T("cli.flag.coverage-product"))
	flags.StringVar(&opt.year, "year", "", a.T("cli.flag.year"))
	flags.StringVar(&opt.until, "until", "", a.T("cli.flag.until"))
	flags.StringVar(&opt.rules, "rules", triage.FullRules, a.T("cli.flag.rules"))
	flags.StringVar(&opt.source, "source", "nvd", a.T("cli.flag.source"))
	flags.StringVar(&opt.format, "format", "table", a.T("cli.flag.coverage-format"))
	flags.StringSliceVar(&opt.hosts, "host", nil, a.T("cli.flag.as-host"))
	flags.StringVar(&opt.protection, "protection", "", a.T("cli.flag.protection"))
	flags.StringVar(&opt.table, "table", "ssvc", a.T("cli.flag.table"))
	flags.StringVar(&opt.tableFile, "table-file", "", a.T("cli.flag.table-file"))
	command.Choices(cmd, "rules", typeRules...)
	command.Choices(cmd, "source", typeSources...)
	command.Choices(cmd, "format", report.CoverageFormats...)
	command.Choices(cmd, "table", triage.TableNames...)
	a.Exclusive(cmd, "host", "protection")
	a.Exclusive(cmd, "table", "table-file")
	return cmd
}

func (a *app) coverage(cmd *cobra.Command, s store.Store, opt coverageOptions) error {
	if !slices.Contains(report.CoverageFormats, opt.format) {
		return command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--format", opt.format, a.List(report.CoverageFormats)))
	}
	if opt.format == "xlsx" && command.IsTerminal(a.Stdout) {
		return command.Usagef(cmd, "%s", a.T("cli.coverage.xlsx-terminal"))
	}
	var list []report.CoverageOf
	var err error
	if len(opt.products) > 0 {
		list, err = a.productCoverage(cmd, s, opt)
	} else {
		list, err = a.hostCoverage(cmd, s, opt)
	}
	if err != nil {
		return a.hostError(err)
	}
	return report.Coverage(a.Stdout, list, opt.format, a.Printer, a.page())
}

// hostCoverage is the table of the inventoried hosts.
func (a *app) hostCoverage(cmd *cobra.Command, s store.Store, opt coverageOptions) ([]report.CoverageOf, error) {
	for _, flag := range []string{"year", "until", "rules", "source", "protection"} {
		if cmd.Flags().Changed(flag) {
			return nil, command.Usagef(cmd, "%s", a.T("cli.coverage.product-only", "--"+flag))
		}
	}
	table, err := a.decisionTable(cmd, opt.table, opt.tableFile)
	if err != nil {
		return nil, err
	}
	t, err := control.HostCoverage(cmd.Context(), s, table, opt.hosts, a.Now())
	if err != nil {
		return nil, err
	}
	if len(t.Guards) == 0 {
		return nil, errors.New(a.T("cli.no-hosts"))
	}
	of := report.CoverageOf{At: a.Now(), Table: t.CoverageTable, Guards: t.Guards, Guard: t.Guards[0].Counts, Of: t.Guards[0].Host}
	return []report.CoverageOf{of}, nil
}

// productCoverage are the tables of the products asked for.
func (a *app) productCoverage(cmd *cobra.Command, s store.Store, opt coverageOptions) ([]report.CoverageOf, error) {
	guard, of, err := a.guardOf(cmd, s, opt)
	if err != nil {
		return nil, err
	}
	var list []report.CoverageOf
	for _, product := range opt.products {
		one := opt.typesOptions
		one.product = product
		question, err := a.typesQuestion(cmd, one, report.CoverageFormats)
		if err != nil {
			return nil, err
		}
		entry := report.CoverageOf{At: a.Now(), Guard: guard, Of: of}
		if entry.Table, err = a.coverageTable(cmd, s, question, guard); err != nil {
			return nil, err
		}
		question.Rules = otherRules(question.Rules)
		beside, err := a.coverageTable(cmd, s, question, guard)
		if err != nil {
			return nil, err
		}
		entry.Beside = &beside
		list = append(list, entry)
	}
	return list, nil
}

func otherRules(rules string) string {
	if rules == triage.FullRules {
		return triage.CVEDetailsRules
	}
	return triage.FullRules
}

func (a *app) coverageTable(cmd *cobra.Command, s store.Store, q triage.TypeQuestion, guard host.Protection) (triage.CoverageTable, error) {
	t, err := control.CoverageTable(cmd.Context(), s, triage.CoverageQuestion{TypeQuestion: q, Protection: guard, Now: a.Now()})
	return t, a.productError(q, err)
}

// guardOf is the protection a product's table is counted with, and whose it is; an
// assumed one is nobody's.
func (a *app) guardOf(cmd *cobra.Command, s store.Store, opt coverageOptions) (guard host.Protection, of string, err error) {
	switch {
	case opt.protection != "":
		guard, err = a.protection(opt.protection, false)
		return control.Counting(guard, a.Now()), opt.protection, err
	case len(opt.hosts) == 0:
		return triage.FullProtection(a.Now()), "", nil
	case len(opt.hosts) > 1:
		return guard, "", command.Usagef(cmd, "%s", a.T("cli.want-one", "--host", len(opt.hosts)))
	}
	err = control.EachHost(cmd.Context(), s, opt.hosts, a.Now(), func(h *control.Inventoried) error {
		guard, of = control.Counting(h.Protection, a.Now()), h.Host.Name
		return nil
	})
	return guard, of, err
}
