package agent

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Processes of the drills of these tests: nobody is started, the kernel is a fake.
const (
	crewContained = 4001
	crewFree      = 4002
	stepPID       = 4100
)

// drilling prepares a rig whose drills have a root of their own.
func drilling(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	root := t.TempDir()
	for _, dir := range []string{"usr/lib", "var/tmp", "dev/shm", "etc/cron.d", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.cfg.Drill = drill.Places{Root: root}
	return r
}

// fakeCrew lets any number be a process of the drill's.
func (r *rig) fakeCrew(a *agent) {
	program := filepath.Join(r.t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("program"), 0o700); err != nil {
		r.t.Fatal(err)
	}
	a.drills.program = program
	a.drills.ours = func(int, int) error { return nil }
}

// begin begins a drill with its crew.
func (r *rig) begin(d Drill) DrillPlan {
	r.t.Helper()
	plan := must(r.client.Drill(r.t.Context(), d))(r.t)
	if err := r.client.DrillCrew(r.t.Context(), DrillCrew{ID: plan.ID, Contained: crewContained, Free: crewFree}); err != nil {
		r.t.Fatal(err)
	}
	return plan
}

// refusalOf is what the guard tells of a step done by a process.
func refusalOf(o drill.Order, pid int) event.Event {
	s, _ := drill.Find(o.Step)
	return event.Event{At: begin, Kind: event.Refused, Op: s.Op, Control: string(s.Control), Count: 1, Path: "/x", Rule: "kernel:" + string(s.Surface),
		Actor: event.Actor{PID: pid, Comm: "some", Parent: crewContained, LoginUID: -1, Contained: !s.Everybody}}
}

// steps does every step of a plan; those named in off come off.
func (r *rig) steps(plan DrillPlan, off ...string) {
	r.t.Helper()
	for i, o := range plan.Orders {
		a := drill.Attempt{Step: o.Step, PID: stepPID + i, Went: drill.WentRefused, Error: "operation not permitted"}
		if slices.Contains(off, o.Step) {
			a.Went, a.Error = drill.WentThrough, ""
		} else {
			r.fake.events <- refusalOf(o, a.PID)
		}
		got := must(r.client.DrillStep(r.t.Context(), DrillStep{ID: plan.ID, Attempt: a}))(r.t)
		if want := map[bool]drill.Verdict{true: drill.CameOff, false: drill.Refused}[a.Error == ""]; got.Verdict != want {
			r.t.Errorf("%s: %s (%s), want %s", o.Step, got.Verdict, got.Reason, want)
		}
	}
}

// drilled is a whole drill.
func (r *rig) drilled(d Drill, off ...string) DrillReport {
	r.t.Helper()
	plan := r.begin(d)
	r.steps(plan, off...)
	return must(r.client.EndDrill(r.t.Context(), DrillEnd{ID: plan.ID}))(r.t)
}

// reported is the protection on disk, once it is as it should be.
func (r *rig) reported(ready func(host.Protection) bool) host.Protection {
	r.t.Helper()
	var p host.Protection
	for range 200 {
		text, err := os.ReadFile(filepath.Join(r.cfg.State, protectionFile))
		if err == nil {
			p = host.Protection{}
			if err := json.Unmarshal(text, &p); err != nil {
				r.t.Fatal(err)
			}
			if ready(p) {
				return p
			}
		}
		r.agent.kick()
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("the protection stays %+v; log:\n%s", p, r.log)
	return p
}

func (r *rig) proves(c host.Control) func(host.Protection) bool {
	return func(p host.Protection) bool { return p.Proven(c, r.clock.now()) }
}

func not(f func(host.Protection) bool) func(host.Protection) bool {
	return func(p host.Protection) bool { return p.Tier != "" && !f(p) }
}

// notes are the agent's own events of a kind.
func (r *rig) notes(op string) []event.Event {
	r.t.Helper()
	var out []event.Event
	for e, err := range r.client.Events(r.t.Context(), begin.Add(-time.Hour), false) {
		if err != nil {
			r.t.Fatal(err)
		}
		if e.Op == op {
			out = append(out, e)
		}
	}
	return out
}

func TestADrillThatPassedIsAProofInWhatIsReportedAndLeavesNothing(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	report := r.drilled(Drill{Controls: []host.Control{host.Launch, host.Write}})
	if report.Void != "" || len(report.Left) > 0 || len(report.Checked) < 3 || len(report.Controls) != 2 {
		t.Errorf("report: void %q, left %v of %v, controls %+v", report.Void, report.Left, report.Checked, report.Controls)
	}
	for _, at := range report.Checked {
		if _, err := os.Lstat(at); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", at, err)
		}
	}
	if _, err := os.Stat(filepath.Join(r.cfg.State, drillFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note about the drill is left: %v", err)
	}
	if !slices.Contains(r.fake.contained, crewContained) || slices.Contains(r.fake.contained, crewFree) {
		t.Errorf("contained were %v", r.fake.contained)
	}
	p := r.reported(r.proves(host.Launch))
	if !p.Proven(host.Write, r.clock.now()) || p.Proven(host.Containing, r.clock.now()) {
		t.Errorf("%+v", p.Controls)
	}
	for _, s := range r.status().Controls {
		drilled := s.Control == host.Launch || s.Control == host.Write
		if (s.Proof != nil) != drilled {
			t.Errorf("status of %s: %+v", s.Control, s.Proof)
		}
		if drilled && (!s.Proof.Expires.Equal(begin.Add(7*24*time.Hour)) || s.Proof.Steps == 0 || !s.Proof.Passed) {
			t.Errorf("proof of %s: %+v", s.Control, s.Proof)
		}
	}
	if began, ended := r.notes("drill-began"), r.notes("drill-ended"); len(began) != 1 || len(ended) != 1 || !strings.Contains(ended[0].Why, "steps were refused") {
		t.Errorf("noted: %v, %v", began, ended)
	}
}

func TestAProofSurvivesARestartAndARefreshOfPlacesAndEndsWithItsTime(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	r.drilled(Drill{Controls: []host.Control{host.Launch}, For: Span(48 * time.Hour)})
	before := r.reported(r.proves(host.Launch)).Generation
	r.restart() // applies the policy again: another generation
	after := r.reported(func(p host.Protection) bool { return p.Generation > before && p.Proven(host.Launch, r.clock.now()) })
	r.agent.moved.Store(true)
	r.clock.advance(2 * time.Second)
	r.agent.wake()
	<-r.fake.fresh
	r.reported(func(p host.Protection) bool {
		return p.Generation > after.Generation && p.Proven(host.Launch, r.clock.now())
	})
	r.clock.advance(48 * time.Hour)
	r.agent.wake()
	p := r.reported(func(p host.Protection) bool { return len(p.Controls) > 0 && p.Controls[0].Proof == nil })
	if p.Proven(host.Launch, r.clock.now()) {
		t.Error("proven by a drill that has expired")
	}
	if n := r.notes("proof-ended"); len(n) != 1 || !strings.Contains(n[0].Why, "launch: it has expired") {
		t.Errorf("told: %v", n)
	}
}

func TestRelaxingAControlEndsItsProofAndNoOther(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	r.drilled(Drill{Controls: []host.Control{host.Launch, host.Write}})
	r.reported(r.proves(host.Launch))
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Launch}}))(t)
	p := r.reported(not(r.proves(host.Launch)))
	if !p.Proven(host.Write, r.clock.now()) {
		t.Errorf("the proof of write has gone too: %+v", p.Controls)
	}
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce, Controls: []host.Control{host.Launch}}))(t)
	r.reported(func(p host.Protection) bool { return p.Enforced(host.Launch) })
	if p := r.reported(r.proves(host.Write)); p.Proven(host.Launch, r.clock.now()) {
		t.Error("what was off for a while is proven without another drill")
	}
}

