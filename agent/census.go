package agent

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// census is what the processes of this host are to the guard.
type census struct {
	contained []string               // units and packages of which every process is contained
	partly    []host.PartlyContained // those of which some are
	wx        []string               // units and packages of which every process is held to W^X
	lineages  []string               // of contained processes, as the guard names them
}

// processes are those of one unit or package.
type processes struct {
	contained bool            // one of them is
	free      bool            // one of them is not held to W^X
	outside   map[string]bool // programs of the others
}

// census asks the guard about every process. One it cannot tell about is not contained.
func (a *agent) census() census {
	named, lineages := map[string]*processes{}, map[string]bool{}
	for _, pid := range a.proc.pids() {
		label, err := a.enforcer.Label(pid)
		if errors.Is(err, guard.ErrNoProcess) || !a.proc.runs(pid) {
			continue
		}
		exe := strings.TrimSuffix(a.proc.exe(pid), " (deleted)")
		for _, name := range []string{serviceOf(a.proc.unit(pid)), a.stock.packageOf(exe)} {
			if name == "" {
				continue
			}
			p := named[name]
			if p == nil {
				p = &processes{outside: map[string]bool{}}
				named[name] = p
			}
			if err == nil && label.Contained {
				p.contained = true
			} else {
				comm, _, _ := a.proc.stat(pid)
				p.outside[cmp.Or(exe, comm)] = true
			}
			p.free = p.free || err != nil || !label.WX
		}
		if err == nil && label.Contained {
			for _, l := range label.Lineages {
				lineages[l] = true
			}
		}
	}
	c := census{lineages: slices.Sorted(maps.Keys(lineages))}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		p := named[name]
		if !p.free {
			c.wx = append(c.wx, name)
		}
		switch {
		case !p.contained:
		case len(p.outside) == 0:
			c.contained = append(c.contained, name)
		default:
			c.partly = append(c.partly, host.PartlyContained{Name: name, Outside: slices.Sorted(maps.Keys(p.outside))})
		}
	}
	return c
}

// serviceOf is a unit that coverage knows by name; sessions and containers have none.
func serviceOf(unit string) string {
	if strings.HasSuffix(unit, ".service") {
		return unit
	}
	return ""
}

// lineageLasts is how long a lineage counts as running here after it was last seen to:
// what is started by the minute would otherwise open and close a surface by the minute.
const lineageLasts = 24 * time.Hour

// seen adds the lineages that run contained now to those that did of late, and returns all.
func (a *agent) seen(now []string, at time.Time) []string {
	if a.lineages == nil {
		a.lineages = map[string]time.Time{}
	}
	for _, l := range now {
		a.lineages[l] = at
	}
	maps.DeleteFunc(a.lineages, func(_ string, last time.Time) bool { return at.Sub(last) >= lineageLasts })
	return slices.Sorted(maps.Keys(a.lineages))
}

// surfaces are those the kernel control refuses to every contained process here: asked
// for, and no gap; and beside them those that some of the lineages may use all the same.
func surfaces(p policy.Policy, gaps []guard.Gap, lineages []string, now time.Time) (refused []string, allowed []host.AllowedSurface) {
	for _, r := range p.Kernel.Refuse {
		if slices.ContainsFunc(gaps, func(g guard.Gap) bool { return g.Rule == r.ID }) {
			continue
		}
		var to []string
		for _, u := range p.SurfaceUses(r.Surface, now) {
			if slices.Contains(lineages, lineageName(u.Who)) {
				to = append(to, u.Who.String())
			}
		}
		if to == nil {
			refused = append(refused, string(r.Surface))
		} else {
			allowed = append(allowed, host.AllowedSurface{Surface: string(r.Surface), To: to})
		}
	}
	return refused, allowed
}

// lineageName is what the guard calls a lineage, see ruleset.Lineage: a program by where
// it really lies.
func lineageName(w policy.Who) string {
	switch {
	case w.Unit != "":
		return "unit " + w.Unit
	case w.User != "":
		return "user " + w.User
	}
	return "program " + resolved(w.Program)
}
