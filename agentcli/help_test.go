package agentcli_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/agentcli"
	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/internal/examples"
	"github.com/kannuki/kannuki/lang"
)

// run is kannuki-agent with nothing to guard; it returns what it printed.
func run(args ...string) (stdout string, code int) {
	var out, log bytes.Buffer
	env := command.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &log,
		Getenv: func(string) string { return "" }, Now: func() time.Time { return time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC) }}
	code = agentcli.Main(context.Background(), env, agentcli.Program{})
	return out.String(), code
}

func commands() []agentcli.Command {
	return agentcli.Commands(command.Env{Getenv: func(string) string { return "" }})
}

func TestHelpOfEveryCommandFitsShowsAnExampleAndEndsWithExitCodes(t *testing.T) {
	if n := len(commands()); n < 22 {
		t.Fatalf("%d commands: %v", n, commands())
	}
	for _, l := range lang.Languages {
		p := lang.New(l)
		for _, c := range append(commands(), agentcli.Command{Path: []string{"help"}}) {
			name := strings.Join(append([]string{"kannuki-agent"}, c.Path...), " ")
			page, code := run(append(slices.Clone(c.Path), "--help", "--lang", l)...)
			if code != agentcli.ExitOK {
				t.Errorf("%s --help: exit code %d", name, code)
			}
			for line := range strings.Lines(page) {
				if w := lang.Width(strings.TrimSuffix(line, "\n")); w > 80 && !strings.Contains(line, "  kannuki-agent ") {
					t.Errorf("%s --help --lang %s: %d cells: %s", name, l, w, line)
				}
			}
			_, shown, ok := strings.Cut(page, "\n"+p.T("cli.examples")+"\n")
			if !ok || !strings.HasPrefix(shown, "  kannuki-agent ") {
				t.Errorf("%s --help --lang %s shows no example:\n%s", name, l, page)
			}
			last := strings.Join(lang.Wrap(p.T("agent.exit-codes"), 79), "\n") + "\n"
			if !strings.HasSuffix(page, last) {
				t.Errorf("%s --help --lang %s does not end with the exit codes:\n%s", name, l, page)
			}
			if strings.Contains(page, "agent.") && strings.Contains(page, ".short") {
				t.Errorf("%s --help --lang %s holds a key without text:\n%s", name, l, page)
			}
		}
	}
}

// Examples are parsed with --help added, so that nothing of them is done.
func TestExamplesInHelpAreArgumentsTheCommandsTake(t *testing.T) {
	for _, c := range commands() {
		page, _ := run(append(slices.Clone(c.Path), "--help")...)
		for _, words := range examples.Of(page) {
			if i := slices.Index(words, "--"); i >= 0 {
				words = words[:i]
			}
			if _, code := run(append(words[1:], "--help")...); code != agentcli.ExitOK {
				t.Errorf("%q is wrong usage", words)
			}
		}
	}
}

// These answer in no list, or change this process: there is nothing to print as JSON.
var withoutJSON = []string{"contain", "grant revoke", "install", "uninstall", "run", "version"}

func TestEveryCommandThatAnswersHasJSON(t *testing.T) {
	for _, c := range commands() {
		name := strings.Join(c.Path, " ")
		if want := !slices.Contains(withoutJSON, name); c.Leaf && c.JSON != want {
			t.Errorf("%s: --json is %v, want %v", name, c.JSON, want)
		}
	}
}
