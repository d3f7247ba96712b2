package agent

import (
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kannuki/kannuki/event"
)

// recorder takes every event once: it completes it, keeps it, and hands it to whoever
// follows and to the exports. None of these can hold it up.
type recorder struct {
	proc proc
	book *atomic.Pointer[book]
	see  func(*event.Event) // looks whether it is of a drill; nil: nobody does
	now  func() time.Time
	log  *slog.Logger

	lostFollow atomic.Uint64

	mu        sync.Mutex // guards everything below
	spool     Spool
	spoolErr  error // of the last Append
	openErr   error // why there is no spool on disk
	followers map[*follower]bool
	exporters []*exporter
	second    time.Time // of completed
	completed int       // events completed with what /proc says in this second
}

// maxCompleted bounds how many events a second are looked up in /proc, so that a flood
// of them costs no more than that.
const maxCompleted = 500

// record takes an event of the guard, while its actor may still live.
func (r *recorder) record(e event.Event) {
	if r.mayComplete() {
		r.proc.enrich(&e.Actor)
	}
	r.book.Load().tell(&e, r.now())
	if r.see != nil {
		r.see(&e)
	}
	r.keep(e)
}

func (r *recorder) mayComplete() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); now.Sub(r.second) >= time.Second || now.Before(r.second) {
		r.second, r.completed = now, 0
	}
	r.completed++
	return r.completed <= maxCompleted
}

// keep takes an event that is complete.
func (r *recorder) keep(e event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.spool.Append(e)
	if err != nil && r.spoolErr == nil {
		r.log.Error("events cannot be kept on disk", "error", err)
	}
	r.spoolErr = err
	for f := range r.followers {
		select {
		case f.events <- e:
		default:
			f.lost.Add(1)
			r.lostFollow.Add(1)
		}
	}
	for _, x := range r.exporters {
		x.offer(e)
	}
}

// note takes what the agent itself did, asked for by actor.
func (r *recorder) note(op, path, why string, actor event.Actor) {
	r.keep(event.Event{At: r.now(), Kind: event.Note, Op: op, Path: path, Count: 1, Why: why, Actor: actor})
}

// follower is somebody who follows events as they come.
type follower struct {
	events chan event.Event
	lost   atomic.Uint64
}

// maxBehind is how many events a follower may be behind before it loses some.
const maxBehind = 4096

// events yields what the spool holds since then, and with follow, until done is closed,
// what comes after, each event once.
func (r *recorder) events(since time.Time, follow bool, done <-chan struct{}) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if !follow {
			r.spool.Since(since)(yield)
			return
		}
		f := &follower{events: make(chan event.Event, maxBehind)}
		r.join(f)
		defer r.leave(f)
		told, more := r.replay(since, r.now().Add(-replayOverlap), yield)
		if !more {
			return
		}
		// What came while the spool was read may have been read there already.
		for range len(f.events) {
			e := <-f.events
			if told[keyOf(e)]--; told[keyOf(e)] < 0 && !yield(e, nil) {
				return
			}
		}
		for {
			select {
			case <-done:
				return
			case e := <-f.events:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// replayOverlap is how much older than its arrival an event may be.
const replayOverlap = time.Minute

// replay yields what the spool holds, and counts what of it is new enough to arrive again.
func (r *recorder) replay(since, recent time.Time, yield func(event.Event, error) bool) (told map[eventKey]int, more bool) {
	told = map[eventKey]int{}
	for e, err := range r.spool.Since(since) {
		if err == nil && !e.At.Before(recent) {
			told[keyOf(e)]++
		}
		if !yield(e, err) {
			return nil, false
		}
	}
	return told, true
}

// eventKey tells events apart: the kernel's clock counts nanoseconds.
type eventKey struct {
	at       int64
	pid      int
	op, path string
}

func keyOf(e event.Event) eventKey { return eventKey{e.At.UnixNano(), e.Actor.PID, e.Op, e.Path} }

func (r *recorder) join(f *follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.followers[f] = true
}

func (r *recorder) leave(f *follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.followers, f)
}

// memory is a spool for a host whose disk takes none: the last few events, until the
// agent ends.
type memory struct {
	mu     sync.Mutex
	events []event.Event
	lost   uint64
}

// maxMemory is how many events memory holds.
const maxMemory = 2000

func (m *memory) Append(e event.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) >= maxMemory {
		m.events, m.lost = m.events[1:], m.lost+1
	}
	m.events = append(m.events, e)
	return nil
}

func (m *memory) Since(t time.Time) iter.Seq2[event.Event, error] {
	m.mu.Lock()
	held := append([]event.Event{}, m.events...)
	m.mu.Unlock()
	return func(yield func(event.Event, error) bool) {
		for _, e := range held {
			if !e.At.Before(t) && !yield(e, nil) {
				return
			}
		}
	}
}

func (m *memory) Lost() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

func (m *memory) Close() error { return nil }
