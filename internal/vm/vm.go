//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm/guest"
	"github.com/kannuki/kannuki/internal/vm/port"
)

// Config says which machine a test wants. Only Kernel has to be set.
type Config struct {
	Kernel  *Linux
	LSM     string            // lsm= on the kernel command line; empty leaves the kernel's default
	Cmdline []string          // further words of the kernel command line
	Memory  int               // MiB; 0 is 512 for the small machine, 1024 for Debian
	CPUs    int               // 0 is 1 for the small machine, 2 for Debian
	ICount  bool              // guest time counts instructions (-icount shift=0); CPUs must be 1
	Modules []string          // kernel modules to load, with what they depend on
	Files   map[string]string // guest path → host file or folder
	Env     []string          // added to the environment of what runs
	User    string            // who it runs as; empty is root
	Dir     string            // its working directory
	Timeout time.Duration     // of the whole run, boot included; 0 is 3 minutes

	merge bool // one stream, in order
}

// Result is how a command in a guest ended.
type Result struct {
	Output   string        // standard output and error as they came
	Stdout   string        // standard output alone
	ExitCode int           // 128+n where signal n ended it
	Signal   string        // that signal's name, or empty
	Console  string        // the guest's console; of Run only
	Boot     time.Duration // from QEMU's start to the agent's answer; of Run only
	Took     time.Duration // wall time of the command
}

// Run boots a small machine, runs a static program of the host in it with args, and
// ends the machine. A machine that does not come up or a program that does not end in
// time fails the test; an exit status other than 0 is the caller's to judge.
func Run(t testing.TB, c Config, program string, args ...string) Result {
	t.Helper()
	in := path.Join("/test", filepath.Base(program))
	c.Files = withFile(c.Files, in, program)
	return Shell(t, c, append([]string{in}, args...)...)
}

// Shell is Run for a command that the machine has already: an applet of its busybox,
// or one of c.Files.
func Shell(t testing.TB, c Config, args ...string) Result {
	t.Helper()
	requireHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), c.timeout())
	defer cancel()
	r, err := c.run(ctx, args)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("guest console, last lines:\n%s\n\nguest output:\n%s", tail(r.Console, 60), tail(r.Output, 200))
		}
	})
	if err != nil {
		t.Fatalf("kernel %s: %v", c.Kernel.Release(), err)
	}
	return r
}

// run boots, runs and ends.
func (c Config) run(ctx context.Context, args []string) (Result, error) {
	b, err := c.small()
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	m, err := launch(ctx, b)
	if err != nil {
		return Result{}, err
	}
	defer m.close()
	booted := time.Since(began)
	r, err := m.exec(ctx, port.Command{Args: args, Env: c.Env, Dir: c.Dir, User: c.User, Merge: c.merge})
	r.Boot, r.Console = booted, m.console()
	if err == nil {
		m.powerOff()
	}
	return r, err
}

// small is the boot of a small machine.
func (c Config) small() (boot, error) {
	if c.Kernel == nil {
		return boot{}, errors.New("vm.Config needs a Kernel; use vm.Kernel(t, series)")
	}
	base, err := initramfs(c.Kernel, append(portModules[:len(portModules):len(portModules)], c.Modules...))
	if err != nil {
		return boot{}, err
	}
	system, err := smallSystem(c.Files)
	if err != nil {
		return boot{}, err
	}
	b := boot{
		kernel: c.Kernel, initrd: [][]byte{base, system}, cmdline: c.cmdline(),
		memory: c.Memory, cpus: c.CPUs, icount: c.ICount, clock: time.Now().Unix(),
	}
	if b.memory == 0 {
		b.memory = 512
	}
	if b.cpus == 0 {
		b.cpus = 1
	}
	if b.icount && b.cpus != 1 {
		return boot{}, fmt.Errorf("vm.Config: ICount counts the instructions of one CPU, not of %d", b.cpus)
	}
	return b, nil
}

func (c Config) cmdline() []string {
	if c.LSM == "" {
		return c.Cmdline
	}
	return append([]string{"lsm=" + c.LSM}, c.Cmdline...)
}

func (c Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return 3 * time.Minute
	}
	return c.Timeout
}

// hostTools are what the host needs for any machine; scripts/setup installs them.
var hostTools = []string{qemu, "busybox", "apt-get", "dpkg-deb", "xz"}

// requireHost skips the test where this host cannot start machines.
func requireHost(t testing.TB, more ...string) {
	t.Helper()
	if guest.Check() == nil {
		t.Skip("this test starts machines; this is one")
	}
	if runtime.GOARCH != "amd64" {
		unavailable(t, fmt.Errorf("the machines are x86-64 and take busybox from the host, which is %s", runtime.GOARCH))
	}
	for _, tool := range append(hostTools[:len(hostTools):len(hostTools)], more...) {
		if _, err := exec.LookPath(tool); err != nil {
			unavailable(t, fmt.Errorf("%w: run scripts/setup guard", err))
		}
	}
}

// unavailable ends a test that needs a machine which cannot be had here: skipped
// aloud, or failed where the machines are what is asked for (make test-guard).
func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("KANNUKI_VM") == "required" {
		t.Fatalf("no test machine, and KANNUKI_VM=required: %v", err)
	}
	t.Skipf("SKIPPED: nothing about kernels was tested, no machine can be started here: %v", err)
}
