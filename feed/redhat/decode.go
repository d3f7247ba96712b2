// Package redhat reads the Red Hat Security Data API: one JSON object per CVE, or an
// array of them. It promises one record per CVE with every package Red Hat fixed, will
// fix, will not fix or calls not affected, per product; a record it cannot read is
// rejected with its place, and a file that is not whole JSON is refused.
//
// What it writes into vuln.Affected:
//   - Ecosystem is "Red Hat:" and the product's CPE without vendor: for RHEL and its
//     support channels product and release ("Red Hat:enterprise_linux:9", "Red
//     Hat:rhel_eus:9.2"; repositories such as ::baseos and ::appstream are one system,
//     only ::hypervisor is another), for layered products all of it ("Red
//     Hat:openshift:4.13::el9").
//   - A fixed RPM is the source package; Fixed is [epoch:]version-release.
//   - A fixed module stream has Package and Module "nodejs:18" and as Fixed the
//     module's own version ("8090020240301110609"), which is never comparable with the
//     version of an RPM; the RPMs inside are not named.
//   - Container images keep their repository as Package ("openshift4/ose-cli").
//   - A fix without a version (kpatch, text-only advisories) cannot be matched: it
//     stays visible in the references only.
package redhat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kannuki/kannuki/vuln"
)

// Source is the vuln.Record.Source of every record.
const Source = "redhat"

// ErrSummary is returned for the API's list of CVEs (cve.json). It names no product,
// and taken as records it would displace complete ones of the same identifiers.
var ErrSummary = errors.New("a list of CVE summaries, which names no products: import the records it points at (resource_url)")

// Decode reads one object or one array of objects from r.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	buffered := bufio.NewReader(r)
	first, skipped, err := firstByte(buffered)
	if err != nil {
		return err
	}
	d := decoder{json: json.NewDecoder(buffered), skipped: skipped, emit: emit, reject: reject}
	switch first {
	case '[':
		err = d.array()
	case '{':
		err = d.next()
	default:
		return fmt.Errorf("byte %d: %q: a Red Hat record starts with { and a list of them with [", skipped, first)
	}
	if err != nil {
		return err
	}
	if _, err := d.json.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("byte %d: something follows the closed JSON value", d.offset())
	}
	return nil
}

// firstByte finds the first byte that is no white space and leaves it unread.
func firstByte(r *bufio.Reader) (first byte, skipped int64, err error) {
	for {
		c, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return 0, skipped, errors.New("byte 0: empty file")
		}
		if err != nil {
			return 0, skipped, fmt.Errorf("byte %d: %w", skipped, err)
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, skipped, r.UnreadByte()
		}
		skipped++
	}
}

type decoder struct {
	json    *json.Decoder
	skipped int64 // bytes before what json reads
	emit    func(vuln.Record) error
	reject  func(offset int64, id, reason string) error
}

func (d decoder) offset() int64 { return d.skipped + d.json.InputOffset() }

// array reads the elements one by one.
func (d decoder) array() error {
	if _, err := d.json.Token(); err != nil {
		return d.broken(err)
	}
	for d.json.More() {
		if err := d.next(); err != nil {
			return err
		}
	}
	if _, err := d.json.Token(); err != nil {
		return d.broken(err)
	}
	return nil
}

// next reads one value.
func (d decoder) next() error {
	var raw json.RawMessage
	if err := d.json.Decode(&raw); err != nil {
		return d.broken(err)
	}
	return d.one(raw, d.offset()-int64(len(raw)))
}

// one emits or rejects one record that is valid JSON.
func (d decoder) one(raw json.RawMessage, offset int64) error {
	var e entry
	if err := json.Unmarshal(raw, &e); err != nil {
		return d.reject(offset, nameOf(raw), reason(err))
	}
	if e.Name == "" && e.SummaryOf != "" {
		return ErrSummary
	}
	rec, err := e.record()
	if err != nil {
		return d.reject(offset, e.Name, err.Error())
	}
	return d.emit(rec)
}

// nameOf finds the name of a record whose other fields could not be read.
func nameOf(raw json.RawMessage) string {
	var named struct {
		Name string `json:"name"`
	}
	if json.Unmarshal(raw, &named) != nil {
		return ""
	}
	return named.Name
}

func reason(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Sprintf("field %q is a JSON %s", wrong.Field, wrong.Value)
	}
	return err.Error()
}

func (d decoder) broken(err error) error {
	offset := d.offset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = max(offset, d.skipped+syntax.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("byte %d: the file ends inside a JSON value: %w", offset, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("byte %d: %w", offset, err)
}

// entry is one CVE as the API gives it.
type entry struct {
	Name      string   `json:"name"`
	SummaryOf string   `json:"CVE"` // only the summaries of cve.json call it that
	Public    string   `json:"public_date"`
	Severity  string   `json:"threat_severity"`
	Details   []string `json:"details"`
	CWE       string   `json:"cwe"`
	Bugzilla  struct {
		Description string `json:"description"`
		URL         string `json:"url"`
	} `json:"bugzilla"`
	CVSS struct {
		Score  number `json:"cvss_base_score"`
		Vector string `json:"cvss_scoring_vector"`
	} `json:"cvss"`
	CVSS3 struct {
		Score  number `json:"cvss3_base_score"`
		Vector string `json:"cvss3_scoring_vector"`
	} `json:"cvss3"`
	References []string  `json:"references"`
	Releases   []release `json:"affected_release"`
	States     []state   `json:"package_state"`
}

// release is a product and the package that fixed it there.
type release struct {
	Advisory string `json:"advisory"`
	CPE      string `json:"cpe"`
	Package  string `json:"package"`
	Impact   string `json:"impact"`
}

// state is a product and what is to become of a package that has no fix there.
type state struct {
	CPE     string `json:"cpe"`
	State   string `json:"fix_state"`
	Package string `json:"package_name"`
	Impact  string `json:"impact"`
}

// number is a JSON number, quoted or not.
type number string

// UnmarshalJSON takes 5.5 and "5.5".
func (n *number) UnmarshalJSON(b []byte) error {
	*n = number(bytes.Trim(b, `"`))
	return nil
}
