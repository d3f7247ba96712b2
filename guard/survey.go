package guard

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
)

// process is a running process as /proc tells it.
type process struct {
	pid, parent int
	exe         string // where the program lies; "" for kernel threads
	known       bool   // it is the host's file of that path, not one of another mount namespace
	unit        string // "nginx.service"; "" outside units
	login       uint32 // login uid; ^0 outside sessions
	faces       bool   // it holds a socket that listens beyond loopback
	ended       bool   // nothing of it runs any more
}

// How long a survey goes on catching up with processes that start others, before a
// policy is in force, which must not wait for them, and after.
const (
	beforehand = 300 * time.Millisecond
	afterwards = 2 * time.Second
)

// errOutrun is returned where processes were born and ended all that time.
var errOutrun = errors.New("processes start others faster than they can be labelled: apply the policy again")

// survey labels the processes that run already, as they would have been labelled had
// they started under the policy: programs, units, accounts, listeners and what descends
// from them. It goes over those that are new until they have inherited all they need,
// and returns how many labels it wrote.
func (g *Guard) survey(s staging, long time.Duration) (int, error) {
	began, err := bootNow()
	if err != nil {
		return 0, err
	}
	v := newSurveyor(s)
	v.earlier = g.pins.others()
	defer func() {
		for _, m := range v.earlier {
			m.Close()
		}
	}()
	labelled := 0
	for {
		fresh, settled, err := v.readNew()
		if err != nil {
			return labelled, err
		}
		for _, pid := range fresh {
			out, err := v.label(pid)
			if err != nil {
				return labelled, err
			}
			if out == wrote {
				labelled++
			}
			settled = settled && out == right
		}
		if settled {
			return labelled, nil
		}
		if now, err := bootNow(); err != nil || now > began+long {
			return labelled, errors.Join(err, errOutrun)
		}
	}
}

// outcome is what came of labelling one process.
type outcome int

const (
	right outcome = iota // it had the label it needs
	wrote
	ended // before it could be labelled; it may have started others
)

// surveyor works out what running processes are.
type surveyor struct {
	s        staging
	programs map[string]*ruleset.Program // of the policy, by path
	table    map[int]process
	sockets  exposed
	earlier  []*ebpf.Map // labels of earlier versions of the programs
}

func newSurveyor(s staging) *surveyor {
	v := &surveyor{s: s, programs: make(map[string]*ruleset.Program, len(s.rs.Programs)), table: map[int]process{},
		sockets: exposed{chosen: chosenPort(), inodes: map[string]map[string]bool{}}}
	for i, p := range s.rs.Programs {
		v.programs[p.Path] = &s.rs.Programs[i]
	}
	return v
}

func (v *surveyor) label(pid int) (outcome, error) {
	p := v.table[pid]
	if pid == 1 || pid == os.Getpid() || p.exe == "" {
		return right, nil
	}
	fd, err := openProcess(pid)
	if errors.Is(err, ErrNoProcess) {
		return ended, nil
	}
	if err != nil {
		return right, err
	}
	defer unix.Close(fd)
	now, err := readLabel(v.s.g.maps["labels"], fd, pid)
	if err != nil {
		return ended, nil
	}
	want := now
	v.become(&want, p)
	for _, m := range v.earlier {
		want.Flags |= earlierFlags(m, fd) & uint32(bpf.GuardLabelFlagLABEL_CONTAINED)
	}
	if want == now {
		return right, nil
	}
	if err := v.s.g.writeLabel(fd, pid, want); err != nil {
		if errors.Is(err, ErrNoProcess) {
			return ended, nil
		}
		return right, err
	}
	// It may have run another program meanwhile, whose label was written over.
	if p, err = readProcess(pid, v.sockets); err == nil && p.exe != v.table[pid].exe {
		v.table[pid] = p
		return v.label(pid)
	}
	return wrote, nil
}

// earlierFlags are the flags of a label of another version: what every one begins with.
func earlierFlags(labels *ebpf.Map, fd int) uint32 {
	raw, err := labels.LookupBytes(uint32(fd))
	if err != nil || len(raw) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(raw)
}

