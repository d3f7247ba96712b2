// Package rootfs reads files below a folder as a process whose root is that
// folder would: absolute symbolic links start at the folder and ".." stops there.
// It promises that no link, device or pipe planted inside a mounted image leads a
// read outside it, blocks it, or makes it read without bound; it never writes.
package rootfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kannuki/kannuki/host"
)

// FS is one root folder. Names are slash-separated and relative to it; a leading
// slash is allowed and means the same.
type FS struct {
	root *os.Root
	dir  string
}

// maxLinks is how many symbolic links one name may pass, as in Linux (path_resolution(7)).
const maxLinks = 40

// MaxFile is the largest file ReadFile takes, in bytes: a hundred times the
// package database of a large server.
const MaxFile = 512 << 20

// Open opens the folder dir.
func Open(dir string) (*FS, error) {
	r, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &FS{root: r, dir: dir}, nil
}

// Close releases the folder.
func (f *FS) Close() error { return f.root.Close() }

// Dir is the folder as it was given to Open.
func (f *FS) Dir() string { return f.dir }

// Show returns name as an administrator of this machine would write it.
func (f *FS) Show(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// OpenFile opens a regular file for reading. Anything else (a folder, a device, a
// pipe that would block) is an error.
func (f *FS) OpenFile(name string) (*os.File, error) {
	file, err := f.open(name)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Show(name), Err: host.NewFault("irregular")}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// ReadFile reads a whole regular file of at most MaxFile bytes.
func (f *FS) ReadFile(name string) ([]byte, error) {
	file, err := f.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: %w", f.Show(name), host.NewFault("too-large", MaxFile>>20))
	}
	return data, nil
}

// ReadDir lists a folder, sorted by name.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	dir, err := f.open(name)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Stat follows symbolic links inside the root.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	clean := inside(name)
	info, err := f.root.Stat(clean)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	return f.root.Lstat(real)
}

// Readlink returns the target of the symbolic link name; its parents are followed.
func (f *FS) Readlink(name string) (string, error) {
	parent, err := f.Resolve(path.Dir(inside(name)))
	if err != nil {
		return "", err
	}
	return f.root.Readlink(path.Join(parent, path.Base(name)))
}

// open tries the plain name first: where os.Root accepts it, every link on the way
// was relative and stayed inside, which is what a root of its own would have found.
func (f *FS) open(name string) (*os.File, error) {
	clean := inside(name)
	// O_NONBLOCK: opening a pipe must not wait for a writer.
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	file, err := f.root.OpenFile(clean, flags, 0)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return file, f.shown(name, err)
	}
	real, err := f.Resolve(name)
	if err != nil {
		return nil, err
	}
	file, err = f.root.OpenFile(real, flags, 0)
	return file, f.shown(name, err)
}

// shown replaces the relative path in err by the one the administrator knows.
func (f *FS) shown(name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return &fs.PathError{Op: "open", Path: f.Show(name), Err: pe.Err}
	}
	return err
}

// Resolve returns the name without any symbolic link in it, relative to the root.
func (f *FS) Resolve(name string) (string, error) {
	rest, done, links := strings.Split(inside(name), "/"), ".", 0
	for len(rest) > 0 {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			done = path.Dir(done) // path.Dir(".") is ".": the root is its own parent
			continue
		}
		next := path.Join(done, c)
		info, err := f.root.Lstat(next)
		if err != nil {
			return "", f.shown(name, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: f.Show(name), Err: host.NewFault("many-links")}
		}
		target, err := f.root.Readlink(next)
		if err != nil {
			return "", f.shown(name, err)
		}
		if path.IsAbs(target) {
			done = "."
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return done, nil
}

// inside makes name relative and keeps it below the root.
func inside(name string) string {
	clean := path.Clean("/" + name)[1:]
	if clean == "" {
		return "."
	}
	return clean
}
