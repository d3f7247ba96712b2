//go:build guest && linux

package inside

import (
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm/guest"
)

func TestMain(m *testing.M) { guest.Main(m) }

func TestThisIsATestMachine(t *testing.T) { guest.Require(t) }

// A command that only inherits the machine, not the host's order, is refused: a daemon
// started in a guest cannot attach anything by mistake.
func TestWithoutTheHostsTokenEvenTheGuestRefuses(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=TestThisIsATestMachine")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, guest.Env+"=") })
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "REFUSED") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAnUnprivilegedUserIsInTheMachineToo(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=TestThisIsATestMachine")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 33, Gid: 33}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestFilesystemsOfAServerAreMounted(t *testing.T) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/proc proc", "/sys sysfs", "/dev devtmpfs", "/run tmpfs", "/tmp tmpfs", "/dev/shm tmpfs",
		"/sys/kernel/security securityfs", "/sys/fs/bpf bpf", "/sys/kernel/tracing tracefs", "/sys/fs/cgroup cgroup2"} {
		if !strings.Contains(string(mounts), " "+want+" ") {
			t.Errorf("not mounted: %s", want)
		}
	}
}

func TestTheKernelHasWhatTheGuardNeeds(t *testing.T) {
	if info, err := os.Stat("/sys/kernel/btf/vmlinux"); err != nil || info.Size() == 0 {
		t.Errorf("no type information of the kernel: %v", err)
	}
	if _, err := os.Stat("/sys/kernel/security/lsm"); err != nil {
		t.Error(err)
	}
}

func TestLoopbackIsTheOnlyNetwork(t *testing.T) {
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(interfaces) != 1 || interfaces[0].Name != "lo" || interfaces[0].Flags&net.FlagUp == 0 {
		t.Errorf("interfaces: %v, want lo alone, up", interfaces)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := net.DialTimeout("tcp", listener.Addr().String(), 5*time.Second); err != nil {
		t.Error(err)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	out, err := exec.Command("sh", "-c", "(sleep 0.1 & echo $!)").Output()
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if syscall.Kill(orphan, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("process %d is still there, 5 s after it should have ended", orphan)
}

func TestTestdataIsBesideTheTests(t *testing.T) {
	content, err := os.ReadFile("testdata/note")
	if err != nil || strings.TrimSpace(string(content)) != "brought along" {
		t.Errorf("%q, %v", content, err)
	}
}

// The clock is the host's, so that certificates and logs make sense.
func TestTheClockIsRight(t *testing.T) {
	info, err := os.Stat("testdata/note")
	if err != nil {
		t.Fatal(err)
	}
	if now := time.Now(); now.Year() < 2026 || now.Before(info.ModTime()) {
		t.Errorf("it is %s", now)
	}
}

func TestASkipIsASkip(t *testing.T) {
	t.Run("a/name with/slashes", func(t *testing.T) { t.Skip("on purpose: the host's report must show it skipped") })
}
