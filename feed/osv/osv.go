// Package osv reads records of the Open Source Vulnerability format, version 1.x
// (https://ossf.github.io/osv-schema/), one JSON document each, as osv.dev and the
// distributions export them. It keeps what says which versions of which package
// are affected, names the database a record is at home in, and lists the CVE ids
// it speaks about. Ranges are authoritative: the versions enumerated from them are
// dropped (of 1,795,512 versions listed in Debian's export of 2025-02-12 none lay
// outside its ranges in dpkg's order) and kept only where no range says it.
package osv

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// What Note counts: parts of a record that are tolerated and not taken.
const (
	NoPackage    = "affected entry without a package"
	GitOnly      = "affected entry with commits only (GIT ranges)"
	NoVersions   = "affected entry without any version"
	ManyLimits   = "range with several limits (limits not applied)"
	OtherRange   = "range of a kind we do not know"
	OtherMeasure = "severity of a kind we do not know"
)

// document is the part of the schema that is read.
type document struct {
	ID         string     `json:"id"`
	Modified   string     `json:"modified"`
	Published  string     `json:"published"`
	Withdrawn  string     `json:"withdrawn"`
	Aliases    []string   `json:"aliases"`
	Upstream   []string   `json:"upstream"`
	Related    []string   `json:"related"`
	Summary    string     `json:"summary"`
	Details    string     `json:"details"`
	Severity   []severity `json:"severity"`
	Affected   []affected `json:"affected"`
	References []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"references"`
	Database raw `json:"database_specific"`
}

// raw is a value left undecoded. Unlike json.RawMessage it is no copy but a part of
// the document's bytes, which outlive the decoding: most of a distribution's bytes
// are lists of versions that are seldom needed.
type raw []byte

// UnmarshalJSON keeps the place of the value.
func (r *raw) UnmarshalJSON(value []byte) error {
	*r = value
	return nil
}

type severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type affected struct {
	Package *struct {
		Ecosystem string `json:"ecosystem"`
		Name      string `json:"name"`
		PURL      string `json:"purl"`
	} `json:"package"`
	Severity []severity `json:"severity"`
	Ranges   []struct {
		Type   string `json:"type"`
		Events []struct {
			Introduced   string `json:"introduced"`
			Fixed        string `json:"fixed"`
			LastAffected string `json:"last_affected"`
			Limit        string `json:"limit"`
		} `json:"events"`
	} `json:"ranges"`
	Versions  raw `json:"versions"`
	Ecosystem raw `json:"ecosystem_specific"`
}

// Decode reads one OSV record from r and hands it to emit. A record that is sound
// JSON and no usable OSV record goes to reject, with the byte, its id and the
// reason. A document that is broken or cut off is an error that says where.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	return DecodeNoting(r, emit, reject, func(string, int) {})
}

// DecodeNoting is Decode, and tells note what it tolerated and left out, and how often.
func DecodeNoting(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error,
	note func(what string, n int)) error {
	data, err := stream.ReadAll(r)
	if err != nil {
		return err
	}
	var d document
	if err := stream.Unmarshal(data, &d); stream.Mismatch(err) {
		return reject(0, d.ID, err.Error())
	} else if err != nil {
		return err
	}
	record, err := d.record(note)
	if err != nil {
		return reject(0, d.ID, err.Error())
	}
	return emit(record)
}

func (d *document) record(note func(string, int)) (vuln.Record, error) {
	if d.ID == "" {
		return vuln.Record{}, fmt.Errorf("no id")
	}
	r := vuln.Record{Source: d.source(), ID: d.ID, Vulnerabilities: d.vulnerabilities()}
	var err error
	for _, t := range []struct {
		name, text string
		into       *time.Time
	}{{"modified", d.Modified, &r.Modified}, {"published", d.Published, &r.Published}, {"withdrawn", d.Withdrawn, &r.Withdrawn}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			*t.into, err = time.Parse(time.DateOnly, t.text) // against the schema, but clear
		}
		if err != nil {
			return r, fmt.Errorf("%s: %.60q is no RFC 3339 time", t.name, t.text)
		}
		*t.into = t.into.UTC()
	}
	if r.Modified.IsZero() {
		return r, fmt.Errorf("no modified time")
	}
	if d.Summary != "" || d.Details != "" {
		r.Texts = []vuln.Text{{Lang: "en", Title: d.Summary, Details: d.Details}}
	}
	for _, ref := range d.References {
		if ref.URL != "" {
			r.References = append(r.References, vuln.Reference{URL: ref.URL, Kind: ref.Type})
		}
	}
	if err := d.addAffected(&r, note); err != nil {
		return r, err
	}
	d.addSeverity(&r, note)
	return r, nil
}

func (d *document) addAffected(r *vuln.Record, note func(string, int)) error {
	for i := range d.Affected {
		a := &d.Affected[i]
		if a.Package == nil || a.Package.Name == "" || a.Package.Ecosystem == "" {
			note(NoPackage, 1)
			continue
		}
		out, err := a.words(note)
		if err != nil {
			return fmt.Errorf("affected %s %s: %w", a.Package.Ecosystem, a.Package.Name, err)
		}
		if out.Module == "" && modular(out.Ranges) {
			out.Module = streams(d.Summary)
		}
		switch {
		case len(out.Ranges) > 0 || len(out.Versions) > 0:
			r.Affected = append(r.Affected, out)
		case len(a.Ranges) > 0:
			note(GitOnly, 1)
		default:
			note(NoVersions, 1)
		}
	}
	return nil
}

// words is the entry in the words of vuln.
func (a *affected) words(note func(string, int)) (vuln.Affected, error) {
	out := vuln.Affected{Ecosystem: releaseOf(a.Package.Ecosystem), Package: a.Package.Name}
	a.qualify(&out)
	for _, r := range a.Ranges {
		var kind string
		switch r.Type {
		case "ECOSYSTEM":
		case "SEMVER":
			kind = r.Type
		case "GIT":
			continue // commits name no installed version
		default:
			note(OtherRange, 1)
			continue
		}
		limits, introduced := 0, false
		for _, e := range r.Events {
			if e.Limit != "" && e.Limit != "*" {
				limits++
			}
			introduced = introduced || e.Introduced != ""
		}
		if !introduced {
			return out, fmt.Errorf("a range has no introduced event")
		}
		if limits > 1 {
			note(ManyLimits, 1)
		}
		rng := vuln.Range{Kind: kind}
		for _, e := range r.Events {
			// Older exports put two events into one object.
			if e.Introduced != "" {
				rng.Events = append(rng.Events, vuln.Event{Introduced: e.Introduced})
			}
			if e.Fixed != "" {
				rng.Events = append(rng.Events, vuln.Event{Fixed: e.Fixed})
			}
			if e.LastAffected != "" {
				rng.Events = append(rng.Events, vuln.Event{LastAffected: e.LastAffected})
			}
			// A single limit ends what is affected, exclusively, as fixed does. Of several
			// the highest holds, which needs the version order: then the wider range stands.
			if e.Limit != "" && e.Limit != "*" && limits == 1 {
				rng.Events = append(rng.Events, vuln.Event{Fixed: e.Limit})
			}
		}
		out.Ranges = append(out.Ranges, rng)
	}
	if len(out.Ranges) == 0 && len(a.Versions) > 0 {
		if err := json.Unmarshal(a.Versions, &out.Versions); err != nil {
			return out, fmt.Errorf("versions: %w", err)
		}
	}
	return out, nil
}

// qualify adds what the package URL and the publisher's own fields say.
func (a *affected) qualify(out *vuln.Affected) {
	switch family, _, _ := strings.Cut(out.Ecosystem, ":"); family {
	case "Debian", "Ubuntu", "Alpine":
		out.SourcePackage = true
	}
	switch arch := qualifier(a.Package.PURL, "arch"); arch {
	case "":
	case "source", "src":
		out.SourcePackage = true
	case "noarch", "all":
	default:
		out.Arches = strings.Split(arch, ",")
	}
	out.Module = qualifier(a.Package.PURL, "rpmmod")
	var own struct {
		Urgency  any `json:"urgency"`
		Ubuntu   any `json:"ubuntu_priority"`
		Severity any `json:"severity"`
	}
	if len(a.Ecosystem) > 0 {
		// These fields are the publisher's own: another shape than we know says nothing.
		_ = json.Unmarshal(a.Ecosystem, &own)
	}
	urgency := cmp.Or(word(own.Urgency), word(own.Ubuntu), word(own.Severity))
	if urgency == "" {
		for _, s := range a.Severity {
			if s.Type == "Ubuntu" {
				urgency = s.Score
			}
		}
	}
	switch urgency {
	case "not yet assigned": // Debian's way to say nothing
	case "end-of-life":
		out.Urgency, out.Status = urgency, "end_of_life"
	default:
		out.Urgency = urgency
	}
}

// word is v where it is a text.
func word(v any) string {
	s, _ := v.(string)
	return s
}

func (d *document) addSeverity(r *vuln.Record, note func(string, int)) {
	add := func(s vuln.Severity) {
		s.Source = r.Source
		if !slices.Contains(r.Severities, s) {
			r.Severities = append(r.Severities, s)
		}
	}
	take := func(list []severity) {
		for _, s := range list {
			switch {
			case strings.HasPrefix(s.Type, "CVSS_V"):
				add(vuln.Severity{Version: cvssVersion(s), Vector: s.Score})
			case s.Type == "Ubuntu":
				add(vuln.Severity{Word: s.Score})
			default:
				note(OtherMeasure, 1)
			}
		}
	}
	take(d.Severity)
	for i := range d.Affected {
		take(d.Affected[i].Severity)
	}
	var own struct {
		CWEs     []string `json:"cwe_ids"`
		Severity any      `json:"severity"`
	}
	if len(d.Database) > 0 {
		_ = json.Unmarshal(d.Database, &own) // the publisher's own fields, as in qualify
	}
	if s := word(own.Severity); s != "" {
		add(vuln.Severity{Word: s})
	}
	for _, cwe := range own.CWEs {
		r.Weaknesses = append(r.Weaknesses, vuln.Weakness{CWE: cwe, Source: r.Source})
	}
}

func cvssVersion(s severity) string {
	if rest, ok := strings.CutPrefix(s.Score, "CVSS:"); ok {
		version, _, _ := strings.Cut(rest, "/")
		return version
	}
	if s.Type == "CVSS_V2" {
		return "2.0"
	}
	return ""
}
