package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
)

// pins is where maps and links outlive the process. Every version of the programs has a
// folder of its own, so that a new one is attached beside the old one before the old
// one is let go: links cannot be exchanged, and there must be no moment without any.
type pins struct {
	top string // "/sys/fs/bpf/kannuki"; "" pins nothing
	dir string // this version's

	lock *os.File // top, held by one process at a time
}

// ErrHeld is returned by Open while another process holds the pins: two agents would
// answer each other's questions.
var ErrHeld = errors.New("another process holds the guard of this host: is kannuki-agent running?")

const bpffsMagic = 0xcafe4a11

// openPins makes top, on a BPF file system that is mounted where there is none yet, and
// holds it.
func openPins(top string) (pins, error) {
	if top == "" {
		return pins{}, nil
	}
	if err := mountBPF(filepath.Dir(top)); err != nil {
		return pins{}, fmt.Errorf("guard: %w: %w", ErrNoEnforcement, err)
	}
	if err := os.MkdirAll(top, 0o700); err != nil {
		return pins{}, fmt.Errorf("guard: %w: a place for pins: %w", ErrNoEnforcement, err)
	}
	lock, err := os.Open(top)
	if err != nil {
		return pins{}, fmt.Errorf("guard: %w: a place for pins: %w", ErrNoEnforcement, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return pins{}, fmt.Errorf("guard: %s: %w", top, ErrHeld)
	}
	return pins{top: top, lock: lock}, nil
}

func mountBPF(at string) error {
	var there unix.Statfs_t
	if err := unix.Statfs(at, &there); err != nil {
		return fmt.Errorf("the BPF file system: %s: %w", at, err)
	}
	if there.Type == bpffsMagic {
		return nil
	}
	if err := unix.Mount("bpf", at, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700"); err != nil {
		return fmt.Errorf("mount the BPF file system on %s: %w", at, err)
	}
	return nil
}

// unlock lets another process hold them.
func (p pins) unlock() error {
	if p.lock == nil {
		return nil
	}
	if err := p.lock.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// removeEmpty takes away the place for pins where nothing came to be pinned: whoever
// finds it takes it for a guard in the kernel.
func (p pins) removeEmpty() {
	if p.top != "" {
		_ = os.Remove(p.top) // a folder that holds something stays
	}
}

// of is the folder of one version of the programs in one tier.
func (p pins) of(tier, version string) pins {
	if p.top != "" {
		p.dir = filepath.Join(p.top, strings.ReplaceAll(tier, "-", "_")+"-"+version)
	}
	return p
}

// enter makes this process the agent of whatever is pinned: only the agent changes what
// lies there. Of a label of another version no more is known than that it begins with
// the flags.
func (p pins) enter() error {
	fd, err := openProcess(os.Getpid())
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, m := range p.others() {
		label, err := m.LookupBytes(uint32(fd))
		if err != nil {
			return errors.Join(fmt.Errorf("guard: the label of an earlier version: %w", err), m.Close())
		}
		if label == nil {
			label = make([]byte, m.ValueSize())
		}
		flags := binary.NativeEndian.Uint32(label) | uint32(bpf.GuardLabelFlagLABEL_AGENT)
		binary.NativeEndian.PutUint32(label, flags)
		err = m.Put(uint32(fd), label)
		m.Close()
		if err != nil {
			return fmt.Errorf("guard: become the agent of an earlier version: %w", err)
		}
	}
	return nil
}

func (p pins) file(kind, name string) string {
	return filepath.Join(p.dir, kind+"_"+strings.ReplaceAll(name, ".", "_"))
}

// adopt takes over what an earlier process of the same version has pinned: all of it,
// or nothing.
func (g *Guard) adopt(o object) error {
	if g.pins.dir == "" {
		return errors.New("nothing is pinned")
	}
	g.maps = map[string]*ebpf.Map{}
	for name := range o.spec.Maps {
		m, err := ebpf.LoadPinnedMap(g.pins.file("map", name), nil)
		if err != nil {
			return fmt.Errorf("adopt the map %s: %w", name, err)
		}
		g.maps[name] = m
	}
	for _, name := range g.programs {
		if name == keepFtrace {
			continue
		}
		l, err := link.LoadPinnedLink(g.pins.file("link", name), nil)
		if err != nil {
			return fmt.Errorf("adopt %s: %w", name, err)
		}
		g.links = append(g.links, l)
	}
	if err := g.present(); err != nil {
		return err
	}
	g.adopted, g.littered = true, true
	return nil
}

// keep pins everything. Links come last: with the last of them the folder is whole.
func (p pins) keep(g *Guard, programs []*ebpf.Program) error {
	kept := slices.Index(g.programs, keepFtrace)
	if p.dir == "" {
		return nil
	}
	// What a process left that was killed while it pinned: not whole, so not adopted.
	if err := removeDir(p.dir); err != nil {
		return err
	}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return fmt.Errorf("a place for pins: %w", err)
	}
	for name, m := range g.maps {
		if err := m.Pin(p.file("map", name)); err != nil {
			return fmt.Errorf("pin the map %s: %w", name, err)
		}
	}
	if kept >= 0 {
		if err := programs[kept].Pin(p.file("prog", keepFtrace)); err != nil {
			return fmt.Errorf("pin %s: %w", keepFtrace, err)
		}
		if err := attachToControlGroups(programs[kept]); err != nil {
			return fmt.Errorf("attach %s: %w", keepFtrace, err)
		}
	}
	links := slices.DeleteFunc(slices.Clone(g.programs), func(name string) bool { return name == keepFtrace })
	for i, name := range links {
		if err := g.links[i].Pin(p.file("link", name)); err != nil {
			return fmt.Errorf("pin %s: %w", name, err)
		}
	}
	return nil
}

// removeOthers lets go of other versions, once this one has a policy in force.
func (p pins) removeOthers() error {
	if p.top == "" {
		return nil
	}
	entries, err := os.ReadDir(p.top)
	if err != nil {
		return fmt.Errorf("guard: earlier versions: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if dir := filepath.Join(p.top, e.Name()); dir != p.dir {
			errs = append(errs, removeDir(dir))
		}
	}
	return errors.Join(errs...)
}

// others are the labels maps of other versions, to take over what they know.
func (p pins) others() []*ebpf.Map {
	paths, _ := filepath.Glob(filepath.Join(p.top, "*", "map_labels")) // the pattern is sound
	var out []*ebpf.Map
	for _, path := range paths {
		if p.top == "" || filepath.Dir(path) == p.dir {
			continue
		}
		if m, err := ebpf.LoadPinnedMap(path, nil); err == nil {
			out = append(out, m)
		}
	}
	return out
}

func (p pins) removeAll() error {
	if p.top == "" {
		return nil
	}
	p.dir = ""
	return errors.Join(p.removeOthers(), os.Remove(p.top))
}

// removeDir removes a folder of pins. bpffs allows no dots in names, so there are no
// folders in it.
func removeDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err, detachFromControlGroups(dir)}
	for _, e := range entries {
		errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
	}
	return errors.Join(append(errs, os.Remove(dir))...)
}
