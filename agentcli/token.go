package agentcli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/textpage"
)

// tokenFlag adds --token.
func (a *app) tokenFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "token", "", a.T("agent.flag.token"))
}

// tokenText reads a token: from a file, or from standard input for "-".
func (a *app) tokenText(file string) (string, error) {
	var text []byte
	var err error
	switch file {
	case "":
		return "", nil
	case "-":
		text, err = io.ReadAll(io.LimitReader(a.Stdin, identity.MaxText+1))
	default:
		text, err = readBounded(file)
	}
	return strings.TrimSpace(string(text)), err
}

// readBounded reads the start of a file: whatever is longer is no token, and is told so.
func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, identity.MaxText+1))
	return text, errors.Join(err, f.Close())
}

// relaxing asks for something that may take a token. Where it does and none was given, a
// person at a terminal is asked for one.
func (a *app) relaxing(file string, ask func(c *agent.Client, token string) error) error {
	token, err := a.tokenText(file)
	if err != nil {
		return err
	}
	c := agent.Dial(a.socket)
	defer c.Close()
	err = ask(c, token)
	var refused *agent.Error
	if errors.As(err, &refused) && refused.Reason == agent.ReasonTokenWanted && token == "" && command.IsTerminal(a.Stdin) {
		a.Say(a.refusal(refused))
		fmt.Fprint(a.Stderr, a.T("agent.token.prompt"))
		line, _ := bufio.NewReader(a.Stdin).ReadString('\n') // the end of the input ends the line
		if line = strings.TrimSpace(line); line == "" {
			return errors.New(a.T("agent.token.none"))
		}
		err = ask(c, line)
	}
	return a.answered(err)
}

// refusal is why the agent does not do what it was asked for, in the reader's language
// where the agent gave a code.
func (a *app) refusal(e *agent.Error) string {
	key := "agent.refused." + e.Reason
	if code, ok := strings.CutPrefix(e.Reason, "token-"); ok && e.Reason != agent.ReasonTokenWanted {
		key = "token." + code
	}
	return cmp.Or(a.Coded(key, e.Args), e.Error())
}

func (a *app) tokenCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "token [FILE]",
		Short:   a.T("agent.token.short"),
		Long:    a.T("agent.token.long"),
		Example: "  kannuki-agent token\n  kannuki-agent token unlock.token",
		Args:    a.atMostOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.tokens(cmd.Context(), asJSON)
			}
			return a.checkToken(cmd.Context(), args[0], asJSON)
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

// tokens tells what a token for this host has to say.
func (a *app) tokens(ctx context.Context, asJSON bool) error {
	var s agent.TokenStatus
	err := a.ask(func(c *agent.Client) (err error) {
		s, err = c.Token(ctx)
		return err
	})
	if err != nil || asJSON {
		return errors.Join(err, a.jsonUnless(err, s))
	}
	pg := a.page()
	state := "off"
	switch {
	case s.Wanted:
		state = "wanted"
	case s.Asked:
		state = "keyless"
	}
	pg.Text(0, a.T("agent.token.state."+state))
	label := func(key string) string { return "  " + padded(a.T(key)) }
	id := s.Host
	if id == "" {
		id = a.T("agent.token.no-host")
	}
	pg.Item(0, label("agent.token.host"), id)
	for _, k := range s.Keys {
		pg.Item(0, label("agent.token.key"), k.Name+" ("+k.ID+")")
	}
	pg.Item(0, label("agent.token.used"), a.T("agent.token.used-count", s.Used, a.DateTime(s.Since.In(a.Now().Location()))))
	pg.Line(textpage.Plain, "")
	pg.Text(0, a.T("agent.token.how"))
	pg.Line(textpage.Plain, "  kannuki token sign --key FILE --host "+s.Host+" \\")
	pg.Line(textpage.Plain, "    --may unlock --valid 1h > unlock.token")
	return pg.Err()
}

// jsonUnless prints v, unless there was an error.
func (a *app) jsonUnless(err error, v any) error {
	if err != nil {
		return nil
	}
	return a.json(v)
}

