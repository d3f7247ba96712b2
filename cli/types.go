package cli

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "report",
		Short:   a.T("cli.report.short"),
		Example: "  kannuki report types --product \"Windows Server 2019\" --year 2019",
		Args:    a.noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.typesCommand())
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
		Args:    a.noArgs,
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
	choices(cmd, "rules", typeRules...)
	choices(cmd, "source", typeSources...)
	choices(cmd, "format", typeFormats...)
	return cmd
}

// What the flags of report types take.
var (
	typeRules   = []string{triage.FullRules, triage.CVEDetailsRules}
	typeSources = []string{"nvd", "msrc"}
	typeFormats = []string{"table", "json", "csv", "md", "html"}
)

func (a *app) types(cmd *cobra.Command, s store.Store, opt typesOptions) error {
	question, err := a.typesQuestion(cmd, opt)
	if err != nil {
		return err
	}
	table, err := control.TypeTable(cmd.Context(), s, question)
	var unknown *control.UnknownProduct
	if errors.As(err, &unknown) {
		if len(unknown.Near) == 0 {
			return errors.New(a.T("cli.types.no-product", opt.product, opt.source))
		}
		return errors.New(a.T("cli.types.near-products", opt.product, a.list(unknown.Near)))
	}
	if err != nil {
		return err
	}
	return report.TypeTables(a.Stdout, []triage.TypeTable{table}, opt.format, a.Printer, a.page())
}

func (a *app) typesQuestion(cmd *cobra.Command, opt typesOptions) (triage.TypeQuestion, error) {
	q := triage.TypeQuestion{Product: opt.product, Rules: opt.rules, Source: opt.source}
	if strings.TrimSpace(opt.product) == "" {
		return q, usagef(cmd, "%s", a.T("cli.types.want-product"))
	}
	choices := []struct {
		flag, value string
		known       []string
	}{
		{"--rules", opt.rules, typeRules},
		{"--source", opt.source, typeSources},
		{"--format", opt.format, typeFormats},
	}
	for _, c := range choices {
		if !slices.Contains(c.known, c.value) {
			return q, usagef(cmd, "%s", a.T("cli.unknown-value", c.flag, c.value, a.list(c.known)))
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
		return q, usagef(cmd, "%s", a.T("cli.types.bad-year", opt.year))
	}
	if opt.until != "" {
		day, err := time.Parse(time.DateOnly, opt.until)
		if err != nil {
			return q, usagef(cmd, "%s", a.T("cli.types.bad-until", opt.until))
		}
		q.Until = day.AddDate(0, 0, 1) // the day itself counts
	}
	return q, nil
}

// list joins names the way the language does.
func (a *app) list(names []string) string { return strings.Join(names, a.T("list.separator")) }