// become adds to a label what the process and those above it are.
func (v *surveyor) become(l *bpf.GuardLabel, p process) {
	for at, depth := p, 0; depth < 64; depth++ {
		program, flags := v.made(at, l.Lineages[:])
		if depth == 0 {
			v.itself(l, p, program, flags)
		}
		// Once programs have labelled from the start, who descends from whom is in the
		// labels, and who has left containment too.
		if (depth == 0 || v.s.first) && v.isContained(at, flags) {
			l.Flags |= uint32(ruleset.Contained)
		}
		above, ok := v.table[at.parent]
		// A session is its own: what logged it in does not descend to it.
		if !ok || above.pid == 1 || above.login != at.login {
			return
		}
		at = above
	}
}

// itself is what a program gives only the process that runs it.
func (v *surveyor) itself(l *bpf.GuardLabel, p process, program *ruleset.Program, flags ruleset.Flags) {
	of := uint32(ruleset.Interpreter | ruleset.Exempt | ruleset.Loader | ruleset.Modules)
	l.Flags = l.Flags&^of | uint32(flags)&of
	l.Flags |= uint32(flags & (ruleset.Builder | ruleset.WX))
	if program == nil || flags&ruleset.Interpreter == 0 {
		return
	}
	if o := options(program.Options); o != l.Options || l.ArgumentsRead == 0 {
		l.Options = o
		readArguments(l, program.Options, p.pid)
	}
}

func (v *surveyor) isContained(p process, flags ruleset.Flags) bool {
	if v.s.rs.Enforce&ruleset.ControlContain == 0 || p.pid == 1 {
		return false
	}
	return flags&ruleset.Contained != 0 || p.faces && v.s.rs.Listeners && flags&ruleset.Exempt == 0
}

// made is the program of the policy a process runs, and what that, its unit and its
// account make of it. The lineages it begins are added to words.
func (v *surveyor) made(p process, words []uint64) (program *ruleset.Program, flags ruleset.Flags) {
	if p.known {
		program = v.programs[p.exe]
	}
	if program != nil {
		flags = program.Flags
		if program.Lineage > 0 {
			v.s.member(words, program.Lineage-1)
		}
	}
	for i, l := range v.s.rs.Lineages {
		if starts(l, p) {
			flags |= l.Flags
			v.s.member(words, i)
		}
	}
	return program, flags
}

// starts tells whether a process begins a lineage that is no program.
func starts(l ruleset.Lineage, p process) bool {
	if l.User {
		return p.login == uint32(l.UID)
	}
	if l.Unit == "" || p.unit == "" {
		return false
	}
	name, instance, template := strings.Cut(p.unit, "@")
	return l.Unit == p.unit || template && l.Unit == name+"@"+filepath.Ext(instance)
}

// readNew reads the processes that are not in the table, and tells whether all of them
// lived long enough: what has ended may have started another after /proc was listed. The
// last born come first: they live longest from now.
func (v *surveyor) readNew() (fresh []int, all bool, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false, fmt.Errorf("running processes: %w", err)
	}
	all = true
	for _, e := range slices.Backward(entries) {
		pid, err := strconv.Atoi(e.Name())
		if _, known := v.table[pid]; err != nil || known {
			continue
		}
		p, err := readProcess(pid, v.sockets)
		if err != nil {
			all = false
			continue
		}
		v.table[pid] = p
		if p.ended {
			all = false
			continue
		}
		fresh = append(fresh, pid)
	}
	return fresh, all, nil
}

