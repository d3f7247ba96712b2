// Package spool keeps events on disk, within a bound, where they outlive a crash of
// the agent and of the host.
//
// It promises: an event that Append returned without error is readable after a kill -9
// of the process; after a power cut it is, too, once a second has passed since, or Sync
// has returned. The files together never hold more bytes than the bound; the oldest
// events go first. Damage costs the records it hit and no others. Every event that
// went, by the bound, by damage or because the disk was full, is counted in Lost.
package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/event"
)

// Limits.
const (
	MinBound  = 256 << 10   // bytes; the least a spool can be bound to
	MaxRecord = 64 << 10    // bytes one event may take on disk
	syncEvery = time.Second // an event is on the disk's platter at most this much later
)

// Spool is one directory of segments. Its methods may be called at the same time.
type Spool struct {
	dir      string
	max      int64 // bytes over all segments
	segMax   int64 // bytes of one segment
	lock     *os.File
	damage   []*Damage // found by Open
	syncing  sync.Mutex
	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to
	active   *os.File   // nil: the next Append opens a new segment
	next     uint64     // number of the next event
	total    int64      // bytes over all segments
	buf      []byte     // the record being written
	dirty    bool       // something was written since the last sync
	timer    *time.Timer
	syncErr  error // of a batch that could not be synced, told by the next Append
	closed   bool
}

// segment is one file. Its name is the number of its first event, so that how many
// events a missing or damaged one held is known without any further file.
type segment struct {
	path       string
	first      uint64
	size       int64
	unreadable uint64 // events in it that were found damaged
}

// ErrClosed is what a closed spool answers.
var ErrClosed = errors.New("spool: is closed")

// Open opens the spool in dir, or makes one; max bounds its bytes on disk. What a crash
// left half written at the end is cut off; Damage tells. A second Open of the same
// directory, by whatever process, is refused until the first is closed.
func Open(dir string, max int64) (*Spool, error) {
	if max < MinBound {
		return nil, fmt.Errorf("spool: %s: a bound of %d bytes is too small; give at least %d", dir, max, MinBound)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: making %s: %w", dir, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: closing %s to others: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Spool{dir: dir, max: max, segMax: min(max/16+MaxRecord/2, 1<<20), lock: lock, next: 1}
	if err := s.load(); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

func lockDir(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("spool: %s is in use by another process; ask the running agent instead: %w", dir, err)
	}
	return f, nil
}

// load reads what is there: where the numbers go on, what was damaged meanwhile.
func (s *Spool) load() error {
	var err error
	if s.segments, err = listSegments(s.dir); err != nil {
		return err
	}
	for i, g := range s.segments {
		last := i == len(s.segments)-1
		if err := s.check(g, last); err != nil {
			return err
		}
		if !last {
			g.unreadable = missing(s.segments[i+1].first-g.first, g.unreadable)
		} else {
			g.unreadable = missing(s.next-g.first, g.unreadable)
		}
		s.total += g.size
	}
	return s.trim(0)
}

func missing(span, readable uint64) uint64 {
	if readable > span {
		return 0
	}
	return span - readable
}

// check counts the readable records of g, in g.unreadable until load has turned it
// round. Of the last segment it cuts off what cannot be read at its end.
func (s *Spool) check(g *segment, last bool) error {
	data, err := os.ReadFile(g.path)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	var good, end int
	seq := g.first
	for r := range records(data) {
		if r.damaged {
			s.damage = append(s.damage, &Damage{File: g.path, Offset: int64(r.start), Bytes: int64(r.end - r.start)})
			continue
		}
		good, end, seq = good+1, r.end, max(seq, r.seq+1)
	}
	g.unreadable = uint64(good)
	if !last {
		return nil
	}
	s.next = seq
	if end < len(data) {
		s.next += lines(data[end:])
		if err := os.Truncate(g.path, int64(end)); err != nil {
			return fmt.Errorf("spool: cutting off the damaged end of %s: %w", g.path, err)
		}
		g.size = int64(end)
		return s.roll() // its name keeps the numbers of what was cut off
	}
	return s.reopen(g)
}

// Damage is what Open found damaged; Lost counts the events it cost.
func (s *Spool) Damage() []*Damage { return s.damage }

// Append writes e at the end. An event it could not write is lost, and counted; what
// was written before stays readable, and the next Append tries anew, so that a full
// disk costs what happens while it is full. An error that wraps ErrUnsynced is about
// earlier events, which the disk refused to make durable: e itself was written.
func (s *Spool) Append(e event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	var err error
	if s.buf, err = appendRecord(s.buf[:0], s.next, e); err == nil {
		err = s.write(s.buf)
	}
	s.next++ // even of a failure: nobody will find its number, and so the loss is counted
	if err != nil {
		return err
	}
	if !s.dirty {
		s.dirty = true
		s.timer = time.AfterFunc(syncEvery, func() { s.flush() })
	}
	err, s.syncErr = s.syncErr, nil
	return err
}

func (s *Spool) write(record []byte) error {
	n := int64(len(record))
	if s.active == nil || s.last().size+n > s.segMax {
		if err := s.roll(); err != nil {
			return err
		}
	}
	if err := s.trim(n); err != nil {
		return err
	}
	g := s.last()
	// WriteAt, not Write: what an earlier failure left half written is written over.
	if _, err := s.active.WriteAt(record, g.size); err != nil {
		s.abandonTail(g)
		return fmt.Errorf("spool: writing %s: %w; free space on its file system, or give the spool a lower bound (the event is lost and counted, earlier ones stay readable)", g.path, err)
	}
	g.size += n
	s.total += n
	return nil
}

// abandonTail takes back a record written in part. Where even that fails the rest is
// left behind, and reading skips it.
func (s *Spool) abandonTail(g *segment) {
	if err := s.active.Truncate(g.size); err != nil {
		s.active.Close()
		s.active = nil
	}
}

func (s *Spool) last() *segment { return s.segments[len(s.segments)-1] }

// trim removes the oldest segments until n more bytes fit below the bound.
func (s *Spool) trim(n int64) error {
	for len(s.segments) > 1 && s.total+n > s.max {
		g := s.segments[0]
		if err := os.Remove(g.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("spool: making room: %w", err)
		}
		s.segments = s.segments[1:]
		s.total -= g.size
	}
	return nil
}

// ErrUnsynced marks the error of a batch that may not outlive a power cut.
var ErrUnsynced = errors.New("written, but may not outlive a power cut")

// Sync returns when every event appended so far would outlive a power cut.
func (s *Spool) Sync() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.mu.Unlock()
	s.flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.syncErr
	s.syncErr = nil
	return err
}

