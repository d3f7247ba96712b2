package agent

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// drillFile is below Config.State while a drill runs: what it has made, to be cleared by
// the next agent if need be.
const drillFile = "drill.json"

const (
	// drillSilence is how long a drill may be silent before it is taken for dead.
	drillSilence = time.Minute
	// eventTime is how long the guard's event may take to come here.
	eventTime = 3 * time.Second
	// maxDrillEvents bounds what is held of one drill.
	maxDrillEvents = 4096

	defaultProof = 7 * 24 * time.Hour
	longestProof = 31 * 24 * time.Hour
)

// drills runs one drill at a time. The processes that do its steps are the asking
// command's; what they show is judged here, by the kernel's own events.
type drills struct {
	*agent
	program string                      // what is copied to do the steps
	ours    func(pid, parent int) error // nil: pid is a process of the drill, and parent's child

	mu  sync.Mutex // one question at a time
	run *drillRun  // nil: none runs

	seeing sync.Mutex // guards what follows; never held while something is waited for
	watch  *drillWatch
}

// drillRun is a drill that runs.
type drillRun struct {
	id       string
	scene    drill.Scene
	controls []host.Control
	proofFor time.Duration
	asker    int // process that asked for it
	at       time.Time
	heard    time.Time // when something was heard of it last
	on       grounds
	view     view
	status   guard.Status
	modes    map[host.Control]string
	plan     map[string]aimed
	outcomes []drill.Outcome
}

// aimed is a step that is to be done.
type aimed struct{ target, rule string }

// drillWatch is what the guard tells while a drill runs.
type drillWatch struct {
	id              string
	program         string
	contained, free int
	events          []event.Event
	more            chan struct{} // holds one
}

// begin makes everything ready.
func (d *drills) begin(ask Drill, by peer) (DrillPlan, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	controls, err := controlsNamed(ask.Controls)
	if err != nil {
		return DrillPlan{}, err
	}
	run := &drillRun{controls: controls, asker: by.pid, at: d.now(), heard: d.now(), proofFor: time.Duration(ask.For)}
	if run.proofFor == 0 {
		run.proofFor = defaultProof
	}
	if err := d.fit(run, by); err != nil {
		return DrillPlan{}, err
	}
	if run.view, run.status, err = d.force.look(); err != nil {
		return DrillPlan{}, err
	}
	if run.status.Deaf != "" {
		return DrillPlan{}, conflict("nothing is refused on this host: "+run.status.Deaf, "see kannuki-agent status")
	}
	run.on, run.modes = d.grounds(run.view, run.status), map[host.Control]string{}
	for _, c := range controlStatuses(run.view, run.status, true) {
		run.modes[c.Control] = c.Mode
	}
	if err := d.stage(run); err != nil {
		return DrillPlan{}, err
	}
	d.run = run
	return d.planned(run), nil
}

func conflict(message, hint string) *Error {
	return &Error{Code: http.StatusConflict, Message: message, Hint: hint}
}

// fit tells why no drill can be run now, for this one who asks.
func (d *drills) fit(run *drillRun, by peer) error {
	if run.proofFor > longestProof {
		return badRequest("a proof does not hold for %v", "at most "+longestProof.String()+": kernels, programs and hosts change", run.proofFor)
	}
	if d.run != nil {
		return &Error{Code: http.StatusConflict, Reason: "drill-runs", Args: []string{fmt.Sprint(d.run.asker)},
			Message: fmt.Sprintf("another drill runs, asked for by process %d", d.run.asker), Hint: "wait until it has ended; one that says nothing is ended within " + drillSilence.String()}
	}
	if err := d.following(); err != nil {
		return conflict(fmt.Sprintf("events are not read (%v), so nothing could be proven", err), "see kannuki-agent status")
	}
	label, err := d.enforcer.Label(by.pid)
	if err != nil {
		return conflict(fmt.Sprintf("what process %d is to the guard cannot be found out: %v", by.pid, err), "")
	}
	if label.Granted {
		return &Error{Code: http.StatusConflict, Reason: "drill-granted", Message: fmt.Sprintf("process %d runs under a grant, and what it starts would not be refused", by.pid), Hint: "start the drill outside the grant"}
	}
	return nil
}

