//go:build linux && amd64

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// start runs a program with a text as its input.
func (d *doer) start(args []string, input string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = d.env
	cmd.Stdin = strings.NewReader(input)
	return d.wait(cmd)
}

// become replaces a copy of this program. In the service itself it is refused: the
// service would be gone.
func (d *doer) become(replace func() error, args []string) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before what becomes %s", args[0])
	}
	return replace()
}

// execAt runs a file by a descriptor and an empty path.
func execAt(path string, args, env []string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return execveat(fd, args, env)
}

// memfd runs a copy of a program that lies in memory only.
func (d *doer) memfd(args []string) error {
	content, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("attacker", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, content); err != nil {
		return err
	}
	return d.start(append([]string{fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), fd)}, args[1:]...), "")
}

// daemon does an operation in a process whose parent has ended and that has a session
// of its own.
func (d *doer) daemon(words []string) error {
	if err := d.inCopy(Step{Do: [][]string{append([]string{"orphan"}, words...)}}, &syscall.SysProcAttr{}); err != nil {
		return err
	}
	return sleep("1500ms")
}

// race starts what a symbolic link names while the link changes between a program that
// may start and one that may not.
func (d *doer) race(good, bad string, args []string) error {
	link := bad + ".link"
	if err := os.Symlink(good, link); err != nil {
		return err
	}
	stop := make(chan struct{})
	turned := make(chan struct{})
	go func() {
		defer close(turned)
		for next := link + ".next"; ; {
			for _, target := range []string{bad, good} {
				if os.Symlink(target, next) == nil {
					_ = os.Rename(next, link)
				}
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 40 {
		cmd := exec.Command(link, args...)
		_ = d.wait(cmd)
	}
	close(stop)
	<-turned
	return nil
}

func sleep(text string) error {
	long, err := time.ParseDuration(text)
	time.Sleep(long)
	return err
}

// orphan starts the copy that does the work and does not wait for it.
func orphan(words []string) error {
	cmd := exec.Command("/proc/self/exe", "alone")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = io.WriteString(in, requestOf([][]string{{"sleep", "300ms"}, words}))
	return err
}

// save runs a program and leaves what it prints in a file.
func (d *doer) save(mark string, args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = d.env
	err := d.wait(cmd)
	if put := os.WriteFile(mark, d.output.Bytes(), 0o644); put != nil {
		return put
	}
	return err
}

// bare replaces this process by a program that is told nothing, not even its name.
func bare(path string, env []string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	var none *byte
	_, _, errno := unix.Syscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&none)), uintptr(unsafe.Pointer(&envp[0])))
	return errno
}
