package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/sample"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// subject says which host a command is about.
type subject struct {
	root     string
	files    []string // one host's
	hostName string   // of the built-in sample
}

func (a *app) subjectFlags(cmd *cobra.Command, s *subject) {
	cmd.Flags().StringVar(&s.root, "root", "", a.T("cli.flag.root"))
	cmd.Flags().StringArrayVar(&s.files, "inventory", nil, a.T("cli.flag.inventory"))
	cmd.Flags().StringVar(&s.hostName, "sample-host", "", a.T("cli.flag.sample-host"))
	a.Exclusive(cmd, "root", "inventory", "sample-host")
}

// inventory reads the host the flags name; this machine where they name none.
func (a *app) inventory(ctx context.Context, cmd *cobra.Command, s subject) (host.Inventory, error) {
	switch {
	case slices.Equal(s.files, []string{"-"}):
		return inventory.Read(a.Stdin, "-")
	case len(s.files) > 0:
		return inventory.ReadFiles(s.files)
	case s.hostName != "":
		return a.sampleHost(cmd, s.hostName)
	}
	if s.root != "" {
		if _, err := os.Stat(s.root); err != nil {
			return host.Inventory{}, command.Usagef(cmd, "%s", a.T("cli.no-root", s.root, err.Error()))
		}
	}
	return inventory.Collect(ctx, inventory.Options{Root: s.root, Now: a.Now})
}

func (a *app) sampleHost(cmd *cobra.Command, name string) (host.Inventory, error) {
	hosts, err := sample.Hosts()
	if err != nil {
		return host.Inventory{}, err
	}
	var names []string
	for _, h := range hosts {
		if h.Host.Name == name {
			return h, nil
		}
		names = append(names, h.Host.Name)
	}
	return host.Inventory{}, command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--sample-host", name, a.List(names)))
}

// scanOptions are the flags of scan.
type scanOptions struct {
	subject
	json, sarif, openvex, cyclonedx, all bool
	failOn, table, tableFile, importance string
	protection                           string
}

func (a *app) scanCommand() *cobra.Command {
	var opt scanOptions
	cmd := &cobra.Command{
		Use:     "scan",
		Short:   a.T("cli.scan.short"),
		Long:    a.T("cli.scan.long"),
		Example: "  kannuki scan\n  kannuki scan --all\n  kannuki scan --inventory web1.json --json\n  kannuki scan --root /mnt/image --fail-on out-of-cycle",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.scan(cmd, s, opt) })
		},
	}
	a.subjectFlags(cmd, &opt.subject)
	flags := cmd.Flags()
	flags.BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	flags.BoolVar(&opt.sarif, "sarif", false, a.T("cli.flag.sarif"))
	flags.BoolVar(&opt.openvex, "openvex", false, a.T("cli.flag.openvex"))
	flags.BoolVar(&opt.cyclonedx, "cyclonedx", false, a.T("cli.flag.cyclonedx"))
	flags.BoolVar(&opt.all, "all", false, a.T("cli.flag.all"))
	flags.StringVar(&opt.failOn, "fail-on", "", a.T("cli.flag.fail-on"))
	flags.StringVar(&opt.table, "table", "ssvc", a.T("cli.flag.table"))
	flags.StringVar(&opt.tableFile, "table-file", "", a.T("cli.flag.table-file"))
	flags.StringVar(&opt.importance, "importance", "", a.T("cli.flag.importance"))
	flags.StringVar(&opt.protection, "protection", "", a.T("cli.flag.protection"))
	command.Choices(cmd, "fail-on", actionWords()...)
	command.Choices(cmd, "table", triage.TableNames...)
	command.Choices(cmd, "importance", host.Importances...)
	a.Exclusive(cmd, "json", "sarif", "openvex", "cyclonedx", "all")
	a.Exclusive(cmd, "table", "table-file")
	return cmd
}

func (a *app) scan(cmd *cobra.Command, s store.Store, opt scanOptions) error {
	ctx := cmd.Context()
	if opt.importance != "" && !slices.Contains(host.Importances, opt.importance) {
		return command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--importance", opt.importance, a.List(host.Importances)))
	}
	table, err := a.decisionTable(cmd, opt.table, opt.tableFile)
	if err != nil {
		return err
	}
	var threshold triage.Action
	if opt.failOn != "" {
		if threshold, err = a.threshold(cmd, table, opt.failOn); err != nil {
			return err
		}
	}
	if err := a.loadSample(ctx, s); err != nil {
		return err
	}
	inv, err := a.inventory(ctx, cmd, opt.subject)
	if err != nil {
		return err
	}
	if opt.importance != "" {
		inv.Host.Importance = opt.importance
	}
	guard, err := a.protection(opt.protection, opt.here())
	if err != nil {
		return err
	}
	scan, err := control.Scan(ctx, s, &inv, guard, table, a.Now())
	if err != nil {
		return err
	}
	if err := a.printScan(ctx, s, scan, opt); err != nil {
		return err
	}
	if threshold != "" && slices.ContainsFunc(scan.Findings, func(f triage.Finding) bool {
		return triage.Urgency(f.Decision) >= triage.Urgency(threshold)
	}) {
		return errFailOn
	}
	if threshold != "" && blind(scan) {
		return errors.New(a.T("cli.fail-on-blind"))
	}
	return nil
}

