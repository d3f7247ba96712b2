package triage

import (
	"slices"

	"github.com/kannuki/kannuki/vuln"
)

// tally counts findings without a map: adding two is done for every package of every
// host of a fleet.
type tally struct {
	sources, vulnerabilities   int
	findings, untyped, fixable int
	decisions                  [len(actions)]int
	types                      [13]int // by place in vuln.Types
}

// actions are those of both tables: places in a tally.
var actions = [...]Action{Defer, Scheduled, OutOfCycle, Immediate, OnUpgrade, Days60, Days14, Days3, Days3Forensic}

// count adds one finding.
func (t *tally) count(f *Finding) {
	t.findings++
	t.decisions[slices.Index(actions[:], f.Decision)]++
	for _, x := range f.Types {
		t.types[slices.Index(vuln.Types, x)]++
	}
	if len(f.Types) == 0 {
		t.untyped++
	}
	if f.FixedVersion != "" {
		t.fixable++
	}
}

// add adds the findings of another; vulnerabilities overlap and are counted by the caller.
func (t *tally) add(o *tally) {
	t.findings += o.findings
	t.untyped += o.untyped
	t.fixable += o.fixable
	for i, n := range o.decisions {
		t.decisions[i] += n
	}
	for i, n := range o.types {
		t.types[i] += n
	}
}

// totals writes t as it is shown.
func (t *tally) totals(packages, notJudged int) Totals {
	out := newTotals()
	out.Packages, out.SourcePackages, out.NotJudged = packages, t.sources, notJudged
	out.Findings, out.Vulnerabilities, out.Untyped, out.Fixable = t.findings, t.vulnerabilities, t.untyped, t.fixable
	for i, n := range t.decisions {
		if n > 0 {
			out.Decisions[actions[i]] = n
		}
	}
	for i, n := range t.types {
		if n > 0 {
			out.Types[vuln.Types[i]] = n
		}
	}
	return out
}

func newTotals() Totals {
	return Totals{Decisions: map[Action]int{}, Types: map[vuln.Type]int{}}
}
