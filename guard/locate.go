package guard

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// layout is a ruleset as it lies on this host, for finding from user space in which
// place a program lies.
//
// A path is no answer to that: in a mount namespace of their own people call anything
// /usr/bin/x. So a path only says where to look. What counts is that the directory found
// there, by the host's own mounts, holds this very file, and which directories stand
// above that one, by what they are. A file of which that is true lies in system space,
// whatever other names it has: whoever could put it there may launch what he likes.
type layout struct {
	rs    ruleset.Ruleset
	tree  map[string]*node
	at    map[spot]string   // where directories are that are there: the policy's, and mounted below
	names map[string]uint16 // of directories that are user space, with their rules
	whole map[uint64]string // where all of a file system is mounted, by its device
	gaps  []Gap
}

// spot is what a directory is, wherever it is seen from. Its handle tells it from a later
// one of the same number; file systems without handles have none.
type spot struct {
	dev, ino uint64
	handle   string
}

// sight is one look at a file or directory.
type sight struct {
	spot
	mount int // the one it was reached by
	mode  uint32
	uid   uint32
	links uint64
}

func lookAt(fd int) (sight, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return sight{}, os.NewSyscallError("fstat", err)
	}
	s := sight{spot: spot{dev: uint64(st.Dev), ino: st.Ino}, mode: st.Mode, uid: st.Uid, links: uint64(st.Nlink)}
	handle, mount, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	if err == nil {
		s.mount, s.handle = mount, fmt.Sprintf("%d:%s", handle.Type(), handle.Bytes())
		return s, nil
	}
	s.mount, err = mountOf(fd)
	return s, err
}

// mountOf reads the id of the mount that a descriptor was reached by, see proc(5).
func mountOf(fd int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if id, ok := strings.CutPrefix(lines.Text(), "mnt_id:"); ok {
			return strconv.Atoi(strings.TrimSpace(id))
		}
	}
	return 0, fmt.Errorf("%s does not tell the mount", f.Name())
}

const directory = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC

// lay finds out where everything a ruleset names is on this host now.
func lay(rs ruleset.Ruleset, mounts []mount) *layout {
	l := &layout{rs: rs, tree: grow(rs), at: map[spot]string{}, names: map[string]uint16{}, whole: map[uint64]string{}}
	for _, u := range rs.UserNames {
		l.names[u.Name] = u.Rule
	}
	for _, p := range slices.Sorted(maps.Keys(l.tree)) {
		l.place(l.tree[p], mounts)
	}
	for _, m := range mounts {
		if m.root != "/" || m.foreign() || m.virtual() {
			continue
		}
		s, err := lookThere(m.at)
		if err != nil {
			l.gaps = append(l.gaps, Gap{Control: string(host.Launch), Subject: m.at, Why: "mounted, and it cannot be looked at: " + err.Error()})
			continue
		}
		if l.whole[s.dev] == "" {
			l.whole[s.dev] = m.at
		}
		// As staging.submounts: overlays below a place are containers'.
		if l.tree[m.at] == nil && m.kind != "overlay" && l.at[s.spot] == "" {
			l.at[s.spot] = m.at
		}
	}
	return l
}

