package report

import (
	"slices"

	"github.com/kannuki/kannuki/triage"
)

// ladder is a decision table's actions, most urgent first.
var (
	ssvcLadder = []triage.Action{triage.Immediate, triage.OutOfCycle, triage.Scheduled, triage.Defer}
	bodLadder  = []triage.Action{triage.Days3Forensic, triage.Days3, triage.Days14, triage.Days60, triage.OnUpgrade}
)

// urgency is triage's rank; an action it does not know counts as 2: better seen than
// lost.
func urgency(a triage.Action) int {
	if u := triage.Urgency(a); u >= 0 {
		return u
	}
	return 2
}

func urgent(a triage.Action) bool { return urgency(a) >= 2 }

// mark shows urgency without colour.
func mark(a triage.Action) string {
	switch urgency(a) {
	case 4, 3:
		return "!!"
	case 2:
		return "! "
	case 1:
		return "* "
	}
	return ". "
}

func actionStyle(a triage.Action) style {
	switch urgency(a) {
	case 4, 3:
		return red
	case 2:
		return amber
	case 0:
		return faint
	}
	return plain
}

// byUrgency is triage's order of work, with unknown actions where urgency puts them.
func byUrgency(a, b triage.Finding) int {
	switch {
	case urgency(a.Decision) != urgency(b.Decision):
		return urgency(b.Decision) - urgency(a.Decision)
	case triage.Less(&a, &b):
		return -1
	case triage.Less(&b, &a):
		return 1
	}
	return 0
}

// sorted is a copy of findings, most urgent first.
func sorted(findings []triage.Finding) []triage.Finding {
	list := slices.Clone(findings)
	slices.SortStableFunc(list, byUrgency)
	return list
}

// actions are the actions that occur in findings with the rest of their table, most
// urgent first.
func actions(findings []triage.Finding) []triage.Action {
	seen := map[triage.Action]bool{}
	for _, f := range findings {
		seen[f.Decision] = true
	}
	var list []triage.Action
	for _, ladder := range [][]triage.Action{ssvcLadder, bodLadder} {
		if slices.ContainsFunc(ladder, func(a triage.Action) bool { return seen[a] }) {
			list = append(list, ladder...)
		}
	}
	var unknown []triage.Action
	for a := range seen {
		if !slices.Contains(list, a) {
			unknown = append(unknown, a)
		}
	}
	slices.Sort(unknown)
	return append(list, unknown...)
}

// group is one source package in one version with its findings, most urgent first.
type group struct {
	name, version string
	findings      []triage.Finding
}

func (g group) worst() triage.Finding { return g.findings[0] }

// actionable counts the findings an update, a restart or a reboot repairs today.
func (g group) actionable() int {
	n := 0
	for _, f := range g.findings {
		if f.FixedVersion != "" || f.State != "" {
			n++
		}
	}
	return n
}

// groups gathers findings by source package and version, most urgent first.
func groups(findings []triage.Finding) []group {
	type key struct{ name, version string }
	at := map[key]int{}
	var list []group
	for _, f := range sorted(findings) {
		k := key{f.SourcePackage, f.SourceVersion}
		i, ok := at[k]
		if !ok {
			i = len(list)
			at[k] = i
			list = append(list, group{name: k.name, version: k.version})
		}
		list[i].findings = append(list[i].findings, f)
	}
	return list // in order of each group's worst finding, as sorted
}
