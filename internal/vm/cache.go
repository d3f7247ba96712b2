//go:build linux

package vm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// cacheDir is where kernels and disks are kept between test runs.
func cacheDir() (string, error) {
	if dir := os.Getenv("KANNUKI_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	root, err := moduleRoot()
	return filepath.Join(root, ".cache", "vm"), err
}

// moduleRoot walks up from the working directory, which go test sets to the package.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod above the working directory; set KANNUKI_CACHE")
		}
	}
}

// keep returns cache/name, a folder that make has filled. It is made once however many
// processes ask at the same time, and is either whole or not there: make works in a
// folder beside it that is renamed at the end, and what a killed process left of that
// is cleared away.
func keep(cache, name string, make func(dir string) error) (string, error) {
	final := filepath.Join(cache, name)
	if used(final) {
		return final, nil
	}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(final + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if used(final) {
		return final, nil // somebody else made it while we waited
	}
	prune(filepath.Dir(final))
	building := final + ".building"
	if err := os.RemoveAll(building); err != nil {
		return "", err
	}
	if err := os.Mkdir(building, 0o755); err != nil {
		return "", err
	}
	defer os.RemoveAll(building)
	if err := make(building); err != nil {
		return "", fmt.Errorf("making %s: %w", final, err)
	}
	return final, os.Rename(building, final)
}

// unusedFor is how long what nobody asks for any more stays in the cache.
const unusedFor = 3 * 24 * time.Hour

// used tells whether something is in the cache, and notes that it was asked for.
func used(dir string) bool {
	now := time.Now()
	return os.Chtimes(dir, now, now) == nil
}

// prune takes away what nobody has asked for of late: each new kernel, recipe and
// saved state leaves its forerunner behind. What is in use is open, and lasts.
func prune(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && time.Since(info.ModTime()) > unusedFor {
			old := filepath.Join(dir, e.Name()+".building") // never half a folder under a good name
			_ = os.Rename(filepath.Join(dir, e.Name()), old)
			_ = os.RemoveAll(old)
		}
	}
}

// lock takes a file lock, which the system gives back when the process ends, however.
func lock(path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return func() { file.Close() }, nil
}
