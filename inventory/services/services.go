// Package services finds out what runs: processes, the sockets they accept traffic
// on, and the libraries they have mapped, replaced ones marked. It reads /proc and
// nothing else, so it needs no lsof, ss or netstat and believes no translated
// output. What it may not read (another user's process) it counts and says.
package services

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Proc is where the kernel shows processes.
const Proc = "/proc"

// Snapshot is everything that ran at one moment, before it is known which packages
// own the files. Take it with Read, ask for Paths, and turn it into processes.
type Snapshot struct {
	Unread    []host.Unread
	processes []process
}

// Packages is what package managers know. Owner returns the package that owns a
// path, or nil; VersionAt its version at a moment, or "" when nobody can tell.
type Packages interface {
	Owner(path string) *host.Package
	VersionAt(p *host.Package, at time.Time) string
}

// process is one running process, with what is needed to name its packages.
type process struct {
	host.Process
	started  time.Time // zero when unknown
	mapped   []string  // executable mappings, without duplicates
	replaced []string  // of those, the ones that are no longer what is on disk
	foreign  bool      // runs from another root: its paths mean nothing here
}

// Read takes a snapshot from proc (usually Proc). users maps user ids to names.
func Read(ctx context.Context, proc string, users map[string]string) (*Snapshot, error) {
	r := &reader{proc: proc, users: users, files: map[string]fileID{}, sockets: sockets{}}
	pids, err := r.pids()
	if err != nil {
		return nil, fmt.Errorf("processes: %w", err)
	}
	r.self()
	for _, pid := range pids {
		r.netOf(pid)
	}
	s := &Snapshot{}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p, ok := r.process(pid); ok {
			s.processes = append(s.processes, p)
		}
	}
	s.Unread = r.faults(len(pids))
	return s, nil
}

// reader carries what is shared between processes while a snapshot is taken.
type reader struct {
	proc     string
	users    map[string]string
	boot     time.Time
	ownMount string
	ownRoot  fileID
	sockets  sockets
	spaces   []string          // network namespaces read
	files    map[string]fileID // files on disk by path, of processes in our root
	denied   int               // processes of which something could not be read
	foreign  int
}

func (r *reader) path(pid int, name string) string {
	return r.proc + "/" + strconv.Itoa(pid) + "/" + name
}

func (r *reader) pids() ([]int, error) {
	dir, err := os.Open(r.proc)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// self notes when the machine was started, and which mount namespace and root we
// are in, to tell containers apart.
func (r *reader) self() {
	machine, _ := os.ReadFile(r.proc + "/stat")
	r.boot = bootTime(string(machine))
	r.ownMount, _ = os.Readlink(r.proc + "/self/ns/mnt")
	if r.ownMount == "" {
		r.ownMount, _ = os.Readlink(r.path(os.Getpid(), "ns/mnt"))
	}
	r.ownRoot, _ = stat("/")
}

// process reads one process; ok is false for kernel threads and what has ended.
func (r *reader) process(pid int) (p process, ok bool) {
	exe, err := os.Readlink(r.path(pid, "exe"))
	if err != nil && !isDenied(err) {
		return p, false // kernel threads have no executable, ended processes no folder
	}
	denied := err != nil
	p.PID = pid
	p.Exe = strings.TrimSuffix(exe, deletedMark)
	p.Name = strings.TrimSuffix(r.read(pid, "comm"), "\n")
	p.Unit = unitOf(r.read(pid, "cgroup"))
	p.User = r.user(r.read(pid, "status"))
	stat := r.read(pid, "stat")
	if denied && isKernelThread(stat) {
		return p, false
	}
	p.started = r.startTime(stat)
	p.foreign = r.isForeign(pid)
	if p.foreign {
		r.foreign++
	}
	var err1, err2 error
	p.Listeners, err1 = r.listeners(pid)
	if !p.foreign {
		p.mapped, p.replaced, err2 = r.mappings(pid)
	}
	if denied || isDenied(err1) || isDenied(err2) {
		r.denied++
	}
	return p, true
}

func (r *reader) read(pid int, name string) string {
	data, _ := os.ReadFile(r.path(pid, name)) // what these say is worth having, not worth failing for
	return string(data)
}

// isForeign tells whether the process sees another root folder through another
// mount namespace: a container. A chroot alone, or a service with a private view of
// the same root (systemd's sandboxing), is not foreign.
func (r *reader) isForeign(pid int) bool {
	mount, err := os.Readlink(r.path(pid, "ns/mnt"))
	if err != nil || mount == r.ownMount {
		return false
	}
	root, err := stat(r.path(pid, "root") + "/.")
	return err == nil && root != r.ownRoot
}

func isDenied(err error) bool { return errors.Is(err, fs.ErrPermission) }

// isKernelThread reads the PF_KTHREAD bit of the flags, field 9 of proc_pid_stat(5).
func isKernelThread(stat string) bool {
	const pfKthread = 0x00200000
	flags, _ := strconv.ParseUint(statField(stat, 9), 10, 64)
	return flags&pfKthread != 0
}

// startTime is when the process began: field 22, in ticks since boot. The kernel
// shows a hundred a second on every architecture (USER_HZ).
func (r *reader) startTime(stat string) time.Time {
	ticks, err := strconv.ParseInt(statField(stat, 22), 10, 64)
	if err != nil || r.boot.IsZero() {
		return time.Time{}
	}
	return r.boot.Add(time.Duration(ticks) * (time.Second / 100))
}

// bootTime reads when the machine was started from proc_stat(5).
func bootTime(stat string) time.Time {
	for line := range strings.Lines(stat) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			if seconds, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}

// statField returns field n, counted from 1 as in proc_pid_stat(5), n > 2. Field 2
// is a name in parentheses that may itself hold spaces and parentheses.
func statField(stat string, n int) string {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return ""
	}
	fields := strings.Fields(stat[end+1:])
	if n-3 >= len(fields) {
		return ""
	}
	return fields[n-3]
}

