package agentcli_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/agentcli"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/lang"
)

// TestMain lets the scripts run kannuki-agent as a command: the test program itself,
// with a kernel that cannot enforce, or with the fake one where $FAKE_GUARD is set.
// Nothing here ever loads the real guard. The program leaves its exit code in
// $EXIT_FILE, because testscript only tells zero from the rest.
func TestMain(m *testing.M) {
	runtime.LockOSThread() // as main does
	testscript.Main(m, map[string]func(){"kannuki-agent": func() {
		env := agentcli.OS()
		if uid := os.Getenv("LOGIN_UID"); uid != "" && os.Getuid() == 0 { // as pam_loginuid does
			if err := os.WriteFile("/proc/self/loginuid", []byte(uid), 0); err != nil {
				panic(err)
			}
		}
		if text := os.Getenv("NOW"); text != "" {
			now, err := time.Parse(time.RFC3339, text)
			if err != nil {
				panic(err)
			}
			env.Now = func() time.Time { return now }
		}
		ctx, stop := signalled()
		code := agentcli.Main(ctx, env, program(env.Now))
		stop()
		if file := os.Getenv("EXIT_FILE"); file != "" {
			if err := os.WriteFile(file, fmt.Append(nil, code), 0o600); err != nil {
				panic(err)
			}
		}
		os.Exit(code)
	}, drill.Comm: fakeCrew})
}

// fakeCrew is a process of a drill that does nothing: each step it is ordered to do it
// says was refused to whoever started it, but for what comes-off in the drill's root
// names.
func fakeCrew() {
	defer os.Exit(0)
	if os.Args[2] == drill.Victim {
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	orders, answers := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o drill.Order
		if orders.Decode(&o) != nil {
			return
		}
		a := drill.Attempt{Step: o.Step, PID: os.Getppid(), Went: drill.WentRefused, Error: "operation not permitted"}
		if text, err := os.ReadFile(filepath.Join(o.Scene.Root, "comes-off")); err == nil && strings.Contains(string(text), o.Step+"\n") {
			a.Went, a.Error = drill.WentThrough, ""
		}
		if answers.Encode(a) != nil {
			return
		}
	}
}

func program(now func() time.Time) agentcli.Program {
	return agentcli.Program{
		HostID: "0123456789abcdef0123456789abcdef",
		Drill:  drill.Places{Root: os.Getenv("DRILL_ROOT")},
		OpenGuard: func(bool) (agent.Enforcer, error) {
			if os.Getenv("FAKE_GUARD") != "" {
				g := newFakeGuard(now)
				g.lacking = os.Getenv("FAKE_GUARD") == "lacking"
				g.reduced = os.Getenv("FAKE_GUARD") == "reduced"
				g.asked = os.Getenv("FAKE_GUARD") == "asked"
				return g, nil
			}
			return nil, errors.New("this kernel cannot enforce: bpf-lsm: bpf is not in lsm=")
		},
		Host: func() (setup.Host, error) {
			h := setup.Host{Root: os.Getenv("HOST_ROOT"), Self: os.Getenv("HOST_SELF")}
			if os.Getenv("NO_SYSTEMD") == "" {
				h.Systemctl = func(args ...string) error {
					fmt.Fprintln(os.Stderr, "systemctl", strings.Join(args, " "))
					return nil
				}
			}
			return h, nil
		},
	}
}

// TestScripts runs the transcripts of testdata/script: one promise each, named by its
// file and told by its first line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(c string) (bool, error) {
			if c == "root" {
				return os.Getuid() == 0, nil // the socket answers root only
			}
			return false, fmt.Errorf("no condition %q", c)
		},
		Setup: func(env *testscript.Env) error {
			// A path of a socket has room for 107 bytes.
			dir, err := os.MkdirTemp("", "ka")
			if err != nil {
				return err
			}
			env.Defer(func() { os.RemoveAll(dir) })
			// What steps are about on a host: nothing of this one is looked at.
			for _, dir := range []string{"usr/lib", "var/tmp", "etc/cron.d"} {
				if err := os.MkdirAll(filepath.Join(env.WorkDir, "root", dir), 0o755); err != nil {
					return err
				}
			}
			for k, v := range map[string]string{"NOW": "2026-11-23T07:00:00Z", "LANG": "C", "LOGIN_UID": "1000", "EXIT_FILE": env.WorkDir + "/.exit", "SOCKET": dir + "/s/agent.sock",
				"HOST_ROOT": env.WorkDir + "/host", "DRILL_ROOT": env.WorkDir + "/root", "HOST_SELF": env.WorkDir + "/kannuki-agent-1"} {
				env.Setenv(k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "answers": answers, "damage": damage, "fits": fits, "guarded": guarded, "sign": sign},
	})
}

// exits CODE checks the exit code of the last kannuki-agent.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: exits CODE")
	}
	if got := ts.ReadFile(".exit"); got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// fits checks that no line of the last standard output is wider than 80 cells.
func fits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: fits")
	}
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if w := lang.Width(strings.TrimSuffix(line, "\n")); w > 80 {
			ts.Fatalf("%d cells: %s", w, line)
		}
	}
}

// answers waits until the agent on $SOCKET does.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: answers")
	}
	c := agent.Dial(ts.Getenv("SOCKET"))
	defer c.Close()
	for range 200 {
		s, err := c.Status(context.Background())
		if err == nil && (s.Reason != "" || s.Events.Refused > 0) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("no agent answers at %s", filepath.Base(ts.Getenv("SOCKET")))
}

// operator is the key that guarded policies name.
func operator(ts *testscript.TestScript) identity.PrivateKey {
	key, err := identity.NewKey(strings.NewReader(strings.Repeat("k", 32)))
	ts.Check(err)
	return key
}

// guarded FILE NAME writes a policy that asks for tokens of the operator.
func guarded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: guarded FILE NAME")
	}
	text := fmt.Sprintf("version: 1\nname: %s\nbase: standard\nself: {token: on, keys: [{name: ops, key: %q, why: the operator}]}\n", args[1], operator(ts).Public())
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// sign FILE HOST FROM UNTIL ACTION... signs a token, good between two times of 2026-11-23.
func sign(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 5 {
		ts.Fatalf("usage: sign FILE HOST FROM UNTIL ACTION...")
	}
	t := identity.Token{Host: args[1], Reason: "INC-4711"}
	for _, a := range args[4:] {
		t.May = append(t.May, identity.Action(a))
	}
	for i, at := range []*time.Time{&t.From, &t.Until} {
		var err error
		*at, err = time.Parse(time.RFC3339, "2026-11-23T"+args[2+i]+":00Z")
		ts.Check(err)
	}
	text, err := t.Sign(operator(ts), rand.Reader)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text+"\n"), 0o600))
}

// damage DIR spoils one byte in the middle of the first third of every file below DIR.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	files, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, f := range files {
		name := filepath.Join(ts.MkAbs(args[0]), f.Name())
		text, err := os.ReadFile(name)
		ts.Check(err)
		if len(text) > 0 {
			text[len(text)/6] ^= 0xff
		}
		ts.Check(os.WriteFile(name, text, 0o600))
	}
}
