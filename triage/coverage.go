package triage

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// Effect is what the guard takes away from an attacker, strongest first.
type Effect string

// The four effects of TRIAGE.md section 3.
const (
	Prevented Effect = "prevented" // the exploit's goal is refused at its first step
	Contained Effect = "contained" // the bug may fire; launch, persistence, spread and tampering are refused
	Limited   Effect = "limited"   // damage is bounded to what the service already owns
	None      Effect = "none"      // the guard does not help
)

// Effects lists all effects, strongest first.
var Effects = []Effect{Prevented, Contained, Limited, None}

// weaker is the effect one step below.
func (e Effect) weaker() Effect { return Effects[min(e.rank()+1, len(Effects)-1)] }

// rank is the place in Effects; what is no effect ranks as None.
func (e Effect) rank() int {
	if i := slices.Index(Effects, e); i >= 0 {
		return i
	}
	return len(Effects) - 1
}

// Coverage is the effect with what stands behind it.
type Coverage struct {
	Effect   Effect         `json:"effect"`
	Controls []host.Control `json:"controls,omitempty"` // that bring it about
	Proven   bool           `json:"proven"`
	Stages   []Stage        `json:"stages,omitempty"` // in the order of an attack
	Reasons  []Reason       `json:"reasons,omitempty"`
	Limits   []Reason       `json:"limits,omitempty"` // printed wherever coverage is
}

// Component is the vulnerable thing on a host, as far as the guard's effect depends on it.
type Component struct {
	Vulnerability string   // its id: a few kernel bugs are known by the surface they need
	Source        string   // source package
	Packages      []string // installed binary packages built from it
	Units         []string // systemd services that run its code
	Loose         bool     // processes outside every service run it too
	Kernel        bool     // it is the running kernel
	System        bool     // it is an operating system: what is bypassed in it protects the system
}

// Cover tells what the protection in force takes away from an attacker who uses one
// vulnerability of a component. It judges every type by the baseline table (cases),
// claims an effect only while its controls refuse on this host, one step weaker
// while no drill in force proves them, and answers with the weakest of the outcomes
// an attacker can choose from. Asking with another Protection is the what-if: "turn
// this control on", and its reverse.
func Cover(c Component, typings []vuln.Typing, sev vuln.Severity, p host.Protection, now time.Time) Coverage {
	v := covering{component: c, typings: typings, severity: readSeverity(sev), protection: p, now: now}
	v.result.Effect = None
	switch {
	case len(typings) == 0:
		v.say(CodeUntyped)
	case len(p.Controls) == 0:
		v.say(CodeNoGuard)
	case !slices.ContainsFunc(p.Controls, func(s host.ControlStatus) bool { return s.Mode == host.Enforce }):
		v.say(CodeNotEnforcing)
	default:
		v.judge(v.outcomes())
	}
	return v.result
}

// covering is the work of one Cover.
type covering struct {
	component  Component
	typings    []vuln.Typing
	severity   severity
	byType     bool // judge by the types alone: Table 3
	protection host.Protection
	now        time.Time
	result     Coverage
}

func (v *covering) say(code string, args ...string) {
	v.result.Reasons = append(v.result.Reasons, Reason{Step: "coverage", Code: code, Args: args})
}

func (v *covering) limit(code string) {
	v.result.Limits = append(v.result.Limits, Reason{Step: "coverage", Code: code})
}

// outcome is one thing an attacker gets: the types that say so and their case.
type outcome struct {
	*coverCase
	types    []vuln.Type
	surfaces []string // kernel surfaces the way there needs
	source   string   // where that is written
}

func (o *outcome) names() string { return strings.Join(words(o.types), ", ") }

// claim is the effect an outcome's controls bring about on this host.
type claim struct {
	effect   Effect
	proved   Effect         // what effect would be if every control were proven
	needs    []host.Control // behind effect, all enforced
	missing  []host.Control // that a stronger effect would need
	stronger Effect
	unproven []host.Control
}

