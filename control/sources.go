package control

import (
	"context"
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
)

// everyone are the sources worth having whatever the system: what is exploited, how
// likely, and what CISA says of it.
var everyone = []string{"kev", "epss", "vulnrichment"}

// bySystem are the sources that speak about the packages of a system, by host.OS.ID.
var bySystem = map[string][]string{
	"debian":        {"osv/debian"},
	"ubuntu":        {"osv/ubuntu"},
	"almalinux":     {"osv/almalinux"},
	"rocky":         {"osv/rocky"},
	"rhel":          {"osv/redhat", "redhat"},
	"alpine":        {"osv/alpine"},
	"opensuse-leap": {"osv/opensuse"},
	"sles":          {"osv/suse"},
	"windows":       {"msrc"},
}

// NeededSources names the feeds that concern the given systems and every host the
// store holds.
func NeededSources(ctx context.Context, s store.Store, systems []host.OS) ([]string, error) {
	err := s.Hosts(ctx, func(inv host.Inventory, _ time.Time) error {
		systems = append(systems, inv.Host.OS)
		return nil
	})
	names := slices.Clone(everyone)
	for _, os := range systems {
		for _, name := range bySystem[os.ID] {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, err
}
