package guard

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"

	"github.com/kannuki/kannuki/guard/bpf"
)

// What a grant's target is for, as TARGET_* of guard/bpf/guard.h.
const (
	targetLaunch = 1
	targetWrite  = 2
)

// mostTargets is GRANT_TARGETS of guard/bpf/guard.h.
const mostTargets = 8

// Grant excepts a process and what descends from it. It ends by the kernel's own clock,
// whether anybody is there to end it or not, and with the process itself.
func (g *Guard) Grant(pid int, e Exception) (Grant, error) {
	if e.For <= 0 {
		return Grant{}, errors.New("guard: a grant needs an end: say for how long")
	}
	now, err := bootNow()
	if err != nil {
		return Grant{}, err
	}
	t := bpf.GuardTransaction{Until: uint64(now + e.For), Leader: uint32(pid)}
	if err := g.targets(&t, e); err != nil {
		return Grant{}, err
	}
	l, err := g.label(pid)
	if err != nil {
		return Grant{}, err
	}
	if err := g.makeRoom(pid, l); err != nil {
		return Grant{}, err
	}
	id := uint64(pid)<<32 | uint64(now)&0xffffffff
	if err := g.maps["transactions"].Update(id, t, ebpf.UpdateNoExist); err != nil {
		return Grant{}, fmt.Errorf("guard: grant for process %d: %w", pid, err)
	}
	err = g.mark(pid, func(l *bpf.GuardLabel) {
		l.Transaction = id
		l.Flags = l.Flags&^uint32(bpf.GuardLabelFlagLABEL_UPDATER) | uint32(bpf.GuardLabelFlagLABEL_GRANT)
	})
	if err != nil {
		return Grant{}, errors.Join(err, g.Revoke(id))
	}
	return Grant{ID: id, PID: pid, Until: g.now().Add(e.For), Exception: e}, nil
}

// makeRoom ends what a process is an updater for by itself: kannuki-agent asks for
// grants, and may replace itself. Under somebody else's transaction there is no grant.
func (g *Guard) makeRoom(pid int, l bpf.GuardLabel) error {
	t, alive, err := g.transaction(l.Transaction)
	if err != nil || !alive {
		return err
	}
	if l.Flags&uint32(bpf.GuardLabelFlagLABEL_GRANT) != 0 || t.Leader != uint32(pid) {
		return fmt.Errorf("guard: process %d is part of an update or has a grant already", pid)
	}
	return g.Revoke(l.Transaction)
}

func (g *Guard) targets(t *bpf.GuardTransaction, e Exception) error {
	what := map[string]uint64{}
	var order []string
	add := func(paths []string, for_ uint64) {
		for _, p := range paths {
			if what[p] == 0 {
				order = append(order, p)
			}
			what[p] |= for_
		}
	}
	add(e.Launch, targetLaunch)
	add(e.Write, targetWrite)
	if len(order) > mostTargets {
		return fmt.Errorf("guard: a grant reaches at most %d places, not %d: name a directory above them, or grant in turns", mostTargets, len(order))
	}
	for _, p := range order {
		id, err := g.identify(p)
		if err != nil {
			return fmt.Errorf("guard: grant for %s: %w", p, err)
		}
		t.Target[t.Targets] = bpf.GuardTarget{Ino: id.Ino, Dev: id.Dev, Igen: id.Igen, What: what[p]}
		t.Targets++
	}
	return nil
}

// identify asks the kernel programs for the identity of a file or directory.
func (g *Guard) identify(path string) (bpf.GuardIdentity, error) {
	info, err := os.Stat(path)
	if err != nil {
		return bpf.GuardIdentity{}, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return bpf.GuardIdentity{}, errors.New("it is neither a file nor a directory")
	}
	var id bpf.GuardIdentity
	asked := g.ask(func() { id, err = g.look(path, !info.IsDir()) })
	return id, errors.Join(asked, err)
}

// Revoke ends a grant now. What still runs under it is contained.
func (g *Guard) Revoke(id uint64) error {
	err := g.maps["transactions"].Delete(id)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("guard: there is no grant %d: it has ended", id)
	}
	if err != nil {
		return fmt.Errorf("guard: revoke %d: %w", id, err)
	}
	return nil
}

// Grants lists the grants that live. Paths are not kept by the kernel: an Exception
// listed here tells only how long it has left.
func (g *Guard) Grants() ([]Grant, error) {
	now, err := bootNow()
	if err != nil {
		return nil, err
	}
	var out []Grant
	err = each(g.maps["transactions"], func(id uint64, t bpf.GuardTransaction) {
		if left := time.Duration(t.Until) - now; t.Until > 0 && left > 0 {
			out = append(out, Grant{ID: id, PID: int(t.Leader), Until: g.now().Add(left), Exception: Exception{For: left}})
		}
	})
	if err != nil {
		return nil, fmt.Errorf("guard: grants: %w", err)
	}
	slices.SortFunc(out, func(a, b Grant) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

// transaction reads a transaction or grant and whether it goes on.
func (g *Guard) transaction(id uint64) (t bpf.GuardTransaction, alive bool, err error) {
	if id == 0 {
		return t, false, nil
	}
	if err := g.maps["transactions"].Lookup(id, &t); errors.Is(err, ebpf.ErrKeyNotExist) {
		return t, false, nil
	} else if err != nil {
		return t, false, fmt.Errorf("guard: transaction %d: %w", id, err)
	}
	now, err := bootNow()
	return t, t.Until == 0 || now < time.Duration(t.Until), err
}