// judge answers with the weakest outcome. Stopping the service counts only where
// nothing else can be had: it is another defence's work.
func (v *covering) judge(outcomes []outcome) {
	if !v.component.Kernel && !v.contained() && slices.ContainsFunc(outcomes, func(o outcome) bool { return o.contained }) {
		v.sayNotContained()
	}
	if len(v.protection.Contained) == 0 && slices.ContainsFunc(outcomes, func(o outcome) bool { return o.local }) {
		v.say(CodeNothingContained)
	}
	claims, effect, decided := v.claims(outcomes)
	if effect != None && v.inferred() {
		v.say(CodeInferred, string(effect), string(effect.weaker()))
		effect = effect.weaker()
	}
	v.result.Effect = effect
	if decided {
		v.stages(outcomes, claims)
	}
	v.result.Proven = effect != None
	for i, o := range outcomes {
		v.explain(o, claims[i])
	}
	v.result.Proven = v.result.Proven && len(v.result.Controls) > 0
	v.controls()
	v.limits(outcomes)
}

// claims are those of every outcome, and the weakest effect among them; decided is
// false where nothing but stopping the service can be had.
func (v *covering) claims(outcomes []outcome) (claims []claim, effect Effect, decided bool) {
	effect = Prevented
	claims = make([]claim, len(outcomes))
	for i, o := range outcomes {
		claims[i] = v.claim(o)
		if o.coverCase != caseDoS {
			effect, decided = Effects[max(effect.rank(), claims[i].effect.rank())], true
		}
	}
	if !decided {
		effect = None
	}
	return claims, effect, decided
}

// inferred tells whether every harm but denial of service is a guess of low confidence.
func (v *covering) inferred() bool {
	return !slices.ContainsFunc(v.typings, func(t vuln.Typing) bool { return t.Type != vuln.DoS && t.Confidence != "low" })
}

// claim climbs down an outcome's ladder to the first rung whose controls all refuse
// here, and one step more when one of them is not proven.
func (v *covering) claim(o outcome) claim {
	c := claim{effect: None, proved: None}
	switch {
	case o.contained && !v.contained(), o.surfaces != nil && !v.refuses(o.surfaces), o.local && len(v.protection.Contained) == 0:
		return c
	}
	for i, rung := range o.ladder {
		var missing []host.Control
		for _, need := range rung.needs {
			if !v.protection.Enforced(need) {
				missing = append(missing, need)
			}
		}
		if len(missing) == 0 {
			c.effect, c.proved, c.needs = rung.effect, rung.effect, rung.needs
			break
		}
		if i == 0 {
			c.missing, c.stronger = missing, rung.effect
		}
	}
	for _, need := range c.needs {
		if !v.protection.Proven(need, v.now) {
			c.unproven = append(c.unproven, need)
		}
	}
	if c.unproven != nil {
		c.effect = c.effect.weaker()
	}
	return c
}

// refuses tells whether the kernel control denies one of the surfaces a path needs to
// every contained process: without any one of them the path is closed. Who may use one of
// them has, as a rule, what the others would only lead to – whom a policy lets change
// nf_tables needs no user namespace for it – so what is allowed to somebody opens the path.
func (v *covering) refuses(surfaces []string) bool {
	return v.allows(surfaces) == nil && slices.ContainsFunc(surfaces, func(s string) bool { return slices.Contains(v.protection.Surfaces, s) })
}

// allows are those of the surfaces a path needs that somebody contained may use here.
func (v *covering) allows(surfaces []string) (out []host.AllowedSurface) {
	for _, a := range v.protection.Allowed {
		if slices.Contains(surfaces, a.Surface) {
			out = append(out, a)
		}
	}
	return out
}

// contained tells whether all that runs the component's code runs contained. A package
// is named for its programs' processes, and its libraries are in others'; so where
// units are named of those that run it, every one of them has to be, and the package
// answers only for processes outside units and for those nobody has seen.
func (v *covering) contained() bool {
	if len(v.partly()) > 0 {
		return false
	}
	packaged := slices.ContainsFunc(v.component.Packages, func(p string) bool { return slices.Contains(v.protection.Contained, p) })
	switch out := len(v.uncontained()); {
	case out == 0 && len(v.component.Units) > 0:
		return packaged || !v.component.Loose
	case out == 0, !slices.ContainsFunc(v.protection.Contained, isService): // nobody names units
		return packaged
	}
	return false
}

