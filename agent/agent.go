// Package agent is the end that runs on each server: it puts a policy in force through
// an Enforcer, keeps what was good across crashes, tells what was refused, and answers
// the administrator on a local socket. It promises that a malformed policy never
// replaces a good one, that a change to be confirmed falls back by itself, also after a
// kill or a reboot, that only root outside containment changes anything, and that
// nothing it tells or keeps can hold up enforcement. Client is the other side of the
// socket.
package agent

import (
	"context"
	"iter"
	"log/slog"
	"os"
	"time"

	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Where things lie unless Config says otherwise.
const (
	DefaultPolicy = "/etc/kannuki/policy.yaml"
	DefaultState  = "/var/lib/kannuki"
	DefaultSocket = "/run/kannuki/agent.sock"
)

// Config says what an agent runs with. Its zero value is a host without a guard on
// which everything lies where it does by default; Now is required.
type Config struct {
	Policy string // the policy file; "": DefaultPolicy. A missing file is the built-in standard
	State  string // directory of what is kept; "": DefaultState
	Socket string // "": DefaultSocket

	Version string
	HostID  string           // this host's id, as its inventory has it; "": found out
	Log     *slog.Logger     // nil: nowhere
	Now     func() time.Time // the clock
	Started time.Time        // when the process began; zero: when Run is called

	// Enforcer is nil where nothing can be enforced, and Reason is why. Run closes it;
	// what it pinned goes on.
	Enforcer Enforcer
	Reason   error

	// Notify is systemd's notification socket ($NOTIFY_SOCKET), "" without systemd;
	// Watchdog is how often it has to hear from us ($WATCHDOG_USEC), 0 for never.
	Notify   string
	Watchdog time.Duration

	Exports []Export         // where events go besides the spool
	Reload  <-chan os.Signal // asks to read the policy file again (SIGHUP); nil: never
	Proc    string           // "": /proc
	Drill   drill.Places     // where drills make what they need
}

// Enforcer puts a policy in force in the kernel and tells what came of it. *guard.Guard
// is one. Its methods are called by several goroutines, but Apply, Refresh and Remove by
// one at a time.
type Enforcer interface {
	// Apply puts p in force as it holds at now. On an error what was in force stays.
	Apply(p policy.Policy, now time.Time) (guard.Applied, error)
	// RelaxUntil lets controls that enforce only observe until then, and no others: under
	// the policy in force and every one that is applied before. The kernel ends it by its
	// own clock, so that an agent that is dead by then leaves nothing open. With no controls
	// nothing is relaxed any more. On an error what held before goes on.
	RelaxUntil(controls []host.Control, until time.Time) error
	// Status tells what the kernel does, read back from there.
	Status() (guard.Status, error)
	// Follow calls each with every event until ctx ends.
	Follow(ctx context.Context, each func(event.Event)) error
	// Label tells what the kernel programs hold a process for.
	Label(pid int) (guard.Label, error)
	// Contain makes a process contained; there is no way back.
	Contain(pid int) error
	Grant(pid int, e guard.Exception) (guard.Grant, error)
	Grants() ([]guard.Grant, error)
	Revoke(id uint64) error
	// Refresh resolves the policy's places again, after the host's have changed.
	Refresh() (changed bool, gaps []guard.Gap, err error)
	// Learn finds this host's own addresses and devices anew.
	Learn() error
	// Close lets go of the programs; what is pinned goes on.
	Close() error
	// Remove takes everything out of the kernel.
	Remove() error
}

// Spool keeps events on disk. *spool.Spool is one.
type Spool interface {
	Append(event.Event) error
	// Since yields what happened at t or later, oldest first.
	Since(t time.Time) iter.Seq2[event.Event, error]
	// Lost counts events that had to make room, or could not be read back.
	Lost() uint64
	Close() error
}

// Export sends events somewhere else. Send is called by one goroutine, with up to a few
// hundred events; on an error they are sent again, later.
type Export interface {
	Name() string // as status and logs call it: "syslog udp 127.0.0.1:514"
	Send(ctx context.Context, events []event.Event) error
}
