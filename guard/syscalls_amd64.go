package guard

import (
	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
)

// native are the system calls of this machine.
var native = map[uint32]bpf.GuardSurface{
	467:                        bpf.GuardSurfaceSURFACE_MOUNT, // open_tree_attr, Linux 6.15
	unix.SYS_IOCTL:             bpf.GuardSurfaceSURFACE_NETLINK,
	unix.SYS_FANOTIFY_INIT:     bpf.GuardSurfaceSURFACE_FANOTIFY,
	unix.SYS_UNSHARE:           bpf.GuardSurfaceSURFACE_NAMESPACES,
	unix.SYS_SETNS:             bpf.GuardSurfaceSURFACE_NAMESPACES,
	unix.SYS_MOUNT:             bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_UMOUNT2:           bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_PIVOT_ROOT:        bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_MOVE_MOUNT:        bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_OPEN_TREE:         bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_FSOPEN:            bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_FSMOUNT:           bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_FSPICK:            bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_MOUNT_SETATTR:     bpf.GuardSurfaceSURFACE_MOUNT,
	unix.SYS_OPEN_BY_HANDLE_AT: bpf.GuardSurfaceSURFACE_FILE_HANDLE,
	unix.SYS_DELETE_MODULE:     bpf.GuardSurfaceSURFACE_MODULE,
	unix.SYS_KEXEC_LOAD:        bpf.GuardSurfaceSURFACE_KEXEC,
	unix.SYS_KEXEC_FILE_LOAD:   bpf.GuardSurfaceSURFACE_KEXEC,
	unix.SYS_REBOOT:            bpf.GuardSurfaceSURFACE_REBOOT,
	unix.SYS_SWAPON:            bpf.GuardSurfaceSURFACE_REBOOT,
	unix.SYS_SWAPOFF:           bpf.GuardSurfaceSURFACE_REBOOT,
	unix.SYS_ACCT:              bpf.GuardSurfaceSURFACE_SYSCTL,
	unix.SYS_SETHOSTNAME:       bpf.GuardSurfaceSURFACE_SYSCTL,
	unix.SYS_SETDOMAINNAME:     bpf.GuardSurfaceSURFACE_SYSCTL,
	unix.SYS_SETTIMEOFDAY:      bpf.GuardSurfaceSURFACE_CLOCK,
	unix.SYS_CLOCK_SETTIME:     bpf.GuardSurfaceSURFACE_CLOCK,
	unix.SYS_ADJTIMEX:          bpf.GuardSurfaceSURFACE_CLOCK,
	unix.SYS_CLOCK_ADJTIME:     bpf.GuardSurfaceSURFACE_CLOCK,
	unix.SYS_ADD_KEY:           bpf.GuardSurfaceSURFACE_KEYCTL,
	unix.SYS_REQUEST_KEY:       bpf.GuardSurfaceSURFACE_KEYCTL,
	unix.SYS_KEYCTL:            bpf.GuardSurfaceSURFACE_KEYCTL,
	unix.SYS_IOPL:              bpf.GuardSurfaceSURFACE_RAW_MEMORY,
	unix.SYS_IOPERM:            bpf.GuardSurfaceSURFACE_RAW_MEMORY,
}

// compatible are those of 32-bit programs: arch/x86/entry/syscalls/syscall_32.tbl of the
// kernel.
var compatible = map[uint32]bpf.GuardSurface{
	467: bpf.GuardSurfaceSURFACE_MOUNT,
	54:  bpf.GuardSurfaceSURFACE_NETLINK,
	338: bpf.GuardSurfaceSURFACE_FANOTIFY,
	310: bpf.GuardSurfaceSURFACE_NAMESPACES,
	346: bpf.GuardSurfaceSURFACE_NAMESPACES,
	21:  bpf.GuardSurfaceSURFACE_MOUNT,
	22:  bpf.GuardSurfaceSURFACE_MOUNT,
	52:  bpf.GuardSurfaceSURFACE_MOUNT,
	217: bpf.GuardSurfaceSURFACE_MOUNT,
	429: bpf.GuardSurfaceSURFACE_MOUNT,
	428: bpf.GuardSurfaceSURFACE_MOUNT,
	430: bpf.GuardSurfaceSURFACE_MOUNT,
	432: bpf.GuardSurfaceSURFACE_MOUNT,
	433: bpf.GuardSurfaceSURFACE_MOUNT,
	442: bpf.GuardSurfaceSURFACE_MOUNT,
	342: bpf.GuardSurfaceSURFACE_FILE_HANDLE,
	129: bpf.GuardSurfaceSURFACE_MODULE,
	283: bpf.GuardSurfaceSURFACE_KEXEC,
	110: bpf.GuardSurfaceSURFACE_RAW_MEMORY,
	101: bpf.GuardSurfaceSURFACE_RAW_MEMORY,
	88:  bpf.GuardSurfaceSURFACE_REBOOT,
	87:  bpf.GuardSurfaceSURFACE_REBOOT,
	115: bpf.GuardSurfaceSURFACE_REBOOT,
	25:  bpf.GuardSurfaceSURFACE_CLOCK,
	51:  bpf.GuardSurfaceSURFACE_SYSCTL,
	74:  bpf.GuardSurfaceSURFACE_SYSCTL,
	121: bpf.GuardSurfaceSURFACE_SYSCTL,
	79:  bpf.GuardSurfaceSURFACE_CLOCK,
	264: bpf.GuardSurfaceSURFACE_CLOCK,
	404: bpf.GuardSurfaceSURFACE_CLOCK,
	124: bpf.GuardSurfaceSURFACE_CLOCK,
	343: bpf.GuardSurfaceSURFACE_CLOCK,
	405: bpf.GuardSurfaceSURFACE_CLOCK,
	286: bpf.GuardSurfaceSURFACE_KEYCTL,
	287: bpf.GuardSurfaceSURFACE_KEYCTL,
	288: bpf.GuardSurfaceSURFACE_KEYCTL,
}