// checkToken tells whether a token would be taken here and now, without taking it.
func (a *app) checkToken(ctx context.Context, file string, asJSON bool) error {
	text, err := a.tokenText(file)
	if err != nil {
		return err
	}
	var t identity.Token
	err = a.ask(func(c *agent.Client) (err error) {
		t, err = c.CheckToken(ctx, text)
		return err
	})
	if err != nil || asJSON {
		return errors.Join(err, a.jsonUnless(err, t))
	}
	pg := a.page()
	pg.Line(textpage.Green, a.T("agent.token.good"))
	for _, row := range a.TokenRows(t) {
		pg.Item(0, "  "+padded(row[0]), row[1])
	}
	return pg.Err()
}

func (a *app) unlockCommand() *cobra.Command {
	var opt struct {
		json          bool
		length        time.Duration
		reason, token string
	}
	cmd := &cobra.Command{
		Use:               "unlock [CONTROL...]",
		Short:             a.T("agent.unlock.short"),
		Long:              a.T("agent.unlock.long", a.List(controlNames())),
		Example:           "  kannuki-agent unlock --token unlock.token --for 15m\n  kannuki-agent unlock launch --for 5m --reason \"locked out, INC-4711\"",
		ValidArgsFunction: cobra.FixedCompletions(controlNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			controls, err := a.controls(cmd, args)
			if err != nil {
				return err
			}
			if opt.length <= 0 {
				return command.Usagef(cmd, "%s", a.T("agent.grant.for", opt.length.String()))
			}
			var u agent.Unlocked
			err = a.relaxing(opt.token, func(c *agent.Client, token string) (err error) {
				u, err = c.Unlock(cmd.Context(), agent.Unlock{Controls: controls, For: agent.Span(opt.length), Reason: reasonOr(opt.reason, token), Token: token})
				return err
			})
			if err != nil || opt.json {
				return errors.Join(err, a.jsonUnless(err, u))
			}
			pg := a.page()
			a.unlocked(pg, &u)
			return pg.Err()
		},
	}
	flags := cmd.Flags()
	flags.DurationVar(&opt.length, "for", 15*time.Minute, a.T("agent.flag.for"))
	flags.StringVar(&opt.reason, "reason", "", a.T("agent.flag.unlock-reason"))
	a.tokenFlag(cmd, &opt.token)
	a.jsonFlag(cmd, &opt.json)
	return cmd
}

// reasonOr is the reason that was given, or the one the token was signed for.
func reasonOr(given, token string) string {
	if s, err := identity.Parse(token); given == "" && err == nil {
		return s.Reason
	}
	return given
}

func (a *app) lockCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "lock",
		Short:   a.T("agent.lock.short"),
		Long:    a.T("agent.lock.long"),
		Example: "  kannuki-agent lock",
		Args:    a.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var u agent.Unlocked
			err := a.ask(func(c *agent.Client) (err error) {
				u, err = c.Lock(cmd.Context())
				return err
			})
			if err != nil || asJSON {
				return errors.Join(err, a.jsonUnless(err, u))
			}
			pg := a.page()
			pg.Line(textpage.Green, a.T("agent.lock.done", a.List(controlWords(u))))
			return pg.Err()
		},
	}
	a.jsonFlag(cmd, &asJSON)
	return cmd
}

func controlWords(u agent.Unlocked) []string {
	var out []string
	for _, c := range u.Controls {
		out = append(out, string(c))
	}
	return out
}

// unlocked tells what is in observe mode for a while, and how to end it.
func (a *app) unlocked(pg *textpage.Page, u *agent.Unlocked) {
	if u == nil {
		return
	}
	pg.Line(textpage.Amber, a.T("agent.unlocked.title", a.clock(u.Until), a.left(u.Until)))
	pg.Text(2, a.T("agent.unlocked.what", a.List(controlWords(*u)), u.Reason))
	pg.Text(2, a.T("agent.unlocked.how"))
}
