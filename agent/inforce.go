package agent

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

// builtIn is the source of a policy that no file holds.
const builtIn = "built in"

// loaded is a policy and where it came from.
type loaded struct {
	policy policy.Policy
	text   string
	source string
	fault  string // why it is not what the policy file says; "": it is
}

// inForce is what the files ask for and the kernel has. Every change goes through it,
// one at a time, and is on disk before it is in the kernel.
type inForce struct {
	enforcer Enforcer // nil: nothing can be enforced
	keep     *keep
	boots    *boots  // nil: nobody asks how long the host was without protection
	proofs   *proofs // nil: nobody asks what drills have shown
	now      func() time.Time
	log      *slog.Logger
	book     atomic.Pointer[book] // of the policy in force, for whoever asks without waiting

	mu      sync.Mutex // guards everything below
	loaded  loaded
	modes   modes
	pending *pendingChange
	applied guard.Applied
	at      time.Time // when it was applied
	// held is what the kernel has, which is not what is asked for where that failed.
	held  held
	first time.Time // when this agent applied anything for the first time
	// failed is why the kernel does not have what the files ask for; nil: it has.
	failed error
	// unlocked is what is in observe mode for a while; nil: nothing.
	unlocked *Unlocked
	// odd is what was found wrong in the state directory.
	odd []string
}

// held is a policy in the kernel, with its modes, and its text.
type held struct {
	policy policy.Policy
	text   string
}

// start settles what an earlier agent left, and puts in force what the files ask for.
func (f *inForce) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recall()
	f.load()
	f.recallUnlock()
	f.holdTo()
	if f.pending != nil && f.pending.due(f.now()) {
		f.fallBackLocked("its time was over when the agent started")
	} else {
		f.apply()
	}
	if f.failed != nil && f.loaded.fault == "" {
		f.startFromLastGood()
	}
}

// recall reads what an earlier agent kept beside the policy.
func (f *inForce) recall() {
	m := modes{}
	_, err := f.keep.read(modesFile, &m)
	if err = cmp.Or(err, m.check()); err != nil {
		f.oddity("the modes that were set by hand are lost: %v; set them again with kannuki-agent observe or enforce", err)
		m = modes{}
	}
	f.modes = m
	var p pendingChange
	found, err := f.keep.read(pendingFile, &p)
	if found {
		err = p.check()
	}
	if err != nil {
		f.oddity("what was to be confirmed is unreadable and stays as it is: %v; see kannuki-agent policy show", err)
	} else if found {
		f.pending = &p
	}
}

// holdTo keeps the last good policy where that asks for tokens and the file relaxes it:
// nobody has shown one to an agent that starts. A pending change was permitted.
func (f *inForce) holdTo() {
	good, err := f.lastGood()
	if err != nil || f.loaded.fault != "" || f.pending != nil || f.enforcer == nil || !tokenWanted(good.policy.Self) {
		return
	}
	if controls, other := loosened(withModes(good.policy, f.modes), f.base()); len(controls) > 0 || other {
		good.fault = fmt.Sprintf("%s relaxes what was in force, which takes a token; kannuki-agent policy reload --token FILE puts it in force", f.loaded.source)
		f.log.Error(good.fault)
		f.loaded = good
	}
}

// startFromLastGood is for a policy that reads well and cannot be put in force.
func (f *inForce) startFromLastGood() {
	why := f.failed
	good, err := f.lastGood()
	if err != nil || good.text == f.loaded.text {
		return
	}
	good.fault = fmt.Sprintf("%s cannot be put in force: %v", f.loaded.source, why)
	f.loaded = good
	f.apply()
}

func (f *inForce) oddity(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.log.Error(text)
	f.odd = append(f.odd, text)
}

// load reads the policy file. Where it is malformed the last good policy takes its
// place, and loaded.fault says so.
func (f *inForce) load() {
	file, err := f.keep.readPolicy()
	f.loadFrom(file, err)
}

