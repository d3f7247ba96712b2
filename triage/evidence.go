package triage

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// Exploitation levels, in SSVC's words.
const (
	NotExploited = "none"
	PoC          = "poc"
	Active       = "active"
)

// exploitation is what is known about attacks: KEV and the coordinator's "active"
// first, then a public exploit, then the coordinator's word. "" is unknown. EPSS
// predicts and proves nothing: it only orders findings of one decision.
func exploitation(d *Digest) (level string, why Reason) {
	step := func(code string, args ...string) Reason {
		return Reason{Step: "exploitation", Code: code, Args: args}
	}
	switch {
	case d.KEV != nil:
		return Active, step(CodeExploitKEV, d.KEV.Added.Format("2006-01-02"))
	case d.SSVC != nil && d.SSVC.Exploitation == Active:
		return Active, step(CodeExploitSSVC, d.SSVC.Source, Active)
	case d.SSVC != nil && d.SSVC.Exploitation == PoC:
		return PoC, step(CodeExploitSSVC, d.SSVC.Source, PoC)
	case d.Exploit != "":
		return PoC, step(CodeExploitPublic, d.Exploit)
	case d.SSVC != nil && d.SSVC.Exploitation == NotExploited:
		return NotExploited, step(CodeExploitSSVC, d.SSVC.Source, NotExploited)
	}
	return "", step(CodeExploitUnknown)
}

// automatable tells whether an attacker can automate reaching and exploiting: the
// coordinator's word, else yes for a vector that needs neither privileges nor a user
// nor luck over the network. "" is unknown.
func automatable(d *Digest) string {
	if d.SSVC != nil && d.SSVC.Automatable != "" {
		return d.SSVC.Automatable
	}
	m := metrics(d.Severity)
	switch {
	case m == nil:
		return ""
	case m["AU"] == "Y": // CVSS 4 has a metric of its own
		return "yes"
	case m["AU"] == "N":
		return "no"
	case m["AV"] == "N" && m["AC"] == "L" && (m["AT"] == "N" || m["AT"] == "") &&
		(m["PR"] == "N" || m["Au"] == "N") && (m["UI"] == "N" || m["UI"] == ""):
		return "yes"
	}
	return "no"
}

// technicalImpact is "total" when the attacker gets the whole component: the
// coordinator's word, else a vector with confidentiality and integrity both lost
// whole. "" is unknown.
func technicalImpact(d *Digest) string {
	if d.SSVC != nil && d.SSVC.Impact != "" {
		return d.SSVC.Impact
	}
	m := metrics(d.Severity)
	if m == nil {
		return ""
	}
	whole := []string{"H", "C"} // CVSS 3 and 4 say High, CVSS 2 says Complete
	c, i := m["C"]+m["VC"], m["I"]+m["VI"]
	if slices.Contains(whole, c) && slices.Contains(whole, i) {
		return "total"
	}
	return "partial"
}

// metrics splits a CVSS vector of any version into its metrics; nil without one. Some
// publishers write version 2 in parentheses.
func metrics(s vuln.Severity) map[string]string {
	if s.Vector == "" {
		return nil
	}
	m := make(map[string]string, 12)
	for part := range strings.SplitSeq(strings.Trim(s.Vector, "()"), "/") {
		if name, value, ok := strings.Cut(part, ":"); ok {
			m[name] = value
		}
	}
	return m
}