func lookThere(name string) (sight, error) {
	fd, err := unix.Open(name, directory, 0)
	if err != nil {
		return sight{}, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return lookAt(fd)
}

// place notes what a named directory is. One that is not there waits, under its name.
func (l *layout) place(n *node, mounts []mount) {
	if n.place.Flags&ruleset.File != 0 {
		return
	}
	s, err := lookThere(n.path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return
	}
	if err != nil {
		l.gaps = append(l.gaps, Gap{Control: string(host.Launch), Subject: n.path, Why: "it cannot be looked at: " + err.Error()})
		return
	}
	l.at[s.spot] = n.path
	launches, gap := launchable(l.tree, n, s.uid, s.mode, mounts, l.rule)
	if !launches {
		n.place.Flags &^= ruleset.Launches
	}
	if gap.Why != "" {
		l.gaps = append(l.gaps, gap)
	}
}

func (l *layout) rule(number uint16) string {
	if int(number) < len(l.rs.Rules) {
		return l.rs.Rules[number]
	}
	return ""
}

// finding is where a program lies.
type finding struct {
	sight
	path  string        // as whoever starts it calls it
	place ruleset.Place // none: user space that nothing names
	above []spot        // its directories, the nearest first; none: it could not be found
	named bool          // the policy names one of them
}

// launches tells whether it may be started by everybody. An unlinked file lies nowhere.
func (f *finding) launches() bool { return f.place.Flags&ruleset.Launches != 0 && f.links > 0 }

// find finds where the program behind fd lies.
func (l *layout) find(fd int) (finding, error) {
	s, err := lookAt(fd)
	if err != nil {
		return finding{}, err
	}
	out := finding{sight: s, path: linkOf(fd)}
	if l.follow(&out, out.path); out.launches() {
		return out, nil
	}
	// By a bind mount, or in another mount namespace, it has other names.
	other := finding{sight: s, path: out.path}
	if l.follow(&other, l.own(fd, s.dev)); other.launches() || len(out.above) == 0 {
		return other, nil
	}
	return out, nil
}

func linkOf(fd int) string {
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "" // which is nowhere
	}
	return at
}

// own is a path of the file behind fd by the mount of all of its file system; "" where
// there is none.
func (l *layout) own(fd int, dev uint64) string {
	top, ok := l.whole[dev]
	if !ok {
		return ""
	}
	handle, _, err := unix.NameToHandleAt(fd, "", unix.AT_EMPTY_PATH)
	if err != nil {
		return ""
	}
	at, err := unix.Open(top, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(at)
	same, err := unix.OpenByHandleAt(at, handle, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return ""
	}
	defer unix.Close(same)
	return linkOf(same)
}

// deepest is how many directories may stand above a program, as MAX_DEPTH of
// guard/bpf/walk.h: what lies deeper is user space.
const deepest = 256

// follow looks for the file at a path: is it there, and what stands above it?
func (l *layout) follow(f *finding, hint string) {
	if !path.IsAbs(hint) {
		return
	}
	dir, err := unix.Open(path.Dir(hint), directory, 0)
	if err != nil {
		return
	}
	defer func() { unix.Close(dir) }()
	var there unix.Stat_t
	if err := unix.Fstatat(dir, path.Base(hint), &there, unix.AT_SYMLINK_NOFOLLOW); err != nil || uint64(there.Dev) != f.dev || there.Ino != f.ino {
		return
	}
	s, err := lookAt(dir)
	names := strings.Split(linkOf(dir), "/") // of where it really is, links followed
	for err == nil && len(f.above) < deepest {
		f.above = append(f.above, s.spot)
		if at, ok := l.at[s.spot]; ok && !f.named {
			below := names[max(0, len(names)-len(f.above)+1):]
			f.named, f.place = true, l.placeIn(path.Join(append([]string{at}, below...)...), path.Base(hint))
		}
		var up int
		if up, err = unix.Openat(dir, "..", directory, 0); err != nil {
			return
		}
		unix.Close(dir)
		dir = up
		below := s
		// What a mount is mounted on says nothing about what is on it.
		if s, err = lookAt(dir); s.mount != below.mount || s.spot == below.spot {
			return
		}
	}
}

// placeIn is what holds for a name in a directory, called as the policy calls it.
func (l *layout) placeIn(dir, name string) ruleset.Place {
	n := nearest(l.tree, dir)
	if n.place.Flags&ruleset.Names != 0 {
		for _, part := range slices.Backward(strings.Split(strings.TrimPrefix(dir, n.path), "/")) {
			if rule, ok := l.names[part]; ok {
				return ruleset.Place{Flags: ruleset.User, LaunchRule: rule}
			}
		}
	}
	if file := l.tree[path.Join(dir, name)]; file != nil && n.path == dir {
		return file.place
	}
	return n.place
}
