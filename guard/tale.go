package guard

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kannuki/kannuki/event"
)

// tale is what was refused, as the kernel programs tell it of theirs: the same within a
// second is counted, and told with the next of its kind. It never keeps an answer
// waiting: what finds no room is counted too.
type tale struct {
	events                  chan event.Event
	refused, observed       atomic.Uint64
	summed, lost, lostNotes atomic.Uint64

	mu     sync.Mutex
	recent map[repeat]*repeated
}

// repeat is what makes two events the same.
type repeat struct {
	kind             event.Kind
	path, rule, comm string
	uid              int
}

type repeated struct {
	told time.Time
	more int // since then
}

const (
	untold    = 4096 // events that wait to be read
	repeating = 1024 // kinds of them that are counted at once
)

func newTale() *tale {
	return &tale{events: make(chan event.Event, untold), recent: map[repeat]*repeated{}}
}

func (t *tale) tell(e event.Event) {
	counted, lost := &t.refused, &t.lost
	if e.Kind == event.Observed {
		counted, lost = &t.observed, &t.lostNotes
	}
	counted.Add(1)
	if e.Count = t.since(&e); e.Count == 0 {
		t.summed.Add(1)
		return
	}
	select {
	case t.events <- e:
	default:
		lost.Add(1)
	}
}

// since is for how many an event stands; 0 for one that is told with a later one.
func (t *tale) since(e *event.Event) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	maybe := repeat{e.Kind, e.Path, e.Rule, e.Actor.Comm, e.Actor.UID}
	last := t.recent[maybe]
	if last != nil && e.At.Sub(last.told).Abs() < time.Second {
		last.more++
		return 0
	}
	if last == nil {
		if len(t.recent) >= repeating {
			maps.DeleteFunc(t.recent, func(_ repeat, r *repeated) bool { return e.At.Sub(r.told).Abs() >= time.Second })
		}
		if len(t.recent) >= repeating {
			return 1
		}
		last = &repeated{}
		t.recent[maybe] = last
	}
	n := 1 + last.more
	*last = repeated{told: e.At}
	return n
}

func (t *tale) count(s *Status) {
	s.Refused, s.Observed = t.refused.Load(), t.observed.Load()
	s.Drops = Drops{Refusals: t.lost.Load(), Notes: t.lostNotes.Load(), Summed: t.summed.Load()}
}

// Follow hands on what was refused and observed, one at a time, until ctx ends.
func (r *Reduced) Follow(ctx context.Context, each func(event.Event)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-r.told.events:
			each(e)
		}
	}
}

// actorOf is who waits for an answer: it cannot end meanwhile but by a signal.
func actorOf(pid int) event.Actor {
	a := event.Actor{PID: pid, LoginUID: -1, Comm: commOf(pid)}
	for line := range strings.Lines(procText(pid, "status")) {
		key, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		if len(fields) == 0 {
			continue
		}
		n, _ := strconv.Atoi(fields[0]) // the kernel writes numbers
		switch key {
		case "PPid":
			a.Parent = n
		case "Uid":
			a.UID = n
		}
	}
	a.ParentIs = commOf(a.Parent)
	if n, err := strconv.ParseUint(strings.TrimSpace(procText(pid, "loginuid")), 10, 32); err == nil {
		a.LoginUID = int(int32(n))
	}
	return a
}

func commOf(pid int) string { return strings.TrimSuffix(procText(pid, "comm"), "\n") }

// procText is what the kernel tells of a process; "" where it has ended.
func procText(pid int, file string) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
	if err != nil {
		return ""
	}
	return string(bytes.ToValidUTF8(text, []byte("?")))
}
