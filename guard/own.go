package guard

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
)

// keepFtrace is the program that keeps ftrace on without hanging on it itself: it stands
// on the root control group.
const keepFtrace = "keep_ftrace"

// claim tells the programs which maps and programs are the guard's own.
func (g *Guard) claim(programs []*ebpf.Program) error {
	for name, m := range g.maps {
		info, err := m.Info()
		if err != nil {
			return fmt.Errorf("the map %s: %w", name, err)
		}
		id, ok := info.ID()
		if !ok {
			return fmt.Errorf("the map %s has no id", name)
		}
		if err := g.maps["own"].Put(bpf.GuardOwnKey{Id: uint32(id)}, uint32(1)); err != nil {
			return fmt.Errorf("claim the map %s: %w", name, err)
		}
	}
	for _, p := range programs {
		info, err := p.Info()
		if err != nil {
			return fmt.Errorf("the program %s: %w", p, err)
		}
		id, ok := info.ID()
		if !ok {
			return fmt.Errorf("the program %s has no id", p)
		}
		if err := g.maps["own"].Put(bpf.GuardOwnKey{Id: uint32(id), Program: 1}, uint32(1)); err != nil {
			return fmt.Errorf("claim the program %s: %w", p, err)
		}
	}
	return nil
}

// controlGroups is where the second version of control groups is mounted; "" for nowhere.
func controlGroups() string {
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var there unix.Statfs_t
		if err := unix.Statfs(at, &there); err == nil && there.Type == unix.CGROUP2_SUPER_MAGIC {
			return at
		}
	}
	return ""
}

// attachToControlGroups puts a program on the root control group. Unlike a link it stays
// there without a pin, and nobody who has a descriptor of it takes it away.
func attachToControlGroups(p *ebpf.Program) error {
	root, err := os.Open(controlGroups())
	if err != nil {
		return err
	}
	defer root.Close()
	return link.RawAttachProgram(link.RawAttachProgramOptions{Target: int(root.Fd()), Program: p, Attach: ebpf.AttachCGroupSysctl, Flags: unix.BPF_F_ALLOW_MULTI})
}

// detachFromControlGroups takes the program pinned in a folder off again.
func detachFromControlGroups(dir string) error {
	p, err := ebpf.LoadPinnedProgram(filepath.Join(dir, "prog_"+keepFtrace), nil)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the program on the control groups: %w", err)
	}
	defer p.Close()
	root, err := os.Open(controlGroups())
	if err != nil {
		return err
	}
	defer root.Close()
	err = link.RawDetachProgram(link.RawDetachProgramOptions{Target: int(root.Fd()), Program: p, Attach: ebpf.AttachCGroupSysctl})
	if errors.Is(err, unix.ENOENT) {
		return nil // the process that pinned it ended before it was attached
	}
	return err
}
