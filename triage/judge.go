package triage

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// judge makes the finding of one hit in one situation, with its chain of reasons:
// match, state, types, exploitation, exposure, coverage, decision.
func (e *Engine) judge(u *unit, h *hit, s situation, p host.Protection) *Finding {
	d := h.Digest
	f := &Finding{ID: h.id, SourcePackage: u.source, SourceVersion: u.sourceVersion, FixedVersion: h.fixed,
		Packages: u.packages, Title: d.Title, TitleJA: d.TitleJA, Severity: d.Severity.Vector, Score: d.Severity.Score,
		Typings: d.Typings, Types: typesIn(d.Typings), EPSS: d.EPSS, KEV: d.KEV != nil, Matches: h.matches}
	f.Reasons = append(f.Reasons, matchReasons(u, h)...)
	f.takeState(s)
	f.Reasons = append(f.Reasons, typeReasons(d.Typings)...)

	in := Inputs{Exposure: s.exposure.level, Automatable: automatable(d), Impact: technicalImpact(d), HumanImpact: s.importance, KEV: f.KEV}
	reached := s.exposure.reason()
	if s.role == runningKernel && s.exposure.level != "" && !fromNetwork(d.Severity) {
		// A local bug of the kernel is not reached through what listens.
		in.Exposure, reached = Small, Reason{Step: "exposure", Code: CodeExposureLocal}
	}
	var why Reason
	in.Exploitation, why = exploitation(d)
	f.Reasons = append(f.Reasons, why, reached)
	f.Exploitation, f.Exposure = cmp.Or(in.Exploitation, NotExploited), cmp.Or(in.Exposure, Open)
	f.Automatable, f.Impact = in.Automatable, in.Impact
	e.decide(f, in, componentOf(u, f, s), d, p)
	return f
}

// decide fills coverage and decision.
func (e *Engine) decide(f *Finding, in Inputs, c Component, d *Digest, p host.Protection) {
	cov := Cover(c, d.Typings, d.Severity, p, e.now)
	f.Reasons = append(f.Reasons, cov.Reasons...)
	rails := GuardInputs{Inputs: in, Typings: d.Typings, Reported: p.Reported, Now: e.now}
	guarded, _ := e.table.Guarded(e.table.Decide(in), cov, rails)
	if d.KEV != nil {
		f.earlier = e.windowBefore(d, cov, rails)
	}
	if rails.stale() { // said above: what is no longer confirmed is no longer claimed
		cov = Coverage{Effect: None, Reasons: cov.Reasons}
	}
	f.Coverage = cov.Effect
	if len(p.Controls) > 0 {
		f.Stages = &cov
	}
	f.Decision, f.Table, f.Row, f.Forensics, f.window = guarded.Action, guarded.Table, guarded.Row, guarded.Forensics, guarded.Window
	if guarded.Unguarded != guarded.Action {
		f.Unguarded = guarded.Unguarded
	}
	f.Reasons = append(f.Reasons, guarded.Reasons...)
	f.Advice = GatewayAdvice(d.Typings)
}

// windowBefore is the window the finding had before the catalogue listed it: an entry
// starts a clock of its own, but never gives more time than there was.
func (e *Engine) windowBefore(d *Digest, cov Coverage, rails GuardInputs) *time.Duration {
	before := *d
	before.KEV = nil
	rails.KEV = false
	rails.Exploitation, _ = exploitation(&before)
	decision, _ := e.table.Guarded(e.table.Decide(rails.Inputs), cov, rails)
	return decision.Window
}

// fromNetwork tells whether a vector says the bug is reached over a network; true
// where there is none to tell.
func fromNetwork(s vuln.Severity) bool {
	m := metrics(s)
	return m == nil || m["AV"] == "N" || m["AV"] == "A"
}

func typesIn(typings []vuln.Typing) []vuln.Type {
	out := []vuln.Type{}
	for _, t := range vuln.Types {
		if slices.ContainsFunc(typings, func(x vuln.Typing) bool { return x.Type == t }) {
			out = append(out, t)
		}
	}
	return out
}

// takeState says what has to happen beside installing a package.
func (f *Finding) takeState(s situation) {
	f.State = s.state
	switch s.state {
	case RebootNeeded:
		f.FixedVersion = s.against.sourceVersion
		f.Reasons = append(f.Reasons, Reason{Step: "match", Code: CodeReboot, Args: []string{f.SourceVersion, f.FixedVersion}})
	case RestartNeeded:
		f.FixedVersion = s.against.sourceVersion
		f.Reasons = append(f.Reasons, Reason{Step: "match", Code: CodeRestart, Args: []string{s.process, f.SourceVersion, f.FixedVersion}})
	}
	if s.role == kernelParts {
		f.Reasons = append(f.Reasons, Reason{Step: "match", Code: CodeParts})
	}
}

func matchReasons(u *unit, h *hit) []Reason {
	var out []Reason
	say := func(code string, args ...string) {
		r := Reason{Step: "match", Code: code, Args: args}
		if !slices.ContainsFunc(out, func(o Reason) bool { return o.Code == code && slices.Equal(o.Args, args) }) {
			out = append(out, r)
		}
	}
	for _, m := range h.matches {
		switch m.Method {
		case "kb":
			say(CodeMatchMissing, m.Record, m.Package, m.Version, m.Fixed)
		case "cpe":
			say(CodeMatchCPE, m.Record, m.Package, m.Version, m.Range)
		default:
			say(CodeMatchRange, m.Record, m.Package, m.Version, m.Range, m.Method)
		}
		if m.Urgency != "" {
			say(CodeMatchUrgency, m.Source, m.Urgency)
		}
		if m.Status != "" {
			say(CodeMatchStatus, m.Source, m.Status)
		}
	}
	if h.fixed == "" {
		say(CodeMatchNoFix, u.source)
	}
	return out
}

func typeReasons(typings []vuln.Typing) []Reason {
	if len(typings) == 0 {
		return []Reason{{Step: "type", Code: CodeTypeNone}}
	}
	out := make([]Reason, len(typings))
	for i, t := range typings {
		out[i] = Reason{Step: "type", Code: CodeType, Args: []string{string(t.Type), t.Source, t.Confidence, t.Why}}
	}
	return out
}

func componentOf(u *unit, f *Finding, s situation) Component {
	return Component{Vulnerability: f.ID, Source: f.SourcePackage, Packages: f.Packages, Units: strings.Fields(s.running), Loose: s.loose,
		Kernel: s.role == runningKernel, System: u.kind == "windows"}
}
