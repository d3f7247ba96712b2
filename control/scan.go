package control

import (
	"context"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// Scan judges one host and keeps its inventory, so that tomorrow's changes can be
// held against it.
func Scan(ctx context.Context, s store.Store, inv *host.Inventory, p host.Protection, table *triage.Table, now time.Time) (triage.Scan, error) {
	first, err := s.PutHost(ctx, *inv)
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
