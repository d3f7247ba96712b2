package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kannuki/kannuki/agent/export"
	"github.com/kannuki/kannuki/event"
)

// Bounds of one export.
const (
	maxWaiting  = 4096 // events; the oldest goes first
	maxBatch    = 256
	sendTimeout = 30 * time.Second
	maxBackoff  = time.Minute
)

// exporter sends events to one Export from a bounded queue. What finds no room is
// counted; the spool has it still.
type exporter struct {
	export Export
	log    *slog.Logger
	wake   chan struct{} // holds one

	mu      sync.Mutex
	waiting []event.Event
	sending int // events handed to Send and not yet taken
	sent    uint64
	dropped uint64
	err     error
}

func newExporter(x Export, log *slog.Logger) *exporter {
	return &exporter{export: x, log: log, wake: make(chan struct{}, 1)}
}

// offer takes an event and never waits.
func (x *exporter) offer(e event.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.waiting) >= maxWaiting {
		x.waiting, x.dropped = x.waiting[1:], x.dropped+1
	}
	x.waiting = append(x.waiting, e)
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// run sends until ctx ends. A batch that is not taken is sent again, ever less often.
func (x *exporter) run(ctx context.Context) {
	for backoff := time.Second; ; {
		batch := x.take()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return
			case <-x.wake:
				continue
			}
		}
		for !x.send(ctx, batch) {
			retry := time.NewTimer(backoff)
			select {
			case <-ctx.Done():
				retry.Stop()
				return
			case <-retry.C:
				backoff = min(2*backoff, maxBackoff)
			}
		}
		backoff = time.Second
	}
}

func (x *exporter) take() []event.Event {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := min(len(x.waiting), maxBatch)
	batch := append([]event.Event{}, x.waiting[:n]...)
	x.waiting, x.sending = x.waiting[n:], n
	return batch
}

func (x *exporter) send(ctx context.Context, batch []event.Event) bool {
	limited, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := x.export.Send(limited, batch)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil && x.err == nil && ctx.Err() == nil {
		x.log.Error("events cannot be sent; they wait", "to", x.export.Name(), "error", err)
	}
	x.err = err
	refused := 0
	// What was refused for good would be refused again, and hold up all that follows.
	if rejected := (*export.Rejected)(nil); errors.As(err, &rejected) {
		refused = min(rejected.Events, len(batch))
	} else if err != nil {
		return false
	}
	x.sent, x.dropped, x.sending = x.sent+uint64(len(batch)-refused), x.dropped+uint64(refused), 0
	return true
}

func (x *exporter) status() ExportStatus {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := ExportStatus{Name: x.export.Name(), Sent: x.sent, Waiting: len(x.waiting) + x.sending, Dropped: x.dropped}
	if x.err != nil {
		s.Error = x.err.Error()
	}
	return s
}
