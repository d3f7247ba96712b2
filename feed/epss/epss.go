// Package epss reads the daily score files of FIRST's Exploit Prediction Scoring
// System, in every form they have had since 2021: with and without percentile, with
// and without the comment line that names model and date. A file whose last line
// is cut off is not taken.
package epss

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/internal/stream"
	"github.com/kannuki/kannuki/vuln"
)

// Source names the feed in rejects.
const Source = "epss"

// maxLine bounds one line; real ones have 40 bytes.
const maxLine = 64 << 10

// Decode reads one score file and hands every row to emit. A row that cannot be
// used goes to reject. After an error nothing of the file may be kept.
func Decode(r io.Reader, emit func(vuln.EPSS) error, reject func(offset int64, id, reason string) error) error {
	return DecodeNamed("", r, emit, reject)
}

// DecodeNamed is Decode for a file called name: where no comment line gives the
// date, as before 2022, it is read from a name like epss_scores-2021-04-14.csv.gz.
func DecodeNamed(name string, r io.Reader, emit func(vuln.EPSS) error, reject func(offset int64, id, reason string) error) error {
	f := &file{lines: bufio.NewReaderSize(r, maxLine), date: dateIn(name)}
	if err := f.header(); err != nil {
		return err
	}
	for {
		at := f.at
		line, err := f.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		cells := strings.Split(line, ",")
		if len(cells) != f.columns {
			return stream.Errorf(at, "%d columns where the header has %d: the file is cut off or damaged", len(cells), f.columns)
		}
		score, err := f.row(cells)
		if err != nil {
			err = reject(at, cells[0], err.Error())
		} else {
			err = emit(score)
		}
		if err != nil {
			return err
		}
	}
}

type file struct {
	lines   *bufio.Reader
	at      int64 // byte where the next line begins
	columns int
	date    time.Time
	model   string
}

// next reads one line. A last line without an end is an error: nothing says that
// its number was not longer.
func (f *file) next() (string, error) {
	raw, err := f.lines.ReadSlice('\n')
	start := f.at
	f.at += int64(len(raw))
	switch {
	case err == nil:
		return strings.TrimRight(string(raw), "\r\n"), nil
	case errors.Is(err, bufio.ErrBufferFull):
		return "", stream.Errorf(start, "a line is longer than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(raw) > 0:
		return "", stream.Errorf(f.at, "the last line has no end: the file is cut off")
	case errors.Is(err, io.EOF):
		return "", io.EOF
	}
	return "", &stream.Error{At: f.at, Err: err}
}

// header reads the comment and the column names.
func (f *file) header() error {
	for {
		start := f.at
		line, err := f.next()
		if errors.Is(err, io.EOF) {
			return stream.Errorf(f.at, "no header line (cve,epss): no EPSS file, or it is cut off")
		}
		if err != nil {
			return err
		}
		if start == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			if err := f.comment(comment); err != nil {
				return &stream.Error{At: start, Err: err}
			}
			continue
		}
		switch line {
		case "cve,epss":
			f.columns = 2
		case "cve,epss,percentile":
			f.columns = 3
		default:
			return stream.Errorf(start, "header %.60q, expected cve,epss or cve,epss,percentile", line)
		}
		return nil
	}
}

// comment reads "model_version:v2023.03.01,score_date:2023-03-07T00:00:00+0000".
func (f *file) comment(text string) error {
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(pair), ":")
		switch key {
		case "model_version":
			f.model = value
		case "score_date":
			date, err := parseDate(value)
			if err != nil {
				return err
			}
			f.date = date
		}
	}
	return nil
}

func parseDate(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05-0700", time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("score_date: %.40q is no date", text)
}

func (f *file) row(cells []string) (vuln.EPSS, error) {
	e := vuln.EPSS{CVE: cells[0], Date: f.date, Model: f.model}
	if !vuln.IsCVE(e.CVE) {
		return e, fmt.Errorf("%.40q is no CVE id", e.CVE)
	}
	var err error
	if e.Score, err = probability("epss", cells[1]); err != nil {
		return e, err
	}
	if len(cells) > 2 {
		e.Percentile, err = probability("percentile", cells[2])
	}
	return e, err
}

func probability(name, text string) (float64, error) {
	p, err := strconv.ParseFloat(text, 64)
	if err != nil || !(p >= 0 && p <= 1) { // written so that NaN fails too
		return 0, fmt.Errorf("%s: %.40q is no number from 0 to 1", name, text)
	}
	return p, nil
}

// dateIn finds the date that a score file's name carries.
func dateIn(name string) time.Time {
	found := regexp.MustCompile(`epss_scores-(\d{4}-\d{2}-\d{2})`).FindStringSubmatch(name)
	if found == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.DateOnly, found[1])
	if err != nil {
		return time.Time{}
	}
	return t
}
