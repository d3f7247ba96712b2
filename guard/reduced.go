package guard

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// TierFanotify is the third tier: before a program starts, fanotify asks this process.
const TierFanotify = "fanotify"

// Reduced guards where Open finds that the kernel cannot: it knows the control launch,
// and of that only who starts which program. reducedGaps names what is missing. It holds
// as long as the process lives: when that ends, everything launches. No program may be
// started by this process meanwhile (see gate).
//
// It has the methods of a Guard. Those about what a process is answer for grants alone:
// nobody is labelled.
type Reduced struct {
	near, far *gate // of this host's file systems, and of those that may keep a reader waiting
	canary    *canary
	memory    error // why files in memory cannot be asked about; nil: they are
	why       []Missing
	now       func() time.Time
	told      *tale
	passed    atomic.Uint64 // files that are not asked about again

	apply sync.Mutex // one policy at a time

	mu         sync.RWMutex // of what follows; held for reading while an answer is remembered
	layout     *layout      // nil: no policy yet, and everything launches
	policy     *policy.Policy
	generation uint64
	relaxed    relaxation
	grants     map[uint64]*exemption
}

// OpenReduced asks the kernel to be asked, and tries whether an answer is heeded. Until
// the first Apply everything launches. because is what Open said, which Status repeats.
func OpenReduced(o Options, because error) (*Reduced, error) {
	if err := onlyInService(); err != nil {
		return nil, err
	}
	r := &Reduced{now: o.Now, told: newTale(), grants: map[uint64]*exemption{}}
	if because != nil {
		r.why = []Missing{{Hook: TierLSM + ", " + TierModRet, Why: strings.ReplaceAll(because.Error(), "\n", "; ")}}
	}
	for _, g := range []**gate{&r.near, &r.far} {
		opened, err := openGate(r.judge, func() bool { return !r.enforces() })
		if err != nil {
			return nil, errors.Join(fmt.Errorf("guard: %s: %w: %w", TierFanotify, ErrNoEnforcement, err), r.Close())
		}
		*g = opened
	}
	err := r.watchOwn()
	if err == nil {
		err = r.canary.heard()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("guard: %s: %w: %w", TierFanotify, ErrNoEnforcement, err), r.Close())
	}
	return r, nil
}

// watchOwn makes the canary, and asks about the kernel's own file systems that are
// mounted nowhere: memfd_create(2). Later kernels let nobody.
func (r *Reduced) watchOwn() (err error) {
	if r.canary, err = r.near.newCanary(); err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("kannuki", unix.MFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(fd)
	r.memory = r.near.watch(fmt.Sprintf("/proc/self/fd/%d", fd), launching)
	return nil
}

// Tier is TierFanotify.
func (r *Reduced) Tier() string { return TierFanotify }

// Apply puts what of p this tier knows in force. On an error what was in force stays.
func (r *Reduced) Apply(p policy.Policy, now time.Time) (Applied, error) {
	r.apply.Lock()
	defer r.apply.Unlock()
	applied, _, err := r.put(&p, now)
	return applied, err
}

// Refresh puts the policy in force again where what it names has moved on this host, or
// file systems were mounted, which are asked about from then on.
func (r *Reduced) Refresh() (changed bool, gaps []Gap, err error) {
	r.apply.Lock()
	defer r.apply.Unlock()
	if r.policy == nil {
		return false, nil, errors.New("guard: there is no policy in force to look up anew")
	}
	applied, changed, err := r.put(r.policy, r.now())
	return changed, applied.Gaps, err
}

func (r *Reduced) put(p *policy.Policy, now time.Time) (Applied, bool, error) {
	on, err := ruleset.ReadHost("/")
	if err != nil {
		return Applied{}, false, fmt.Errorf("guard: %w", err)
	}
	rs, gaps := ruleset.Compile(*p, on, now)
	applied, changed, err := r.swap(rs)
	if err != nil {
		return Applied{}, false, err
	}
	gaps = slices.DeleteFunc(gaps, func(g Gap) bool { return g.Control != string(host.Launch) }) // the others have one each
	applied.Gaps = slices.Concat(gaps, applied.Gaps)
	for _, group := range rs.Groups {
		if !group.Until.IsZero() && (applied.Until.IsZero() || group.Until.Before(applied.Until)) {
			applied.Until = group.Until
		}
	}
	r.policy = p
	return applied, changed, nil
}

// ApplyRuleset is Apply for what is compiled already: tests.
func (r *Reduced) ApplyRuleset(rs ruleset.Ruleset) (Applied, error) {
	r.apply.Lock()
	defer r.apply.Unlock()
	applied, _, err := r.swap(rs)
	return applied, err
}

// swap puts a ruleset in force, and tells whether it or the host differ from before.
func (r *Reduced) swap(rs ruleset.Ruleset) (Applied, bool, error) {
	mounts, err := readMounts()
	if err != nil {
		return Applied{}, false, fmt.Errorf("guard: %w", err)
	}
	next := lay(rs, mounts)
	changed, err := r.enter(next)
	if err != nil {
		return Applied{}, false, err
	}
	gaps := slices.Concat(next.gaps, r.watchAll(mounts), reducedGaps(rs, r.memory))
	return Applied{Generation: r.generation, Gaps: gaps, Rules: len(rs.Rules)}, changed, nil
}

// enter makes a layout the one that is judged by. What was let pass under the one before
// is asked about again.
func (r *Reduced) enter(next *layout) (changed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.layout != nil && r.layout.same(next) {
		return false, nil
	}
	if err := errors.Join(r.near.forget(), r.far.forget()); err != nil {
		return false, fmt.Errorf("guard: ask about everything anew: %w", err)
	}
	r.layout, r.generation = next, r.generation+1
	r.passed.Store(0)
	return true, nil
}

// same tells whether two layouts find every program in the same place.
func (l *layout) same(as *layout) bool {
	return reflect.DeepEqual(l.rs, as.rs) && reflect.DeepEqual(l.at, as.at) && reflect.DeepEqual(l.tree, as.tree) && reflect.DeepEqual(l.whole, as.whole)
}

// watchAll asks about every file system that programs can lie on. Asking twice is asking
// once. One that answers to somebody else may keep us waiting, now and at every
// question: it has a gate of its own, so that nobody waits for it but who starts
// something there.
func (r *Reduced) watchAll(mounts []mount) (gaps []Gap) {
	gap := func(at string, why error) {
		gaps = append(gaps, Gap{Control: string(host.Launch), Subject: at, Why: "programs start there without being asked about: " + why.Error()})
	}
	for _, m := range mounts {
		var err error
		switch {
		case m.foreign() && m.kind != "tmpfs" && m.kind != "ramfs":
			err = inTime(func() error { return r.far.watch(m.at, launching) })
		case !m.virtual() || m.kind == "devtmpfs":
			err = r.near.watch(m.at, launching)
		}
		if err != nil && !errors.Is(err, unix.ENOENT) { // another one lies over it
			gap(m.at, err)
		}
	}
	return gaps
}

// inTime waits for do no longer than longest; what comes of it then nobody hears.
func inTime(do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(longest):
		return errors.New("it does not answer")
	}
}

