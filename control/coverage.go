package control

import (
	"context"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// CoverageTable counts what a protection takes away from the vulnerabilities of a
// product, by year.
func CoverageTable(ctx context.Context, s store.Store, q triage.CoverageQuestion) (triage.CoverageTable, error) {
	vulnerabilities, err := vulnerabilitiesOf(ctx, s, q.TypeQuestion)
	if err != nil {
		return triage.CoverageTable{}, err
	}
	return triage.BuildCoverageTable(q, vulnerabilities)
}

// HostTable is a table of hosts, with what guards each.
type HostTable struct {
	triage.CoverageTable
	Names  []string
	Guards []HostGuard
}

// HostGuard is what was last reported to guard a host, and what of it counts.
type HostGuard struct {
	Host     string
	Reported host.Protection
	Counts   host.Protection
}

// HostCoverage counts what the protection in force takes away from the vulnerabilities
// found on the named hosts, or on all of them.
func HostCoverage(ctx context.Context, s store.Store, table *triage.Table, hosts []string, now time.Time) (HostTable, error) {
	e, err := triage.NewEngine(ctx, s, table, now)
	if err != nil {
		return HostTable{}, err
	}
	var all triage.FleetCoverage
	var t HostTable
	err = EachHost(ctx, s, hosts, now, func(h *Inventoried) error {
		verdict, err := e.Judge(ctx, &h.Inventory, h.Protection)
		if err != nil {
			return err
		}
		all.Add(e, verdict.Findings)
		t.Guards = append(t.Guards, HostGuard{h.Host.Name, h.Protection, Counting(h.Protection, now)})
		t.Names = append(t.Names, h.Host.Name)
		return nil
	})
	t.CoverageTable = all.Table(t.Names)
	return t, err
}

// Counting is p as coverage counts it at now: a protection nobody has confirmed within
// a reporting interval is none.
func Counting(p host.Protection, now time.Time) host.Protection {
	if triage.Stale(p, now) {
		return host.Protection{}
	}
	return p
}
