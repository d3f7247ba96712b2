//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernelOperations reach for what the kernel keeps for root, or had better.
var kernelOperations = map[string]operation{
	"module":        {1, false, func(_ *doer, a []string) error { return module(a[0]) }},
	"module-memory": {1, false, func(_ *doer, a []string) error { return moduleMemory(a[0]) }},
	"module-remove": {1, false, func(_ *doer, a []string) error { return unix.DeleteModule(a[0], unix.O_NONBLOCK) }},

	"kexec":    {1, true, func(_ *doer, a []string) error { return kexec(a) }},
	"clock":    {2, false, func(_ *doer, a []string) error { return clock(a[0], a[1]) }},
	"adjust":   {1, false, func(_ *doer, a []string) error { return adjust(a[0]) }},
	"reboot":   {1, false, func(_ *doer, a []string) error { return ctrlAltDel(a[0]) }},
	"swapon":   {1, false, func(_ *doer, a []string) error { return withPath(unix.SYS_SWAPON, a[0]) }},
	"account":  {1, false, func(_ *doer, a []string) error { return account(a[0]) }},
	"io-port":  {2, false, func(_ *doer, a []string) error { return ioPort(a[0], a[1]) }},
	"hostname": {1, false, func(_ *doer, a []string) error { return unix.Sethostname([]byte(a[0])) }},
	"domain":   {1, false, func(_ *doer, a []string) error { return unix.Setdomainname([]byte(a[0])) }},

	"loop":   {1, false, func(_ *doer, a []string) error { return loop(a[0]) }},
	"mapper": {2, false, func(_ *doer, a []string) error { return mapper(a[0], a[1]) }},

	"key":   {2, false, func(_ *doer, a []string) error { return key(a[0], a[1]) }},
	"fault": {1, false, func(_ *doer, a []string) error { return fault(a[0]) }},
	"ring":  {1, false, func(_ *doer, a []string) error { return ring(a[0]) }},
	"perf":  {2, false, func(_ *doer, a []string) error { return perf(a[0], a[1]) }},
}

// mark leaves a text in a file.
func mark(path, format string, args ...any) error {
	return os.WriteFile(path, fmt.Appendf(nil, format+"\n", args...), 0o644)
}

func withPath(call uintptr, path string) error {
	p, err := unix.BytePtrFromString(path)
	if err != nil {
		return err
	}
	return errnoOf(unix.Syscall(call, uintptr(unsafe.Pointer(p)), 0, 0))
}

// module loads one from its file, packed or not.
func module(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	begin := make([]byte, 4)
	if _, err := f.ReadAt(begin, 0); err != nil {
		return err
	}
	flags := 0
	if !bytes.Equal(begin, []byte("\x7fELF")) {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}

func moduleMemory(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return unix.InitModule(content, "")
}

// kexecSegment is struct kexec_segment: what is copied where in physical memory.
type kexecSegment struct {
	from     *byte
	size     uintptr
	to, room uintptr
}

// kexec puts a kernel aside for a start that never comes, or takes it away again.
func kexec(how []string) error {
	switch how[0] {
	case "load":
		page := make([]byte, os.Getpagesize())
		segment := kexecSegment{&page[0], uintptr(len(page)), 0x1000000, uintptr(len(page))}
		return errnoOf(unix.Syscall6(unix.SYS_KEXEC_LOAD, segment.to, 1, uintptr(unsafe.Pointer(&segment)), 0, 0, 0))
	case "unload":
		return errnoOf(unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, 0, 0, 0, 0, 0))
	case "file":
		f, err := os.Open(how[1])
		if err != nil {
			return err
		}
		defer f.Close()
		return unix.KexecFileLoad(int(f.Fd()), -1, "kannuki=off", unix.KEXEC_FILE_NO_INITRAMFS)
	}
	return fmt.Errorf("kexec does not %s", how[0])
}

// clock sets it forward, leaves in a file by how much it really went forward, and sets
// it back at once.
func clock(by, path string) error {
	step, err := time.ParseDuration(by)
	if err != nil {
		return err
	}
	before, err := ahead()
	if err != nil {
		return err
	}
	if err := set(step); err != nil {
		return err
	}
	now, err := ahead()
	if err != nil {
		return err
	}
	if err := set(-step); err != nil {
		return err
	}
	return mark(path, "%d s", (now-before)/time.Second)
}

func set(step time.Duration) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return err
	}
	then := unix.NsecToTimespec(now.Nano() + int64(step))
	return unix.ClockSettime(unix.CLOCK_REALTIME, &then)
}

// ahead is how far the wall clock is before the one that nobody sets, rounded.
func ahead() (time.Duration, error) {
	var wall, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &wall); err != nil {
		return 0, err
	}
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot)
	return time.Duration(wall.Nano() - boot.Nano()).Round(time.Second), err
}

// adjust changes a number that the kernel keeps about its clock and does nothing with,
// and leaves in a file what it says then.
func adjust(path string) error {
	odd := unix.Timex{Modes: unix.ADJ_ESTERROR, Esterror: 123456}
	if _, err := unix.Adjtimex(&odd); err != nil {
		return err
	}
	var now unix.Timex
	if _, err := unix.Adjtimex(&now); err != nil {
		return err
	}
	return mark(path, "%d", now.Esterror)
}

