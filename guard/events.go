package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/host"
)

// Follow hands on what is refused, observed and noted, one at a time, until ctx ends.
// Refusals have a ring of their own, so that noise cannot crowd them out.
func (g *Guard) Follow(ctx context.Context, each func(event.Event)) error {
	boot, err := bootTime()
	if err != nil {
		return err
	}
	var one sync.Mutex
	var errs [2]error
	var wait sync.WaitGroup
	for i, name := range []string{"refusals", "notes"} {
		ring, err := ringbuf.NewReader(g.maps[name])
		if err != nil {
			errs[i] = fmt.Errorf("guard: open the ring of %s: %w", name, err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { ring.Close() })
		wait.Go(func() {
			defer stop()
			defer ring.Close()
			errs[i] = g.read(ring, boot, func(e event.Event) {
				one.Lock()
				defer one.Unlock()
				each(e)
			})
		})
	}
	wait.Wait()
	return errors.Join(errs[:]...)
}

// read reads one ring until it is closed.
func (g *Guard) read(ring *ringbuf.Reader, boot time.Time, each func(event.Event)) error {
	var record ringbuf.Record
	var raw bpf.GuardEvent
	for {
		if err := ring.ReadInto(&record); err != nil {
			if errors.Is(err, os.ErrClosed) {
				return nil
			}
			return fmt.Errorf("guard: read events: %w", err)
		}
		e, err := g.decode(record.RawSample, &raw, boot)
		if err != nil {
			return err
		}
		each(e)
	}
}

// decode reads one event as it lies in a ring; raw is room for it.
func (g *Guard) decode(sample []byte, raw *bpf.GuardEvent, boot time.Time) (event.Event, error) {
	if _, err := binary.Decode(sample, binary.NativeEndian, raw); err != nil {
		return event.Event{}, fmt.Errorf("guard: event of %d bytes: %w", len(sample), err)
	}
	e := translate(raw, boot)
	e.Rule = g.applied.rule(uint64(raw.Generation), raw.Rule)
	return e, nil
}

var opNames = map[bpf.GuardOp]string{
	bpf.GuardOpOP_EXEC: "exec", bpf.GuardOpOP_LIBRARY: "library", bpf.GuardOpOP_MPROTECT: "mprotect",
	bpf.GuardOpOP_SCRIPT: "script", bpf.GuardOpOP_MODULE: "module", bpf.GuardOpOP_UTILITY: "utility",
	bpf.GuardOpOP_SETUID_EXEC: "setuid", bpf.GuardOpOP_READ: "read", bpf.GuardOpOP_CONNECT: "connect", bpf.GuardOpOP_OPEN_WRITE: "write",
	bpf.GuardOpOP_CREATE: "create", bpf.GuardOpOP_UNLINK: "unlink", bpf.GuardOpOP_RENAME: "rename",
	bpf.GuardOpOP_LINK: "link", bpf.GuardOpOP_SYMLINK: "symlink", bpf.GuardOpOP_MKDIR: "mkdir",
	bpf.GuardOpOP_RMDIR: "rmdir", bpf.GuardOpOP_MKNOD: "mknod", bpf.GuardOpOP_ATTR: "attributes",
	bpf.GuardOpOP_XATTR: "extended-attributes", bpf.GuardOpOP_MOUNT: "mount",
	bpf.GuardOpOP_TRACE: "trace", bpf.GuardOpOP_SIGNAL: "signal", bpf.GuardOpOP_GAIN: "gain-privileges", bpf.GuardOpOP_SURFACE: "surface",
	bpf.GuardOpOP_WX: "writable-code", bpf.GuardOpOP_TUNE: "tune-process", bpf.GuardOpOP_GUARD: "guard", bpf.GuardOpOP_JOIN: "join-unit", bpf.GuardOpOP_INSPECT: "inspect",
	bpf.GuardOpOP_SETUID: "make-setuid", bpf.GuardOpOP_CONTAINED: "contained", bpf.GuardOpOP_MOVED: "place-moved", bpf.GuardOpOP_UPDATED: "updated",
}

// spaceOf is the word for what was touched, the most telling first.
func spaceOf(flags, op uint32) string {
	switch {
	case bpf.GuardOp(op) >= bpf.GuardOpOP_CONTAINED, bpf.GuardOp(op) == bpf.GuardOpOP_UTILITY, bpf.GuardOp(op) == bpf.GuardOpOP_SETUID_EXEC:
		return "" // not refused for where it lies
	}
	if bpf.GuardOp(op) == bpf.GuardOpOP_READ {
		return "private"
	}
	for _, s := range []struct {
		flag bpf.GuardPlaceFlag
		name string
	}{{bpf.GuardPlaceFlagPLACE_PERSIST, "persistence"}, {bpf.GuardPlaceFlagPLACE_SEALED, "system"}, {bpf.GuardPlaceFlagPLACE_CONFIG, "config"},
		{bpf.GuardPlaceFlagPLACE_DATA, "data"}} {
		if bpf.GuardPlaceFlag(flags)&s.flag != 0 {
			return s.name
		}
	}
	return "user"
}

var controlNames = map[bpf.GuardControl]host.Control{bpf.GuardControlCONTROL_LAUNCH: host.Launch, bpf.GuardControlCONTROL_WRITE: host.Write,
	bpf.GuardControlCONTROL_CONTAIN: host.Containing, bpf.GuardControlCONTROL_PROCESS: host.ProcessCtl, bpf.GuardControlCONTROL_UTILITY: host.Utility,
	bpf.GuardControlCONTROL_KERNEL: host.KernelCtl, bpf.GuardControlCONTROL_PRIVATE: host.Private, bpf.GuardControlCONTROL_SELF: host.Self}

// translate turns the kernel's record into the word, without the rule's name.
func translate(raw *bpf.GuardEvent, boot time.Time) event.Event {
	flags := bpf.GuardLabelFlag(raw.Flags)
	e := event.Event{At: boot.Add(time.Duration(raw.At)), Op: opNames[bpf.GuardOp(raw.Op)], Control: string(controlNames[bpf.GuardControl(raw.Control)]),
		Count: max(1, int(raw.Count)), Path: pathOf(raw), Space: spaceOf(raw.Place, raw.Op),
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
