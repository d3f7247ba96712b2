package drill

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// environment of the programs that steps become.
var environment = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}

// toolDirs are where a system's tools lie.
var toolDirs = []string{"/usr/bin", "/usr/sbin", "/bin", "/sbin"}

// firstTool aims at the first of these tools that is here.
func firstTool(names ...string) func(Scene, string) (string, Why) {
	var paths []string
	for _, n := range names {
		for _, dir := range toolDirs {
			paths = append(paths, filepath.Join(dir, n))
		}
	}
	aim := first(paths...)
	return func(s Scene, own string) (string, Why) {
		at, w := aim(s, own)
		if w.Code != "" {
			w = why(NotHere, names[0])
		}
		return at, w
	}
}

// setuidTool aims at the first set-user-ID program that is here and prints its version.
func setuidTool(s Scene, _ string) (string, Why) {
	for _, name := range []string{"su", "sudo", "mount", "umount", "chsh", "passwd"} {
		for _, dir := range toolDirs {
			at, err := filepath.EvalSymlinks(s.at(filepath.Join(dir, name)))
			if err != nil {
				continue
			}
			if info, err := os.Stat(at); err == nil && info.Mode()&fs.ModeSetuid != 0 {
				return at, Why{}
			}
		}
	}
	return "", why(NotHere, "su")
}

// become replaces this process by the target.
func become(o Order) error { return replaced(o.Target, o.Target) }

func replaced(path string, args ...string) error { return syscall.Exec(path, args, environment) }

func becomeVersion(o Order) error { return replaced(o.Target, o.Target, "--version") }

func becomeShell(o Order) error { return replaced(o.Target, "sh", "-c", ":") }

// copyAndBecome puts the program into memory itself: that is allowed.
func copyAndBecome(o Order) error {
	if err := os.WriteFile(o.Target, ownProgram(), 0o700); err != nil {
		return err
	}
	return become(o)
}

// unlessMemfdIsOff: where no program may be in memory at all, the kernel says so before
// the guard is asked.
func unlessMemfdIsOff(s Scene, _ string) (string, Why) {
	return s.unlessSet("/proc/sys/vm/memfd_noexec", "2")
}

func becomeMemory(Order) error {
	const mayRun = 0x10 // MFD_EXEC; kernels before 6.3 do not know it
	fd, err := unix.MemfdCreate(Comm, mayRun)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(Comm, 0)
	}
	if err != nil {
		return err
	}
	if _, err := unix.Write(fd, ownProgram()); err != nil {
		return err
	}
	// Nobody starts what is open for writing.
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	if err := unix.Close(fd); err != nil {
		return err
	}
	return replaced(fmt.Sprintf("/proc/self/fd/%d", again), Comm)
}

// mapped maps the target, hands it on and takes it away.
func mapped(o Order, prot int, then func([]byte) error) error {
	fd, err := unix.Open(o.Target, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b, err := unix.Mmap(fd, 0, os.Getpagesize(), prot, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return errors.Join(then(b), unix.Munmap(b))
}

func mapLibrary(o Order) error {
	return mapped(o, unix.PROT_READ|unix.PROT_EXEC, func([]byte) error { return nil })
}

func turnIntoCode(o Order) error {
	return mapped(o, unix.PROT_READ, func(b []byte) error { return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC) })
}

// loader is the one this system's programs name; "" where none does.
func loader(s Scene) string {
	f, err := elf.Open(s.at("/bin/sh"))
	if err != nil {
		return ""
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz == 0 || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz-1)
		if _, err := p.ReadAt(name, 0); err == nil {
			return string(name)
		}
	}
	return ""
}

func loaderHere(s Scene, own string) (string, Why) {
	if loader(s) == "" {
		return "", why(NotHere, "ld.so")
	}
	return own, Why{}
}

func becomeByLoader(o Order) error {
	ld := loader(o.Scene)
	return replaced(ld, ld, o.Target)
}

func becomeByShell(o Order) error { return replaced(o.Scene.at("/bin/sh"), "sh", o.Target) }

// becomeRoot gives up being root but for the right to change who it is, and takes it
// back. Only this thread does; it ends with its process.
func becomeRoot(Order) error {
	runtime.LockOSThread()
	const nobody = 65534
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := takeIDs(nobody); err != nil {
		return fmt.Errorf("giving root up: %w", errors.Join(errPrepare, err))
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SETUID, Permitted: 1 << unix.CAP_SETUID}}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("keeping the right to change: %w", errors.Join(errPrepare, err))
	}
	return takeIDs(0)
}

// errPrepare marks an error of what only leads up to a step.
var errPrepare = errors.New("before the step")

func takeIDs(id uintptr) error { return errnoOf(unix.RawSyscall(unix.SYS_SETRESUID, id, id, id)) }
