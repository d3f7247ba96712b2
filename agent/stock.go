package agent

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
)

// inventoryEvery is how often a host is inventoried.
const inventoryEvery = 24 * time.Hour

// stock inventories this host, with or without a guard, and keeps the last result.
type stock struct {
	collect func(context.Context) (host.Inventory, error)
	files   *keep
	now     func() time.Time
	log     *slog.Logger

	mu       sync.Mutex
	last     InventoryStatus
	packages map[string]string // package by the path of a running program
}

func collector(now func() time.Time) func(context.Context) (host.Inventory, error) {
	return func(ctx context.Context) (host.Inventory, error) {
		return inventory.Collect(ctx, inventory.Options{Now: now})
	}
}

// take inventories once. What goes wrong is kept and shown; the last good inventory
// stays.
func (s *stock) take(ctx context.Context) {
	inv, err := s.collect(ctx)
	var text bytes.Buffer
	if err == nil {
		err = inventory.WriteJSON(&text, inv)
	}
	if err == nil {
		err = s.files.writeText(inventoryFile, text.Bytes())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("this host cannot be inventoried", "error", err)
			s.last.Error = err.Error()
		}
		return
	}
	s.last = InventoryStatus{Collected: inv.Collected, Packages: len(inv.Packages), Unread: len(inv.Unread)}
	s.packages = map[string]string{}
	for _, p := range inv.Processes {
		if p.Exe != "" && p.Package != "" {
			s.packages[p.Exe] = p.Package
		}
	}
	s.log.Info("inventoried", "packages", s.last.Packages, "unread", s.last.Unread)
}

// run inventories now and every day, until ctx ends. What loading the guard and its
// policy took, and then every day's package lists, is given back to the system at once:
// the agent has to stay small.
func (s *stock) run(ctx context.Context) {
	every := time.NewTicker(inventoryEvery)
	defer every.Stop()
	debug.FreeOSMemory()
	for {
		s.take(ctx)
		debug.FreeOSMemory()
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
	}
}

func (s *stock) status() InventoryStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

func (s *stock) packageOf(exe string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.packages[exe]
}
