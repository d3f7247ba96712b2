package guard

import (
	"testing"

	"github.com/kannuki/kannuki/guard/bpf"
)

func TestDevicesAreKnownByWhatTheirDriverIsCalled(t *testing.T) {
	got := devices("Character devices:\n  1 mem\n 10 misc\n 21 sg\n 90 mtd\n241 nvme-generic\n242 nvme\n248 bsg\n249 watchdog\n\nBlock devices:\n  7 loop\n259 blkext\n254 mtd\n")
	for _, c := range []struct {
		major, minor uint32
		want         bpf.GuardSurface
		listed       bool
	}{
		{21, anyMinor, raw, true}, {90, anyMinor, raw, true}, {241, anyMinor, raw, true}, {242, anyMinor, raw, true}, {248, anyMinor, raw, true},
		{249, anyMinor, reboot, true}, {10, 237, raw, true}, {10, 231, bpf.GuardSurfaceSURFACE_KEXEC, true},
		{1, anyMinor, 0, false}, {10, anyMinor, 0, false}, {10, 229, 0, false}, {7, anyMinor, 0, false}, {254, anyMinor, 0, false},
	} {
		surface, listed := got[bpf.GuardDeviceKey{Major: c.major, Minor: c.minor}]
		if listed != c.listed || surface != c.want {
			t.Errorf("%d:%d is %v, %v; want %v, %v", c.major, c.minor, surface, listed, c.want, c.listed)
		}
	}
}
