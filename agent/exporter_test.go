package agent

import (
	"context"
	"log/slog"
	"testing"

	"github.com/kannuki/kannuki/agent/export"
	"github.com/kannuki/kannuki/event"
)

// picky refuses the first batch in part, for good.
type picky struct{ batches chan int }

func (p picky) Name() string { return "picky" }

func (p picky) Send(_ context.Context, events []event.Event) error {
	p.batches <- len(events)
	if len(events) == 3 {
		return &export.Rejected{Name: "picky", Events: 2, Why: "too old"}
	}
	return nil
}

func TestEventsRefusedForGoodAreCountedAndHoldUpNothing(t *testing.T) {
	to := picky{make(chan int, 10)}
	x := newExporter(to, slog.New(slog.DiscardHandler))
	for range 3 {
		x.offer(event.Event{})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { x.run(ctx); close(done) }()
	first := <-to.batches
	x.offer(event.Event{})
	second := <-to.batches
	cancel()
	<-done
	if s := x.status(); first != 3 || second != 1 || s.Sent != 2 || s.Dropped != 2 || s.Waiting != 0 {
		t.Errorf("batches of %d and %d, then %+v", first, second, s)
	}
}
