//go:build guest && linux

package guard

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/guard/bpf"
)

// OpenVersion is Open by programs that call themselves another version's.
func OpenVersion(o Options, version string) (*Guard, error) {
	p, err := openPins(o.Pins)
	if err != nil {
		return nil, err
	}
	return openPinned(p, version, o.Now)
}

// Entries counts what lies in the maps of policies, by generation.
func (g *Guard) Entries() (map[uint64]int, error) {
	n := map[uint64]int{}
	err := errors.Join(
		each(g.maps["roots"], func(k bpf.GuardRootKey, _ bpf.GuardPlace) { n[k.Generation]++ }),
		each(g.maps["names"], func(k bpf.GuardNameKey, _ bpf.GuardPlace) { n[uint64(k.Generation)]++ }),
		each(g.maps["programs"], func(k bpf.GuardNameKey, _ bpf.GuardProgram) { n[uint64(k.Generation)]++ }))
	return n, err
}

// Folder is where this version is pinned.
func (g *Guard) Folder() string { return g.pins.dir }

// OpenWithout is Open where the kernel never asks one of the hooks. It pins nothing.
func OpenWithout(hook string, now func() time.Time) (*Guard, error) {
	whole, err := readObject()
	if err != nil {
		return nil, err
	}
	var tried []error
	for _, tier := range []string{TierLSM, TierModRet} {
		g, err := open(tier, whole, pins{}, now, func(g *Guard, o object) error {
			g.programs = slices.DeleteFunc(g.programs, func(name string) bool { return strings.HasSuffix(name, "_"+hook) })
			return g.load(o)
		})
		if err == nil {
			return g, nil
		}
		tried = append(tried, err)
	}
	return nil, errors.Join(tried...)
}

// Passed is how many files are not asked about again.
func (r *Reduced) Passed() uint64 { return r.passed.Load() }
