// Package command is what the command lines of both programs have in common: language,
// colour and width, help pages, and errors that say in the reader's language what is
// wrong and where help is. Standard output carries results only; it runs in-process,
// so that tests can drive it.
package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

// Exit codes of every command.
const (
	ExitOK    = 0
	ExitError = 1
	ExitUsage = 2
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

// Line is one run of a command line.
type Line struct {
	Env
	lang.Printer
	name       string
	language   string // --lang
	color      string
	exclusives []exclusiveFlags
	texts      Texts
}

// Texts are what a program's own pages say.
type Texts struct {
	ExitCodes   string // the last line of every help page
	Interrupted string // the error after an interrupt
	HelpExample string // of the help command
}

// New returns the run of the program called name, in the language of its arguments or
// environment.
func New(name string, env Env) *Line {
	l := &Line{Env: env, name: name}
	l.Printer = lang.New(l.asked())
	return l
}

// Exit ends a command with a code of its own, when everything has been said.
type Exit int

func (e Exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a mistake in the arguments.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Usagef is an error about the arguments of cmd.
func Usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Errorf(format, args...)}
}

// Run executes root and returns the exit code; what went wrong has been said.
func (l *Line) Run(ctx context.Context, root *cobra.Command) int {
	root.SetArgs(l.Args)
	root.SetIn(l.Stdin)
	root.SetOut(l.Stdout)
	root.SetErr(l.Stderr)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	var exit Exit
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &usage):
		l.Say(l.T("cli.error", l.name, err.Error()))
		l.Say(l.T("cli.error.help", l.name, usage.command))
		return ExitUsage
	case errors.Is(err, context.Canceled):
		l.Say(l.T("cli.error", l.name, l.texts.Interrupted))
		return ExitError
	}
	l.Say(l.T("cli.error", l.name, err.Error()))
	return ExitError
}

// Say writes one line for people to standard error.
func (l *Line) Say(text string) { fmt.Fprintln(l.Stderr, text) }

// List joins items the way the language lists things.
func (l *Line) List(items []string) string { return strings.Join(items, l.T("list.separator")) }

// asked finds the language before the arguments are parsed: help and errors about
// arguments are in it too.
func (l *Line) asked() string {
	for i, arg := range l.Args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--lang="); ok {
			return value
		}
		if arg == "--lang" && i+1 < len(l.Args) {
			return l.Args[i+1]
		}
	}
	return cmp.Or(l.Getenv("LC_ALL"), l.Getenv("LC_MESSAGES"), l.Getenv("LANG"))
}

// Root makes root the command of the program: the flags every command has, help,
// version and suggestions. It is called when root has all its commands.
func (l *Line) Root(root *cobra.Command, texts Texts) *cobra.Command {
	l.texts = texts
	root.Use, root.Version = l.name, Version()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Args = l.NoArgs
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&l.language, "lang", "", l.T("cli.flag.lang"))
	flags.StringVar(&l.color, "color", "auto", l.T("cli.flag.color"))
	Choices(root, "lang", lang.Languages...)
	Choices(root, "color", colors...)
	flags.BoolP("help", "h", false, l.T("cli.flag.help"))
	root.Flags().BoolP("version", "v", false, l.T("cli.flag.version"))
	root.PersistentPreRunE = l.checkGlobals
	root.SetFlagErrorFunc(l.flagError)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { fmt.Fprint(l.Stdout, l.helpPage(cmd)) })
	root.SetHelpCommand(l.helpCommand(root))
	for _, cmd := range append(root.Commands(), root) {
		cmd.SuggestionsMinimumDistance = 2
	}
	return root
}

// colors are what --color takes.
var colors = []string{"auto", "always", "never"}

// checkGlobals refuses global flag values that mean nothing, and flags that exclude
// each other.
func (l *Line) checkGlobals(cmd *cobra.Command, _ []string) error {
	if l.language != "" && !slices.Contains(lang.Languages, l.language) {
		return Usagef(cmd, "%s", l.T("cli.unknown-value", "--lang", l.language, l.List(lang.Languages)))
	}
	if !slices.Contains(colors, l.color) {
		return Usagef(cmd, "%s", l.T("cli.unknown-value", "--color", l.color, l.List(colors)))
	}
	return l.checkExclusive(cmd)
}

// NoArgs refuses arguments; for a parent command that is an unknown subcommand.
func (l *Line) NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return l.unknownCommand(cmd, args[0], args)
	}
	return Usagef(cmd, "%s", l.T("cli.no-arguments", args[0]))
}

// OneArg wants exactly one argument, called name in the message.
func (l *Line) OneArg(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Usagef(cmd, "%s", l.T("cli.want-one", name, len(args)))
		}
		return nil
	}
}

// Layout is the layout of text pages on this terminal.
func (l *Line) Layout() textpage.Layout {
	color := l.color == "always" || l.color == "auto" && IsTerminal(l.Stdout) && l.Getenv("NO_COLOR") == ""
	return textpage.Layout{Width: min(terminalWidth(l.Stdout), 100), Color: color}
}

// Version is the version of this build, as the toolchain noted it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
