// Package classify tells which of the thirteen types of TRIAGE.md section 1 a
// vulnerability has. It keeps two rule sets: the compatible one of section 1a
// (CVEDetails), which reproduces published tables, and the one a defender needs,
// section 1b (Full). It promises to be pure and deterministic, to give every type
// at most once, in table order, and to say for each what it was read from.
//
// The rules are data: phrases in rules.go, weaknesses in cwe.go, what is cut away
// before reading in strip.go. They are matched by hand-written word scanners, since
// a morning's import types tens of thousands of texts; a test holds the scanners
// against the regular expressions of the page.
package classify

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// Input is what one or several sources say about one vulnerability.
type Input struct {
	Title   string // English
	Details string // English description
	// Weaknesses are the CWE ids; the source "cisa-adp" makes a typing's source "adp".
	Weaknesses []vuln.Weakness
	// Impacts are a vendor's own words (MSRC). Words that are no impact are ignored.
	Impacts []vuln.Impact
	// Severities are CVSS vectors, the one that decides first; unreadable ones are skipped.
	Severities []vuln.Severity
	// Rejected says the identifier is no vulnerability: it has no types.
	Rejected bool
}

// The sources and confidences of a typing; vuln.Typing documents them.
const (
	fromText   = "text"
	fromCWE    = "cwe"
	fromADP    = "adp"
	fromVendor = "vendor"
	fromCVSS   = "cvss"

	high = "high"
	low  = "low"
)

// CVEDetails returns the types by the compatible rule set (TRIAGE.md 1a), in table
// order: the description, or the title where there is none, and five CWE ids.
// CVSS and vendor impact play no part.
func CVEDetails(in Input) []vuln.Type {
	var types []vuln.Type
	for _, t := range CVEDetailsTypings(in) {
		types = append(types, t.Type)
	}
	return types
}

// CVEDetailsTypings is CVEDetails with the evidence for each type.
func CVEDetailsTypings(in Input) []vuln.Typing {
	if in.IsRejected() {
		return nil
	}
	text := in.Details
	if text == "" {
		text = in.Title
	}
	var v verdict
	v.read(strings.ToLower(text), compatibleRules)
	for _, w := range in.Weaknesses {
		for _, c := range compatibleWeaknesses {
			if number(w.CWE) == c.cwe {
				v.give(c.typ, sourceOf(w), high, w.CWE+by(w.Source))
			}
		}
	}
	return v.typings()
}

// Full returns the types by the full rule set (TRIAGE.md 1b), in table order.
// Rejected records have none. Boilerplate and negations are cut away; then the text
// speaks, then the weaknesses, then the vendor, and CVSS where nothing else did.
func Full(in Input) []vuln.Typing {
	if in.IsRejected() {
		return nil
	}
	text := prepare(in.Title, in.Details)
	vec := firstVector(in.Severities)
	v := verdict{stated: stated(text)}
	v.read(text, fullRules)
	v.takeWeaknesses(in.Weaknesses, text, &vec)
	for _, i := range in.Impacts {
		if t, ok := impactTypes[strings.ToLower(strings.TrimSpace(i.Word))]; ok {
			v.give(t, fromVendor, high, i.Word+by(i.Source))
		}
	}
	v.takeVector(in.Weaknesses, &vec)
	return v.typings()
}

// impactTypes are MSRC's impact words that name a type.
var impactTypes = map[string]vuln.Type{
	"remote code execution":   vuln.Exec,
	"elevation of privilege":  vuln.Priv,
	"information disclosure":  vuln.Info,
	"denial of service":       vuln.DoS,
	"security feature bypass": vuln.Bypass,
}

// Tags returns the vendor impacts that are shown beside the types and name none of
// them: "spoofing", "tampering"; each once, in this order.
func Tags(in Input) []string {
	var tags []string
	for _, tag := range []string{"spoofing", "tampering"} {
		if slices.ContainsFunc(in.Impacts, func(i vuln.Impact) bool { return strings.EqualFold(strings.TrimSpace(i.Word), tag) }) {
			tags = append(tags, tag)
		}
	}
	return tags
}

// IsRejected tells whether the input is about a rejected identifier: it says so, or
// its description is one of the two by which CVE marks one where a feed has no state.
func (in Input) IsRejected() bool {
	if in.Rejected {
		return true
	}
	const longest = len("** rejected **")
	head := strings.TrimSpace(in.Details)
	head = strings.ToLower(head[:min(len(head), longest+2)])
	return strings.HasPrefix(head, "** reject") || strings.HasPrefix(head, "rejected reason:")
}

// verdict collects the typings of one vulnerability, at most one for each type.
type verdict struct {
	have   set
	given  [typeCount]vuln.Typing // by position in vuln.Types
	stated set                    // see stated: other consequences are not inferred
}

// give adds a typing. The first evidence for a type stays, unless it was weak and
// this is strong.
func (v *verdict) give(t vuln.Type, source, confidence, why string) {
	if source != fromText && source != fromVendor && v.stated != 0 && consequences.has(t) && !v.stated.has(t) {
		return
	}
	i := position(t)
	if v.have.has(t) && (v.given[i].Confidence == high || confidence == low) {
		return
	}
	v.have |= bit(t)
	v.given[i] = vuln.Typing{Type: t, Source: source, Confidence: confidence, Why: why}
}

// read applies the text rules.
func (v *verdict) read(text string, rules []rule) {
	for i := range rules {
		r := &rules[i]
		if v.have.has(r.typ) {
			continue
		}
		if span, ok := r.find(text); ok {
			v.give(r.typ, fromText, r.confidence, quote(span))
		}
	}
}

func (v *verdict) typings() []vuln.Typing {
	if v.have == 0 {
		return nil
	}
	out := make([]vuln.Typing, 0, 4)
	for i, t := range vuln.Types {
		if v.have.has(t) {
			out = append(out, v.given[i])
		}
	}
	return out
}

// quote shortens the words that fired to what fits a line of a report.
func quote(span string) string {
	const most = 80
	span = strings.Join(strings.Fields(strings.ToValidUTF8(span, "")), " ")
	if len(span) > most {
		span = strings.ToValidUTF8(span[:most], "") + "…"
	}
	return `"` + span + `"`
}

func by(source string) string {
	if source == "" {
		return ""
	}
	return " (" + source + ")"
}

// sourceOf tells CISA's enrichment from everybody else's CWE.
func sourceOf(w vuln.Weakness) string {
	if w.Source == "cisa-adp" {
		return fromADP
	}
	return fromCWE
}

// set is a set of types, one bit for each in table order.
type set uint16

const typeCount = 13

func position(t vuln.Type) int {
	for i, x := range vuln.Types {
		if x == t {
			return i
		}
	}
	panic("classify: a rule names the unknown type " + string(t))
}

func bit(t vuln.Type) set          { return 1 << position(t) }
func (s set) has(t vuln.Type) bool { return s&bit(t) != 0 }
