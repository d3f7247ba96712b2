package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	firstNVDYear = 2002 // the file of 2002 holds all earlier ones too
	nvdPerPage   = 2000 // the API's own limit
	// nvdWindow is the longest span of modification dates the API answers for.
	nvdWindow = 120 * day
	// nvdOverlap is read twice, for records that were being written at the seam.
	nvdOverlap = 10 * time.Minute
)

// planNVDYears fetches the yearly files whose .meta names another checksum than the
// one here, and the file of the last eight days' changes, which sorts behind them.
func planNVDYears(ctx context.Context, s *syncer) error {
	var parts []string
	current := s.opt.Now().UTC().Year()
	for year := firstNVDYear; year <= current; year++ {
		parts = append(parts, strconv.Itoa(year))
	}
	for _, part := range append(parts, "modified") {
		at := s.src.Base + "nvdcve-2.0-" + part + ".meta"
		body, err := s.document(ctx, at, "", 1<<16)
		if missing(err) && part == strconv.Itoa(current) {
			s.note("the file of %s is not published yet", part)
			continue
		}
		if err != nil {
			return err
		}
		want, err := nvdMeta(string(body))
		if err != nil {
			return fmt.Errorf("GET %s: %w", at, err)
		}
		name := "nvdcve-2.0-" + part + ".json.gz"
		if s.fresh(name, s.src.Base+name, want.version) {
			continue
		}
		if _, err := s.file(ctx, name, s.src.Base+name, want); err != nil {
			return err
		}
	}
	return nil
}

// nvdMeta reads the lines "key:value" of a .meta file. Its checksum is of the file
// inside the gzip.
func nvdMeta(text string) (expected, error) {
	want := expected{unpacked: true, always: true}
	for line := range strings.SplitSeq(text, "\n") {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "gzSize":
			size, err := strconv.ParseInt(value, 10, 64)
			if err != nil || size <= 0 {
				return want, fmt.Errorf("gzSize %q is no size", value)
			}
			want.size = size
		case "sha256":
			want.sha256, want.version = value, strings.ToLower(value)
		}
	}
	if len(want.sha256) != 64 {
		return want, errors.New("no sha256 in it: not a .meta file; check the address of this source")
	}
	return want, nil
}

// planNVDPages reads everything once, page by page, and then what changed since, in
// windows the API allows. How far it came moves only when a window is complete.
func planNVDPages(ctx context.Context, s *syncer) error {
	now := s.opt.Now().UTC().Truncate(time.Second)
	if s.state.Through.IsZero() {
		if err := s.nvdWindow(ctx, "all", nil); err != nil {
			return err
		}
		s.state.Through = now
		return s.state.save(s.folder)
	}
	for s.state.Through.Before(now) {
		start := s.state.Through.Add(-nvdOverlap)
		end := start.Add(nvdWindow)
		if end.After(now) {
			end = now
		}
		q := url.Values{"lastModStartDate": {nvdTime(start)}, "lastModEndDate": {nvdTime(end)}}
		if err := s.nvdWindow(ctx, "changed-"+start.Format("20060102T150405Z"), q); err != nil {
			return err
		}
		s.state.Through = end
		if err := s.state.save(s.folder); err != nil {
			return err
		}
	}
	return nil
}

func nvdTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000+00:00") }

// nvdWindow reads all pages of one query into files prefix-<index>.json.
func (s *syncer) nvdWindow(ctx context.Context, prefix string, q url.Values) error {
	total := 1
	for index := 0; index < total; {
		page := nvdPage{asked: index}
		query := url.Values{"startIndex": {strconv.Itoa(index)}, "resultsPerPage": {strconv.Itoa(nvdPerPage)}}
		for k, v := range q {
			query[k] = v
		}
		name := fmt.Sprintf("%s-%07d.json", prefix, index)
		if _, err := s.file(ctx, name, s.src.Base+"cves/2.0?"+query.Encode(), expected{always: true, check: page.read}); err != nil {
			return err
		}
		if page.TotalResults == 0 {
			total = 0
			break
		}
		total = page.TotalResults
		index += page.ResultsPerPage
	}
	return s.removePages(prefix, total)
}

// removePages removes what an earlier, longer answer to the same query left behind,
// and the page of an empty one.
func (s *syncer) removePages(prefix string, total int) error {
	paths, _ := filepath.Glob(filepath.Join(s.folder, prefix+"-*.json"))
	for _, path := range paths {
		name := filepath.Base(path)
		index, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, prefix+"-"), ".json"))
		if err != nil || index < total {
			continue
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		delete(s.state.Files, name)
		s.forget(path)
	}
	return nil
}

// nvdPage is what paging needs of an answer.
type nvdPage struct {
	asked           int
	ResultsPerPage  int               `json:"resultsPerPage"`
	StartIndex      int               `json:"startIndex"`
	TotalResults    int               `json:"totalResults"`
	Vulnerabilities []json.RawMessage `json:"vulnerabilities"`
}

// read takes an answer only if it is the page that was asked for, with all its records.
func (p *nvdPage) read(r io.Reader) error {
	p.ResultsPerPage, p.StartIndex, p.TotalResults, p.Vulnerabilities = 0, 0, 0, nil
	if err := json.NewDecoder(r).Decode(p); err != nil {
		return fmt.Errorf("not an answer of the NVD API: %w", err)
	}
	n := len(p.Vulnerabilities)
	p.Vulnerabilities = nil
	if p.StartIndex != p.asked || p.ResultsPerPage != n || n == 0 && p.asked < p.TotalResults {
		return fmt.Errorf("page %d of %d holds %d records and says %d: not the page that was asked for (%d)",
			p.StartIndex, p.TotalResults, n, p.ResultsPerPage, p.asked)
	}
	return nil
}
