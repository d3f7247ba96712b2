package triage

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kannuki/kannuki/triage/classify"
	"github.com/kannuki/kannuki/vuln"
)

// The two rule sets of TRIAGE.md section 1, by the names every output carries.
const (
	CVEDetailsRules = "cvedetails"
	FullRules       = "full"
)

// DigestOf reduces what all sources say about one vulnerability to what a decision
// needs, with types by the full rule set. Known is left for the store to fill.
func DigestOf(v vuln.Vulnerability) Digest {
	d := Digest{
		ID:        v.ID,
		Title:     headline(v.Title.Value, v.Details.Value),
		TitleJA:   headline(v.TitleJA.Value, v.DetailsJA.Value),
		Published: v.Published.Value,
		Rejected:  v.Rejected,
		CWEs:      cweIDs(v.Weaknesses),
		Typings:   TypesOf(v, FullRules, ""),
		KEV:       v.KEV,
		SSVC:      v.SSVC,
		Exploit:   exploit(v.References),
	}
	if v.Severity != nil {
		d.Severity = *v.Severity
	}
	if v.EPSS != nil {
		d.EPSS = v.EPSS.Score
	}
	return d
}

// TypesOf types v by one of the two rule sets: from what the named source says alone
// ("nvd", "msrc", …), or from what all say together where source is empty. Unless
// rules is CVEDetailsRules, the full set applies.
func TypesOf(v vuln.Vulnerability, rules, source string) []vuln.Typing {
	in := classify.Input{Title: v.Title.Value, Details: v.Details.Value, Weaknesses: v.Weaknesses,
		Impacts: v.Impacts, Severities: v.Severities, Rejected: v.Rejected}
	if source != "" {
		in = inputOf(v.Records, source)
	}
	return classifyBy(rules, in)
}

func classifyBy(rules string, in classify.Input) []vuln.Typing {
	if rules == CVEDetailsRules {
		return classify.CVEDetailsTypings(in)
	}
	return classify.Full(in)
}

// inputOf gathers what one source says.
func inputOf(records []vuln.Record, source string) classify.Input {
	var in classify.Input
	standing := false
	for i := range records {
		r := &records[i]
		if r.Source != source || !r.Withdrawn.IsZero() {
			continue
		}
		if r.Rejected {
			in.Rejected = true
			continue
		}
		standing = true
		for _, t := range r.Texts {
			if t.Lang != "" && !strings.HasPrefix(t.Lang, "en") {
				continue
			}
			if in.Title == "" {
				in.Title = t.Title
			}
			if in.Details == "" {
				in.Details = t.Details
			}
		}
		in.Weaknesses = append(in.Weaknesses, r.Weaknesses...)
		in.Impacts = append(in.Impacts, r.Impacts...)
		in.Severities = append(in.Severities, r.Severities...)
	}
	in.Rejected = in.Rejected && !standing
	return in
}

// headline is a record's title, or the first sentence of its description.
func headline(title, details string) string {
	if title != "" {
		return title
	}
	const most = 120 // characters
	text := strings.Join(strings.Fields(details), " ")
	for _, stop := range []string{". ", "。"} {
		if i := strings.Index(text, stop); i > 0 {
			text = text[:i]
		}
	}
	text = strings.TrimSuffix(text, ".")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	cut := string([]rune(text)[:most])
	if i := strings.LastIndexByte(cut, ' '); i > most/2 {
		cut = cut[:i]
	}
	return cut + "…"
}

// cweIDs are the distinct ids in the order of the sources' rank; the placeholders
// NVD uses for "other" and "no information" are no weaknesses.
func cweIDs(list []vuln.Weakness) []string {
	var out []string
	for _, w := range list {
		if strings.HasPrefix(w.CWE, "CWE-") && !slices.Contains(out, w.CWE) {
			out = append(out, w.CWE)
		}
	}
	return out
}

// exploit is the address of a public exploit, where a source marks one.
func exploit(list []vuln.Reference) string {
	for _, kind := range []string{"EXPLOIT", "EVIDENCE"} {
		for _, r := range list {
			if strings.EqualFold(r.Kind, kind) {
				return r.URL
			}
		}
	}
	return ""
}
