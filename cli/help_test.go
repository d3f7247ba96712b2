package cli_test

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/internal/examples"
	"github.com/kannuki/kannuki/lang"
)

// wideLines are the lines of a page that do not fit into 80 cells.
func wideLines(page string) (wide []string) {
	for line := range strings.Lines(page) {
		if line = strings.TrimSuffix(line, "\n"); lang.Width(line) > 80 {
			wide = append(wide, line)
		}
	}
	return wide
}

func TestHelpOfEveryCommandFitsShowsAnExampleAndEndsWithExitCodes(t *testing.T) {
	commands := cli.Commands(cli.Env{Getenv: func(string) string { return "" }})
	if len(commands) < 11 {
		t.Fatalf("%d commands: %v", len(commands), commands)
	}
	for _, l := range lang.Languages {
		p := lang.New(l)
		for _, c := range append(commands, cli.Command{Path: []string{"help"}}) {
			name := strings.Join(append([]string{"kannuki"}, c.Path...), " ")
			page, code := kannuki(t, append(c.Path[:len(c.Path):len(c.Path)], "--help", "--lang", l)...)
			if code != cli.ExitOK {
				t.Errorf("%s --help: exit code %d", name, code)
			}
			if wide := wideLines(page); wide != nil {
				t.Errorf("%s --help --lang %s: wider than 80 cells:\n%s", name, l, strings.Join(wide, "\n"))
			}
			_, shown, ok := strings.Cut(page, "\n"+p.T("cli.examples")+"\n")
			if !ok || !strings.HasPrefix(shown, "  kannuki ") {
				t.Errorf("%s --help --lang %s shows no example:\n%s", name, l, page)
			}
			if !strings.HasSuffix(page, "\n"+p.T("cli.exit-codes")+"\n") {
				t.Errorf("%s --help --lang %s does not end with the exit codes:\n%s", name, l, page)
			}
			if strings.Contains(page, "cli.") {
				t.Errorf("%s --help --lang %s holds a key without text:\n%s", name, l, page)
			}
		}
	}
}

func TestExamplesInHelpAreArgumentsTheCommandsTake(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range cli.Commands(cli.Env{Getenv: func(string) string { return "" }}) {
		page, _ := kannuki(t, append(c.Path[:len(c.Path):len(c.Path)], "--help")...)
		for _, words := range examples.Of(page) {
			args := words[1:]
			if len(args) > 1 && args[0] == "feed" && args[1] == "sync" {
				args = append(args, "--mirror", "kev=http://127.0.0.1:1/", "--help") // no network from tests
			}
			if _, code := kannuki(t, append(args, "--db", "k.db")...); code == cli.ExitUsage && !strings.Contains(strings.Join(words, " "), "/mnt/") {
				t.Errorf("%q is wrong usage", words)
			}
		}
	}
}

func TestEveryPageFitsEightyCellsInBothLanguages(t *testing.T) {
	db := t.TempDir() + "/k.db"
	pages := [][]string{{"feed", "status"}, {"feed", "status", "--rejects"}, {"new", "--since", "9000d"}, {"inventory"}, {"scan"}, {"scan", "--all"},
		{"show", "CVE-2021-44228"}, {"show", "CVE-2020-1472"}, {"show", "CVE-2024-6387"}, {"show", "CVE-2023-44487"}, {"show", "CVE-2026-31431"}}
	for _, name := range []string{"web1.example.com", "db1.example.com", "files1.example.com"} {
		pages = append(pages, []string{"scan", "--sample-host", name}, []string{"scan", "--all", "--sample-host", name},
			[]string{"scan", "--all", "--table", "bod-26-04", "--sample-host", name}, []string{"inventory", "--sample-host", name})
	}
	for _, name := range []string{"web1.example.com", "db1.example.com", "files1.example.com"} {
		pages = append(pages, []string{"evidence", "CVE-2024-6387", "--host", name}, []string{"report", "coverage", "--host", name})
	}
	pages = append(pages, []string{"report", "coverage"}, []string{"what-if", "--policy", "strict"}, []string{"what-if", "--policy", "standard", "--all", "--table", "bod-26-04"},
		[]string{"what-if", "--without", "launch,write"}, []string{"new", "--since", "1h"})
	for _, l := range lang.Languages {
		for _, args := range pages {
			page, code := kannuki(t, append(args[:len(args):len(args)], "--lang", l, "--db", db)...)
			if code != cli.ExitOK || page == "" {
				t.Errorf("kannuki %s: exit code %d", strings.Join(args, " "), code)
			}
			if wide := wideLines(page); wide != nil {
				t.Errorf("kannuki %s --lang %s: wider than 80 cells:\n%s", strings.Join(args, " "), l, strings.Join(wide, "\n"))
			}
			if strings.Contains(page, "\x1b") {
				t.Errorf("kannuki %s --lang %s: escape sequences without a terminal", strings.Join(args, " "), l)
			}
		}
	}
}
