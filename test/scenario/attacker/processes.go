//go:build linux && amd64

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// processOperations reach into other processes. These are named by their unit.
var processOperations = map[string]operation{
	"memory-write": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return memoryWrite(p, a[1], a[2]) })
	}},
	"memory-read": {2, false, func(_ *doer, a []string) error { return onUnit(a[0], func(p int) error { return memoryRead(p, a[1]) }) }},
	"vm-write":    {2, false, func(_ *doer, a []string) error { return onUnit(a[0], func(p int) error { return vmWrite(p, a[1]) }) }},
	"vm-read":     {2, false, func(_ *doer, a []string) error { return onUnit(a[0], func(p int) error { return vmRead(p, a[1]) }) }},
	"trace": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[1], func(p int) error { return trace(a[0], p, a[2]) })
	}},
	"hollow": {2, false, func(d *doer, a []string) error { return d.hollow(a[0], a[1]) }},
	"borrow": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return borrow(p, a[1], a[2]) })
	}},
	"proc-read": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return copyFile(fmt.Sprintf("/proc/%d/%s", p, a[1]), a[2]) })
	}},
	"proc-write": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return put(fmt.Sprintf("/proc/%d/%s", p, a[1]), a[2], unix.O_WRONLY) })
	}},
	"signal": {3, false, func(_ *doer, a []string) error {
		return onUnit(a[1], func(p int) error {
			return withNumber(a[2], func(n uint32) error { return signal(a[0], p, int(n)) })
		})
	}},
	"own-child": {1, false, func(_ *doer, a []string) error { return ownChild(a[0]) }},
	"limit": {1, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return unix.Prlimit(p, unix.RLIMIT_NOFILE, &unix.Rlimit{}, nil) })
	}},
	"priority": {1, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return unix.Setpriority(unix.PRIO_PROCESS, p, 19) })
	}},
	"idle": {1, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error {
			return unix.SchedSetAttr(p, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
		})
	}},
	"move": {2, false, func(_ *doer, a []string) error {
		return onUnit(a[0], func(p int) error { return put(a[1]+"/cgroup.procs", strconv.Itoa(p), unix.O_WRONLY) })
	}},

	"setuid":       {1, false, func(_ *doer, a []string) error { return identity(a[0], unix.SYS_SETRESUID) }},
	"setgid":       {1, false, func(_ *doer, a []string) error { return identity(a[0], unix.SYS_SETRESGID) }},
	"setfsuid":     {1, false, func(_ *doer, a []string) error { return identity(a[0], unix.SYS_SETFSUID) }},
	"capabilities": {1, false, func(_ *doer, a []string) error { return capabilities(a[0]) }},
}

// onUnit does something to the first process of a service.
func onUnit(unit string, do func(pid int) error) error {
	text, err := os.ReadFile(filepath.Join("/sys/fs/cgroup/system.slice", unit, "cgroup.procs"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		pid, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return err
		}
		return do(pid)
	}
	return fmt.Errorf("%s has no process", unit)
}

// Fields of /proc/PID/stat, counted from 1 as proc(5) does: where its arguments and its
// environment lie.
const (
	argStart = 48
	envStart = 50
	envEnd   = 51
)

// stat is a field of /proc/PID/stat as a number.
func stat(pid, field int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // the name may hold blanks
	fields := strings.Fields(string(rest))
	if len(fields) < field-2 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields)+2)
	}
	return strconv.ParseInt(fields[field-3], 10, 64)
}

// memoryWrite changes another process's arguments through a file of /proc.
func memoryWrite(pid int, file, text string) error {
	if file == "task" {
		file = fmt.Sprintf("task/%d/mem", pid)
	}
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/%s", pid, file), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at, err := stat(pid, argStart)
	if err != nil {
		return err
	}
	_, err = unix.Pwrite(fd, []byte(text), at)
	return err
}

// memoryRead leaves another process's environment, and the beginning of its program,
// in a file.
func memoryRead(pid int, mark string) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/mem", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return readMemory(pid, mark, func(b []byte, at int64) (int, error) { return unix.Pread(fd, b, at) })
}

