package policy

import (
	"slices"
	"time"
)

// SurfaceUse is a lineage that uses a surface of the kernel although the surface is
// refused, and the rule that lets it.
type SurfaceUse struct {
	Who  Who // never a role
	Rule string
}

// SurfaceUses are the lineages that p lets use a surface at a moment: roles stand for
// their members, and a grant that has ended lets nobody.
func (p Policy) SurfaceUses(s Surface, at time.Time) []SurfaceUse {
	var out []SurfaceUse
	add := func(rule string, surfaces []Surface, who []Who) {
		if !slices.Contains(surfaces, s) {
			return
		}
		for _, w := range p.Lineages(who) {
			if !slices.ContainsFunc(out, func(u SurfaceUse) bool { return u.Who == w }) {
				out = append(out, SurfaceUse{w, rule})
			}
		}
	}
	for _, a := range p.Kernel.Allow {
		add(a.ID, a.Surfaces, a.To)
	}
	for _, g := range p.Grants {
		if at.Before(g.Expires) {
			add(g.ID, g.Surfaces, []Who{g.To})
		}
	}
	return out
}
