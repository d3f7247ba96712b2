package feed

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	indexBytes = 64 << 20 // the largest index we know is below 10 MiB
	day        = 24 * time.Hour
	isoDay     = "2006-01-02"
)

// planJVN reads the list of files with their checksums, and fetches the yearly lists
// and the list of latest changes that are not here in that version.
func planJVN(ctx context.Context, s *syncer) error {
	addr := s.src.Base + "feed/checksum.txt"
	body, err := s.document(ctx, addr, "", indexBytes)
	if err != nil {
		return err
	}
	var list []struct {
		Name   string `json:"filename"`
		SHA256 string `json:"sha256"`
		Size   int64  `json:"size"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("GET %s: not the list of checksums: %w", addr, err)
	}
	found := 0
	for _, e := range list {
		place := ""
		switch {
		case jvnYear.MatchString(e.Name):
			place = "rss/years/"
		case e.Name == "jvndb.rdf":
			place = "rss/"
		default:
			continue
		}
		found++
		// The years hold everything; the latest changes are a file of their own name
		// that sorts last, because they are newer than the weekly years.
		name := strings.Replace(e.Name, "jvndb.rdf", "jvndb_latest.rdf", 1)
		at := s.src.Base + place + e.Name
		if s.fresh(name, at, e.SHA256) {
			continue
		}
		if _, err := s.file(ctx, name, at, expected{size: e.Size, sha256: e.SHA256, version: e.SHA256, always: true}); err != nil {
			return err
		}
	}
	if found == 0 {
		return fmt.Errorf("GET %s: lists no yearly file (jvndb_<year>.rdf): check the address of this source", addr)
	}
	return nil
}

var jvnYear = regexp.MustCompile(`^jvndb_\d{4}\.rdf$`)

// planMSRC reads the index of documents and fetches those with another release date
// than the one here.
func planMSRC(ctx context.Context, s *syncer) error {
	addr := s.src.Base + "updates"
	body, err := s.document(ctx, addr, "application/json", indexBytes)
	if err != nil {
		return err
	}
	var index struct {
		Value []struct {
			ID      string
			Current string `json:"CurrentReleaseDate"`
		} `json:"value"`
	}
	if err := json.Unmarshal(body, &index); err != nil {
		return fmt.Errorf("GET %s: not the index of updates: %w", addr, err)
	}
	if len(index.Value) == 0 {
		return fmt.Errorf("GET %s: lists no document: check the address of this source", addr)
	}
	for _, doc := range index.Value {
		month, err := time.Parse("2006-Jan", doc.ID)
		if err != nil {
			s.note("document %q left: its name is no month", doc.ID)
			continue
		}
		name := month.Format("2006-01") + ".xml"
		at := s.src.Base + "cvrf/" + doc.ID
		if s.fresh(name, at, doc.Current) {
			continue
		}
		if _, err := s.file(ctx, name, at, expected{version: doc.Current, always: true}); err != nil {
			return err
		}
	}
	return nil
}

// planCVE5 fetches the full list once, and from then on the changes of every day since
// and of today. Release names are built, not looked up, so that no API is needed.
func planCVE5(ctx context.Context, s *syncer) error {
	now := s.opt.Now().UTC()
	today := now.Truncate(day)
	if s.state.Through.IsZero() || today.Sub(s.state.Through) > 30*day || !s.baselineHere() {
		return s.cve5Baseline(ctx, now)
	}
	for d := s.state.Through; d.Before(today); d = d.Add(day) {
		date := d.Format(isoDay)
		at := fmt.Sprintf("%scve_%s_at_end_of_day/%s_delta_CVEs_at_end_of_day.zip", s.src.Base, date, date)
		_, err := s.file(ctx, "changes-"+date+".zip", at, expected{})
		if missing(err) && d.Add(day).Equal(today) && now.Sub(today) < 3*time.Hour {
			return nil // not published yet; nothing is lost by waiting
		}
		if missing(err) {
			s.note("the changes of %s are not published any more: the full list is fetched", date)
			return s.cve5Baseline(ctx, now)
		}
		if err != nil {
			return err
		}
		s.state.Through = d.Add(day)
	}
	return s.cve5Today(ctx, now)
}

func (s *syncer) baselineHere() bool {
	_, err := os.Stat(filepath.Join(s.folder, "all.zip"))
	return err == nil
}

// cve5Today fetches today's changes from the newest hourly release.
func (s *syncer) cve5Today(ctx context.Context, now time.Time) error {
	_, err := s.cve5Hour(ctx, now, "changes-"+now.Format(isoDay)+".zip", "delta_CVEs_at_%02d00Z.zip")
	return err
}

// cve5Hour looks for a file of the newest hourly release, up to six hours back.
func (s *syncer) cve5Hour(ctx context.Context, now time.Time, name, pattern string) (found bool, err error) {
	date := now.Format(isoDay)
	for hour := now.Hour(); hour > 0 && hour > now.Hour()-6; hour-- {
		file := pattern
		if strings.Contains(pattern, "%") {
			file = fmt.Sprintf(pattern, hour)
		}
		at := fmt.Sprintf("%scve_%s_%02d00Z/%s_%s", s.src.Base, date, hour, date, file)
		_, err := s.file(ctx, name, at, expected{})
		if !missing(err) {
			return err == nil, err
		}
	}
	return false, nil
}

// cve5Baseline fetches the full list as of midnight, and what came after it. Changes
// fetched before are older than the list and are removed.
func (s *syncer) cve5Baseline(ctx context.Context, now time.Time) error {
	through := now.Truncate(day)
	found, err := s.cve5Hour(ctx, now, "all.zip", "all_CVEs_at_midnight.zip.zip")
	if err == nil && !found {
		// Just after midnight only yesterday's last release is there; its list is of
		// yesterday's midnight.
		through = through.Add(-day)
		date := through.Format(isoDay)
		_, err = s.file(ctx, "all.zip", fmt.Sprintf("%scve_%s_at_end_of_day/%s_all_CVEs_at_midnight.zip.zip", s.src.Base, date, date), expected{})
	}
	if err != nil {
		return err
	}
	old, _ := filepath.Glob(filepath.Join(s.folder, "changes-*.zip"))
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
		delete(s.state.Files, filepath.Base(path))
		s.forget(path)
	}
	s.state.Through = through
	return s.cve5Today(ctx, now)
}

// planRedHat fetches the record of every CVE that changed since the last run. What
// changed is in Red Hat's list of VEX files, which has one for every CVE; a mirror
// keeps that list beside its records.
func planRedHat(ctx context.Context, s *syncer) error {
	since := s.state.Through
	if since.IsZero() {
		since = s.opt.Now().UTC().Add(-s.opt.Lately)
		s.note("first run: only CVEs changed since %s; import an archive of Security Data records, or sync osv/redhat, for older ones", since.Format(isoDay))
	}
	index := s.src.index
	if index == "" {
		index = s.src.Base + "changes.csv"
	}
	body, err := s.document(ctx, index, "", indexBytes)
	if err != nil {
		return err
	}
	changes, through, err := redhatChanges(body, since)
	if err != nil {
		return fmt.Errorf("GET %s: %w", index, err)
	}
	gone := 0
	for _, c := range changes {
		name := c.id + ".json"
		at := s.src.Base + "cve/" + name
		if s.fresh(name, at, c.at) {
			continue
		}
		_, err := s.file(ctx, name, at, expected{version: c.at, always: true})
		if missing(err) {
			gone++
			continue
		}
		if err != nil {
			return err
		}
	}
	if gone > 0 {
		s.note("%d of %d changed CVEs have no Security Data record", gone, len(changes))
	}
	s.state.Through = through
	return nil
}

// redhatChange is one line of the list of changes.
type redhatChange struct{ id, at string }

var vexFile = regexp.MustCompile(`^\d{4}/(cve-\d{4}-\d{4,})\.json$`)

// redhatChanges reads lines of file and time, and keeps those of since and later;
// through is the latest time, by the publisher's clock.
func redhatChanges(body []byte, since time.Time) (list []redhatChange, through time.Time, err error) {
	r := csv.NewReader(bytes.NewReader(body))
	r.FieldsPerRecord = 2
	through = since
	for n := 1; ; n++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			if n == 1 {
				return nil, through, errors.New("the list of changes is empty")
			}
			return list, through, nil
		}
		if err != nil {
			return nil, through, fmt.Errorf("not the list of changes: %w", err)
		}
		at, err := time.Parse(time.RFC3339, row[1])
		if err != nil {
			return nil, through, fmt.Errorf("not the list of changes: line %d: %w", n, err)
		}
		m := vexFile.FindStringSubmatch(row[0])
		if m == nil || at.Before(since) {
			continue
		}
		list = append(list, redhatChange{strings.ToUpper(m[1]), row[1]})
		if at.After(through) {
			through = at.UTC()
		}
	}
}
