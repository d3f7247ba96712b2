package command

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kannuki/kannuki/lang"
)

// helpWidth is the most a help page takes, however wide the terminal: lines of text
// that are longer read badly.
const helpWidth = 80

// helpPage is what --help prints. Cobra's own template counts a Japanese character as
// one cell, so its lines would run over the edge and its columns would not meet.
func (l *Line) helpPage(cmd *cobra.Command) string {
	width := min(terminalWidth(l.Stdout), helpWidth)
	var b strings.Builder
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	writeLines(&b, "", lang.Wrap(text, width-1))
	b.WriteString("\n" + l.T("cli.usage") + "\n  " + l.usageLine(cmd) + "\n")
	l.helpList(&b, "cli.commands", width, commandRows(cmd))
	l.helpList(&b, "cli.flags", width, l.flagRows(cmd.LocalNonPersistentFlags()))
	if !cmd.HasParent() {
		l.helpList(&b, "cli.global-flags", width, l.flagRows(cmd.PersistentFlags()))
	}
	l.helpList(&b, "cli.global-flags", width, l.flagRows(cmd.InheritedFlags()))
	if cmd.Example != "" {
		b.WriteString("\n" + l.T("cli.examples") + "\n" + cmd.Example + "\n")
	}
	b.WriteString("\n")
	writeLines(&b, "", lang.Wrap(l.texts.ExitCodes, width-1))
	return b.String()
}

func (l *Line) usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " " + l.T("cli.usage.command")
	}
	return strings.TrimSuffix(cmd.UseLine(), " [flags]") + " " + l.T("cli.usage.flags")
}

// helpRow is a name and what it is for.
type helpRow struct{ name, text string }

func commandRows(cmd *cobra.Command) []helpRow {
	var rows []helpRow
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			rows = append(rows, helpRow{c.Name(), c.Short})
		}
	}
	return rows
}

func (l *Line) flagRows(flags *pflag.FlagSet) []helpRow {
	var rows []helpRow
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, text := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		if value != "" {
			name += " " + value
		}
		if f.Value.Type() != "bool" && f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "0s" {
			text += l.T("cli.default", f.DefValue)
		}
		rows = append(rows, helpRow{name, text})
	})
	return rows
}

// helpList writes rows in two columns; a name too long for the first has a line of
// its own.
func (l *Line) helpList(b *strings.Builder, title string, width int, rows []helpRow) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n" + l.T(title) + "\n")
	column := 0
	for _, r := range rows {
		column = max(column, min(lang.Width(r.name), width*2/5))
	}
	indent := strings.Repeat(" ", column+4)
	for _, r := range rows {
		lines := lang.Wrap(r.text, width-1-len(indent))
		if lang.Width(r.name) > column {
			b.WriteString("  " + r.name + "\n")
		} else {
			b.WriteString("  " + lang.Pad(r.name, column) + "  " + lines[0] + "\n")
			lines = lines[1:]
		}
		writeLines(b, indent, lines)
	}
}

func writeLines(b *strings.Builder, indent string, lines []string) {
	for _, line := range lines {
		b.WriteString(strings.TrimRight(indent+line, " ") + "\n")
	}
}

// flagError says in the reader's language what is wrong with a flag.
func (l *Line) flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var badValue *pflag.InvalidValueError
	text := err.Error()
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		text = l.T("cli.unknown-flag", "-"+unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		text = l.T("cli.unknown-flag", "--"+unknown.GetSpecifiedName())
		if near := nearestFlag(cmd, unknown.GetSpecifiedName()); near != "" {
			text += " " + l.T("cli.did-you-mean", "--"+near)
		}
	case errors.As(err, &noValue):
		text = l.T("cli.flag-needs-value", "--"+noValue.GetFlag().Name)
	case errors.As(err, &badValue) && badValue.GetFlag().Value.Type() == "bool":
		text = l.T("cli.flag-takes-no-value", "--"+badValue.GetFlag().Name, badValue.GetValue())
	}
	return &usageError{cmd.CommandPath(), errors.New(text)}
}

// nearestFlag is the flag a mistyped one begins or ends like, or that is two typing
// errors away at most; empty when there is none.
func nearestFlag(cmd *cobra.Command, name string) string {
	// Cobra knows how to find a near command: it is asked with the flags' names.
	names := &cobra.Command{Use: "flags", SuggestionsMinimumDistance: 2}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	if near := names.SuggestionsFor(name); len(near) > 0 {
		return near[0]
	}
	return ""
}

// Choices lets the shell complete the values of a flag.
func Choices(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that is not there: a mistake in this package
	}
}

// Exclusive refuses more than one of the named flags.
func (l *Line) Exclusive(cmd *cobra.Command, names ...string) {
	cmd.MarkFlagsMutuallyExclusive(names...) // for completion: it no longer offers the others
	l.exclusives = append(l.exclusives, exclusiveFlags{cmd, names})
}

// exclusiveFlags are flags of a command of which only one may be given.
type exclusiveFlags struct {
	cmd   *cobra.Command
	names []string
}

// checkExclusive comes before cobra's own check, which is no usage error and speaks
// English only.
func (l *Line) checkExclusive(cmd *cobra.Command) error {
	for _, group := range l.exclusives {
		var given []string
		for _, name := range group.names {
			if group.cmd == cmd && cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return Usagef(cmd, "%s", l.T("cli.exclusive", l.List(given)))
		}
	}
	return nil
}

// helpCommand is `PROGRAM help COMMAND`.
func (l *Line) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND...]", Short: l.T("cli.help.short"), Example: l.texts.HelpExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return l.unknownCommand(root, strings.Join(args, " "), args)
			}
			return target.Help()
		}}
}

// unknownCommand is the error for a command that is not there, and names those near.
func (l *Line) unknownCommand(parent *cobra.Command, typed string, args []string) error {
	text := l.T("cli.unknown-command", typed)
	if near := parent.SuggestionsFor(args[0]); len(near) > 0 {
		text += " " + l.T("cli.did-you-mean", l.List(near))
	}
	return Usagef(parent, "%s", text)
}
