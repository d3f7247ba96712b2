//go:build guest && linux

package guard_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

const pinned = "/sys/fs/bpf/kannuki"

// lifeRules are rules with the guard's own places.
func lifeRules() ruleset.Ruleset {
	rs := rules
	rs.Rules = append(rs.Rules[:len(rs.Rules):len(rs.Rules)], "guard")
	own := ruleset.Sealed | ruleset.Guard
	rs.Places = append([]ruleset.Place{{Path: pinned, Flags: own, WriteRule: 5}, {Path: "/guarded", Flags: own, WriteRule: 5},
		{Path: "/usr/bin/agent", Flags: ruleset.Launches | own | ruleset.File, WriteRule: 5}}, rs.Places...)
	return rs
}

// agent is an agent of its own: another process that opens the guard, puts lifeRules in
// force, and does what it reads.
type agent struct {
	cmd  *exec.Cmd
	in   io.Writer
	said *bufio.Scanner
}

func startAgent(t *testing.T, version string) *agent {
	t.Helper()
	a := &agent{cmd: exec.Command(attacker, "agent", version)}
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.cmd.Stderr = os.Stderr
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.in, a.said = in, bufio.NewScanner(out)
	t.Cleanup(a.kill)
	return a
}

// tells has it do something and returns what it says.
func (a *agent) tells(t *testing.T, order string) string {
	t.Helper()
	if order != "" {
		fmt.Fprintln(a.in, order)
	}
	if !a.said.Scan() {
		t.Fatalf("the agent ended when it was told %q", order)
	}
	return a.said.Text()
}

// kill kills it as nobody can help.
func (a *agent) kill() {
	a.cmd.Process.Kill()
	a.cmd.Wait()
}

// beAgent is its process. It says "open <adopted> <generation> <duration>" or "error …",
// and answers each order with a line.
func beAgent(version string) int {
	began := time.Now()
	o := guard.Options{Pins: pinned, Now: time.Now}
	open := guard.Open
	if version != "" {
		open = func(o guard.Options) (*guard.Guard, error) { return guard.OpenVersion(o, version) }
	}
	g, err := open(o)
	if err != nil {
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	gen, _ := g.Generation()
	fmt.Println("open", g.Adopted(), gen, time.Since(began).Round(time.Millisecond))
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var pid int
		var d time.Duration
		order, rest, _ := strings.Cut(orders.Text(), " ")
		switch order {
		case "apply":
			_, err = g.ApplyRuleset(lifeRules())
		case "swap": // until it is killed
			fmt.Println("swapping")
			for err == nil {
				_, err = g.ApplyRuleset(lifeRules())
			}
		case "grant":
			var path, for_ string
			fmt.Sscan(rest, &pid, &for_, &path)
			d, _ = time.ParseDuration(for_)
			_, err = g.Grant(pid, guard.Exception{For: d, Launch: []string{path}})
		}
		fmt.Println(order, err)
	}
	return 0
}

// adopted is the guard all tests share, because its programs take long to load: it
// adopts what a process left that was killed.
var adopted struct {
	sync.Mutex
	g                *guard.Guard
	said             string        // by the one that was killed
	took             time.Duration // to adopt
	before, after    uint64        // generations
	tries            int           // attempts meanwhile
	contained, admin *actor
}

