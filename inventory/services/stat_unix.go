//go:build unix

package services

import (
	"io/fs"
	"os"
	"syscall"
)

// stat identifies the file a path leads to.
func stat(path string) (fileID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrInvalid}
	}
	return fileID{device: uint64(s.Dev), inode: s.Ino}, nil //nolint:unconvert // Dev is 32 bits on some systems
}
