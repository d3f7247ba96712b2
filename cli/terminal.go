package cli

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/kannuki/kannuki/command"
	"github.com/kannuki/kannuki/lang"
)

// progress shows a bar on standard error while something takes its time. Where
// standard error is no terminal it is silent.
type progress struct {
	bar     *progressbar.ProgressBar
	name    string
	stopped chan struct{}
	ticking sync.WaitGroup
}

// A bar says how long it has taken, not how long it will: after a file is read, its
// records are merged and written at once, and no forecast from bytes knows of that.
func (a *app) progress(what string) *progress {
	if !command.IsTerminal(a.Stderr) {
		return &progress{}
	}
	p := &progress{stopped: make(chan struct{}), bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(a.Stderr), progressbar.OptionSetDescription(label(what)),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetElapsedTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(16))}
	p.ticking.Go(p.tick)
	return p
}

// tick moves the clock while nothing else moves: a bar that stands still looks dead.
func (p *progress) tick() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-p.stopped:
			return
		case <-every.C:
			_ = p.bar.Add(0)
		}
	}
}

// label is a bar's name, always as wide; of a path the end tells most.
func label(text string) string { return lang.Pad(lang.CutStart(lang.Clean(text), 30), 30) }

// at moves the bar; done and total are bytes, total 0 when unknown.
func (p *progress) at(done, total int64, name string) {
	if p.bar == nil {
		return
	}
	if total > 0 && p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	if name != p.name {
		p.name = name
		p.bar.Describe(label(name))
	}
	_ = p.bar.Set64(done) // a terminal that went away must not stop the work
}

func (p *progress) done() {
	if p.bar != nil {
		close(p.stopped)
		p.ticking.Wait()
		_ = p.bar.Finish()
	}
}
