package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
)

func refusal(n int, path string) event.Event {
	return event.Event{At: begin.Add(time.Duration(n)), Kind: event.Refused, Control: string(host.Launch), Op: "exec", Path: path, Rule: "user-space", Count: 1,
		Actor: event.Actor{PID: n, Comm: "sh", LoginUID: -1, Contained: true}}
}

func TestARefusalIsToldWithWhoWhyAndTheWayOut(t *testing.T) {
	r := newRig(t)
	r.cfg.Proc = fakeProc(t, map[int]process{7: {comm: "sh", parent: 0, exe: "/usr/bin/dash", cgroup: "0::/system.slice/nginx.service\n"}})
	r.start()
	r.fake.events <- refusal(7, "/tmp/x")
	r.fake.events <- event.Event{At: begin, Kind: event.Refused, Control: string(host.Write), Op: "create", Path: "…/cron.d/x", Rule: "persistence:/etc/cron.d", Count: 1}
	var told []event.Event
	for len(told) < 2 {
		told = nil
		for e, err := range r.client.Events(t.Context(), begin, false) {
			told = append(told, must(e, err)(t))
		}
	}
	if e := told[0]; e.Actor.Exe != "/usr/bin/dash" || e.Actor.Unit != "nginx.service" || !strings.Contains(e.Why, "nothing launches from it") || !strings.Contains(e.WayOut, "kannuki-agent grant") {
		t.Errorf("%+v", e)
	}
	if e := told[1]; !strings.Contains(e.Why, "/etc/cron.d") || !strings.Contains(e.WayOut, "persistence:/etc/cron.d") {
		t.Errorf("of a path told in part: %+v", e)
	}
}

func TestEventsOutliveTheAgent(t *testing.T) {
	r := newRig(t)
	r.start()
	r.fake.events <- refusal(1, "/tmp/1")
	r.fake.events <- refusal(2, "/tmp/2") // taken once the first one is kept
	r.restart()
	var paths []string
	for e, err := range r.client.Events(t.Context(), begin.Add(2), false) {
		paths = append(paths, must(e, err)(t).Path)
	}
	if fmt.Sprint(paths) != "[/tmp/2]" {
		t.Errorf("since the second: %v", paths)
	}
}

func TestAFollowerGetsEveryEventOnceWhileTheyCome(t *testing.T) {
	r := newRig(t)
	r.start()
	const before, during = 50, 300
	for n := range before {
		r.fake.events <- refusal(n+1, "/tmp/x")
	}
	go func() {
		for n := range during {
			r.fake.events <- refusal(before+n+1, "/tmp/x")
		}
	}()
	seen := map[int]int{}
	for e, err := range r.client.Events(t.Context(), time.Time{}, true) {
		if seen[must(e, err)(t).Actor.PID]++; len(seen) == before+during {
			break
		}
	}
	for n := range before + during {
		if seen[n+1] != 1 {
			t.Fatalf("event %d came %d times", n+1, seen[n+1])
		}
	}
}

// overtaken is a spool in which something is kept while somebody begins to read it.
type overtaken struct {
	memory
	meanwhile func()
}

func (o *overtaken) Since(t time.Time) iter.Seq2[event.Event, error] {
	o.meanwhile()
	return o.memory.Since(t)
}

func TestWhatComesWhileTheSpoolIsReadIsToldOnce(t *testing.T) {
	o := &overtaken{}
	r := &recorder{spool: o, followers: map[*follower]bool{}, now: func() time.Time { return begin }}
	o.meanwhile = func() { r.keep(refusal(2, "/tmp/x")) }
	r.keep(refusal(1, "/tmp/x"))
	var told []int
	done := make(chan struct{})
	for e := range r.events(time.Time{}, true, done) {
		if told = append(told, e.Actor.PID); e.Actor.PID == 2 {
			r.keep(refusal(3, "/tmp/x")) // after the spool was read
		}
		if e.Actor.PID == 3 {
			close(done)
		}
	}
	if fmt.Sprint(told) != "[1 2 3]" {
		t.Errorf("told %v", told)
	}
}

