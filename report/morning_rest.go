package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// pendingState is what a group waits for where nothing is left to install: the
// state all its findings share.
func pendingState(g group) string {
	state := g.worst().State
	for _, f := range g.findings {
		if f.State != state {
			return ""
		}
	}
	return state
}

// pending tells what is on disk but does not run yet.
func (p *page) pending(list []group) {
	names := map[string][]string{}
	for _, g := range list {
		states := map[string]bool{}
		for _, f := range g.findings {
			if f.State != "" && !states[f.State] {
				states[f.State] = true
				names[f.State] = append(names[f.State], g.name)
			}
		}
	}
	if len(names) == 0 {
		return
	}
	p.Heading(p.T("pending.heading"))
	for _, state := range slices.Sorted(maps.Keys(names)) {
		p.Item(2, p.T("pending.item", p.word("state.", state)), p.Folded(names[state], noFixNames))
	}
}

// noFix tells what no update repairs yet.
func (p *page) noFix(list []group) {
	findings := 0
	var names []string
	for _, g := range list {
		if n := len(g.findings) - g.actionable(); n > 0 {
			names = append(names, p.T("nofix.package", g.name, n))
			findings += n
		}
	}
	if findings == 0 {
		return
	}
	p.Heading(p.T("nofix.heading"))
	p.Text(2, p.T("nofix.text", findings, len(names)))
	p.Text(2, p.Folded(names, noFixNames))
}

// notJudged groups what triage could say nothing about by the kind of reason. Reasons
// of one kind that differ in wording are told by the first of them.
func (p *page) notJudged(list []triage.NotJudged, all bool) {
	if len(list) == 0 {
		return
	}
	byCode := map[string][]triage.NotJudged{}
	for _, n := range list {
		byCode[likeness(n)] = append(byCode[likeness(n)], n)
	}
	codes := slices.SortedFunc(maps.Keys(byCode), func(a, b string) int {
		return cmp.Or(-cmp.Compare(len(byCode[a]), len(byCode[b])), cmp.Compare(a, b))
	})
	p.Heading(p.T("notjudged.heading", len(list)))
	show := examples
	if all {
		show = len(list)
	}
	for _, code := range codes {
		p.Item(2, p.Number(len(byCode[code]))+"  ", p.unjudged(byCode[code], show))
	}
}

// likeness is what things that could not be judged for the same reason share: the
// reason's code and its last argument (the first names the thing itself).
func likeness(n triage.NotJudged) string {
	if len(n.Args) < 2 {
		return cmp.Or(n.Code, n.Text)
	}
	return n.Code + "\x00" + n.Args[len(n.Args)-1]
}

// unjudged is one kind of reason with the things it holds for.
func (p *page) unjudged(list []triage.NotJudged, show int) string {
	slices.SortFunc(list, func(a, b triage.NotJudged) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Version, b.Version))
	})
	same := true
	var names []string
	text := ReasonText(p.Printer, list[0].Reason)
	for _, n := range list {
		names = append(names, strings.TrimSpace(n.What+" "+n.Version))
		same = same && ReasonText(p.Printer, n.Reason) == text
	}
	switch {
	case len(list) == 1:
		return text
	case same:
		return text + p.T("notjudged.items", p.Folded(names, show))
	}
	return text + p.T("notjudged.likewise", p.Folded(names[1:], show))
}

// coverageLimits prints what coverage cannot promise, wherever coverage is claimed.
func (p *page) coverageLimits(scan triage.Scan) {
	if len(scan.Protection.Controls) == 0 {
		p.Heading(p.T("guard.heading"))
		p.Text(2, p.T("guard.absent"))
		return
	}
	var limits []string
	lengthened := 0
	for _, f := range scan.Findings {
		if f.Unguarded != "" && f.Unguarded != f.Decision {
			lengthened++
		}
		if f.Stages == nil || f.Coverage == triage.None || f.Coverage == "" {
			continue
		}
		for _, r := range f.Stages.Limits {
			if text := ReasonText(p.Printer, r); !slices.Contains(limits, text) {
				limits = append(limits, text)
			}
		}
	}
	p.Heading(p.T("guard.heading"))
	if scan.Protection.Tier == triage.TierAppControl && lengthened == 0 {
		p.Text(2, p.windowsGuard(scan.Protection))
		return
	}
	p.Text(2, p.T("guard.lengthened", lengthened))
	slices.Sort(limits)
	for _, l := range limits {
		p.Item(2, "- ", l)
	}
}

func (p *page) totals(scan triage.Scan) {
	t := scan.Totals
	p.Heading(p.T("totals.heading"))
	p.Text(2, p.T("totals.text", t.Packages, t.SourcePackages, t.Findings, t.Vulnerabilities, t.Fixable))
	var types []string
	for _, k := range vuln.Types {
		if t.Types[k] > 0 {
			types = append(types, p.T("totals.type", p.T("type.short."+string(k)), t.Types[k]))
		}
	}
	if t.Untyped > 0 {
		types = append(types, p.T("totals.type", p.T("type.none"), t.Untyped))
	}
	if len(types) > 0 {
		p.Item(2, p.T("totals.types"), p.List(types))
	}
}

// next says what to type now.
func (p *page) next(list []group, all bool) {
	if len(list) == 0 {
		return
	}
	p.Heading(p.T("next.heading"))
	t := table{Indent: 2, Columns: []column{{}, {Wrap: true}}}
	t.Add(plain, "kannuki show "+list[0].worst().ID, p.T("next.show"))
	if !all {
		t.Add(plain, "kannuki scan --all", p.T("next.all"))
	}
	t.Add(plain, "kannuki scan --json", p.T("next.json"))
	p.Table(&t)
}
