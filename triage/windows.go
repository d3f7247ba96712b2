package triage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// judgeWindows holds the vendor's product lists against the updates a Windows host
// reports. A vulnerability is missing its update when no installed update is or
// supersedes one of its fixes, and the build is below every fixed build. An update that
// is installed while an older build still runs has not taken effect: reboot needed.
func (j *judging) judgeWindows(ctx context.Context) error {
	w := j.inv.Windows
	if w == nil {
		return nil
	}
	listed, err := j.engine.shelf.listed(ctx, w)
	if err != nil {
		return err
	}
	if len(listed.listings) == 0 {
		j.skip("os", w.Build, CodeSkipProduct, cmp.Or(w.Product, "?"))
		return nil
	}
	j.tally.sources++
	installed := slices.Compact(slices.Sorted(slices.Values(w.KBs)))
	units := []unit{windowsUnit(w, w.Build, installed)}
	if waiting, build := listed.rebootFor(installed, w.Build); waiting != nil {
		running := slices.DeleteFunc(slices.Clone(installed), func(kb string) bool { return slices.Contains(waiting, kb) })
		units = []unit{windowsUnit(w, w.Build, running), windowsUnit(w, build, installed)}
	}
	known, err := j.engine.resolve(ctx, nil, units, func(fresh []*unit) error {
		for _, u := range fresh {
			u.matchListings(listed)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s := situation{exposure: j.reach.host, importance: j.inv.Host.Importance, protection: j.protected}
	if len(known) == 1 {
		j.add(known[0], known[0].hits, s)
		return nil
	}
	s.against = known[1]
	left, gone := partition(known[0].hits, s.against.hits)
	j.add(known[0], left, s)
	s.state = RebootNeeded
	j.add(known[0], gone, s)
	return nil
}

// windowsUnit is a Windows system of one build with the updates installed on it.
func windowsUnit(w *host.Windows, build string, kbs []string) unit {
	return unit{kind: "windows", source: productOf(w)[0], sourceVersion: build, build: strings.Join(kbs, " ")}
}

// productOf is what Microsoft's documents call the product; they write the end of some
// names in two ways.
func productOf(w *host.Windows) []string {
	if !w.Core {
		return []string{w.Product}
	}
	return []string{w.Product + " (Server Core installation)", w.Product + " (Server Core Installation)"}
}

// listed is what vendors list for a Windows product.
func (s *shelf) listed(ctx context.Context, w *host.Windows) (*servicing, error) {
	names := productOf(w)
	if found, ok := s.listings[names[0]]; ok {
		return found, nil
	}
	found, err := s.records.Products(ctx, names)
	if err != nil {
		return nil, fmt.Errorf("triage: products of %s: %w", names[0], err)
	}
	var ids []string
	for i := range found {
		ids = append(ids, found[i].Vulnerabilities...)
	}
	digests, err := s.records.Digests(ctx, slices.Compact(slices.Sorted(slices.Values(ids))))
	if err != nil {
		return nil, fmt.Errorf("triage: vulnerabilities of %s: %w", names[0], err)
	}
	listed := &servicing{listings: found, releases: releasesOf(found, func(id string) time.Time {
		if d := digests[id]; d != nil {
			return d.Published
		}
		return time.Time{}
	})}
	s.listings[names[0]] = listed
	return listed, nil
}

// matchListings finds the listed vulnerabilities whose update is missing.
func (u *unit) matchListings(listed *servicing) {
	e := listed.evidenceOf(strings.Fields(u.build), u.sourceVersion)
	byID := map[string]*hit{}
	for i := range listed.listings {
		u.matchListing(&listed.listings[i], e, byID)
	}
	u.take(byID)
}

// matchListing adds the vulnerabilities of one listing whose update is missing.
func (u *unit) matchListing(l *Listing, e evidence, byID map[string]*hit) {
	if l.Status != "Known Affected" || slices.ContainsFunc(l.Fixes, e.holds) {
		return
	}
	var kbs []string
	for _, f := range l.Fixes {
		if f.KB != "" && !slices.Contains(kbs, "KB"+f.KB) {
			kbs = append(kbs, "KB"+f.KB)
		}
	}
	m := Match{Source: l.Source, Record: l.Record, Ecosystem: "Windows", Package: l.Name, Version: u.sourceVersion,
		Range: l.Name, Fixed: strings.Join(kbs, " / "), Method: "kb"}
	for _, id := range l.Vulnerabilities {
		h := byID[id]
		if h == nil {
			h = &hit{id: id}
			byID[id] = h
		}
		h.matches = append(h.matches, m)
	}
}

// packages is how many installed things were looked at: a Windows system is one.
func (j *judging) packages() int {
	if j.inv.Windows != nil {
		return len(j.inv.Packages) + 1
	}
	return len(j.inv.Packages)
}