func TestAFollowerIsLetGoWhenTheAgentEnds(t *testing.T) {
	r := newRig(t)
	r.start()
	r.fake.events <- refusal(1, "/tmp/x")
	stopped := make(chan error, 1)
	var errs []error
	for _, err := range r.client.Events(t.Context(), time.Time{}, true) {
		if errs = append(errs, err); err == nil {
			go func() { stopped <- r.stop() }()
		}
	}
	if len(errs) != 2 || !errors.Is(errs[1], ErrNoAgent) || !strings.Contains(errs[1].Error(), "it ended") {
		t.Errorf("one event and then the end, got %v", errs)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestASlowFollowerLosesEventsAndHoldsUpNobody(t *testing.T) {
	r := &recorder{spool: &memory{}, followers: map[*follower]bool{}, now: func() time.Time { return begin }}
	f := &follower{events: make(chan event.Event, 3)}
	r.join(f)
	for n := range 5 {
		r.keep(refusal(n, "/tmp/x"))
	}
	if len(f.events) != 3 || r.lostFollow.Load() != 2 {
		t.Errorf("%d waiting, %d lost", len(f.events), r.lostFollow.Load())
	}
	r.leave(f)
	if r.keep(refusal(9, "/tmp/x")); r.lostFollow.Load() != 2 {
		t.Error("counted for one who left")
	}
}

func TestAFloodOfEventsIsNotLookedUpInProc(t *testing.T) {
	now := begin
	r := &recorder{now: func() time.Time { return now }}
	looked := 0
	for range 10 * maxCompleted {
		if r.mayComplete() {
			looked++
		}
	}
	if now = now.Add(time.Second); looked != maxCompleted || !r.mayComplete() {
		t.Errorf("looked up %d of a second's events", looked)
	}
}

func TestASpoolThatCannotBeOpenedIsToldAndEventsAreHeld(t *testing.T) {
	r := newRig(t)
	r.write(filepath.Join(r.cfg.State, eventsDir), "a file in the way")
	r.start()
	if s := r.status(); len(s.Faults) != 1 || !strings.Contains(s.Faults[0], "not kept on disk") || !s.Enforcing {
		t.Errorf("faults %q", s.Faults)
	}
	r.fake.events <- refusal(1, "/tmp/1")
	r.fake.events <- refusal(2, "/tmp/2")
	for e, err := range r.client.Events(t.Context(), begin, false) {
		if must(e, err)(t).Path != "/tmp/1" {
			t.Errorf("%+v", e)
		}
		break
	}
}

func TestMemoryForgetsTheOldestAndCountsThem(t *testing.T) {
	m := &memory{}
	for n := range maxMemory + 10 {
		if err := m.Append(refusal(n, "/tmp/x")); err != nil {
			t.Fatal(err)
		}
	}
	first := -1
	for e := range m.Since(time.Time{}) {
		first = e.Actor.PID
		break
	}
	if first != 10 || m.Lost() != 10 {
		t.Errorf("the first is %d, %d lost", first, m.Lost())
	}
}

// sink is an Export that takes nothing until it is opened.
type sink struct {
	mu   sync.Mutex
	shut bool
	took []int
	asks int
}

func (s *sink) Name() string { return "sink" }

func (s *sink) Send(_ context.Context, events []event.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asks++; s.shut {
		return errors.New("connection refused")
	}
	for _, e := range events {
		s.took = append(s.took, e.Actor.PID)
	}
	return nil
}

func TestAnExportThatIsDownDropsTheOldestAndCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{shut: true}
		x := newExporter(s, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { x.run(ctx) })
		const all = maxWaiting + 1000
		x.offer(refusal(0, "/tmp/x"))
		synctest.Wait() // the first one is being sent
		for n := range all {
			x.offer(refusal(n+1, "/tmp/x"))
		}
		time.Sleep(10 * time.Minute)
		if st := x.status(); st.Dropped != 1000 || st.Waiting != maxWaiting+1 || st.Sent != 0 || st.Error != "connection refused" {
			t.Errorf("while it is down: %+v", st)
		}
		if s.asks > 20 {
			t.Errorf("asked %d times in ten minutes", s.asks)
		}
		s.mu.Lock()
		s.shut = false
		s.mu.Unlock()
		time.Sleep(maxBackoff)
		if st := x.status(); st.Waiting != 0 || st.Sent != maxWaiting+1 || st.Error != "" {
			t.Errorf("after it is back: %+v", st)
		}
		for i, want := range append([]int{0}, numbers(1001, all)...) {
			if s.took[i] != want {
				t.Fatalf("number %d is event %d, want %d", i, s.took[i], want)
			}
		}
		cancel()
		done.Wait()
	})
}

func numbers(from, to int) []int {
	var out []int
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

func TestExportsGetWhatTheSpoolGets(t *testing.T) {
	r := newRig(t)
	s := &sink{}
	r.cfg.Exports = []Export{s}
	r.start()
	r.fake.events <- refusal(os.Getpid(), "/tmp/x")
	r.untilStatus(func(s Status) bool { return len(s.Exports) == 1 && s.Exports[0].Sent == 1 })
	if s.took[0] != os.Getpid() {
		t.Errorf("took %v", s.took)
	}
}
