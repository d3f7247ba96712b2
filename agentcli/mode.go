package agentcli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

// modeCommand is `observe` or `enforce`.
func (a *app) modeCommand(mode policy.Mode) *cobra.Command {
	var confirm time.Duration
	var asJSON bool
	var token string
	word := string(mode)
	cmd := &cobra.Command{
		Use:               word + " [CONTROL...]",
		Short:             a.T("agent." + word + ".short"),
		Long:              a.T("agent."+word+".long", a.List(controlNames())),
		Example:           "  kannuki-agent " + word + "\n  kannuki-agent " + word + " launch write --confirm 10m",
		ValidArgsFunction: cobra.FixedCompletions(controlNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			controls, err := a.controls(cmd, args)
			if err != nil {
				return err
			}
			return a.change(asJSON, token, func(c *agent.Client, token string) (agent.Changed, error) {
				return c.SetMode(cmd.Context(), agent.SetMode{Mode: mode, Controls: controls, Confirm: agent.Span(confirm), Token: token})
			})
		},
	}
	a.confirmFlag(cmd, &confirm)
	a.tokenFlag(cmd, &token)
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func (a *app) confirmCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "confirm",
		Short:   a.T("agent.confirm.short"),
		Long:    a.T("agent.confirm.long"),
		Example: "  kannuki-agent confirm",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var kept agent.Pending
			err := a.ask(func(c *agent.Client) (err error) {
				kept, err = c.Confirm(cmd.Context())
				return err
			})
			switch {
			case err != nil:
				return err
			case asJSON:
				return a.json(kept)
			}
			pg := a.page()
			pg.Line(textpage.Green, a.T("agent.confirm.kept", kept.What))
			return pg.Err()
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}
