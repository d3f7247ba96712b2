package cli_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kannuki/kannuki/cli"
)

// TestMain lets the scripts run kannuki as a command: the test program itself, with
// the clock that $NOW sets. It leaves its exit code in $EXIT_FILE, because testscript
// only tells zero from the rest.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kannuki": func() {
		env := cli.OS()
		if text := os.Getenv("NOW"); text != "" {
			now, err := time.Parse(time.RFC3339, text)
			if err != nil {
				panic(err)
			}
			env.Now = func() time.Time { return now }
		}
		code := cli.Main(context.Background(), env)
		if file := os.Getenv("EXIT_FILE"); file != "" {
			if err := os.WriteFile(file, fmt.Append(nil, code), 0o600); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}})
}

// TestScripts runs the transcripts of testdata/script: one promise each, named by its
// file and told by its first line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("NOW", "2026-11-23T07:00:00Z")
			env.Setenv("EXIT_FILE", env.WorkDir+"/.exit")
			env.Setenv("XDG_DATA_HOME", env.WorkDir+"/data")
			env.Setenv("LANG", "C")
			docs, err := filepath.Abs("../docs")
			env.Setenv("DOCS", docs)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "replace": replace},
	})
}

// exits CODE checks the exit code of the last kannuki.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exits CODE")
	}
	if got := ts.ReadFile(".exit"); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// replace FILE OLD NEW edits a file the way its publisher would the next day.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if strings.Count(text, args[1]) != 1 {
		ts.Fatalf("%s holds %q %d times, not once", args[0], args[1], strings.Count(text, args[1]))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Replace(text, args[1], args[2], 1)), 0o600))
}