func TestAProofEndsWithWhatItRestsOn(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, r *rig){
		"another policy": func(t *testing.T, r *rig) {
			must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)}))(t)
		},
		"another version": func(t *testing.T, r *rig) {
			r.cfg.Version = "1.2.4"
			r.restart()
		},
		"another tier": func(_ *testing.T, r *rig) {
			r.fake.mu.Lock()
			defer r.fake.mu.Unlock()
			r.fake.status.Tier = guard.TierModRet
		},
		"another kernel": func(t *testing.T, r *rig) {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(r.cfg.State, proofsFile)
			text := string(must(os.ReadFile(path))(t))
			release := r.agent.proc.release()
			if !strings.Contains(text, release) {
				t.Fatalf("%s does not name the kernel %s", text, release)
			}
			r.write(path, strings.ReplaceAll(text, release, "6.1.0-1-other"))
			r.start()
		},
		"nothing refused": func(_ *testing.T, r *rig) {
			r.fake.mu.Lock()
			defer r.fake.mu.Unlock()
			r.fake.status.Hooks, r.fake.status.Deaf = nil, "ftrace is off"
		},
		"lost": func(t *testing.T, r *rig) {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r.write(filepath.Join(r.cfg.State, proofsFile), "{")
			r.start()
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := drilling(t)
			r.start(r.fakeCrew)
			r.drilled(Drill{Controls: []host.Control{host.Launch}})
			r.reported(r.proves(host.Launch))
			change(t, r)
			r.clock.advance(pollEvery)
			r.agent.wake()
			p := r.reported(not(r.proves(host.Launch)))
			for _, c := range p.Controls {
				if c.Proof != nil {
					t.Errorf("%s: %+v", c.Control, c.Proof)
				}
			}
		})
	}
}

