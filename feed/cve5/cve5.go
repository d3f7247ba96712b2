// Package cve5 reads CVE records in the CVE JSON format 5 (one document each), as
// the CVE Program and CISA's Vulnrichment publish them. What the CNA says and what
// the authorised data publishers (ADP) add stay apart by their source; of CISA's
// ADP it takes the SSVC values, CVSS, CWE and the entry in the KEV catalogue.
package cve5

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// Source is vuln.Record.Source of every record. Who said what inside it: "cna",
// "cisa-adp", or "adp/" and the publisher's short name.
const (
	Source  = "cve5"
	cna     = "cna"
	cisaADP = "cisa-adp"
)

// cisaID is the organisation id of CISA as an ADP.
const cisaID = "134c704f-9b21-4f2e-91b3-4a467353bcc0"

type document struct {
	DataType string `json:"dataType"`
	Meta     struct {
		ID        string `json:"cveId"`
		State     string `json:"state"`
		Published string `json:"datePublished"`
		Updated   string `json:"dateUpdated"`
		Rejected  string `json:"dateRejected"`
	} `json:"cveMetadata"`
	Containers struct {
		CNA container   `json:"cna"`
		ADP []container `json:"adp"`
	} `json:"containers"`
}

// container is what one party says. CNA and ADP have the same shape.
type container struct {
	Provider struct {
		OrgID     string `json:"orgId"`
		ShortName string `json:"shortName"`
	} `json:"providerMetadata"`
	Title        string   `json:"title"`
	Descriptions []text   `json:"descriptions"`
	Reasons      []text   `json:"rejectedReasons"`
	Metrics      []metric `json:"metrics"`
	Problems     []struct {
		Descriptions []struct {
			CWE         string `json:"cweId"`
			Description string `json:"description"`
		} `json:"descriptions"`
	} `json:"problemTypes"`
	References []struct {
		URL  string   `json:"url"`
		Tags []string `json:"tags"`
	} `json:"references"`
	Affected      []product       `json:"affected"`
	Applicability []applicability `json:"cpeApplicability"`
}

type text struct {
	Lang  string `json:"lang"`
	Value string `json:"value"`
}

type metric struct {
	V40   *cvss `json:"cvssV4_0"`
	V31   *cvss `json:"cvssV3_1"`
	V30   *cvss `json:"cvssV3_0"`
	V2    *cvss `json:"cvssV2_0"`
	Other *struct {
		Type    string          `json:"type"`
		Content json.RawMessage `json:"content"`
	} `json:"other"`
}

type cvss struct {
	Version string  `json:"version"`
	Vector  string  `json:"vectorString"`
	Score   float64 `json:"baseScore"`
	Word    string  `json:"baseSeverity"`
}

// Decode reads one CVE record from r and hands it to emit. A record that is sound
// JSON and no usable CVE record goes to reject. A document that is broken or cut
// off is an error that says where.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	data, err := stream.ReadAll(r)
	if err != nil {
		return err
	}
	var d document
	if err := stream.Unmarshal(data, &d); stream.Mismatch(err) {
		return reject(0, d.Meta.ID, err.Error())
	} else if err != nil {
		return err
	}
	record, err := d.record()
	if err != nil {
		return reject(0, d.Meta.ID, err.Error())
	}
	return emit(record)
}

func (d *document) record() (vuln.Record, error) {
	r := vuln.Record{Source: Source, ID: d.Meta.ID, Vulnerabilities: []string{d.Meta.ID}}
	if !vuln.IsCVE(r.ID) {
		return r, fmt.Errorf("cveId: %q is no CVE id", r.ID)
	}
	switch d.Meta.State {
	case "PUBLISHED":
	case "REJECTED":
		r.Rejected = true
	default:
		return r, fmt.Errorf("state %q: expected PUBLISHED or REJECTED", d.Meta.State)
	}
	var err error
	if r.Published, err = parseTime("datePublished", d.Meta.Published); err != nil {
		return r, err
	}
	updated := d.Meta.Updated
	if updated == "" {
		updated = d.Meta.Rejected
	}
	if r.Modified, err = parseTime("dateUpdated", updated); err != nil {
		return r, err
	}
	if err := d.Containers.CNA.add(&r, cna); err != nil {
		return r, err
	}
	for i := range d.Containers.ADP {
		c := &d.Containers.ADP[i]
		// The title of an ADP's container names the container, not the vulnerability.
		c.Title = ""
		if err := c.add(&r, c.source()); err != nil {
			return r, err
		}
	}
	return r, nil
}

// source names who speaks in an ADP container.
func (c *container) source() string {
	if c.Provider.OrgID == cisaID || c.Provider.ShortName == "CISA-ADP" {
		return cisaADP
	}
	return "adp/" + strings.ToLower(c.Provider.ShortName)
}