func isService(name string) bool { return strings.HasSuffix(name, ".service") }

// partly are the units and packages of the component that run contained in part.
func (v *covering) partly() []host.PartlyContained {
	var out []host.PartlyContained
	for _, p := range v.protection.Partly {
		if slices.Contains(v.component.Units, p.Name) || slices.Contains(v.component.Packages, p.Name) {
			out = append(out, p)
		}
	}
	return out
}

// uncontained are the units that run the component outside containment.
func (v *covering) uncontained() []string {
	return slices.DeleteFunc(slices.Clone(v.component.Units), func(u string) bool { return slices.Contains(v.protection.Contained, u) })
}

// sayNotContained names what is outside: units, and of those that are contained in part
// the programs.
func (v *covering) sayNotContained() {
	out, partly := v.uncontained(), v.partly()
	if len(partly) == 0 && len(out) == len(v.component.Units) {
		v.say(CodeNotContained, v.component.Source)
		return
	}
	var outside []string
	for _, p := range partly {
		out = slices.DeleteFunc(out, func(unit string) bool { return unit == p.Name })
		for _, program := range p.Outside {
			outside = append(outside, p.Name+": "+program)
		}
	}
	v.say(CodePartlyContained, strings.Join(append(outside, out...), ", "))
}

// explain says how one outcome came to its effect.
func (v *covering) explain(o outcome, c claim) {
	args := []string{o.names(), string(c.effect)}
	if o.surfaces != nil {
		args = append(args, strings.Join(o.surfaces, ", "), o.source)
	}
	v.say(o.code, args...)
	for _, a := range v.allows(o.surfaces) {
		v.say(CodeSurfaceAllowed, a.Surface, strings.Join(a.To, ", "))
	}
	if c.missing != nil {
		v.say(CodeMissing, strings.Join(words(c.missing), ", "), string(c.stronger))
	}
	if c.unproven != nil {
		v.say(CodeUnproven, strings.Join(words(c.unproven), ", "), string(Effects[c.effect.rank()-1]), string(c.effect))
		v.result.Proven = false
	}
	if c.effect == None {
		return
	}
	for _, need := range c.needs {
		if !slices.Contains(v.result.Controls, need) {
			v.result.Controls = append(v.result.Controls, need)
		}
	}
	if o.coverCase == caseMemory && v.wx() {
		v.say(CodeWX, v.component.Source)
	}
}

func (v *covering) wx() bool {
	return slices.ContainsFunc(slices.Concat(v.component.Packages, v.component.Units),
		func(name string) bool { return slices.Contains(v.protection.WX, name) })
}

// controls gives each control behind the effect its proof and its gaps. Where the
// weakest outcome leaves nothing, no control brings anything about.
func (v *covering) controls() {
	if v.result.Effect == None {
		v.result.Controls = nil
		return
	}
	for _, c := range v.result.Controls {
		for _, s := range v.protection.Controls {
			if s.Control != c || s.Mode != host.Enforce {
				continue
			}
			if v.protection.Proven(c, v.now) && s.Proof != nil {
				v.say(CodeControl, string(c), s.Proof.At.UTC().Format(time.RFC3339), strconv.Itoa(s.Proof.Steps))
			}
			for _, gap := range s.Gaps {
				v.say(CodeGap, string(c), gap)
			}
		}
	}
}

// limits are the structural ones, and those of the cases that hold.
func (v *covering) limits(outcomes []outcome) {
	if v.result.Effect == None {
		return
	}
	v.limit(CodeLimitDaemons)
	v.limit(CodeLimitPageCache)
	if v.result.Effect != Prevented {
		v.limit(CodeLimitOwnData)
	}
	if slices.ContainsFunc(outcomes, func(o outcome) bool { return o.local }) {
		v.limit(CodeLimitLoggedIn)
	}
}

// GatewayAdvice is the advice a finding carries when stopping the service is one of
// its types, whatever the guard does: limit it at the network gateway. Nil otherwise.
func GatewayAdvice(typings []vuln.Typing) []Reason {
	if !slices.ContainsFunc(typings, func(t vuln.Typing) bool { return t.Type == vuln.DoS }) {
		return nil
	}
	return []Reason{{Step: "advice", Code: CodeGateway}}
}
