package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
)

// begin is when every test begins.
var begin = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

// fake is an Enforcer that remembers what it was asked for.
type fake struct {
	applied chan policy.Policy // every Apply that was asked for
	events  chan event.Event   // what Follow tells
	fresh   chan struct{}      // every Refresh

	mu        sync.Mutex
	inForce   policy.Policy
	status    guard.Status
	gaps      []guard.Gap
	until     time.Time
	fail      func(policy.Policy) error
	labels    map[int]guard.Label
	untold    map[int]error // why Label does not tell of a process
	contained []int
	grants    []guard.Grant
	now       func() time.Time
	closed    bool
	follows   error // what Follow returns at once
	relaxed   []host.Control
	relaxedTo time.Time // when that ends
	unrelaxed error     // why RelaxUntil fails
	stubborn  bool      // it does what it was asked and says that it failed
	told      []string  // what RelaxUntil and Apply were called with, in their order
}

func newFake() *fake {
	return &fake{now: func() time.Time { return begin }, applied: make(chan policy.Policy, 100), events: make(chan event.Event), fresh: make(chan struct{}, 100), labels: map[int]guard.Label{},
		status: guard.Status{Tier: guard.TierLSM, Hooks: map[host.Control]int{host.Launch: 5, host.Write: 12, host.Containing: 4}, KernelBytes: 4096}}
}

func (f *fake) Apply(p policy.Policy, _ time.Time) (guard.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.applied <- p }()
	f.told = append(f.told, fmt.Sprintf("launch %s", p.ModeOf(host.Launch)))
	if f.fail != nil {
		if err := f.fail(p); err != nil {
			return guard.Applied{}, err
		}
	}
	f.inForce = p
	f.status.Generation++
	return guard.Applied{Generation: f.status.Generation, Gaps: f.gaps, Until: f.until, Rules: len(p.Rules())}, nil
}

func (f *fake) RelaxUntil(controls []host.Control, until time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	told := "nothing"
	if len(controls) > 0 {
		told = fmt.Sprintf("%s until %s", listed(controls), until.UTC().Format("15:04"))
	}
	f.told = append(f.told, told)
	if f.unrelaxed == nil || f.stubborn && len(controls) > 0 {
		f.relaxed, f.relaxedTo = controls, until
	}
	return f.unrelaxed
}

// Status is what the fake was told, but for the modes, which it tells as the guard does.
func (f *fake) Status() (guard.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	if s.Generation == 0 {
		return s, nil
	}
	s.Modes = map[host.Control]policy.Mode{}
	for _, c := range policy.Controls() {
		s.Modes[c] = f.mode(c)
	}
	if len(f.relaxed) > 0 && f.now().Before(f.relaxedTo) {
		s.Relaxed, s.RelaxedUntil = f.relaxed, f.relaxedTo
	}
	return s, nil
}

// mode is what is done about a control; f.mu is held.
func (f *fake) mode(c host.Control) policy.Mode {
	if slices.Contains(f.relaxed, c) && f.now().Before(f.relaxedTo) {
		return policy.Observe
	}
	return f.inForce.ModeOf(c)
}

func (f *fake) Follow(ctx context.Context, each func(event.Event)) error {
	f.mu.Lock()
	err := f.follows
	f.mu.Unlock()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-f.events:
			each(e)
		}
	}
}

func (f *fake) Label(pid int) (guard.Label, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if pid <= 0 {
		return guard.Label{}, errors.New("no such process")
	}
	return f.labels[pid], f.untold[pid]
}

func (f *fake) Contain(pid int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.contained = append(f.contained, pid)
	return nil
}

func (f *fake) Grant(pid int, e guard.Exception) (guard.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := guard.Grant{ID: uint64(len(f.grants) + 1), PID: pid, Until: f.now().Add(e.For), Exception: e}
	f.grants = append(f.grants, g)
	return g, nil
}

func (f *fake) Grants() ([]guard.Grant, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.grants), nil
}

func (f *fake) Revoke(id uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.grants)
	f.grants = slices.DeleteFunc(f.grants, func(g guard.Grant) bool { return g.ID == id })
	if len(f.grants) == n {
		return errors.New("there is none")
	}
	return nil
}

func (f *fake) Learn() error { return nil }

func (f *fake) Refresh() (bool, []guard.Gap, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Generation++
	f.fresh <- struct{}{}
	return true, f.gaps, nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return nil
}

func (f *fake) Remove() error { return nil }

// set changes what the fake does.
func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// modeOf is what is done about a control now, by the clock of the kernel.
func (f *fake) modeOf(c host.Control) policy.Mode {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode(c)
}

func (f *fake) name() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.inForce.Name
}

// clock stands still until it is moved.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	waits []wait
}

