package agent

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
)

// proc is where the kernel tells about processes, /proc.
type proc string

// Bounds of what is told of one actor.
const (
	maxAncestry = 8
	maxCmdline  = 256 // bytes
)

// enrich adds what can only be read while the process lives. Where its id belongs to
// another process by now, nothing is added; where it is gone but its parent is not, only
// the ancestry.
func (p proc) enrich(a *event.Actor) {
	comm, parent, ok := p.stat(a.PID)
	if ok && comm == a.Comm {
		a.Exe = p.exe(a.PID)
		a.Cmdline = p.cmdline(a.PID)
		a.Unit = p.unit(a.PID)
		a.Ancestry = p.ancestry(parent)
		return
	}
	if comm, _, ok := p.stat(a.Parent); ok && comm == a.ParentIs {
		a.Ancestry = p.ancestry(a.Parent)
	}
}

// actor tells who a living process is.
func (p proc) actor(pid, uid int) event.Actor {
	a := event.Actor{PID: pid, UID: uid, LoginUID: -1}
	a.Comm, a.Parent, _ = p.stat(pid)
	a.ParentIs, _, _ = p.stat(a.Parent)
	a.LoginUID = p.login(pid)
	p.enrich(&a)
	return a
}

// login is the uid of the login session a process belongs to; -1 where it belongs to none,
// or the kernel keeps no such thing.
func (p proc) login(pid int) int {
	id, err := strconv.ParseUint(strings.TrimSpace(p.text(pid, "loginuid")), 10, 32)
	if err != nil {
		return -1
	}
	return int(int32(id))
}

func (p proc) file(pid int, name string) string {
	return filepath.Join(string(p), strconv.Itoa(pid), name)
}

func (p proc) text(pid int, name string) string {
	text, err := os.ReadFile(p.file(pid, name))
	if err != nil {
		return ""
	}
	return string(text)
}

// stat returns a process's name and its parent. The name stands in parentheses and may
// hold any byte, parentheses too.
func (p proc) stat(pid int) (comm string, parent int, ok bool) {
	if pid <= 0 {
		return "", 0, false
	}
	return parseStat(p.text(pid, "stat"))
}

func parseStat(text string) (comm string, parent int, ok bool) {
	open, end := strings.IndexByte(text, '('), strings.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return "", 0, false
	}
	fields := strings.Fields(text[end+1:])
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err := strconv.Atoi(fields[1])
	return text[open+1 : end], parent, err == nil
}

// kernelThread is PF_KTHREAD of the kernel's include/linux/sched.h.
const kernelThread = 0x00200000

// runs tells whether a process runs code of a program: it is no thread of the kernel's,
// and not dead already. One whose first thread has ended goes on in the others. See
// fields 3, 9 and 20 of proc_pid_stat(5).
func (p proc) runs(pid int) bool {
	text := p.text(pid, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	switch {
	case len(fields) == 0:
		return false // gone
	case fields[0] == "Z" || fields[0] == "X":
		return len(fields) > 17 && fields[17] > "1"
	case len(fields) > 6:
		flags, err := strconv.ParseUint(fields[6], 10, 32)
		return err != nil || flags&kernelThread == 0
	}
	return true
}

// exe is the program's path; " (deleted)" behind it means the file is gone.
func (p proc) exe(pid int) string {
	exe, err := os.Readlink(p.file(pid, "exe"))
	if err != nil {
		return "" // a kernel thread, or gone
	}
	return exe
}

func (p proc) cmdline(pid int) string {
	f, err := os.Open(p.file(pid, "cmdline"))
	if err != nil {
		return ""
	}
	defer f.Close()
	text := make([]byte, maxCmdline)
	n, _ := f.Read(text)
	return string(bytes.TrimRight(bytes.ReplaceAll(text[:n], []byte{0}, []byte{' '}), " "))
}

// unit is the systemd unit a process runs in, as lineages know it; outside services it
// is the innermost scope, which names the session or the container.
func (p proc) unit(pid int) string {
	return parseUnit(p.text(pid, "cgroup"))
}

func parseUnit(text string) string {
	if unit := guard.UnitOf(text); unit != "" {
		return unit
	}
	for line := range strings.Lines(text) {
		at, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue // a hierarchy of the first version
		}
		for _, name := range slices.Backward(strings.Split(at, "/")) {
			if strings.HasSuffix(name, ".scope") {
				return name
			}
		}
	}
	return ""
}

// ancestry are pid and what stands above it.
func (p proc) ancestry(pid int) []event.Ancestor {
	var out []event.Ancestor
	for pid > 0 && len(out) < maxAncestry {
		comm, parent, ok := p.stat(pid)
		if !ok {
			break
		}
		out = append(out, event.Ancestor{PID: pid, Comm: comm})
		pid = parent
	}
	return out
}

// pids are all processes.
func (p proc) pids() []int {
	names, err := os.ReadDir(string(p))
	if err != nil {
		return nil
	}
	var out []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// resident is this process's memory in bytes.
func (p proc) resident() uint64 {
	text, err := os.ReadFile(filepath.Join(string(p), "self", "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// release is the running kernel's.
func (p proc) release() string {
	text, _ := os.ReadFile(filepath.Join(string(p), "sys", "kernel", "osrelease"))
	return strings.TrimSpace(string(text))
}