func TestAStepThatCameOffIsAProofOfNothingAndSaysSo(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	report := r.drilled(Drill{Controls: []host.Control{host.Launch, host.Write}}, "launch-library")
	for _, c := range report.Controls {
		if passed := c.Control == host.Write; c.Proof == nil || c.Proof.Passed != passed || (c.Refused == c.Done) != passed {
			t.Errorf("%+v", c)
		}
	}
	p := r.reported(r.proves(host.Write))
	if p.Proven(host.Launch, r.clock.now()) || p.Controls[0].Proof == nil {
		t.Errorf("%+v: want a proof that failed", p.Controls[0])
	}
}

func TestAnErrorWithoutTheGuardsEventProvesNothing(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{Controls: []host.Control{host.Launch}})
	a := drill.Attempt{Step: plan.Orders[0].Step, PID: stepPID, Went: drill.WentRefused, Error: "operation not permitted"}
	r.fake.events <- refusalOf(plan.Orders[0], stepPID+1) // of another process
	got := must(r.client.DrillStep(t.Context(), DrillStep{ID: plan.ID, Attempt: a}))(t)
	if got.Verdict != drill.Unproven || got.Why == nil || got.Why.Code != drill.NoEvent {
		t.Errorf("%s: %+v", got.Verdict, got.Why)
	}
	if _, err := r.client.DrillStep(t.Context(), DrillStep{ID: plan.ID, Attempt: a}); err == nil {
		t.Error("a step was judged twice")
	}
	report := must(r.client.EndDrill(t.Context(), DrillEnd{ID: plan.ID}))(t)
	if report.Void != DrillBroken || report.Reason == "" || report.Controls[0].Proof != nil {
		t.Errorf("void %q, %+v", report.Void, report.Controls)
	}
	if p := r.reported(func(p host.Protection) bool { return p.Tier != "" }); p.Controls[0].Proof != nil {
		t.Errorf("%+v", p.Controls[0].Proof)
	}
}