// add adds what one party says.
func (c *container) add(r *vuln.Record, source string) error {
	c.describe(r, source)
	for i := range c.Metrics {
		if err := c.Metrics[i].add(r, source); err != nil {
			return err
		}
	}
	for _, p := range c.Problems {
		for _, d := range p.Descriptions {
			w := vuln.Weakness{CWE: cweIn(d.CWE, d.Description), Source: source}
			if w.CWE != "" && !slices.Contains(r.Weaknesses, w) {
				r.Weaknesses = append(r.Weaknesses, w)
			}
		}
	}
	for _, link := range c.References {
		ref := vuln.Reference{URL: link.URL, Kind: kindOf(link.Tags)}
		if ref.URL != "" && !slices.Contains(r.References, ref) {
			r.References = append(r.References, ref)
		}
	}
	for i := range c.Applicability {
		r.Configurations = append(r.Configurations, c.Applicability[i].configurations()...)
	}
	for i := range c.Affected {
		if conf, sound := c.Affected[i].configuration(); sound {
			r.Configurations = append(r.Configurations, conf)
		}
	}
	return nil
}

// describe takes title and English description, for a rejected id the reason.
func (c *container) describe(r *vuln.Record, source string) {
	t := vuln.Text{Lang: "en", Source: source, Title: c.Title}
	for _, d := range slices.Concat(c.Descriptions, c.Reasons) {
		if strings.HasPrefix(strings.ToLower(d.Lang), "en") && d.Value != "" {
			t.Details = d.Value
			break
		}
	}
	if t.Title != "" || t.Details != "" {
		r.Texts = append(r.Texts, t)
	}
}

func (m *metric) add(r *vuln.Record, source string) error {
	for _, c := range []struct {
		*cvss
		version string
	}{{m.V31, "3.1"}, {m.V30, "3.0"}, {m.V40, "4.0"}, {m.V2, "2.0"}} {
		if c.cvss != nil && c.Vector != "" {
			r.Severities = append(r.Severities, vuln.Severity{
				Source: source, Version: c.version, Vector: c.Vector, Score: c.Score, Word: c.Word,
			})
		}
	}
	if m.Other == nil {
		return nil
	}
	switch {
	case source == cisaADP && m.Other.Type == "ssvc":
		return m.assess(r)
	case source == cisaADP && m.Other.Type == "kev":
		return m.exploited(r)
	}
	// Vendors' own words: Red Hat says "value", others "text". Other shapes say nothing to us.
	var own struct {
		Value any `json:"value"`
		Text  any `json:"text"`
	}
	if json.Unmarshal(m.Other.Content, &own) == nil {
		for _, v := range []any{own.Value, own.Text} {
			if word, ok := v.(string); ok && word != "" && len(word) < 40 {
				r.Severities = append(r.Severities, vuln.Severity{Source: source, Word: word})
			}
		}
	}
	return nil
}

// assess takes CISA's SSVC values: [{"Exploitation": "none"}, {"Automatable": "no"}, {"Technical Impact": "partial"}].
func (m *metric) assess(r *vuln.Record) error {
	var content struct {
		Timestamp string              `json:"timestamp"`
		Options   []map[string]string `json:"options"`
	}
	if err := json.Unmarshal(m.Other.Content, &content); err != nil {
		return fmt.Errorf("ssvc: %w", err)
	}
	s := vuln.SSVC{Source: cisaADP}
	for _, option := range content.Options {
		for name, value := range option {
			value = strings.ToLower(value)
			switch strings.ToLower(strings.ReplaceAll(name, " ", "")) {
			case "exploitation":
				s.Exploitation = value
			case "automatable":
				s.Automatable = value
			case "technicalimpact":
				s.Impact = value
			}
		}
	}
	var err error
	if s.At, err = parseTime("ssvc timestamp", content.Timestamp); err != nil {
		return err
	}
	if r.SSVC == nil || s.At.After(r.SSVC.At) {
		r.SSVC = &s
	}
	return nil
}

func (m *metric) exploited(r *vuln.Record) error {
	var content struct {
		Added string `json:"dateAdded"`
	}
	if err := json.Unmarshal(m.Other.Content, &content); err != nil {
		return fmt.Errorf("kev: %w", err)
	}
	added, err := parseTime("kev dateAdded", content.Added)
	if err == nil {
		r.KEV = &vuln.KEV{Added: added}
	}
	return err
}

// parseTime reads a time; without a zone it is UTC, as the CVE Program means it.
func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %.60q is no time", name, text)
}

// cweIn is the CWE id that is given, or that the description begins with.
func cweIn(id, description string) string {
	for _, text := range []string{id, description} {
		rest, ok := strings.CutPrefix(strings.TrimSpace(text), "CWE-")
		if !ok {
			continue
		}
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n > 0 {
			return "CWE-" + rest[:n]
		}
	}
	return ""
}

// kindOf turns the format's reference tags into one kind; an exploit outweighs the rest.
func kindOf(tags []string) string {
	for _, k := range []struct{ tag, kind string }{
		{"exploit", "EXPLOIT"}, {"x_refsource_EXPLOIT-DB", "EXPLOIT"}, {"patch", "FIX"}, {"vendor-advisory", "ADVISORY"},
		{"third-party-advisory", "ADVISORY"}, {"government-resource", "ADVISORY"}, {"issue-tracking", "REPORT"},
		{"technical-description", "ARTICLE"}, {"media-coverage", "ARTICLE"},
	} {
		if slices.Contains(tags, k.tag) {
			return k.kind
		}
	}
	return "WEB"
}
