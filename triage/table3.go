package triage

import (
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/vuln"
)

// whose says for which products a line of Table 3 is what counts in Table 4.
type whose string

const (
	beside        whose = "" // none: a case that more must be known for
	ofAny         whose = "any"
	ofSystems     whose = "system"
	ofApplication whose = "application"
)

// line is one line of Table 3: some types in one case.
type line struct {
	types  []vuln.Type
	of     *coverCase
	counts whose
}

// table3 are the lines of Table 3, after TRIAGE.md section 3. Of each type one case
// counts where nothing but the type is known: a service that runs contained, and of
// its cases the usual one.
var table3 = []line{
	{[]vuln.Type{vuln.Exec}, caseExec, ofAny},
	{[]vuln.Type{vuln.Exec}, caseKernelNetwork, beside},
	{[]vuln.Type{vuln.Overflow, vuln.MemCorr}, caseMemory, ofAny},
	{[]vuln.Type{vuln.Overflow, vuln.MemCorr}, caseOverRead, beside},
	{[]vuln.Type{vuln.Priv}, casePrivDaemon, ofAny},
	{[]vuln.Type{vuln.Priv}, caseSetuid, beside},
	{[]vuln.Type{vuln.Priv}, caseDeputy, beside},
	{[]vuln.Type{vuln.Priv}, casePrivApplication, beside},
	{[]vuln.Type{vuln.Overflow, vuln.MemCorr, vuln.Priv}, caseKernelSurface, beside},
	{[]vuln.Type{vuln.Overflow, vuln.MemCorr, vuln.Priv}, caseKernelLocal, beside},
	{[]vuln.Type{vuln.Bypass}, caseBypassOS, ofSystems},
	{[]vuln.Type{vuln.Bypass}, caseBypassApp, ofApplication},
	{[]vuln.Type{vuln.Info}, caseInfoInside, ofAny},
	{[]vuln.Type{vuln.Info}, caseInfoFiles, beside},
	{[]vuln.Type{vuln.Info}, caseInfoProcess, beside},
	{[]vuln.Type{vuln.Traversal}, caseTraversalRead, ofAny},
	{[]vuln.Type{vuln.Traversal}, caseTraversalWrite, beside},
	{[]vuln.Type{vuln.Inclusion}, caseInclusion, ofAny},
	{[]vuln.Type{vuln.SQLi}, caseSQLi, ofAny},
	{[]vuln.Type{vuln.SQLi}, caseSQLiExec, beside},
	{[]vuln.Type{vuln.XSS, vuln.CSRF, vuln.Splitting}, caseBrowser, ofAny},
	{[]vuln.Type{vuln.DoS}, caseDoS, ofAny},
}

// typeCase is the case that counts for a type of v's component. Where evidence tells
// what is disclosed, it is heard.
func (v *covering) typeCase(t vuln.Type) *coverCase {
	if t == vuln.Info {
		return v.disclosureCase()
	}
	wanted := []whose{ofAny, ofApplication}
	if v.component.System {
		wanted[1] = ofSystems
	}
	i := slices.IndexFunc(table3, func(l line) bool { return slices.Contains(wanted, l.counts) && slices.Contains(l.types, t) })
	return table3[i].of
}

// TypeEffect is one line of Table 3: what a protection takes away where one of the types
// is of one kind, with the controls behind it and their proof.
type TypeEffect struct {
	Types []vuln.Type `json:"types"`
	// Counts says where Table 4 takes this line for the type: "any", "system",
	// "application"; empty for a case that takes more than the type to tell.
	Counts string `json:"counts,omitempty"`
	Coverage
}

// EffectsByType is Table 3 under a protection: every kind of every type, for a
// component that runs contained as p says something does.
func EffectsByType(p host.Protection, now time.Time) []TypeEffect {
	out := make([]TypeEffect, 0, len(table3))
	for _, l := range table3 {
		v := covering{component: Component{Packages: p.Contained}, protection: p, now: now}
		o := outcome{coverCase: l.of, types: l.types}
		if l.of == caseKernelSurface {
			o.surfaces, o.source = append([]string{}, p.Surfaces...), "CVE-2024-1086, CVE-2023-2640, …"
		}
		c := v.claim(o)
		v.result.Effect, v.result.Proven = c.effect, c.effect != None
		v.explain(o, c)
		v.controls()
		out = append(out, TypeEffect{Types: l.types, Counts: string(l.counts), Coverage: v.result})
	}
	return out
}

// assumedFor is how long the proofs of an assumed protection hold: a day is more than
// any question about it takes.
const assumedFor = 24 * time.Hour

// FullProtection is what a host has where every control refuses, a drill has proven
// each, every surface is refused and everything that matters runs contained. It is an
// assumption to count with, and nobody's host.
func FullProtection(now time.Time) host.Protection {
	p := host.Protection{Reported: now, Contained: []string{"service"}}
	for _, s := range policy.Surfaces() {
		p.Surfaces = append(p.Surfaces, string(s))
	}
	for _, c := range policy.Controls() {
		p.Controls = append(p.Controls, assumed(host.ControlStatus{Control: c, Mode: host.Enforce}, p, now))
	}
	return p
}

// assumed gives a control the proof it would have under p.
func assumed(s host.ControlStatus, p host.Protection, now time.Time) host.ControlStatus {
	s.Proof = &host.Proof{At: now, Expires: now.Add(assumedFor), Generation: p.Generation, Kernel: p.Kernel, Passed: true}
	return s
}

// Published are figures somebody published about a product, to hold ours against.
type Published struct {
	Claim  string // the share said to be covered: "over 60 %"
	Listed int    // how many vulnerabilities of 2019 were listed for it; 0: not said
}

// PublishedFigures returns what the article that coverage tables began with says of a
// product; ok is false where it says nothing.
func PublishedFigures(product string) (figures Published, ok bool) {
	p := parseProduct(product)
	figures, ok = article[p.name]
	return figures, ok
}

// article holds the figures of TRIAGE.md section 2.
var article = map[string]Published{
	"windows_server_2019": {Claim: "> 60 %", Listed: 351},
	"windows_server_2016": {Claim: "≈ 50 %"},
	"windows_server_2012": {Claim: "≈ 50 %"},
}
