package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// node is one named element of the file tree: a place of the policy, or a directory on
// the way to one.
type node struct {
	path     string
	place    ruleset.Place // what holds here, its own or of the nearest place above
	number   uint32
	own      bool // the policy names it
	holds    bool // named elements lie directly in it
	programs bool // named programs lie directly in it
	signpost bool // a place of the policy lies below
}

// grow makes the tree of everything the ruleset names.
func grow(rs ruleset.Ruleset) map[string]*node {
	tree := map[string]*node{}
	var at func(p string) *node
	at = func(p string) *node {
		if n := tree[p]; n != nil {
			return n
		}
		n := &node{path: p, number: uint32(len(tree) + 1)}
		tree[p] = n
		if p != "/" {
			above := at(path.Dir(p))
			above.holds = true
			n.place = above.place
			n.place.Flags &^= ruleset.File
		}
		return n
	}
	at("/")
	// Sorted by path: what is above comes first, and is inherited from.
	for _, p := range slices.SortedFunc(slices.Values(rs.Places), func(a, b ruleset.Place) int { return strings.Compare(a.Path, b.Path) }) {
		n := at(p.Path)
		n.place, n.own = p, true
		for above := n.path; above != "/"; {
			above = path.Dir(above)
			tree[above].signpost = true
		}
	}
	for _, p := range rs.Programs {
		at(path.Dir(p.Path)).programs = true
	}
	return tree
}

// places writes every named place by its identity, where it is there, and by its name
// in the directory it is in, whether it is there or not.
func (s *staging) places() error {
	tree := grow(s.rs)
	mounts, err := readMounts()
	if err != nil {
		return err
	}
	err = s.g.ask(func() {
		for _, at := range slices.Sorted(maps.Keys(tree)) {
			s.place(tree, tree[at], mounts)
		}
		s.submounts(tree, mounts)
	})
	if err != nil {
		return err
	}
	for _, u := range s.rs.UserNames {
		s.userName(u)
	}
	for _, p := range s.rs.Programs {
		s.program(tree[path.Dir(p.Path)], p)
	}
	return nil
}

func (s *staging) userName(u ruleset.UserName) {
	key := bpf.GuardNameKey{Generation: uint32(s.gen)}
	if !fits(key.Name[:], u.Name) {
		s.gap(Gap{Control: string(host.Launch), Rule: s.rule(u.Rule), Subject: u.Name, Why: fmt.Sprintf("names are compared up to %d bytes", ruleset.MaxName)})
		return
	}
	s.userNameRows.add(key, uint32(u.Rule))
}

func value(n *node) bpf.GuardPlace {
	p := n.place
	v := bpf.GuardPlace{Flags: uint32(p.Flags), Node: n.number,
		LaunchRule: p.LaunchRule, WriteRule: p.WriteRule, PrivateRule: p.PrivateRule, DeputyRule: p.DeputyRule,
		Writers: p.Writers, Readers: p.Readers, Launchers: p.Launchers, Coders: p.Coders, Connectors: p.Connectors}
	for flag, set := range map[bpf.GuardPlaceFlag]bool{bpf.GuardPlaceFlagPLACE_HOLDS: n.holds,
		bpf.GuardPlaceFlagPLACE_PROGRAMS: n.programs, bpf.GuardPlaceFlagPLACE_SIGNPOST: n.signpost} {
		if set {
			v.Flags |= uint32(flag)
		}
	}
	return v
}

func (s *staging) place(tree map[string]*node, n *node, mounts []mount) {
	v := value(n)
	if n.place.Flags&ruleset.File == 0 {
		id, err := s.g.look(n.path, false)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
			// It waits, under its name.
		case err != nil:
			s.gap(Gap{Control: string(host.Launch), Subject: n.path, Why: "it cannot be looked at: " + err.Error()})
		default:
			s.check(tree, n, id, mounts, &v)
			fmt.Fprintln(s.sum, n.path, id.Dev, id.Ino, id.Igen, v.Flags)
			s.rootRows.add(rootKey(id, s.gen), v)
		}
	}
	if n.path == "/" {
		return
	}
	key := bpf.GuardNameKey{Node: tree[path.Dir(n.path)].number, Generation: uint32(s.gen)}
	if !fits(key.Name[:], path.Base(n.path)) {
		if n.own {
			s.gap(Gap{Control: string(host.Write), Subject: n.path, Why: fmt.Sprintf("its name is longer than %d bytes: it is known where it is now, not when it is replaced", ruleset.MaxName)})
		}
		return
	}
	s.nameRows.add(key, v)
}

func rootKey(id bpf.GuardIdentity, gen uint64) bpf.GuardRootKey {
	return bpf.GuardRootKey{Ino: id.Ino, Dev: id.Dev, Igen: id.Igen, Generation: gen}
}

// check looks at a directory that is to launch.
func (s *staging) check(tree map[string]*node, n *node, id bpf.GuardIdentity, mounts []mount, v *bpf.GuardPlace) {
	launches, gap := launchable(tree, n, id.Uid, id.Mode, mounts, s.rule)
	if !launches {
		v.Flags &^= uint32(ruleset.Launches)
	}
	if gap.Why != "" {
		s.gap(gap)
	}
}