// stage chooses where the drill's things lie, writes that down, and makes them. Where
// nothing of its controls is in force nothing is made.
func (d *drills) stage(run *drillRun) error {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	run.id = hex.EncodeToString(id)
	if !slices.ContainsFunc(run.controls, func(c host.Control) bool { return run.modes[c] != ModeNone }) {
		return nil
	}
	scene, err := drill.Plan(d.cfg.Drill, run.view.held, drill.Prefix+run.id)
	if err != nil {
		return &Error{Code: http.StatusConflict, Reason: "drill-no-place", Args: []string{err.Error()}, Message: "the drill has nowhere to put what it needs: " + err.Error()}
	}
	scene.Agent, scene.Socket, scene.Pins, scene.Policy = os.Getpid(), d.cfg.Socket, setup.Pins, d.cfg.Policy
	if err := d.keep.write(drillFile, scene); err != nil {
		return err
	}
	program, err := os.Open(d.program)
	if err == nil {
		err = errors.Join(scene.Make(program), program.Close())
	}
	if err != nil {
		left, clearErr := d.clear(scene)
		return &Error{Code: http.StatusConflict, Reason: "drill-no-place", Args: []string{err.Error()},
			Message: fmt.Sprintf("what the drill needs cannot be made: %v", errors.Join(err, clearErr)), Hint: leftHint(left)}
	}
	run.scene = scene
	d.seeing.Lock()
	d.watch = &drillWatch{id: run.id, program: scene.Program(), more: make(chan struct{}, 1)}
	d.seeing.Unlock()
	return nil
}

func leftHint(left []string) string {
	if len(left) == 0 {
		return "nothing of it is left"
	}
	return "left behind: " + strings.Join(left, ", ")
}

// clear removes what a drill has made, and the note about it once nothing is left.
func (d *drills) clear(s drill.Scene) (left []string, err error) {
	d.seeing.Lock()
	d.watch = nil
	d.seeing.Unlock()
	if s.Name == "" {
		return nil, nil
	}
	left, err = s.Clear()
	if err == nil && len(left) == 0 {
		err = d.keep.remove(drillFile)
	}
	return left, err
}

// planned decides about every step of the controls asked for.
func (d *drills) planned(run *drillRun) DrillPlan {
	run.plan = map[string]aimed{}
	out := DrillPlan{ID: run.id, Scene: run.scene, Orders: []drill.Order{}, Skipped: []drill.Outcome{}}
	for _, s := range drill.Steps() {
		if !slices.Contains(run.controls, s.Control) {
			continue
		}
		target, rule, why := run.aim(s)
		if why.Code != "" {
			o := s.Skip(target, why)
			run.outcomes = append(run.outcomes, o)
			out.Skipped = append(out.Skipped, o)
			continue
		}
		run.plan[s.Name] = aimed{target, rule}
		out.Orders = append(out.Orders, drill.Order{Step: s.Name, Target: target})
	}
	return out
}

// aim is a step's target and rule, or why it is not done.
func (run *drillRun) aim(s drill.Step) (target, rule string, _ drill.Why) {
	if why := s.Stands(run.modes[s.Control]); why.Code != "" {
		return "", "", why
	}
	if run.status.Tier == guard.TierFanotify && !(s.Everybody && s.Op == "exec") {
		return "", "", drill.Why{Code: drill.GapHere, Args: []string{"fanotify asks about programs that start only, and contains nobody"}}
	}
	target, rule, why := run.scene.Aim(s, run.view.held)
	if why.Code != "" || rule == "" {
		return target, rule, why
	}
	for _, g := range run.view.applied.Gaps {
		if g.Rule == rule {
			return "", "", drill.Why{Code: drill.GapHere, Args: []string{g.Why}}
		}
	}
	return target, rule, drill.Why{}
}

// of is the drill that runs, if it is this one, and notes that it was heard of.
func (d *drills) of(id string, by peer) (*drillRun, error) {
	if d.run == nil || d.run.id != id || d.run.asker != by.pid {
		return nil, &Error{Code: http.StatusConflict, Reason: "drill-gone", Message: "this drill does not run any more", Hint: "begin another: kannuki-agent drill"}
	}
	d.run.heard = d.now()
	return d.run, nil
}