// flush syncs the segment written to. Appending goes on meanwhile.
func (s *Spool) flush() {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	f, dirty := s.active, s.dirty
	s.dirty = false
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	if f == nil || !dirty {
		return
	}
	err := f.Sync()
	// Append closed it meanwhile to go on with the next segment, and synced it first.
	if err == nil || errors.Is(err, os.ErrClosed) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.syncErr = unsynced(f.Name(), err)
}

func unsynced(file string, err error) error {
	return fmt.Errorf("spool: syncing %s: %w: %w", file, ErrUnsynced, err)
}

// Lost is how many events are not here any more, or were never: dropped by the bound,
// damaged, or come while the disk was full, since the spool was made. Damage of an
// open spool is counted when Since comes upon it.
func (s *Spool) Lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return s.next - 1
	}
	lost := s.segments[0].first - 1
	for _, g := range s.segments {
		lost += g.unreadable
	}
	return lost
}

// Close syncs and ends the spool. A second Close does nothing.
func (s *Spool) Close() error {
	s.flush()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	errs := []error{s.syncErr}
	if s.active != nil {
		errs = append(errs, s.active.Sync(), s.active.Close())
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

// roll begins a new segment, whose name is the number of the next event.
func (s *Spool) roll() error {
	if s.active != nil {
		if err := s.active.Sync(); err != nil {
			s.syncErr = unsynced(s.active.Name(), err)
		}
		s.active.Close()
		s.active = nil
	}
	if n := len(s.segments); n > 0 && s.segments[n-1].size == 0 && s.segments[n-1].first == s.next {
		return s.reopen(s.segments[n-1])
	}
	g := &segment{path: filepath.Join(s.dir, segmentName(s.next)), first: s.next}
	f, err := os.OpenFile(g.path, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("spool: a new segment: %w; free space on its file system, or give the spool a lower bound", err)
	}
	if err := s.lock.Sync(); err != nil {
		s.syncErr = unsynced(s.dir, err)
	}
	s.segments, s.active = append(s.segments, g), f
	return nil
}

func (s *Spool) reopen(g *segment) error {
	f, err := os.OpenFile(g.path, os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.active = f
	return nil
}
