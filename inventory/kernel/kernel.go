// Package kernel compares the kernel that runs with the kernels that are installed:
// which images are on disk, which package each belongs to, and whether any package
// owns the one that runs.
package kernel

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// Images are the kernels found below a root, before their owners are known.
type Images struct {
	Unread  []host.Unread
	running string
	built   string              // package version the running kernel says it was built as
	files   map[string][]string // release → paths that tell the package, best first
	flavour []string            // images named without a release ("/boot/vmlinuz-lts")
}

// imageNames are the beginnings of image file names on the architectures Linux distributions ship.
var imageNames = []string{"vmlinuz-", "vmlinux-", "image-", "Image-"}

// Read finds the images below root. running is uname -r and version uname -v of
// the running kernel, both empty when nothing runs.
func Read(root *rootfs.FS, running, version string) *Images {
	k := &Images{running: running, built: buildVersion(version), files: map[string][]string{}}
	for _, e := range k.list(root, "boot") {
		for _, prefix := range imageNames {
			if rest, ok := strings.CutPrefix(e.Name(), prefix); ok && !strings.Contains(rest, "rescue") && !strings.HasSuffix(rest, ".old") {
				if rest != "" && '0' <= rest[0] && rest[0] <= '9' {
					k.add(rest, "/boot/"+e.Name())
				} else {
					k.flavour = append(k.flavour, "/boot/"+e.Name())
				}
			}
		}
	}
	for _, e := range k.list(root, "lib/modules") {
		dir := "/lib/modules/" + e.Name()
		if _, err := root.Stat(dir + "/vmlinuz"); err == nil {
			k.add(e.Name(), dir+"/vmlinuz")
		}
		// A folder without an image (left by a removed kernel) counts only when the
		// package that owns its content also owns an image: see Resolve.
		k.add(e.Name(), dir+"/modules.builtin")
	}
	return k
}

func (k *Images) add(release, path string) {
	k.files[release] = append(k.files[release], path)
}

func (k *Images) list(root *rootfs.FS, dir string) []fs.DirEntry {
	entries, err := root.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Unread = append(k.Unread, host.NotRead(root.Show(dir), err))
	}
	return entries
}

// Paths are the files whose owners Resolve asks for.
func (k *Images) Paths() []string {
	paths := slices.Clone(k.flavour)
	for _, files := range k.files {
		paths = append(paths, files...)
	}
	return paths
}

// Resolve names the packages behind the images. owner returns the package that
// owns a path, or nil.
func (k *Images) Resolve(owner func(path string) *host.Package) (host.Kernel, []host.Unread) {
	kern := host.Kernel{Running: k.running, RunningVersion: k.built}
	flavours := map[*host.Package]bool{}
	for _, path := range k.flavour {
		if p := owner(path); p != nil {
			flavours[p] = true
		}
	}
	for release, files := range k.files {
		p, image := k.ownerOf(files, owner)
		if !image && !flavours[p] {
			continue
		}
		i := host.InstalledKernel{Release: release}
		if p != nil {
			i.Package, i.Version = p.Name, p.Version
		}
		kern.Installed = append(kern.Installed, i)
		if release == k.running {
			kern.RunningPackage = i.Package
		}
	}
	slices.SortFunc(kern.Installed, func(a, b host.InstalledKernel) int { return strings.Compare(a.Release, b.Release) })
	unread := k.Unread
	if k.running != "" && kern.RunningPackage == "" {
		unread = append(unread, host.NotRead(k.running, k.whyUnowned(kern)))
	}
	return kern, unread
}

// ownerOf returns the package behind a release, and whether an image stands on disk for it.
func (k *Images) ownerOf(files []string, owner func(string) *host.Package) (p *host.Package, image bool) {
	for _, file := range files {
		if path.Base(file) != "modules.builtin" {
			image = true
		}
		if p == nil {
			p = owner(file)
		}
	}
	return p, image
}

func (k *Images) whyUnowned(kern host.Kernel) error {
	if len(kern.Installed) == 0 {
		return host.NewFault("kernel-elsewhere")
	}
	if slices.ContainsFunc(kern.Installed, func(i host.InstalledKernel) bool { return i.Release == k.running }) {
		return host.NewFault("kernel-unowned")
	}
	return host.NewFault("kernel-gone", kern.Installed[len(kern.Installed)-1].Release)
}

// buildMarks find, in uname -v, the package version that Debian writes there
// ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)"). A security update may
// keep the release name, so the release alone does not tell what runs.
var buildMarks = regexp.MustCompile(`\bDebian (\d[0-9A-Za-z.+~:-]*)`)

func buildVersion(version string) string {
	if m := buildMarks.FindStringSubmatch(version); m != nil {
		return m[1]
	}
	return ""
}
