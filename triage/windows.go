package triage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// judgeWindows holds the vendor's product lists against the updates a Windows host
// reports. A vulnerability is missing its update when no installed update is or
// supersedes one of its fixes, and the build is below every fixed build.
func (j *judging) judgeWindows(ctx context.Context) error {
	w := j.inv.Windows
	if w == nil {
		return nil
	}
	product := w.Product
	if w.Core {
		product += " (Server Core installation)"
	}
	listings, err := j.engine.shelf.listed(ctx, product)
	if err != nil {
		return err
	}
	if len(listings) == 0 {
		j.skip("os", w.Build, CodeSkipProduct, cmp.Or(product, "?"))
		return nil
	}
	j.tally.sources++
	installed := slices.Compact(slices.Sorted(slices.Values(w.KBs)))
	updates := unit{kind: "windows", source: product, sourceVersion: w.Build, build: strings.Join(installed, " ")}
	known, err := j.engine.resolve(ctx, nil, []unit{updates}, func(fresh []*unit) error {
		for _, u := range fresh {
			u.matchListings(listings, w)
		}
		return nil
	})
	if err != nil {
		return err
	}
	j.add(known[0], known[0].hits, situation{exposure: j.reach.host, importance: j.inv.Host.Importance, protection: j.protected})
	return nil
}

// listed is what vendors list for a product.
func (s *shelf) listed(ctx context.Context, product string) ([]Listing, error) {
	if found, ok := s.listings[product]; ok {
		return found, nil
	}
	found, err := s.records.Products(ctx, []string{product})
	if err != nil {
		return nil, fmt.Errorf("triage: products of %s: %w", product, err)
	}
	s.listings[product] = found
	return found, nil
}

// matchListings finds the listed vulnerabilities whose update is missing.
func (u *unit) matchListings(listings []Listing, w *host.Windows) {
	replaced := closure(listings, w.KBs)
	byID := map[string]*hit{}
	for i := range listings {
		matchListing(&listings[i], w, replaced, byID)
	}
	u.take(byID)
}

// matchListing adds the vulnerabilities of one listing whose update is missing.
func matchListing(l *Listing, w *host.Windows, replaced map[string]bool, byID map[string]*hit) {
	if l.Status != "Known Affected" {
		return
	}
	var kbs []string
	for _, f := range l.Fixes {
		if replaced[f.KB] || (f.Build != "" && w.Build != "" && compareBuilds(w.Build, f.Build) >= 0) {
			return
		}
		if f.KB != "" && !slices.Contains(kbs, "KB"+f.KB) {
			kbs = append(kbs, "KB"+f.KB)
		}
	}
	m := Match{Source: l.Source, Record: l.Record, Ecosystem: "Windows", Package: l.Name, Version: w.Build,
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

// closure is every update the installed ones are or supersede, over all steps the
// listings name.
func closure(listings []Listing, installed []string) map[string]bool {
	supersedes := map[string][]string{}
	for i := range listings {
		for _, f := range listings[i].Fixes {
			supersedes[f.KB] = append(supersedes[f.KB], f.Supersedes...)
		}
	}
	out := map[string]bool{}
	todo := slices.Clone(installed)
	for len(todo) > 0 {
		kb := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if kb == "" || out[kb] {
			continue
		}
		out[kb] = true
		todo = append(todo, supersedes[kb]...)
	}
	return out
}

// compareBuilds compares dotted build numbers number by number; a missing number is 0.
func compareBuilds(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if c := cmp.Compare(number(x, i), number(y, i)); c != 0 {
			return c
		}
	}
	return 0
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}

// packages is how many installed things were looked at: a Windows system is one.
func (j *judging) packages() int {
	if j.inv.Windows != nil {
		return len(j.inv.Packages) + 1
	}
	return len(j.inv.Packages)
}
