package export

import (
	"context"
	"fmt"
	"time"
)

// Bounds of the pause after a failure; it doubles from one to the next.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = time.Minute
)

// pause keeps a destination that fails from being asked without rest. It runs on
// between calls, so that whoever gives each call a short time gets through, too.
type pause struct {
	shortest time.Duration // 0: shortestPause
	length   time.Duration
	over     <-chan time.Time // nil: nothing to wait for
}

// wait returns when the destination may be asked again, or ctx's error.
func (p *pause) wait(ctx context.Context) error {
	if p.over == nil {
		return nil
	}
	select {
	case <-p.over:
		p.over = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting %v after a failure: %w", p.length, ctx.Err())
	}
}

// failed begins a pause, of at least asked where the destination asked for one.
func (p *pause) failed(asked time.Duration) {
	shortest := p.shortest
	if shortest == 0 {
		shortest = shortestPause
	}
	p.length = min(max(2*p.length, shortest), longestPause)
	p.length = max(p.length, min(asked, 10*longestPause))
	p.over = time.After(p.length)
}

func (p *pause) succeeded() { p.length, p.over = 0, nil }
