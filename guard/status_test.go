package guard

import (
	"testing"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

func TestEveryControlHasPrograms(t *testing.T) {
	spec, err := bpf.LoadGuard() // reads the object; the kernel is not asked
	if err != nil {
		t.Fatal(err)
	}
	programs := map[host.Control]int{}
	for name := range spec.Programs {
		for _, c := range controlsOf(name) {
			programs[c]++
		}
	}
	for _, c := range policy.Controls() {
		if programs[c] == 0 {
			t.Errorf("%s: no program", c)
		}
	}
}

// The kernel's numbers of its surfaces are the places of the policy's words.
func TestSurfacesHaveTheSameOrderOnBothSides(t *testing.T) {
	numbers := map[policy.Surface]bpf.GuardSurface{
		"userns": bpf.GuardSurfaceSURFACE_USERNS, "module-autoload": bpf.GuardSurfaceSURFACE_MODULE_AUTOLOAD, "raw-disk": bpf.GuardSurfaceSURFACE_RAW_DISK,
		"sysfs": bpf.GuardSurfaceSURFACE_SYSFS, "nf_tables": bpf.GuardSurfaceSURFACE_NF_TABLES, "socket-families": bpf.GuardSurfaceSURFACE_SOCKET_FAMILIES,
		"io_uring": bpf.GuardSurfaceSURFACE_IO_URING, "keyctl": bpf.GuardSurfaceSURFACE_KEYCTL, "reboot": bpf.GuardSurfaceSURFACE_REBOOT,
	}
	for i, s := range policy.Surfaces() {
		if n, ok := numbers[s]; ok && int(n) != i {
			t.Errorf("%s is %d in the kernel and %d in the policy", s, n, i)
		}
		delete(numbers, s)
	}
	for s := range numbers {
		t.Errorf("the policy has no surface %s", s)
	}
}
