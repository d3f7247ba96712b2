package agent

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// book answers, for events, why a rule is there and what the way out is.
type book struct {
	policy   policy.Policy
	why      map[string]string // by rule id
	deputies map[string]string // the daemon's name, by rule id
}

func newBook(p policy.Policy) *book {
	b := &book{policy: p, why: map[string]string{}, deputies: map[string]string{}}
	for _, r := range p.Rules() {
		if b.why[r.ID] = r.Says; r.Why != "" {
			b.why[r.ID] = r.Says + ": " + r.Why
		}
	}
	for _, u := range p.Utilities.Refuse { // not with all the names of its group
		b.why[u.ID] = strings.TrimSpace("it is a utility (" + u.Category + "). " + u.Why)
	}
	for _, d := range p.Deputies.Refuse {
		b.deputies[d.ID] = d.Name
	}
	return b
}

// tell fills in what an administrator wants to know about a refusal.
func (b *book) tell(e *event.Event, at time.Time) {
	if b == nil || e.Kind == event.Note {
		return
	}
	if e.Why == "" {
		e.Why = b.why[e.Rule]
	}
	if e.Rule == policy.RuleUnits && e.WayOut == "" { // no rule of a policy: nobody can be named a writer of it
		e.WayOut = "let systemd start it in a unit of its own; no rule lets a contained process move itself"
	}
	if v, ok := b.verdict(e, at); ok {
		e.Why, e.WayOut = cmp.Or(e.Why, v.Why), cmp.Or(e.WayOut, v.WayOut)
	}
	e.Why, e.WayOut = cmp.Or(e.Why, whyOf[e.Op]), cmp.Or(e.WayOut, b.wayOut(e))
}

// verdict explains the event by the policy, where that comes to the same decision.
func (b *book) verdict(e *event.Event, at time.Time) (policy.Verdict, bool) {
	op, about := questions[e.Op]
	if !about || !strings.HasPrefix(e.Path, "/") {
		return policy.Verdict{}, false
	}
	q := policy.Question{Op: op, Path: e.Path, As: asOf(e.Actor), By: byOf(e), At: at, Setuid: e.Op == opSetuid}
	v := b.policy.Explain(q)
	same := !v.Allowed && v.WayOut != "" && string(v.Control) == e.Control && (e.Rule == "" || v.Rule == e.Rule)
	return v, same
}

// Operations the policy's questions know nothing of, or know as a kind of launch.
const (
	opSetuid     = "setuid"      // launch what would raise its privileges
	opMakeSetuid = "make-setuid" // make a file that would
	opConnect    = "connect"     // to a deputy's socket
	opModule     = "module"
)

// questions are the guard's operations as the policy asks about them. What is not among
// them is decided by something else than places: make-setuid, connect.
var questions = map[string]policy.Op{
	"exec": policy.Exec, "library": policy.Exec, "mprotect": policy.Exec, "script": policy.Exec, opModule: policy.Exec,
	"utility": policy.Exec, opSetuid: policy.Exec, "read": policy.Read,
	"write": policy.Write, "create": policy.Write, "unlink": policy.Write, "rename": policy.Write, "link": policy.Write,
	"symlink": policy.Write, "mkdir": policy.Write, "rmdir": policy.Write, "mknod": policy.Write, "attributes": policy.Write,
	"extended-attributes": policy.Write, "mount": policy.Write,
}

// whyOf is said where no rule of the policy has decided.
var whyOf = map[string]string{
	opSetuid:     "a contained process runs no program that would raise its privileges",
	opMakeSetuid: "a contained process makes no set-user-ID or set-group-ID file: it would be a privilege for later",
	opModule:     "kernel modules come from system space only",
}

func asOf(a event.Actor) policy.As {
	switch {
	case a.Contained:
		return policy.AsContained
	case a.Updater:
		return policy.AsUpdater
	case a.LoginUID >= 0:
		return policy.AsSession
	}
	return policy.AsAnyone
}

// byOf is the lineage as far as it is known. A launch that was only observed has made
// the process the program it asked for: that one asked for nothing.
func byOf(e *event.Event) []policy.Who {
	var by []policy.Who
	if e.Actor.Exe != "" && e.Actor.Exe != e.Path {
		by = append(by, policy.Who{Program: e.Actor.Exe})
	}
	if e.Actor.Unit != "" {
		by = append(by, policy.Who{Unit: e.Actor.Unit})
	}
	return by
}

// wayOut is for what the policy's places do not decide, and for a path that the kernel
// could not tell whole.
func (b *book) wayOut(e *event.Event) string {
	who, at := cmp.Or(e.Actor.Unit, "the service"), cmp.Or(e.Path, "that program")
	switch e.Op {
	case opConnect:
		return fmt.Sprintf("if %s cannot work without it, allow it under deputies.allow, with %q in names and the unit in to", who, cmp.Or(b.deputies[e.Rule], "the daemon"))
	case opMakeSetuid:
		return "install the file as a package, or set its mode from an administrator's session; no rule lets a contained process do it"
	case opModule:
		return "install the module as a package"
	case opSetuid:
		return fmt.Sprintf("if %s needs this helper, name the edge from it to %s with setuid: true", who, at)
	}
	switch host.Control(e.Control) {
	case host.Launch:
		return "install it as a package, move it below /usr/local, or run it under a grant (kannuki-agent grant --for 15m -- …)"
	case host.Write:
		return "use the package manager or a grant (kannuki-agent grant --for 15m -- …); if " + who + " has to, name it as a writer of " + ruleOr(e.Rule, "that place")
	case host.Private:
		return "if " + who + " has to read it, name it as a reader of " + ruleOr(e.Rule, "that place")
	case host.Utility, host.Containing:
		return fmt.Sprintf("if %s cannot work without it, name the edge from it to %s", who, at)
	case host.Self:
		return "use kannuki-agent: policy apply, observe, grant"
	}
	return "kannuki-agent suggest tells what this host's work would need"
}

func ruleOr(rule, otherwise string) string {
	if rule == "" {
		return otherwise
	}
	return "rule " + rule
}
