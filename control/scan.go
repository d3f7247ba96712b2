package control

import (
	"context"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// Scan judges one host and keeps its inventory and what guards it, so that tomorrow's
// changes can be held against them. Of a protection that says no time what a Windows
// host reports of itself takes the place, else the one last reported to the store.
func Scan(ctx context.Context, s store.Store, inv *host.Inventory, p host.Protection, table *triage.Table, now time.Time) (triage.Scan, error) {
	first, err := s.PutHost(ctx, *inv)
	if err != nil {
		return triage.Scan{}, err
	}
	if p.Reported.IsZero() && inv.Windows != nil {
		p = triage.WindowsProtection(inv.Windows, now)
	}
	if p.Reported.IsZero() {
		p, err = s.Protection(ctx, inv.Host, now)
	} else {
		err = s.PutProtection(ctx, inv.Host, p)
	}
	if err != nil {
		return triage.Scan{}, err
	}
	e, err := triage.NewEngine(ctx, s, table, now)
	if err != nil {
		return triage.Scan{}, err
	}
	scan, err := e.Scan(ctx, inv, p, first)
	if err != nil {
		return triage.Scan{}, fmt.Errorf("scan %s: %w", inv.Host.Name, err)
	}
	return scan, nil
}