// blind tells whether nothing could have matched on this host: passing --fail-on then
// would call a host safe that nobody looked at.
func blind(scan triage.Scan) bool {
	return slices.ContainsFunc(scan.NotJudged, func(n triage.NotJudged) bool {
		return slices.Contains([]string{triage.CodeSkipSystem, triage.CodeSkipFeed, triage.CodeSkipProduct}, n.Code)
	})
}

func (a *app) printScan(ctx context.Context, s store.Store, scan triage.Scan, opt scanOptions) error {
	switch {
	case opt.json:
		return report.ScanJSON(a.Stdout, scan, a.Printer)
	case opt.sarif:
		return report.SARIF(a.Stdout, scan, a.Printer, tool())
	case opt.openvex:
		return report.OpenVEX(a.Stdout, scan, a.Printer, tool())
	case opt.cyclonedx:
		return report.CycloneDX(a.Stdout, scan, a.Printer, tool())
	}
	sources, err := s.Sources(ctx)
	if err != nil {
		return err
	}
	return report.Morning(a.Stdout, scan, a.Printer, report.MorningOptions{Page: a.page(), All: opt.all, Feeds: sources})
}

// decisionTable is the built-in table named, or the one in a file.
func (a *app) decisionTable(cmd *cobra.Command, name, file string) (*triage.Table, error) {
	if file == "" {
		table, err := triage.BuiltinTable(name)
		if err != nil {
			return nil, command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--table", name, a.List(triage.TableNames)))
		}
		return table, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	table, err := triage.LoadTable(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &table, nil
}

// actionWords are the decisions of the built-in tables.
func actionWords() []string {
	return []string{string(triage.Immediate), string(triage.OutOfCycle), string(triage.Scheduled), string(triage.Defer),
		string(triage.Days3Forensic), string(triage.Days3), string(triage.Days14), string(triage.Days60), string(triage.OnUpgrade)}
}

// threshold reads --fail-on: an action of the table, or one of another that sets the
// same clock.
func (a *app) threshold(cmd *cobra.Command, table *triage.Table, text string) (triage.Action, error) {
	action, err := triage.ParseAction(text)
	if err == nil {
		return action, nil
	}
	var known []string
	for _, c := range table.Actions {
		known = append(known, string(c.Action))
	}
	return "", command.Usagef(cmd, "%s", a.T("cli.unknown-value", "--fail-on", text, a.List(known)))
}

// loadSample fills an empty store with the built-in sample, so that the first command
// shows a report without any network. Real feeds outrank it as soon as they come.
func (a *app) loadSample(ctx context.Context, s store.Store) error {
	sources, err := s.Sources(ctx)
	if err != nil || len(sources) > 0 {
		return err
	}
	n, err := control.ImportBytes(ctx, s, "built-in-sample.jsonl", sample.Records())
	if err != nil {
		return errors.Join(errors.New(a.T("cli.sample-failed")), err)
	}
	a.Say(a.T("cli.sample-loaded", n))
	return nil
}

func (a *app) inventoryCommand() *cobra.Command {
	var opt struct {
		subject
		json, cyclonedx bool
	}
	cmd := &cobra.Command{
		Use:     "inventory",
		Short:   a.T("cli.inventory.short"),
		Long:    a.T("cli.inventory.long"),
		Example: "  kannuki inventory\n  kannuki inventory --json > web1.json\n  kannuki inventory --root /mnt/image --cyclonedx",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inv, err := a.inventory(cmd.Context(), cmd, opt.subject)
			switch {
			case err != nil:
				return err
			case opt.json:
				return report.JSON(a.Stdout, inv)
			case opt.cyclonedx:
				return inventory.WriteCycloneDX(a.Stdout, inv)
			}
			return report.Inventory(a.Stdout, inv, a.Printer, a.page())
		},
	}
	a.subjectFlags(cmd, &opt.subject)
	cmd.Flags().BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	cmd.Flags().BoolVar(&opt.cyclonedx, "cyclonedx", false, a.T("cli.flag.cyclonedx-inventory"))
	a.Exclusive(cmd, "json", "cyclonedx")
	return cmd
}
