// Package cli is the operator's face: every kannuki command, its help, its exit codes.
// It turns arguments and environment into calls of the ends and engines and their
// answers into pages; standard output carries results only, everything else goes to
// standard error. It runs in-process, so that tests can drive it.
package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/store/sqlite"
)

// Exit codes of every command.
const (
	ExitOK     = command.ExitOK
	ExitError  = command.ExitError
	ExitUsage  = command.ExitUsage
	ExitFailOn = 3 // scan --fail-on was met
)

// Env is what a command sees of the world.
type Env = command.Env

// OS is the Env of the running process.
func OS() Env {
	return Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
}

// Main runs one command and returns its exit code.
func Main(ctx context.Context, env Env) int {
	a := newApp(env)
	return a.Run(ctx, a.root())
}

// app is one run of the program.
type app struct {
	*command.Line
	flags struct{ db string }
}

func newApp(env Env) *app { return &app{Line: command.New("kannuki", env)} }

// errFailOn ends a scan whose findings meet --fail-on; the report has been printed.
const errFailOn = command.Exit(ExitFailOn)

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Short:   a.T("cli.short"),
		Long:    a.T("cli.long"),
		Example: "  kannuki scan\n  kannuki feed sync\n  kannuki show CVE-2024-6387 --lang ja",
	}
	root.PersistentFlags().StringVar(&a.flags.db, "db", "", a.T("cli.flag.db"))
	root.AddCommand(a.scanCommand(), a.newCommand(), a.showCommand(), a.evidenceCommand(), a.whatIfCommand(), a.reportCommand(), a.inventoryCommand(), a.policyCommand(), a.tokenCommand(), a.feedCommand())
	return a.Root(root, command.Texts{
		ExitCodes:   a.T("cli.exit-codes"),
		Interrupted: a.T("cli.interrupted"),
		HelpExample: "  kannuki help scan\n  kannuki help feed import",
	})
}

// database is the path of the store.
func (a *app) database() (string, error) {
	if a.flags.db != "" {
		return a.flags.db, nil
	}
	if dir := a.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "kannuki", "kannuki.db"), nil
	}
	home := a.Getenv("HOME")
	if home == "" {
		return "", errors.New(a.T("cli.no-home"))
	}
	return filepath.Join(home, ".local", "share", "kannuki", "kannuki.db"), nil
}

// withStore opens the store for one command.
func (a *app) withStore(ctx context.Context, run func(s store.Store) error) (err error) {
	path, err := a.database()
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, path, a.Now)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := db.Close(); err == nil {
			err = closeErr
		}
	}()
	return run(db)
}

// page is the layout of text pages on this terminal.
func (a *app) page() report.Page { return a.Layout() }

// tool names this build in documents other programs read.
func tool() report.Tool { return report.Tool{Version: command.Version()} }
