// Package guard refuses, in the kernel, what a policy does not allow: it loads the one
// fixed set of programs of guard/bpf, finds out which way of attaching this kernel
// honours, puts a policy in force with one write, and hands on what was refused. What
// it pinned goes on refusing when the process is gone, and the next one adopts it.
//
// It is the only door to guard/*, and the only importer of cilium/ebpf.
package guard

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/policy"
)

// Tiers: how the programs are attached. What the canary has shown is what is claimed.
const (
	TierLSM    = "bpf-lsm"  // BPF LSM programs, with bpf in the kernel's lsm= list
	TierModRet = "fmod-ret" // fmod_ret on the security_* functions
)

// ErrNoEnforcement is returned by Open where no tier refuses.
var ErrNoEnforcement = errors.New("this kernel cannot enforce")

// Options say how the guard is opened.
type Options struct {
	// Pins is a directory of a BPF file system, "/sys/fs/bpf/kannuki": what is pinned
	// there refuses without a process, and the next Open adopts it. "" pins nothing:
	// everything ends with Close.
	Pins string
	// Now is the wall clock that grants' ends are told by.
	Now func() time.Time
}

// Guard is the loaded guard.
type Guard struct {
	programs []string // names of the attached ones
	maps     map[string]*ebpf.Map
	links    []link.Link
	tier     string
	missing  []Missing
	adopted  bool
	pins     pins

	asking   sync.Mutex // one question at a time
	mu       sync.Mutex // one policy at a time
	policy   *policy.Policy
	applied  generations
	picture  [sha256.Size]byte // of what was staged last, to tell whether anything moved
	littered bool              // other generations than that in force may be in the maps
	now      func() time.Time
}

// Missing is a hook this kernel does not have.
type Missing struct {
	Hook string `json:"hook"`
	Why  string `json:"why"`
}

// Open adopts what is pinned, or loads the programs and attaches them in the first tier
// whose canary is refused. It returns an error that wraps ErrNoEnforcement where no
// tier refuses. Until the first Apply freshly loaded programs allow everything.
func Open(o Options) (*Guard, error) {
	if err := onlyInService(); err != nil {
		return nil, err
	}
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("guard: raise the memory lock limit: %w: %w", ErrNoEnforcement, err)
	}
	p, err := openPins(o.Pins)
	if err != nil {
		return nil, err
	}
	g, err := openPinned(p, version(), o.Now)
	if err != nil {
		p.removeEmpty()
		return nil, errors.Join(err, p.unlock())
	}
	return g, nil
}

// version tells the programs of this build from others.
func version() string {
	sum := sha256.Sum256(bpf.Object())
	return fmt.Sprintf("%x", sum[:6])
}

// openPinned adopts what this version has pinned in either tier, or loads it in the
// first whose canary is refused.
func openPinned(p pins, version string, now func() time.Time) (*Guard, error) {
	// Programs of another version may be in force, and hold this process for anybody.
	if err := p.enter(); err != nil {
		return nil, err
	}
	o, err := readObject()
	if err != nil {
		return nil, err
	}
	var tried []error
	for _, try := range []func(*Guard, object) error{(*Guard).adopt, (*Guard).load} {
		for _, tier := range []string{TierLSM, TierModRet} {
			g, err := open(tier, o, p.of(tier, version), now, try)
			if err == nil {
				return g, nil
			}
			tried = append(tried, fmt.Errorf("%s: %w", tier, err))
		}
	}
	return nil, fmt.Errorf("guard: %w: %w", ErrNoEnforcement, errors.Join(tried[2:]...))
}

// object is what there is to load, and what the kernel's own types are. Reading both takes
// as long as a quarter of the loading, so it is done once.
type object struct {
	spec   *ebpf.CollectionSpec
	kernel *btf.Spec
}

func readObject() (object, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return object{}, fmt.Errorf("guard: %w: this kernel describes no types (BTF): %w", ErrNoEnforcement, err)
	}
	spec, err := bpf.LoadGuard()
	if err != nil {
		return object{}, err
	}
	return object{spec, kernel}, nil
}

// with is the object with some of its programs. These themselves are shared: nothing that
// is done with them changes them, and copying all of them takes long.
func (o object) with(some func(name string) bool) object {
	spec := *o.spec
	spec.Programs = make(map[string]*ebpf.ProgramSpec, len(o.spec.Programs))
	for name, program := range o.spec.Programs {
		if some(name) {
			spec.Programs[name] = program
		}
	}
	return object{&spec, o.kernel}
}

