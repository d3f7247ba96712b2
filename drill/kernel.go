package drill

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// surface is a step about one surface of the kernel.
func surface(name policy.Surface, technique, does string, do func(Order) error) Step {
	return Step{Name: "kernel-" + strings.ReplaceAll(string(name), "_", "-"), Technique: technique, Control: host.KernelCtl, Op: "surface", Surface: name, Does: does, do: do}
}

// aimed, making and reaching give a step what most have no use for.
func (s Step) aimed(aim func(Scene, string) (string, Why)) Step { s.aim = aim; return s }
func (s Step) making(k kind) Step                               { s.makes = k; return s }
func (s Step) reaching(past ...error) Step                      { s.past = past; return s }

// loading: where nobody refuses it the kernel may load a module for it.
func (s Step) loading() Step { s.Effect = true; return s }

// kernel is of its surfaces. Each asks for something that is senseless, or takes nothing
// but a descriptor that is closed at once.
var kernel = []Step{
	surface("userns", "T1611", "makes a user namespace, for a child that ends at once", newUserNamespace).aimed(unlessNoNamespaces),
	surface("namespaces", "T1611", "leaves the host's names for a view of its own (unshare)", func(Order) error { return unix.Unshare(unix.CLONE_NEWUTS) }),
	surface("mount", "T1611", "changes a mount that is none", mountNothing).making(room).reaching(unix.EINVAL),
	surface("file-handle", "T1611", "opens its own file by a handle", openByHandle).making(text),
	surface("module", "T1547.006", "has the kernel load a file that is no module", loadNoModule).making(program).aimed(unlessModulesAreOff).reaching(unix.ENOEXEC, unix.EKEYREJECTED, unix.ENOKEY, unix.EINVAL, unix.EBADMSG),
	surface("bpf", "T1014", "makes a BPF map", makeMap),
	surface("perf", "T1014", "counts its own time (perf_event_open)", perf),
	surface("kexec", "T1601", "asks for another kernel with flags that mean nothing", kexecNothing).reaching(senseless...),
	surface("raw-memory", "T1014", "opens the memory of the machine, and reads nothing", openToRead).aimed(first("/dev/mem", "/proc/kcore")),
	surface("raw-disk", "T1006", "opens a disk, and reads nothing", openToRead).aimed(disk),
	surface("sysctl", "T1014", "opens core_pattern for writing, and writes nothing", openToWrite).aimed(first("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe")),
	surface("sysrq", "T1529", "opens sysrq-trigger for writing, and writes nothing", openToWrite).aimed(first("/proc/sysrq-trigger")),
	surface("sysfs", "T1685", "opens a switch in /sys for writing, and writes nothing", openToWrite).aimed(first("/sys/kernel/mm/transparent_hugepage/enabled", "/sys/power/state", "/sys/kernel/profiling", "/sys/kernel/uevent_seqnum")),
	surface("af_alg", "T1068", "opens a socket of the kernel's ciphers (AF_ALG)", socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)).loading(),
	surface("af_packet", "T1040", "opens a socket below IP (AF_PACKET), for no protocol", socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)),
	surface("raw-socket", "T1040", "opens a raw socket", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)),
	surface("vsock", "T1068", "opens a socket to the hypervisor (AF_VSOCK)", socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)).loading(),
	surface("xfrm", "T1068", "opens a socket of IPsec (NETLINK_XFRM)", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_XFRM)).loading(),
	surface("nf_tables", "T1068", "opens a socket of the packet filter (NETLINK_NETFILTER)", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER)).loading(),
	surface("rxrpc", "T1068", "opens a socket of AFS (AF_RXRPC)", socket(unix.AF_RXRPC, unix.SOCK_DGRAM, unix.AF_INET)).loading(),
	surface("netlink", "T1016", "opens another socket of the network's settings (netlink)", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_GENERIC)),
	surface("socket-families", "T1068", "opens a socket of an old family (AF_CAN)", socket(unix.AF_CAN, unix.SOCK_RAW, 1)).loading(),
	surface("io_uring", "T1068", "makes an io_uring", makeRing).aimed(unlessRingsAreOff),
	surface("keyctl", "T1068", "puts a key into a keyring of its own", addKey),
	surface("userfaultfd", "T1068", "asks for userfaultfd", userfault),
	surface("clock", "T1070.006", "sets the clock's tick to what it cannot be", setNoTick).reaching(unix.EINVAL),
	surface("reboot", "T1529", "asks for a restart without the words that make it one", rebootNothing).reaching(unix.EINVAL),
	surface("fanotify", "T1685", "asks to be asked before others open a file, and watches none", watch),
}

// unlessNoNamespaces: where none may be made at all the kernel says so before it asks.
func unlessNoNamespaces(s Scene, _ string) (string, Why) {
	return s.unlessSet("/proc/sys/user/max_user_namespaces", "0")
}

func unlessModulesAreOff(s Scene, own string) (string, Why) {
	_, w := s.unlessSet("/proc/sys/kernel/modules_disabled", "1")
	return own, w
}

