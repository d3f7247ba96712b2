//go:build guest && linux

package guard_test

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
)

const ordinary = 1000

// asOrdinary runs do in a thread of its own that is nobody in particular, but kept the
// capability to become anybody. The thread ends with it.
func asOrdinary(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- errors.Join(unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0), ids(ordinary, ordinary, ordinary), keepOnly(unix.CAP_SETUID), do())
	}()
	return <-done
}

// ids sets the user ids of this thread alone; -1 leaves one as it is.
func ids(real, effective, saved int) error {
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(real), uintptr(effective), uintptr(saved)); e != 0 {
		return e
	}
	return nil
}

func keepOnly(capability int) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: 1 << capability, Permitted: 1 << capability}}
	if _, _, e := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); e != 0 {
		return e
	}
	return nil
}

// gain becomes root from being nobody in particular, reads what only root may, and
// starts a program.
func gain(path string) error {
	return asOrdinary(func() error {
		if err := read(path, unix.O_RDONLY); !errors.Is(err, unix.EACCES) {
			return errors.New("it could be read before")
		}
		if err := ids(0, 0, 0); err != nil {
			return err
		}
		return errors.Join(read(path, unix.O_RDONLY), run(busybox))
	})
}

// borrow is what servers do that answer as one account after the other: root in
// between, because it was kept.
func borrow(path string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		var errs []error
		for range 3 {
			errs = append(errs, ids(-1, ordinary, -1), touch(scratch+"/in/borrowed"), ids(-1, 0, -1), read(path, unix.O_RDONLY))
		}
		done <- errors.Join(errs...)
	}()
	return <-done
}

// roots is a file that only root reads, where everybody makes files.
func roots(t *testing.T) string {
	t.Helper()
	path := scratch + "/in/roots"
	if err := errors.Join(os.WriteFile(path, []byte("root"), 0o600), os.Chmod(scratch+"/in", 0o777)); err != nil {
		t.Fatal(err)
	}
	return path
}

func listening(t *testing.T) *actor {
	t.Helper()
	a := start(t, attacker)
	a.must(t, "listen")
	return a
}

// privileged are rules under which processes are kept from each other.
func privileged() ruleset.Ruleset {
	rs := roles()
	rs.Enforce |= ruleset.ControlProcess
	return rs
}

func TestAContainedProcessThatIsNotRootDoesNotBecomeIt(t *testing.T) {
	under(t, privileged())
	guarded(t)
	path := roots(t)
	free := start(t, attacker)
	free.is(t, true, "gain", path)
	listening(t).is(t, false, "gain", path)
}

func TestAContainedServerTakesTheAccountsItServes(t *testing.T) {
	under(t, privileged())
	guarded(t)
	listening(t).is(t, true, "borrow", roots(t))
}

// No hook is asked: as where a fault of the kernel makes a process root.
func TestPrivilegesThatNobodyWasAskedForEndTheProcess(t *testing.T) {
	g, err := guard.OpenWithout("task_fix_setuid", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	prepare(t)
	guarded(t)
	if _, err := g.ApplyRuleset(privileged()); err != nil {
		t.Fatal(err)
	}
	path := roots(t)
	seen := follow(t, g)
	free := start(t, attacker)
	free.is(t, true, "gain", path)
	a := listening(t)
	if got, err := a.ask("gain", path); err == nil {
		t.Errorf("it lives and says %+v", got)
	}
	gone(t, a.pid)
	seen.find(t, func(e event.Event) bool {
		return e.Kind == event.Refused && e.Op == "gain-privileges" && e.Actor.PID == a.pid
	})
	listening(t).is(t, true, "borrow", path)
}
