package triage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// predicted are the services and packages that a policy would contain on a host.
type predicted struct {
	names     []string               // of which every process would be
	partly    []host.PartlyContained // of which some would be
	processes []*host.Process        // that would be
}

// predictContained names the services and packages whose processes p would contain on
// a host: those it lists, and with listeners on those that listen beyond loopback,
// unless it exempts them. A service is contained when one of its processes listens:
// the others are, as a rule, its children. What nobody knows to run is not named.
func predictContained(p policy.Policy, inv *host.Inventory) predicted {
	in, out := map[string]bool{}, map[string][]string{} // names of contained processes, and programs of the others
	contained := containedBy(p, inv)
	var held predicted
	for i := range inv.Processes {
		x := &inv.Processes[i]
		names := []string{x.Package}
		if strings.HasSuffix(x.Unit, ".service") {
			names = append(names, x.Unit)
		}
		if contained(x) {
			held.processes = append(held.processes, x)
		}
		for _, name := range names {
			if contained(x) {
				in[name] = true
			} else {
				out[name] = append(out[name], cmp.Or(x.Exe, x.Name))
			}
		}
	}
	delete(in, "")
	for _, name := range slices.Sorted(maps.Keys(in)) {
		if outside := out[name]; outside == nil {
			held.names = append(held.names, name)
		} else {
			slices.Sort(outside)
			held.partly = append(held.partly, host.PartlyContained{Name: name, Outside: slices.Compact(outside)})
		}
	}
	return held
}

// containedBy tells of a process whether p would contain it.
func containedBy(p policy.Policy, inv *host.Inventory) func(*host.Process) bool {
	listed, exempt := lineages{policy: p}, lineages{policy: p}
	for _, c := range p.Containment.Contain {
		listed.who = append(listed.who, c.Who)
	}
	for _, e := range p.Containment.Exempt {
		exempt.who = append(exempt.who, e.Who)
	}
	services := map[string]bool{}
	contained := func(x *host.Process) bool {
		switch {
		case exempt.hold(x):
			return false
		case listed.hold(x), services[x.Unit]:
			return true
		}
		return p.Containment.Listeners == policy.On && slices.ContainsFunc(x.Listeners, beyondLoopback)
	}
	for i := range inv.Processes {
		if x := &inv.Processes[i]; strings.HasSuffix(x.Unit, ".service") && contained(x) {
			services[x.Unit] = true
		}
	}
	return contained
}

// predictSurfaces are the surfaces that p would refuse to every contained process, and
// those that it allows to some of them. What a gap of the kernel control names (by
// "surface: why") its kernel cannot refuse under another policy either.
func predictSurfaces(p policy.Policy, contained []*host.Process, gaps []string, at time.Time) (refused []string, allowed []host.AllowedSurface) {
	for _, r := range p.Kernel.Refuse {
		surface := string(r.Surface)
		if slices.ContainsFunc(gaps, func(g string) bool { return strings.HasPrefix(g, surface+": ") }) {
			continue
		}
		var to []string
		for _, u := range p.SurfaceUses(r.Surface, at) {
			if who := (lineages{p, []policy.Who{u.Who}}); slices.ContainsFunc(contained, who.hold) {
				to = append(to, u.Who.String())
			}
		}
		if to == nil {
			refused = append(refused, surface)
		} else {
			allowed = append(allowed, host.AllowedSurface{Surface: surface, To: to})
		}
	}
	return refused, allowed
}

func beyondLoopback(l host.Listener) bool { return listenerLevel(l, nil) != Small }

// predictWX names the services and packages of which p lets no process make code of its
// own.
func predictWX(p policy.Policy, inv *host.Inventory) []string {
	wx := lineages{policy: p}
	for _, w := range p.WX {
		wx.who = append(wx.who, w.Who)
	}
	names := map[string]bool{} // of each whether all are held
	for i := range inv.Processes {
		x := &inv.Processes[i]
		for _, name := range []string{x.Unit, x.Package} {
			all, known := names[name]
			names[name] = (all || !known) && wx.hold(x)
		}
	}
	maps.DeleteFunc(names, func(name string, all bool) bool { return name == "" || !all })
	return slices.Sorted(maps.Keys(names))
}

// lineages are those of some rules of a policy.
type lineages struct {
	policy policy.Policy
	who    []policy.Who
}

// hold tells whether x is one of the lineages, as far as its program and unit tell.
func (l lineages) hold(x *host.Process) bool {
	return slices.ContainsFunc(l.who, func(w policy.Who) bool { return l.is(w, x) })
}

func (l lineages) is(w policy.Who, x *host.Process) bool {
	switch {
	case w.Program != "":
		return w.Program == x.Exe
	case w.Unit != "":
		return sameUnit(w.Unit, x.Unit)
	case w.Role != "":
		return slices.ContainsFunc(l.policy.Roles, func(r policy.Role) bool {
			return r.Role == w.Role && slices.ContainsFunc(r.Who, func(w policy.Who) bool { return w.Role == "" && l.is(w, x) })
		})
	}
	return false // an account's sessions: no inventory tells them
}

// sameUnit tells whether a unit is the one a policy names: "name@.service" means every
// instance.
func sameUnit(named, unit string) bool {
	before, after, template := strings.Cut(named, "@.")
	if !template {
		return named == unit
	}
	return strings.HasPrefix(unit, before+"@") && strings.HasSuffix(unit, "."+after)
}
