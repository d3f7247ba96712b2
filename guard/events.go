package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/host"
)

// Drops counts what was not told, since the guard was loaded.
type Drops struct {
	Refusals uint64 `json:"refusals"` // events of refusals that found no room; the refusals stood
	Notes    uint64 `json:"notes"`
	Summed   uint64 `json:"summed"` // folded into another event's count
}

// Reader reads what one ring tells. Close unblocks Read.
type Reader struct {
	ring *ringbuf.Reader
	boot time.Time
}

// Refusals reads what was refused, apart from everything else, so that noise cannot
// crowd it out.
func (g *Guard) Refusals() (*Reader, error) { return g.reader("refusals") }

// Notes reads what was observed and noted.
func (g *Guard) Notes() (*Reader, error) { return g.reader("notes") }

func (g *Guard) reader(ring string) (*Reader, error) {
	r, err := ringbuf.NewReader(g.objects.Maps[ring])
	if err != nil {
		return nil, fmt.Errorf("guard: open the ring of %s: %w", ring, err)
	}
	boot, err := bootTime()
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return &Reader{ring: r, boot: boot}, nil
}

// Read waits for the next event. It returns ringbuf.ErrClosed after Close.
func (r *Reader) Read() (event.Event, error) {
	record, err := r.ring.Read()
	if err != nil {
		return event.Event{}, err
	}
	var raw bpf.GuardEvent
	if err := binary.Read(bytes.NewReader(record.RawSample), binary.NativeEndian, &raw); err != nil {
		return event.Event{}, fmt.Errorf("guard: event of %d bytes: %w", len(record.RawSample), err)
	}
	return translate(&raw, r.boot), nil
}

// Close ends reading.
func (r *Reader) Close() error { return r.ring.Close() }

// Drops tells what was not told.
func (g *Guard) Drops() (Drops, error) {
	var d Drops
	for what, into := range map[bpf.GuardCounter]*uint64{bpf.GuardCounterCOUNT_LOST: &d.Refusals,
		bpf.GuardCounterCOUNT_NOTES_LOST: &d.Notes, bpf.GuardCounterCOUNT_SUMMED: &d.Summed} {
		var perCPU []uint64
		if err := g.objects.Maps["counters"].Lookup(uint32(what), &perCPU); err != nil {
			return d, fmt.Errorf("guard: counters: %w", err)
		}
		for _, n := range perCPU {
			*into += n
		}
	}
	return d, nil
}

var opNames = map[bpf.GuardOp]string{
	bpf.GuardOpOP_EXEC: "exec", bpf.GuardOpOP_LIBRARY: "library", bpf.GuardOpOP_MPROTECT: "mprotect",
	bpf.GuardOpOP_SCRIPT: "script", bpf.GuardOpOP_MODULE: "module", bpf.GuardOpOP_OPEN_WRITE: "write",
	bpf.GuardOpOP_CREATE: "create", bpf.GuardOpOP_UNLINK: "unlink", bpf.GuardOpOP_RENAME: "rename",
	bpf.GuardOpOP_LINK: "link", bpf.GuardOpOP_SYMLINK: "symlink", bpf.GuardOpOP_MKDIR: "mkdir",
	bpf.GuardOpOP_RMDIR: "rmdir", bpf.GuardOpOP_MKNOD: "mknod", bpf.GuardOpOP_ATTR: "attributes",
	bpf.GuardOpOP_XATTR: "extended-attributes", bpf.GuardOpOP_MOUNT: "mount",
	bpf.GuardOpOP_CONTAINED: "contained", bpf.GuardOpOP_ROOT_MOVED: "place-moved",
}

var spaceNames = map[uint32]string{1: "system", 2: "config", 3: "user", 4: "data", 5: "persistence", 6: "private"}

var controlNames = map[uint32]host.Control{1: host.Launch, 2: host.Write, 4: host.Containing}

// translate turns the kernel's record into the word. Rule numbers are resolved by the
// caller, who knows the policy.
func translate(raw *bpf.GuardEvent, boot time.Time) event.Event {
	flags := bpf.GuardLabelFlag(raw.Flags)
	e := event.Event{At: boot.Add(time.Duration(raw.At)), Op: opNames[bpf.GuardOp(raw.Op)], Control: string(controlNames[raw.Control]),
		Count: max(1, int(raw.Count)), Path: pathOf(raw), Space: spaceNames[raw.Space],
		Actor: event.Actor{PID: int(raw.Pid), Comm: text(raw.Comm[:]), Parent: int(raw.Ppid), ParentIs: text(raw.ParentComm[:]),
			UID: int(raw.Uid), LoginUID: int(int32(raw.Loginuid)),
			Contained: flags&bpf.GuardLabelFlagLABEL_CONTAINED != 0, Updater: flags&bpf.GuardLabelFlagLABEL_UPDATER != 0,
			Granted: flags&bpf.GuardLabelFlagLABEL_GRANT != 0}}
	switch {
	case raw.Refused != 0:
		e.Kind = event.Refused
	case raw.Op >= uint32(bpf.GuardOpOP_CONTAINED):
		e.Kind = event.Note
	default:
		e.Kind = event.Observed
	}
	return e
}

// pathOf joins the names the kernel told, the file's own first.
func pathOf(raw *bpf.GuardEvent) string {
	n := min(int(raw.Parts), len(raw.Path))
	if n == 0 {
		return ""
	}
	var names []string
	for i := range n {
		names = append(names, text(raw.Path[i][:]))
	}
	slices.Reverse(names)
	if names[0] == "/" { // the filesystem's root was reached
		return "/" + strings.Join(names[1:], "/")
	}
	return "…/" + strings.Join(names, "/")
}

// text is a C string.
func text(raw []int8) string {
	var b strings.Builder
	for _, c := range raw {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}
