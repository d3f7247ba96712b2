//go:build linux

package vm

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// archive writes an initramfs: a cpio archive of the "newc" format, as the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst describes it. The first
// error stays and is returned by close.
type archive struct {
	w    io.Writer
	size int
	ino  int
	dirs map[string]bool
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: w, dirs: map[string]bool{"": true}}
}

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
	modeChar = 0o020000
)

func (a *archive) dir(name string) {
	name = clean(name)
	if a.dirs[name] {
		return
	}
	a.dir(path.Dir(name))
	a.dirs[name] = true
	a.entry(name, modeDir|0o755, 0, 0, nil)
}

func (a *archive) file(name string, perm fs.FileMode, content []byte) {
	a.dir(path.Dir(clean(name)))
	a.entry(clean(name), modeFile|uint32(perm.Perm()), 0, 0, content)
}

func (a *archive) symlink(name, target string) {
	a.dir(path.Dir(clean(name)))
	a.entry(clean(name), modeLink|0o777, 0, 0, []byte(target))
}

func (a *archive) char(name string, major, minor int) {
	a.dir(path.Dir(clean(name)))
	a.entry(clean(name), modeChar|0o600, major, minor, nil)
}

// hostPath takes a file of the host with its permissions, or a folder with all in it.
func (a *archive) hostPath(name, from string) {
	err := filepath.WalkDir(from, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(at) // links are followed: the guest has not what they lead to
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(below))
		if info.IsDir() {
			a.dir(to)
			return nil
		}
		content, err := os.ReadFile(at)
		a.file(to, info.Mode(), content)
		return err
	})
	if a.err == nil {
		a.err = err
	}
}

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode uint32, major, minor int, content []byte) {
	a.ino++
	a.write(fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X",
		a.ino, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0))
	a.write(append([]byte(name), 0))
	a.pad()
	a.write(content)
	a.pad()
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.size += len(b)
	}
}

func (a *archive) pad() { a.write(make([]byte, -a.size&3)) }

// clean makes a guest path relative, as archives name files.
func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }
