//go:build unix

package feed

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir keeps a second Sync out of the folder. The lock ends with the process, so a
// killed run leaves none behind.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, ".sync.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another feed sync is running in this folder: wait for it to end")
		}
		return nil, err
	}
	return func() { _ = f.Close() }, nil
}
