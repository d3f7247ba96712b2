//go:build guest && linux

package guard_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An actor of a scene is this binary, run under the name of some program as "PROGRAM act STEP…".
// It goes through its steps and says how each ended, a line each: "ok", "refused"
// (EPERM), "denied" (EACCES), else the error. A step that runs another program hands it
// the steps that are left, and that program says "ok" for having begun.
func goThrough(steps []string) int {
	begun := false
	for len(steps) > 0 && (steps[0] == "act" || strings.HasPrefix(steps[0], "/") || steps[0] == "begun") {
		begun = begun || steps[0] == "begun" // the others are what the kernel made of a script's arguments
		steps = steps[1:]
	}
	if begun {
		fmt.Println("ok")
	}
	deeds := deeds()
	for i, s := range steps {
		words := strings.Fields(s)
		how := deeds[words[0]]
		if how == nil {
			fmt.Println("no such step:", s)
			return 2
		}
		ended, err := how(words[1:], steps[i+1:])
		if ended {
			return 0
		}
		fmt.Println(verdict(err))
	}
	return 0
}

func verdict(err error) string {
	var no syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case !errors.As(err, &no):
		return err.Error()
	case no == unix.EPERM:
		return "refused"
	case no == unix.EACCES:
		return "denied"
	}
	return no.Error()
}

// deed is how a step is done; ended tells that the steps left are somebody else's now.
type deed func(words, left []string) (ended bool, err error)

// doing are the deeds that hand nothing on.
func doing(f func(words []string) error) deed {
	return func(words, _ []string) (bool, error) { return false, f(words) }
}

func deeds() map[string]deed {
	return map[string]deed{
		"exec": func(w, left []string) (bool, error) { return false, become(w[0], left) },
		"texec": func(w, left []string) (bool, error) {
			return false, inThread(func() error { return become(w[0], left) })
		},
		"race":   race,
		"run":    spawn,
		"daemon": daemonize,
		"elder":  doing(elder),

		"listen":  doing(func(w []string) error { return listen(w[0], w[1]) }),
		"tlisten": doing(func(w []string) error { return inThread(func() error { return listen(w[0], w[1]) }) }),
		"unbound": doing(func([]string) error { return listenUnbound() }),
		"mapped":  doing(func(w []string) error { return listenMapped(w[0] == "udp") }),
		"dial":    doing(dial),
		"accept":  doing(accept),
		"connect": doing(connect),
		"serving": doing(serving),

		"cgroup": doing(func(w []string) error {
			return os.WriteFile(filepath.Join(groups, w[0], "cgroup.procs"), []byte("0"), 0)
		}),
		"login": doing(func(w []string) error { return os.WriteFile("/proc/self/loginuid", []byte(w[0]), 0) }),
		"setuid": doing(func(w []string) error {
			return errors.Join(syscall.Setgid(integer(w[0])), syscall.Setuid(integer(w[0])))
		}),
		"setsid": doing(func([]string) error {
			_, err := syscall.Setsid()
			if errors.Is(err, unix.EPERM) {
				return nil // it leads a session already
			}
			return err
		}),
		"fork":  doing(func(w []string) error { return writeInFork(w[0]) }),
		"await": doing(func([]string) error { _, err := io.Copy(io.Discard, os.Stdin); return err }),

		"write":   doing(func(w []string) error { return write(w[0], unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT) }),
		"create":  doing(func(w []string) error { return write(w[0], unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL) }),
		"read":    doing(func(w []string) error { return read(w[0], unix.O_RDONLY) }),
		"rdwr":    doing(func(w []string) error { return read(w[0], unix.O_RDWR) }),
		"openat2": doing(openat2),
		"uring":   doing(func(w []string) error { return openByRing(w[0]) }),
		"begin":   doing(func(w []string) error { return (&exec.Cmd{Path: w[0], Args: []string{"true"}}).Run() }),
		"load":    doing(func(w []string) error { return mapExecutable(w[0], unix.PROT_READ|unix.PROT_EXEC) }),
		// Whoever asked for it gets memory that runs where he asks for memory to read.
		"load-to-read": doing(func(w []string) error {
			const readImpliesExec = 0x0400000
			runtime.LockOSThread()
			if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, readImpliesExec, 0, 0); errno != 0 {
				return errno
			}
			return mapExecutable(w[0], unix.PROT_READ)
		}),
		"mkdir":  doing(func(w []string) error { return unix.Mkdir(w[0], 0o755) }),
		"rmdir":  doing(func(w []string) error { return unix.Rmdir(w[0]) }),
		"unlink": doing(func(w []string) error { return unix.Unlink(w[0]) }),
		"rename": doing(func(w []string) error { return unix.Rename(w[0], w[1]) }),
		"exchange": doing(func(w []string) error {
			return unix.Renameat2(unix.AT_FDCWD, w[0], unix.AT_FDCWD, w[1], unix.RENAME_EXCHANGE)
		}),
		"symlink": doing(func(w []string) error { return unix.Symlink(w[0], w[1]) }),
		"link":    doing(func(w []string) error { return unix.Link(w[0], w[1]) }),
		"bind":    doing(func(w []string) error { return unix.Mount(w[0], w[1], "", unix.MS_BIND, "") }),

		"chmod":      doing(func(w []string) error { return unix.Chmod(w[1], octal(w[0])) }),
		"creat":      doing(creat),
		"code":       doing(func(w []string) error { return ownCode(w[0]) }),
		"mknod":      doing(func(w []string) error { return unix.Mknod(w[1], unix.S_IFREG|octal(w[0]), 0) }),
		"tmpfile":    doing(tmpfile),
		"capability": doing(func(w []string) error { return unix.Setxattr(w[0], "security.capability", netRaw, 0) }),
	}
}

