// Package durable puts files in place whole: whoever reads one finds the old or the new
// content, also after a power cut, and of two who write at once one is last. It promises
// that nothing stays beside a file that could not be put in place; a process that is
// killed meanwhile leaves a hidden one there, .NAME.new-*, that nobody reads.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace makes path a file with this content and exactly this mode, whatever the umask.
func Replace(path string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode)); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return Settle(f, path)
}

// Settle gives a file of path's folder, written and still open, the name path. It closes
// the file, and removes it where that fails. An error of the folder alone comes after:
// then the file is in place, and may be the old one again after a power cut.
func Settle(f *os.File, path string) error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(filepath.Dir(path))
}

// Remove takes a file away for good; one that is not there is no error.
func Remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := syncFolder(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder writes down which files are in a folder.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
