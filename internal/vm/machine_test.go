//go:build linux

package vm

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm/port"
)

// up boots a small machine for a test that looks at the machine itself.
func up(t *testing.T, c Config) *machine {
	t.Helper()
	requireHost(t)
	b, err := c.small()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), c.timeout())
	defer cancel()
	m, err := launch(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}

func TestCommandsAreDoneAsAsked(t *testing.T) {
	m := up(t, Config{Kernel: Kernel(t, "6.1")})
	ctx := t.Context()
	for name, c := range map[string]struct {
		command Command
		want    Result
		fails   string
	}{
		"exit status":                    {Command{Args: []string{"sh", "-c", "exit 201"}}, Result{ExitCode: 201}, ""},
		"killed":                         {Command{Args: []string{"sh", "-c", "kill -9 $$"}}, Result{ExitCode: 137, Signal: "killed"}, ""},
		"streams":                        {Command{Args: []string{"sh", "-c", "echo out; echo err >&2"}, Merge: true}, Result{Output: "out\nerr\n", Stdout: "out\nerr\n"}, ""},
		"standard output":                {Command{Args: []string{"sh", "-c", "echo err >&2; sleep 0.2; echo out"}}, Result{Output: "err\nout\n", Stdout: "out\n"}, ""},
		"input":                          {Command{Args: []string{"cat"}, Stdin: []byte("in\x00put")}, Result{Output: "in\x00put", Stdout: "in\x00put"}, ""},
		"user and groups":                {Command{Args: []string{"id"}, User: "www-data"}, Result{Output: "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n"}, ""},
		"login session":                  {Command{Args: []string{"cat", "/proc/self/loginuid"}, User: "alice", Login: true}, Result{Output: "1000"}, ""},
		"no session":                     {Command{Args: []string{"cat", "/proc/self/loginuid"}, User: "alice"}, Result{Output: "4294967295"}, ""},
		"folder, setting":                {Command{Args: []string{"sh", "-c", "pwd; echo $X"}, Dir: "/etc", Env: []string{"X=y z"}}, Result{Output: "/etc\ny z\n"}, ""},
		"no such program":                {Command{Args: []string{"nothing-here"}}, Result{}, "nothing-here"},
		"no such user":                   {Command{Args: []string{"id"}, User: "mallory"}, Result{}, "mallory"},
		"no command":                     {Command{}, Result{}, "without arguments"},
		"a daemon keeps the output open": {Command{Args: []string{"sh", "-c", "sleep 600 & echo started"}}, Result{Output: "started\n"}, ""},
	} {
		got, err := m.exec(ctx, c.command)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v, want %q", name, err, c.fails)
			}
			continue
		}
		if err != nil || got.Output != c.want.Output || got.ExitCode != c.want.ExitCode || got.Signal != c.want.Signal ||
			c.want.Stdout != "" && got.Stdout != c.want.Stdout {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, c.want)
		}
	}
	filesTravel(t, m)
	hangingCommandsEnd(t, m)
	m.powerOff()
}

// filesTravel sends a large file both ways and compares it on both sides.
func filesTravel(t *testing.T, m *machine) {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, 16 frames
	to := port.File{Path: "/new/folder/file", Mode: 0o4750, User: "www-data"}
	if err := m.push(t.Context(), to, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	got, err := m.pull(t.Context(), to.Path)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(content), err)
	}
	r, err := m.exec(t.Context(), Command{Args: []string{"stat", "-c", "%a %U %s", to.Path}})
	if want := "4750 www-data 1048576\n"; err != nil || r.Output != want {
		t.Errorf("the guest says %q, %v; want %q", r.Output, err, want)
	}
	if _, err := m.pull(t.Context(), "/nowhere"); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("a missing file: %v", err)
	}
	if err := m.push(t.Context(), port.File{Path: "/proc/version"}, strings.NewReader("x")); err == nil {
		t.Error("a file that cannot be written was")
	}
}

// hangingCommandsEnd gives a command too little time: it must end, with what it printed.
func hangingCommandsEnd(t *testing.T, m *machine) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	r, err := m.exec(ctx, Command{Args: []string{"sh", "-c", "trap '' QUIT; echo before; while :; do sleep 1; done"}})
	if !errors.Is(err, context.DeadlineExceeded) || r.Output != "before\n" {
		t.Errorf("%q, %v", r.Output, err)
	}
	ps, err := m.exec(t.Context(), Command{Args: []string{"ps"}})
	if err != nil || strings.Contains(ps.Output, "trap") {
		t.Errorf("it still runs: %v\n%s", err, ps.Output)
	}
}

// A kernel that panics ends the machine at once, and its last words are in the error.
func TestAPanicIsTold(t *testing.T) {
	m := up(t, Config{Kernel: Kernel(t, "6.12")})
	began := time.Now()
	_, err := m.exec(t.Context(), Command{Args: []string{"sh", "-c", "echo c > /proc/sysrq-trigger"}})
	if err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("%v after %s", err, time.Since(began))
	}
	<-m.gone
	if console := m.console(); !strings.Contains(console, "Kernel panic") {
		t.Errorf("nothing on the console:\n%s", console)
	}
}

