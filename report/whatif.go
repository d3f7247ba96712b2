package report

import (
	"io"
	"slices"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// shownMoves is how many findings of one movement a page names.
const shownMoves = 8

// WhatIf writes what another protection would move, both ways: what would become more
// urgent, what could wait longer, and what only its coverage changes. all names every
// finding. note says what the answer assumes; it may be empty.
func WhatIf(w io.Writer, answer control.WhatIf, note string, all bool, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Sides(bold, p.T("whatif.title", answer.Change), p.DateTime(answer.At))
	pg.Text(0, p.T("whatif.computation", answer.Table))
	if note != "" {
		pg.Text(0, note)
	}
	var sum control.WhatIfHost
	for _, h := range answer.Hosts {
		sum.Findings += h.Findings
		sum.Sooner += h.Sooner
		sum.Later += h.Later
		sum.Covered += h.Covered
	}
	pg.Line(plain, "")
	pg.Text(0, p.T("whatif.hosts", len(answer.Hosts), sum.Findings))
	for _, n := range []struct {
		key string
		n   int
	}{{"whatif.sooner", sum.Sooner}, {"whatif.later", sum.Later}, {"whatif.covered", sum.Covered}} {
		pg.Line(plain, "  "+p.T(n.key, n.n))
	}
	for _, part := range moveParts(answer.Moves) {
		pg.moves(part, all)
	}
	pg.guardedHosts(answer)
	return pg.Err()
}

// movePart are the moves in one direction.
type movePart struct {
	key   string
	moves []triage.Move
}

func moveParts(moves []triage.Move) []movePart {
	parts := []movePart{{key: "whatif.heading.sooner"}, {key: "whatif.heading.later"}, {key: "whatif.heading.covered"}}
	for _, m := range moves {
		i := 2
		switch {
		case m.Sooner():
			i = 0
		case m.Later():
			i = 1
		}
		parts[i].moves = append(parts[i].moves, m)
	}
	return parts
}

// moves lists one direction, a paragraph for every pair of decisions.
func (p *page) moves(part movePart, all bool) {
	if len(part.moves) == 0 {
		return
	}
	p.Heading(p.T(part.key))
	type step struct{ from, to triage.Action }
	steps := map[step][]triage.Move{}
	var order []step
	for _, m := range part.moves {
		s := step{m.Before.Decision, m.After.Decision}
		if steps[s] == nil {
			order = append(order, s)
		}
		steps[s] = append(steps[s], m)
	}
	for _, s := range order {
		moves := steps[s]
		head := p.T("whatif.step", p.decision(s.from), p.decision(s.to), len(moves), hostsOf(moves))
		if s.from == s.to {
			head = p.T("whatif.stays", p.decision(s.to), len(moves), hostsOf(moves))
		}
		p.Line(actionStyle(s.to), mark(s.to)+" "+head)
		shown := moves
		if !all && len(shown) > shownMoves {
			shown = shown[:shownMoves]
		}
		t := p.moveTable(shown)
		p.Table(&t)
		if n := len(moves) - len(shown); n > 0 {
			p.Text(3, p.T("whatif.more", n))
		}
	}
}

func hostsOf(moves []triage.Move) int {
	var hosts []string
	for _, m := range moves {
		if !slices.Contains(hosts, m.Host) {
			hosts = append(hosts, m.Host)
		}
	}
	return len(hosts)
}

func (p *page) moveTable(moves []triage.Move) table {
	t := table{Indent: 3, Columns: []column{{Head: p.T("whatif.head.id")}, {Head: p.T("cover.head.host"), Flex: true}, {Head: p.T("whatif.head.package"), Flex: true},
		{Head: p.T("whatif.head.coverage")}, {Head: p.T("whatif.head.due")}}}
	for _, m := range moves {
		id := m.ID
		if m.KEV {
			id += " [KEV]"
		}
		t.Add(plain, id, m.Host, m.SourcePackage, p.T("whatif.from-to", p.standing(m.Before), p.standing(m.After)), p.dueMove(m))
	}
	return t
}

// standing is a coverage in words, with a mark where nothing proves it.
func (p *page) standing(s triage.Standing) string {
	effect := p.word("effect.", string(s.Coverage))
	if s.Coverage != triage.None && !s.Proven {
		return effect + p.T("whatif.unproven")
	}
	return effect
}

// dueMove is the deadline after the move.
func (p *page) dueMove(m triage.Move) string {
	if m.After.Deadline == nil {
		return p.T("whatif.no-deadline")
	}
	return p.T("whatif.due", p.Date(*m.After.Deadline))
}

// guardedHosts tells of every host how many move, and where the guard before does not
// count any more.
func (p *page) guardedHosts(answer control.WhatIf) {
	p.Heading(p.T("whatif.by-host"))
	t := table{Indent: 2, Columns: []column{{Head: p.T("cover.head.host"), Flex: true}, {Head: p.T("whatif.head.findings"), Right: true},
		{Head: p.T("whatif.head.sooner"), Right: true}, {Head: p.T("whatif.head.later"), Right: true}, {Head: p.T("cover.head.reported"), Wrap: true}}}
	for _, h := range answer.Hosts {
		reported := p.T("cover.none-reported")
		switch {
		case h.Stale:
			reported = "! " + p.DateTime(h.Reported.In(answer.At.Location())) + " " + p.T("cover.stale")
		case !h.Reported.IsZero():
			reported = p.DateTime(h.Reported.In(answer.At.Location()))
		}
		t.Add(plain, h.Host, p.Number(h.Findings), p.Number(h.Sooner), p.Number(h.Later), reported)
	}
	p.Table(&t)
}
