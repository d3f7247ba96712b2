package guard

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// staging writes one generation of a ruleset beside the one in force.
type staging struct {
	g   *Guard
	rs  ruleset.Ruleset
	gen uint64

	first bool     // nobody was contained before
	bits  []uint16 // of each lineage, plus 1; 0: there was no room for it
	gaps  []Gap
	sum   hash.Hash // of places and programs by identity

	rootRows      rows[bpf.GuardRootKey, bpf.GuardPlace]
	nameRows      rows[bpf.GuardNameKey, bpf.GuardPlace]
	userNameRows  rows[bpf.GuardNameKey, uint32]
	programRows   rows[bpf.GuardNameKey, bpf.GuardProgram]
	groupRows     rows[bpf.GuardGroupKey, bpf.GuardGroup]
	unitRows      rows[bpf.GuardUnitKey, bpf.GuardLineage]
	accountRows   rows[bpf.GuardAccountKey, bpf.GuardLineage]
	extensionRows rows[bpf.GuardExtensionKey, uint32]
	portRows      rows[bpf.GuardPortKey, bpf.GuardPort]
	configRows    rows[uint64, bpf.GuardConfig]
}

// picture sums up what was staged, generations aside.
func (s *staging) picture() (sum [sha256.Size]byte) {
	return [sha256.Size]byte(s.sum.Sum(nil))
}

func (s *staging) gap(gap Gap) { s.gaps = append(s.gaps, gap) }

// rows are what is to be written to one map.
type rows[K comparable, V any] struct {
	keys   []K
	values []V
}

func (r *rows[K, V]) add(k K, v V) { r.keys, r.values = append(r.keys, k), append(r.values, v) }

// write writes them with one call of the kernel.
func (r *rows[K, V]) write(s *staging, table string) error {
	if len(r.keys) == 0 {
		return nil
	}
	n, err := s.g.maps[table].BatchUpdate(r.keys, r.values, nil)
	if err != nil {
		return fmt.Errorf("%s: entry %d of %d: %w", table, n+1, len(r.keys), err)
	}
	return nil
}

func (s *staging) write() error {
	for _, part := range []func() error{s.lineages, s.groups, s.config, s.extensions, s.deputies, s.places} {
		if err := part(); err != nil {
			return err
		}
	}
	return errors.Join(s.rootRows.write(s, "roots"), s.nameRows.write(s, "names"), s.userNameRows.write(s, "user_names"),
		s.programRows.write(s, "programs"), s.groupRows.write(s, "groups"), s.unitRows.write(s, "units"),
		s.accountRows.write(s, "accounts"), s.extensionRows.write(s, "extensions"), s.portRows.write(s, "ports"), s.configRows.write(s, "configs"))
}

func (s *staging) config() error {
	c := bpf.GuardConfig{Enforce: uint32(s.rs.Enforce), Observe: uint32(s.rs.Observe), Starters: uint32(s.rs.Starters), Runtimes: uint32(s.rs.Runtimes),
		Tracers: uint32(s.rs.Tracers)}
	for i, surface := range s.rs.Surfaces {
		if surface.Refused {
			c.Surfaces[i] = bpf.GuardSurfaceRule{Refused: 1, Rule: surface.Rule, Allowed: surface.Allowed}
		}
	}
	if s.rs.Listeners {
		c.Listeners = 1
	}
	if s.rs.BuildersAnywhere {
		c.BuildersAnywhere = 1
	}
	if err := s.g.keepRelaxed(&c, s.gen-1); err != nil {
		return err
	}
	s.configRows.add(s.gen, c)
	return nil
}

// deputies writes those that have no socket in a directory.
func (s *staging) deputies() error {
	for _, p := range s.rs.Ports {
		s.portRows.add(bpf.GuardPortKey{Port: uint32(p.Port), Generation: uint32(s.gen)}, bpf.GuardPort{Rule: p.Rule, Connectors: p.Connectors})
	}
	for _, a := range s.rs.Abstract {
		key := bpf.GuardNameKey{Node: nodeAbstract, Generation: uint32(s.gen)}
		if !fits(key.Name[:], a.Name) {
			return fmt.Errorf("abstract socket %q: at most %d bytes", a.Name, len(key.Name)-1)
		}
		s.nameRows.add(key, bpf.GuardPlace{Flags: uint32(bpf.GuardPlaceFlagPLACE_DEPUTY), DeputyRule: a.Rule, Connectors: a.Connectors})
	}
	return nil
}

