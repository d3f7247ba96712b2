package triage

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/triage/version"
	"github.com/kannuki/kannuki/vuln"
)

// statement is a Statement ready to be asked about versions.
type statement struct {
	Statement
	set *version.Set // nil when broken
	err error
}

// shelf holds what the records say about what was asked for so far.
type shelf struct {
	records    Records
	byName     map[string]map[string][]*statement // by ecosystem and package name
	listings   map[string]*servicing              // by vendor's product name
	configured map[string][]vuln.Record           // by CPE product
	digests    map[string]*described
}

func newShelf(records Records) *shelf {
	return &shelf{records: records, byName: map[string]map[string][]*statement{}, listings: map[string]*servicing{},
		configured: map[string][]vuln.Record{}, digests: map[string]*described{}}
}

// matchAll fills the hits of units by what distributions and CPE configurations say.
func (s *shelf) matchAll(ctx context.Context, units []*unit) error {
	if err := s.load(ctx, units); err != nil {
		return err
	}
	for _, u := range units {
		s.match(u)
	}
	return nil
}

// load fetches what units will ask for and is not on the shelf yet.
func (s *shelf) load(ctx context.Context, units []*unit) error {
	if err := s.loadConfigured(ctx, units); err != nil {
		return err
	}
	missing := map[string]map[string]bool{}
	for _, u := range units {
		for _, eco := range u.ecosystems {
			for name := range u.lookups {
				if _, ok := s.byName[eco][name]; ok {
					continue
				}
				if missing[eco] == nil {
					missing[eco] = map[string]bool{}
				}
				missing[eco][name] = true
			}
		}
	}
	for eco, names := range missing {
		list := make([]string, 0, len(names))
		for name := range names {
			list = append(list, name)
		}
		found, err := s.records.Affected(ctx, []string{eco}, list)
		if err != nil {
			return fmt.Errorf("triage: records of %s: %w", eco, err)
		}
		if s.byName[eco] == nil {
			s.byName[eco] = map[string][]*statement{}
		}
		for _, name := range list {
			s.byName[eco][name] = compileAll(eco, found[name])
		}
	}
	return nil
}

func compileAll(ecosystem string, found []Statement) []*statement {
	order, known := version.OrderOf(ecosystem)
	out := make([]*statement, len(found))
	for i := range found {
		st := &statement{Statement: found[i]}
		if !known {
			st.err = fmt.Errorf("no version order is known for %s", ecosystem)
		} else {
			st.set, st.err = version.Compile(order, st.Ranges, st.Versions)
		}
		out[i] = st
	}
	return out
}

// lookups yields the names under which statements may speak of u: the source
// package, and for RPM the binary packages too. A module itself has only its name.
func (u *unit) lookups(yield func(string) bool) {
	if !yield(u.source) || u.kind != "rpm" || u.build != "" {
		return
	}
	for i, b := range u.binaries {
		again := i > 0 && u.binaries[i-1].name == b.name // another architecture
		if b.name != u.source && !again && !yield(b.name) {
			return
		}
	}
}

// match finds the vulnerabilities that concern u.
func (s *shelf) match(u *unit) {
	byID := map[string]*hit{}
	if u.bare() {
		u.matchConfigured(s.configured, byID)
	}
	spoken := map[string]bool{} // vulnerabilities a more specific ecosystem has decided
	for _, eco := range u.ecosystems {
		heard := map[string]bool{}
		for name := range u.lookups {
			s.matchName(u, eco, name, func(st *statement, m *Match) {
				for _, id := range st.Vulnerabilities {
					if spoken[id] {
						continue
					}
					heard[id] = true
					if m == nil {
						continue
					}
					if byID[id] == nil {
						byID[id] = &hit{id: id}
					}
					byID[id].matches = append(byID[id].matches, *m)
				}
			})
		}
		for id := range heard {
			spoken[id] = true
		}
	}
	u.take(byID)
}

// take makes byID the hits of u, in the order of their ids.
func (u *unit) take(byID map[string]*hit) {
	u.hits = make([]hit, 0, len(byID))
	for _, h := range byID {
		h.settle(u)
		u.hits = append(u.hits, *h)
	}
	slices.SortFunc(u.hits, func(a, b hit) int { return strings.Compare(a.id, b.id) })
}

// matchName asks the statements about one name; said is called once for each record
// and name with its match, or nil where the record says the version is not affected.
func (s *shelf) matchName(u *unit, eco, name string, said func(*statement, *Match)) {
	list := s.byName[eco][name]
	for i := 0; i < len(list); {
		j := i + 1
		for j < len(list) && list[j].Record == list[i].Record && list[j].Source == list[i].Source {
			j++
		}
		u.matchRecord(list[i:j], name, said)
		i = j
	}
}

