package cli

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/kannuki/kannuki/lang"
)

// defaultWidth is the width of pages that go to a file or a pipe.
const defaultWidth = 80

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return defaultWidth
}

// progress shows a bar on standard error while something takes its time. Where
// standard error is no terminal it is silent.
type progress struct {
	bar  *progressbar.ProgressBar
	name string
}

func (a *app) progress(what string) *progress {
	if !isTerminal(a.Stderr) {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(a.Stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100_000_000), progressbar.OptionSetWidth(24))}
}

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
		p.bar.Describe(lang.Pad(lang.Cut(name, 30), 30))
	}
	_ = p.bar.Set64(done) // a terminal that went away must not stop the work
}

func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
