// Package nvd reads what the National Vulnerability Database publishes: year files
// of the JSON feed 1.1, and pages of the API 2.0 (which the 2.0 year files repeat).
// Files are read item by item. A file whose header counts other items than it
// holds is not taken: it was cut off or put together wrongly.
package nvd

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// Source is vuln.Record.Source of every record.
const Source = "nvd"

// Who scored, where a record says so (API 2.0 "source").
const (
	nist     = "nvd@nist.gov"
	cisaADP  = "134c704f-9b21-4f2e-91b3-4a467353bcc0" // CISA's organisation id as an ADP
	adpLabel = "cisa-adp"
)

// file is the state of reading one document.
type file struct {
	emit   func(vuln.Record) error
	reject func(offset int64, id, reason string) error

	counted  int // what the header says, -1 where it does not
	seen     int
	lists    int
	counting string // the header's key
}

// Decode reads one NVD document, feed 1.1 or API 2.0, and hands every record to
// emit as it comes. An item that is sound JSON and no usable record goes to reject.
// An error (broken, cut off, count and items differ) means that nothing of the file
// may be kept, also what was emitted before.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	f := &file{emit: emit, reject: reject, counted: -1}
	tail := &stream.Tail{R: r}
	if err := stream.Object(tail, f.member); err != nil {
		return err
	}
	switch {
	case f.lists == 0:
		return stream.Errorf(tail.N, "neither CVE_Items nor vulnerabilities in it: no NVD document")
	case f.counted < 0:
		return stream.Errorf(tail.N, "the header does not say how many items there are (CVE_data_numberOfCVEs, resultsPerPage)")
	case f.counted != f.seen:
		return stream.Errorf(tail.N, "%s is %d, but %d items came: the file is incomplete", f.counting, f.counted, f.seen)
	}
	return nil
}

func (f *file) member(d *stream.Decoder, key string) error {
	switch key {
	case "CVE_data_numberOfCVEs":
		var text string
		if err := d.Value(&text); err != nil {
			return count(d, key, err)
		}
		n, err := strconv.Atoi(text)
		if err != nil {
			return count(d, key, err)
		}
		f.counted, f.counting = n, key
	case "resultsPerPage":
		if err := d.Value(&f.counted); err != nil {
			return count(d, key, err)
		}
		f.counting = key
	case "CVE_Items":
		f.lists++
		return d.Array(element[item11](f))
	case "vulnerabilities":
		f.lists++
		return d.Array(element[item20](f))
	default:
		return d.Skip()
	}
	return nil
}

// count makes a count that cannot be read an error of the file.
func count(d *stream.Decoder, key string, err error) error {
	return stream.Errorf(d.Offset(), "%s: %w", key, err)
}

// item is one vulnerability of either version.
type item interface {
	id() string
	record() (vuln.Record, error)
}

// element reads one item of type T.
func element[T any, P interface {
	*T
	item
}](f *file) func(d *stream.Decoder) error {
	return func(d *stream.Decoder) error {
		at := d.Offset()
		f.seen++
		it := P(new(T))
		if err := d.Value(it); stream.Mismatch(err) {
			return f.reject(at, it.id(), err.Error())
		} else if err != nil {
			return err
		}
		r, err := it.record()
		if err != nil {
			return f.reject(at, it.id(), err.Error())
		}
		return f.emit(r)
	}
}

// newRecord starts the record of one CVE.
func newRecord(id, published, modified string) (vuln.Record, error) {
	r := vuln.Record{Source: Source, ID: id, Vulnerabilities: []string{id}}
	if !vuln.IsCVE(id) {
		return r, fmt.Errorf("%q is no CVE id", id)
	}
	var err error
	if r.Published, err = parseTime("published", published); err != nil {
		return r, err
	}
	r.Modified, err = parseTime("modified", modified)
	return r, err
}

// parseTime reads NVD's times: minutes with Z in 1.1, milliseconds without a zone
// (meaning UTC) in 2.0.
func parseTime(name, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z", time.RFC3339Nano} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q is no time", name, text)
}

// text is a description in one language.
type text struct {
	Lang  string `json:"lang"`
	Value string `json:"value"`
}

// describe takes the English description, and from it whether the id was rejected:
// 1.1 has no other mark for it.
func describe(r *vuln.Record, texts []text) {
	for _, t := range texts {
		if t.Lang != "en" || t.Value == "" {
			continue
		}
		r.Texts = append(r.Texts, vuln.Text{Lang: "en", Details: t.Value})
		if strings.HasPrefix(t.Value, "** REJECT **") || strings.HasPrefix(t.Value, "Rejected reason:") {
			r.Rejected = true
		}
		return
	}
}

// refer adds a link, once per kind: 2.0 repeats the CNA's links for other sources.
func refer(r *vuln.Record, url string, tags []string) {
	ref := vuln.Reference{URL: url, Kind: kindOf(tags)}
	if url != "" && !slices.Contains(r.References, ref) {
		r.References = append(r.References, ref)
	}
}

// kindOf turns NVD's tags into one kind; an exploit outweighs the rest.
func kindOf(tags []string) string {
	for _, k := range []struct{ tag, kind string }{
		{"Exploit", "EXPLOIT"}, {"Patch", "FIX"}, {"Vendor Advisory", "ADVISORY"}, {"Third Party Advisory", "ADVISORY"},
		{"US Government Resource", "ADVISORY"}, {"Issue Tracking", "REPORT"}, {"Press/Media Coverage", "ARTICLE"},
		{"Technical Description", "ARTICLE"},
	} {
		if slices.Contains(tags, k.tag) {
			return k.kind
		}
	}
	return "WEB"
}

// weak adds a CWE once per source.
func weak(r *vuln.Record, cwe, source string) {
	w := vuln.Weakness{CWE: cwe, Source: source}
	if cwe != "" && !slices.Contains(r.Weaknesses, w) {
		r.Weaknesses = append(r.Weaknesses, w)
	}
}

// match is one CPE match; 1.1 and 2.0 call the CPE differently.
type match struct {
	Vulnerable     bool   `json:"vulnerable"`
	URI            string `json:"cpe23Uri"`
	Criteria       string `json:"criteria"`
	StartIncluding string `json:"versionStartIncluding"`
	StartExcluding string `json:"versionStartExcluding"`
	EndIncluding   string `json:"versionEndIncluding"`
	EndExcluding   string `json:"versionEndExcluding"`
}

func (m *match) words() vuln.CPEMatch {
	return vuln.CPEMatch{
		CPE: m.URI + m.Criteria, Vulnerable: m.Vulnerable,
		StartIncluding: m.StartIncluding, StartExcluding: m.StartExcluding,
		EndIncluding: m.EndIncluding, EndExcluding: m.EndExcluding,
	}
}

func matches(list []match) []vuln.CPEMatch {
	out := make([]vuln.CPEMatch, 0, len(list))
	for i := range list {
		out = append(out, list[i].words())
	}
	return out
}

// nodesOf is a list of matches under an operator as nodes that must all hold: any
// of them (OR) is one node, all of them (AND) is a node each.
func nodesOf(list []match, operator string, negate bool) []vuln.Node {
	if len(list) == 0 {
		return nil
	}
	// Not (a and b) is not a node per match: it holds as soon as one does not. A
	// negated AND does not occur; were it taken apart, it would claim too little.
	if operator != "AND" || negate {
		return []vuln.Node{{Negate: negate, Matches: matches(list)}}
	}
	nodes := make([]vuln.Node, 0, len(list))
	for i := range list {
		nodes = append(nodes, vuln.Node{Matches: []vuln.CPEMatch{list[i].words()}})
	}
	return nodes
}
