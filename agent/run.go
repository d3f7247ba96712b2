package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kannuki/kannuki/agent/spool"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
)

// agent is one that runs.
type agent struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	after    func(time.Duration) <-chan time.Time
	started  time.Time
	enforcer Enforcer
	proc     proc
	keep     *keep
	force    *inForce
	recorder *recorder
	grants   *grants
	boots    *boots
	permits  *permits
	stock    *stock
	proofs   *proofs
	drills   *drills
	systemd  systemd
	peer     func(net.Conn) peer

	watch   func(context.Context, chan<- struct{}) // tells when mounts or units have changed
	changed chan struct{}                          // holds one: what watch tells
	kicked  chan struct{}                          // holds one: something changed, look what is due
	moved   atomic.Bool                            // the host's places changed
	stale   atomic.Bool                            // the protection changed

	followMu  sync.Mutex
	followErr error

	// Of the loop alone.
	refreshed, polled, petted time.Time
	reported                  host.Protection
	lineages                  map[string]time.Time // that ran contained, and when they last did
	deaf                      bool                 // refusals were not heard when they were asked for last
	open                      []host.Control       // that only observed then, and were asked to enforce
}

// Run is the agent until ctx ends. It returns an error where it cannot start at all; a
// policy, a spool or an inventory that is no good is told in the log and in the status,
// and everything else goes on.
func Run(ctx context.Context, cfg Config) error {
	a, unlock, err := open(cfg)
	if err != nil {
		return err
	}
	return errors.Join(a.run(ctx), unlock())
}

// open makes an agent that has not begun.
func open(cfg Config) (*agent, func() error, error) {
	if cfg.Now == nil {
		return nil, nil, errors.New("agent: Config.Now is required")
	}
	cfg.Policy = cmp.Or(cfg.Policy, DefaultPolicy)
	cfg.State = cmp.Or(cfg.State, DefaultState)
	cfg.Socket = cmp.Or(cfg.Socket, DefaultSocket)
	cfg.Proc = cmp.Or(cfg.Proc, "/proc")
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Started.IsZero() {
		cfg.Started = cfg.Now()
	}
	files, unlock, err := openKeep(cfg.State, cfg.Policy)
	if err != nil {
		return nil, nil, err
	}
	a := &agent{cfg: cfg, log: cfg.Log, now: cfg.Now, after: time.After, started: cfg.Started, enforcer: cfg.Enforcer, proc: proc(cfg.Proc),
		keep: files, systemd: systemd{cfg.Notify, cfg.Log}, changed: make(chan struct{}, 1), kicked: make(chan struct{}, 1)}
	a.peer = func(c net.Conn) peer { p := peerOf(c); p.login = a.proc.login(p.pid); return p }
	a.boots = newBoots(a.proc, files, cfg.Log)
	a.force = &inForce{enforcer: cfg.Enforcer, keep: files, boots: a.boots, now: cfg.Now, log: cfg.Log}
	a.recorder = &recorder{proc: a.proc, book: &a.force.book, now: cfg.Now, log: cfg.Log, spool: &memory{}, followers: map[*follower]bool{}}
	for _, x := range cfg.Exports {
		a.recorder.exporters = append(a.recorder.exporters, newExporter(x, cfg.Log))
	}
	a.watch = func(ctx context.Context, changed chan<- struct{}) {
		a.proc.watchMounts(ctx, a.log, changed)
		watchDirs(ctx, a.log, unitDirs, changed)
	}
	a.grants = &grants{enforcer: cfg.Enforcer, files: files, log: cfg.Log}
	a.permits = &permits{host: hostID(cfg), files: files, now: cfg.Now, log: cfg.Log}
	a.stock = &stock{collect: collector(cfg.Now), files: files, now: cfg.Now, log: cfg.Log}
	a.proofs = &proofs{files: files, log: cfg.Log}
	a.force.proofs = a.proofs
	a.drills = &drills{agent: a, program: filepath.Join(cfg.Proc, "self", "exe")}
	a.drills.ours, a.recorder.see = a.drills.isOurs, a.drills.see
	return a, unlock, nil
}

