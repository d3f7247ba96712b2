package suggest

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/policy"
)

// sight is what was recorded of one thing that somebody wanted to do, repeats folded.
type sight struct {
	q       policy.Question
	who     policy.Who // whom an exception would be for; zero: not known well enough
	actor   string     // who it was, for counting
	op      string
	control string
	tool    bool // something that builds programs did it, or stands above who did

	events      int
	first, last time.Time
	days        []string // distinct, UTC
	example     event.Event
}

type sightKey struct {
	op, control, path, actor string
	as                       policy.As
}

func (k sightKey) compare(other sightKey) int {
	return cmp.Or(cmp.Compare(k.path, other.path), cmp.Compare(k.op, other.op), cmp.Compare(k.actor, other.actor),
		cmp.Compare(k.control, other.control), cmp.Compare(k.as, other.as))
}

// see takes one event in.
func (s *suggester) see(e event.Event) {
	if e.Kind != event.Refused && e.Kind != event.Observed {
		return
	}
	q := question(e)
	by, who := s.lineages(e)
	q.By = by
	key := sightKey{e.Op, e.Control, e.Path, actorOf(e, who), q.As}
	o := s.seen[key]
	if o == nil {
		o = &sight{q: q, who: who, actor: key.actor, op: e.Op, control: e.Control, first: e.At, last: e.At, example: e}
		s.seen[key] = o
	}
	o.tool = o.tool || builds(e)
	o.events += max(1, e.Count)
	if e.At.Before(o.first) {
		o.first, o.example = e.At, e
	}
	if e.At.After(o.last) {
		o.last = e.At
	}
	if o.q.At = o.last; o.last.After(s.newest) {
		s.newest = o.last
	}
	if day := e.At.UTC().Format(time.DateOnly); !slices.Contains(o.days, day) {
		o.days = append(o.days, day)
	}
}

// opSetuid launches what would raise its privileges.
const opSetuid = "setuid"

// ops are operations of events as questions to a policy. What is not among them is
// about no path.
var ops = map[string]policy.Op{
	"exec": policy.Exec, "library": policy.Exec, "mprotect": policy.Exec, "script": policy.Exec, "utility": policy.Exec, opSetuid: policy.Exec,
	"write": policy.Write, "create": policy.Write, "unlink": policy.Write, "rename": policy.Write, "link": policy.Write, "symlink": policy.Write,
	"mkdir": policy.Write, "rmdir": policy.Write, "mknod": policy.Write, "attributes": policy.Write, "extended-attributes": policy.Write,
	"read": policy.Read,
}

func question(e event.Event) policy.Question {
	q := policy.Question{Op: ops[e.Op], Path: e.Path, As: policy.AsAnyone, At: e.At, Setuid: e.Op == opSetuid || e.Rule == policy.RuleSetuid}
	switch {
	case e.Actor.Contained:
		q.As = policy.AsContained
	case e.Actor.Updater:
		q.As = policy.AsUpdater
	case e.Actor.LoginUID >= 0:
		q.As = policy.AsSession
	}
	return q
}

// lineages returns every lineage the actor is known to be of, and the one an exception
// would be for: its service, its session's account, or a program of its own.
func (s *suggester) lineages(e event.Event) (by []policy.Who, who policy.Who) {
	add := func(w policy.Who, own bool) {
		by = append(by, w)
		if own && who == (policy.Who{}) {
			who = w
		}
	}
	// The process after an exec that was only observed is the program it asked for.
	exe := e.Actor.Exe
	if exe == e.Path || strings.HasSuffix(exe, " (deleted)") || !path.IsAbs(exe) {
		exe = ""
	}
	if e.Actor.Unit != "" {
		add(policy.Who{Unit: e.Actor.Unit}, strings.HasSuffix(e.Actor.Unit, ".service") && !strings.HasPrefix(e.Actor.Unit, "user@"))
	}
	if name := s.host.Accounts[e.Actor.LoginUID]; name != "" && e.Actor.LoginUID >= 0 {
		add(policy.Who{User: name}, true)
	}
	if exe != "" {
		add(policy.Who{Program: exe}, s.ownProgram(exe))
	}
	return by, who
}

// ownProgram tells whether exe does one job: an exception for a shell, or for anything
// else everybody runs, would be one for everybody.
func (s *suggester) ownProgram(exe string) bool {
	own, known := s.own[exe]
	if !known {
		own = s.oneJob(exe)
		s.own[exe] = own
	}
	return own
}

func (s *suggester) oneJob(exe string) bool {
	everybodys := slices.ContainsFunc(s.p.Programs, func(d policy.ProgramDir) bool { return path.Dir(exe) == d.Path || "/usr"+path.Dir(exe) == d.Path })
	return !everybodys && s.p.Explain(policy.Question{Op: policy.Exec, Path: exe, As: policy.AsAnyone}).Allowed
}

func actorOf(e event.Event, who policy.Who) string {
	if who != (policy.Who{}) {
		return who.String()
	}
	return fmt.Sprintf("%s of uid %d", e.Actor.Comm, e.Actor.UID)
}

func (o *sight) actorName() string { return o.actor }

func (o *sight) contained() bool { return o.q.As == policy.AsContained }

// regular tells whether it came back like work that has a schedule, and not in one go
// like somebody trying: at least three times, on at least two days.
func (o *sight) regular() bool { return o.events >= 3 && len(o.days) >= 2 }

// tools build programs and start what they have built.
var tools = []string{"make", "gmake", "ninja", "cmake", "ctest", "meson", "bazel", "go", "cargo", "rustc", "gcc", "g++", "cc", "c++", "clang", "ld",
	"configure", "gradle", "mvn", "npm", "yarn", "tox", "pytest", "dpkg-buildpacka", "rpmbuild", "debuild"}

// builds tells whether a build did it: the process, or one above it, is a tool.
func builds(e event.Event) bool {
	names := []string{e.Actor.Comm, e.Actor.ParentIs}
	for _, a := range e.Actor.Ancestry {
		names = append(names, a.Comm)
	}
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(tools, n) })
}