// netRaw is cap_net_raw=ep, as capability.h has it: revision 2, effective.
var netRaw = []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

func integer(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func octal(s string) uint32 {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

func write(name string, how int) error {
	fd, err := unix.Open(name, how, 0o644)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = unix.Write(fd, []byte("more\n"))
	return err
}

// read opens and, where that is no directory, reads.
func read(name string, how int) error {
	fd, err := unix.Open(name, how, 0)
	if err != nil {
		return err
	}
	return readSome(fd)
}

func readSome(fd int) error {
	defer unix.Close(fd)
	n, err := unix.Read(fd, make([]byte, 100))
	if errors.Is(err, unix.EISDIR) {
		return nil
	}
	if err == nil && n == 0 {
		return errors.New("empty")
	}
	return err
}

func openat2(w []string) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, w[0], &unix.OpenHow{Flags: unix.O_RDONLY})
	if err != nil {
		return err
	}
	return readSome(fd)
}

func creat(w []string) error {
	fd, err := unix.Open(w[1], unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, octal(w[0]))
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// tmpfile makes a file without a name and gives it one: MODE DIRECTORY NAME.
func tmpfile(w []string) error {
	fd, err := unix.Open(w[1], unix.O_WRONLY|unix.O_TMPFILE, octal(w[0]))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, w[2], unix.AT_SYMLINK_FOLLOW)
}

// mapExecutable maps a file as a library is mapped.
func mapExecutable(name string, prot int) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, prot, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return unix.Munmap(m)
}

// ownCode asks for memory that is written and run, in one of the ways there are.
func ownCode(how string) error {
	const all = unix.PROT_READ | unix.PROT_WRITE | unix.PROT_EXEC
	page := os.Getpagesize()
	switch how {
	case "anonymous":
		_, err := unix.Mmap(-1, 0, page, all, unix.MAP_PRIVATE|unix.MAP_ANON)
		return err
	case "written-then-run":
		memory, err := unix.Mmap(-1, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		memory[0] = 0xc3
		return unix.Mprotect(memory, unix.PROT_READ|unix.PROT_EXEC)
	case "file":
		f, err := os.Open("/proc/self/exe")
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = unix.Mmap(int(f.Fd()), 0, page, all, unix.MAP_PRIVATE)
		return err
	case "own-program":
		at := reflect.ValueOf(ownCode).Pointer() &^ uintptr(page-1)
		if _, _, no := unix.Syscall(unix.SYS_MPROTECT, at, uintptr(page), all); no != 0 {
			return no
		}
		if _, _, no := unix.Syscall(unix.SYS_MPROTECT, at, uintptr(page), unix.PROT_READ|unix.PROT_EXEC); no != 0 {
			return no
		}
		return nil
	}
	return fmt.Errorf("no such way: %s", how)
}
