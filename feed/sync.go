package feed

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// SyncOptions are what Sync needs from outside.
type SyncOptions struct {
	// Client makes the requests, through whatever proxy its transport knows. Required.
	Client *http.Client
	// Now is the clock. Required.
	Now func() time.Time
	// Sleep waits, unless ctx ends first; nil really waits.
	Sleep func(ctx context.Context, d time.Duration) error
	// Base puts another address (a mirror) in the place of a source's own.
	Base map[string]*url.URL
	// NVDKey is the API key for nvd-api; it is sent there and nowhere else.
	NVDKey string
	// Version goes into the User-Agent: "kannuki/<version>".
	Version string
	// MaxBytes bounds one file; 0 is 4 GiB.
	MaxBytes int64
	// Attempts bounds how often one file is tried; 0 is 5.
	Attempts int
	// Lately is how far back sources go that have no complete list, the first time; 0 is 90 days.
	Lately time.Duration
	// Progress is told how many bytes of a file are here; total is -1 where unknown.
	Progress func(done, total int64, name string)

	stall time.Duration // without a byte for so long, a connection counts as dead
}

// SyncOutcome is what became of one source.
type SyncOutcome struct {
	Source string `json:"source"`
	Status Status `json:"status"` // Updated, Unchanged or Failed
	// Files are all files of the source in the cache, in the order to import them;
	// Changed are those this run brought. Both hold paths.
	Files    []string `json:"files"`
	Changed  []string `json:"changed,omitempty"`
	Bytes    int64    `json:"bytes"`
	Requests int      `json:"requests"`
	Notes    []string `json:"notes,omitempty"`
	// Err names source, address, status and what to do. Files brought before it stay.
	Err string `json:"error,omitempty"`
}

// Updated is the status of a source that brought new files.
const Updated Status = "updated"

// Sync downloads what is new at the official sources into the folder dir, one
// subfolder per source. It promises that a file in the cache is always whole: it
// takes its place only when length and checksum, where the publisher gives them, are
// right, and what was there before stays until then. Killed at any moment, the next
// run goes on where this one was. A source that fails does not stop the others; the
// error is for what stops them all: an unknown name, the folder, another Sync in
// the same folder, or ctx.
func Sync(ctx context.Context, sources []string, dir string, opt SyncOptions) ([]SyncOutcome, error) {
	opt, err := opt.complete()
	if err != nil {
		return nil, err
	}
	list, err := chosen(sources, opt.Base)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cache folder: %w", err)
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cache folder %s: %w", dir, err)
	}
	defer unlock()
	var outcomes []SyncOutcome
	for _, src := range list {
		out := syncOne(ctx, src, dir, opt)
		if err := ctx.Err(); err != nil {
			return outcomes, err
		}
		outcomes = append(outcomes, out)
	}
	return outcomes, nil
}

// complete checks what is required and fills the defaults.
func (opt SyncOptions) complete() (SyncOptions, error) {
	if opt.Client == nil || opt.Now == nil {
		return opt, errors.New("feed sync needs an HTTP client and a clock")
	}
	opt.Client = guardRedirects(opt.Client)
	if opt.Sleep == nil {
		opt.Sleep = sleep
	}
	if opt.MaxBytes <= 0 {
		opt.MaxBytes = 4 << 30
	}
	if opt.Attempts <= 0 {
		opt.Attempts = 5
	}
	if opt.Lately <= 0 {
		opt.Lately = 90 * 24 * time.Hour
	}
	if opt.stall <= 0 {
		opt.stall = time.Minute
	}
	if opt.Version == "" {
		opt.Version = "dev"
	}
	if opt.Progress == nil {
		opt.Progress = func(int64, int64, string) {}
	}
	return opt, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// chosen finds the sources by name and puts mirrors in place.
func chosen(names []string, base map[string]*url.URL) ([]OfficialSource, error) {
	all := Official()
	var known []string
	for _, s := range all {
		known = append(known, s.Name)
	}
	for name := range base {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("an address is given for the unknown source %q; known are %s", name, strings.Join(known, ", "))
		}
	}
	var out []OfficialSource
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("unknown source %q; known are %s", name, strings.Join(known, ", "))
		}
		src := all[i]
		if u := base[name]; u != nil {
			src.Base, src.index = strings.TrimSuffix(u.String(), "/")+"/", ""
		}
		out = append(out, src)
	}
	return out, nil
}

// plan finds and fetches the files of one source that is more than fixed files.
type plan func(ctx context.Context, s *syncer) error

// syncer works on one source.
type syncer struct {
	opt    SyncOptions
	src    OfficialSource
	folder string // dir/<source>
	state  *syncState
	limit  *limiter
	out    SyncOutcome
}

func syncOne(ctx context.Context, src OfficialSource, dir string, opt SyncOptions) SyncOutcome {
	s := &syncer{opt: opt, src: src, folder: filepath.Join(dir, filepath.FromSlash(src.Name)),
		limit: &limiter{pace: src.pace, now: opt.Now, sleep: opt.Sleep},
		out:   SyncOutcome{Source: src.Name, Status: Unchanged}}
	if opt.NVDKey != "" && src.keyed.requests > 0 {
		s.limit.pace = src.keyed
	}
	err := s.run(ctx)
	s.out.Files = s.list()
	switch {
	case err != nil:
		s.out.Status, s.out.Err = Failed, fmt.Sprintf("%s: %v", src.Name, err)
	case len(s.out.Changed) > 0:
		s.out.Status = Updated
	}
	return s.out
}

func (s *syncer) run(ctx context.Context) error {
	if err := os.MkdirAll(s.folder, 0o755); err != nil {
		return err
	}
	var err error
	if s.state, err = loadState(s.folder); err != nil {
		return err
	}
	if s.src.plan != nil {
		err = s.src.plan(ctx, s)
	} else {
		for _, name := range s.src.files {
			if _, err = s.file(ctx, name, s.src.Base+name, expected{}); err != nil {
				break
			}
		}
	}
	if err == nil {
		s.state.Checked = s.opt.Now().UTC()
	}
	return errors.Join(err, s.state.save(s.folder))
}

// list names the source's files in the cache. Names are made so that their order is
// the order to import them in: older before newer.
func (s *syncer) list() []string {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil
	}
	var out []string
	for _, e := range entries {
		if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(s.folder, e.Name()))
		}
	}
	return out
}

// forget takes a file that was removed out of what this run brought.
func (s *syncer) forget(path string) {
	s.out.Changed = slices.DeleteFunc(s.out.Changed, func(p string) bool { return p == path })
}

func (s *syncer) note(format string, args ...any) {
	s.out.Notes = append(s.out.Notes, fmt.Sprintf(format, args...))
}

// jitter spreads d over half to one and a half of it, so that a fleet of servers does
// not come back at the same moment.
func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Float64()*float64(d))
}
