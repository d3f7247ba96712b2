package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "report",
		Short:   a.T("cli.report.short"),
		Example: "  kannuki report types --product \"Windows Server 2019\" --year 2019\n  kannuki report coverage",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.typesCommand(), a.coverageCommand())
	return cmd
}

// typesOptions are the flags of report types.
type typesOptions struct {
	product, year, until, rules, source, format string
}

func (a *app) typesCommand() *cobra.Command {
	var opt typesOptions
	cmd := &cobra.Command{
		Use:     "types --product TEXT --year Y[..Y]",
		Short:   a.T("cli.types.short"),
		Long:    a.T("cli.types.long"),
		Example: "  kannuki report types --product \"Windows Server 2019\" --year 2018..2019\n  kannuki report types --product linux_kernel --year 2025 --format csv",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.types(cmd, s, opt) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.product, "product", "", a.T("cli.flag.product"))
	flags.StringVar(&opt.year, "year", "", a.T("cli.flag.year"))
	flags.StringVar(&opt.until, "until", "", a.T("cli.flag.until"))
	flags.StringVar(&opt.rules, "rules", triage.FullRules, a.T("cli.flag.rules"))
	flags.StringVar(&opt.source, "source", "nvd", a.T("cli.flag.source"))
	flags.StringVar(&opt.format, "format", "table", a.T("cli.flag.format"))
	command.Choices(cmd, "rules", typeRules...)
	command.Choices(cmd, "source", typeSources...)
	command.Choices(cmd, "format", typeFormats...)
	return cmd
}

// What the flags of report types take.
var (
	typeRules   = []string{triage.FullRules, triage.CVEDetailsRules}
	typeSources = []string{"nvd", "msrc"}
	typeFormats = []string{"table", "json", "csv", "md", "html"}
)

func (a *app) types(cmd *cobra.Command, s store.Store, opt typesOptions) error {
	question, err := a.typesQuestion(cmd, opt, typeFormats)
	if err != nil {
		return err
	}
	table, err := control.TypeTable(cmd.Context(), s, question)
	if err != nil {
		return a.productError(question, err)
	}
	return report.TypeTables(a.Stdout, []triage.TypeTable{table}, opt.format, a.Printer, a.page())
}

// productError puts an error about a product into words.
func (a *app) productError(q triage.TypeQuestion, err error) error {
	var unknown *control.UnknownProduct
	switch {
	case !errors.As(err, &unknown):
		return err
	case len(unknown.Near) == 0:
		return errors.New(a.T("cli.types.no-product", q.Product, q.Source))
	}
	return errors.New(a.T("cli.types.near-products", q.Product, a.List(unknown.Near)))
}

func (a *app) typesQuestion(cmd *cobra.Command, opt typesOptions, formats []string) (triage.TypeQuestion, error) {
	q := triage.TypeQuestion{Product: opt.product, Rules: opt.rules, Source: opt.source}
	if strings.TrimSpace(opt.product) == "" {
		return q, command.Usagef(cmd, "%s", a.T("cli.types.want-product"))
	}
	choices := []struct {
		flag, value string
		known       []string
	}{
		{"--rules", opt.rules, typeRules},
		{"--source", opt.source, typeSources},
		{"--format", opt.format, formats},
	}
	for _, c := range choices {
		if !slices.Contains(c.known, c.value) {
			return q, command.Usagef(cmd, "%s", a.T("cli.unknown-value", c.flag, c.value, a.List(c.known)))
		}
	}
	first, last, ranged := strings.Cut(opt.year, "..")
	if !ranged {
		last = first
	}
	var errs [2]error
	q.From, errs[0] = strconv.Atoi(first)
	q.To, errs[1] = strconv.Atoi(last)
	if errors.Join(errs[:]...) != nil || q.From < 1988 || q.To < q.From || q.To > 9999 {
		return q, command.Usagef(cmd, "%s", a.T("cli.types.bad-year", opt.year))
	}
	if opt.until != "" {
		day, err := time.Parse(time.DateOnly, opt.until)
		if err != nil {
			return q, command.Usagef(cmd, "%s", a.T("cli.types.bad-until", opt.until))
		}
		q.Until = day.AddDate(0, 0, 1) // the day itself counts
	}
	return q, nil
}
