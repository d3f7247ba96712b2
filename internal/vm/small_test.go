//go:build linux

package vm_test

import (
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

func TestSmallMachine(t *testing.T) {
	for _, series := range vm.Matrix() {
		t.Run(series, func(t *testing.T) {
			r := vm.Shell(t, vm.Config{Kernel: vm.Kernel(t, series)}, "sh", "-c", "uname -r; id; cat /sys/kernel/security/lsm; mount; ip addr; ls -l /sys/class/virtio-ports; cat /proc/uptime; exit 7")
			t.Logf("%+v", r)
		})
	}
}
