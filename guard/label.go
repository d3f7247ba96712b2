package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
)

// ErrNoProcess is returned for a process that is not there, or no longer.
var ErrNoProcess = errors.New("no such process")

// Label tells what the kernel programs hold a process for.
func (g *Guard) Label(pid int) (Label, error) {
	raw, err := g.label(pid)
	if err != nil {
		return Label{}, err
	}
	names, _, err := g.lineageBits()
	if err != nil {
		return Label{}, fmt.Errorf("guard: %w", err)
	}
	flags := bpf.GuardLabelFlag(raw.Flags | raw.UnitFlags)
	has := func(f bpf.GuardLabelFlag) bool { return flags&f != 0 }
	l := Label{Contained: has(bpf.GuardLabelFlagLABEL_CONTAINED), Exempt: has(bpf.GuardLabelFlagLABEL_EXEMPT),
		Interpreter: has(bpf.GuardLabelFlagLABEL_INTERPRETER), Builder: has(bpf.GuardLabelFlagLABEL_BUILDER),
		WX: has(bpf.GuardLabelFlagLABEL_WX), Rule: g.ruleOf(raw.Rule)}
	if has(bpf.GuardLabelFlagLABEL_UPDATER | bpf.GuardLabelFlagLABEL_GRANT) {
		t, alive, err := g.transaction(raw.Transaction)
		if err != nil {
			return Label{}, err
		}
		l.Updater = alive && has(bpf.GuardLabelFlagLABEL_UPDATER)
		l.Granted = alive && has(bpf.GuardLabelFlagLABEL_GRANT)
		// As flags_of of label.h: what a grant frees from everything is not contained, what
		// it leaves is.
		if has(bpf.GuardLabelFlagLABEL_GRANT) && !(alive && t.Targets > 0) {
			l.Contained = !alive
		}
	}
	for name, bit := range names {
		if raw.Lineages[bit/64]&(1<<(bit%64)) != 0 {
			l.Lineages = append(l.Lineages, name)
		}
	}
	slices.Sort(l.Lineages)
	return l, nil
}

// Contain contains a process, and what descends from it from now on.
func (g *Guard) Contain(pid int) error {
	return g.mark(pid, func(l *bpf.GuardLabel) {
		l.Flags = l.Flags&^uint32(bpf.GuardLabelFlagLABEL_UPDATER) | uint32(bpf.GuardLabelFlagLABEL_CONTAINED)
	})
}

// ruleOf names a rule of the policy in force.
func (g *Guard) ruleOf(number uint32) string {
	gen, err := g.Generation()
	if err != nil {
		return ""
	}
	return g.applied.rule(gen, number)
}

// label reads the label of a process; the zero label where it has none.
func (g *Guard) label(pid int) (bpf.GuardLabel, error) {
	fd, err := openProcess(pid)
	if err != nil {
		return bpf.GuardLabel{}, err
	}
	defer unix.Close(fd)
	return readLabel(g.maps["labels"], fd, pid)
}

func readLabel(labels *ebpf.Map, fd, pid int) (bpf.GuardLabel, error) {
	var l bpf.GuardLabel
	err := labels.Lookup(uint32(fd), &l)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return l, fmt.Errorf("guard: label of process %d: %w", pid, err)
	}
	return l, nil
}

// mark changes the label of a process.
func (g *Guard) mark(pid int, change func(*bpf.GuardLabel)) error {
	fd, err := openProcess(pid)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	l, err := readLabel(g.maps["labels"], fd, pid)
	if err != nil {
		return err
	}
	before := l
	if change(&l); l == before {
		return nil
	}
	return g.writeLabel(fd, pid, l)
}

// writeLabel writes a label that was read before. A process that has become contained
// since stays so: the programs note that beside the label before they label.
func (g *Guard) writeLabel(fd, pid int, l bpf.GuardLabel) error {
	for {
		err := g.maps["labels"].Put(uint32(fd), l)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("guard: process %d: %w", pid, ErrNoProcess)
		}
		if err != nil {
			return fmt.Errorf("guard: label process %d: %w", pid, err)
		}
		if l.Flags&uint32(bpf.GuardLabelFlagLABEL_CONTAINED|bpf.GuardLabelFlagLABEL_AGENT) != 0 {
			return nil
		}
		var since uint64
		err = g.maps["just_contained"].Lookup(uint32(pid), &since)
		if err != nil || !startedAt(pid, since) {
			return nil
		}
		l.Flags |= uint32(bpf.GuardLabelFlagLABEL_CONTAINED)
	}
}

// startedAt tells whether a process is the one that began at a moment of the boot clock
// in ns, and no later one of its number. /proc tells hundredths of a second (USER_HZ).
func startedAt(pid int, since uint64) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
	fields := strings.Fields(rest)
	return len(fields) > 19 && fields[19] == strconv.FormatUint(since/1e7, 10)
}

// openProcess opens a process by its number: a handle that means this process only.
func openProcess(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("guard: process %d: %w", pid, ErrNoProcess)
	}
	if err != nil {
		return 0, fmt.Errorf("guard: process %d: %w", pid, os.NewSyscallError("pidfd_open", err))
	}
	return fd, nil
}

// options are an interpreter's options as the kernel programs have them.
func options(o ruleset.Options) bpf.GuardOptions {
	v := bpf.GuardOptions{InlineCode: o.Inline, Valued: o.Valued, Attached: o.Attached, Script: o.Script}
	for how, set := range map[bpf.GuardOptionHow]bool{bpf.GuardOptionHowOPTIONS_NOSCRIPT: o.NoScript,
		bpf.GuardOptionHowOPTIONS_WORDS: o.Words, bpf.GuardOptionHowOPTIONS_APPLET: o.Applet} {
		if set {
			v.How |= uint64(how)
		}
	}
	return v
}

// readArguments notes in a label which arguments of a running interpreter are code, as
// guard/bpf/arguments.h does, who cannot wait for what is in swap by now. Of a process
// that has ended there is nothing to note.
func readArguments(l *bpf.GuardLabel, o ruleset.Options, pid int) {
	l.ArgumentsRead = 0
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(line) == 0 { // it is about to run another program
		return
	}
	scripts, more := ruleset.ScriptArguments(o, strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"))
	l.Scripts, l.Found, l.AnyScript, l.ArgumentsRead = [len(l.Scripts)]uint64{}, uint32(len(scripts)), 0, 1
	if more {
		l.AnyScript = 1
	}
	for i, script := range scripts {
		l.Scripts[i] = scriptWord(script[strings.LastIndexByte(script, '/')+1:])
	}
}

// scriptWord is what the programs know a script by, word_of of arguments.h: the first four
// letters of its name, the first lowest, and half of the name's hash above them.
func scriptWord(name string) uint64 {
	var first [4]byte
	copy(first[:], name)
	h := fnv.New64a()
	io.WriteString(h, name) // a hash takes everything
	return h.Sum64()&^math.MaxUint32 | uint64(binary.LittleEndian.Uint32(first[:]))
}
