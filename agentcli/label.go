package agentcli

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/textpage"
)

func (a *app) containCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "contain -- CMD [ARG...]",
		Short:   a.T("agent.contain.short"),
		Long:    a.T("agent.contain.long"),
		Example: "  kannuki-agent contain -- /usr/sbin/nginx -t",
		Args:    a.wantCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.labelled(args, func(c *agent.Client) error { return c.Contain(cmd.Context(), 0) })
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// wantCommand wants a command to start.
func (a *app) wantCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return command.Usagef(cmd, "%s", a.T("agent.want-command", cmd.CommandPath()))
	}
	return nil
}

// labelled asks the agent for a label on this process and becomes the command, whose
// exit code is then its own. Without the label it starts nothing.
func (a *app) labelled(args []string, label func(*agent.Client) error) error {
	path, err := exec.LookPath(args[0])
	if err != nil {
		a.Say(a.T("cli.error", "kannuki-agent", a.T("agent.no-command", args[0], reason(err))))
		if errors.Is(err, fs.ErrPermission) {
			return command.Exit(ExitNoStart)
		}
		return command.Exit(ExitNoCommand)
	}
	// The label is on the thread that leads this process: another thread's exec would
	// leave it behind.
	if syscall.Gettid() != os.Getpid() {
		return errors.New(a.T("agent.not-leader"))
	}
	if err := a.ask(label); err != nil {
		return err
	}
	err = syscall.Exec(path, args, os.Environ())
	a.Say(a.T("cli.error", "kannuki-agent", a.T("agent.no-start", path, err.Error())))
	return command.Exit(ExitNoStart)
}

// reason is what is wrong with a command, without its name.
func reason(err error) string {
	if inner := (*exec.Error)(nil); errors.As(err, &inner) {
		return inner.Err.Error()
	}
	return err.Error()
}

func (a *app) grantCommand() *cobra.Command {
	var ask agent.Ask
	var length time.Duration
	cmd := &cobra.Command{
		Use:     "grant -- CMD [ARG...]",
		Short:   a.T("agent.grant.short"),
		Long:    a.T("agent.grant.long"),
		Example: "  kannuki-agent grant --for 15m --reason \"vendor installer\" -- ./install.run\n  kannuki-agent grant --for 5m --launch /home/aiko/fix.sh -- /home/aiko/fix.sh\n  kannuki-agent grant list",
		Args:    a.wantCommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			if length <= 0 {
				return command.Usagef(cmd, "%s", a.T("agent.grant.for", length.String()))
			}
			ask.For = agent.Span(length)
			if ask.Reason == "" {
				ask.Reason = strings.Join(args, " ")
			}
			return a.labelled(args, func(c *agent.Client) error {
				g, err := c.Grant(cmd.Context(), ask)
				if err == nil {
					a.Say(a.T("agent.grant.given", strconv.FormatUint(g.ID, 10), a.clock(g.Until)))
				}
				return err
			})
		},
	}
	flags := cmd.Flags()
	flags.SetInterspersed(false)
	flags.DurationVar(&length, "for", 15*time.Minute, a.T("agent.flag.for"))
	flags.StringArrayVar(&ask.Launch, "launch", nil, a.T("agent.flag.grant-launch"))
	flags.StringArrayVar(&ask.Write, "write", nil, a.T("agent.flag.grant-write"))
	flags.StringVar(&ask.Reason, "reason", "", a.T("agent.flag.reason"))
	cmd.AddCommand(a.grantListCommand(), a.grantRevokeCommand())
	return cmd
}

func (a *app) grantListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   a.T("agent.grant.list.short"),
		Example: "  kannuki-agent grant list\n  kannuki-agent grant list --json",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var grants []agent.Grant
			err := a.ask(func(c *agent.Client) (err error) {
				grants, err = c.Grants(cmd.Context())
				return err
			})
			switch {
			case err != nil:
				return err
			case asJSON:
				return a.json(grants)
			}
			pg := a.page()
			pg.Line(textpage.Bold, a.T("agent.grants.title", len(grants)))
			if len(grants) > 0 {
				a.grantTable(pg, grants)
			}
			return pg.Err()
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) grantRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   a.T("agent.grant.revoke.short"),
		Long:    a.T("agent.grant.revoke.long"),
		Example: "  kannuki-agent grant revoke 3",
		Args:    a.OneArg("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil {
				return command.Usagef(cmd, "%s", a.T("agent.grant.id", args[0]))
			}
			if err := a.ask(func(c *agent.Client) error { return c.Revoke(cmd.Context(), id) }); err != nil {
				return err
			}
			pg := a.page()
			pg.Line(textpage.Plain, a.T("agent.grant.revoked", args[0]))
			return pg.Err()
		},
	}
}
