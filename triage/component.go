package triage

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/triage/version"
	"github.com/kannuki/kannuki/vuln"
)

// bare tells whether no distribution speaks of u: a component of an SBOM. Only such a
// one is matched by CPE; a distribution's back-ported fixes make upstream ranges wrong.
func (u *unit) bare() bool { return u.kind == "component" && len(u.ecosystems) == 0 }

// unnamed says which components nothing can match.
func (j *judging) unnamed(units []unit) {
	for i := range units {
		if u := &units[i]; u.bare() && vuln.CPEProduct(u.cpe) == "" {
			j.skip(u.source, u.sourceVersion, CodeSkipComponent, u.source)
		}
	}
}

// loadConfigured fetches the records that name the CPE products of units.
func (s *shelf) loadConfigured(ctx context.Context, units []*unit) error {
	var names []string
	for _, u := range units {
		name := vuln.CPEProduct(u.cpe)
		if _, ok := s.configured[name]; !ok && u.bare() && name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	records, err := s.records.Configured(ctx, names)
	if err != nil {
		return fmt.Errorf("triage: configurations: %w", err)
	}
	for _, name := range names {
		s.configured[name] = nil
		for i := range records {
			if names := records[i].Configurations; slices.ContainsFunc(names, func(c vuln.Configuration) bool { return concerns(c, name) }) {
				s.configured[name] = append(s.configured[name], records[i])
			}
		}
	}
	return nil
}

// concerns tells whether a configuration names a product as vulnerable.
func concerns(c vuln.Configuration, product string) bool {
	for _, n := range c.Nodes {
		for _, m := range n.Matches {
			if !n.Negate && m.Vulnerable && vuln.CPEProduct(m.CPE) == product {
				return true
			}
		}
	}
	return false
}

// matchConfigured adds the vulnerabilities of the records whose configurations hold u.
func (u *unit) matchConfigured(records map[string][]vuln.Record, byID map[string]*hit) {
	product := vuln.CPEProduct(u.cpe)
	for i := range records[product] {
		r := &records[product][i]
		m, ok := u.configuredBy(r, product)
		if !ok {
			continue
		}
		for _, id := range r.Vulnerabilities {
			if byID[id] == nil {
				byID[id] = &hit{id: id}
			}
			byID[id].matches = append(byID[id].matches, m)
		}
	}
}

// configuredBy is the first match of r, when a CPE marked vulnerable names u's product
// and version. Other nodes of the configuration ("running on …") are taken to hold:
// what else is on the host is not known well enough to rule it out.
func (u *unit) configuredBy(r *vuln.Record, product string) (Match, bool) {
	for _, c := range r.Configurations {
		for _, n := range c.Nodes {
			for _, m := range n.Matches {
				if n.Negate || !m.Vulnerable || vuln.CPEProduct(m.CPE) != product {
					continue
				}
				if interval, ok := cpeInterval(u.sourceVersion, m); ok {
					return Match{Source: r.Source, Record: r.ID, Ecosystem: "CPE", Package: product, Version: u.sourceVersion,
						Range: interval, Fixed: m.EndExcluding, Method: "cpe"}, true
				}
			}
		}
	}
	return Match{}, false
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
