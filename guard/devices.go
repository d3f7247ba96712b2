package guard

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/guard/bpf"
)

const (
	raw    = bpf.GuardSurfaceSURFACE_RAW_DISK
	memory = bpf.GuardSurfaceSURFACE_RAW_MEMORY
	reboot = bpf.GuardSurfaceSURFACE_REBOOT
	sysfs  = bpf.GuardSurfaceSURFACE_SYSFS
)

// kinds are character devices by what their driver calls itself in /proc/devices: those
// that carry commands to disks and controllers past their files, and those that start the
// machine anew. The names are the drivers' own: those that a register_chrdev,
// alloc_chrdev_region or device class of the kernel's source begins with.
var kinds = map[string]bpf.GuardSurface{
	"sg": raw, "bsg": raw, "nvme": raw, "nvme-generic": raw, "mtd": raw,
	"aac": raw, "megaraid_sas_ioctl": raw, "megadev_legacy": raw, "twa": raw, "twe": raw, "twl": raw, "aoechr": raw, "ndctl": raw, "dimmctl": raw,
	"dax": memory, "cxl": memory, "mei": sysfs,
	"ipmidev": reboot, "watchdog": reboot,
}

const (
	miscMajor = 10
	anyMinor  = ^uint32(0)
)

// misc are devices of the major number that they share, by minor number: those of
// Documentation/admin-guide/devices.txt and include/linux/miscdevice.h of Linux.
var misc = map[uint32]bpf.GuardSurface{
	130: reboot,                        // watchdog
	144: memory,                        // nvram
	203: bpf.GuardSurfaceSURFACE_MOUNT, // cuse
	220: raw,                           // mptctl
	221: raw,                           // mpt2ctl
	222: raw,                           // mpt3ctl
	223: sysfs,                         // uinput: what is typed at the console
	231: bpf.GuardSurfaceSURFACE_KEXEC, // snapshot: all memory, as hibernation has it
	234: raw,                           // btrfs-control
	235: bpf.GuardSurfaceSURFACE_MOUNT, // autofs
	236: raw,                           // device mapper
	237: raw,                           // loop-control
}

// learnDevices tells the programs which character devices are a surface: opening one of
// these is asked about. A driver that is loaded later has its number then.
func (g *Guard) learnDevices() error {
	text, err := os.ReadFile("/proc/devices")
	if err != nil {
		return fmt.Errorf("guard: the kinds of devices: %w", err)
	}
	own := devices(string(text))
	for k, surface := range own {
		if err := g.maps["devices"].Put(k, uint32(surface)); err != nil {
			return fmt.Errorf("guard: device %d:%d: %w", k.Major, k.Minor, err)
		}
	}
	return drop[bpf.GuardDeviceKey, uint32](g.maps["devices"], func(k bpf.GuardDeviceKey) bool { _, ok := own[k]; return !ok })
}

// devices reads proc(5) /proc/devices, "  10 misc" below "Character devices:".
func devices(text string) map[bpf.GuardDeviceKey]bpf.GuardSurface {
	own := map[bpf.GuardDeviceKey]bpf.GuardSurface{}
	for minor, surface := range misc {
		own[bpf.GuardDeviceKey{Major: miscMajor, Minor: minor}] = surface
	}
	characters, _, _ := strings.Cut(text, "Block devices:")
	for line := range strings.Lines(characters) {
		number, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		major, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil {
			continue
		}
		if surface, listed := kinds[name]; listed {
			own[bpf.GuardDeviceKey{Major: uint32(major), Minor: anyMinor}] = surface
		}
	}
	return own
}