// onlyInService ends what must not be: a test that attaches to the kernel it runs on.
// Tests in test machines say so on the kernel's command line (internal/vm).
func onlyInService() error {
	info, ok := debug.ReadBuildInfo()
	if !ok || !strings.HasSuffix(info.Path, ".test") {
		return nil
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err == nil && strings.Contains(string(line), "kannuki.guest=") {
		return nil
	}
	return errors.New("guard: a test does not attach to the kernel it runs on: run it in a test machine (make test-guard)")
}

func open(tier string, whole object, p pins, now func() time.Time, try func(*Guard, object) error) (*Guard, error) {
	if why := unlikely(tier); why != nil {
		return nil, why
	}
	o, missing, err := choose(whole, tier)
	if err != nil {
		return nil, err
	}
	g := &Guard{tier: tier, missing: missing, pins: p, now: now}
	for name := range o.spec.Programs {
		g.programs = append(g.programs, name)
	}
	slices.Sort(g.programs)
	if err := try(g, o); err != nil {
		return nil, errors.Join(err, g.release())
	}
	return g, nil
}

// load brings the programs in, attaches them and pins them.
func (g *Guard) load(o object) error {
	programs, err := g.loadAll(o)
	// The links hold the programs.
	defer func() {
		for _, p := range programs {
			p.Close()
		}
	}()
	if err != nil {
		return err
	}
	if err := errors.Join(g.syscalls(), g.claim(programs)); err != nil {
		return err
	}
	for i, name := range g.programs {
		if name == keepFtrace {
			continue
		}
		l, err := attach(o.spec.Programs[name].Type, programs[i])
		if err != nil {
			return fmt.Errorf("attach %s: %w", name, err)
		}
		g.links = append(g.links, l)
	}
	if err := g.present(); err != nil {
		return err
	}
	return g.pins.keep(g, programs)
}

// loadAll makes the maps and loads the programs, several at a time: how long the
// kernel's verifier takes is how long a host is without protection at its first start.
func (g *Guard) loadAll(o object) ([]*ebpf.Program, error) {
	c, err := ebpf.NewCollection(o.with(func(string) bool { return false }).spec)
	if err != nil {
		return nil, fmt.Errorf("make the maps: %w", err)
	}
	g.maps = c.Maps
	// One collection has its types read by the kernel once: as few as keep the processors
	// busy. Neighbours by name are of one size, so they go to different hands.
	hands := min(runtime.GOMAXPROCS(0), 4)
	shares := make([][]string, hands)
	for i, name := range g.programs {
		shares[i%hands] = append(shares[i%hands], name)
	}
	errs := make([]error, hands)
	loaded := make([]map[string]*ebpf.Program, hands)
	var wait sync.WaitGroup
	for hand, share := range shares {
		wait.Go(func() { loaded[hand], errs[hand] = loadSome(o, share, g.maps) })
	}
	wait.Wait()
	var programs []*ebpf.Program
	for i, name := range g.programs {
		if p := loaded[i%hands][name]; p != nil {
			programs = append(programs, p)
		}
	}
	return programs, errors.Join(errs...)
}

// loadSome loads some programs over maps that are there.
func loadSome(o object, names []string, over map[string]*ebpf.Map) (map[string]*ebpf.Program, error) {
	some := o.with(func(name string) bool { return slices.Contains(names, name) })
	c, err := ebpf.NewCollectionWithOptions(some.spec, ebpf.CollectionOptions{MapReplacements: over, Programs: ebpf.ProgramOptions{LogDisabled: true, KernelTypes: o.kernel}})
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	for _, m := range c.Maps {
		m.Close()
	}
	return c.Programs, nil
}

func attach(kind ebpf.ProgramType, p *ebpf.Program) (link.Link, error) {
	if kind == ebpf.LSM {
		return link.AttachLSM(link.LSMOptions{Program: p})
	}
	return link.AttachTracing(link.TracingOptions{Program: p})
}

// unlikely tells why a tier need not be tried; nil where only trying tells.
func unlikely(tier string) error {
	list, err := os.ReadFile("/sys/kernel/security/lsm")
	if err == nil && tier == TierLSM && !slices.Contains(strings.Split(strings.TrimSpace(string(list)), ","), "bpf") {
		return fmt.Errorf("bpf is not in /sys/kernel/security/lsm (%s)", strings.TrimSpace(string(list)))
	}
	return nil
}

// present makes this process the agent, whose questions the programs answer, and asks
// the first: is a refusal heard?
func (g *Guard) present() error {
	if err := g.mark(os.Getpid(), func(l *bpf.GuardLabel) { l.Flags = uint32(bpf.GuardLabelFlagLABEL_AGENT) }); err != nil {
		return fmt.Errorf("become the agent: %w", err)
	}
	return g.canary()
}

// canary asks for a refusal and expects it: programs that load and attach may still
// never be called.
func (g *Guard) canary() error {
	if err := g.setAgent(bpf.GuardAgent{Asking: 1, Canary: 1}); err != nil {
		return err
	}
	f, err := os.Open("/")
	if err == nil {
		f.Close()
	}
	if clear := g.setAgent(bpf.GuardAgent{}); clear != nil {
		return clear
	}
	if !errors.Is(err, os.ErrPermission) {
		return errors.New("attached, but what is refused happens all the same")
	}
	return nil
}

func (g *Guard) setAgent(a bpf.GuardAgent) error {
	host, err := os.Stat("/proc/1/ns/mnt")
	if err != nil {
		return fmt.Errorf("the host's mount namespace: %w", err)
	}
	a.Mounts = uint32(host.Sys().(*syscall.Stat_t).Ino)
	if err := g.maps[".data.agent"].Put(uint32(0), a); err != nil {
		return fmt.Errorf("ask the programs: %w", err)
	}
	return nil
}

// Tier is the way the programs are attached.
func (g *Guard) Tier() string { return g.tier }

// Missing lists the hooks that are not there.
func (g *Guard) Missing() []Missing { return g.missing }

// Adopted tells whether pinned programs of an earlier process go on.
func (g *Guard) Adopted() bool { return g.adopted }

// Close lets go of everything. What is pinned goes on refusing; what is not is detached.
func (g *Guard) Close() error {
	return errors.Join(g.release(), g.pins.unlock())
}

// release lets go of the links and maps, not of the pins.
func (g *Guard) release() error {
	var errs []error
	for _, l := range g.links {
		errs = append(errs, l.Close())
	}
	for _, m := range g.maps {
		errs = append(errs, m.Close())
	}
	g.links, g.maps = nil, nil
	return errors.Join(errs...)
}

// Remove ends the guard on this host: it unpins everything, and lets go of it.
func (g *Guard) Remove() error {
	return errors.Join(g.pins.removeAll(), g.Close())
}