func (f *inForce) loadFrom(file fileState, err error) {
	if err == nil {
		if f.loaded, err = f.parse(file); err == nil {
			return
		}
	}
	good, lastErr := f.lastGood()
	if lastErr != nil {
		f.oddity("there is no last good policy to fall back to: %v; the built-in %s is used", lastErr, policyfile.Default)
		good = defaultPolicy()
	}
	good.fault = fmt.Sprintf("%s is malformed, so %s stays in force: %v", f.keep.policy, good.policy.Name, firstLine(err))
	f.log.Error("the policy file is malformed; the last good policy stays in force", "file", f.keep.policy, "policy", good.policy.Name, "error", err)
	f.loaded = good
}

func firstLine(err error) string {
	first, rest, more := strings.Cut(err.Error(), "\n")
	if more {
		first += fmt.Sprintf(" (and %d more; see kannuki-agent policy check)", 1+strings.Count(rest, "\n"))
	}
	return first
}

func (f *inForce) parse(file fileState) (loaded, error) {
	if file.Missing {
		return defaultPolicy(), nil
	}
	p, err := policyfile.Parse(strings.NewReader(file.Text), f.keep.policy)
	return loaded{policy: p, text: file.Text, source: f.keep.policy}, err
}

// defaultPolicy is the built-in one; that it can be read is a test of policyfile.
func defaultPolicy() loaded {
	text, _ := policyfile.BuiltinText(policyfile.Default)
	p, _ := policyfile.Builtin(policyfile.Default)
	return loaded{policy: p, text: text, source: builtIn}
}

func (f *inForce) lastGood() (loaded, error) {
	file, err := (&keep{policy: f.keep.path(lastGoodFile)}).readPolicy()
	if err != nil {
		return loaded{}, err
	}
	if file.Missing {
		return loaded{}, errors.New("none was ever in force")
	}
	p, err := policyfile.Parse(strings.NewReader(file.Text), f.keep.path(lastGoodFile))
	return loaded{policy: p, text: file.Text, source: f.keep.path(lastGoodFile)}, err
}

// apply puts f.loaded in force with f.modes. Where the kernel does not take it, failed
// says why.
func (f *inForce) apply() {
	f.keep.step("kernel")
	if f.enforcer != nil {
		if f.failed = f.put(); f.failed != nil {
			f.log.Error("what is asked for is not in force", "policy", f.loaded.policy.Name, "error", f.failed)
			return
		}
		if f.boots != nil {
			f.boots.inForce(f.enforcer.Status)
		}
		f.log.Info("policy in force", "policy", f.loaded.policy.Name, "source", f.loaded.source, "generation", f.applied.Generation, "gaps", len(f.applied.Gaps))
	}
	f.failed = nil
	f.asksAnew()
	f.keepGood()
}

// keepGood writes down what is in force for good.
func (f *inForce) keepGood() {
	if f.pending != nil || f.failed != nil || f.loaded.fault != "" {
		return
	}
	if err := f.keep.writeText(lastGoodFile, []byte(f.loaded.text)); err != nil {
		f.log.Error("the last good policy cannot be kept", "error", err)
	}
}

// put gives the kernel the policy, and then what it relaxes of it.
func (f *inForce) put() error {
	p := f.lasting()
	applied, err := f.enforcer.Apply(p, f.now())
	if err != nil {
		return err
	}
	f.applied, f.at, f.held = applied, f.now(), held{p, f.loaded.text}
	if f.first.IsZero() {
		f.first = f.at
	}
	f.unproven()
	return f.relax()
}

// permit lets somebody do what relaxes the policy in force, or says why not. It returns
// the id of the token he used, if any.
type permit func(a identity.Ask, inForce policy.Policy) (token string, err error)

// change is one step from what is in force to something else.
type change struct {
	what      string        // "policy web"
	to        kept          // what the files shall ask for
	back      kept          // what they ask for if it is not confirmed
	fallsBack string        // back, in words
	confirm   time.Duration // 0: for good

	becomes, fallsTo policy.Policy // to and back, as policies with their modes
	action           identity.Action
	permit           permit
}

