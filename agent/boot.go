package agent

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/agent/setup"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Where the host tells about its own start.
const (
	kernelLogFile = "/dev/kmsg"
	activeUnits   = "/run/systemd/units" // systemd names here what is active, see activeServices
)

// bootRecord is what is known of one start of the host, on disk.
type bootRecord struct {
	ID string `json:"boot_id"`
	// Unknown: something refused already before anybody kept this.
	Unknown bool  `json:"unknown,omitempty"`
	Boot    *Boot `json:"boot,omitempty"` // nil: nothing was refused yet
}

// boots measures how long the host was without protection after it started: once, when a
// policy refuses for the first time. It is kept beside the id of this start, so that an
// agent that starts again does not measure itself.
type boots struct {
	proc      proc
	files     *keep
	log       *slog.Logger
	kernelLog iter.Seq[string]
	units     string

	mu     sync.Mutex
	record bootRecord
	fresh  bool // nobody kept anything of this start before
}

func newBoots(p proc, files *keep, log *slog.Logger) *boots {
	return &boots{proc: p, files: files, log: log, kernelLog: kernelLog(kernelLogFile), units: activeUnits}
}

// load recalls what is known of this start.
func (b *boots) load() {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, err := os.ReadFile(string(b.proc) + "/sys/kernel/random/boot_id")
	if err != nil {
		b.log.Warn("how long this host was without protection is not measured", "error", err)
		b.record.Unknown = true
		return
	}
	var r bootRecord
	if _, err := b.files.read(bootFile, &r); err != nil {
		b.log.Warn("how long this host was without protection is lost", "error", err)
	}
	if now := strings.TrimSpace(string(id)); r.ID != now {
		r, b.fresh = bootRecord{ID: now}, true
	}
	b.record = r
	if b.fresh {
		b.keep()
	}
}

func (b *boots) keep() {
	if err := b.files.write(bootFile, b.record); err != nil {
		b.log.Warn("how long this host was without protection cannot be kept", "error", err)
	}
}

// inForce is told that a policy was put in force by what now says how it is.
func (b *boots) inForce(status func() (guard.Status, error)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.record.Boot != nil || b.record.Unknown {
		return
	}
	s, err := status()
	if err != nil || !refuses(s) {
		return
	}
	if s.Adopted && b.fresh {
		b.record.Unknown = true
	} else {
		boot, err := b.measure()
		if err != nil {
			b.log.Warn("how long this host was without protection is not measured", "error", err)
			return
		}
		b.record.Boot = &boot
	}
	b.keep()
}

// refuses tells whether at least one control is enforced.
func refuses(s guard.Status) bool {
	return slices.ContainsFunc(policy.Controls(), func(c host.Control) bool { return s.Modes[c] == policy.Enforce && s.Hooks[c] > 0 })
}

func (b *boots) measure() (Boot, error) {
	now, err := b.proc.uptime()
	if err != nil {
		return Boot{}, err
	}
	out := Boot{Protected: Span(now), Measured: "kernel-log", Before: activeServices(b.units)}
	first, ok := firstProgram(b.kernelLog)
	if !ok {
		// The kernel makes it early, and only later its program: rather too long than too short.
		if first, err = b.proc.began(1); err != nil {
			return Boot{}, err
		}
		out.Measured = "process-1"
	}
	out.UserSpace, out.Unprotected = Span(first), Span(max(0, now-first))
	return out, nil
}

// view is what is known; nil: nothing, or that nothing was refused yet.
func (b *boots) view() *Boot {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.record.Boot == nil {
		return nil
	}
	boot := *b.record.Boot
	return &boot
}

// uptime is how long ago the kernel started, sleep included, see proc_uptime(5).
func (p proc) uptime() (time.Duration, error) {
	text, err := os.ReadFile(string(p) + "/uptime")
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	d, err := time.ParseDuration(first + "s")
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s/uptime says %q, not how long", p, first)
	}
	return d, nil
}

// began is how long after the kernel a process began: field 22 of proc_pid_stat(5), in
// hundredths of a second (USER_HZ).
func (p proc) began(pid int) (time.Duration, error) {
	text := p.text(pid, "stat")
	if fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:]); len(fields) > 19 {
		if n, err := strconv.ParseUint(fields[19], 10, 63); err == nil {
			return time.Duration(n) * 10 * time.Millisecond, nil
		}
	}
	return 0, fmt.Errorf("%s/%d/stat does not tell when it began", p, pid)
}

// firstProgram is how long after the kernel the first program started, which is the
// initramfs' where there is one: the kernel notes it ("Run /init as init process").
// Others may write that into its log too, but not in its name.
func firstProgram(log iter.Seq[string]) (time.Duration, bool) {
	for record := range log {
		head, text, _ := strings.Cut(record, ";")
		text, _, _ = strings.Cut(text, "\n")
		fields := strings.Split(head, ",")
		if len(fields) < 3 || !strings.HasPrefix(text, "Run ") || !strings.HasSuffix(text, " as init process") {
			continue
		}
		level, err := strconv.ParseUint(fields[0], 10, 32)
		at, errAt := strconv.ParseInt(fields[2], 10, 63)
		if err == nil && errAt == nil && level < 8 { // 0 to 7: the facility is the kernel
			return time.Duration(at) * time.Microsecond, true
		}
	}
	return 0, false
}

// kernelLog are the records of the kernel's log, oldest first, as
// Documentation/ABI/testing/dev-kmsg of the kernel has them. What was overwritten
// meanwhile is left out.
func kernelLog(file string) iter.Seq[string] {
	return func(yield func(string) bool) {
		// Not os.Open: Go's poller would wait for what comes later.
		fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		if err != nil {
			return
		}
		defer syscall.Close(fd)
		room := make([]byte, 8192)
		for {
			n, err := syscall.Read(fd, room)
			if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.EINTR) {
				continue
			}
			if err != nil || n <= 0 || !yield(string(room[:n])) {
				return
			}
		}
	}
}

// activeServices are the services that are active or about to be, by the names systemd
// leaves for its log: "invocation:cron.service".
func activeServices(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no systemd
	}
	out := []string{}
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), "invocation:"); ok && strings.HasSuffix(name, ".service") && name != setup.UnitName {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