// theGuard opens it once.
func theGuard(t *testing.T) *guard.Guard {
	t.Helper()
	adopted.Lock()
	defer adopted.Unlock()
	if adopted.g != nil {
		return adopted.g
	}
	prepare(t)
	for unix.Unmount("/sys/fs/bpf", unix.MNT_DETACH) == nil { // it is to be mounted where it is not
	}
	first := startAgent(t, "")
	adopted.said = first.tells(t, "")
	if !strings.HasPrefix(adopted.said, "open") {
		t.Fatal(adopted.said)
	}
	if said := first.tells(t, "apply"); said != "apply <nil>" {
		t.Fatal(said)
	}
	if err := install(scratch + "/x"); err != nil { // nobody's yet: this process is nobody
		t.Fatal(err)
	}
	adopted.contained = start(t, attacker)
	adopted.contained.must(t, "listen")
	adopted.tries = hammered(t, "/usr/lib/demo", scratch+"/x", func() {
		first.kill()
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		g, err := guard.Open(guard.Options{Pins: pinned, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		adopted.g, adopted.took = g, time.Since(began)
		adopted.before, _ = g.Generation()
	})
	return adopted.g
}

// under puts a ruleset in force for one test; afterwards nothing is refused.
func under(t *testing.T, rs ruleset.Ruleset) *guard.Guard {
	t.Helper()
	prepare(t)
	g := theGuard(t)
	if _, err := g.ApplyRuleset(rs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if adopted.g != nil {
			if _, err := adopted.g.ApplyRuleset(ruleset.Ruleset{}); err != nil {
				t.Error(err)
			}
		}
	})
	return g
}

func TestWhatIsPinnedGoesOnAndIsAdopted(t *testing.T) {
	g := theGuard(t)
	t.Logf("first: %s; adopted in %v; %d attempts meanwhile", adopted.said, adopted.took.Round(time.Millisecond), adopted.tries)
	if !strings.HasPrefix(adopted.said, "open false 0") {
		t.Errorf("the first said %q", adopted.said)
	}
	if !g.Adopted() || adopted.before != 1 {
		t.Errorf("adopted %v, generation %d; want true, 1", g.Adopted(), adopted.before)
	}
	if g.Tier() != os.Getenv("WANT_TIER") {
		t.Errorf("tier %s", g.Tier())
	}
}

func TestAfterAdoptionLabelsPoliciesAndEventsGoOn(t *testing.T) {
	g := theGuard(t)
	c := start(t, attacker)
	prepare(t)
	if _, err := g.ApplyRuleset(lifeRules()); err != nil {
		t.Fatal(err)
	}
	c.must(t, "listen")
	seen := follow(t, g)
	c.is(t, false, "write", "/etc/demo")
	e := seen.find(t, func(e event.Event) bool { return e.Actor.PID == c.pid && e.Op == "write" })
	if e.Rule != "etc" || e.Kind != event.Refused || !e.Actor.Contained {
		t.Errorf("told %+v", e)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	adopted.g = nil
	c.is(t, false, "write", "/etc/demo") // nobody is there
	again, err := guard.Open(guard.Options{Pins: pinned, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	adopted.g = again
	l, err := again.Label(c.pid)
	if err != nil || !l.Contained || !again.Adopted() {
		t.Errorf("label %+v, %v; adopted %v", l, err, again.Adopted())
	}
	c.is(t, false, "write", "/etc/demo")
	if _, err := again.ApplyRuleset(ruleset.Ruleset{}); err != nil {
		t.Fatal(err)
	}
	c.is(t, true, "write", "/etc/demo")
}

func TestTheGuardIsHeldByOneProcess(t *testing.T) {
	theGuard(t)
	second := startAgent(t, "")
	if said := second.tells(t, ""); !strings.HasPrefix(said, "error") || !strings.Contains(said, "another process holds the guard") {
		t.Errorf("the second said %q", said)
	}
}

// told events, as they come.
type events struct {
	sync.Mutex
	all []event.Event
}

func follow(t *testing.T, g *guard.Guard) *events {
	t.Helper()
	seen := &events{}
	go g.Follow(t.Context(), func(e event.Event) {
		seen.Lock()
		defer seen.Unlock()
		seen.all = append(seen.all, e)
	})
	time.Sleep(50 * time.Millisecond)
	return seen
}

func (s *events) first(match func(event.Event) bool) (event.Event, bool) {
	s.Lock()
	defer s.Unlock()
	for _, e := range s.all {
		if match(e) {
			return e, true
		}
	}
	return event.Event{}, false
}

func (s *events) find(t *testing.T, match func(event.Event) bool) event.Event {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if e, ok := s.first(match); ok {
			return e
		}
	}
	s.Lock()
	defer s.Unlock()
	t.Fatalf("it was not told; told were %+v", s.all)
	return event.Event{}
}

func TestAProcessKilledWhileItSwapsLeavesAWholePolicy(t *testing.T) {
	g := under(t, lifeRules())
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	adopted.g = nil
	install(scratch + "/x")
	hammered(t, "/usr/lib/demo", scratch+"/x", func() {
		for i := range 4 {
			a := startAgent(t, "")
			if said := a.tells(t, ""); !strings.HasPrefix(said, "open true") {
				t.Fatal(said)
			}
			a.tells(t, "swap")
			time.Sleep(time.Duration(37*i+60) * time.Millisecond)
			a.kill()
		}
		var err error
		if adopted.g, err = guard.Open(guard.Options{Pins: pinned, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
		left, err := adopted.g.Entries()
		t.Logf("left by those killed: %v, %v", left, err)
		now, err := adopted.g.ApplyRuleset(lifeRules())
		if err != nil {
			t.Fatal(err)
		}
		if left, err := adopted.g.Entries(); err != nil || len(left) != 1 || left[now.Generation] == 0 {
			t.Errorf("after the next policy, generation %d: %v, %v", now.Generation, left, err)
		}
	})
}

// large is a ruleset of the size of a whole host's.
func large() ruleset.Ruleset {
	rs := lifeRules()
	for i := range 270 {
		rs.Places = append(rs.Places, ruleset.Place{Path: fmt.Sprintf("/var/lib/service%d/data", i), Flags: ruleset.Data, WriteRule: 1})
	}
	for i := range 3000 {
		rs.Programs = append(rs.Programs, ruleset.Program{Path: fmt.Sprintf("/usr/bin/tool%d", i), Flags: ruleset.Utilities, Utility: 1})
	}
	return rs
}

type sizes struct {
	heap, kernel uint64
	fds          int
}

func measure(t *testing.T, g *guard.Guard) sizes {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	s, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return sizes{m.HeapAlloc, s.KernelBytes, len(fds)}
}

func TestAThousandSwapsLeaveNothingAndOpenNothing(t *testing.T) {
	g := under(t, large())
	middle := large()
	middle.Places, middle.Programs = middle.Places[:40], middle.Programs[:300]
	swaps := func(rs ruleset.Ruleset, n int) (each time.Duration, allocs uint64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		for range n {
			if _, err := g.ApplyRuleset(rs); err != nil {
				t.Fatal(err)
			}
		}
		runtime.ReadMemStats(&after)
		return time.Since(began) / time.Duration(n), (after.Mallocs - before.Mallocs) / uint64(n)
	}
	each, allocs := swaps(large(), 5)
	t.Logf("a swap of %d places and %d programs: %v, %d allocations", len(large().Places), len(large().Programs), each.Round(time.Millisecond), allocs)
	tries := hammered(t, "/usr/lib/demo", "", func() {
		swaps(middle, 10)
		before := measure(t, g)
		each, allocs := swaps(middle, 990)
		after := measure(t, g)
		t.Logf("1,000 swaps of %d places and %d programs under load: %v each, %d allocations; before %+v, after %+v", len(middle.Places), len(middle.Programs), each.Round(100*time.Microsecond), allocs, before, after)
		if after.fds > before.fds+2 || after.heap > before.heap*3/2+1<<20 || after.kernel > before.kernel*11/10 {
			t.Error("something was left by swaps")
		}
	})
	gen, _ := g.Generation()
	if left, err := g.Entries(); err != nil || len(left) != 1 || left[gen] == 0 {
		t.Errorf("entries by generation: %v, %v; in force %d", left, err, gen)
	}
	t.Logf("%d attempts", tries)
}

func TestTheStandardPolicyIsPutInForce(t *testing.T) {
	p := standard(t)
	g := under(t, lifeRules())
	began := time.Now()
	a, err := g.Apply(p, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	first := time.Since(began)
	began = time.Now()
	changed, _, err := g.Refresh()
	t.Logf("standard: %d rules, %d labelled, in %v; a refresh %v", a.Rules, a.Labelled, first.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if err != nil || changed {
		t.Errorf("a refresh of nothing: changed %v, %v", changed, err)
	}
	u := start(t, attacker)
	u.is(t, false, "write", "/usr/lib/demo")
	u.is(t, true, "install", scratch+"/x")
	u.is(t, false, "launch", scratch+"/x")
}

func standard(t *testing.T) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAFloodOfRefusalsIsCountedExactly(t *testing.T) {
	g := under(t, lifeRules())
	if err := os.MkdirAll("/usr/lib/flood", 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range floodFiles {
		if err := os.WriteFile(fmt.Sprintf("/usr/lib/flood/%d", i), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := follow(t, g)
	before, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var wait sync.WaitGroup
	outs := make([]string, 4)
	errs := make([]error, 4)
	for i := range outs {
		wait.Go(func() {
			out, err := exec.Command(attacker, "flood", "").CombinedOutput()
			outs[i], errs[i] = string(out), err
		})
	}
	wait.Wait()
	took := time.Since(began)
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("%v %q", err, outs)
	}
	made := uint64(len(outs)) * floodTries
	after, err := g.Status()
	if err != nil {
		t.Fatal(err)
	}
	// Refusals of something else, until one is told: what came before it in the ring was
	// read. The first may find the ring still full.
	for read, tries := false, 0; !read && tries < 100; tries++ {
		end := start(t, attacker)
		end.is(t, false, "write", "/usr/lib/demo")
		time.Sleep(100 * time.Millisecond)
		_, read = seen.first(func(e event.Event) bool { return e.Actor.PID == end.pid && e.Op == "write" })
	}
	seen.Lock()
	defer seen.Unlock()
	told := uint64(0)
	for _, e := range seen.all { // what was refused before lay in the ring, too
		if e.Kind == event.Refused && strings.Contains(e.Path, "/flood/") {
			told++
		}
	}
	refused, lost, summed := after.Refused-before.Refused, after.Drops.Refusals-before.Drops.Refusals, after.Drops.Summed-before.Drops.Summed
	t.Logf("%d refusals in %v, %.0f a second: %d told, %d lost, %d summed", made, took.Round(time.Millisecond), float64(made)/took.Seconds(), told, lost, summed)
	if refused != made || told+lost+summed != made {
		t.Errorf("%d made, %d counted, %d told or counted as not told", made, refused, told+lost+summed)
	}
}

func TestObservingRefusesNothingAndTellsTheSameByControl(t *testing.T) {
	g := under(t, lifeRules())
	seen := follow(t, g)
	u := start(t, attacker)
	u.must(t, "install", scratch+"/x")
	do := func(rs ruleset.Ruleset, kind event.Kind, launches, writes bool) (launch, write event.Event) {
		if _, err := g.ApplyRuleset(rs); err != nil {
			t.Fatal(err)
		}
		a := start(t, attacker) // of its own: what the same process does again is only counted
		a.is(t, launches, "launch", scratch+"/x")
		a.is(t, writes, "write", "/usr/lib/demo")
		time.Sleep(50 * time.Millisecond)
		launch = seen.find(t, func(e event.Event) bool { return e.Actor.Parent == a.pid || e.Actor.PID == a.pid && e.Op == "exec" })
		write = seen.find(t, func(e event.Event) bool { return e.Actor.PID == a.pid && e.Op == "write" })
		return launch, write
	}
	same := func(a, b event.Event) bool {
		return a.Op == b.Op && a.Control == b.Control && a.Rule == b.Rule && a.Path == b.Path && a.Space == b.Space && a.Count == b.Count
	}
	enforce, observe, half := lifeRules(), lifeRules(), lifeRules()
	observe.Enforce, observe.Observe = 0, enforce.Enforce
	half.Enforce, half.Observe = ruleset.ControlWrite, ruleset.ControlLaunch
	refusedLaunch, refusedWrite := do(enforce, event.Refused, false, false)
	seenLaunch, seenWrite := do(observe, event.Observed, true, true)
	halfLaunch, halfWrite := do(half, event.Observed, true, false)
	for _, e := range []event.Event{seenLaunch, seenWrite, halfLaunch} {
		if e.Kind != event.Observed {
			t.Errorf("told %+v, want observed", e)
		}
	}
	for _, e := range []event.Event{refusedLaunch, refusedWrite, halfWrite} {
		if e.Kind != event.Refused {
			t.Errorf("told %+v, want refused", e)
		}
	}
	if !same(refusedLaunch, seenLaunch) || !same(refusedWrite, seenWrite) || !same(refusedLaunch, halfLaunch) || !same(refusedWrite, halfWrite) {
		t.Errorf("told otherwise:\n%+v\n%+v\n%+v\n%+v", refusedLaunch, seenLaunch, refusedWrite, seenWrite)
	}
}
