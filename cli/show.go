package cli

import (
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

func (a *app) showCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show CVE-ID",
		Short:   a.T("cli.show.short"),
		Long:    a.T("cli.show.long"),
		Example: "  kannuki show CVE-2021-44228\n  kannuki show DSA-5724-1 --json",
		Args:    a.OneArg("CVE-ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.show(cmd, s, args[0], asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, a.T("cli.flag.json"))
	return cmd
}

func (a *app) show(cmd *cobra.Command, s store.Store, id string, asJSON bool) error {
	if err := a.loadSample(cmd.Context(), s); err != nil {
		return err
	}
	if up := strings.ToUpper(id); strings.HasPrefix(up, "CVE-") {
		id = up
	}
	v, err := s.Vulnerability(cmd.Context(), id)
	if errors.Is(err, store.ErrUnknown) {
		return errors.New(a.T("cli.show.unknown", id))
	}
	if err != nil {
		return err
	}
	typings := triage.TypesOf(v, triage.FullRules, "")
	if asJSON {
		return report.VulnerabilityJSON(a.Stdout, v, typings)
	}
	return report.Vulnerability(a.Stdout, v, typings, a.Printer, a.page())
}

func (a *app) newCommand() *cobra.Command {
	var opt struct {
		json         bool
		since, table string
	}
	cmd := &cobra.Command{
		Use:     "new",
		Short:   a.T("cli.new.short"),
		Long:    a.T("cli.new.long"),
		Example: "  kannuki new\n  kannuki new --since 72h\n  kannuki new --since 2026-11-20 --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since, err := a.since(cmd, opt.since)
			if err != nil {
				return err
			}
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.news(cmd, s, since, opt.table, opt.json) })
		},
	}
	cmd.Flags().StringVar(&opt.since, "since", "24h", a.T("cli.flag.since"))
	cmd.Flags().StringVar(&opt.table, "table", "ssvc", a.T("cli.flag.table"))
	cmd.Flags().BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	return cmd
}

// since reads a duration back from now ("24h", "7d") or a day.
func (a *app) since(cmd *cobra.Command, text string) (time.Time, error) {
	if day, err := time.ParseInLocation(time.DateOnly, text, a.Now().Location()); err == nil {
		return day, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text = days + "h"
		if d, err := time.ParseDuration(text); err == nil && d > 0 {
			return a.Now().Add(-24 * d), nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return a.Now().Add(-d), nil
	}
	return time.Time{}, command.Usagef(cmd, "%s", a.T("cli.bad-since", text))
}

func (a *app) news(cmd *cobra.Command, s store.Store, since time.Time, tableName string, asJSON bool) error {
	table, err := a.decisionTable(cmd, tableName, "")
	if err != nil {
		return err
	}
	news, err := control.WhatsNew(cmd.Context(), s, table, since, a.Now())
	if err != nil {
		return err
	}
	if asJSON {
		return report.NewsJSON(a.Stdout, news, a.Printer)
	}
	return report.Changes(a.Stdout, news, a.Now(), a.Printer, a.page())
}
