package triage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/triage/version"
	"github.com/kannuki/kannuki/vuln"
)

// judgeComponents matches by CPE what no distribution record covers: components of an
// SBOM that carry a CPE. Distribution packages are never matched this way: their
// back-ported fixes make upstream version ranges wrong.
func (j *judging) judgeComponents(ctx context.Context, all []unit) error {
	var units []*unit
	var names []string
	for i := range all {
		u := &all[i]
		if u.kind != "component" || len(u.ecosystems) > 0 {
			continue
		}
		name := vuln.CPEProduct(u.cpe)
		if name == "" {
			j.skip(u.source, u.sourceVersion, CodeSkipComponent, u.source)
			continue
		}
		u.groups = map[situation]*group{}
		units = append(units, u)
		names = append(names, name)
	}
	if len(units) == 0 {
		return nil
	}
	records, err := j.engine.records().Configured(ctx, names)
	if err != nil {
		return fmt.Errorf("triage: configurations: %w", err)
	}
	for i, u := range units {
		for k := range records {
			u.matchConfigurations(names[i], &records[k])
		}
		slices.SortFunc(u.hits, func(a, b hit) int { return cmp.Compare(a.id, b.id) })
	}
	if err := j.engine.shelf.describe(ctx, units); err != nil {
		return err
	}
	for _, u := range units {
		j.add(u, u.hits, j.situation(u, notKernel))
	}
	return nil
}

// matchConfigurations adds r's vulnerabilities when a CPE marked vulnerable names u's
// product and version. Other nodes of the configuration ("running on …") are taken
// to hold: what else is on the host is not known well enough to rule it out.
func (u *unit) matchConfigurations(product string, r *vuln.Record) {
	for _, c := range r.Configurations {
		for _, n := range c.Nodes {
			for _, m := range n.Matches {
				if n.Negate || !m.Vulnerable || vuln.CPEProduct(m.CPE) != product {
					continue
				}
				interval, ok := cpeInterval(u.sourceVersion, m)
				if !ok {
					continue
				}
				u.addConfigured(r, m, interval)
				return
			}
		}
	}
}

func (u *unit) addConfigured(r *vuln.Record, m vuln.CPEMatch, interval string) {
	for _, id := range r.Vulnerabilities {
		u.hits = append(u.hits, hit{id: id, fixed: m.EndExcluding, matches: []Match{{Source: r.Source, Record: r.ID,
			Ecosystem: "CPE", Package: vuln.CPEProduct(m.CPE), Version: u.sourceVersion, Range: interval,
			Fixed: m.EndExcluding, Method: "cpe"}}})
	}
}

// cpeInterval tells whether v lies in the range of m. Upstream version numbers are
// compared as dpkg compares, which agrees with them on digits, dots and letters.
func cpeInterval(v string, m vuln.CPEMatch) (string, bool) {
	fields := vuln.CPEFields(m.CPE)
	if len(fields) < 6 || v == "" {
		return "", false
	}
	if exact := unescape(fields[5]); exact != "*" && exact != "-" {
		return "v = " + exact, v == exact
	}
	bounds := []struct {
		text, sign string
		ok         func(int) bool
	}{
		{m.StartIncluding, "v ≥ ", func(c int) bool { return c >= 0 }},
		{m.StartExcluding, "v > ", func(c int) bool { return c > 0 }},
		{m.EndIncluding, "v ≤ ", func(c int) bool { return c <= 0 }},
		{m.EndExcluding, "v < ", func(c int) bool { return c < 0 }},
	}
	var said []string
	for _, b := range bounds {
		if b.text == "" {
			continue
		}
		c, err := version.Compare(version.Dpkg, v, b.text)
		if err != nil || !b.ok(c) {
			return "", false
		}
		said = append(said, b.sign+b.text)
	}
	if len(said) == 0 {
		return "every version", true
	}
	return strings.Join(said, ", "), true
}

func unescape(s string) string { return strings.ReplaceAll(s, `\`, "") }
