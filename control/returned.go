package control

import (
	"context"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/store"
	"github.com/kannuki/kannuki/triage"
)

// Returned is a host whose guard has stopped standing behind decisions: findings that
// could wait are back where they are without it.
type Returned struct {
	Host   string          `json:"host"`
	Why    []triage.Reason `json:"why"`
	Before time.Time       `json:"before"` // when it still did
	Moves  []triage.Move   `json:"moves"`  // the findings that have become more urgent
}

// returning compares what guarded hosts since a time with what does now.
type returning struct {
	store      store.Store
	engine     *triage.Engine // judges at now
	since, now time.Time
}

// ask appends a host that is guarded less than at some time since: why, and which
// findings came back. It is told also while no decision hangs on it, with no moves.
func (r *returning) ask(ctx context.Context, h *Inventoried, told *[]Returned) error {
	reported, err := r.store.Protections(ctx, h.Host, r.since, r.now)
	if err != nil {
		return err
	}
	var was host.Protection
	var then time.Time
	var why []triage.Reason
	for _, p := range reported { // of several, the one of which most is lost
		at := p.Reported
		if at.Before(r.since) {
			at = r.since
		}
		if lost := triage.Weakened(p, at, h.Protection, r.now); len(lost) > len(why) {
			was, then, why = p, at, lost
		}
	}
	if len(why) == 0 {
		return nil
	}
	moves, _, err := r.engine.WhatIf(ctx, &h.Inventory, h.First, triage.Shifted(was, then, r.now), h.Protection)
	if err != nil {
		return err
	}
	back := Returned{Host: h.Host.Name, Why: why, Before: was.Reported, Moves: []triage.Move{}}
	for _, m := range moves {
		if m.Sooner() {
			back.Moves = append(back.Moves, m)
		}
	}
	*told = append(*told, back)
	return nil
}
