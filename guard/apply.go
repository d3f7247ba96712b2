package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
)

// Gap is something a policy asks for that this host does not allow.
type Gap struct {
	Subject string // path or hook
	Why     string
}

// Apply puts rs in force. Everything is written beside what is in force, then one
// write swaps the generation, then the old one is taken away: there is no moment
// between two policies. On an error what was in force stays.
func (g *Guard) Apply(rs ruleset.Ruleset) ([]Gap, error) {
	old, err := g.Generation()
	if err != nil {
		return nil, err
	}
	next := old + 1
	gaps, err := g.stage(rs, next)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("guard: stage generation %d: %w", next, err), g.remove(next))
	}
	if err := g.objects.Maps["in_force"].Put(uint32(0), bpf.GuardState{Generation: next}); err != nil {
		return nil, errors.Join(fmt.Errorf("guard: swap to generation %d: %w", next, err), g.remove(next))
	}
	return gaps, g.remove(old)
}

// Generation is the policy generation in force; 0 for none.
func (g *Guard) Generation() (uint64, error) {
	var s bpf.GuardState
	if err := g.objects.Maps["in_force"].Lookup(uint32(0), &s); err != nil {
		return 0, fmt.Errorf("guard: generation in force: %w", err)
	}
	return s.Generation, nil
}

func (g *Guard) stage(rs ruleset.Ruleset, gen uint64) ([]Gap, error) {
	config := bpf.GuardConfig{Enforce: uint32(rs.Enforce), Observe: uint32(rs.Observe)}
	if rs.Listeners {
		config.Listeners = 1
	}
	if err := g.objects.Maps["configs"].Put(gen, config); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	for _, ext := range rs.Extensions {
		if len(ext) < 2 || len(ext) > 7 {
			return nil, fmt.Errorf("extension %q: 2 to 7 bytes with the dot", ext)
		}
		var key uint64
		for i := range len(ext) {
			key |= uint64(ext[i]) << (8 * i)
		}
		if err := g.objects.Maps["extensions"].Put(key, uint32(1)); err != nil {
			return nil, fmt.Errorf("extension %s: %w", ext, err)
		}
	}
	gaps, err := g.stageRoots(rs.Roots, gen)
	if err != nil {
		return nil, err
	}
	for _, p := range rs.Programs {
		gap, err := g.stageProgram(p, gen)
		if err != nil {
			return nil, err
		}
		if gap != nil {
			gaps = append(gaps, *gap)
		}
	}
	return gaps, nil
}

// stageRoots writes every root and the filesystems mounted below one: a filesystem
// that no root names is user space.
func (g *Guard) stageRoots(list []ruleset.Root, gen uint64) ([]Gap, error) {
	var gaps []Gap
	for _, r := range list {
		id, err := g.identify(r.Path)
		if errors.Is(err, os.ErrNotExist) {
			continue // nothing there to seal, and nothing to launch
		}
		if err != nil {
			return nil, err
		}
		if r.Space == ruleset.System && (id.Uid != 0 || id.Mode&0o022 != 0) {
			gaps = append(gaps, Gap{r.Path, fmt.Sprintf("system space must belong to root and be writable by nobody else: uid %d, mode %04o", id.Uid, id.Mode&0o7777)})
		}
		key := bpf.GuardRootKey{Ino: id.Ino, Dev: id.Dev, Generation: uint32(gen)}
		value := bpf.GuardRoot{Space: uint32(r.Space), Rule: r.Rule, Domain: r.Domain}
		if err := g.objects.Maps["roots"].Put(key, value); err != nil {
			return nil, fmt.Errorf("root %s: %w", r.Path, err)
		}
		key.Ino = 0
		if err := g.objects.Maps["filesystems"].Put(key, uint32(1)); err != nil {
			return nil, fmt.Errorf("filesystem of %s: %w", r.Path, err)
		}
	}
	return gaps, nil
}

// stageProgram keys a program by the directory it really lies in.
func (g *Guard) stageProgram(p ruleset.Program, gen uint64) (*Gap, error) {
	real, err := filepath.EvalSymlinks(p.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Path, err)
	}
	name := filepath.Base(real)
	if len(name) > ruleset.MaxName {
		return &Gap{p.Path, fmt.Sprintf("its name is longer than %d bytes", ruleset.MaxName)}, nil
	}
	id, err := g.identify(filepath.Dir(real))
	if err != nil {
		return nil, err
	}
	key := bpf.GuardProgramKey{Ino: id.Ino, Dev: id.Dev, Generation: uint32(gen)}
	for i := range len(name) {
		key.Name[i] = int8(name[i])
	}
	var there bpf.GuardProgram
	if err := g.objects.Maps["programs"].Lookup(key, &there); err == nil {
		there.Flags |= uint32(p.Flags) // two names of one file
	} else {
		there = bpf.GuardProgram{Flags: uint32(p.Flags), Rule: p.Rule}
	}
	if err := g.objects.Maps["programs"].Put(key, there); err != nil {
		return nil, fmt.Errorf("program %s: %w", p.Path, err)
	}
	return nil, nil
}

// identify asks the kernel programs how they see a directory: opening it is the
// question, and both sides compute the identity the same way.
func (g *Guard) identify(path string) (bpf.GuardIdentity, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var id bpf.GuardIdentity
	tid := uint32(unix.Gettid())
	if err := g.objects.Maps["identities"].Delete(tid); err != nil && !strings.Contains(err.Error(), "not exist") {
		return id, fmt.Errorf("identity of %s: %w", path, err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return id, fmt.Errorf("directory %s: %w", path, err)
	}
	defer unix.Close(fd)
	if err := g.objects.Maps["identities"].Lookup(tid, &id); err != nil {
		return id, fmt.Errorf("identity of %s was not reported: %w", path, err)
	}
	return id, nil
}

// remove takes a generation out of every map.
func (g *Guard) remove(gen uint64) error {
	if gen == 0 {
		return nil
	}
	errs := []error{drop(g, "roots", func(k bpf.GuardRootKey) bool { return uint64(k.Generation) == gen }),
		drop(g, "filesystems", func(k bpf.GuardRootKey) bool { return uint64(k.Generation) == gen }),
		drop(g, "programs", func(k bpf.GuardProgramKey) bool { return uint64(k.Generation) == gen }),
		drop(g, "configs", func(k uint64) bool { return k == gen })}
	return errors.Join(errs...)
}

// drop deletes the keys of a map that match.
func drop[K comparable](g *Guard, name string, match func(K) bool) error {
	m := g.objects.Maps[name]
	var key K
	var gone []K
	var value []byte
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		if match(key) {
			gone = append(gone, key)
		}
	}
	errs := []error{entries.Err()}
	for _, k := range slices.Compact(gone) {
		errs = append(errs, m.Delete(k))
	}
	return errors.Join(errs...)
}
