//go:build linux

package vm_test

import (
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

func TestGuestTestsRunOnEveryKernel(t *testing.T) {
	for _, series := range vm.Matrix() {
		t.Run(series, func(t *testing.T) {
			vm.GoTest(t, vm.Config{Kernel: vm.Kernel(t, series)}, "inside", "guest")
		})
	}
}
