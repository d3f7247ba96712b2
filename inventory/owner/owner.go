// Package owner answers which installed package a path belongs to. The caller says
// first which paths it wants to know about; the package managers then claim paths
// from their file lists, so that nothing is kept of the hundred thousand paths
// nobody asked for.
package owner

import (
	"path"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Index holds the paths asked for and who claimed them.
type Index struct {
	merged map[string]bool // first path elements that are links into /usr: "lib", "bin", …
	owners map[string]*host.Package
	open   int
}

// Linker tells where a symbolic link points; *rootfs.FS is one.
type Linker interface {
	Readlink(name string) (string, error)
}

// New starts an index of absolute paths. root is asked which of /bin, /lib, … are
// links into /usr, because a package may list a file under either name.
func New(root Linker, paths []string) *Index {
	x := &Index{merged: map[string]bool{}, owners: make(map[string]*host.Package, len(paths))}
	for _, dir := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if target, err := root.Readlink(dir); err == nil && strings.TrimPrefix(path.Clean(target), "/") == "usr/"+dir {
			x.merged[dir] = true
		}
	}
	for _, p := range paths {
		if _, ok := x.owners[string(x.key([]byte(p)))]; !ok {
			x.owners[string(x.key([]byte(p)))] = nil
			x.open++
		}
	}
	return x
}

// Done tells that every path has an owner: no further list need be read.
func (x *Index) Done() bool { return x.open == 0 }

// Claim says that p owns the absolute path. Paths nobody asked for and paths that
// have an owner are left alone. The bytes are not kept.
func (x *Index) Claim(path []byte, p *host.Package) {
	owner, wanted := x.owners[string(x.key(path))]
	if wanted && owner == nil {
		x.owners[string(x.key(path))] = p
		x.open--
	}
}

// Owner returns the package that owns the absolute path, nil when none does.
func (x *Index) Owner(path string) *host.Package { return x.owners[string(x.key([]byte(path)))] }

// key removes the leading /usr of a path that has the same meaning without it.
func (x *Index) key(p []byte) []byte {
	const usr = "/usr/"
	if len(p) <= len(usr) || string(p[:len(usr)]) != usr {
		return p
	}
	rest := p[len(usr)-1:]
	end := 1
	for end < len(rest) && rest[end] != '/' {
		end++
	}
	if x.merged[string(rest[1:end])] {
		return rest
	}
	return p
}