// permitted asks whether c may be, where it or what it falls back to relaxes what is in
// force. What is unlocked for a while is not what is in force.
func (f *inForce) permitted(c change) error {
	controls, other := loosened(f.base(), c.becomes)
	if c.confirm > 0 {
		more, also := loosened(f.base(), c.fallsTo)
		controls, other = union(controls, more), other || also
	}
	if len(controls) == 0 && !other || f.enforcer == nil {
		return nil
	}
	if other {
		controls = nil
	}
	_, err := c.permit(identity.Ask{Action: c.action, Controls: controls}, f.base())
	return err
}

// make makes a change: what it would fall back to is on disk first, then what is asked
// for, then it is in the kernel. On an error what was asked for before is asked for again.
func (f *inForce) make(c change) (Changed, error) {
	if err := f.settled(); err != nil {
		return Changed{}, err
	}
	before, was := f.effective(), f.snapshot()
	file, err := f.keep.readPolicy()
	if err != nil {
		return Changed{}, &Error{Code: http.StatusInternalServerError, Message: err.Error(), Hint: "nothing was changed"}
	}
	undo := kept{Modes: f.modes}
	if c.to.Policy != nil {
		undo.Policy = &file
	}
	if err := f.permitted(c); err != nil {
		return Changed{}, err
	}
	if err := f.try(c); err != nil {
		err = errors.Join(err, f.keep.put(undo), f.keep.remove(pendingFile))
		return Changed{}, &Error{Code: http.StatusInternalServerError, Message: fmt.Sprintf("%s cannot be put in force: %v", c.what, err), Hint: f.restore(was)}
	}
	out := Changed{Policy: f.loaded.policy.Name, Generation: f.applied.Generation, Gaps: f.applied.Gaps, Changes: changes(before, f.effective())}
	if f.pending != nil {
		out.Pending = &f.pending.Pending
	}
	return out, nil
}

func changes(a, b policy.Policy) []policy.Change {
	return append([]policy.Change{}, policy.Diff(a, b)...)
}

