// Package guard refuses, in the kernel, what a policy does not allow: it loads the one
// fixed set of programs of guard/bpf, finds out which way of attaching this kernel
// honours, puts a policy in force with one write, and hands on what was refused. What
// it pinned goes on refusing when the process is gone, and the next one adopts it.
//
// It is the only door to guard/*, and the only importer of cilium/ebpf.
package guard

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"

	"github.com/kannuki/kannuki/guard/bpf"
)

// Tiers: how the programs are attached. What the canary has shown is what is claimed.
const (
	TierLSM    = "bpf-lsm"  // BPF LSM programs, with bpf in the kernel's lsm= list
	TierModRet = "fmod-ret" // fmod_ret on the security_* functions
)

// ErrNoEnforcement is returned by Open where no tier refuses.
var ErrNoEnforcement = errors.New("this kernel cannot enforce")

// Guard is the loaded guard.
type Guard struct {
	objects *ebpf.Collection
	links   []link.Link
	tier    string
	missing []Missing
}

// Missing is a hook this kernel does not have.
type Missing struct {
	Hook string
	Why  string
}

// Open loads the programs and attaches them in the first tier whose canary is refused.
func Open() (*Guard, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("guard: raise the memory lock limit: %w", err)
	}
	var tried []error
	for _, tier := range []string{TierLSM, TierModRet} {
		g, err := open(tier)
		if err == nil {
			return g, nil
		}
		tried = append(tried, fmt.Errorf("%s: %w", tier, err))
	}
	return nil, fmt.Errorf("guard: %w: %w", ErrNoEnforcement, errors.Join(tried...))
}

func open(tier string) (*Guard, error) {
	spec, err := bpf.LoadGuard()
	if err != nil {
		return nil, err
	}
	missing, err := choose(spec, tier)
	if err != nil {
		return nil, err
	}
	objects, err := ebpf.NewCollection(spec)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	g := &Guard{objects: objects, tier: tier, missing: missing}
	if err = g.attach(spec); err == nil {
		err = g.canary()
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// attach attaches every program of the collection.
func (g *Guard) attach(spec *ebpf.CollectionSpec) error {
	for name, program := range g.objects.Programs {
		var l link.Link
		var err error
		if spec.Programs[name].Type == ebpf.LSM {
			l, err = link.AttachLSM(link.LSMOptions{Program: program})
		} else {
			l, err = link.AttachTracing(link.TracingOptions{Program: program})
		}
		if err != nil {
			return fmt.Errorf("attach %s: %w", name, err)
		}
		g.links = append(g.links, l)
	}
	return nil
}

// canary asks for a refusal and expects it: programs that load and attach may still
// never be called.
func (g *Guard) canary() error {
	self := bpf.GuardAgent{Tgid: uint32(os.Getpid()), Canary: 1}
	if err := g.setAgent(self); err != nil {
		return err
	}
	f, err := os.Open("/")
	if err == nil {
		f.Close()
	}
	self.Canary = 0
	if clear := g.setAgent(self); clear != nil {
		return clear
	}
	if !errors.Is(err, os.ErrPermission) {
		return errors.New("attached, but what is refused happens all the same (is bpf in /sys/kernel/security/lsm?)")
	}
	return nil
}

func (g *Guard) setAgent(a bpf.GuardAgent) error {
	if err := g.objects.Maps["the_agent"].Put(uint32(0), a); err != nil {
		return fmt.Errorf("name the agent: %w", err)
	}
	return nil
}

// Tier is the way the programs are attached.
func (g *Guard) Tier() string { return g.tier }

// Missing lists the hooks that are not there.
func (g *Guard) Missing() []Missing { return g.missing }

// Close detaches what is not pinned.
func (g *Guard) Close() error {
	var errs []error
	for _, l := range g.links {
		errs = append(errs, l.Close())
	}
	g.objects.Close()
	return errors.Join(errs...)
}
