package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
)

func (a *app) feedCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "feed",
		Short:   a.T("cli.feed.short"),
		Long:    a.T("cli.feed.long"),
		Example: "  kannuki feed sync\n  kannuki feed import ~/Downloads/nvdcve-2.0-2026.json.gz\n  kannuki feed status --rejects",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.feedSyncCommand(), a.feedImportCommand(), a.feedStatusCommand())
	return cmd
}

func (a *app) feedImportCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "import PATH...",
		Short:   a.T("cli.import.short"),
		Long:    a.T("cli.import.long"),
		Example: "  kannuki feed import all.zip known_exploited_vulnerabilities.json\n  kannuki feed import /media/usb/feeds",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return command.Usagef(cmd, "%s", a.T("cli.want-paths"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.importPaths(cmd.Context(), s, args, asJSON) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, a.T("cli.flag.json"))
	return cmd
}

// importPaths imports files and prints what became of each.
func (a *app) importPaths(ctx context.Context, s store.Store, paths []string, asJSON bool) error {
	bar := a.progress(a.T("cli.importing"))
	outcomes, err := control.Import(ctx, s, paths, feed.Options{Progress: bar.at})
	bar.done()
	if err != nil {
		return err
	}
	if asJSON {
		err = report.JSON(a.Stdout, outcomes)
	} else {
		err = report.Outcomes(a.Stdout, outcomes, a.Printer, a.page())
	}
	if err != nil {
		return err
	}
	return a.brokenFiles(outcomes)
}

// brokenFiles is an error when a file was broken; the outcomes have been printed.
func (a *app) brokenFiles(outcomes []feed.Outcome) error {
	broken := 0
	for _, o := range outcomes {
		if o.Status == feed.Failed {
			broken++
		}
	}
	if broken > 0 {
		return errors.New(a.T("cli.import-broken", broken))
	}
	return nil
}

func (a *app) feedStatusCommand() *cobra.Command {
	var opt struct{ json, rejects bool }
	cmd := &cobra.Command{
		Use:     "status",
		Short:   a.T("cli.status.short"),
		Long:    a.T("cli.status.long"),
		Example: "  kannuki feed status\n  kannuki feed status --rejects",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd.Context(), func(s store.Store) error { return a.status(cmd.Context(), s, opt.json, opt.rejects) })
		},
	}
	cmd.Flags().BoolVar(&opt.json, "json", false, a.T("cli.flag.json"))
	cmd.Flags().BoolVar(&opt.rejects, "rejects", false, a.T("cli.flag.rejects"))
	return cmd
}

func (a *app) status(ctx context.Context, s store.Store, asJSON, rejects bool) error {
	if rejects {
		list, err := s.Rejects(ctx)
		switch {
		case err != nil:
			return err
		case asJSON:
			return report.JSON(a.Stdout, list)
		}
		return report.Rejects(a.Stdout, list, a.Printer, a.page())
	}
	sources, err := s.Sources(ctx)
	switch {
	case err != nil:
		return err
	case asJSON:
		return report.JSON(a.Stdout, sources)
	}
	return report.FeedStatus(a.Stdout, sources, a.Now(), a.Printer, a.page())
}
