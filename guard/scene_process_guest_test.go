//go:build guest && linux

package guard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What actors do as processes and with sockets.

// kept are the sockets an actor has opened: it goes on facing the network.
var kept []io.Closer

// listen opens a socket of its own: tcp4, tcp6, mptcp4, udp4, unix, unixgram and so on.
func listen(network, address string) error {
	if strings.HasPrefix(network, "udp") || network == "unixgram" {
		c, err := net.ListenPacket(network, address)
		kept = append(kept, c)
		return err
	}
	var c net.ListenConfig
	c.SetMultipathTCP(strings.HasPrefix(network, "mp"))
	l, err := c.Listen(context.Background(), strings.TrimPrefix(network, "mp"), address)
	kept = append(kept, l)
	return err
}

// listenUnbound listens without having asked for an address: the kernel takes any.
func listenUnbound() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return unix.Listen(fd, 1)
}

// listenMapped listens on 127.0.0.1 as a socket of IPv6 has it.
func listenMapped(datagrams bool) error {
	kind := unix.SOCK_STREAM
	if datagrams {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(unix.AF_INET6, kind, 0)
	if err != nil {
		return err
	}
	at := &unix.SockaddrInet6{Port: 5413, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
	if err := errors.Join(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0), unix.Bind(fd, at)); err != nil || datagrams {
		return err
	}
	return unix.Listen(fd, 1)
}

// dial connects to a listener of its own on loopback.
func dial([]string) error {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp4", l.Addr().String())
	kept = append(kept, l, c)
	return err
}

// accept takes a connection, where there is one, from a socket that was inherited.
func accept(w []string) error {
	fd := integer(w[0])
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	_, _, err := unix.Accept4(fd, 0)
	if errors.Is(err, unix.EAGAIN) {
		return nil // nobody came: it has asked for one all the same
	}
	return err
}

// connect speaks to a socket with a name: unix, unixgram or unixpacket, and NAME.
func connect(w []string) error {
	c, err := net.Dial(w[0], w[1])
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte("hello"))
	return err
}

// serving tells whether an inherited socket listens.
func serving(w []string) error {
	n, err := unix.GetsockoptInt(integer(w[0]), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && n == 0 {
		return errors.New("silent")
	}
	return err
}

// become runs another program in this process.
func become(program string, left []string) error {
	return syscall.Exec(program, append([]string{program, "act", "begun"}, left...), os.Environ())
}

// spawn runs another program in a child, and waits for it.
func spawn(w, left []string) (bool, error) {
	child := exec.Command(w[0], append([]string{"act", "begun"}, left...)...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return false, err
	}
	return true, child.Wait()
}

// elder starts a child, listens, and has the child write only then: PROGRAM FILE.
func elder(w []string) error {
	child := exec.Command(w[0], "act", "await", "write "+w[1])
	let, err := child.StdinPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	child.Stdout = &said
	if err := child.Start(); err != nil {
		return err
	}
	if err := errors.Join(listen("tcp4", "0.0.0.0:0"), let.Close(), child.Wait()); err != nil {
		return err
	}
	if said.String() != "ok\nok\n" {
		return fmt.Errorf("the child said %q", said.String())
	}
	return nil
}

// inThread does f in a thread that does not lead its group.
func inThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with it
		if unix.Gettid() == unix.Getpid() {
			done <- inThread(f) // while this one is held, another is had
			return
		}
		done <- f()
	}()
	return <-done
}

// race listens in one thread, after so many microseconds, while another runs a program,
// which inherits the socket as descriptor 9: PROGRAM MICROSECONDS.
func race(w, left []string) (bool, error) {
	program, delay := w[0], time.Duration(integer(w[1]))*time.Microsecond
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return false, err
	}
	if err := errors.Join(unix.Dup2(fd, 9), unix.Bind(9, &unix.SockaddrInet4{})); err != nil {
		return false, err
	}
	spinning := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(spinning)
		for began := time.Now(); time.Since(began) < delay; {
		}
		unix.Listen(9, 1) // it may never get so far
	}()
	<-spinning
	return false, inThread(func() error { return become(program, left) })
}

// writeInFork opens name for writing in a child that runs no program of its own. What a
// Go program does there must be system calls only.
func writeInFork(name string) error {
	path, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	pid, no := forkAndOpen(path)
	if no != 0 {
		return no
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	if status.ExitStatus() != 0 {
		return syscall.Errno(status.ExitStatus())
	}
	return nil
}

//go:noinline
//go:norace
func forkAndOpen(path *byte) (int, syscall.Errno) {
	pid, _, no := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if no != 0 || pid != 0 {
		return int(pid), no
	}
	at := unix.AT_FDCWD
	_, _, no = syscall.RawSyscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(path)), unix.O_WRONLY, 0, 0, 0)
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(no), 0, 0)
	}
}

// daemonize leaves the steps to a grandchild in a session of its own, whose parent has
// ended: a fork, a new session, and a fork again.
func daemonize(_, left []string) (bool, error) {
	self, err := unix.BytePtrFromString("/proc/self/exe")
	if err != nil {
		return false, err
	}
	args, err := syscall.SlicePtrFromStrings(append([]string{os.Args[0], "act", "begun"}, left...))
	if err != nil {
		return false, err
	}
	pid, no := forkTwice(self, &args[0])
	if no != 0 {
		return false, no
	}
	_, err = unix.Wait4(pid, nil, 0, nil)
	return true, err
}

//go:noinline
//go:norace
func forkTwice(self *byte, args **byte) (int, syscall.Errno) {
	var environ [1]*byte
	pid, _, no := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if no != 0 || pid != 0 {
		return int(pid), no
	}
	syscall.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	pid, _, no = syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if no == 0 && pid == 0 {
		_, _, no = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(self)), uintptr(unsafe.Pointer(args)), uintptr(unsafe.Pointer(&environ)))
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, uintptr(no), 0, 0)
	}
}