// sameFile tells whether two paths lead to one file.
func sameFile(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// sameMounts tells whether a process sees the host's files under their own paths.
func sameMounts(dir string) bool { return sameFile(dir+"ns/mnt", "/proc/1/ns/mnt") }

func readProcess(pid int, sockets exposed) (process, error) {
	p, dir, err := readThread(pid)
	if err == nil && p.exe != "" {
		p.faces = sockets.held(dir)
	}
	return p, err
}

// readLineage reads a process but for its sockets.
func readLineage(pid int) (process, error) {
	p, _, err := readThread(pid)
	return p, err
}

// readThread reads a process but for its sockets, and returns the directory of /proc that
// tells of it: of its first thread, or of another where that has ended.
func readThread(pid int) (p process, dir string, err error) {
	dir = fmt.Sprintf("/proc/%d/", pid)
	p = process{pid: pid, login: ^uint32(0)}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return p, dir, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			p.parent, _ = strconv.Atoi(strings.TrimSpace(rest)) // the kernel writes a number
		}
	}
	exe, err := os.Readlink(dir + "exe")
	if err != nil && (pid == kthreadd || p.parent == kthreadd) {
		return p, dir, nil
	}
	if err != nil {
		// A thread loses its program before its state says that it has ended.
		exe, dir, err = otherThread(dir)
	}
	if err != nil {
		p.ended = true
		return p, dir, nil
	}
	p.exe = strings.TrimSuffix(exe, " (deleted)")
	p.known = p.exe != exe && sameMounts(dir) || sameFile(dir+"exe", p.exe)
	if login, err := os.ReadFile(dir + "loginuid"); err == nil {
		if n, err := strconv.ParseUint(strings.TrimSpace(string(login)), 10, 32); err == nil {
			p.login = uint32(n)
		}
	}
	if group, err := os.ReadFile(dir + "cgroup"); err == nil {
		p.unit = UnitOf(string(group))
	}
	return p, dir, nil
}

// kthreadd is the process that starts all kernel threads, which have no program.
const kthreadd = 2

// otherThread finds a thread that still runs of a process whose first one has ended, and
// returns its program.
func otherThread(dir string) (exe, thread string, err error) {
	threads, err := os.ReadDir(dir + "task")
	if err != nil {
		return "", dir, err
	}
	for _, t := range threads {
		thread = dir + "task/" + t.Name() + "/"
		if exe, err := os.Readlink(thread + "exe"); err == nil {
			return exe, thread, nil
		}
	}
	return "", dir, os.ErrNotExist
}

// exposed are sockets that listen beyond loopback.
type exposed struct {
	chosen uint64                     // the first port that the kernel chooses by itself
	inodes map[string]map[string]bool // by network namespace and inode
}

// held tells whether a process holds such a socket.
func (e exposed) held(dir string) bool {
	net, err := os.Readlink(dir + "ns/net")
	if err != nil {
		return false
	}
	inodes := e.inodes[net]
	if inodes == nil {
		inodes = map[string]bool{}
		e.inodes[net] = inodes
		for table, datagrams := range map[string]bool{"tcp": false, "tcp6": false, "udp": true, "udp6": true} {
			e.readTable(dir+"net/"+table, datagrams, inodes)
		}
	}
	if len(inodes) == 0 {
		return false
	}
	fds, err := os.ReadDir(dir + "fd")
	if err != nil {
		return false
	}
	for _, fd := range fds {
		to, err := os.Readlink(dir + "fd/" + fd.Name())
		if inode, ok := strings.CutPrefix(to, "socket:["); err == nil && ok && inodes[strings.TrimSuffix(inode, "]")] {
			return true
		}
	}
	return false
}

// listening is TCP_LISTEN of include/net/tcp_states.h; a datagram socket with a port of
// its own has the state TCP_CLOSE.
const (
	listening = "0A"
	unheard   = "07"
)

// chosenPort is the first port the kernel chooses by itself, see ip(7).
func chosenPort() uint64 {
	const usual = 32768
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return usual
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\t")
	n, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return usual
	}
	return n
}

func portOf(s string) uint64 {
	_, digits, _ := strings.Cut(s, ":")
	n, _ := strconv.ParseUint(digits, 16, 16) // the kernel writes four digits
	return n
}

// readTable reads proc_net(5): "sl local_address rem_address st … inode".
func (e exposed) readTable(file string, datagrams bool, into map[string]bool) {
	f, err := os.Open(file)
	if err != nil {
		return
	}
	defer f.Close()
	want := listening
	if datagrams {
		want = unheard
	}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != want {
			continue
		}
		// A datagram socket that only asked for an answer has a port the kernel chose.
		if datagrams && portOf(fields[1]) >= e.chosen {
			continue
		}
		if addr, ok := address(fields[1]); ok && !addr.Unmap().IsLoopback() {
			into[fields[9]] = true
		}
	}
}

// address reads "0100007F:0050": words of the machine's byte order.
func address(s string) (netip.Addr, bool) {
	digits, _, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(digits)
	if !ok || err != nil || len(raw)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
	}
	return netip.AddrFromSlice(raw)
}
