package agent

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
)

// unlockFile is below Config.State: what is unlocked, and until when.
const unlockFile = "unlock.json"

// longestUnlock bounds an unlock; forUninstall is how long the guard lets itself be taken
// off once it was asked for.
const (
	longestUnlock = 24 * time.Hour
	forUninstall  = 5 * time.Minute
)

// check tells whether this is an unlock there can be.
func (u *Unlocked) check() error {
	if u.Asked.IsZero() || u.Until.IsZero() || len(u.Controls) == 0 {
		return fmt.Errorf("%s: says no time or no control", unlockFile)
	}
	_, err := controlsNamed(u.Controls)
	return err
}

// due tells whether it is over. A clock that stands before it was asked for says nothing
// about its end: then it is over.
func (u *Unlocked) due(now time.Time) bool {
	return !now.Before(u.Until) || now.Before(u.Asked.Add(-time.Minute))
}

// modes are what an unlock puts over the policy's and the administrator's.
func (u *Unlocked) modes() modes {
	m := modes{}
	if u != nil {
		for _, c := range u.Controls {
			m[c] = policy.Observe
		}
	}
	return m
}

// recallUnlock reads what an earlier agent left open. What is over, by this host's clock
// or by the kernel's, or cannot be read, is closed.
func (f *inForce) recallUnlock() {
	var u Unlocked
	found, err := f.keep.read(unlockFile, &u)
	if found && err == nil {
		err = u.check()
	}
	switch {
	case err != nil:
		f.oddity("what was unlocked is unreadable, so it is locked: %v", err)
	case !found:
		return
	default:
		f.unlocked = &u
		f.unproven()
		if end, knows := f.endInKernel(); !u.due(f.now()) && !(knows && end.IsZero()) {
			// Nobody turns the kernel's clock. What both tell is not the same instant.
			if knows && len(f.opened()) == 0 && end.Before(u.Until.Add(-time.Second)) {
				u.Until = end
			}
			return
		}
		f.unlocked = nil
	}
	f.log.Info("the unlock an earlier agent left is over")
	if err := f.keep.remove(unlockFile); err != nil {
		f.log.Error("an unlock that is over cannot be taken off the disk; it stays over", "error", err)
	}
}

// endInKernel is when the kernel ends by itself what is relaxed there, zero where nothing
// is, and whether it knows: it has a policy in force.
func (f *inForce) endInKernel() (end time.Time, knows bool) {
	if f.enforcer == nil {
		return time.Time{}, false
	}
	s, err := f.enforcer.Status()
	return s.RelaxedUntil, err == nil && s.Generation > 0
}

// unlock puts controls in observe mode for a while. It is possible at any time, also while
// another change waits to be confirmed.
func (f *inForce) unlock(u Unlock, permit permit) (Unlocked, error) {
	controls, err := controlsNamed(u.Controls)
	d := time.Duration(u.For)
	switch {
	case err != nil:
		return Unlocked{}, err
	case d <= 0:
		return Unlocked{}, badRequest("an unlock needs an end", "say for how long: --for 15m")
	case d > longestUnlock:
		return Unlocked{}, badRequest("an unlock for %v is too long", "at most "+longestUnlock.String()+"; for good there is kannuki-agent observe", d)
	case strings.TrimSpace(u.Reason) == "":
		return Unlocked{}, badRequest("an unlock needs a reason", `say it in a sentence: --reason "locked out, INC-4711"`)
	}
	return f.open(controls, d, u.Reason, identity.Ask{Action: identity.Unlock, Controls: u.Controls, For: d}, permit)
}

// letGo lets the guard be taken off: its defence of itself is observed for a while.
func (f *inForce) letGo(permit permit) (Unlocked, error) {
	u, err := f.open([]host.Control{host.Self}, forUninstall, "uninstall", identity.Ask{Action: identity.Uninstall}, permit)
	if err != nil {
		return u, err
	}
	// The next guard of this host is not held to what this one asked for. Where this one
	// stays after all, locking it writes the file again.
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.keep.remove(lastGoodFile); err != nil {
		f.log.Error("the last good policy stays", "error", err)
	}
	return u, nil
}

