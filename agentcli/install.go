package agentcli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
	"github.com/kannuki/kannuki/textpage"
)

// settle is how long install waits for the agent to answer.
const settle = 20 * time.Second

// wanted is what install is asked for.
type wanted struct {
	policy, mode, token string
	confirm             time.Duration
}

func (a *app) installCommand() *cobra.Command {
	var want wanted
	cmd := &cobra.Command{
		Use:     "install",
		Short:   a.T("agent.install.short"),
		Long:    a.T("agent.install.long"),
		Example: "  kannuki-agent install\n  kannuki-agent install --mode observe\n  kannuki-agent install --policy web.yaml --mode enforce --confirm 10m",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.install(cmd, want) },
	}
	cmd.Flags().StringVar(&want.policy, "policy", "", a.T("agent.flag.install-policy", strings.Join(policyfile.BuiltinNames(), ", ")))
	cmd.Flags().StringVar(&want.mode, "mode", "", a.T("agent.flag.mode"))
	a.confirmFlag(cmd, &want.confirm)
	a.tokenFlag(cmd, &want.token)
	command.Choices(cmd, "mode", modeNames...)
	return cmd
}

var modeNames = []string{string(policy.Observe), string(policy.Enforce)}

func (a *app) install(cmd *cobra.Command, want wanted) error {
	if want.mode != "" && !slices.Contains(modeNames, want.mode) {
		return a.badValue(cmd, "--mode", want.mode, modeNames)
	}
	h, err := a.Host()
	if err != nil {
		return err
	}
	text, err := a.wantedPolicy(h, want)
	if err != nil {
		return err
	}
	first, now := builtinText(policyfile.Default, ""), text
	if want.confirm > 0 {
		// What falls back must be there before: it starts with what was in force, or
		// observing, and the policy comes through the agent, which holds the clock.
		first, now = builtinText("observe", ""), nil
		if text == nil {
			text = []byte(builtinText(policyfile.Default, ""))
		}
	}
	// Where an agent runs already the policy file is the guard's own: it goes through it.
	if a.running(cmd.Context()) {
		now = nil
	}
	steps, err := h.Install(now, first)
	if text != nil && now == nil { // what becomes of the policy is told when it is handed over
		steps = slices.DeleteFunc(steps, func(s setup.Step) bool { return s.What == "policy" && s.Outcome == setup.Kept })
	}
	a.tellSteps(steps)
	if err != nil {
		return a.rootError(err)
	}
	if h.Systemctl == nil {
		return errors.New(a.T("agent.install.no-systemd"))
	}
	if now != nil {
		text = nil // it is there
	}
	return a.settled(cmd.Context(), h, text, want)
}

// running tells whether an agent answers.
func (a *app) running(ctx context.Context) bool {
	return a.ask(func(c *agent.Client) error {
		_, err := c.Status(ctx)
		return err
	}) == nil
}

// wantedPolicy is the text of the policy install is asked for; nil where none is, and
// the one that is there, or the default, will do.
func (a *app) wantedPolicy(h setup.Host, want wanted) ([]byte, error) {
	there, err := os.ReadFile(filepath.Join("/", h.Root, setup.Policy))
	switch {
	case slices.Contains(policyfile.BuiltinNames(), want.policy):
		return []byte(builtinText(want.policy, want.mode)), nil
	case want.policy != "":
		s, err := a.source(want.policy)
		if err != nil {
			return nil, err
		}
		return a.inMode(s, want.mode)
	case want.mode == "":
		return nil, nil
	case errors.Is(err, fs.ErrNotExist):
		return []byte(builtinText(policyfile.Default, want.mode)), nil
	case err != nil:
		return nil, a.rootError(err)
	}
	return a.inMode(agent.Source{Name: setup.Policy, Text: string(there)}, want.mode)
}

// builtinText is a policy file that says no more than which built-in one it is.
func builtinText(name, mode string) string {
	text := fmt.Sprintf("# Written by kannuki-agent install. The rules: kannuki-agent policy show\nversion: 1\nname: %s\nbase: %s\n", name, name)
	if mode != "" {
		text += "mode: " + mode + "\n"
	}
	return text
}

var modeLine = regexp.MustCompile(`(?m)^mode:.*$`)

// inMode is a policy's text with its mode set, all else as it was written.
func (a *app) inMode(s agent.Source, mode string) ([]byte, error) {
	if _, err := a.parse(s); err != nil || mode == "" {
		return []byte(s.Text), err
	}
	line := "mode: " + mode
	if modeLine.MatchString(s.Text) {
		s.Text = modeLine.ReplaceAllLiteralString(s.Text, line)
	} else {
		s.Text = strings.TrimRight(s.Text, "\n") + "\n" + line + "\n"
	}
	p, err := a.parse(s)
	if err != nil {
		return nil, err
	}
	for _, c := range policy.Controls() {
		if p.ModeOf(c) != policy.Mode(mode) {
			return nil, errors.New(a.T("agent.install.controls", s.Name, mode, string(c), string(p.ModeOf(c))))
		}
	}
	return []byte(s.Text), nil
}

