//go:build linux && !guest

package guard_test

import (
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

// The guard is attached inside test machines only: these run guest_test.go there, on
// every kernel, with bpf in the kernel's LSM list (tier 1) and without it (tier 2).
func TestGuardInMachines(t *testing.T) {
	for _, series := range vm.Matrix() {
		kernel := vm.Kernel(t, series)
		for tier, lsm := range map[string]string{"bpf-lsm": kernel.WithBPF(t), "fmod-ret": kernel.WithoutBPF(t)} {
			t.Run(series+"/"+tier, func(t *testing.T) {
				vm.GoTest(t, vm.Config{Kernel: kernel, LSM: lsm, Env: []string{"WANT_TIER=" + tier}}, ".", "guest")
			})
		}
	}
}
