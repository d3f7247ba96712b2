package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/policy"
)

// childDir tells this program to be an agent below that directory, to be killed.
const childDir = "KANNUKI_AGENT_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Println(Run(context.Background(), childConfig(dir)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func childConfig(dir string) Config {
	return Config{Policy: filepath.Join(dir, "policy.yaml"), State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "run", "agent.sock"),
		Now: func() time.Time { return begin }, Enforcer: &stuck{newFake()}, Notify: filepath.Join(dir, "notify"), Proc: filepath.Join(dir, "proc")}
}

// stuck is an enforcer that never comes back from applying the policy called stuck.
type stuck struct{ *fake }

func (s *stuck) Apply(p policy.Policy, now time.Time) (guard.Applied, error) {
	if p.Name == "stuck" {
		fmt.Println("stuck")
		select {}
	}
	return s.fake.Apply(p, now)
}

// TestKill9 kills a real process: while the kernel side is at work, and while a change
// waits to be confirmed.
func TestKill9LosesNoFallBack(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: the agent answers root only; run as root")
	}
	for name, kill := range map[string]func(t *testing.T, c *Client, said *bufio.Scanner){
		"while it applies": func(t *testing.T, c *Client, said *bufio.Scanner) {
			go func() {
				_, _ = c.ApplyPolicy(context.Background(), Apply{Source: source("version: 1\nname: stuck\nbase: strict\n"), Confirm: Span(10 * time.Minute)})
			}()
			if !said.Scan() || said.Text() != "stuck" {
				t.Fatalf("it said %q", said.Text())
			}
		},
		"while a change waits": func(t *testing.T, c *Client, _ *bufio.Scanner) {
			must(c.ApplyPolicy(t.Context(), Apply{Source: source(other), Confirm: Span(10 * time.Minute)}))(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(web), 0o600); err != nil {
				t.Fatal(err)
			}
			child, said := startChild(t, dir)
			c := Dial(childConfig(dir).Socket)
			defer c.Close()
			kill(t, c, said)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // that it was killed is no news

			r := newRig(t)
			r.cfg.Policy, r.cfg.State = filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "state")
			r.start()
			if s := r.status(); s.Pending == nil || s.Policy.Name == "web" {
				t.Fatalf("a minute after the kill: %+v", s.Policy)
			}
			if p := r.pass(10 * time.Minute); p.Name != "web" {
				t.Errorf("fell back to %s", p.Name)
			}
			if text, _ := os.ReadFile(r.cfg.Policy); string(text) != web {
				t.Errorf("the policy file says %q", text)
			}
		})
	}
}

// startChild runs an agent of its own, and returns when it is ready.
func startChild(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notify.Close() })
	// The kernel's word for this process, but for its login session: it may have none.
	who := filepath.Join(dir, "proc", strconv.Itoa(os.Getpid()))
	if err := errors.Join(os.MkdirAll(who, 0o700), os.Symlink("/proc/self", filepath.Join(dir, "proc", "self")), os.WriteFile(filepath.Join(who, "loginuid"), []byte("1000"), 0o600)); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0])
	child.Env, child.Stderr = append(os.Environ(), childDir+"="+dir), os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	buf := make([]byte, 4096)
	if err := notify.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := notify.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "READY=1\nSTATUS=policy web, 3 of 8 controls enforced (bpf-lsm, generation 1)") {
		t.Fatalf("systemd was told %q, %v", buf[:n], err)
	}
	return child, bufio.NewScanner(out)
}

func TestTheWatchdogHearsOfALoopThatGoesRound(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := newRig(t)
	r.cfg.Watchdog = 20 * time.Second
	var a *agent
	r.start(func(agent *agent) { a = agent })
	r.stop()
	a.systemd.socket = socket
	// The loop has ended; what it would do is asked for directly.
	said := func() string {
		buf, out := make([]byte, 4096), ""
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		a.systemd.tell("END")
		for {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if string(buf[:n]) == "END" {
				return out
			}
			out += string(buf[:n]) + "\n"
		}
	}
	now := begin.Add(time.Hour)
	for i, want := range []bool{true, false, true, false} {
		if next := a.tick(now); next.After(now.Add(10 * time.Second)) {
			t.Errorf("next at %v, after half the watchdog's time", next.Sub(now))
		}
		if got := strings.Contains(said(), "WATCHDOG=1"); got != want {
			t.Errorf("round %d: told %v, want %v", i, got, want)
		}
		now = now.Add(5 * time.Second)
	}
}
