// Package agentcli is the face of kannuki-agent: its commands, their help and exit
// codes, and the place where the agent is put together from its parts. Everything but
// run and install asks the running agent over its socket; what can be answered from a
// policy file alone is answered without one. Standard output carries results only.
package agentcli

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/jsonout"
	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

// Exit codes. A command started by contain or grant exits with its own; 126 and 127
// are a shell's.
const (
	ExitOK        = command.ExitOK
	ExitError     = command.ExitError
	ExitUsage     = command.ExitUsage
	ExitNo        = 3 // the answer is no: status is not protected, explain refuses
	ExitNoStart   = 126
	ExitNoCommand = 127
)

// Program is what the agent is made of on this host. Tests put other parts in.
type Program struct {
	// OpenGuard loads the guard, or says why nothing can be enforced here; with reduce the
	// reduced one where there can be no other.
	OpenGuard func(reduce bool) (agent.Enforcer, error)
	// Host is the machine install and uninstall work on.
	Host func() (setup.Host, error)
	// Drill is where drills make what they need.
	Drill drill.Places
	// HostID is what tokens name this host by; "": found out.
	HostID string
}

// OS is the Env of the running process.
func OS() command.Env {
	return command.Env{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now}
}

// Main runs one command and returns its exit code.
func Main(ctx context.Context, env command.Env, p Program) int {
	a := newApp(env, p)
	return a.Run(ctx, a.root())
}

// app is one run of the program.
type app struct {
	*command.Line
	Program
	socket string
}

func newApp(env command.Env, p Program) *app {
	return &app{Line: command.New("kannuki-agent", env), Program: p}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Short:   a.T("agent.short"),
		Long:    a.T("agent.long"),
		Example: "  kannuki-agent install --mode observe\n  kannuki-agent status\n  kannuki-agent events --since 1h --lang ja",
	}
	root.PersistentFlags().StringVar(&a.socket, "socket", agent.DefaultSocket, a.T("agent.flag.socket"))
	root.AddCommand(a.installCommand(), a.uninstallCommand(), a.runCommand(), a.statusCommand(), a.eventsCommand(), a.policyCommand(),
		a.explainCommand(), a.containCommand(), a.grantCommand(), a.modeCommand(policy.Observe), a.modeCommand(policy.Enforce), a.confirmCommand(), a.drillCommand(), a.drillProcessCommand(), a.unlockCommand(), a.lockCommand(), a.tokenCommand(),
		a.suggestCommand(), a.utilitiesCommand(), a.versionCommand())
	return a.Root(root, command.Texts{
		ExitCodes:   a.T("agent.exit-codes"),
		Interrupted: a.T("agent.interrupted"),
		HelpExample: "  kannuki-agent help install\n  kannuki-agent help policy apply",
	})
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: a.T("agent.version.short"), Example: "  kannuki-agent version", Args: a.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			pg := a.page()
			pg.Line(textpage.Plain, "kannuki-agent "+command.Version())
			return pg.Err()
		}}
}

// ask runs question with a client of the running agent, and turns what went wrong into
// the reader's language.
func (a *app) ask(question func(*agent.Client) error) error {
	c := agent.Dial(a.socket)
	defer c.Close()
	return a.answered(question(c))
}

// answered says what an error of the agent means here and what to do.
func (a *app) answered(err error) error {
	var refused *agent.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, agent.ErrNoAgent):
		return a.unanswered(err)
	case errors.As(err, &refused) && len(refused.Mistakes) > 1:
		for _, m := range refused.Mistakes {
			a.Say(m.Error())
		}
		return errors.New(a.T("agent.policy.unfit", len(refused.Mistakes)))
	case errors.As(err, &refused) && refused.Reason != "":
		return errors.New(a.refusal(refused))
	}
	return err
}

// unanswered says why no agent answered, and what to do.
func (a *app) unanswered(err error) error {
	conn, dialErr := net.Dial("unix", a.socket)
	switch {
	case dialErr == nil:
		return errors.Join(err, conn.Close()) // there is one; it ended the conversation
	case errors.Is(dialErr, os.ErrPermission):
		return errors.New(a.T("agent.error.root", a.socket))
	}
	return errors.New(a.T("agent.error.no-agent", a.socket))
}

// page starts a text page on standard output.
func (a *app) page() *textpage.Page { return textpage.New(a.Stdout, a.Printer, a.Layout()) }

// json prints v.
func (a *app) json(v any) error { return jsonout.Write(a.Stdout, v) }

// jsonFlag adds --json.
func (a *app) jsonFlag(cmd *cobra.Command, on *bool) {
	cmd.Flags().BoolVar(on, "json", false, a.T("cli.flag.json"))
}

// confirmFlag adds --confirm.
func (a *app) confirmFlag(cmd *cobra.Command, d *time.Duration) {
	cmd.Flags().DurationVar(d, "confirm", 0, a.T("agent.flag.confirm"))
}

// badValue is the error for a flag's value that is none of words.
func (a *app) badValue(cmd *cobra.Command, flag, value string, words []string) error {
	return command.Usagef(cmd, "%s", a.T("cli.unknown-value", flag, value, a.List(words)))
}

// controls reads names of controls.
func (a *app) controls(cmd *cobra.Command, names []string) ([]host.Control, error) {
	var out []host.Control
	for _, name := range names {
		if !slices.Contains(policy.Controls(), host.Control(name)) {
			text := a.T("agent.unknown-control", name, a.List(controlNames()))
			if near := nearest.Word(name, controlNames()); nearest.Distance(name, near) <= 2 {
				text = a.T("agent.unknown-control-near", name, near)
			}
			return nil, command.Usagef(cmd, "%s", text)
		}
		out = append(out, host.Control(name))
	}
	return out, nil
}

func controlNames() []string {
	var out []string
	for _, c := range policy.Controls() {
		out = append(out, string(c))
	}
	return out
}

// since reads a time, a day, or a duration back from now ("1h", "7d").
func (a *app) since(cmd *cobra.Command, text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, a.Now().Location()); err == nil {
			return t, nil
		}
	}
	unit := time.Duration(1)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		text, unit = days+"h", 24
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return a.Now().Add(-unit * d), nil
	}
	return time.Time{}, command.Usagef(cmd, "%s", a.T("agent.bad-since", text))
}
