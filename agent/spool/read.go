package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
)

const suffix = ".events"

func segmentName(first uint64) string { return fmt.Sprintf("%016x%s", first, suffix) }

// listSegments returns the segments of dir, oldest first. Files of other names are
// somebody else's and left alone.
func listSegments(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	var out []*segment
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), suffix)
		first, err := strconv.ParseUint(digits, 16, 64)
		if !ok || err != nil || first == 0 || segmentName(first) != e.Name() || !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("spool: %w", err)
		}
		out = append(out, &segment{path: filepath.Join(dir, e.Name()), first: first, size: info.Size()})
	}
	slices.SortFunc(out, func(a, b *segment) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	return out, nil
}

// Damage is a warning: bytes of a segment that are no record any more. What lies
// before and after them was read.
type Damage struct {
	File   string
	Offset int64
	Bytes  int64
	Err    error // where the bytes are whole and yet no event
}

func (d *Damage) Error() string {
	text := fmt.Sprintf("spool: %s: %d bytes at offset %d are damaged; the events in them are skipped and counted as lost", d.File, d.Bytes, d.Offset)
	if d.Err != nil {
		text = fmt.Sprintf("spool: %s: the record at offset %d is no event this version knows; it is skipped: %v", d.File, d.Offset, d.Err)
	}
	return text
}

func (d *Damage) Unwrap() error { return d.Err }

// Since returns the events that happened at t or later, in the order they were
// appended; the zero time asks for all. What is appended once reading has begun is not
// among them. An error is about the place it comes at and reading goes on after it:
// *Damage for a damaged stretch, or what the system said of a segment.
func (s *Spool) Since(t time.Time) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		s.mu.Lock()
		var now []segment
		for _, g := range s.segments {
			now = append(now, *g)
		}
		next := s.next
		s.mu.Unlock()
		var data []byte
		for i, g := range now {
			end := next
			if i+1 < len(now) {
				end = now[i+1].first
			}
			var err error
			if data, err = readSegment(data, g); errors.Is(err, os.ErrNotExist) {
				continue // went by the bound meanwhile, and is counted there
			} else if err != nil {
				if !yield(event.Event{}, err) {
					return
				}
				continue
			}
			good, goOn := tell(data, g.path, t, yield)
			if !goOn {
				return
			}
			s.found(g.first, missing(end-g.first, good))
		}
	}
}

// found notes how many events of a segment cannot be read.
func (s *Spool) found(first, unreadable uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		if g.first == first {
			g.unreadable = max(g.unreadable, unreadable)
		}
	}
}

// tell yields the events of one segment and returns how many records of it are whole.
func tell(data []byte, file string, t time.Time, yield func(event.Event, error) bool) (good uint64, goOn bool) {
	for r := range records(data) {
		d := &Damage{File: file, Offset: int64(r.start), Bytes: int64(r.end - r.start)}
		if r.damaged {
			if !yield(event.Event{}, d) {
				return good, false
			}
			continue
		}
		good++
		var e event.Event
		if d.Err = json.Unmarshal(r.json, &e); d.Err != nil {
			if !yield(event.Event{}, d) {
				return good, false
			}
			continue
		}
		if !e.At.Before(t) && !yield(e, nil) {
			return good, false
		}
	}
	return good, true
}

// readSegment reads g, as long as it was, into buf.
func readSegment(buf []byte, g segment) ([]byte, error) {
	f, err := os.Open(g.path)
	if err != nil {
		return buf, fmt.Errorf("spool: %w", err)
	}
	defer f.Close()
	buf = slices.Grow(buf[:0], int(g.size))[:g.size]
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return buf, fmt.Errorf("spool: reading %s: %w", g.path, err)
	}
	return buf[:n], nil
}
