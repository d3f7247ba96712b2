// Package guest lets code run only inside a test machine that internal/vm has started.
// It promises to refuse everywhere else: on a developer's machine, in continuous
// integration, on a server, and in somebody else's virtual machine. Tests that attach
// kernel programs or set fanotify permission marks are behind its Main and Require.
//
// A machine of ours is known by one random token, drawn for each boot, that must
// arrive by four separate ways: on the kernel command line, in the firmware's tables
// (which only the QEMU of this boot can write), in the record that our init leaves
// as the first program of the machine, and in the environment of a command that the
// host asked for over the virtio port. No file on a disk holds it.
package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/vm/port"
)

const (
	// CommandLine is the word on the kernel command line that carries the token.
	CommandLine = "kannuki.guest="
	// Env carries the token that the host sent over the port to a command's environment.
	Env = "KANNUKI_GUEST"
	// Record is where our init leaves the token, before anything else runs.
	Record = "/run/kannuki-guest/token"
	// Product is what the firmware calls the machine; its version is the token.
	Product = "kannuki test machine"
	// InitComm is the name of our init as a process.
	InitComm = "kannuki-init"

	// refused is the exit status of a test binary outside a test machine.
	refused   = 3
	tokenSize = 64
)

// Main runs the tests of a package whose tests carry the build tag guest, or ends the
// program before the first of them where this is no test machine. It belongs into
// TestMain: func TestMain(m *testing.M) { guest.Main(m) }.
func Main(m *testing.M) {
	if err := Check(); err != nil {
		fmt.Fprintln(os.Stderr, "REFUSED: no test of this package runs here:", err)
		fmt.Fprintln(os.Stderr, "It attaches to the running kernel, so it runs through vm.GoTest: make test-guard.")
		os.Exit(refused)
	}
	os.Exit(m.Run())
}

// Require ends a test at once unless it runs in a test machine.
func Require(t testing.TB) {
	t.Helper()
	if err := Check(); err != nil {
		t.Fatalf("REFUSED: %v; run it through vm.GoTest (make test-guard)", err)
	}
}

// Check says why this is no test machine, or nil inside one.
func Check() error {
	return check(os.DirFS("/"), os.Getenv(Env))
}

// check looks at the machine below root; env is the token from the environment.
func check(root fs.FS, env string) error {
	token, err := commandLineToken(root)
	if err != nil {
		return err
	}
	if env != token {
		return fmt.Errorf("%s does not hold this boot's token: the command was not started by the host", Env)
	}
	for _, fact := range []struct{ file, want, why string }{
		{"sys/class/dmi/id/sys_vendor", "QEMU", "the firmware is not QEMU's"},
		{"sys/class/dmi/id/product_name", Product, "the firmware does not name a test machine"},
		{"sys/class/dmi/id/product_version", token, "the firmware does not hold this boot's token"},
		{strings.TrimPrefix(Record, "/"), token, "our init was not the first program of this machine"},
	} {
		if got := read(root, fact.file); got != fact.want {
			return fmt.Errorf("%s (/%s)", fact.why, fact.file)
		}
	}
	if first := read(root, "proc/1/comm"); first != InitComm && first != "systemd" {
		return fmt.Errorf("process 1 is %q, neither %s nor systemd", first, InitComm)
	}
	if !strings.Contains(read(root, "proc/cpuinfo"), " hypervisor") {
		return errors.New("the processor does not say that it is virtual (/proc/cpuinfo)")
	}
	if !hasPort(root) {
		return errors.New("there is no virtio port " + port.Name)
	}
	return nil
}

// Token returns the token on the kernel command line, for our init.
func Token() (string, error) { return commandLineToken(os.DirFS("/")) }

func commandLineToken(root fs.FS) (string, error) {
	var tokens []string
	for word := range strings.FieldsSeq(read(root, "proc/cmdline")) {
		if token, ok := strings.CutPrefix(word, CommandLine); ok {
			tokens = append(tokens, token)
		}
	}
	switch {
	case len(tokens) == 0:
		return "", errors.New("this is no test machine: the kernel command line has no " + CommandLine)
	case len(tokens) > 1:
		return "", errors.New("the kernel command line has more than one " + CommandLine)
	case len(tokens[0]) != tokenSize || strings.Trim(tokens[0], "0123456789abcdef") != "":
		return "", errors.New("the kernel command line's " + CommandLine + " is no token")
	}
	return tokens[0], nil
}

func hasPort(root fs.FS) bool {
	names, _ := fs.Glob(root, "sys/class/virtio-ports/*/name")
	for _, name := range names {
		if read(root, path.Clean(name)) == port.Name {
			return true
		}
	}
	return false
}

func read(root fs.FS, file string) string {
	content, err := fs.ReadFile(root, file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}