// launchable tells whether a directory that is there launches as the policy asks for:
// others than root must not be able to change it (which is a gap), and it must not lie
// on something a stranger brings.
func launchable(tree map[string]*node, n *node, uid, mode uint32, mounts []mount, rule func(uint16) string) (bool, Gap) {
	if n.place.Flags&ruleset.Launches == 0 {
		return false, Gap{}
	}
	if m, ok := brought(tree, n, mounts); ok {
		return false, Gap{Control: string(host.Launch), Subject: n.path, Why: "a file system of kind " + m.kind + " is mounted there, which is user space: nothing launches from it"}
	}
	if n.own && (uid != 0 || mode&0o022 != 0) {
		return true, Gap{Control: string(host.Launch), Rule: rule(n.place.LaunchRule), Subject: n.path,
			Why: fmt.Sprintf("system space must belong to root and be writable by nobody else: uid %d, mode %04o (chown root:root, chmod go-w)", uid, mode&0o7777)}
	}
	return true, Gap{}
}

// brought is the foreign file system mounted at or below the place that says what holds
// at n. One that is mounted above it is what the policy's author has named it on.
func brought(tree map[string]*node, n *node, mounts []mount) (mount, bool) {
	for p := n.path; ; p = path.Dir(p) {
		if m, ok := mountedAt(mounts, p); ok && m.foreign() {
			return m, true
		}
		if p == "/" || tree[p].own {
			return mount{}, false
		}
	}
}

func (s *staging) rule(number uint16) string {
	if int(number) < len(s.rs.Rules) {
		return s.rs.Rules[number]
	}
	return ""
}

// submounts names file systems that are mounted below a place: walking up from a file
// on one ends at its root.
func (s *staging) submounts(tree map[string]*node, mounts []mount) {
	for _, m := range mounts {
		// Overlays below a place are containers', whose files are no place of the host.
		if tree[m.at] != nil || m.root != "/" || m.foreign() || m.virtual() || m.kind == "overlay" {
			continue
		}
		n := *nearest(tree, m.at)
		if n.place.Flags == 0 {
			continue
		}
		id, err := s.g.look(m.at, false)
		if err != nil {
			s.gap(Gap{Control: string(host.Launch), Subject: m.at, Why: "mounted below a place, and it cannot be looked at: " + err.Error()})
			continue
		}
		n.holds, n.programs, n.signpost = false, false, false
		fmt.Fprintln(s.sum, m.at, id.Dev, id.Ino)
		s.rootRows.add(rootKey(id, s.gen), value(&n))
	}
}

// nearest is the named element a path lies in.
func nearest(tree map[string]*node, p string) *node {
	for {
		if n := tree[p]; n != nil && n.place.Flags&ruleset.File == 0 {
			return n
		}
		p = path.Dir(p)
	}
}

// program writes one program by its directory and name.
func (s *staging) program(dir *node, p ruleset.Program) {
	key := bpf.GuardNameKey{Node: dir.number, Generation: uint32(s.gen)}
	if !fits(key.Name[:], path.Base(p.Path)) {
		s.gap(Gap{Control: string(host.Utility), Rule: s.rule(p.Rule), Subject: p.Path, Why: fmt.Sprintf("its name is longer than %d bytes", ruleset.MaxName)})
		return
	}
	fmt.Fprintln(s.sum, p.Path)
	s.programRows.add(key, s.programValue(p))
}

func (s *staging) programValue(p ruleset.Program) bpf.GuardProgram {
	v := bpf.GuardProgram{Flags: uint32(s.flags(p.Flags)), Rule: p.Rule, Utility: p.Utility, Runs: p.Runs, Setuid: p.Setuid,
		Leaves: p.Leaves, Popen: p.Popen, Options: options(p.Options)}
	if p.Lineage > 0 {
		v.Lineage = s.bits[p.Lineage-1]
	}
	return v
}

// ask asks the kernel programs how they see directories and files, with look: opening
// one is the question, and both sides compute the identity the same way.
func (g *Guard) ask(questions func()) error {
	runtime.LockOSThread() // answers are kept by thread
	defer runtime.UnlockOSThread()
	g.asking.Lock()
	defer g.asking.Unlock()
	if err := g.setAgent(bpf.GuardAgent{Asking: 1}); err != nil {
		return err
	}
	questions()
	return g.setAgent(bpf.GuardAgent{}) // asking on only costs
}

// look is one question of ask.
func (g *Guard) look(name string, file bool) (bpf.GuardIdentity, error) {
	var id bpf.GuardIdentity
	how := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK
	if !file {
		how |= unix.O_DIRECTORY
	}
	fd, err := unix.Open(name, how, 0)
	if err != nil {
		return id, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	if err := g.maps["identities"].LookupAndDelete(uint32(unix.Gettid()), &id); err != nil {
		return id, fmt.Errorf("identity of %s was not reported: %w", name, err)
	}
	return id, nil
}
