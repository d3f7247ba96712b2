// Package jvn reads JVN iPedia, Japan's vulnerability database, in both forms it is
// published in: JVNRSS (lists of entries, 1.0 to 2.0) and VULDEF (full entries, the
// yearly detail files and the MyJVN API). It promises one record per JVNDB entry with
// the Japanese title and summary and the CVE identifiers it speaks about; an entry it
// cannot read is rejected with its place, and a document that is not whole is refused.
//
// Entries name products without machine-readable versions (CPE names of a product,
// versions as prose), so a record says what a vulnerability is, and only where a CPE
// does carry a version, what it concerns.
package jvn

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/knqyf263/go-cpe/naming"

	"github.com/kannuki/kannuki/internal/xmldoc"
	"github.com/kannuki/kannuki/vuln"
)

// Source is the vuln.Record.Source of every record.
const Source = "jvn"

// entry is one JVNDB entry, however it was written.
type entry struct {
	id, title, details string
	published, updated string
	scores             []score
	references         []reference
	cpes               []string
}

type score struct{ version, base, vector string }

// reference is a link with the name of its publisher and its identifier there.
type reference struct {
	source, id, url string
	kind            string
}

// receiver hands on what a document says.
type receiver struct {
	lang   string
	emit   func(vuln.Record) error
	reject func(offset int64, id, reason string) error
}

// children opens a document whose root is called root, and calls each for every child.
func children(r io.Reader, root string, rcv *receiver, each func(*xmldoc.Document, xmldoc.Child) error) error {
	doc, err := xmldoc.Open(r)
	if err != nil {
		return err
	}
	if doc.Root.Name.Local != root {
		return fmt.Errorf("root element <%s>; want <%s>", doc.Root.Name.Local, root)
	}
	rcv.lang = "ja"
	for _, a := range doc.Root.Attr {
		if a.Name.Local == "lang" && a.Value != "" {
			rcv.lang = a.Value
		}
	}
	for {
		child, err := doc.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(doc, child); err != nil {
			return err
		}
	}
}

// take emits e, or rejects it.
func (rcv *receiver) take(offset int64, e entry) error {
	rec, err := e.record(rcv.lang)
	if err != nil {
		return rcv.reject(offset, e.id, err.Error())
	}
	return rcv.emit(rec)
}

var jvndbID = regexp.MustCompile(`^JVNDB-(\d{4})-\d{6,}$`)

func (e entry) record(lang string) (vuln.Record, error) {
	m := jvndbID.FindStringSubmatch(e.id)
	if m == nil {
		return vuln.Record{}, fmt.Errorf("%q is no identifier like JVNDB-2022-000001", e.id)
	}
	published, err := parseTime(e.published)
	if err != nil {
		return vuln.Record{}, fmt.Errorf("date of publication: %w", err)
	}
	modified, err := parseTime(e.updated)
	if err != nil {
		return vuln.Record{}, fmt.Errorf("date of last update: %w", err)
	}
	rec := vuln.Record{
		Source: Source, ID: e.id, Vulnerabilities: e.cves(),
		Published: published, Modified: modified,
		Severities:     e.severities(),
		Weaknesses:     e.weaknesses(),
		References:     e.links("https://jvndb.jvn.jp/" + lang + "/contents/" + m[1] + "/" + e.id + ".html"),
		Configurations: e.configurations(),
	}
	if t := (vuln.Text{Lang: lang, Title: tidy(e.title), Details: tidy(e.details)}); t.Title != "" || t.Details != "" {
		rec.Texts = []vuln.Text{t}
	}
	return rec, nil
}

// parseTime reads the W3C date forms of both formats, with and without seconds. An
// absent date stays zero.
func parseTime(s string) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date like 2022-01-19T12:05+09:00", s)
}

// tidy trims every line and drops empty ones at both ends; lines may end in CR LF.
func tidy(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r", ""), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// cves are the identifiers the entry gives as its CVEs. Where it gives none as such,
// those NVD is quoted with; where there are none at all, the entry stands for itself.
func (e entry) cves() []string {
	for _, source := range []string{"CVE", "NVD"} {
		var ids []string
		for _, r := range e.references {
			if r.source == source && vuln.IsCVE(r.id) && !slices.Contains(ids, r.id) {
				ids = append(ids, r.id)
			}
		}
		if ids != nil {
			return ids
		}
	}
	return []string{e.id}
}

func (e entry) severities() []vuln.Severity {
	var out []vuln.Severity
	for _, s := range e.scores {
		vector := strings.Trim(strings.TrimSpace(s.vector), "()")
		if vector == "" {
			continue
		}
		version := s.version
		if rest, ok := strings.CutPrefix(vector, "CVSS:"); ok {
			version, _, _ = strings.Cut(rest, "/")
		}
		base, err := strconv.ParseFloat(strings.TrimSpace(s.base), 64)
		if err != nil || base < 0 || base > 10 {
			base = 0 // not given
		}
		out = append(out, vuln.Severity{Source: Source, Version: version, Vector: vector, Score: base})
	}
	return out
}

var cweID = regexp.MustCompile(`^CWE-(?:\d+|noinfo|Other)$`)

// weaknesses are the references to CWE entries. JVN took the two place holders over
// from NVD and shortened their names.
func (e entry) weaknesses() []vuln.Weakness {
	var out []vuln.Weakness
	for _, r := range e.references {
		if !cweID.MatchString(r.id) {
			continue
		}
		w := vuln.Weakness{CWE: r.id, Source: Source}
		if r.id == "CWE-noinfo" || r.id == "CWE-Other" {
			w.CWE = "NVD-" + r.id
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// links are the entry's own page and its references, without those to CWE entries.
func (e entry) links(own string) []vuln.Reference {
	out := []vuln.Reference{{URL: own, Kind: "ADVISORY"}}
	for _, r := range e.references {
		ref := vuln.Reference{URL: strings.TrimSpace(r.url), Kind: r.kind}
		if !strings.Contains(ref.URL, "://") || cweID.MatchString(r.id) || slices.Contains(out, ref) {
			continue
		}
		out = append(out, ref)
	}
	return out
}

// configurations are the CPE names that carry a version.
func (e entry) configurations() []vuln.Configuration {
	var matches []vuln.CPEMatch
	for _, uri := range e.cpes {
		if strings.Count(uri, ":") < 4 { // cpe:/part:vendor:product and no version
			continue
		}
		name, err := naming.UnbindURI(strings.TrimSpace(uri))
		if err != nil {
			continue
		}
		m := vuln.CPEMatch{CPE: naming.BindToFS(name), Vulnerable: true}
		if v := name.GetString("version"); v != "" && v != "ANY" && v != "NA" && !slices.Contains(matches, m) {
			matches = append(matches, m)
		}
	}
	if matches == nil {
		return nil
	}
	return []vuln.Configuration{{Nodes: []vuln.Node{{Matches: matches}}}}
}
