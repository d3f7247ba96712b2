package main

import (
	"context"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/store/sqlite"
	"github.com/kannuki/kannuki/triage"
)

// fleetSize is the shape of a made-up fleet.
type fleetSize struct {
	hosts    int
	packages int // on each host
	versions int // different versions of each package in the fleet
}

// fleetResult is what judging a fleet cost.
type fleetResult struct {
	Cost     cost
	Findings int
	Distinct int // package versions in the fleet
}

// judgeFleet judges a fleet whose hosts are like this machine: the same packages, each
// in one of a few versions. The clock starts when the store is open.
func judgeFleet(ctx context.Context, path string, size fleetSize) (fleetResult, error) {
	inv, err := inventory.Collect(ctx, inventory.Options{Now: time.Now})
	if err != nil {
		return fleetResult{}, err
	}
	db, err := sqlite.Open(ctx, path, time.Now)
	if err != nil {
		return fleetResult{}, err
	}
	defer db.Close()
	table, err := triage.BuiltinTable("ssvc")
	if err != nil {
		return fleetResult{}, err
	}
	fleet := newFleet(inv, size)
	watch := startWatch()
	e, err := triage.NewEngine(ctx, db, table, time.Now())
	if err != nil {
		return fleetResult{}, err
	}
	var r fleetResult
	for i := range size.hosts {
		v, err := e.Judge(ctx, fleet.host(i), host.Protection{})
		if err != nil {
			return r, err
		}
		r.Findings += len(v.Findings)
	}
	r.Cost, r.Distinct = watch.stop(), fleet.distinct()
	return r, nil
}

// fleet makes hosts one at a time, as a store would hand them out.
type fleet struct {
	size     fleetSize
	inv      host.Inventory
	packages [][]host.Package // by package, then version
	used     [][]bool         // package and version some host has
}

func newFleet(inv host.Inventory, size fleetSize) *fleet {
	f := &fleet{size: size, inv: inv}
	for i := range size.packages {
		p := inv.Packages[i%len(inv.Packages)]
		if i >= len(inv.Packages) { // more packages than this machine has: others of the kind
			p.Name, p.Source = fmt.Sprintf("%s-%d", p.Name, i), fmt.Sprintf("%s-%d", p.Source, i)
		}
		var versions []host.Package
		for v := range size.versions {
			q := p
			if v > 0 { // a later rebuild: the same source name, another version
				q.Version, q.SourceVersion = fmt.Sprintf("%s+v%d", p.Version, v), fmt.Sprintf("%s+v%d", p.SourceVersion, v)
			}
			versions = append(versions, q)
		}
		f.packages, f.used = append(f.packages, versions), append(f.used, make([]bool, size.versions))
	}
	return f
}

// host makes host i; every source package is at one of the versions, chosen by a
// fixed mixing of both numbers so that runs can be compared.
func (f *fleet) host(i int) *host.Inventory {
	inv := f.inv
	inv.Host.Name = fmt.Sprintf("host%05d", i)
	inv.Packages = make([]host.Package, f.size.packages)
	version, last := 0, ""
	for k := range inv.Packages {
		if source := f.packages[k][0].Source; source != last || k == 0 {
			last = source
			version = int(uint32(i*2654435761+k*40503)>>7) % f.size.versions
		}
		inv.Packages[k] = f.packages[k][version]
		f.used[k][version] = true
	}
	return &inv
}

func (f *fleet) distinct() int {
	n := 0
	for _, versions := range f.used {
		for _, used := range versions {
			if used {
				n++
			}
		}
	}
	return n
}