// settled waits until the agent answers, hands it the policy text, if any, and tells
// what is in force.
func (a *app) settled(ctx context.Context, h setup.Host, text []byte, want wanted) error {
	c := agent.Dial(a.socket)
	defer c.Close()
	s, err := a.firstAnswer(ctx, c)
	if err != nil {
		return errors.New(a.T("agent.install.silent", err.Error()))
	}
	if text != nil {
		if s, err = a.handOver(ctx, c, h, text, want); err != nil {
			return a.answered(err)
		}
	}
	pg := a.page()
	pg.Line(textpage.Plain, "")
	if err := pg.Err(); err != nil {
		return err
	}
	if err := a.status(s); err != nil {
		return err
	}
	a.Say("\n" + a.T("agent.install.next"))
	if s.Reason != "" {
		return errors.New(a.T("agent.install.unprotected"))
	}
	return nil
}

// handOver applies a policy through the agent. The one before stays beside it, unless
// the guard, which the file belongs to, refuses even that.
func (a *app) handOver(ctx context.Context, c *agent.Client, h setup.Host, text []byte, want wanted) (agent.Status, error) {
	step, err := h.SaveOld(text)
	if err == nil {
		a.tellSteps([]setup.Step{step})
	} else {
		a.Say(a.T("agent.install.not-kept", err.Error()))
	}
	err = a.relaxing(want.token, func(c *agent.Client, token string) error {
		_, err := c.ApplyPolicy(ctx, agent.Apply{Source: agent.Source{Name: setup.Policy, Text: string(text)}, Confirm: agent.Span(want.confirm), Token: token})
		return err
	})
	if err != nil {
		return agent.Status{}, err
	}
	return c.Status(ctx)
}

func (a *app) firstAnswer(ctx context.Context, c *agent.Client) (agent.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		s, err := c.Status(ctx)
		if err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tellSteps tells what was done, and what was left.
func (a *app) tellSteps(steps []setup.Step) {
	pg := a.page()
	for _, s := range steps {
		mark := "+ "
		switch s.Outcome {
		case setup.Same, setup.Kept, setup.Absent:
			mark = "= "
		case setup.Skipped:
			mark = "! "
		case setup.Removed, setup.Stopped:
			mark = "- "
		}
		pg.Item(0, mark, a.T("agent.step."+s.What+"."+string(s.Outcome), s.Path))
	}
}

// rootError adds the next step to what only root may do.
func (a *app) rootError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return errors.New(a.T("agent.error.setup", err.Error()))
	}
	return err
}

func (a *app) uninstallCommand() *cobra.Command {
	var purge bool
	var token string
	cmd := &cobra.Command{
		Use:     "uninstall",
		Short:   a.T("agent.uninstall.short"),
		Long:    a.T("agent.uninstall.long"),
		Example: "  kannuki-agent uninstall\n  kannuki-agent uninstall --purge",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.Host()
			if err != nil {
				return err
			}
			if err := a.released(cmd.Context(), h, token); err != nil {
				return err
			}
			steps, err := h.Uninstall(a.unpin, purge)
			a.tellSteps(steps)
			if err != nil {
				return a.rootError(err)
			}
			a.Say(a.T("agent.uninstall.done"))
			return nil
		},
	}
	cmd.Flags().BoolVar(&purge, "purge", false, a.T("agent.flag.purge"))
	a.tokenFlag(cmd, &token)
	return cmd
}

// released has the running agent let go of this host: a session, and a token where the
// policy asks for one, is its to judge. Where none runs the policy file tells whether one
// is needed to judge it.
func (a *app) released(ctx context.Context, h setup.Host, tokenFile string) error {
	unanswered := false
	err := a.relaxing(tokenFile, func(c *agent.Client, token string) error {
		_, err := c.Uninstall(ctx, agent.Uninstall{Token: token})
		var refused *agent.Error
		switch {
		case errors.Is(err, agent.ErrNoAgent):
			unanswered = true
			return nil
		case errors.As(err, &refused) && refused.Code == http.StatusServiceUnavailable:
			return nil // it enforces nothing: there is nothing to let go of
		}
		return err
	})
	if err != nil || !unanswered {
		return err
	}
	text, err := os.ReadFile(filepath.Join("/", h.Root, setup.Policy))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return a.rootError(err)
	}
	p, err := policyfile.Parse(strings.NewReader(string(text)), setup.Policy)
	if err == nil && p.Self.Token == policy.On && len(p.Self.Keys) > 0 {
		return errors.New(a.T("agent.uninstall.no-agent"))
	}
	return nil // a policy nobody can read asks for nothing
}

// unpin adopts what an agent pinned and takes it out of the kernel.
func (a *app) unpin() error {
	enforcer, err := a.OpenGuard(false)
	if err != nil {
		return err
	}
	return errors.Join(enforcer.Remove(), enforcer.Close())
}