type wait struct {
	at time.Time
	c  chan time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) after(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := wait{c.at.Add(d), make(chan time.Time, 1)}
	c.waits = append(c.waits, w)
	return w.c
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	c.waits = slices.DeleteFunc(c.waits, func(w wait) bool {
		if w.at.After(c.at) {
			return false
		}
		w.c <- c.at
		return true
	})
}

// text is a log that may be read while it is written.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// rig is an agent that runs, with everything around it.
type rig struct {
	t      *testing.T
	cfg    Config
	fake   *fake // nil: no guard
	clock  *clock
	log    *text
	agent  *agent
	client *Client
	mounts chan struct{} // mounts have changed
	stop   func() error  // ends it; called at the end of the test too
}

// newRig prepares an agent in a directory of its own; start runs it.
func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, fake: newFake(), clock: &clock{at: begin}, log: &text{}, mounts: make(chan struct{}), stop: func() error { return nil }}
	r.fake.now = r.clock.now
	r.cfg = Config{Policy: filepath.Join(dir, "etc", "policy.yaml"), State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "run", "agent.sock"),
		Version: "1.2.3", HostID: hostHere, Log: slog.New(slog.NewTextHandler(r.log, nil)), Now: r.clock.now}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// start runs the agent; tweak changes it before.
func (r *rig) start(tweak ...func(*agent)) {
	r.t.Helper()
	cfg := r.cfg
	if r.fake != nil {
		cfg.Enforcer = r.fake
	}
	a, unlock, err := open(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	a.after = r.clock.after
	a.watch, a.changed = func(context.Context, chan<- struct{}) {}, r.mounts
	a.stock.collect = func(context.Context) (host.Inventory, error) {
		return host.Inventory{Collected: begin, Packages: []host.Package{{Name: "nginx"}}}, nil
	}
	a.peer = func(c net.Conn) peer { // an administrator's session
		p := peerOf(c)
		if p.login = 1000; os.Getuid() != 0 {
			p.uid = 0
		}
		return p
	}
	a.boots.kernelLog, a.boots.units = func(func(string) bool) {}, "" // not this host's
	for _, t := range tweak {
		t(a)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	ready := r.readiness(a)
	go func() { ended <- errors.Join(a.run(ctx), unlock()) }()
	r.stop = sync.OnceValue(func() error { cancel(); r.client.Close(); return <-ended })
	r.agent, r.client = a, Dial(cfg.Socket)
	select {
	case <-ready:
	case err := <-ended:
		r.t.Fatalf("the agent ended: %v", err)
	}
}

// readiness is told by the agent as systemd is.
func (r *rig) readiness(a *agent) <-chan struct{} {
	r.t.Helper()
	socket := filepath.Join(r.t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: socket})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	a.systemd.socket = socket
	ready := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		for told := false; ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if !told && strings.HasPrefix(string(buf[:n]), "READY=1") {
				told = true
				close(ready)
			}
		}
	}()
	return ready
}

// restart ends the agent and runs another over the same state.
func (r *rig) restart() {
	r.t.Helper()
	if err := r.stop(); err != nil {
		r.t.Fatal(err)
	}
	r.drain()
	r.start()
}

// drain forgets what was applied so far.
func (r *rig) drain() {
	for {
		select {
		case <-r.fake.applied:
		default:
			return
		}
	}
}

// pass lets time pass, and returns when the loop has seen it: after the next Apply.
func (r *rig) pass(d time.Duration, before ...func(*agent)) policy.Policy {
	r.t.Helper()
	r.drain()
	for _, b := range before {
		b(r.agent)
	}
	r.clock.advance(d)
	r.agent.wake()
	select {
	case p := <-r.fake.applied:
		return p
	case <-time.After(10 * time.Second):
		r.t.Fatalf("after %v nothing was applied; log:\n%s", d, r.log)
		return policy.Policy{}
	}
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) status() Status {
	r.t.Helper()
	return must(r.client.Status(r.t.Context()))(r.t)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// refusedWith fails the test unless err is the agent's and says all of parts.
func refusedWith(t *testing.T, err error, code int, parts ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want the agent to refuse", err)
	}
	if e.Code != code {
		t.Errorf("code %d, want %d: %v", e.Code, code, e)
	}
	for _, p := range parts {
		if !strings.Contains(e.Error(), p) {
			t.Errorf("%q does not say %q", e.Error(), p)
		}
	}
}

const web = "version: 1\nname: web\nbase: standard\n"

// source is a policy as a client sends it.
func source(text string) Source { return Source{Name: "new.yaml", Text: text} }

// hostHere is the id of the host every rig is.
const hostHere = "0123456789abcdef0123456789abcdef"

// anybody permits everything.
func anybody(identity.Ask, policy.Policy) (string, error) { return "", nil }
