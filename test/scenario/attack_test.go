//go:build linux && amd64

package scenario_test

import (
	"os"
	"testing"

	"github.com/kannuki/kannuki/internal/vm"
)

// Without the guard every attack comes off for every actor, on every kernel: else its
// refusal proves nothing.
func TestEveryAttackComesOffWithoutTheGuard(t *testing.T) {
	t.Parallel()
	for _, series := range vm.Matrix() {
		t.Run(series, func(t *testing.T) {
			if series != chosenKernel() && os.Getenv("KANNUKI_VM") != "required" {
				t.Skip("SKIPPED: one kernel is enough here; make test-guard takes all, KANNUKI_KERNEL chooses one")
			}
			comesOff(t, vm.Config{Kernel: vm.Kernel(t, series)})
		})
	}
}

func comesOff(t *testing.T, c vm.Config) {
	m := start(t, c)
	all := readAll(t, chosenFiles())
	m.prepare(t, all)
	m.note(t, "everything is prepared")
	results := m.attack(t, all, false)
	m.note(t, "all attacks are done")
	slowest(t, results)
	for _, i := range all {
		if i.ID == "" {
			continue
		}
		t.Run(i.Name, func(t *testing.T) {
			r := results[i.N]
			if r == nil {
				t.Fatalf("%s:%d: not tried", i.File, i.Line)
			}
			if why := r.notReady(); why != "" {
				t.Errorf("%s:%d: what is needed before it: %s", i.File, i.Line, why)
			}
			if r.after.Error != "" {
				t.Errorf("%s:%d: it is not undone: %s\n%s", i.File, i.Line, r.after.Error, r.after.Output)
			}
			if !r.cameOff {
				t.Errorf("%s:%d: it does not even come off without the guard: %s\n%s", i.File, i.Line, r.Error, r.Output)
			}
		})
	}
}
