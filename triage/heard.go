package triage

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// Heard is what one record says about one vulnerability in one installed package: the
// answer behind a finding, and behind there being none.
type Heard struct {
	Source   string `json:"source"`
	Record   string `json:"record"`
	Package  string `json:"package"`         // as the record names it
	Version  string `json:"version"`         // installed
	Fixed    string `json:"fixed,omitempty"` // the first version without it
	Status   string `json:"status,omitempty"`
	Affected bool   `json:"affected"`
}

// Hear asks every record about one vulnerability about the packages of a host, also
// those that say the installed version is not affected. No answer means that no record
// about it names an installed package. Windows hosts are not asked: their updates are
// compared, not versions.
func (e *Engine) Hear(ctx context.Context, inv *host.Inventory, id string) ([]Heard, error) {
	list := unitsOf(Ecosystems(inv.Host.OS), inv.Packages)
	units := make([]*unit, len(list))
	for i := range list {
		units[i] = &list[i]
	}
	if err := e.shelf.load(ctx, units); err != nil {
		return nil, err
	}
	heard := []Heard{}
	for _, u := range units {
		for _, eco := range u.ecosystems {
			for name := range u.lookups {
				e.shelf.matchName(u, eco, name, func(st *statement, m *Match) {
					if slices.Contains(st.Vulnerabilities, id) {
						heard = append(heard, u.heard(st, name, m))
					}
				})
			}
		}
	}
	slices.SortFunc(heard, func(a, b Heard) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), cmp.Compare(vuln.Rank(a.Source), vuln.Rank(b.Source)),
			strings.Compare(a.Record, b.Record), strings.Compare(a.Version, b.Version))
	})
	return slices.Compact(heard), nil
}

// heard is what st says about u; m is its match, nil where it does not count u as affected.
func (u *unit) heard(st *statement, name string, m *Match) Heard {
	h := Heard{Source: st.Source, Record: st.Record, Package: name, Status: st.Status, Fixed: firstFix(st.Ranges), Affected: m != nil}
	if m != nil {
		h.Version, h.Fixed = m.Version, m.Fixed
		return h
	}
	for _, v := range u.versionsFor(name, st.SourcePackage) {
		h.Version = v.version
	}
	return h
}

// unitsOf are the units of a host of their own, sharing nothing.
func unitsOf(ecosystems []string, packages []host.Package) []unit {
	var list unitList
	units := slices.Clone(list.of(ecosystems, packages))
	return append(units, moduleUnits(ecosystems, packages)...)
}
