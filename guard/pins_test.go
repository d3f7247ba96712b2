package guard

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyAnEmptyPlaceForPinsIsTakenAway(t *testing.T) {
	top := filepath.Join(t.TempDir(), "kannuki")
	if err := os.MkdirAll(filepath.Join(top, "bpf_lsm-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := pins{top: top}
	if p.removeEmpty(); !there(top) {
		t.Error("it held pins, and is gone")
	}
	if err := os.Remove(filepath.Join(top, "bpf_lsm-1")); err != nil {
		t.Fatal(err)
	}
	if p.removeEmpty(); there(top) {
		t.Error("it is empty, and is still there")
	}
}

func there(path string) bool { _, err := os.Lstat(path); return err == nil }
