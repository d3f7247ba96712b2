package triage

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Standing is where a finding stands under one protection.
type Standing struct {
	Decision Action     `json:"decision"`
	Coverage Effect     `json:"coverage"`
	Proven   bool       `json:"proven,omitempty"` // a drill in force stands behind the coverage
	Deadline *time.Time `json:"deadline"`         // null: with the regular upgrade
}

// Move is one finding that another protection changes.
type Move struct {
	Host          string   `json:"host"`
	ID            string   `json:"id"`
	Title         string   `json:"title,omitempty"`
	TitleJA       string   `json:"title_ja,omitempty"`
	SourcePackage string   `json:"source_package"`
	SourceVersion string   `json:"source_version"`
	KEV           bool     `json:"kev,omitempty"`
	Before        Standing `json:"before"`
	After         Standing `json:"after"`
}

// Sooner tells whether the finding becomes more urgent, Later whether it may wait
// longer. Where neither holds only its coverage changes.
func (m *Move) Sooner() bool { return Urgency(m.After.Decision) > Urgency(m.Before.Decision) }

// Later is the reverse of Sooner.
func (m *Move) Later() bool { return Urgency(m.After.Decision) < Urgency(m.Before.Decision) }

// WhatIf judges a host under two protections and returns what differs between them,
// what becomes more urgent first, and how many findings there are at all: the same
// under every protection. It is the computation of Scan, twice.
func (e *Engine) WhatIf(ctx context.Context, inv *host.Inventory, first time.Time, before, after host.Protection) (moves []Move, findings int, err error) {
	was, err := e.Scan(ctx, inv, before, first)
	if err != nil {
		return nil, 0, err
	}
	is, err := e.Scan(ctx, inv, after, first)
	if err != nil {
		return nil, 0, err
	}
	return Moves(was, is), len(is.Findings), nil
}

// Moves pairs the findings of two scans of one inventory and returns those that stand
// differently, what becomes more urgent first.
func Moves(before, after Scan) []Move {
	was := map[findingKey]*Finding{}
	for i := range before.Findings {
		was[before.Findings[i].key()] = &before.Findings[i]
	}
	moves := []Move{}
	for i := range after.Findings {
		f := &after.Findings[i]
		old := was[f.key()]
		if old == nil || old.Decision == f.Decision && old.Coverage == f.Coverage && old.proven() == f.proven() && sameTime(old.Deadline, f.Deadline) {
			continue
		}
		moves = append(moves, Move{Host: after.Host.Name, ID: f.ID, Title: f.Title, TitleJA: f.TitleJA, SourcePackage: f.SourcePackage,
			SourceVersion: f.SourceVersion, KEV: f.KEV, Before: old.standing(), After: f.standing()})
	}
	SortMoves(moves)
	return moves
}

// SortMoves puts what becomes most urgent first, then what may wait longest, then what
// stays where it is.
func SortMoves(moves []Move) {
	step := func(m *Move) int { return Urgency(m.After.Decision) - Urgency(m.Before.Decision) }
	rank := func(m *Move) int {
		switch {
		case m.Sooner():
			return 0
		case m.Later():
			return 1
		}
		return 2
	}
	slices.SortStableFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(rank(&a), rank(&b)), cmp.Compare(max(Urgency(b.After.Decision), Urgency(b.Before.Decision)), max(Urgency(a.After.Decision), Urgency(a.Before.Decision))),
			cmp.Compare(max(step(&b), -step(&b)), max(step(&a), -step(&a))), compareBool(b.KEV, a.KEV), cmp.Compare(a.ID, b.ID),
			cmp.Compare(a.Host, b.Host), cmp.Compare(a.SourcePackage, b.SourcePackage), cmp.Compare(a.SourceVersion, b.SourceVersion))
	})
}

// findingKey tells the findings of one host apart.
type findingKey struct{ id, name, version, state string }

func (f *Finding) key() findingKey {
	return findingKey{f.ID, f.SourcePackage, f.SourceVersion, f.State + strings.Join(f.Packages, " ")}
}

func (f *Finding) proven() bool { return f.Stages != nil && f.Stages.Proven }

func (f *Finding) standing() Standing {
	return Standing{Decision: f.Decision, Coverage: f.Coverage, Proven: f.proven(), Deadline: f.Deadline}
}

func sameTime(a, b *time.Time) bool { return a == b || a != nil && b != nil && a.Equal(*b) }

// Without is p with some controls only observing: what relaxing them leaves. What they
// proved is gone with them.
func Without(p host.Protection, controls ...host.Control) host.Protection {
	p.Controls = slices.Clone(p.Controls)
	for i := range p.Controls {
		if slices.Contains(controls, p.Controls[i].Control) {
			p.Controls[i].Mode, p.Controls[i].Proof = host.Observe, nil
		}
	}
	if slices.Contains(controls, host.KernelCtl) {
		p.Surfaces, p.Allowed = nil, nil
	}
	if slices.Contains(controls, host.ProcessCtl) {
		p.WX = nil
	}
	return p
}

// Predict is the protection a policy would bring about on a host, as far as policy and
// inventory tell: every control that enforces has been proven by a drill that passed,
// and now is when it was reported. What the host's kernel cannot do is not known until
// the policy is in force; the gaps of the protection in force now are taken over.
func Predict(p policy.Policy, inv *host.Inventory, current host.Protection, now time.Time) host.Protection {
	out := host.Protection{Generation: current.Generation + 1, Kernel: cmp.Or(current.Kernel, inv.Kernel.Running), Tier: current.Tier, Reported: now}
	for _, c := range policy.Controls() {
		s := host.ControlStatus{Control: c, Mode: string(p.ModeOf(c))}
		for _, had := range current.Controls {
			if had.Control == c {
				s.Hooks, s.Gaps = had.Hooks, had.Gaps
			}
		}
		if s.Mode == host.Enforce {
			s = assumed(s, out, now)
		}
		out.Controls = append(out.Controls, s)
	}
	held := predictContained(p, inv)
	if out.Enforced(host.KernelCtl) {
		out.Surfaces, out.Allowed = predictSurfaces(p, held.processes, gapsOf(current, host.KernelCtl), now)
	}
	out.Contained, out.Partly = held.names, held.partly
	if out.Enforced(host.ProcessCtl) {
		out.WX = predictWX(p, inv)
	}
	return out
}

func gapsOf(p host.Protection, c host.Control) []string {
	for _, s := range p.Controls {
		if s.Control == c {
			return s.Gaps
		}
	}
	return nil
}
