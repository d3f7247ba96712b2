package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/kannuki/kannuki/event"
)

// How often the loop does what nothing asks for.
const (
	pollEvery    = 30 * time.Second // ask the guard how it is
	refreshEvery = time.Second      // at most: a package transaction moves many places
	longestWait  = time.Minute
	shortestWait = 10 * time.Millisecond
)

// loop does what is due until ctx ends or nobody can be answered any more.
func (a *agent) loop(ctx context.Context, served <-chan error) error {
	for {
		now := a.now()
		next := a.tick(now)
		wait := longestWait
		if !next.IsZero() {
			wait = min(max(next.Sub(now), shortestWait), longestWait)
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("agent: the socket is gone: %w", err)
		case <-a.cfg.Reload:
			a.reload()
		case <-a.changed:
			a.moved.Store(true)
		case <-a.kicked:
		case <-a.after(wait):
		}
	}
}

// tick does what is due at now, and returns when it is to be called again.
func (a *agent) tick(now time.Time) time.Time {
	next, fell := a.force.tend()
	until, ended := a.force.tendUnlock()
	next = sooner(next, until)
	if ended != nil {
		a.recorder.note("locked", "", listed(ended.Controls)+": its time is over", event.Actor{LoginUID: -1})
		a.stale.Store(true)
	}
	if fell != "" {
		a.recorder.note("fell-back", "", fell+" was not confirmed in time", event.Actor{LoginUID: -1})
		a.stale.Store(true)
	}
	next = sooner(next, a.drills.tend(now))
	if a.moved.Load() {
		if due := a.refreshed.Add(refreshEvery); now.Before(due) {
			next = sooner(next, due)
		} else {
			a.moved.Store(false)
			a.refreshed = now
			a.force.refresh()
			a.stale.Store(true)
		}
	}
	if a.stale.Swap(false) || !now.Before(a.polled.Add(pollEvery)) {
		a.polled = now
		a.report(now)
		a.systemd.tell("STATUS=" + a.line())
	}
	next = sooner(next, a.polled.Add(pollEvery))
	if a.cfg.Watchdog <= 0 {
		return next
	}
	// Only this loop says that the agent is well, and only after it went round.
	if half := a.cfg.Watchdog / 2; !now.Before(a.petted.Add(half)) {
		a.petted = now
		a.systemd.tell("WATCHDOG=1")
	}
	return sooner(next, a.petted.Add(a.cfg.Watchdog/2))
}

// reload is a SIGHUP: nobody waits for the answer.
func (a *agent) reload() {
	c, err := a.force.reload(unseen)
	if err != nil {
		a.log.Error("the policy was not read again", "error", err)
		return
	}
	a.recorder.note("policy-applied", "", "policy "+c.Policy+", read again", event.Actor{LoginUID: -1})
	a.stale.Store(true)
}
