//go:build linux

package vm

import (
	"crypto/sha256"
	"path/filepath"
	"testing"
)

// Kept returns a folder of the cache that make has filled, now or in an earlier run. It
// is for what tests bring to machines and takes long to make. recipe is all that the
// content depends on. What cannot be had skips the test, as a machine would.
func Kept(t testing.TB, name, recipe string, make func(dir string) error) string {
	t.Helper()
	requireHost(t)
	sum := sha256.Sum256([]byte(recipe))
	cache, err := cacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := keep(cache, filepath.Join(name, key(sum[:])), make)
	if err != nil {
		unavailable(t, err)
	}
	return dir
}
