//go:build linux

// Command guestd is what runs inside a test machine of internal/vm: the first program
// of every machine (it mounts, loads modules and leaves the token of this boot), and
// the agent that does what the host asks over the virtio port. It promises that each
// request is answered once, with the exit status of what ran, and that it does nothing
// at all outside a test machine.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"github.com/kannuki/kannuki/internal/vm/guest"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guestd:", err)
		if os.Getpid() == 1 {
			powerOff()
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case os.Getpid() == 1:
		return start()
	case len(args) == 1 && args[0] == "agent":
		return agent()
	case len(args) > 2 && args[0] == "login":
		return login(args[1], args[2:])
	}
	return errors.New("it is started by a test machine, never by hand")
}

// login gives this process a session's audit id, as pam_loginuid does, and becomes
// the command.
func login(uid string, args []string) error {
	if err := guest.Check(); err != nil {
		return err
	}
	if _, err := strconv.ParseUint(uid, 10, 32); err != nil {
		return fmt.Errorf("user id %q: %w", uid, err)
	}
	// The id is a thread's, and only the thread itself may set it: the one that becomes
	// the command.
	runtime.LockOSThread()
	if err := os.WriteFile("/proc/thread-self/loginuid", []byte(uid), 0); err != nil {
		return err
	}
	return syscall.Exec(args[0], args[1:], os.Environ())
}
