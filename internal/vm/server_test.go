//go:build linux

package vm_test

import (
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm"
)

func TestDebian(t *testing.T) {
	began := time.Now()
	d := vm.Debian(t, vm.Config{Kernel: vm.Kernel(t, "6.1")})
	t.Log("debian", time.Since(began))
	t.Log(d.Run(t, "", "sh", "-c", "systemctl is-system-running; systemctl list-units --failed; systemd-analyze; systemd-analyze blame | head -30; uptime; date; free -m; df -h; ps axf"))
	began = time.Now()
	d.Restore(t)
	t.Log("restore", time.Since(began))
	t.Log(d.Run(t, "", "sh", "-c", "uptime; date"))
}