// user names the effective user of a status file.
func (r *reader) user(status string) string {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			if ids := strings.Fields(rest); len(ids) > 1 {
				return cmp.Or(r.users[ids[1]], ids[1])
			}
		}
	}
	return ""
}

// unitOf finds the systemd unit in a cgroup file: the innermost service of the
// path, else the innermost scope.
func unitOf(cgroup string) string {
	service, scope := "", ""
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || parts[1] != "" && parts[1] != "name=systemd" {
			continue // another hierarchy of cgroup v1
		}
		for element := range strings.SplitSeq(parts[2], "/") {
			switch {
			case strings.HasSuffix(element, ".service"):
				service = element
			case strings.HasSuffix(element, ".scope"):
				scope = element
			}
		}
	}
	return cmp.Or(service, scope)
}

// faults sums up what could not be read.
func (r *reader) faults(total int) []host.Unread {
	var unread []host.Unread
	if r.denied > 0 {
		unread = append(unread, host.NotRead("processes", host.NewFault("processes-denied", r.denied, total)))
	}
	if r.foreign > 0 {
		unread = append(unread, host.NotRead("containers", host.NewFault("other-root", r.foreign)))
	}
	if lost := r.sockets.unclaimed(); len(lost) > 0 {
		unread = append(unread, host.NotRead("listeners", host.NewFault("unclaimed", strings.Join(lost, ", "))))
	}
	return unread
}

// Paths are the files whose owners Processes asks for.
func (s *Snapshot) Paths() []string {
	seen := map[string]bool{}
	for i := range s.processes {
		p := &s.processes[i]
		if p.foreign {
			continue
		}
		seen[p.Exe] = true
		for _, m := range p.mapped {
			seen[m] = true
		}
		for _, m := range p.replaced {
			seen[m] = true
			for _, alias := range sonames(m) {
				seen[alias] = true
			}
		}
	}
	delete(seen, "")
	paths := make([]string, 0, len(seen))
	for p := range seen {
		paths = append(paths, p)
	}
	return paths
}

// Processes are those that listen, run replaced code or belong to a package, in
// order of their ids.
func (s *Snapshot) Processes(packages Packages) []host.Process {
	out := []host.Process{}
	for i := range s.processes {
		p := &s.processes[i]
		if !p.foreign {
			p.name(packages)
		}
		if len(p.Listeners) > 0 || len(p.Replaced) > 0 || p.Package != "" {
			out = append(out, p.Process)
		}
	}
	return out
}

// name fills in the packages of p's files.
func (p *process) name(packages Packages) {
	if o := packages.Owner(p.Exe); o != nil {
		p.Package = o.Name
	}
	libraries := map[string]bool{}
	for _, m := range p.mapped {
		if o := packages.Owner(m); o != nil {
			libraries[o.Name] = true
		}
	}
	for _, m := range p.replaced { // the version is that of the start: what was mapped later is not older
		r := host.Replaced{Path: m}
		for _, alias := range append([]string{m}, sonames(m)...) {
			if o := packages.Owner(alias); o != nil {
				r.Package = o.Name
				if !p.started.IsZero() {
					r.Version = packages.VersionAt(o, p.started)
				}
				libraries[o.Name] = true
				break
			}
		}
		p.Replaced = append(p.Replaced, r)
	}
	for name := range libraries {
		p.Libraries = append(p.Libraries, name)
	}
	slices.Sort(p.Libraries)
}

// sonames are the shorter names under which a library that is gone may live on in
// its package: an update replaces libx.so.2.9.14 by libx.so.2.9.15 and keeps the
// link libx.so.2.
func sonames(file string) []string {
	dir, base := path.Split(file)
	var out []string
	for {
		i := strings.LastIndexByte(base, '.')
		if i < 0 || !strings.Contains(base[:i], ".so") {
			return out
		}
		base = base[:i]
		out = append(out, dir+base)
	}
}
