package guard

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// mount is one mounted file system of this process's namespace.
type mount struct {
	at   string // mount point
	root string // what of the file system is mounted; "/" is all of it
	kind string // file system type
}

// readMounts reads /proc/self/mountinfo, see proc_pid_mountinfo(5).
func readMounts() ([]mount, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("mounted file systems: %w", err)
	}
	defer f.Close()
	var out []mount
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m, ok := parseMount(lines.Text()); ok {
			out = append(out, m)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("mounted file systems: %w", err)
	}
	return out, nil
}

// parseMount reads "36 35 98:0 /root /at rw,noatime master:1 - ext3 /dev/root rw".
func parseMount(line string) (mount, bool) {
	left, right, ok := strings.Cut(line, " - ")
	fields, kind := strings.Fields(left), strings.Fields(right)
	if !ok || len(fields) < 6 || len(kind) < 1 {
		return mount{}, false
	}
	return mount{at: unescape(fields[4]), root: unescape(fields[3]), kind: kind[0]}, true
}

// unescape undoes the octal escapes of white space in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// mountedAt is the file system mounted at exactly this path: the last one covers those
// before it.
func mountedAt(mounts []mount, at string) (mount, bool) {
	for _, m := range slices.Backward(mounts) {
		if m.at == at {
			return m, true
		}
	}
	return mount{}, false
}

// foreign tells file systems whose content somebody else can decide: other hosts,
// programs, memory.
func (m mount) foreign() bool {
	return m.at != "/" && (slices.Contains([]string{"tmpfs", "ramfs", "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "virtiofs", "hugetlbfs"}, m.kind) ||
		m.kind == "fuse" || strings.HasPrefix(m.kind, "fuse."))
}

// virtual tells file systems that hold no files.
func (m mount) virtual() bool {
	return slices.Contains([]string{"proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "bpf", "tracefs", "debugfs", "securityfs",
		"configfs", "pstore", "efivarfs", "mqueue", "autofs", "binfmt_misc", "fusectl", "rpc_pipefs", "nsfs"}, m.kind)
}
