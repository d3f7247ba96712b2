// Package kev reads CISA's catalogue of Known Exploited Vulnerabilities, as JSON or
// CSV. A catalogue whose count differs from what it holds, or whose last line is
// cut off, is not taken.
package kev

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// Source is vuln.Record.Source of every record.
const Source = "kev"

// entry is one vulnerability of the catalogue, in the JSON's names.
type entry struct {
	CVE        string   `json:"cveID"`
	Name       string   `json:"vulnerabilityName"`
	Added      string   `json:"dateAdded"`
	Details    string   `json:"shortDescription"`
	Action     string   `json:"requiredAction"`
	Due        string   `json:"dueDate"`
	Ransomware string   `json:"knownRansomwareCampaignUse"`
	Notes      string   `json:"notes"`
	CWEs       []string `json:"cwes"`
}

// Decode reads the catalogue in either form, told apart by its first character, and
// hands one record per CVE to emit. Entries that cannot be used go to reject. After
// an error nothing of the file may be kept.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	br := bufio.NewReader(r)
	head, err := br.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return &stream.Error{At: 0, Err: err}
	}
	if len(head) > 0 && (head[0] == 'c' || head[0] == '"') {
		return decodeCSV(br, emit, reject)
	}
	return decodeJSON(br, emit, reject)
}

func decodeJSON(r io.Reader, emit func(vuln.Record) error, reject func(int64, string, string) error) error {
	declared, seen, lists := -1, 0, 0
	tail := &stream.Tail{R: r}
	err := stream.Object(tail, func(d *stream.Decoder, key string) error {
		switch key {
		case "count":
			if err := d.Value(&declared); err != nil {
				return stream.Errorf(d.Offset(), "count: %w", err)
			}
			return nil
		case "vulnerabilities":
			lists++
			return d.Array(func(d *stream.Decoder) error {
				at := d.Offset()
				seen++
				var e entry
				if err := d.Value(&e); stream.Mismatch(err) {
					return reject(at, e.CVE, err.Error())
				} else if err != nil {
					return err
				}
				return e.hand(at, emit, reject)
			})
		}
		return d.Skip()
	})
	switch {
	case err != nil:
		return err
	case lists == 0:
		return stream.Errorf(tail.N, "no vulnerabilities in it: no KEV catalogue")
	case declared != seen:
		return stream.Errorf(tail.N, "count is %d, but %d entries came: the catalogue is incomplete", declared, seen)
	}
	return nil
}

func decodeCSV(r io.Reader, emit func(vuln.Record) error, reject func(int64, string, string) error) error {
	tail := &stream.Tail{R: r}
	rows := csv.NewReader(tail)
	header, err := rows.Read()
	if err != nil {
		return &stream.Error{At: rows.InputOffset(), Err: err}
	}
	column := map[string]int{}
	for i, name := range header {
		column[name] = i
	}
	for _, name := range []string{"cveID", "vulnerabilityName", "dateAdded"} {
		if _, ok := column[name]; !ok {
			return stream.Errorf(rows.InputOffset(), "no column %q: no KEV catalogue, or its header is cut off", name)
		}
	}
	for {
		at := rows.InputOffset()
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return &stream.Error{At: at, Err: err} // also a line with fewer columns: cut off
		}
		cell := func(name string) string {
			if i, ok := column[name]; ok {
				return row[i]
			}
			return ""
		}
		e := entry{
			CVE: cell("cveID"), Name: cell("vulnerabilityName"), Added: cell("dateAdded"), Details: cell("shortDescription"),
			Action: cell("requiredAction"), Due: cell("dueDate"), Ransomware: cell("knownRansomwareCampaignUse"), Notes: cell("notes"),
		}
		if cwes := cell("cwes"); cwes != "" {
			for cwe := range strings.SplitSeq(cwes, ",") {
				e.CWEs = append(e.CWEs, strings.TrimSpace(cwe))
			}
		}
		if err := e.hand(at, emit, reject); err != nil {
			return err
		}
	}
	if tail.Last != '\n' {
		return stream.Errorf(tail.N, "the last line has no end: the file is cut off")
	}
	return nil
}

// hand gives the entry to emit, or to reject with the reason.
func (e *entry) hand(at int64, emit func(vuln.Record) error, reject func(int64, string, string) error) error {
	r, err := e.record()
	if err != nil {
		return reject(at, e.CVE, err.Error())
	}
	return emit(r)
}

func (e *entry) record() (vuln.Record, error) {
	r := vuln.Record{Source: Source, ID: e.CVE, Vulnerabilities: []string{e.CVE}}
	if !vuln.IsCVE(e.CVE) {
		return r, fmt.Errorf("%q is no CVE id", e.CVE)
	}
	k := vuln.KEV{Name: e.Name, Action: e.Action, Ransomware: strings.EqualFold(e.Ransomware, "known")}
	var err error
	if k.Added, err = time.Parse(time.DateOnly, e.Added); err != nil {
		return r, fmt.Errorf("dateAdded: %q is no date", e.Added)
	}
	if e.Due != "" {
		if k.Due, err = time.Parse(time.DateOnly, e.Due); err != nil {
			return r, fmt.Errorf("dueDate: %q is no date", e.Due)
		}
	}
	// The catalogue does not date its entries' changes; the day an entry came in is
	// what its record can say.
	r.KEV, r.Modified = &k, k.Added
	if e.Name != "" || e.Details != "" {
		r.Texts = []vuln.Text{{Lang: "en", Title: e.Name, Details: e.Details}}
	}
	for _, cwe := range e.CWEs {
		if cwe != "" {
			r.Weaknesses = append(r.Weaknesses, vuln.Weakness{CWE: cwe, Source: Source})
		}
	}
	for part := range strings.FieldsSeq(e.Notes) {
		if url := strings.TrimSuffix(part, ";"); strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://") {
			r.References = append(r.References, vuln.Reference{URL: url, Kind: "WEB"})
		}
	}
	return r, nil
}