// nodeAbstract stands for no directory: NODE_ABSTRACT of guard/bpf/guard.h.
const nodeAbstract = 0xffffffff

func (s *staging) extensions() error {
	for _, ext := range s.rs.Extensions {
		if len(ext) < 2 || len(ext) > 7 {
			return fmt.Errorf("extension %q: 2 to 7 bytes with the dot", ext)
		}
		key := bpf.GuardExtensionKey{Generation: s.gen}
		for i := range len(ext) {
			key.Extension |= uint64(ext[i]) << (8 * i)
		}
		s.extensionRows.add(key, 1)
	}
	return nil
}

// lineages gives every lineage its bit: the one it had before, because labels of
// running processes hold it, or the next that is free.
func (s *staging) lineages() error {
	known, next, err := s.g.lineageBits()
	if err != nil {
		return err
	}
	s.bits = make([]uint16, len(s.rs.Lineages))
	for i, l := range s.rs.Lineages {
		key, ok := lineageKey(l.Name)
		bit, there := known[l.Name]
		if !there && ok && next < ruleset.MaxLineages {
			bit, there = next, true
			next++
			if err := s.g.maps["lineages"].Put(key, bit); err != nil {
				return fmt.Errorf("lineage %s: %w", l.Name, err)
			}
		}
		if !there {
			s.gap(Gap{Control: string(host.Containing), Subject: l.Name,
				Why: fmt.Sprintf("there is room for %d lineages since the host has started, with names of at most 127 bytes: what is excepted for this one is refused", ruleset.MaxLineages)})
			continue
		}
		s.bits[i] = uint16(bit) + 1
		s.entrance(l, s.bits[i])
	}
	return nil
}

// entrance writes what begins a lineage that is no program.
func (s *staging) entrance(l ruleset.Lineage, bit uint16) {
	value := bpf.GuardLineage{Flags: uint32(s.flags(l.Flags)), Lineage: bit, Rule: l.Rule}
	switch {
	case l.Unit != "":
		key := bpf.GuardUnitKey{Generation: uint32(s.gen)}
		if !fits(key.Name[:], l.Unit) {
			s.gap(Gap{Control: string(host.Containing), Subject: l.Unit, Why: fmt.Sprintf("names of units are compared up to %d bytes", len(key.Name)-1)})
			return
		}
		s.unitRows.add(key, value)
	case l.User:
		s.accountRows.add(bpf.GuardAccountKey{Uid: uint32(l.UID), Generation: uint32(s.gen)}, value)
	}
}

// flags leaves out containment where it is only observed: nobody is labelled then.
func (s *staging) flags(f ruleset.Flags) ruleset.Flags {
	if s.rs.Enforce&ruleset.ControlContain == 0 {
		f &^= ruleset.Contained
	}
	return f
}

func (s *staging) groups() error {
	now, err := bootNow()
	if err != nil {
		return err
	}
	for i, group := range s.rs.Groups {
		if i == 0 {
			continue
		}
		var value bpf.GuardGroup
		for _, m := range group.Members {
			s.member(value.Members[:], m)
		}
		for _, m := range group.Temporary {
			s.member(value.Temporary[:], m)
		}
		if left := untilEnd(group.Until, s.g.now()); left > 0 {
			value.Until = uint64(now + left)
		}
		s.groupRows.add(bpf.GuardGroupKey{Group: uint32(i), Generation: uint32(s.gen)}, value)
	}
	return nil
}

func (s *staging) member(words []uint64, lineage int) {
	if bit := s.bits[lineage]; bit > 0 {
		words[(bit-1)/64] |= 1 << ((bit - 1) % 64)
	}
}

// lineageBits reads which bits are taken, and the next free one.
func (g *Guard) lineageBits() (known map[string]uint32, next uint32, err error) {
	known = map[string]uint32{}
	err = each(g.maps["lineages"], func(key bpf.GuardLineageName, bit uint32) {
		known[text(key.Name[:])] = bit
		next = max(next, bit+1)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("lineages known: %w", err)
	}
	return known, next, nil
}

func lineageKey(name string) (key bpf.GuardLineageName, ok bool) {
	return key, fits(key.Name[:], name)
}

// fits copies s into a C string and tells whether there was room for it and its end.
func fits(to []int8, s string) bool {
	if len(s) >= len(to) {
		return false
	}
	for i := range len(s) {
		to[i] = int8(s[i])
	}
	return true
}
