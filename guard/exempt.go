package guard

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// exemption is a grant of the third tier. It ends like others, and with the agent.
type exemption struct {
	Grant
	began string        // its process, so that no later one of that number has it
	end   time.Duration // on the boot clock
	spots []spot        // of Launch
}

// Grant excepts a process and what descends from it, as far as who started whom can be
// seen: of a process whose parent has ended it cannot. What it says about writing
// changes nothing: nobody is refused that.
func (r *Reduced) Grant(pid int, e Exception) (Grant, error) {
	if e.For <= 0 {
		return Grant{}, errors.New("guard: a grant needs an end: say for how long")
	}
	now, err := bootNow()
	if err != nil {
		return Grant{}, err
	}
	x := &exemption{Grant: Grant{ID: uint64(pid)<<32 | uint64(now)&0xffffffff, PID: pid, Until: r.now().Add(e.For), Exception: e}, began: began(pid), end: now + e.For}
	if x.began == "" {
		return Grant{}, fmt.Errorf("guard: process %d: %w", pid, ErrNoProcess)
	}
	for _, at := range e.Launch {
		s, err := targeted(at)
		if err != nil {
			return Grant{}, fmt.Errorf("guard: grant for %s: %w", at, err)
		}
		x.spots = append(x.spots, s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grants[x.ID] = x
	return x.Grant, nil
}

// targeted is what a grant's path is now.
func targeted(name string) (spot, error) {
	info, err := os.Stat(name)
	if err != nil {
		return spot{}, err
	}
	if !info.IsDir() && !info.Mode().IsRegular() {
		return spot{}, errors.New("it is neither a file nor a directory")
	}
	fd, err := unix.Open(name, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return spot{}, err
	}
	defer unix.Close(fd)
	s, err := lookAt(fd)
	return s.spot, err
}

// Grants lists the grants that live.
func (r *Reduced) Grants() ([]Grant, error) {
	now, err := bootNow()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.grants, func(_ uint64, x *exemption) bool { return x.over(now) })
	var out []Grant
	for _, x := range r.grants {
		out = append(out, x.Grant)
	}
	slices.SortFunc(out, func(a, b Grant) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}

func (x *exemption) over(now time.Duration) bool { return now >= x.end || began(x.PID) != x.began }

// Revoke ends a grant now.
func (r *Reduced) Revoke(id uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grants[id] == nil {
		return fmt.Errorf("guard: there is no grant %d: it has ended", id)
	}
	delete(r.grants, id)
	return nil
}

// Label tells whether a process is under a grant; of all else it knows nothing.
func (r *Reduced) Label(pid int) (Label, error) {
	chain := descent(pid)
	if len(chain) == 0 {
		return Label{}, fmt.Errorf("guard: process %d: %w", pid, ErrNoProcess)
	}
	granted := r.granted(chain, func(*exemption) bool { return true })
	return Label{Granted: granted}, nil
}

// excepted tells whether somebody may start a program that does not launch for everybody.
func (r *Reduced) excepted(l *layout, f *finding, pid, fd int) bool {
	container := !f.named && onOverlay(fd)
	r.mu.RLock()
	grants := len(r.grants)
	r.mu.RUnlock()
	if grants == 0 && f.place.Launchers == 0 && !container {
		return false
	}
	chain := descent(pid)
	return r.granted(chain, func(x *exemption) bool { return x.reaches(f) }) || l.descends(chain, f.place.Launchers, r.now()) ||
		container && l.descends(chain, l.rs.Runtimes, r.now())
}

// granted tells whether a grant that matches is one of somebody in chain.
func (r *Reduced) granted(chain []process, matches func(*exemption) bool) bool {
	now, err := bootNow()
	if err != nil {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, x := range r.grants {
		of := func(p process) bool { return p.pid == x.PID }
		if slices.ContainsFunc(chain, of) && !x.over(now) && matches(x) {
			return true
		}
	}
	return false
}

func (x *exemption) reaches(f *finding) bool {
	if len(x.Launch)+len(x.Write) == 0 || slices.Contains(x.spots, f.spot) {
		return true
	}
	return slices.ContainsFunc(f.above, func(s spot) bool { return slices.Contains(x.spots, s) })
}

// descends tells whether somebody in chain begins a lineage of a group: a unit, an
// account, a program.
func (l *layout) descends(chain []process, group uint16, now time.Time) bool {
	if int(group) >= len(l.rs.Groups) {
		return false
	}
	g := l.rs.Groups[group]
	members := g.Members
	if now.Before(g.Until) {
		members = slices.Concat(members, g.Temporary)
	}
	return slices.ContainsFunc(members, func(m int) bool {
		return slices.ContainsFunc(chain, func(p process) bool {
			return starts(l.rs.Lineages[m], p) || p.known && slices.ContainsFunc(l.rs.Programs, func(q ruleset.Program) bool { return q.Lineage == m+1 && q.Path == p.exe })
		})
	})
}

// descent are a process and what stands above it in its session, as far as it lives. The
// process that asks is stopped; those above it may end meanwhile, which ends the list.
func descent(pid int) []process {
	var chain []process
	for pid > 1 && len(chain) < 64 {
		p, err := readLineage(pid)
		if err != nil || len(chain) > 0 && p.login != chain[len(chain)-1].login {
			break
		}
		chain = append(chain, p)
		pid = p.parent
	}
	return chain
}

// began is when a process began, in units of its own; "" where there is none.
func began(pid int) string {
	stat := procText(pid, "stat")
	_, rest, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	if fields := strings.Fields(rest); len(fields) > 19 {
		return fields[19]
	}
	return ""
}

// onOverlay tells whether a file lies on an overlay, as those of containers do.
func onOverlay(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC
}
