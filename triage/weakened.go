package triage

import (
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Weakened tells what of a protection that counted at one time no longer does at a later
// one: the agent gone, a control relaxed, a drill expired, containment or a surface
// lost. Empty where nothing is weaker, or nothing counted.
func Weakened(was host.Protection, then time.Time, is host.Protection, now time.Time) []Reason {
	if len(was.Controls) == 0 || Stale(was, then) {
		return nil
	}
	var out []Reason
	say := func(code string, args ...string) {
		out = append(out, Reason{Step: "protection", Code: code, Args: args})
	}
	if (GuardInputs{Reported: is.Reported, Now: now}).stale() {
		say(CodeProtectionStale, lastReport(is.Reported), DefaultReportingInterval.String())
		return out
	}
	for _, s := range was.Controls {
		c := s.Control
		switch {
		case was.Enforced(c) && !is.Enforced(c):
			say(CodeReturnControl, string(c))
		case was.Proven(c, then) && !is.Proven(c, now):
			say(CodeReturnProof, string(c))
		}
	}
	if lost := without(was.Contained, is.Contained); len(lost) > 0 && was.Enforced(host.Containing) {
		say(CodeReturnContained, strings.Join(lost, ", "))
	}
	if lost := without(was.Surfaces, is.Surfaces); len(lost) > 0 && is.Enforced(host.KernelCtl) {
		say(CodeReturnSurface, strings.Join(lost, ", "))
	}
	return out
}

// Shifted is p as it counted at one time, moved to another: what was proven then is
// proven there, for as much longer as it was. So one engine compares protections of
// different times.
func Shifted(p host.Protection, from, to time.Time) host.Protection {
	by := to.Sub(from)
	p.Reported = p.Reported.Add(by)
	p.Controls = slices.Clone(p.Controls)
	for i, s := range p.Controls {
		if s.Proof == nil {
			continue
		}
		proof := *s.Proof
		proof.At, proof.Expires = proof.At.Add(by), proof.Expires.Add(by)
		p.Controls[i].Proof = &proof
	}
	return p
}

// without are the names in a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