func (r *Reduced) enforces() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.mode() == policy.Enforce
}

// mode is what is done about launch; "" without a policy. r.mu is held.
func (r *Reduced) mode() policy.Mode {
	switch {
	case r.layout == nil:
		return ""
	case r.layout.rs.Enforce&ruleset.ControlLaunch == 0:
		return policy.Observe
	}
	boot, err := bootNow()
	if err == nil && r.relaxed.holds(ruleset.ControlLaunch, boot) {
		return policy.Observe
	}
	return policy.Enforce
}

// judge says whether a process may start the program behind fd.
func (r *Reduced) judge(pid, fd int) bool {
	r.mu.RLock()
	l := r.layout
	r.mu.RUnlock()
	if l == nil {
		return true
	}
	f, err := l.find(fd)
	if err == nil && f.launches() {
		r.remember(l, fd)
		return true
	}
	if err == nil && r.excepted(l, &f, pid, fd) {
		return true
	}
	may := !r.enforces()
	kind := event.Refused
	if may {
		kind = event.Observed
	}
	e := event.Event{At: r.now(), Kind: kind, Control: string(host.Launch), Op: opNames[bpf.GuardOpOP_EXEC], Path: f.path,
		Space: spaceOf(uint32(f.place.Flags), uint32(bpf.GuardOpOP_EXEC)), Rule: l.rule(f.place.LaunchRule), Actor: actorOf(pid)}
	r.told.tell(e)
	return may
}

// mostPassed bounds the files that are not asked about again: each is held in memory.
const mostPassed = 8192

// remember asks no more about a file that everybody may start, as long as l is in force.
// It is not asked about either where somebody moves it to: who can do that to a file of
// system space can put there what he likes.
func (r *Reduced) remember(l *layout, fd int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.layout != l {
		return
	}
	if r.passed.Add(1) > mostPassed {
		r.passed.Store(0)
		if err := r.near.forget(); err != nil {
			return
		}
	}
	// A file that cannot be passed is asked about each time.
	_ = r.near.pass(fd)
}

// Status tells what is in force.
func (r *Reduced) Status() (Status, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s := Status{Tier: TierFanotify, Generation: r.generation, Hooks: map[host.Control]int{}, Missing: r.why}
	if err := r.canary.heard(); err != nil {
		s.Deaf = err.Error()
	} else {
		s.Hooks[host.Launch] = 1
	}
	if mode := r.mode(); mode != "" {
		s.Modes = map[host.Control]policy.Mode{host.Launch: mode}
	}
	boot, err := bootNow()
	if err != nil {
		return s, err
	}
	r.relaxed.tell(&s, boot, r.now())
	r.told.count(&s)
	late := r.near.late.Load() + r.far.late.Load()
	s.Refused, s.Drops.Refusals = s.Refused+late, s.Drops.Refusals+late
	return s, nil
}

// Generation is how many policies, or looks at the host, were put in force since the
// process began.
func (r *Reduced) Generation() (uint64, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.generation, nil
}

// RelaxUntil lets launch only observe until a moment, if it is among controls. What is
// relaxed ends with the process, as everything does.
func (r *Reduced) RelaxUntil(controls []host.Control, until time.Time) error {
	relaxed, err := relaxing(controls, until, r.now())
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.layout == nil && relaxed != (relaxation{}) {
		return errors.New("guard: there is no policy in force to relax")
	}
	r.relaxed = relaxed
	return nil
}

// Contain fails: nobody is contained here.
func (r *Reduced) Contain(int) error {
	return fmt.Errorf("guard: nobody can be contained by %s, which asks about programs that start only", TierFanotify)
}

// Learn has nothing to learn: neither ports of deputies nor devices are held.
func (r *Reduced) Learn() error { return nil }

// Close lets everything launch. A second one does nothing.
func (r *Reduced) Close() error {
	r.mu.Lock()
	canary := r.canary
	r.canary = nil
	r.mu.Unlock()
	var errs []error
	for _, g := range []*gate{r.near, r.far} {
		if g != nil {
			errs = append(errs, g.close())
		}
	}
	if canary != nil {
		errs = append(errs, canary.close())
	}
	return errors.Join(errs...)
}

// Remove is Close: nothing of it stays in the kernel.
func (r *Reduced) Remove() error { return r.Close() }