func TestADrillDuringWhichThePolicyChangesProvesNothing(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{Controls: []host.Control{host.Launch}})
	r.steps(plan)
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(web)}))(t)
	report := must(r.client.EndDrill(t.Context(), DrillEnd{ID: plan.ID}))(t)
	if report.Void != DrillChanged || !strings.Contains(report.Reason, "policy") || report.Controls[0].Proof != nil {
		t.Errorf("void %q, %+v", report.Void, report.Controls)
	}
}

func TestWhereAControlObservesNothingIsDoneThatWouldLeaveAnything(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Write}}))(t)
	plan := r.begin(Drill{Controls: []host.Control{host.Write, host.KernelCtl}})
	for _, o := range plan.Orders {
		if s, _ := drill.Find(o.Step); s.Effect || s.Control == host.KernelCtl {
			t.Errorf("%s is to be done", o.Step)
		}
	}
	for _, s := range plan.Skipped {
		want := drill.Observes
		switch {
		case s.Control == host.KernelCtl:
			want = drill.NotInForce // the fake has no hook of it
		case s.Why.Code == drill.NotHere:
			want = drill.NotHere
		}
		if s.Why.Code != want || s.Reason == "" {
			t.Errorf("%s is skipped because %q, want %q", s.Step, s.Why.Code, want)
		}
	}
	if len(plan.Orders) == 0 || len(plan.Skipped) == 0 {
		t.Errorf("%d to do, %d skipped", len(plan.Orders), len(plan.Skipped))
	}
}

func TestOneDrillRunsAtATimeAndASilentOneIsCleared(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{})
	_, err := r.client.Drill(t.Context(), Drill{})
	refusedWith(t, err, 409, "another drill runs", "wait")
	r.clock.advance(drillSilence)
	r.agent.wake()
	for range 500 {
		if len(plan.Scene.Left()) == 0 && len(r.notes("drill-broken-off")) == 1 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if left := plan.Scene.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	_, err = r.client.EndDrill(t.Context(), DrillEnd{ID: plan.ID})
	refusedWith(t, err, 409, "does not run any more")
	r.drilled(Drill{Controls: []host.Control{host.Launch}})
}

func TestWhatADrillOfAKilledAgentMadeIsClearedByTheNext(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{})
	// What kill -9 leaves: the things, and the note about them.
	note := must(os.ReadFile(filepath.Join(r.cfg.State, drillFile)))(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := plan.Scene.Make(strings.NewReader("program")); err != nil {
		t.Fatal(err)
	}
	r.write(filepath.Join(r.cfg.State, drillFile), string(note))
	r.start(r.fakeCrew)
	if left := plan.Scene.Left(); len(left) > 0 {
		t.Errorf("left: %v; log:\n%s", left, r.log)
	}
}

