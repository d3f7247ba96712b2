package main

import (
	"errors"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/guard"
)

// openGuard loads the guard into this kernel, or adopts what an earlier agent pinned.
// Where the kernel cannot refuse by itself it opens the reduced guard, if that is asked
// for: the unit does, somebody who tries the agent out does not by accident.
func openGuard(reduce bool) (agent.Enforcer, error) {
	o := guard.Options{Pins: setup.Pins, Now: time.Now}
	g, err := guard.Open(o)
	if err == nil {
		return g, nil // a nil *Guard in an interface would not be nil
	}
	if !reduce || !errors.Is(err, guard.ErrNoEnforcement) {
		return nil, err
	}
	r, reduced := guard.OpenReduced(o, err)
	if reduced != nil {
		return nil, errors.Join(err, reduced)
	}
	return r, nil
}