// matchRecord asks all statements of one record about one package name. Of several
// builds of a module the package needs to reach only one.
func (u *unit) matchRecord(list []*statement, name string, said func(*statement, *Match)) {
	for _, v := range u.versionsFor(name, list[0].SourcePackage) {
		var best *Match
		var about *statement
		spared := false
		for _, st := range list {
			if !u.applies(&st.Affected, v.version) {
				continue
			}
			if st.Status == "not_affected" {
				about = st
				continue
			}
			m, err := st.match(v.version)
			if err != nil {
				u.problem = append(u.problem, NotJudged{What: name, Version: v.version,
					Reason: Reason{Step: "match", Code: CodeMatchBroken, Args: []string{st.Record, err.Error()}}})
				continue
			}
			about = st
			if m == nil {
				spared = spared || modular(firstFix(st.Ranges))
				continue
			}
			m.Method = v.method
			if best == nil || best.Fixed == "" {
				best = m
			}
		}
		if spared {
			best = nil
		}
		if about != nil {
			said(about, best)
		}
	}
}

// candidate is a version to compare, and what it is the version of.
type candidate struct{ version, method string }

// versionsFor picks the version a statement about name means: the source version for
// source packages, the binary's own for RPM's binary packages.
func (u *unit) versionsFor(name string, aboutSource bool) []candidate {
	switch {
	case u.build != "":
		return []candidate{{u.build, "module"}}
	case u.kind != "rpm":
		return []candidate{{u.sourceVersion, "source"}}
	}
	if !aboutSource {
		for _, b := range u.binaries {
			if b.name == name {
				return []candidate{{b.version, "binary"}}
			}
		}
	}
	if name == u.source {
		return []candidate{{u.sourceVersion, "source"}}
	}
	return nil
}

// match asks one statement about one version: nil when it is not affected.
func (st *statement) match(v string) (*Match, error) {
	if st.err != nil {
		return nil, st.err
	}
	found, ok, err := st.set.Contains(v)
	if err != nil || !ok {
		return nil, err
	}
	return &Match{Source: st.Source, Record: st.Record, Ecosystem: st.Ecosystem, Package: st.Package, Version: v,
		Range: found.Interval, Fixed: found.Fixed, Urgency: st.Urgency, Status: st.Status}, nil
}

// settle orders the matches and finds the version that fixes them all.
func (h *hit) settle(u *unit) {
	slices.SortFunc(h.matches, func(a, b Match) int {
		return cmp.Or(cmp.Compare(direct(h.id, a), direct(h.id, b)), cmp.Compare(vuln.Rank(a.Source), vuln.Rank(b.Source)),
			strings.Compare(a.Record, b.Record), strings.Compare(a.Package, b.Package))
	})
	h.matches = slices.CompactFunc(h.matches, func(a, b Match) bool { return a == b })
	order := u.order()
	for _, m := range h.matches {
		if h.fixed == "" {
			h.fixed = m.Fixed
		}
		if m.Fixed == h.fixed {
			continue
		}
		if c, err := version.Compare(order, m.Fixed, h.fixed); err == nil && c > 0 {
			h.fixed = m.Fixed
		}
	}
}

// direct sorts the record about the vulnerability itself before advisories.
func direct(id string, m Match) int {
	if m.Record == id {
		return 0
	}
	return 1
}

// describe fetches the digests of all hits. Rejected vulnerabilities are dropped.
func (s *shelf) describe(ctx context.Context, units []*unit) error {
	missing := map[string]bool{}
	for _, u := range units {
		for i := range u.hits {
			if s.digests[u.hits[i].id] == nil {
				missing[u.hits[i].id] = true
			}
		}
	}
	if len(missing) > 0 {
		found, err := s.records.Digests(ctx, slices.Collect(maps.Keys(missing)))
		if err != nil {
			return fmt.Errorf("triage: digests: %w", err)
		}
		for id := range missing {
			s.digests[id] = &described{Digest: cmp.Or(found[id], &Digest{ID: id})}
		}
	}
	for _, u := range units {
		u.hits = slices.DeleteFunc(u.hits, func(h hit) bool { return s.digests[h.id].Rejected })
		for i := range u.hits {
			u.hits[i].described = s.digests[u.hits[i].id]
		}
	}
	return nil
}
