// Package realdata finds and unpacks real upstream data (../shared/data) for tests. The
// data is read in place and never copied; a test that needs it is skipped, with a
// message that says so, where the folder is missing.
package realdata

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the data folder: $KANNUKI_DATA, or shared/data beside the checkout.
// Where there is none the test is skipped.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("KANNUKI_DATA")
	if dir == "" {
		dir = beside(t)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Skipf("SKIPPED: real data not found at %q; set KANNUKI_DATA or put shared/data beside the checkout", dir)
	}
	return dir
}

// Path returns the path of one file below the data folder, or skips the test.
func Path(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(Dir(t), filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: real data file %s not found: %v", name, err)
	}
	return path
}

// beside walks up from the working directory to go.mod, and looks beside that folder.
func beside(t testing.TB) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(dir), "shared", "data")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
