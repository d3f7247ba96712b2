package guest

import (
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
)

var token = strings.Repeat("0123456789abcdef", 4)

// machine is a test machine, as far as check looks at it.
func machine() fstest.MapFS {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	return fstest.MapFS{
		"proc/cmdline":                         file("console=ttyS0 kannuki.guest=" + token + " panic=-1"),
		"proc/cpuinfo":                         file("flags\t\t: fpu hypervisor lahf_lm"),
		"proc/1/comm":                          file("kannuki-init"),
		"run/kannuki-guest/token":              file(token),
		"sys/class/dmi/id/sys_vendor":          file("QEMU"),
		"sys/class/dmi/id/product_name":        file(Product),
		"sys/class/dmi/id/product_version":     file(token),
		"sys/class/virtio-ports/vport1p1/name": file("kannuki.agent"),
	}
}

func TestCheckAcceptsATestMachine(t *testing.T) {
	if err := check(machine(), token); err != nil {
		t.Error(err)
	}
	debian := machine()
	debian["proc/1/comm"] = &fstest.MapFile{Data: []byte("systemd\n")}
	if err := check(debian, token); err != nil {
		t.Error("with systemd:", err)
	}
}

func TestEveryFactMissingOrForeignIsRefused(t *testing.T) {
	if err := check(machine(), ""); err == nil {
		t.Error("accepted without the token in the environment")
	}
	other := strings.Repeat("f", len(token))
	if err := check(machine(), other); err == nil {
		t.Error("accepted with another boot's token in the environment")
	}
	for file := range machine() {
		without := maps.Clone(machine())
		delete(without, file)
		if err := check(without, token); err == nil {
			t.Errorf("accepted without /%s", file)
		}
		for _, content := range []string{"", "other", other, "kannuki.guest=" + other, "kannuki.guest=1"} {
			foreign := maps.Clone(machine())
			foreign[file] = &fstest.MapFile{Data: []byte(content)}
			if err := check(foreign, token); err == nil {
				t.Errorf("accepted with %q in /%s", content, file)
			}
		}
	}
}

func TestTwoTokensOnTheCommandLineAreRefused(t *testing.T) {
	m := machine()
	m["proc/cmdline"].Data = []byte("kannuki.guest=" + token + " kannuki.guest=" + token)
	if err := check(m, token); err == nil {
		t.Error("accepted")
	}
}

// The refusal must come before any test, so it is looked at from outside: this binary
// runs itself with TestMain handing over to Main.
func TestMainRefusesOnThisMachine(t *testing.T) {
	if os.Getenv("KANNUKI_GUEST_ASK") != "" {
		t.Fatal("a test ran outside a test machine")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, env := range []string{"KANNUKI_GUEST=", "KANNUKI_GUEST=" + token} {
		cmd := exec.Command(self, "-test.run", "^TestMainRefusesOnThisMachine$", "-test.v")
		cmd.Env = append(os.Environ(), "KANNUKI_GUEST_ASK=1", env)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != refused {
			t.Errorf("%s: ended with %v, want exit status %d\n%s", env, err, refused, out)
		}
		if strings.Contains(string(out), "=== RUN") || !strings.Contains(string(out), "REFUSED") {
			t.Errorf("%s: a test started, or nothing was refused:\n%s", env, out)
		}
	}
}

func TestRequireRefusesOnThisMachine(t *testing.T) {
	if err := Check(); err == nil {
		t.Fatal("this machine passes for a test machine")
	}
	probe := &fatal{TB: t}
	done := make(chan struct{})
	go func() { // Fatalf must not return: it ends this goroutine
		defer close(done)
		Require(probe)
		probe.passed = true
	}()
	<-done
	if probe.passed || !strings.Contains(probe.said, "REFUSED") {
		t.Errorf("Require let the test go on (said %q)", probe.said)
	}
}

func TestMain(m *testing.M) {
	if os.Getenv("KANNUKI_GUEST_ASK") != "" {
		Main(m)
	}
	os.Exit(m.Run())
}
