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
	newest := -1
	for i := range units {
		held, runs := imagesOf(&units[i], k)
		if !held {
			continue
		}
		sources[units[i].source] = true
		roles[i] = otherImage
		if runs {
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

// imagesOf tells whether u holds a kernel image, and whether one of them is what runs:
// flavours of one kernel are built from one source. An image that was updated under the
// running kernel, with the release name kept, is not what runs.
func imagesOf(u *unit, k host.Kernel) (held, runs bool) {
	for i := range k.Installed {
		in := &k.Installed[i]
		for _, b := range u.binaries {
			if b.name != in.Package || (in.Version != "" && b.version != in.Version) {
				continue
			}
			held = true
			if k.Running != "" && in.Release == k.Running {
				runs = runs || k.RunningVersion == "" || k.RunningVersion == b.version
			}
		}
	}
	return held, runs
}

// bootedUnit is the running kernel where its image has been updated under it: the
// same package in the version the kernel says it was built as. Nil where what runs
// is what is installed, or no package has the running release.
func bootedUnit(units []unit, k host.Kernel) *unit {
	if k.Running == "" || k.RunningVersion == "" {
		return nil
	}
	for _, in := range k.Installed {
		if in.Release != k.Running || in.Package == "" {
			continue
		}
		for i := range units {
			at := slices.IndexFunc(units[i].binaries, func(b binary) bool { return b.name == in.Package })
			if at < 0 {
				continue
			}
			if units[i].binaries[at].version == k.RunningVersion {
				return nil
			}
			u := units[i]
			image := u.binaries[at]
			image.version = k.RunningVersion
			u.sourceVersion, u.binaries = k.RunningVersion, []binary{image}
			return &u
		}
	}
	return nil
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
	c, err := version.Compare(a.order(), a.sourceVersion, b.sourceVersion)
	return err == nil && c > 0
}
