package drill

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// first aims at the first of these that is there.
func first(paths ...string) func(Scene, string) (string, Why) {
	return func(s Scene, _ string) (string, Why) {
		for _, p := range paths {
			if at, err := filepath.EvalSymlinks(s.at(p)); err == nil {
				return at, Why{}
			}
		}
		return "", why(NotHere, paths[0])
	}
}

// in aims at a name of the drill's own in a directory, where that is.
func in(dir string) func(Scene, string) (string, Why) {
	return func(s Scene, _ string) (string, Why) {
		at, err := filepath.EvalSymlinks(s.at(dir))
		if err != nil {
			return "", why(NotHere, dir)
		}
		return filepath.Join(at, s.Name), Why{}
	}
}

// theGuards aims at something of the guard's.
func theGuards(what string) func(Scene, string) (string, Why) {
	return func(s Scene, _ string) (string, Why) {
		at := map[string]string{"policy": filepath.Dir(s.Policy), "pins": s.Pins, "socket": s.Socket}[what]
		if at == "" || at == "." {
			return "", why(NotHere, what)
		}
		if _, err := os.Lstat(at); err != nil {
			return "", why(NotHere, at)
		}
		return at, Why{}
	}
}

func newInSystem(s Scene, _ string) (string, Why) {
	return filepath.Join(s.System, "write-create"), Why{}
}

func inMemory(s Scene, _ string) (string, Why) {
	if s.Memory == "" {
		return "", why(NotHere, "/dev/shm (exec)")
	}
	return filepath.Join(s.Memory, "program"), Why{}
}

// pinnedMap aims at a map of the guard's.
func pinnedMap(s Scene, _ string) (string, Why) {
	all := glob(filepath.Join(s.Pins, "*", "map_*"))
	if len(all) == 0 {
		return "", why(NotHere, filepath.Join(s.Pins, "*/map_*"))
	}
	return all[0], Why{}
}

// Opening a directory may fail for an instant in the agent, which has the guard refuse
// one to itself now and then to see whether it is heard: then it is tried again.
const (
	tries = 5
	pause = 20 * time.Millisecond
)

// glob are the files a pattern means.
func glob(pattern string) (all []string) {
	for range tries {
		if all, _ = filepath.Glob(pattern); len(all) > 0 { // fails on a bad pattern only
			return all
		}
		time.Sleep(pause)
	}
	return nil
}

func openToWrite(o Order) error {
	return closed(unix.Open(o.Target, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0))
}

func openToRead(o Order) error {
	return closed(unix.Open(o.Target, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0))
}

func create(o Order) error {
	return closed(unix.Open(o.Target, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600))
}

func remove(o Order) error { return unix.Unlink(o.Target) }

func rename(o Order) error { return unix.Rename(o.Target, o.Target+"-renamed") }

func hardLink(o Order) error { return unix.Link(o.Target, o.Target+"-linked") }

// sameMode changes nothing: the mode is what it was.
func sameMode(o Order) error {
	var now unix.Stat_t
	if err := unix.Stat(o.Target, &now); err != nil {
		return err
	}
	return unix.Chmod(o.Target, now.Mode&0o7777)
}

func setAttribute(o Order) error { return unix.Setxattr(o.Target, "user.kannuki", []byte("drill"), 0) }

func makeSetuid(o Order) error { return unix.Chmod(o.Target, 0o4700) }

// makeCapable sets none, in the form that file capabilities have (revision 2 of
// linux/capability.h).
func makeCapable(o Order) error {
	none := [20]byte{3: 0x02}
	return unix.Setxattr(o.Target, "security.capability", none[:], 0)
}

// makeDirectory takes away again what it has made.
func makeDirectory(o Order) error {
	if err := unix.Mkdir(o.Target, 0o700); err != nil {
		return err
	}
	return unix.Rmdir(o.Target)
}

// connect closes what it has opened, without a word.
func connect(o Order) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, &unix.SockaddrUnix{Name: o.Target})
}

// unlessYama: where nobody may trace anybody, Yama says so before the guard is asked.
func unlessYama(s Scene, _ string) (string, Why) {
	return s.unlessSet("/proc/sys/kernel/yama/ptrace_scope", "3")
}

// kthreadd is the kernel's second process, which makes its others. Signals do not reach
// it, and it is in no service.
const kthreadd = 2

func kernelThread(s Scene, _ string) (string, Why) {
	name, err := os.ReadFile(s.at("/proc/2/comm"))
	if err != nil || strings.TrimSpace(string(name)) != "kthreadd" {
		return "", why(NotHere, "kthreadd")
	}
	return "", Why{}
}

// seize neither stops the process nor lasts longer than this one.
func seize(pid int) error { return unix.PtraceSeize(pid) }

func openMemory(o Order) error {
	return closed(unix.Open("/proc/"+strconv.Itoa(o.Scene.Victim)+"/mem", unix.O_RDONLY|unix.O_CLOEXEC, 0))
}

// readMemory reads the first bytes of the victim's program.
func readMemory(o Order) error {
	maps, err := os.ReadFile("/proc/" + strconv.Itoa(o.Scene.Victim) + "/maps")
	if err != nil {
		return err
	}
	var at uint64
	if _, err := fmt.Sscanf(string(maps), "%x-", &at); err != nil {
		return err
	}
	b := make([]byte, 16)
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	_, err = unix.ProcessVMReadv(o.Scene.Victim, local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}, 0)
	return err
}

func takeDescriptor(o Order) error {
	fd, err := unix.PidfdOpen(o.Scene.Victim, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return closed(unix.PidfdGetfd(fd, 0, 0))
}

// giveAway names the victim as the one a pipe signals. Nothing is ever read or written.
func giveAway(o Order) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	_, err := unix.FcntlInt(uintptr(ends[0]), unix.F_SETOWN, o.Scene.Victim)
	return err
}

// beginHere starts a child, which ends at once, in the group it would begin in anyway.
func beginHere(o Order) error {
	group, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	_, path, ok := strings.Cut("\n"+string(group), "\n0::")
	if !ok {
		return fmt.Errorf("control groups of the second version: %w", unix.ENODEV)
	}
	path, _, _ = strings.Cut(path, "\n")
	dir, err := unix.Open(filepath.Join("/sys/fs/cgroup", path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return startHelp(o, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: dir})
}

// startHelp starts a child that tells nobody how to use it, and ends.
func startHelp(o Order, how *syscall.SysProcAttr) error {
	p, err := os.StartProcess(o.Scene.Program(), []string{Comm, "help"}, &os.ProcAttr{Sys: how})
	if err != nil {
		return err
	}
	_, err = p.Wait()
	return err
}

// samePriority changes nothing: the priority is what it was.
func samePriority(Order) error {
	// The system call tells 20 less the priority, which is never negative.
	now, err := unix.Getpriority(unix.PRIO_PROCESS, kthreadd)
	if err != nil {
		return err
	}
	return unix.Setpriority(unix.PRIO_PROCESS, kthreadd, 20-now)
}