func TestAnAgentThatEndsClearsTheDrillThatRuns(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{})
	if len(plan.Scene.Left()) == 0 {
		t.Fatal("nothing was made")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if left := plan.Scene.Left(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestADrillIsRefusedWhereItCouldProveNothing(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(r *rig)
		ask     Drill
		code    int
		says    string
	}{
		"no guard":       {func(r *rig) { r.fake = nil }, Drill{}, 503, "nothing can be enforced"},
		"nothing heard":  {func(r *rig) { r.fake.status.Deaf = "ftrace is off" }, Drill{}, 409, "ftrace is off"},
		"events unread":  {func(r *rig) { r.fake.follows = errors.New("ring is gone") }, Drill{}, 409, "ring is gone"},
		"under a grant":  {func(r *rig) { r.fake.labels[os.Getpid()] = guard.Label{Granted: true} }, Drill{}, 409, "under a grant"},
		"contained":      {func(r *rig) { r.fake.labels[os.Getpid()] = guard.Label{Contained: true} }, Drill{}, 403, "is contained"},
		"too long":       {func(*rig) {}, Drill{For: Span(40 * 24 * time.Hour)}, 400, "at most"},
		"no control":     {func(*rig) {}, Drill{Controls: []host.Control{"lunch"}}, 400, `did you mean "launch"?`},
		"no place":       {func(r *rig) { r.cfg.Drill.System = []string{"/srv"} }, Drill{}, 409, "nowhere"},
		"no user space":  {func(r *rig) { r.cfg.Drill.Scratch = []string{"/usr/lib"} }, Drill{}, 409, "launches by this policy"},
		"disk not there": {func(r *rig) { r.cfg.Drill.Root = filepath.Join(r.cfg.Drill.Root, "gone") }, Drill{}, 409, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			r := drilling(t)
			c.prepare(r)
			r.start(r.fakeCrew)
			var err error
			for range 100 { // events are found to be unread a moment after the start
				if _, err = r.client.Drill(t.Context(), c.ask); err != nil {
					break
				}
				r.agent.drills.stop()
				time.Sleep(10 * time.Millisecond)
			}
			refusedWith(t, err, c.code, c.says)
			if r.fake != nil {
				if left := must(filepath.Glob(filepath.Join(r.cfg.Drill.Root, "*", "*", drill.Prefix+"*")))(t); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			}
		})
	}
}

func TestOnlyProcessesOfTheDrillDoItsSteps(t *testing.T) {
	r := drilling(t)
	r.start(func(a *agent) {
		r.fakeCrew(a)
		a.drills.ours = a.drills.isOurs
	})
	plan := must(r.client.Drill(t.Context(), Drill{}))(t)
	for _, pid := range []int{1, os.Getpid(), 1 << 30} {
		if err := r.client.DrillCrew(t.Context(), DrillCrew{ID: plan.ID, Contained: pid, Free: pid}); err == nil {
			t.Errorf("process %d was taken for the drill's", pid)
		}
	}
	if len(r.fake.contained) > 0 {
		t.Errorf("contained: %v", r.fake.contained)
	}
}

// Whoever reads events must know which are of a drill, and nobody may hide among them.
func TestEventsOfADrillNameItAndThoseOfOthersDoNot(t *testing.T) {
	r := drilling(t)
	r.start(r.fakeCrew)
	plan := r.begin(Drill{Controls: []host.Control{host.Launch}})
	r.steps(plan)
	stranger := refusalOf(plan.Orders[0], 999)
	stranger.Actor.Parent, stranger.Actor.Comm, stranger.Path = 1, drill.Comm, "/stranger"
	r.fake.events <- stranger
	must(r.client.EndDrill(t.Context(), DrillEnd{ID: plan.ID}))(t)
	after := refusalOf(plan.Orders[0], 998)
	after.Path = "/after"
	r.fake.events <- after
	ours := 0
	for _, e := range r.notes("exec") {
		switch {
		case e.Path == "/x" && e.Drill == plan.ID:
			ours++
		case e.Drill != "":
			t.Errorf("%s of process %d is said to be of drill %s", e.Path, e.Actor.PID, e.Drill)
		}
	}
	if ours == 0 {
		t.Error("no event names the drill")
	}
}

func TestInTheThirdTierOnlyWhatItAsksAboutIsDrilled(t *testing.T) {
	r := drilling(t)
	r.fake.status.Tier, r.fake.status.Hooks = guard.TierFanotify, map[host.Control]int{host.Launch: 1}
	r.start(r.fakeCrew)
	report := r.drilled(Drill{Controls: []host.Control{host.Launch}})
	if len(r.fake.contained) > 0 {
		t.Errorf("contained: %v", r.fake.contained)
	}
	for _, o := range report.Steps {
		if done := o.Verdict != drill.Skipped; done != (o.Step == "launch-everybody") {
			t.Errorf("%s: %s %s", o.Step, o.Verdict, o.Reason)
		}
	}
}
