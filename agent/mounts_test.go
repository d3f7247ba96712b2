package agent

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMountsOfThisHostAreWatchedUntilTheEnd(t *testing.T) {
	before := openFiles(t)
	ctx, stop := context.WithCancel(t.Context())
	proc("/proc").watchMounts(ctx, slog.New(slog.DiscardHandler), make(chan struct{}, 1))
	if openFiles(t) != before+1 {
		t.Fatal("the table of mounts is not watched")
	}
	stop()
	for end := time.Now().Add(10 * time.Second); openFiles(t) > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d files are open, %d were before", openFiles(t), before)
		}
	}
}

// openFiles counts the open files that watching mounts needs.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasSuffix(to, "/mountinfo") {
			n++
		}
	}
	return n
}

func TestWhereMountsCannotBeWatchedItIsLogged(t *testing.T) {
	var log text
	proc(t.TempDir()).watchMounts(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), make(chan struct{}, 1))
	if !strings.Contains(log.String(), "mounts are not watched") {
		t.Errorf("log %q", log.String())
	}
}

// The test runs itself in a mount namespace of its own: this host sees nothing of it.
func TestAMountIsTold(t *testing.T) {
	const inside = "KANNUKI_TEST_MOUNTS"
	if os.Getenv(inside) != "" {
		mountAndWait(t)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: a mount namespace is made by root; run as root")
	}
	self := exec.Command("/proc/self/exe", "-test.run=^TestAMountIsTold$", "-test.v")
	self.Env = append(os.Environ(), inside+"=1")
	self.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := self.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAMountIsTold") {
		t.Errorf("%v\n%s", err, out)
	}
}

func mountAndWait(t *testing.T) {
	changed := make(chan struct{}, 1)
	proc("/proc").watchMounts(t.Context(), slog.New(slog.DiscardHandler), changed)
	select {
	case <-changed:
		t.Fatal("told before anything was mounted")
	case <-time.After(100 * time.Millisecond):
	}
	for i := range 2 { // the second time too
		at := t.TempDir()
		if err := syscall.Mount("tmpfs", at, "tmpfs", 0, "size=64k"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(at, 0) })
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("mount %d was not told", i+1)
		}
	}
}
