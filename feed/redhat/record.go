package redhat

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

func (e entry) record() (vuln.Record, error) {
	if !vuln.IsCVE(e.Name) {
		return vuln.Record{}, fmt.Errorf("name %q is no CVE identifier", e.Name)
	}
	published, err := parseDate(e.Public)
	if err != nil {
		return vuln.Record{}, fmt.Errorf("public_date: %w", err)
	}
	return vuln.Record{
		Source: Source, ID: e.Name, Vulnerabilities: []string{e.Name},
		Published:  published,
		Rejected:   e.rejected(),
		Texts:      e.texts(),
		Severities: e.severities(),
		Weaknesses: e.weaknesses(),
		References: e.references(),
		Affected:   e.affected(),
	}, nil
}

// parseDate reads "2024-07-01T08:00:00Z", with or without zone; an absent date stays zero.
func parseDate(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date like 2024-07-01T08:00:00Z", s)
}

// rejections are how a description of a rejected identifier begins.
var rejections = []string{"** REJECT", "Rejected reason:", "This CVE ID has been rejected", "This CVE has been marked as Rejected", "[REJECTED CVE]"}

func (e entry) rejected() bool {
	for _, text := range e.Details {
		for _, start := range rejections {
			if strings.HasPrefix(strings.TrimSpace(text), start) {
				return true
			}
		}
	}
	return false
}

// texts: the first line of the Bugzilla entry is the title; details are the CVE's own
// description and then Red Hat's, which often repeats it.
func (e entry) texts() []vuln.Text {
	var details []string
	for _, text := range e.Details {
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(details, text) {
			details = append(details, text)
		}
	}
	t := vuln.Text{Lang: "en", Title: e.title(), Details: strings.Join(details, "\n\n")}
	if t.Title == "" && t.Details == "" {
		return nil
	}
	return []vuln.Text{t}
}

// title drops the identifiers Bugzilla puts in front, and the place holder of old entries.
func (e entry) title() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.Bugzilla.Description), "\n")
	for {
		word, rest, _ := strings.Cut(line, " ")
		if !vuln.IsCVE(strings.Trim(word, "[],:")) {
			break
		}
		line = strings.TrimSpace(rest)
	}
	if line == "security flaw" {
		return ""
	}
	return strings.TrimSpace(line)
}

func (e entry) severities() []vuln.Severity {
	var out []vuln.Severity
	if vector := strings.TrimSpace(e.CVSS3.Vector); strings.HasPrefix(vector, "CVSS:") {
		version, _, _ := strings.Cut(strings.TrimPrefix(vector, "CVSS:"), "/")
		out = append(out, vuln.Severity{Source: Source, Version: version, Vector: vector, Score: e.CVSS3.Score.value()})
	}
	if vector := strings.TrimSpace(e.CVSS.Vector); vector != "" {
		out = append(out, vuln.Severity{Source: Source, Version: "2.0", Vector: vector, Score: e.CVSS.Score.value()})
	}
	if e.Severity != "" {
		out = append(out, vuln.Severity{Source: Source, Word: e.Severity})
	}
	return out
}

// value is 0, "not given", for what is no score.
func (n number) value() float64 {
	v, err := strconv.ParseFloat(string(n), 64)
	if err != nil || v < 0 || v > 10 {
		return 0
	}
	return v
}

var cweID = regexp.MustCompile(`CWE-\d+`)

// weaknesses takes every id of a chain such as "CWE-20->(CWE-89|CWE-79)".
func (e entry) weaknesses() []vuln.Weakness {
	var out []vuln.Weakness
	for _, id := range cweID.FindAllString(e.CWE, -1) {
		if w := (vuln.Weakness{CWE: id, Source: Source}); !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// references: Red Hat's page, the advisories, the Bugzilla entry, and the list, which
// the API gives as one text with a link per line.
func (e entry) references() []vuln.Reference {
	out := []vuln.Reference{{URL: "https://access.redhat.com/security/cve/" + e.Name, Kind: "ADVISORY"}}
	add := func(url, kind string) {
		url = strings.TrimSpace(url)
		if strings.Contains(url, "://") && !slices.ContainsFunc(out, func(r vuln.Reference) bool { return r.URL == url }) {
			out = append(out, vuln.Reference{URL: url, Kind: kind})
		}
	}
	for _, r := range e.Releases {
		if r.Advisory != "" {
			add("https://access.redhat.com/errata/"+r.Advisory, "ADVISORY")
		}
	}
	add(e.Bugzilla.URL, "REPORT")
	for _, text := range e.References {
		for line := range strings.SplitSeq(text, "\n") {
			add(line, "WEB")
		}
	}
	return out
}