// The agent obeys only the host that drew this boot's token.
func TestAnotherHostIsRefused(t *testing.T) {
	requireHost(t)
	b, err := Config{Kernel: Kernel(t, "6.1")}.small()
	if err != nil {
		t.Fatal(err)
	}
	b.token = newToken()
	m := &machine{dir: t.TempDir(), gone: make(chan struct{})}
	if err := m.start(b); err != nil {
		t.Fatal(err)
	}
	defer m.close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b.token = newToken()
	if err := m.greet(ctx, b); err == nil || ctx.Err() != nil {
		t.Errorf("the agent answered %v (%v)", err, ctx.Err())
	}
	if console := m.console(); !strings.Contains(console, "does not know this boot's token") {
		t.Errorf("the console does not say why:\n%s", console)
	}
}

func TestABootThatHangsIsAnErrorWithItsConsole(t *testing.T) {
	requireHost(t)
	b, err := Config{Kernel: Kernel(t, "6.1")}.small()
	if err != nil {
		t.Fatal(err)
	}
	b.initrd = nil // no init: the kernel panics
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := launch(ctx, b); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("%v", err)
	}
}

// A test that is killed takes its machine along: here this test in a process of its
// own, which prints QEMU's id and waits for the end.
func TestAKilledTestLeavesNoMachine(t *testing.T) {
	if file := os.Getenv("KANNUKI_TEST_PID"); file != "" {
		m := up(t, Config{Kernel: Kernel(t, "6.1")})
		if err := os.WriteFile(file, []byte(strconv.Itoa(m.cmd.Process.Pid)+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		return
	}
	requireHost(t)
	file := filepath.Join(t.TempDir(), "pid")
	test := child(t, "TestAKilledTestLeavesNoMachine", "KANNUKI_TEST_PID="+file, "TMPDIR="+t.TempDir())
	var pid int
	until(t, func() bool {
		content, _ := os.ReadFile(file)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(content)))
		return pid > 0 && bytes.HasSuffix(content, []byte("\n"))
	})
	if !isQEMU(pid) {
		t.Fatalf("process %d is no QEMU", pid)
	}
	if err := test.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return !isQEMU(pid) })
}

func TestAMachineThatIsClosedIsGone(t *testing.T) {
	m := up(t, Config{Kernel: Kernel(t, "6.1")})
	pid, dir := m.cmd.Process.Pid, m.dir
	if !isQEMU(pid) || !exists(dir) {
		t.Fatalf("process %d is no QEMU, or %s is not its folder", pid, dir)
	}
	m.close()
	m.close() // twice is once
	if isQEMU(pid) || exists(dir) {
		t.Errorf("QEMU %d or its folder %s is still there", pid, dir)
	}
}

func isQEMU(pid int) bool {
	line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && bytes.HasPrefix(line, []byte(qemu))
}

// No machine has a way to a network, a display, or anything that was not asked for.
func TestAMachineHasNoWayOut(t *testing.T) {
	b := boot{kernel: &Linux{}, memory: 1, cpus: 1}
	args := " " + strings.Join(b.args("initrd", "console"), " ") + " "
	for _, want := range []string{" -nic none ", " -nodefaults ", " -no-user-config ", " -display none ", " -accel tcg,thread=single "} {
		if !strings.Contains(args, want) {
			t.Errorf("QEMU is not told%s", want)
		}
	}
	for _, bad := range []string{"kvm", "netdev", "virtfs", "fsdev", "vnc", "usb", "vfio"} {
		if strings.Contains(args, bad) {
			t.Errorf("QEMU is told %s", bad)
		}
	}
}

// Without QEMU nothing about kernels can be known: the tests say so and are skipped, or
// fail where machines were asked for. Seen from outside, with an empty PATH.
func TestWithoutQEMUTestsAreSkippedAloud(t *testing.T) {
	for setting, want := range map[string]string{"": "SKIPPED: nothing about kernels was tested", "required": "--- FAIL"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAMachineThatIsClosedIsGone$", "-test.v")
		cmd.Env = []string{"PATH=" + t.TempDir(), "KANNUKI_VM=" + setting}
		said, err := cmd.CombinedOutput()
		if !strings.Contains(string(said), want) || !strings.Contains(string(said), "scripts/setup guard") || (err != nil) != (setting == "required") {
			t.Errorf("KANNUKI_VM=%s: %v, want %q:\n%s", setting, err, want, said)
		}
	}
}

// The program of the guest does nothing on a host, whatever it is asked.
func TestGuestdRefusesOnAHost(t *testing.T) {
	content, err := guestd()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "guestd")
	if err := os.WriteFile(program, content, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"agent"}, {"login", "0", "/bin/true"}} {
		said, err := exec.Command(program, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(said), "test machine") {
			t.Errorf("%q: %v: %s", args, err, said)
		}
	}
}
