package guard

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Apply puts p in force on this host. Everything is written beside what is in force,
// then one write swaps the generation, then the old one is taken away: there is no
// moment between two policies. On an error what was in force stays.
func (g *Guard) Apply(p policy.Policy, now time.Time) (Applied, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.apply(p, now)
}

// Refresh puts the policy in force again where what it names has moved on this host:
// a directory was replaced, a file system mounted, a program installed. It tells
// whether anything was different.
func (g *Guard) Refresh() (changed bool, gaps []Gap, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.policy == nil {
		return false, nil, errors.New("guard: there is no policy in force to look up anew")
	}
	before := g.picture
	applied, err := g.apply(*g.policy, g.now())
	return err == nil && g.picture != before, applied.Gaps, err
}

func (g *Guard) apply(p policy.Policy, now time.Time) (Applied, error) {
	on, err := ruleset.ReadHost("/")
	if err != nil {
		return Applied{}, fmt.Errorf("guard: %w", err)
	}
	rs, gaps := ruleset.Compile(p, on, now)
	applied, err := g.swap(rs)
	if err != nil {
		return Applied{}, err
	}
	applied.Gaps = slices.Concat(gaps, unasked(p, g.missing), applied.Gaps)
	if err := g.learnAddresses(); err != nil {
		applied.Gaps = append(applied.Gaps, Gap{Control: string(host.Containing), Subject: "ports of deputies", Why: err.Error()})
	}
	if err := g.learnDevices(); err != nil {
		applied.Gaps = append(applied.Gaps, Gap{Control: string(host.KernelCtl), Subject: "devices below files", Why: err.Error()})
	}
	for _, group := range rs.Groups {
		if !group.Until.IsZero() && (applied.Until.IsZero() || group.Until.Before(applied.Until)) {
			applied.Until = group.Until
		}
	}
	g.policy = &p
	return applied, nil
}

// ApplyRuleset is Apply for what is compiled already: tests and measurements.
func (g *Guard) ApplyRuleset(rs ruleset.Ruleset) (Applied, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.swap(rs)
}

func (g *Guard) swap(rs ruleset.Ruleset) (Applied, error) {
	old, err := g.Generation()
	if err != nil {
		return Applied{}, err
	}
	next := old + 1
	first, err := g.unlabelled(old, rs)
	if err != nil {
		return Applied{}, err
	}
	s := staging{g: g, rs: rs, gen: next, first: first, sum: sha256.New()}
	if g.littered {
		if err := g.removeExcept(old); err != nil {
			return Applied{}, err
		}
	}
	g.littered = true
	if err := s.write(); err != nil {
		return Applied{}, errors.Join(fmt.Errorf("guard: stage generation %d: %w", next, err), g.removeExcept(old))
	}
	before, known := g.applied.add(next, rs)
	g.picture = s.picture()
	labelled, surveyErr := 0, error(nil)
	// Who runs already is labelled before it is judged, and those that started meanwhile
	// after. Where nothing that labels has changed, the programs have labelled everybody.
	fresh := !known || !labelsAlike(before, rs)
	if fresh {
		labelled, surveyErr = g.survey(s, beforehand)
	}
	if err := g.maps[".data.force"].Put(uint32(0), bpf.GuardState{Generation: next}); err != nil {
		return Applied{}, errors.Join(fmt.Errorf("guard: swap to generation %d: %w", next, err), g.removeExcept(old))
	}
	if fresh {
		late, err := g.survey(s, afterwards)
		if errors.Is(surveyErr, errOutrun) {
			surveyErr = nil // it was the later one that had to settle
		}
		labelled, surveyErr = labelled+late, errors.Join(surveyErr, err)
	}
	if surveyErr != nil {
		g.applied.remove(next) // so that the next time looks again
		s.gap(ruleset.Gap{Control: string(host.Containing), Subject: "running processes", Why: surveyErr.Error()})
	}
	err = errors.Join(g.removeExcept(next), g.pins.removeOthers())
	if err != nil {
		s.gap(ruleset.Gap{Control: string(host.Self), Subject: "earlier policies", Why: "what is no longer in force could not be removed: " + err.Error()})
	}
	return Applied{Generation: next, Gaps: s.gaps, Labelled: labelled, Rules: len(rs.Rules)}, nil
}