// crew contains the process that does the steps, and watches both from now on.
func (d *drills) crew(c DrillCrew, by peer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	run, err := d.of(c.ID, by)
	if err != nil {
		return err
	}
	for _, pid := range []int{c.Contained, c.Free} {
		if err := d.ours(pid, by.pid); err != nil {
			return conflict(fmt.Sprintf("process %d does no steps of this drill: %v", pid, err), "")
		}
	}
	d.look(c.Contained, c.Free)
	if run.status.Tier != guard.TierFanotify {
		err = d.enforcer.Contain(c.Contained)
	}
	if err != nil {
		return conflict(fmt.Sprintf("process %d cannot be contained: %v", c.Contained, err), "is it running?")
	}
	return nil
}

// look says whose events are the drill's.
func (d *drills) look(contained, free int) {
	d.seeing.Lock()
	defer d.seeing.Unlock()
	if d.watch != nil {
		d.watch.contained, d.watch.free = contained, free
	}
}

// isOurs tells why a process is none of the drill's.
func (d *drills) isOurs(pid, parent int) error {
	_, its, ok := d.proc.stat(pid)
	switch {
	case !ok:
		return errors.New("it is gone")
	case its != parent:
		return fmt.Errorf("it is no child of process %d", parent)
	case d.proc.exe(pid) != d.run.scene.Program():
		return fmt.Errorf("it is not %s", d.run.scene.Program())
	}
	return nil
}

// see takes an event that may be of a drill's process: it is marked, and held.
func (d *drills) see(e *event.Event) {
	d.seeing.Lock()
	defer d.seeing.Unlock()
	w := d.watch
	if w == nil || w.contained == 0 || e.Kind == event.Note {
		return
	}
	child := e.Actor.Parent == w.contained || e.Actor.Parent == w.free
	if !child && e.Actor.Comm != drill.Comm {
		return
	}
	// A name can be anybody's; a parent or the program cannot.
	if child || e.Actor.Exe == w.program {
		e.Drill = w.id
	}
	if len(w.events) < maxDrillEvents {
		w.events = append(w.events, *e)
	}
	tell(w.more)
}

// told are the events of a process so far.
func (d *drills) told(pid int) (events []event.Event, more <-chan struct{}) {
	d.seeing.Lock()
	defer d.seeing.Unlock()
	if d.watch == nil {
		return nil, nil
	}
	for _, e := range d.watch.events {
		if e.Actor.PID == pid {
			e.Drill = d.watch.id // it did a step of ours, whatever its event could tell of it
			events = append(events, e)
		}
	}
	return events, d.watch.more
}

// step judges a step that was done.
func (d *drills) step(done DrillStep, by peer) (drill.Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	run, err := d.of(done.ID, by)
	if err != nil {
		return drill.Outcome{}, err
	}
	s, ok := drill.Find(done.Attempt.Step)
	aim, planned := run.plan[done.Attempt.Step]
	if !ok || !planned {
		return drill.Outcome{}, badRequest("step %q is not to be done, or was judged", "", done.Attempt.Step)
	}
	delete(run.plan, s.Name)
	o := d.judge(s, done.Attempt, aim, run.modes[s.Control])
	run.outcomes = append(run.outcomes, o)
	return o, nil
}

// judge waits a moment for the guard's event: it comes a way of its own.
func (d *drills) judge(s drill.Step, a drill.Attempt, aim aimed, mode string) drill.Outcome {
	late := time.After(eventTime)
	for {
		events, more := d.told(a.PID)
		o := s.Judge(a, aim.target, aim.rule, events)
		awaited := a.Went == drill.WentRefused || a.Went == drill.WentThrough && mode == host.Observe
		if !awaited || o.Verdict == drill.Refused || o.Verdict == drill.Observed || more == nil {
			return o
		}
		select {
		case <-more:
		case <-late:
			return o
		}
	}
}