// open is on disk before it is in the kernel, so that an agent that is killed in between
// knows of it. In the kernel it is one write, which carries its end.
func (f *inForce) open(controls []host.Control, d time.Duration, reason string, a identity.Ask, permit permit) (Unlocked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := permit(a, f.base())
	if err != nil {
		return Unlocked{}, err
	}
	now, was := f.now(), f.unlocked
	next := Unlocked{Controls: slices.Clone(controls), Asked: now, Until: now.Add(d), Reason: reason, Token: id}
	if a.Action == identity.Uninstall && was != nil { // what is open stays open as well
		next.Controls = union(was.Controls, controls)
		next.Until = later(was.Until, next.Until)
	}
	if err := f.keep.write(unlockFile, next); err != nil {
		return Unlocked{}, &Error{Code: http.StatusInternalServerError, Message: "the unlock cannot be kept, so it is none: " + err.Error(), Hint: "make room on the disk of " + f.keep.dir}
	}
	f.unlocked = &next
	f.keep.step("kernel")
	if err := f.relax(); err != nil {
		f.unlocked = was
		f.keepUnlock()
		return Unlocked{}, &Error{Code: http.StatusInternalServerError, Message: fmt.Sprintf("nothing can be unlocked: %v", err), Hint: "what was in force stays; see kannuki-agent status"}
	}
	f.asksAnew()
	return next, nil
}

// keepUnlock writes down what is unlocked. It goes last where something is locked: the
// file says when it is over, so that a kill in between only repeats this.
func (f *inForce) keepUnlock() {
	var err error
	if f.unlocked != nil {
		err = f.keep.write(unlockFile, f.unlocked)
	} else {
		err = f.keep.remove(unlockFile)
	}
	if err != nil {
		f.log.Error("what is unlocked cannot be kept", "error", err)
	}
}

// lock ends an unlock at once.
func (f *inForce) lock() (Unlocked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unlocked == nil {
		return Unlocked{}, &Error{Code: http.StatusConflict, Message: "nothing is unlocked", Hint: "kannuki-agent status shows what is in force"}
	}
	u := *f.unlocked
	if err := f.shut(); err != nil {
		return Unlocked{}, &Error{Code: http.StatusInternalServerError, Message: "cannot be locked yet: " + err.Error(), Hint: "it ends by itself at " + stamp(u.Until) + "; kannuki-agent lock tries again"}
	}
	return u, nil
}

// tendUnlock ends an unlock whose time is over. It returns when it is to be called next,
// zero for no particular time, and what ended.
func (f *inForce) tendUnlock() (next time.Time, ended *Unlocked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := f.unlocked
	if u == nil {
		return time.Time{}, nil
	}
	// What the kernel was not told yet it has not ended.
	if end, knows := f.endInKernel(); !u.due(f.now()) && (f.failed != nil || !knows || !end.IsZero()) {
		return u.Until, nil
	}
	if err := f.shut(); err != nil {
		f.log.Error("an unlock is over, and the kernel cannot be told; it ends it by itself", "controls", listed(u.Controls), "error", err)
		return f.now().Add(retryAfter), nil
	}
	f.log.Info("an unlock is over", "controls", listed(u.Controls))
	return time.Time{}, u
}

// shut locks what is unlocked. On an error it is as open as before.
func (f *inForce) shut() error {
	was := f.unlocked
	f.unlocked = nil
	f.keep.step("kernel")
	if err := f.relax(); err != nil {
		f.unlocked = was
		return err
	}
	f.keepUnlock()
	f.asksAnew()
	f.keepGood() // uninstalling took it away
	return nil
}

func union(a, b []host.Control) []host.Control {
	out := slices.Clone(a)
	for _, c := range b {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