// unlabelled tells whether nobody was contained so far who should have been: there was
// no policy, or none that contained as rs does.
func (g *Guard) unlabelled(old uint64, rs ruleset.Ruleset) (bool, error) {
	if old == 0 {
		return true, nil
	}
	var c bpf.GuardConfig
	if err := g.maps["configs"].Lookup(old, &c); err != nil {
		return false, fmt.Errorf("guard: the policy in force: %w", err)
	}
	return c.Enforce&uint32(ruleset.ControlContain) == 0 || rs.Listeners && c.Listeners == 0, nil
}

// labelsAlike tells whether two rulesets make the same of every process.
func labelsAlike(a, b ruleset.Ruleset) bool {
	return a.Listeners == b.Listeners && (a.Enforce^b.Enforce)&ruleset.ControlContain == 0 &&
		reflect.DeepEqual(a.Programs, b.Programs) && reflect.DeepEqual(a.Lineages, b.Lineages)
}

// Generation is the policy generation in force; 0 for none.
func (g *Guard) Generation() (uint64, error) {
	var s bpf.GuardState
	if err := g.maps[".data.force"].Lookup(uint32(0), &s); err != nil {
		return 0, fmt.Errorf("guard: generation in force: %w", err)
	}
	return s.Generation, nil
}

// removeExcept takes every other generation out of every map: the one before, and what
// a process left that was killed while it staged.
func (g *Guard) removeExcept(gen uint64) error {
	g32 := uint32(gen)
	err := errors.Join(
		drop[bpf.GuardRootKey, bpf.GuardPlace](g.maps["roots"], func(k bpf.GuardRootKey) bool { return k.Generation != gen }),
		drop[bpf.GuardNameKey, bpf.GuardPlace](g.maps["names"], func(k bpf.GuardNameKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardNameKey, uint32](g.maps["user_names"], func(k bpf.GuardNameKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardNameKey, bpf.GuardProgram](g.maps["programs"], func(k bpf.GuardNameKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardGroupKey, bpf.GuardGroup](g.maps["groups"], func(k bpf.GuardGroupKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardUnitKey, bpf.GuardLineage](g.maps["units"], func(k bpf.GuardUnitKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardAccountKey, bpf.GuardLineage](g.maps["accounts"], func(k bpf.GuardAccountKey) bool { return k.Generation != g32 }),
		drop[bpf.GuardExtensionKey, uint32](g.maps["extensions"], func(k bpf.GuardExtensionKey) bool { return k.Generation != gen }),
		drop[bpf.GuardPortKey, bpf.GuardPort](g.maps["ports"], func(k bpf.GuardPortKey) bool { return k.Generation != g32 }),
		drop[uint64, bpf.GuardConfig](g.maps["configs"], func(k uint64) bool { return k != gen }))
	g.littered = err != nil
	return err
}

// drop deletes the keys of a map that match.
func drop[K comparable, V any](m *ebpf.Map, match func(K) bool) error {
	var gone []K
	err := each(m, func(k K, _ V) {
		if match(k) {
			gone = append(gone, k)
		}
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	_, err = m.BatchDelete(gone, nil)
	return err
}

// each reads a hash map, many entries with one call of the kernel.
func each[K, V any](m *ebpf.Map, do func(K, V)) error {
	const some = 1024
	keys, values := make([]K, some), make([]V, some)
	var at ebpf.MapBatchCursor
	for {
		n, err := m.BatchLookup(&at, keys, values, nil)
		for i := range n {
			do(keys[i], values[i])
		}
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", m, err)
		}
	}
}