// ctrlAltDel says what the three keys do, which is all that reboot(2) is asked here.
func ctrlAltDel(position string) error {
	switch position {
	case "keys-on":
		return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_ON)
	case "keys-off":
		return unix.Reboot(unix.LINUX_REBOOT_CMD_CAD_OFF)
	}
	return fmt.Errorf("reboot takes keys-on or keys-off, not %q", position)
}

// account has the kernel write every process that ends into a file, or no longer.
func account(path string) error {
	if path == "off" {
		return errnoOf(unix.Syscall(unix.SYS_ACCT, 0, 0, 0))
	}
	return unix.Acct(path)
}

// inb reads a port of the processor, which faults without the right to.
func inb(port uintptr) uintptr

// ioPort reads the status of the keyboard's controller.
func ioPort(how, path string) error {
	const status = 0x64
	runtime.LockOSThread() // the right is a thread's
	defer runtime.UnlockOSThread()
	var err error
	switch how {
	case "iopl":
		err = unix.Iopl(3)
		defer func() { _ = unix.Iopl(0) }()
	case "ioperm":
		err = unix.Ioperm(status, 1, 1)
		defer func() { _ = unix.Ioperm(status, 1, 0) }()
	default:
		err = fmt.Errorf("there is no %q", how)
	}
	if err != nil {
		return err
	}
	return mark(path, "status %d", inb(status))
}

// loop makes a disk of a file.
func loop(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return err
	}
	disk, err := os.OpenFile("/dev/loop"+strconv.Itoa(n), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	return unix.IoctlSetInt(int(disk.Fd()), unix.LOOP_SET_FD, int(file.Fd()))
}

// Of linux/dm-ioctl.h: struct dm_ioctl is 312 bytes; version, size and the name's place
// are all that making and removing a device takes.
const (
	dmCreate = 0xc138fd03
	dmRemove = 0xc138fd04
	dmStatus = 0xc138fd07
	dmSize   = 312
	dmName   = 48
)

// mapper makes a device of the device mapper, without a table, removes it, or tells
// whether it is there.
func mapper(how, name string) error {
	calls := map[string]uintptr{"create": dmCreate, "remove": dmRemove, "has": dmStatus}
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	request := make([]byte, dmSize)
	binary.LittleEndian.PutUint32(request, 4) // version 4.0.0
	binary.LittleEndian.PutUint32(request[12:], dmSize)
	binary.LittleEndian.PutUint32(request[16:], dmSize)
	copy(request[dmName:], name)
	return errnoOf(unix.Syscall(unix.SYS_IOCTL, control.Fd(), calls[how], uintptr(unsafe.Pointer(&request[0]))))
}

// key puts a text into a keyring of the session and reads it there.
func key(text, path string) error {
	id, err := unix.AddKey("user", filepath.Base(path), []byte(text), unix.KEY_SPEC_SESSION_KEYRING)
	if err != nil {
		return err
	}
	b := make([]byte, 256)
	n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, id, b, 0)
	if err != nil {
		return err
	}
	if _, err := unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0); err != nil {
		return err
	}
	return os.WriteFile(path, b[:n], 0o644)
}

// Of linux/userfaultfd.h.
const (
	uffdAPI      = 0xaa
	uffdAPICall  = 0xc018aa3f
	uffdUserMode = 1
)

// fault asks for a descriptor that handles faults in memory, and for what it can do.
func fault(path string) error {
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|uffdUserMode, 0, 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	request := [3]uint64{uffdAPI}
	if err := errnoOf(unix.Syscall(unix.SYS_IOCTL, fd, uffdAPICall, uintptr(unsafe.Pointer(&request)))); err != nil {
		return err
	}
	return mark(path, "calls %#x", request[2])
}

// ring makes an io_uring and says what the kernel calls it.
func ring(path string) error {
	var p uringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 2, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return errno
	}
	defer unix.Close(int(fd))
	return follow(fmt.Sprintf("/proc/self/fd/%d", fd), path)
}

// perf counts how long a processor works, for one's own process or for all on it.
func perf(whose, path string) error {
	pid, cpu := 0, -1
	if whose == "all" {
		pid, cpu = -1, 0
	}
	fd, err := unix.PerfEventOpen(&unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{}))},
		pid, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	time.Sleep(10 * time.Millisecond)
	b := make([]byte, 8)
	if n, err := unix.Read(fd, b); n != len(b) {
		return errors.Join(errors.New("nothing was counted"), err)
	}
	return mark(path, "counted %d", binary.LittleEndian.Uint64(b))
}

// firstOf takes the first file that a pattern means; what is no pattern stays.
func firstOf(word string) string {
	if !strings.HasPrefix(word, "/") || !strings.Contains(word, "*") {
		return word
	}
	if found, err := filepath.Glob(word); err == nil && len(found) > 0 {
		return found[0]
	}
	return word
}
