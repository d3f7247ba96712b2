package ruleset

import (
	"fmt"
	"slices"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Surface is what holds of one surface of the kernel.
type Surface struct {
	Refused bool // to contained processes
	Rule    uint16
	Allowed uint16 // group: who uses it all the same
}

// Port is a deputy that listens on a TCP port of this host.
type Port struct {
	Port       int
	Rule       uint16
	Connectors uint16
}

// Abstract is a deputy behind an abstract unix socket.
type Abstract struct {
	Name       string // without the zero byte in front
	Rule       uint16
	Connectors uint16
}

// surfaces are those of the policy, in the order of policy.Surfaces, which is that of
// enum surface of guard/bpf/guard.h.
func (c *compiler) surfaces() []Surface {
	all := policy.Surfaces()
	out := make([]Surface, len(all))
	for _, r := range c.p.Kernel.Refuse {
		i := slices.Index(all, r.Surface)
		if i < 0 || out[i].Refused {
			continue
		}
		out[i] = Surface{Refused: true, Rule: c.rule(r.ID), Allowed: c.usersOf(r)}
	}
	return out
}

func (c *compiler) usersOf(r policy.KernelSurface) uint16 {
	var members []int
	var temps []temporary
	for _, a := range c.p.Kernel.Allow {
		if slices.Contains(a.Surfaces, r.Surface) {
			members = union(members, c.all(host.KernelCtl, a.ID, a.To))
		}
	}
	for _, g := range c.live() {
		if slices.Contains(g.Surfaces, r.Surface) {
			temps = append(temps, temporary{c.all(host.KernelCtl, g.ID, []policy.Who{g.To}), g.Expires})
		}
	}
	return c.group(host.KernelCtl, r.ID, members, temps)
}

// tracers are the lineages that trace other processes although they are contained.
func (c *compiler) tracers() uint16 {
	var temps []temporary
	for _, g := range c.live() {
		if g.Process {
			temps = append(temps, temporary{c.all(host.ProcessCtl, g.ID, []policy.Who{g.To}), g.Expires})
		}
	}
	return c.group(host.ProcessCtl, "", nil, temps)
}

// ports and abstract sockets of deputies; the first rule that names one counts.
func (c *compiler) ports() []Port {
	var out []Port
	for _, d := range c.p.Deputies.Refuse {
		for _, port := range d.Ports {
			if !slices.ContainsFunc(out, func(p Port) bool { return p.Port == port }) {
				out = append(out, Port{Port: port, Rule: c.rule(d.ID), Connectors: c.connect(d)})
			}
		}
	}
	slices.SortFunc(out, func(a, b Port) int { return a.Port - b.Port })
	return out
}

func (c *compiler) abstracts() []Abstract {
	var out []Abstract
	for _, d := range c.p.Deputies.Refuse {
		for _, name := range d.Abstract {
			if len(name) == 0 || len(name) > MaxName {
				c.gap(host.Containing, d.ID, "@"+name, fmt.Sprintf("names of abstract sockets are compared up to %d bytes", MaxName))
				continue
			}
			if !slices.ContainsFunc(out, func(a Abstract) bool { return a.Name == name }) {
				out = append(out, Abstract{Name: name, Rule: c.rule(d.ID), Connectors: c.connect(d)})
			}
		}
	}
	return out
}

func (c *compiler) connect(d policy.Deputy) uint16 {
	return c.group(host.Containing, d.ID, c.all(host.Containing, d.ID, c.connectors(d.Name)), nil)
}
