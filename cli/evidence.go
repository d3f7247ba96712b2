package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// evidenceOptions are the flags of evidence.
type evidenceOptions struct {
	host, table, tableFile string
	json                   bool
}

func (a *app) evidenceCommand() *cobra.Command {
	var opt evidenceOptions
	cmd := &cobra.Command{
		Use:     "evidence CVE-ID --host NAME",
		Short:   a.T("cli.evidence.short"),
		Long:    a.T("cli.evidence.long"),
		Example: "  kannuki evidence CVE-2024-6387 --host web1.example.com\n  kannuki evidence CVE-2021-44228 --host web1.example.com --json",
		Args:    a.OneArg("CVE-ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.evidence(cmd, s, args[0], opt) })
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opt.host, "host", "", a.T("cli.flag.evidence-host"))
	flags.StringVar(&opt.table, "table", "ssvc", a.T("cli.flag.table"))
	flags.StringVar(&opt.tableFile, "table-file", "", a.T("cli.flag.table-file"))
	flags.BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	command.Choices(cmd, "table", triage.TableNames...)
	a.Exclusive(cmd, "table", "table-file")
	return cmd
}

func (a *app) evidence(cmd *cobra.Command, s store.Store, id string, opt evidenceOptions) error {
	if opt.host == "" {
		return command.Usagef(cmd, "%s", a.T("cli.evidence.want-host"))
	}
	table, err := a.decisionTable(cmd, opt.table, opt.tableFile)
	if err != nil {
		return err
	}
	if up := strings.ToUpper(id); strings.HasPrefix(up, "CVE-") {
		id = up
	}
	var about *control.Inventoried
	err = control.EachHost(cmd.Context(), s, []string{opt.host}, a.Now(), func(h *control.Inventoried) error {
		about = h
		return nil
	})
	if err != nil {
		return a.hostError(err)
	}
	ev, err := control.GatherEvidence(cmd.Context(), s, table, *about, id, a.Now())
	switch {
	case errors.Is(err, store.ErrUnknown):
		return errors.New(a.T("cli.show.unknown", id))
	case err != nil:
		return err
	case opt.json:
		return report.EvidenceJSON(a.Stdout, ev, a.Printer)
	}
	return report.Evidence(a.Stdout, ev, a.Printer, a.page())
}
