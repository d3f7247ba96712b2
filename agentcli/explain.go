package agentcli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/textpage"
)

// actors are what --as takes.
var actors = []string{string(policy.AsContained), string(policy.AsSession), string(policy.AsUpdater), string(policy.AsAnyone)}

// question is what explain is asked.
type question struct {
	exec, write, read string
	as, policy        string
	by                []string
	json              bool
}

func (a *app) explainCommand() *cobra.Command {
	var q question
	cmd := &cobra.Command{
		Use:     "explain --exec PATH | --write PATH | --read PATH",
		Short:   a.T("agent.explain.short"),
		Long:    a.T("agent.explain.long"),
		Example: "  kannuki-agent explain --exec /tmp/x\n  kannuki-agent explain --write /etc/cron.d/x --as contained --by unit:nginx.service\n  kannuki-agent explain --read /etc/shadow --as session --policy strict",
		Args:    a.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.explain(cmd, q) },
	}
	flags := cmd.Flags()
	flags.StringVar(&q.exec, "exec", "", a.T("agent.flag.exec"))
	flags.StringVar(&q.write, "write", "", a.T("agent.flag.write"))
	flags.StringVar(&q.read, "read", "", a.T("agent.flag.read"))
	flags.StringVar(&q.as, "as", string(policy.AsContained), a.T("agent.flag.as", strings.Join(actors, ", ")))
	flags.StringSliceVar(&q.by, "by", nil, a.T("agent.flag.by"))
	flags.StringVar(&q.policy, "policy", "", a.T("agent.flag.explain-policy"))
	a.jsonFlag(cmd, &q.json)
	command.Choices(cmd, "as", actors...)
	a.Exclusive(cmd, "exec", "write", "read")
	return cmd
}

func (a *app) explain(cmd *cobra.Command, q question) error {
	ask, err := a.asked(cmd, q)
	if err != nil {
		return err
	}
	answer, err := a.explained(cmd.Context(), ask, q.policy)
	if err != nil {
		return err
	}
	if q.json {
		err = a.json(answer)
	} else {
		err = a.verdict(ask, answer)
	}
	if err == nil && !answer.Allowed {
		return command.Exit(ExitNo)
	}
	return err
}

// asked is the question the flags ask.
func (a *app) asked(cmd *cobra.Command, q question) (agent.Explain, error) {
	ask := agent.Explain{As: policy.As(q.as)}
	for _, o := range []struct {
		op   policy.Op
		path string
	}{{policy.Exec, q.exec}, {policy.Write, q.write}, {policy.Read, q.read}} {
		if o.path != "" {
			ask.Op, ask.Path = o.op, o.path
		}
	}
	if ask.Path == "" {
		return ask, command.Usagef(cmd, "%s", a.T("agent.explain.what"))
	}
	if !slices.Contains(actors, q.as) {
		return ask, a.badValue(cmd, "--as", q.as, actors)
	}
	for _, by := range q.by {
		kind, name, _ := strings.Cut(by, ":")
		switch {
		case kind == "unit" && name != "":
			ask.By = append(ask.By, agent.Lineage{Unit: name})
		case kind == "program" && name != "":
			ask.By = append(ask.By, agent.Lineage{Program: name})
		case kind == "user" && name != "":
			ask.By = append(ask.By, agent.Lineage{User: name})
		default:
			return ask, command.Usagef(cmd, "%s", a.T("agent.explain.by", by))
		}
	}
	path, err := filepath.Abs(ask.Path)
	ask.Path = path
	return ask, err
}

// explained asks the running agent; where there is none, or a policy is named, it
// answers from the policy itself.
func (a *app) explained(ctx context.Context, ask agent.Explain, named string) (agent.Explained, error) {
	if named == "" {
		c := agent.Dial(a.socket)
		defer c.Close()
		answer, err := c.Explain(ctx, ask)
		if !errors.Is(err, agent.ErrNoAgent) {
			return answer, a.answered(err)
		}
	}
	var p policy.Policy
	var err error
	if named == "" {
		var from string
		if p, from, err = a.filed(); err == nil {
			a.Say(a.T("agent.explain.from", from))
		}
	} else {
		p, _, err = a.named(ctx, []string{named})
	}
	if err != nil {
		return agent.Explained{}, err
	}
	return a.judge(p, ask)
}

func (a *app) judge(p policy.Policy, ask agent.Explain) (agent.Explained, error) {
	path, err := resolve(ask.Path)
	if err != nil {
		return agent.Explained{}, err
	}
	q := policy.Question{Op: ask.Op, Path: path, As: ask.As, At: a.Now()}
	for _, by := range ask.By {
		q.By = append(q.By, policy.Who{Program: by.Program, Unit: by.Unit, User: by.User})
	}
	if info, err := os.Stat(path); err == nil {
		q.Setuid = info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0
	}
	return agent.Explained{Path: path, Verdict: p.Explain(q)}, nil
}

// resolve follows the links of as much of path as is there.
func resolve(path string) (string, error) {
	rest := ""
	for at := path; ; {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == "/" {
			return "", err
		}
		rest = filepath.Join(filepath.Base(at), rest)
		at = filepath.Dir(at)
	}
}

// verdict tells the answer: first the word, then what it rests on.
func (a *app) verdict(ask agent.Explain, v agent.Explained) error {
	pg := a.page()
	word, style := "refused", textpage.Red
	switch {
	case v.Allowed:
		word, style = "allowed", textpage.Green
	case v.Mode == policy.Observe:
		word, style = "observed", textpage.Amber
	}
	pg.Line(style, a.T("agent.explain."+word))
	label := func(key string) string { return "  " + padded(a.T(key)) }
	pg.Item(0, label("agent.explain.question"), a.T("agent.explain.op."+string(ask.Op), a.T("agent.as."+string(ask.As)), v.Path))
	pg.Item(0, label("agent.explain.control"), string(v.Control)+" ("+a.T("agent.mode."+string(v.Mode))+")")
	pg.Item(0, label("agent.events.rule"), v.Rule)
	why, refusal := v.Why, event.Event{Op: string(ask.Op), Control: string(v.Control), Rule: v.Rule, Why: v.Why, WayOut: v.WayOut}
	if !v.Allowed {
		why = a.why(refusal)
	}
	pg.Item(0, label("agent.events.why"), why)
	if v.WayOut != "" {
		pg.Item(0, label("agent.events.do"), a.wayOut(refusal))
	}
	return pg.Err()
}
