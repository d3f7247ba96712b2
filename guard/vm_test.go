//go:build linux && !guest

package guard_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm"
)

// The guard is attached inside test machines only: these run the tests with the tag
// guest there, on every kernel, with bpf in the kernel's LSM list (tier 1) and without
// it (tier 2). Where the machines are not what is asked for (make test-guard), every
// kernel has one tier and every tier one kernel.
func TestGuardInMachines(t *testing.T) {
	for at, series := range vm.Matrix() {
		kernel := vm.Kernel(t, series)
		for i, tier := range []string{"fmod-ret", "bpf-lsm"} {
			t.Run(series+"/"+tier, func(t *testing.T) {
				if os.Getenv("KANNUKI_VM") != "required" && at%2 != i {
					t.Skip("SKIPPED: one tier of this kernel is enough here; make test-guard runs both")
				}
				lsm := kernel.WithBPF(t)
				if tier == "fmod-ret" {
					lsm = kernel.WithoutBPF(t)
				}
				args := []string{"-test.skip=Verifier"} // it goes through both tiers
				if tier == "bpf-lsm" {
					args = nil
				}
				vm.GoTest(t, vm.Config{Kernel: kernel, LSM: lsm, Env: []string{"WANT_TIER=" + tier},
					Modules: []string{"loop", "ext4"}, Files: map[string]string{"/disk.ext4": emptyDisk(t)}, Timeout: 15 * time.Minute}, ".", "guest", args...)
			})
		}
	}
}

// emptyDisk is the image of an empty file system that gives the numbers of its files again.
func emptyDisk(t *testing.T) string {
	t.Helper()
	image := t.TempDir() + "/disk.ext4"
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-O", "^has_journal", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	return image
}
