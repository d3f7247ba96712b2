package triage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

// FleetCoverage adds up what the protection in force takes away on many hosts. The zero
// value is ready.
type FleetCoverage struct {
	hosts int
	found map[string]*fleetEntry
}

// fleetEntry is one vulnerability somewhere.
type fleetEntry struct {
	typings   []vuln.Typing
	effect    Effect // the weakest anywhere
	published time.Time
}

// Add takes the findings of one host.
func (c *FleetCoverage) Add(e *Engine, findings []*Finding) {
	c.hosts++
	if c.found == nil {
		c.found = map[string]*fleetEntry{}
	}
	for _, f := range findings {
		known := c.found[f.ID]
		if known == nil {
			known = &fleetEntry{typings: f.Typings, effect: f.Coverage}
			if d := e.shelf.digests[f.ID]; d != nil {
				known.published = d.Published
			}
			c.found[f.ID] = known
		}
		known.effect = Effects[max(known.effect.rank(), f.Coverage.rank())]
	}
}

// Table is Table 4 of the hosts added: every distinct vulnerability once, with the
// weakest effect it has on any of them, by the year of its publication. A row of the
// year 0 holds those of which nobody gives the day.
func (c *FleetCoverage) Table(names []string) CoverageTable {
	rows := map[int]*CoverageRow{}
	for _, v := range c.found {
		year := 0
		if !v.published.IsZero() {
			year = v.published.UTC().Year()
		}
		if rows[year] == nil {
			rows[year] = newCoverageRow(year)
		}
		rows[year].count(v.typings, v.effect)
		if v.effect != Prevented && v.effect != Contained {
			continue
		}
		for _, t := range v.typings {
			if t.Type != vuln.DoS {
				rows[year].Sum++
			}
		}
	}
	t := CoverageTable{Product: strings.Join(names, ", "), Rules: FullRules, Hosts: c.hosts, Rows: []CoverageRow{}}
	for _, r := range slices.SortedFunc(maps.Values(rows), func(a, b *CoverageRow) int { return cmp.Compare(a.Year, b.Year) }) {
		r.Each = nil
		r.finish()
		t.Rows = append(t.Rows, *r)
	}
	return t
}