func unlessRingsAreOff(s Scene, _ string) (string, Why) {
	return s.unlessSet("/proc/sys/kernel/io_uring_disabled", "2")
}

// unlessSet: a switch of the kernel that stands like that refuses by itself.
func (s Scene) unlessSet(file, value string) (string, Why) {
	got, err := os.ReadFile(s.at(file))
	if err == nil && strings.TrimSpace(string(got)) == value {
		return "", why(Otherwise, file+" = "+value)
	}
	return "", Why{}
}

func newUserNamespace(o Order) error {
	return startHelp(o, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER})
}

// mountNothing asks for a change of how a mount is shared, at a directory where none is:
// whoever may mount hears that it is invalid.
func mountNothing(o Order) error { return unix.Mount("", o.Target, "", unix.MS_PRIVATE, "") }

func openByHandle(o Order) error {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, o.Target, 0)
	if err != nil {
		return err
	}
	dir, err := unix.Open(filepath.Dir(o.Target), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return closed(unix.OpenByHandleAt(dir, handle, unix.O_RDONLY|unix.O_CLOEXEC))
}

// closed closes a descriptor that was got.
func closed(fd int, err error) error {
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func loadNoModule(o Order) error {
	fd, err := unix.Open(o.Target, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.FinitModule(fd, "", 0)
}

// Commands and types of bpf(2).
const (
	bpfMapCreate    = 0
	bpfObjGet       = 7
	bpfProgDetach   = 9
	bpfArray        = 2
	bpfCgroupSysctl = 18
)

// bpf is bpf(2), with the fields of its union as 32-bit words.
func bpf(cmd int, words ...uint32) (int, error) {
	var attr [32]uint32
	copy(attr[:], words)
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func makeMap(Order) error { return closed(bpf(bpfMapCreate, bpfArray, 4, 4, 1)) }

// detachNothing names no program and no place: on a host that lets it the descriptors are
// bad.
func detachNothing(Order) error {
	const none = ^uint32(0)
	_, err := bpf(bpfProgDetach, none, none, bpfCgroupSysctl)
	return err
}

// openPin gets a descriptor of what is pinned.
func openPin(o Order) error {
	name, err := unix.BytePtrFromString(o.Target)
	if err != nil {
		return err
	}
	attr := struct {
		path  unsafe.Pointer
		fd    uint32
		flags uint32
	}{path: unsafe.Pointer(name)}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, bpfObjGet, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

func perf(Order) error {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})), Bits: unix.PerfBitDisabled}
	return closed(unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC))
}

// kexecNothing has more segments than there may be and a flag that there is not: each is
// enough for the kernel to do nothing, once it has asked who wants it.
func kexecNothing(Order) error {
	const noSuchFlag, tooMany = 0x8000, 17
	return errnoOf(unix.Syscall6(unix.SYS_KEXEC_LOAD, 0, tooMany, 0, noSuchFlag, 0, 0))
}

func errnoOf(_, _ uintptr, errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

// disk is the first one that does not have to be put in.
func disk(s Scene, _ string) (string, Why) {
	for _, at := range glob(s.at("/sys/block/*")) {
		name := filepath.Base(at)
		dev := s.at("/dev/" + name)
		removable, _ := os.ReadFile(filepath.Join(at, "removable"))
		if strings.TrimSpace(string(removable)) != "0" || slices.ContainsFunc([]string{"loop", "ram", "zram", "sr", "fd", "nbd"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
			continue
		}
		if info, err := os.Stat(dev); err == nil && info.Mode()&os.ModeDevice != 0 {
			return dev, Why{}
		}
	}
	return "", why(NotHere, "/dev/sda")
}

func socket(family, kind, protocol int) func(Order) error {
	return func(Order) error { return closed(unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)) }
}

func makeRing(Order) error {
	var params [120]byte // struct io_uring_params
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 2, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// addKey: the keyring goes with the process.
func addKey(Order) error {
	_, err := unix.AddKey("user", Comm, []byte("drill"), unix.KEY_SPEC_PROCESS_KEYRING)
	return err
}

func userfault(Order) error {
	const userModeOnly = 1
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly, 0, 0)
	if errno != 0 {
		return errno
	}
	return unix.Close(int(fd))
}

// setNoTick asks for a tick that is out of bounds: the kernel looks at who asks first.
func setNoTick(Order) error {
	const adjTick = 0x4000
	_, err := unix.Adjtimex(&unix.Timex{Modes: adjTick, Tick: 1})
	return err
}

// rebootNothing leaves the magic numbers out, without which reboot(2) does nothing: the
// kernel looks at who asks before it looks at them.
func rebootNothing(Order) error {
	if err := errnoOf(unix.Syscall6(unix.SYS_REBOOT, 0, 0, 0, 0, 0, 0)); err != nil {
		return err
	}
	return fmt.Errorf("the kernel took no magic number for one")
}

// watch asks for a group that is asked before others open a file; one that watches
// nothing.
func watch(Order) error {
	return closed(unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY))
}
