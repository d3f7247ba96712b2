package control

import (
	"context"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// WhatIf tells what another protection would move, on which hosts.
type WhatIf struct {
	Change string        `json:"change"` // what is asked, as it was given
	At     time.Time     `json:"at"`
	Table  string        `json:"table"`
	Hosts  []WhatIfHost  `json:"hosts"`
	Moves  []triage.Move `json:"moves"` // what becomes more urgent first
}

// WhatIfHost is one host of it.
type WhatIfHost struct {
	Host     string `json:"host"`
	Findings int    `json:"findings"` // the same before and after: none is ever hidden
	Sooner   int    `json:"sooner"`   // of them, more urgent after
	Later    int    `json:"later"`    // may wait longer after
	Covered  int    `json:"covered"`  // only their coverage or deadline changes
	// Reported is when the protection before was last confirmed, Stale that it counts
	// for nothing any more; zero: nothing was ever reported.
	Reported time.Time `json:"reported,omitzero"`
	Stale    bool      `json:"stale,omitempty"`
}

// Changed is the protection a host would have instead of the one it has.
type Changed func(h *Inventoried) host.Protection

// AskWhatIf judges the named hosts, or all of them, as they are guarded now and as they
// would be, by the same computation. It changes and keeps nothing.
func AskWhatIf(ctx context.Context, s store.Store, table *triage.Table, hosts []string, what string, changed Changed, now time.Time) (WhatIf, error) {
	answer := WhatIf{Change: what, At: now, Table: table.Name, Hosts: []WhatIfHost{}, Moves: []triage.Move{}}
	e, err := triage.NewEngine(ctx, s, table, now)
	if err != nil {
		return answer, err
	}
	err = EachHost(ctx, s, hosts, now, func(h *Inventoried) error {
		moves, findings, err := e.WhatIf(ctx, &h.Inventory, h.First, h.Protection, changed(h))
		if err != nil {
			return err
		}
		told := WhatIfHost{Host: h.Host.Name, Findings: findings, Reported: h.Protection.Reported, Stale: triage.Stale(h.Protection, now)}
		for j := range moves {
			switch m := &moves[j]; {
			case m.Sooner():
				told.Sooner++
			case m.Later():
				told.Later++
			default:
				told.Covered++
			}
		}
		answer.Hosts = append(answer.Hosts, told)
		answer.Moves = append(answer.Moves, moves...)
		return nil
	})
	triage.SortMoves(answer.Moves)
	return answer, err
}
