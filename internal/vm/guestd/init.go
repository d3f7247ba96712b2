//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"github.com/kannuki/kannuki/internal/vm/guest"
)

// A mount the machine starts with. Where optional is set, a kernel without it goes on.
type mount struct {
	source, target, kind string
	flags                uintptr
	optional             bool
}

const quiet = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC

// early is needed by our init itself; a whole system moves these into its own root.
var early = []mount{
	{"proc", "/proc", "proc", quiet, false},
	{"sysfs", "/sys", "sysfs", quiet, false},
	{"devtmpfs", "/dev", "devtmpfs", syscall.MS_NOSUID, false},
	{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, false},
}

// small is what systemd would mount, for the machine that has none.
var small = []mount{
	{"securityfs", "/sys/kernel/security", "securityfs", quiet, false},
	{"bpf", "/sys/fs/bpf", "bpf", quiet, false},
	{"tracefs", "/sys/kernel/tracing", "tracefs", quiet, true},
	{"debugfs", "/sys/kernel/debug", "debugfs", quiet, true},
	{"cgroup2", "/sys/fs/cgroup", "cgroup2", quiet, false},
	{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, false},
	{"tmpfs", "/dev/shm", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, false},
	{"tmpfs", "/tmp", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, false},
}

// start is the first program of a machine: it never returns except with an error.
func start() error {
	if err := mountAll(early); err != nil {
		return err
	}
	token, err := guest.Token()
	if err != nil {
		return err
	}
	if err := loadModules(); err != nil {
		return err
	}
	if err := leaveRecord(token); err != nil {
		return err
	}
	if disk := bootWord("kannuki.root="); disk != "" {
		return switchTo(disk)
	}
	return smallSystem()
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		err := os.MkdirAll(m.target, 0o755)
		if err == nil {
			err = syscall.Mount(m.source, m.target, m.kind, m.flags, "")
		}
		if err != nil && !m.optional {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.target, err)
		}
	}
	return nil
}

// leaveRecord writes the token where guest.Check looks for it, and puts this program
// beside it, for the system that may come after this one.
func leaveRecord(token string) error {
	if err := os.MkdirAll(filepath.Dir(guest.Record), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(guest.Record, []byte(token), 0o444); err != nil {
		return err
	}
	self, err := os.ReadFile("/" + guest.InitComm)
	if err != nil {
		return err
	}
	return os.WriteFile(agentPath, self, 0o755)
}

// loadModules loads what the host has listed, in its order. A module that is built in
// is not listed; one that is loaded already is fine.
func loadModules() error {
	list, err := os.Open("/lib/modules/load")
	if err != nil {
		return err
	}
	defer list.Close()
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		if err := loadModule(lines.Text()); err != nil {
			return fmt.Errorf("module %s: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	const finitModule = 313 // finit_module, x86-64
	params := []byte{0}
	_, _, errno := syscall.Syscall(finitModule, f.Fd(), uintptr(unsafe.Pointer(&params[0])), 0)
	if errno != 0 && errno != syscall.EEXIST {
		return errno
	}
	return nil
}

// smallSystem runs the agent in the initramfs itself and waits for orphans, as a
// first program must.
func smallSystem() error {
	if err := mountAll(small); err != nil {
		return err
	}
	_ = os.Chmod("/tmp", 0o1777)
	_ = os.Chmod("/dev/shm", 0o1777)
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("bringing up lo: %w", err)
	}
	if err := syscall.Sethostname([]byte("kannuki-guest")); err != nil {
		return err
	}
	agent := exec.Command(agentPath, "agent")
	agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
	if err := agent.Start(); err != nil {
		return err
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid == agent.Process.Pid {
			powerOff()
		}
	}
}

// switchTo makes the disk the root and becomes its own first program; systemd starts
// our agent from a unit that exists in memory only.
func switchTo(disk string) error {
	const root = "/newroot"
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(disk, root, "ext4", 0, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", disk, err)
	}
	if err := agentUnit(); err != nil {
		return err
	}
	for _, m := range early {
		if err := syscall.Mount(m.target, root+m.target, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s: %w", m.target, err)
		}
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("moving the root: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	return syscall.Exec("/sbin/init", []string{"/sbin/init"}, []string{"TERM=linux", "PATH=" + defaultPath})
}

// agentUnit starts the agent early and outside of what a test may stop or restart.
func agentUnit() error {
	const unit = `[Unit]
Description=kannuki test machine agent
DefaultDependencies=no
After=systemd-remount-fs.service

[Service]
ExecStart=` + agentPath + ` agent
KillMode=process
Restart=on-failure
OOMScoreAdjust=-1000
TasksMax=infinity
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
`
	const dir = "/run/systemd/system"
	if err := os.MkdirAll(dir+"/sysinit.target.wants", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/kannuki-guest.service", []byte(unit), 0o644); err != nil {
		return err
	}
	return os.Symlink("../kannuki-guest.service", dir+"/sysinit.target.wants/kannuki-guest.service")
}

// bootWord returns what follows prefix in a word of the kernel command line.
func bootWord(prefix string) string {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	for word := range strings.FieldsSeq(string(line)) {
		if value, ok := strings.CutPrefix(word, prefix); ok {
			return value
		}
	}
	return ""
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request struct { // struct ifreq
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:], "lo")
	request.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return errno
	}
	return nil
}

// powerOff ends the machine. QEMU runs with -no-reboot, so the quicker way is enough.
func powerOff() {
	syscall.Sync()
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
}
