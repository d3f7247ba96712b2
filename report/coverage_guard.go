package report

import (
	"cmp"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// guardSections are Table 3 and what stands behind it.
func (c CoverageOf) guardSections(p lang.Printer) []section {
	var out []section
	if c.Table.Hosts > 1 {
		out = append(out, c.effectsOnHosts(p))
	} else {
		out = append(out, c.effects(p))
	}
	switch {
	case c.Table.Hosts > 0:
		out = append(out, c.hosts(p))
		if len(c.Guards) == 1 {
			out = append(out, c.controls(c.Guards[0].Reported, p))
		}
	case c.Of != "":
		out = append(out, c.controls(c.Guard, p))
	}
	limits := section{name: p.T("cover.sheet.limits"), heading: p.T("cover.limits")}
	for _, code := range []string{triage.CodeLimitDaemons, triage.CodeLimitPageCache, triage.CodeLimitOwnData, triage.CodeLimitLoggedIn} {
		limits.notes = append(limits.notes, ReasonText(p, triage.Reason{Code: code}))
	}
	return append(out, limits)
}

// effects is Table 3 under one protection.
func (c CoverageOf) effects(p lang.Printer) section {
	s := section{name: p.T("cover.sheet.table3"), heading: p.T("cover.table3"), lead: p.T("cover.table3.lead"),
		grid: grid{prose: true, heads: []string{p.T("types.label"), p.T("cover.head.effect"), p.T("cover.head.counts"), p.T("cover.head.because")}}}
	pg := newPage(nil, p, Page{})
	for _, e := range triage.EffectsByType(c.Guard, c.At) {
		because := []string{p.T("case." + e.Reasons[0].Code)}
		for _, r := range e.Reasons[1:] {
			if r.Code != triage.CodeControl && r.Code != triage.CodeGap { // told once, below
				because = append(because, ReasonText(p, r))
			}
		}
		counts := ""
		if e.Counts != "" {
			counts = p.T("cover.counts." + e.Counts)
		}
		s.grid.add(false, text(pg.types(e.Types)), text(p.T("effect."+string(e.Effect))), text(counts), text(strings.Join(because, p.T("sentence.separator"))))
	}
	return s
}

// effectsOnHosts is Table 3 of several hosts: on how many each type has which effect.
func (c CoverageOf) effectsOnHosts(p lang.Printer) section {
	s := section{name: p.T("cover.sheet.table3"), heading: p.T("cover.table3"), lead: p.T("cover.table3.hosts"),
		grid: grid{heads: []string{p.T("types.label"), p.T("cover.head.prevented"), p.T("cover.head.contained"), p.T("cover.head.limited"), p.T("cover.head.none")}}}
	found := map[vuln.Type]map[triage.Effect]int{}
	for _, g := range c.Guards {
		for _, e := range triage.EffectsByType(g.Counts, c.At) {
			if e.Counts == "" || e.Counts == "system" {
				continue
			}
			for _, t := range e.Types {
				if found[t] == nil {
					found[t] = map[triage.Effect]int{}
				}
				found[t][e.Effect]++
			}
		}
	}
	for _, t := range vuln.Types {
		s.grid.add(false, text(p.T("type.label."+string(t))), count(found[t][triage.Prevented]), count(found[t][triage.Contained]), count(found[t][triage.Limited]), count(found[t][triage.None]))
	}
	return s
}

// hosts tells what guards each host, and whether it still counts.
func (c CoverageOf) hosts(p lang.Printer) section {
	s := section{name: p.T("cover.sheet.hosts"), heading: p.T("cover.guards"), lead: p.T("cover.guards.lead"),
		grid: grid{prose: true, heads: []string{p.T("cover.head.host"), p.T("cover.head.refuse"), p.T("cover.head.proven"), p.T("cover.head.reported"), p.T("cover.head.contains")}}}
	for _, g := range c.Guards {
		refuse, proven := enforcing(g.Reported, c.At)
		reported := c.time(g.Reported.Reported, p)
		if triage.Stale(g.Reported, c.At) {
			reported = "! " + reported + " " + p.T("cover.stale")
		}
		s.grid.add(false, text(g.Host), count(refuse), count(proven), text(reported),
			text(cmp.Or(strings.Join(services(g.Reported.Contained), p.T("list.separator")), p.T("cover.nothing"))))
	}
	return s
}

// controls tells of every control whether it refuses and what proved it.
func (c CoverageOf) controls(guard host.Protection, p lang.Printer) section {
	s := section{name: p.T("cover.sheet.controls"), heading: p.T("cover.controls"),
		grid: grid{prose: true, heads: []string{p.T("cover.head.control"), p.T("cover.head.mode"), p.T("cover.head.proof")}}}
	if len(guard.Controls) == 0 {
		s.lead = p.T("guard.absent")
		return s
	}
	s.lead = p.T("cover.controls.lead", c.time(guard.Reported, p))
	for _, control := range guard.Controls {
		s.grid.add(false, text(p.T("control."+string(control.Control))), text(p.T("cover.mode."+control.Mode)), text(c.proof(guard, control, p)))
	}
	return s
}

// proof is the drill behind a control, and what the control cannot do here.
func (c CoverageOf) proof(guard host.Protection, s host.ControlStatus, p lang.Printer) string {
	said := p.T("cover.unproven")
	switch {
	case s.Mode != host.Enforce:
		said = ""
	case s.Proof == nil:
	case guard.Proven(s.Control, c.At):
		said = p.T("cover.proof", c.time(s.Proof.At, p), s.Proof.Steps, c.time(s.Proof.Expires, p))
	case !s.Proof.Passed:
		said = p.T("cover.proof.failed", c.time(s.Proof.At, p))
	case !c.At.Before(s.Proof.Expires):
		said = p.T("cover.proof.expired", c.time(s.Proof.Expires, p))
	default:
		said = p.T("cover.proof.other")
	}
	for _, gap := range s.Gaps {
		if p.Has("text." + gap) {
			gap = p.T("text." + gap)
		}
		said = strings.TrimPrefix(said+p.T("sentence.separator"), p.T("sentence.separator")) + p.T("cover.gap", gap)
	}
	return said
}
