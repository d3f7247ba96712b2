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
	listings, err := j.engine.records().Products(ctx, []string{product})
	if err != nil {
		return fmt.Errorf("triage: products of %s: %w", product, err)
	}
	if len(listings) == 0 {
		j.skip("os", w.Build, CodeSkipProduct, product)
		return nil
	}
	j.verdict.Totals.SourcePackages++
	u := &unit{kind: "windows", source: product, sourceVersion: w.Build, groups: map[situation]*group{}}
	replaced := closure(listings, w.KBs)
	byID := map[string]*hit{}
	for i := range listings {
		j.matchListing(&listings[i], w, replaced, byID)
	}
	for _, h := range byID {
		u.hits = append(u.hits, *h)
	}
	slices.SortFunc(u.hits, func(a, b hit) int { return cmp.Compare(a.id, b.id) })
	if err := j.engine.shelf.describe(ctx, []*unit{u}); err != nil {
		return err
	}
	s := situation{exposure: j.reach.host, importance: j.inv.Host.Importance, protection: j.protected}
	if !j.reach.known {
		s.exposure = exposure{}
	}
	j.add(u, u.hits, s)
	return nil
}

// matchListing adds the vulnerabilities of one listing whose update is missing.
func (j *judging) matchListing(l *Listing, w *host.Windows, replaced map[string]bool, byID map[string]*hit) {
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
		h.fixed = cmp.Or(m.Fixed, h.fixed)
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

// ProductNames are the vendor's names for a Windows product: the system itself and
// its Server Core installation.
func ProductNames(product string) []string {
	return []string{product, product + " (Server Core installation)"}
}