// settled is an error while a change waits to be confirmed: what the next one should
// fall back to would be anybody's guess.
func (f *inForce) settled() error {
	if f.pending == nil {
		return nil
	}
	return &Error{Code: http.StatusConflict, Message: fmt.Sprintf("%s is to be confirmed until %s", f.pending.What, stamp(f.pending.Deadline)),
		Hint: "run kannuki-agent confirm to keep it, or let it fall back first"}
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

func (f *inForce) try(c change) error {
	if c.confirm > 0 {
		p := &pendingChange{To: c.back, Opens: opens(c.fallsTo, c.becomes), Pending: Pending{What: c.what, FallsBack: c.fallsBack, Asked: f.now(), Deadline: f.now().Add(c.confirm)}}
		if err := f.keep.write(pendingFile, p); err != nil {
			return err
		}
		f.pending = p
	}
	if err := f.keep.put(c.to); err != nil {
		return err
	}
	f.modes = c.to.Modes
	if c.to.Policy != nil {
		if f.load(); f.loaded.fault != "" {
			return errors.New(f.loaded.fault)
		}
	}
	f.apply()
	return f.failed
}

// settings are the part of inForce that a change that fails must not touch.
type settings struct {
	loaded     loaded
	modes      modes
	pending    *pendingChange
	failed     error
	generation uint64
}

func (f *inForce) snapshot() settings {
	return settings{f.loaded, f.modes, f.pending, f.failed, f.applied.Generation}
}

// restore takes a change back that failed, also out of the kernel where it got that far.
// It says what came of it.
func (f *inForce) restore(s settings) string {
	f.loaded, f.modes, f.pending, f.failed = s.loaded, s.modes, s.pending, s.failed
	if f.applied.Generation == s.generation {
		return "what was in force stays"
	}
	if f.apply(); f.failed != nil {
		return "what was in force is not in force again yet: see kannuki-agent status"
	}
	return "what was in force is in force again"
}

// confirm keeps the pending change.
func (f *inForce) confirm() (Pending, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil || f.pending.due(f.now()) {
		return Pending{}, &Error{Code: http.StatusConflict, Message: "nothing is to be confirmed", Hint: "kannuki-agent status shows what is in force"}
	}
	if err := f.keep.remove(pendingFile); err != nil {
		return Pending{}, &Error{Code: http.StatusInternalServerError, Message: "cannot be confirmed: " + err.Error(), Hint: "it falls back at " + stamp(f.pending.Deadline)}
	}
	p, lasts := f.pending.Pending, len(f.opened()) == 0
	f.pending = nil
	f.log.Info("confirmed", "what", p.What)
	if !lasts {
		if f.apply(); f.failed != nil {
			return Pending{}, &Error{Code: http.StatusInternalServerError, Message: fmt.Sprintf("%s is confirmed and not in force for good yet: %v", p.What, f.failed), Hint: "the agent tries again; see kannuki-agent status"}
		}
		return p, nil
	}
	f.keepGood()
	return p, nil
}

// fallBackLocked goes back to what was before the pending change. The pending change
// stays on disk until the kernel has it, so that a kill in between only repeats it.
func (f *inForce) fallBackLocked(why string) {
	f.log.Warn("not confirmed: falling back", "what", f.pending.What, "to", f.pending.FallsBack, "why", why)
	to := f.pending.To
	if err := f.keep.put(to); err != nil {
		f.log.Error("what it falls back to cannot be kept on disk", "error", err)
		f.failed = err
	}
	f.modes = to.Modes
	if to.Policy != nil {
		f.loadFrom(*to.Policy, nil) // not from the file: it may be what could not be written
	}
	wrote := f.failed
	f.apply()
	if f.failed = errors.Join(f.failed, wrote); f.failed != nil {
		return
	}
	if err := f.keep.remove(pendingFile); err != nil {
		f.failed = err
		return
	}
	f.pending = nil
}

// tend does what is due at now: an unconfirmed change falls back, a policy is applied
// again when one of its grants has ended or when the last try failed. It returns when
// it is to be called next, zero for no particular time, and what fell back.
func (f *inForce) tend() (next time.Time, fell string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	switch {
	case f.pending != nil && f.pending.due(now):
		fell = f.pending.What
		f.failed = nil
		if f.fallBackLocked("its time is over"); f.failed != nil {
			return now.Add(retryAfter), ""
		}
	case f.failed != nil:
		f.apply()
	case !f.applied.Until.IsZero() && !now.Before(f.applied.Until):
		f.log.Info("a grant of the policy has ended")
		f.apply()
	}
	if f.failed != nil {
		next = now.Add(retryAfter)
	}
	if f.pending != nil {
		next = sooner(next, f.pending.Deadline)
	}
	return sooner(next, f.applied.Until), fell
}

// again has tend put in force what is asked for, for a reason. It tells whether nobody
// tries to already.
func (f *inForce) again(why error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return false
	}
	f.failed = why
	return true
}

// retryAfter is how long the agent waits before it tries again what failed.
const retryAfter = 30 * time.Second

// sooner is the earlier of two times; zero means never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// refresh resolves the policy's places again.
func (f *inForce) refresh() {
	if f.enforcer == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at.IsZero() {
		return // nothing is in force whose places could have moved
	}
	changed, gaps, err := f.enforcer.Refresh()
	switch {
	case err != nil:
		f.log.Error("the policy's places cannot be resolved again; what was in force stays", "error", err)
		f.failed = fmt.Errorf("resolving places again: %w", err)
	case changed:
		f.applied.Gaps = gaps
		if s, err := f.enforcer.Status(); err == nil {
			f.applied.Generation = s.Generation
		}
		f.log.Info("places resolved again", "generation", f.applied.Generation, "gaps", len(gaps))
	}
}