// end clears a drill, and keeps what it has shown.
func (d *drills) end(e DrillEnd, by peer) (DrillReport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	run, err := d.of(e.ID, by)
	if err != nil {
		return DrillReport{}, err
	}
	d.run = nil
	out := DrillReport{At: run.at, Kernel: run.on.Kernel, Tier: run.on.Tier, Policy: run.view.held.Name, Generation: run.status.Generation,
		Steps: run.inOrder(), Checked: run.scene.Traces(), Left: []string{}, Controls: []DrilledOf{}}
	left, err := d.clear(run.scene)
	if err != nil {
		d.log.Error("what a drill has made cannot be cleared", "error", err)
	}
	out.Left = append(out.Left, left...)
	v, g, err := d.force.look()
	if err != nil {
		return out, err
	}
	switch changed := run.on.differs(d.grounds(v, g)); {
	case e.Broken || len(run.plan) > 0:
		out.Void, out.Reason = DrillBroken, "it was broken off before its end"
	case changed != "":
		out.Void, out.Reason = DrillChanged, "while it ran "+changed
	}
	found := run.found()
	for _, c := range run.controls {
		out.Controls = append(out.Controls, run.drilled(c, found))
	}
	if out.Void == "" {
		err = d.proofs.keep(found)
	} else {
		for i := range out.Controls {
			out.Controls[i].Proof = nil
		}
	}
	return out, err
}

// inOrder are the outcomes as the steps stand in the list.
func (run *drillRun) inOrder() []drill.Outcome {
	place := map[string]int{}
	for i, s := range drill.Steps() {
		place[s.Name] = i
	}
	out := append([]drill.Outcome{}, run.outcomes...)
	slices.SortFunc(out, func(a, b drill.Outcome) int { return place[a.Step] - place[b.Step] })
	return out
}

// found is what the drill has shown of the controls of which anything was done.
func (run *drillRun) found() map[host.Control]proof {
	out := map[host.Control]proof{}
	for _, c := range run.controls {
		passed, steps, done := drill.Proven(c, run.outcomes)
		if done > 0 && run.modes[c] == string(policy.Enforce) {
			out[c] = proof{At: run.at, Expires: run.at.Add(run.proofFor), Passed: passed, Steps: steps, On: run.on}
		}
	}
	return out
}

func (run *drillRun) drilled(c host.Control, found map[host.Control]proof) DrilledOf {
	_, refused, done := drill.Proven(c, run.outcomes)
	out := DrilledOf{Control: c, Mode: run.modes[c], Refused: refused, Done: done}
	for _, o := range run.outcomes {
		if o.Control == c && o.Verdict == drill.Skipped {
			out.Skipped++
		}
	}
	if p, ok := found[c]; ok {
		out.Proof = &host.Proof{At: p.At, Expires: p.Expires, Generation: run.status.Generation, Kernel: p.On.Kernel, Passed: p.Passed, Steps: p.Steps}
	}
	return out
}

// clearEarlier removes what a drill of an earlier agent has left.
func (d *drills) clearEarlier() {
	var s drill.Scene
	found, err := d.keep.read(drillFile, &s)
	if found && err == nil {
		_, err = d.clear(s)
	}
	if err != nil {
		d.log.Error("what an earlier drill has made cannot be cleared", "file", d.keep.path(drillFile), "error", err)
	}
}

// stop clears a drill that runs while the agent ends.
func (d *drills) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.run == nil {
		return
	}
	if left, err := d.clear(d.run.scene); err != nil {
		d.log.Error("what a drill has made cannot be cleared", "left", left, "error", err)
	}
	d.run = nil
}

// tend ends a drill that is silent, and returns when it is to be called again.
func (d *drills) tend(now time.Time) (next time.Time) {
	if !d.mu.TryLock() {
		return now.Add(drillSilence) // something is heard of it just now
	}
	defer d.mu.Unlock()
	if d.run == nil {
		return time.Time{}
	}
	if due := d.run.heard.Add(drillSilence); now.Before(due) {
		return due
	}
	run := d.run
	d.run = nil
	left, err := d.clear(run.scene)
	d.log.Warn("a drill was broken off", "left", left, "error", err)
	d.recorder.note("drill-broken-off", "", leftHint(left), event.Actor{LoginUID: -1})
	return time.Time{}
}
