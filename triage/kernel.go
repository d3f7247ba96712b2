package triage

import (
	"slices"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage/version"
)

// kernelRole is what a unit built from a kernel source is on this host. Only the
// kernel that runs can be attacked; what else is on disk tells whether a reboot
// would help.
type kernelRole int

const (
	notKernel     kernelRole = iota
	runningKernel            // its code runs
	bootNext                 // the newest image, not booted yet
	otherImage               // an image that neither runs nor will be booted next
	kernelParts              // headers, tools, documentation: no kernel code
)

// kernelRoles tells the role of every unit.
func kernelRoles(units []unit, k host.Kernel) []kernelRole {
	roles := make([]kernelRole, len(units))
	sources := map[string]bool{}
	image := func(u *unit) *host.InstalledKernel {
		for i := range k.Installed {
			in := &k.Installed[i]
			if slices.ContainsFunc(u.binaries, func(b binary) bool {
				return b.name == in.Package && (in.Version == "" || b.version == in.Version)
			}) {
				return in
			}
		}
		return nil
	}
	newest := -1
	for i := range units {
		in := image(&units[i])
		if in == nil {
			continue
		}
		sources[units[i].source] = true
		roles[i] = otherImage
		if k.Running != "" && in.Release == k.Running {
			roles[i] = runningKernel
		}
		if newest < 0 || laterUnit(&units[i], &units[newest]) {
			newest = i
		}
	}
	switch {
	case newest < 0:
	case k.Running == "": // nothing runs: the newest image is what would be booted
		roles[newest] = runningKernel
	case roles[newest] == otherImage:
		roles[newest] = bootNext
	}
	for i := range units {
		if roles[i] == notKernel && (sources[units[i].source] || kernelSource(&units[i])) {
			roles[i] = kernelParts
		}
	}
	return roles
}

// kernelSource names the sources distributions build their kernels from, for hosts
// where only headers are installed and no image tells.
func kernelSource(u *unit) bool {
	switch u.kind {
	case "dpkg":
		return u.source == "linux"
	case "rpm":
		return u.source == "kernel" || u.source == "kernel-rt"
	case "apk":
		return u.source == "linux-lts" || u.source == "linux-virt"
	}
	return false
}

func laterUnit(a, b *unit) bool {
	if len(a.ecosystems) == 0 {
		return a.sourceVersion > b.sourceVersion
	}
	order, _ := version.OrderOf(a.ecosystems[0])
	c, err := version.Compare(order, a.sourceVersion, b.sourceVersion)
	return err == nil && c > 0
}
