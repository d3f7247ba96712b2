// Package native reads and writes kannuki's own record format: a header line and
// then one vuln.Record as JSON per line. It carries the built-in sample, and
// records into networks that no feed reaches. It is strict: an unknown key is an
// error of its record, and a file that ends before its header's count is not taken.
package native

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// Source names the feed in rejects of records that name no source themselves.
const Source = "native"

// version is the one version of the format.
const version = 1

// header is the first line. Records is the number of lines that follow; it may be
// left out by who writes by hand, at the price that a file cut off between two
// lines cannot be told from a whole one.
type header struct {
	Kannuki string `json:"kannuki"`
	Version int    `json:"version"`
	Records *int   `json:"records,omitempty"`
}

// Decode reads the format and hands every record to emit as it was written. A line
// that is no usable record goes to reject. After an error nothing may be kept.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	first, err := readLine(lines, 0)
	if err != nil {
		return err
	}
	h, err := parseHeader(first)
	if err != nil {
		return &stream.Error{At: 0, Err: err}
	}
	at, seen := int64(len(first)), 0
	for {
		line, err := readLine(lines, at)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		start := at
		at += int64(len(line))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		seen++
		record, err := parseRecord(line)
		if err != nil {
			err = reject(start, record.ID, err.Error())
		} else {
			err = emit(record)
		}
		if err != nil {
			return err
		}
	}
	if h.Records != nil && *h.Records != seen {
		return stream.Errorf(at, "the header says %d records, but %d came: the file is incomplete", *h.Records, seen)
	}
	return nil
}

// readLine reads one line with its end. An unfinished last line is an error.
func readLine(r *bufio.Reader, at int64) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case len(line) > stream.MaxValue:
			return nil, stream.Errorf(at, "a line is longer than %d MiB", stream.MaxValue>>20)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) == 0 && at > 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			return nil, stream.Errorf(at+int64(len(line)), "the last line has no end: the file is cut off")
		default:
			return nil, &stream.Error{At: at + int64(len(line)), Err: err}
		}
	}
}

func parseHeader(line []byte) (header, error) {
	var h header
	if err := strict(line, &h); err != nil {
		return h, fmt.Errorf("header: %w", err)
	}
	if h.Kannuki != "records" {
		return h, fmt.Errorf(`header: expected {"kannuki":"records","version":%d}`, version)
	}
	if h.Version != version {
		return h, fmt.Errorf("format version %d; this kannuki reads version %d: update kannuki, or write the file with this one", h.Version, version)
	}
	return h, nil
}

func parseRecord(line []byte) (vuln.Record, error) {
	var r vuln.Record
	if err := strict(line, &r); err != nil {
		return r, err
	}
	switch {
	case r.ID == "":
		return r, errors.New("no id")
	case r.Source == "" || r.Source != strings.ToLower(r.Source):
		return r, fmt.Errorf("source %q: a record names its source in lower case", r.Source)
	}
	if len(r.Vulnerabilities) == 0 {
		r.Vulnerabilities = []string{r.ID}
	}
	r.Published, r.Modified, r.Withdrawn = r.Published.UTC(), r.Modified.UTC(), r.Withdrawn.UTC()
	return r, nil
}

// strict decodes one JSON value and refuses unknown keys and what follows it.
func strict(line []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value in the line")
	}
	return nil
}

// Encode writes records in the format, so that Decode gives them back.
func Encode(w io.Writer, records []vuln.Record) error {
	buf := bufio.NewWriter(w)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	n := len(records)
	if err := e.Encode(header{Kannuki: "records", Version: version, Records: &n}); err != nil {
		return err
	}
	for i := range records {
		if err := e.Encode(&records[i]); err != nil {
			return err
		}
	}
	return buf.Flush()
}