// run begins with what protects: everything else waits for it.
func (a *agent) run(ctx context.Context) error {
	if a.enforcer == nil {
		a.log.Warn("nothing can be enforced on this host: " + a.reason())
	}
	inner, stop := context.WithCancel(ctx)
	defer stop()
	if a.enforcer != nil {
		a.watch(inner, a.changed) // before places are resolved for the first time
	}
	a.boots.load()
	a.force.start()
	a.grants.load()
	a.proofs.load()
	a.drills.clearEarlier()
	a.permits.load()
	a.openSpool()
	listener, err := listen(a.cfg.Socket)
	if err != nil {
		return errors.Join(err, a.close())
	}
	srv := (&server{agent: a, peer: a.peer}).http(inner)
	var running sync.WaitGroup
	running.Go(func() { a.stock.run(inner) })
	running.Go(func() { a.follow(inner) })
	for _, x := range a.recorder.exporters {
		running.Go(func() { x.run(inner) })
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(listener) }()
	a.systemd.tell("READY=1", "STATUS="+a.line())
	err = a.loop(inner, served)
	a.systemd.tell("STOPPING=1")
	stop()
	err = errors.Join(err, shutdown(srv))
	running.Wait()
	a.drills.stop()
	return errors.Join(err, a.close())
}

// shutdown lets answers under way be finished.
func shutdown(srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return srv.Close()
	}
	return nil
}

func (a *agent) close() error {
	err := a.recorder.spool.Close()
	if a.enforcer != nil {
		err = errors.Join(err, a.enforcer.Close())
	}
	return err
}

// maxSpool bounds the spool in bytes.
const maxSpool = 64 << 20

// openSpool opens the spool; where it cannot be, events are held in memory, and the
// status says so.
func (a *agent) openSpool() {
	s, err := spool.Open(a.keep.path(eventsDir), maxSpool)
	if err != nil {
		a.log.Error("the spool cannot be opened: only the last events are held, in memory", "error", err)
		a.recorder.openErr = err
		return
	}
	for _, d := range s.Damage() {
		a.log.Warn("the spool was damaged", "error", d)
	}
	a.recorder.spool = s
}

// listen makes the socket, in a directory that is root's alone.
func listen(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("agent: socket: %w", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("agent: socket: %w", err)
	}
	// The state directory is locked, so what lies here is of an agent that is gone.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("agent: socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("agent: socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("agent: socket: %w", err), l.Close())
	}
	return l, nil
}

// line is the status in one line.
func (a *agent) line() string {
	s := a.status()
	if s.Reason != "" {
		return "not enforcing: " + s.Reason
	}
	enforced, all := 0, len(s.Controls)
	for _, c := range s.Controls {
		if c.Mode == host.Enforce {
			enforced++
		}
	}
	line := fmt.Sprintf("policy %s, %d of %d controls enforced (%s, generation %d)", s.Policy.Name, enforced, all, s.Tier, s.Generation)
	if len(s.Faults) > 0 {
		line += "; " + s.Faults[0]
	}
	return line
}

// follow takes the guard's events until ctx ends.
func (a *agent) follow(ctx context.Context) {
	for a.enforcer != nil && ctx.Err() == nil {
		err := a.enforcer.Follow(ctx, a.each)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the guard stopped telling them")
		}
		a.log.Error("events are not read; refusing goes on", "error", err)
		a.setFollowing(err)
		select {
		case <-ctx.Done():
		case <-a.after(retryAfter):
		}
	}
}

func (a *agent) each(e event.Event) {
	a.setFollowing(nil)
	a.recorder.record(e)
	if e.Kind != event.Note {
		return
	}
	switch e.Op {
	case "place-moved", "updated":
		if !a.moved.Swap(true) {
			a.wake()
		}
	case "contained":
		a.stale.Store(true)
	}
}

func (a *agent) setFollowing(err error) {
	a.followMu.Lock()
	defer a.followMu.Unlock()
	a.followErr = err
}

func (a *agent) following() error {
	a.followMu.Lock()
	defer a.followMu.Unlock()
	return a.followErr
}

// wake makes the loop look what is due.
func (a *agent) wake() { tell(a.kicked) }

// kick makes the loop report the protection too.
func (a *agent) kick() {
	a.stale.Store(true)
	a.wake()
}
