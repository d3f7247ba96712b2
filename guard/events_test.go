package guard

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// cString is s as the kernel writes it.
func cString(to []int8, s string) {
	for i := range len(s) {
		to[i] = int8(s[i])
	}
}

// recorded is an event as it lies in a ring.
func recorded(t testing.TB, change func(*bpf.GuardEvent)) []byte {
	raw := bpf.GuardEvent{At: uint64(time.Minute), Op: uint32(bpf.GuardOpOP_EXEC), Control: uint32(bpf.GuardControlCONTROL_LAUNCH), Refused: 1,
		Rule: 1, Generation: 4, Flags: uint32(bpf.GuardLabelFlagLABEL_CONTAINED), Pid: 42, Ppid: 7, Uid: 33, Loginuid: ^uint32(0), Parts: 3}
	cString(raw.Comm[:], "sh")
	cString(raw.ParentComm[:], "nginx")
	for i, name := range []string{"x", "tmp", "/"} {
		cString(raw.Path[i][:], name)
	}
	if change != nil {
		change(&raw)
	}
	sample, err := binary.Append(nil, binary.NativeEndian, raw)
	if err != nil {
		t.Fatal(err)
	}
	return sample
}

func TestAnEventOfARingSaysWhatHappened(t *testing.T) {
	boot := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)
	var g Guard
	g.applied.add(4, ruleset.Ruleset{Rules: []string{"", "user:/tmp"}})
	refused := func(change func(*event.Event)) event.Event {
		e := event.Event{At: boot.Add(time.Minute), Kind: event.Refused, Op: "exec", Control: string(host.Launch), Rule: "user:/tmp", Count: 1, Path: "/tmp/x", Space: "user",
			Actor: event.Actor{PID: 42, Comm: "sh", Parent: 7, ParentIs: "nginx", UID: 33, LoginUID: -1, Contained: true}}
		change(&e)
		return e
	}
	var raw bpf.GuardEvent // used again, as in a ring that is read
	for why, c := range map[string]struct {
		change func(*bpf.GuardEvent)
		want   event.Event
	}{
		"refused":  {nil, refused(func(*event.Event) {})},
		"observed": {func(raw *bpf.GuardEvent) { raw.Refused = 0 }, refused(func(e *event.Event) { e.Kind = event.Observed })},
		"noted": {func(raw *bpf.GuardEvent) { raw.Refused, raw.Op = 0, uint32(bpf.GuardOpOP_MOVED) },
			refused(func(e *event.Event) { e.Kind, e.Op, e.Space = event.Note, "place-moved", "" })},
		"summed up": {func(raw *bpf.GuardEvent) { raw.Count = 9 }, refused(func(e *event.Event) { e.Count = 9 })},
		"by a rule of a policy that is gone": {func(raw *bpf.GuardEvent) { raw.Generation = 2 },
			refused(func(e *event.Event) { e.Rule = "" })},
		"deeper than the names told": {func(raw *bpf.GuardEvent) { raw.Parts = 2 }, refused(func(e *event.Event) { e.Path = "…/tmp/x" })},
	} {
		got, err := g.decode(recorded(t, c.change), &raw, boot)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", why, err, diff)
		}
	}
	if _, err := g.decode(recorded(t, nil)[:100], &raw, boot); err == nil {
		t.Error("100 bytes are taken for an event")
	}
}

// Applying a policy takes seconds on a busy host: what is refused meanwhile is told.
func TestEventsAreToldWhileAPolicyIsApplied(t *testing.T) {
	var g Guard
	g.applied.add(4, ruleset.Ruleset{Rules: []string{"", "user:/tmp"}})
	g.mu.Lock()
	defer g.mu.Unlock()
	told := make(chan event.Event)
	go func() {
		var raw bpf.GuardEvent
		e, _ := g.decode(recorded(t, nil), &raw, time.Time{})
		told <- e
	}()
	select {
	case e := <-told:
		if e.Rule != "user:/tmp" {
			t.Errorf("it is told of rule %q", e.Rule)
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the policy")
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	var g Guard
	g.applied.add(4, ruleset.Ruleset{Rules: []string{"", "user:/tmp"}})
	sample := recorded(b, nil)
	var raw bpf.GuardEvent
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.decode(sample, &raw, time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
