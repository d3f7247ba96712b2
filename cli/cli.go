// Package cli is the operator's face: every kannuki command, its help, its exit codes.
// It turns arguments and environment into calls of the ends and engines and their
// answers into pages; standard output carries results only, everything else goes to
// standard error. It runs in-process, so that tests can drive it.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/report"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/store/sqlite"
)

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitError  = 1
	ExitUsage  = 2
	ExitFailOn = 3 // scan --fail-on was met
)

// Env is what a command sees of the world.
type Env struct {
	Args   []string // without the program's name
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	Getenv func(string) string
	Now    func() time.Time
}

// OS is the Env of the running process.
func OS() Env {
	return Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
}

// Main runs one command and returns its exit code.
func Main(ctx context.Context, env Env) int {
	a := &app{Env: env}
	a.Printer = lang.New(a.language())
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errFailOn):
		return ExitFailOn
	case errors.As(err, &usage):
		a.say(a.T("cli.error", err.Error()))
		a.say(a.T("cli.error.help", usage.command))
		return ExitUsage
	case errors.Is(err, context.Canceled):
		a.say(a.T("cli.error", a.T("cli.interrupted")))
		return ExitError
	}
	a.say(a.T("cli.error", err.Error()))
	return ExitError
}

// app is one run of the program.
type app struct {
	Env
	lang.Printer
	flags struct {
		db, lang, color string
	}
	exclusives []exclusiveFlags
}

// usageError is a mistake in the arguments.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Errorf(format, args...)}
}

// errFailOn ends a scan whose findings meet --fail-on; the report has been printed.
var errFailOn = errors.New("--fail-on met")

// language finds the language before the arguments are parsed: help and errors about
// arguments are in it too.
func (a *app) language() string {
	for i, arg := range a.Args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--lang="); ok {
			return value
		}
		if arg == "--lang" && i+1 < len(a.Args) {
			return a.Args[i+1]
		}
	}
	return cmp.Or(a.Getenv("LC_ALL"), a.Getenv("LC_MESSAGES"), a.Getenv("LANG"))
}

// say writes one line for people to standard error.
func (a *app) say(text string) { fmt.Fprintln(a.Stderr, text) }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:               "kannuki",
		Version:           tool().Version,
		Short:             a.T("cli.short"),
		Long:              a.T("cli.long"),
		Example:           "  kannuki scan\n  kannuki feed sync\n  kannuki show CVE-2024-6387 --lang ja",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              a.noArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.flags.db, "db", "", a.T("cli.flag.db"))
	flags.StringVar(&a.flags.lang, "lang", "", a.T("cli.flag.lang"))
	flags.StringVar(&a.flags.color, "color", "auto", a.T("cli.flag.color"))
	choices(root, "lang", lang.Languages...)
	choices(root, "color", colors...)
	flags.BoolP("help", "h", false, a.T("cli.flag.help"))
	root.Flags().BoolP("version", "v", false, a.T("cli.flag.version"))
	root.PersistentPreRunE = a.checkGlobals
	root.SetFlagErrorFunc(a.flagError)
	root.SetHelpFunc(a.printHelp)
	root.AddCommand(a.scanCommand(), a.newCommand(), a.showCommand(), a.reportCommand(), a.inventoryCommand(), a.feedCommand())
	root.SetHelpCommand(a.helpCommand(root))
	for _, cmd := range append(root.Commands(), root) {
		cmd.SuggestionsMinimumDistance = 2
	}
	return root
}

// colors are what --color takes.
var colors = []string{"auto", "always", "never"}

// checkGlobals refuses global flag values that mean nothing, and flags that exclude
// each other.
func (a *app) checkGlobals(cmd *cobra.Command, _ []string) error {
	if a.flags.lang != "" && !slices.Contains(lang.Languages, a.flags.lang) {
		return usagef(cmd, "%s", a.T("cli.unknown-value", "--lang", a.flags.lang, a.list(lang.Languages)))
	}
	if !slices.Contains(colors, a.flags.color) {
		return usagef(cmd, "%s", a.T("cli.unknown-value", "--color", a.flags.color, a.list(colors)))
	}
	return a.checkExclusive(cmd)
}

// noArgs refuses arguments; for a parent command that is an unknown subcommand.
func (a *app) noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return a.unknownCommand(cmd, args[0], args)
	}
	return usagef(cmd, "%s", a.T("cli.no-arguments", args[0]))
}

// oneArg wants exactly one argument, called name in the message.
func (a *app) oneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef(cmd, "%s", a.T("cli.want-one", name, len(args)))
		}
		return nil
	}
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
func (a *app) page() report.Page {
	color := a.flags.color == "always" || a.flags.color == "auto" && isTerminal(a.Stdout) && a.Getenv("NO_COLOR") == ""
	return report.Page{Width: min(terminalWidth(a.Stdout), 100), Color: color}
}

// tool names this build in documents other programs read.
func tool() report.Tool {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return report.Tool{Version: "(devel)"}
	}
	return report.Tool{Version: info.Main.Version}
}
