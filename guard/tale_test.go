package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
)

func TestTheSameRefusalWithinASecondIsToldWithTheNext(t *testing.T) {
	tale, at := newTale(), time.Unix(1000, 0)
	refusal := event.Event{Kind: event.Refused, Path: "/tmp/x", Actor: event.Actor{Comm: "sh"}}
	other := refusal
	other.Path = "/tmp/y"
	for _, after := range []time.Duration{0, 10 * time.Millisecond, 900 * time.Millisecond, 1200 * time.Millisecond} {
		refusal.At = at.Add(after)
		tale.tell(refusal)
		if after == 0 {
			tale.tell(other)
		}
	}
	var got []string
	for len(tale.events) > 0 {
		e := <-tale.events
		got = append(got, fmt.Sprint(e.Path, " ", e.Count))
	}
	if want := "[/tmp/x 1 /tmp/y 1 /tmp/x 3]"; fmt.Sprint(got) != want {
		t.Errorf("told %v, want %s", got, want)
	}
	var s Status
	if tale.count(&s); s.Refused != 5 || s.Drops.Summed != 2 || s.Drops.Refusals != 0 {
		t.Errorf("counted %+v", s)
	}
}

func TestWhatFindsNoRoomIsCounted(t *testing.T) {
	tale := newTale()
	for i := range untold + 10 {
		tale.tell(event.Event{At: time.Unix(1000, 0), Kind: event.Observed, Path: fmt.Sprint(i)})
	}
	var s Status
	if tale.count(&s); s.Observed != untold+10 || s.Drops.Notes != 10 || len(tale.recent) > repeating {
		t.Errorf("counted %+v, %d kinds are held", s, len(tale.recent))
	}
}
