package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/store"
)

// Inventoried is one host the store knows: what is on it, since when, and what was last
// reported to guard it.
type Inventoried struct {
	host.Inventory
	First      time.Time
	Protection host.Protection
}

// UnknownHost is returned for a host nobody has scanned.
type UnknownHost struct {
	Name  string
	Known []string // every host there is; empty: none
	Near  string   // the nearest of them
}

func (e *UnknownHost) Error() string { return "no inventory of the host " + e.Name }

// EachHost calls visit with the named hosts, by name or machine id, or with all of them,
// and what was last reported at or before at to guard each. A name nobody has is
// *UnknownHost, told after the others were visited.
func EachHost(ctx context.Context, s store.Store, names []string, at time.Time, visit func(*Inventoried) error) error {
	var known []string
	missing := slices.Clone(names)
	err := s.Hosts(ctx, func(inv host.Inventory, first time.Time) error {
		known = append(known, inv.Host.Name)
		is := func(name string) bool { return name == inv.Host.Name || name == inv.Host.ID }
		if len(names) > 0 && !slices.ContainsFunc(names, is) {
			return nil
		}
		missing = slices.DeleteFunc(missing, is)
		p, err := s.Protection(ctx, inv.Host, at)
		if err != nil {
			return err
		}
		return visit(&Inventoried{inv, first, p})
	})
	if err == nil && len(missing) > 0 {
		return unknownHost(missing[0], known)
	}
	return err
}

func unknownHost(name string, known []string) *UnknownHost {
	e := &UnknownHost{Name: name, Known: known}
	if len(known) > 0 {
		e.Near = nearest.Word(strings.ToLower(name), known)
	}
	return e
}