// readMemory copies with whatever reads.
func readMemory(pid int, mark string, read func(b []byte, at int64) (int, error)) error {
	from, err := stat(pid, envStart)
	if err != nil {
		return err
	}
	to, err := stat(pid, envEnd)
	if err != nil {
		return err
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	var first int64
	if _, err := fmt.Sscanf(string(maps), "%x-", &first); err != nil {
		return err
	}
	all := make([]byte, 4096+max(0, to-from))
	n, err := read(all[:4096], first)
	if err != nil {
		return err
	}
	more, err := read(all[n:], from)
	if err != nil {
		return err
	}
	return os.WriteFile(mark, all[:n+more], 0o644)
}

func remote(b []byte, at int64) ([]unix.Iovec, []unix.RemoteIovec) {
	local := []unix.Iovec{{Base: &b[0]}}
	local[0].SetLen(len(b))
	return local, []unix.RemoteIovec{{Base: uintptr(at), Len: len(b)}}
}

func vmWrite(pid int, text string) error {
	at, err := stat(pid, argStart)
	if err != nil {
		return err
	}
	local, there := remote([]byte(text), at)
	_, err = unix.ProcessVMWritev(pid, local, there, 0)
	return err
}

func vmRead(pid int, mark string) error {
	return readMemory(pid, mark, func(b []byte, at int64) (int, error) {
		local, there := remote(b, at)
		return unix.ProcessVMReadv(pid, local, there, 0)
	})
}

// trace changes another process's arguments as a debugger does.
func trace(how string, pid int, text string) error {
	runtime.LockOSThread() // the kernel knows the thread as the tracer
	defer runtime.UnlockOSThread()
	switch how {
	case "attach":
		if err := unix.PtraceAttach(pid); err != nil {
			return err
		}
	case "seize":
		if err := unix.PtraceSeize(pid); err != nil {
			return err
		}
		if err := unix.PtraceInterrupt(pid); err != nil {
			return err
		}
	default:
		return fmt.Errorf("there is no %q", how)
	}
	defer func() { _ = unix.PtraceDetach(pid) }()
	if _, err := unix.Wait4(pid, nil, unix.WALL, nil); err != nil {
		return err
	}
	at, err := stat(pid, argStart)
	if err != nil {
		return err
	}
	_, err = unix.PtracePokeData(pid, uintptr(at), []byte(text))
	return err
}

// hollow starts touch on another file, and has it make mark: the child asks to be
// traced, as gdb's does, and its memory is changed before its first instruction.
func (d *doer) hollow(program, mark string) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(program, mark+"?")
	cmd.Env = d.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	pid := cmd.Process.Pid
	defer func() { _, _ = cmd.Process.Wait() }()
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
		return err
	}
	defer func() { _ = unix.PtraceDetach(pid) }()
	at, err := stat(pid, argStart)
	if err != nil {
		return err
	}
	end := at + int64(len(program)+1+len(mark))
	_, err = unix.PtracePokeData(pid, uintptr(end), []byte{0})
	return err
}

// borrow takes another process's open file and reads it.
func borrow(pid int, number, mark string) error {
	return withNumber(number, func(n uint32) error {
		process, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return err
		}
		defer unix.Close(process)
		fd, err := unix.PidfdGetfd(process, int(n), 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		b := make([]byte, 4096)
		got, err := unix.Pread(fd, b, 0)
		if err != nil {
			return err
		}
		return os.WriteFile(mark, b[:got], 0o644)
	})
}

// signal sends one in one of the ways there are.
func signal(how string, pid, number int) error {
	switch how {
	case "kill":
		return unix.Kill(pid, unix.Signal(number))
	case "group":
		return unix.Kill(-pid, unix.Signal(number))
	case "tkill":
		return errnoOf(unix.RawSyscall(unix.SYS_TKILL, uintptr(pid), uintptr(number), 0))
	case "tgkill":
		return unix.Tgkill(pid, pid, unix.Signal(number))
	case "pidfd":
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.PidfdSendSignal(fd, unix.Signal(number), nil, 0)
	case "queue", "thread-queue":
		return queue(how, pid, number)
	case "sigio":
		return sigio(pid, number)
	}
	return fmt.Errorf("there is no way %q to send a signal", how)
}

// ownChild kills a child, and leaves in a file how it ended.
func ownChild(path string) error {
	cmd := exec.Command("/bin/sleep", "60")
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := cmd.Process.Kill(); err != nil {
		return err
	}
	return mark(path, "%v", cmd.Wait())
}

func errnoOf(_, _ uintptr, errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// siginfo is the beginning of siginfo_t, whose code says that a process queued it.
type siginfo struct {
	number, errno, code, _ int32
	pid, uid               int32
	_                      [104]byte
}

func queue(how string, pid, number int) error {
	const siQueue = -1
	info := siginfo{number: int32(number), code: siQueue, pid: int32(os.Getpid()), uid: int32(os.Getuid())}
	if how == "queue" {
		return errnoOf(unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(number), uintptr(unsafe.Pointer(&info))))
	}
	return errnoOf(unix.Syscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(pid), uintptr(pid), uintptr(number), uintptr(unsafe.Pointer(&info)), 0, 0))
}

// sigio has the kernel send the signal when a pipe can be read.
func sigio(pid, number int) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	for _, set := range [][2]int{{unix.F_SETOWN, pid}, {unix.F_SETSIG, number}, {unix.F_SETFL, unix.O_ASYNC}} {
		if _, err := unix.FcntlInt(uintptr(ends[0]), set[0], set[1]); err != nil {
			return err
		}
	}
	_, err := unix.Write(ends[1], []byte("x"))
	return err
}

// identity takes another account or group on. Only this thread does: what follows in
// the step happens on it, and ends with its process.
func identity(number string, call uintptr) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before a change of identity")
	}
	runtime.LockOSThread()
	return withNumber(number, func(n uint32) error {
		id := uintptr(n)
		return errnoOf(unix.RawSyscall(call, id, id, id))
	})
}

// capabilities gives up all, or keeps some of them over a change of account.
func capabilities(which string) error {
	if !isAlone() {
		return fmt.Errorf("put \"alone\" before a change of capabilities")
	}
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	switch which {
	case "none":
		return unix.Capset(&header, &data[0])
	case "keep":
		return unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0)
	case "raise": // what is permitted becomes effective
		if err := unix.Capget(&header, &data[0]); err != nil {
			return err
		}
		data[0].Effective, data[1].Effective = data[0].Permitted, data[1].Permitted
		return unix.Capset(&header, &data[0])
	}
	return fmt.Errorf("there are no capabilities %q", which)
}
