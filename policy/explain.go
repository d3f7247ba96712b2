package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Op is what is done to a path.
type Op string

// The operations a question can be about.
const (
	Exec  Op = "exec"  // launch it, map it as a library, or open it as a script
	Write Op = "write" // create, change, rename, remove it, or its mode, owner or attributes
	Read  Op = "read"
)

// As is who does it.
type As string

// The actors a question can be about.
const (
	AsContained As = "contained" // a process that faces the network, root or not
	AsSession   As = "session"   // an administrator who logged in
	AsUpdater   As = "updater"   // a package manager at work
	AsAnyone    As = "anyone"    // any other process: what is refused here is refused to root
)

// Question is one thing a process would do. Path is absolute and resolved: no links,
// and /usr/bin rather than /bin where the host has merged them.
type Question struct {
	Op   Op
	Path string
	As   As
	// By is the lineage where it is known (no role); exceptions are for somebody.
	By     []Who
	Setuid bool      // exec: the file has a set-user-ID or set-group-ID bit
	Homes  []string  // home directories of all accounts; nil: /root and what lies in /home
	At     time.Time // when; a grant that has ended does not count
}

// Verdict is the answer. Allowed is what the rules say; where the control is in
// observe mode the host lets it happen all the same and records it.
type Verdict struct {
	Allowed bool         `json:"allowed"`
	Control host.Control `json:"control"`
	Mode    Mode         `json:"mode"`
	Rule    string       `json:"rule"` // id of the rule that decided, or one of the Rule constants
	Why     string       `json:"why"`
	WayOut  string       `json:"way_out,omitempty"` // of a refusal
}

// What decides where no rule of the policy is nearer.
const (
	RuleUserSpace = "user-space"     // unnamed places change and do not launch
	RuleOpenRead  = "not-private"    // what is not private is read
	RuleSetuid    = "setuid"         // contained processes gain no privileges
	RuleGuard     = "guard-places"   // the guard's own files
	RuleUpdater   = "updater"        // updaters change system space
	RuleNotListed = "not-contained"  // utilities and private places concern contained processes
	RuleUnits     = "control-groups" // no contained process moves itself into another unit
)

// Explain answers q by the same order the kernel follows: the nearest named place
// decides, then what the process is, then exceptions.
func (p Policy) Explain(q Question) Verdict {
	e := explainer{p: p, q: q, path: merged(path.Clean(q.Path))}
	var v Verdict
	switch q.Op {
	case Exec:
		v = e.exec()
	case Write:
		v = e.write()
	default:
		v = e.read()
	}
	v.Mode = p.ModeOf(v.Control)
	return v
}

type explainer struct {
	p    Policy
	q    Question
	path string
}

func (e explainer) contained() bool { return e.q.As == AsContained }

func allow(c host.Control, rule, why string) Verdict {
	return Verdict{Allowed: true, Control: c, Rule: rule, Why: why}
}

func refuse(c host.Control, rule, why, wayOut string) Verdict {
	return Verdict{Control: c, Rule: rule, Why: why, WayOut: wayOut}
}

func (e explainer) exec() Verdict {
	sys, ok := e.system()
	if !ok {
		return e.execUser()
	}
	if e.contained() {
		if v, decided := e.execContained(); decided {
			return v
		}
	}
	return allow(host.Launch, sys.id, sys.place+" is system space")
}

// execUser is a launch from user space: refused, but for exceptions that name somebody.
func (e explainer) execUser() Verdict {
	for _, g := range e.liveGrants() {
		if e.hits(g.Launch) {
			return allow(host.Launch, g.ID, "granted until "+g.Expires.UTC().Format(time.RFC3339)+": "+g.Reason)
		}
	}
	for _, t := range e.p.Trusted {
		if t.File == e.path && e.isAny(t.To) {
			return allow(host.Launch, t.ID, "its content is known: "+t.Why)
		}
	}
	for _, c := range e.p.Interpreters.Caches {
		if within(e.path, c.Path) && e.isAny(c.To) {
			return allow(host.Launch, c.ID, "the service's own compiled code: "+c.Why)
		}
	}
	if v, ok := e.execOwnOutput(); ok {
		return v
	}
	rule, why := RuleUserSpace, e.path+" is user space: it may change, so nothing launches from it, for anybody"
	if u, ok := e.carved(); ok {
		rule, why = u.ID, e.path+" is user space inside system space: "+u.Why
	}
	return refuse(host.Launch, rule, why, "install it as a package, move it below /usr/local, or run it under a grant (kannuki-agent grant --for 15m -- …)")
}

// execOwnOutput is an updater or a builder that launches what it made itself.
func (e explainer) execOwnOutput() (Verdict, bool) {
	if u, ok := e.scratch(); ok {
		return allow(host.Launch, u.ID, "an updater launches the scripts it unpacked itself: "+u.Why), true
	}
	if e.contained() {
		return Verdict{}, false
	}
	for _, b := range e.p.Builders {
		if e.is(b.Who) && (len(b.Output) == 0 || e.hits(b.Output)) {
			return allow(host.Launch, b.ID, "a builder launches what it built itself, and nothing else from here: "+b.Why), true
		}
	}
	return Verdict{}, false
}

// scratch is the updater whose scratch e.path lies in. Updaters start each other, so a
// transaction launches from the scratch of each of them; the asking one's comes first.
func (e explainer) scratch() (best Updater, ok bool) {
	for _, u := range e.p.Updaters.Programs {
		if e.q.As == AsUpdater && e.hits(u.Scratch) && (!ok || e.is(u.Who) && !e.is(best.Who)) {
			best, ok = u, true
		}
	}
	return best, ok
}

// execContained is a contained process that launches from system space.
func (e explainer) execContained() (Verdict, bool) {
	for _, edge := range e.p.Containment.Edges {
		if merged(edge.To) == e.path && e.is(edge.From) && (edge.Setuid || !e.q.Setuid) {
			how := "an edge of its own; the helper stays contained: "
			if edge.Leaves {
				how = "an edge of its own, which leaves containment: "
			}
			return allow(host.Containing, edge.ID, how+edge.Why), true
		}
		if edge.Shell && !e.q.Setuid && slices.Contains(shells, path.Base(e.path)) && e.is(edge.From) {
			return allow(host.Containing, edge.ID, "only as sh -c, and only to start "+edge.To+": "+edge.Why), true
		}
	}
	if e.q.Setuid {
		return refuse(host.Containing, RuleSetuid, "a contained process runs no program that would raise its privileges",
			"if the service needs this helper, name the edge from it to "+e.path+" with setuid: true"), true
	}
	rule, why, name := e.utility()
	if rule == "" {
		return Verdict{}, false
	}
	for _, a := range e.p.Utilities.Allow {
		if e.isAny(a.To) && (slices.Contains(a.Names, name) || e.categoryIn(rule, a.Categories)) {
			return allow(host.Utility, a.ID, a.Why), true
		}
	}
	for _, g := range e.liveGrants() {
		if slices.Contains(g.Utilities, name) {
			return allow(host.Utility, g.ID, g.Reason), true
		}
	}
	return refuse(host.Utility, rule, why, "if the service cannot work without it, name the edge from it to "+e.path), true
}

// utility returns the rule that makes the file one contained processes do not run.
func (e explainer) utility() (rule, why, name string) {
	dir, base := path.Split(e.path)
	if !slices.ContainsFunc(e.p.Programs, func(d ProgramDir) bool { return merged(d.Path)+"/" == dir }) {
		return "", "", ""
	}
	for _, u := range e.p.Utilities.Refuse {
		if name, ok := named(u.Names, base); ok {
			return u.ID, strings.TrimSpace(name + " is a utility (" + u.Category + "). " + u.Why), name
		}
	}
	for _, i := range e.p.Interpreters.Programs {
		if name, ok := named(i.Names, base); ok {
			return i.ID, name + " runs " + i.Language + " code, also code that lies in no file", name
		}
	}
	return "", "", ""
}

// shells are what popen and system start as sh.
var shells = []string{"sh", "dash", "bash", "busybox"}

// Shells are the names of what popen and system start as sh.
func Shells() []string { return slices.Clone(shells) }

func (e explainer) categoryIn(rule string, categories []string) bool {
	return slices.ContainsFunc(e.p.Utilities.Refuse, func(u Utility) bool { return u.ID == rule && slices.Contains(categories, u.Category) })
}

// NamedProgram tells whether the file name base is one of names, or one of them
// followed by a version, and which.
func NamedProgram(names []string, base string) (string, bool) { return named(names, base) }

func named(names []string, base string) (string, bool) {
	stem := Unversioned(base)
	for _, n := range names {
		if rest, ok := strings.CutPrefix(base, n); ok && (rest == "" || len(n) >= len(stem)) {
			return n, true
		}
	}
	return "", false
}

// Unversioned is a program's file name without the version behind it. Debian's perl is
// also there as perl5.36-x86_64-linux-gnu: which machine it is for is part of that.
func Unversioned(base string) string {
	for _, machine := range []string{"-x86_64-linux-gnu", "-aarch64-linux-gnu"} {
		base = strings.TrimSuffix(base, machine)
	}
	return strings.TrimRight(base, "0123456789.-")
}

func (e explainer) write() Verdict {
	if inAny(e.path, guardPlaces) || slices.Contains(guardFiles, e.path) && e.q.As != AsUpdater {
		return refuse(host.Self, RuleGuard, e.path+" is the guard's own", "use kannuki-agent: policy apply, observe, grant")
	}
	near, ok := e.nearestForWriting()
	if !ok {
		return allow(host.Write, RuleUserSpace, e.path+" is user space: it may change, and may not launch")
	}
	if e.q.As == AsUpdater {
		return allow(host.Write, RuleUpdater, "updaters change system space, so that updates need no edit of a policy")
	}
	if near.user {
		return allow(host.Write, near.id, near.why)
	}
	if near.seal != Sealed && !e.contained() {
		return allow(host.Write, near.id, near.place+" is closed to contained processes only")
	}
	if e.isAny(near.writers) {
		return allow(host.Write, near.id, "it is one of those named for "+near.place)
	}
	for _, g := range e.liveGrants() {
		if e.hits(g.Write) {
			return allow(host.Write, g.ID, "granted until "+g.Expires.UTC().Format(time.RFC3339)+": "+g.Reason)
		}
	}
	wayOut := "if the service has to, name it as a writer of rule " + near.id
	if near.seal == Sealed {
		wayOut = "use the package manager, or a grant (kannuki-agent grant --for 15m -- …)"
	}
	return refuse(host.Write, near.id, strings.TrimSpace(e.path+near.refusal+near.why), wayOut)
}

func (e explainer) read() Verdict {
	if IsGuardSecret(e.path) && e.contained() {
		return refuse(host.Private, RuleGuard, e.path+" is the guard's own", "use kannuki-agent: status, events")
	}
	var near *PrivatePath
	depth := 0
	for i, r := range e.p.Spaces.Private {
		if d := e.depth(r.Place); d > depth {
			near, depth = &e.p.Spaces.Private[i], d
		}
	}
	switch {
	case near == nil:
		return allow(host.Private, RuleOpenRead, e.path+" is not private; who may read it is left to its permissions")
	case !e.contained():
		return allow(host.Private, RuleNotListed, near.Place.String()+" is private to contained processes only")
	case e.isAny(near.Readers):
		return allow(host.Private, near.ID, "it is one of the readers of "+near.Place.String())
	}
	for _, g := range e.liveGrants() {
		if e.hits(g.Read) {
			return allow(host.Private, g.ID, g.Reason)
		}
	}
	return refuse(host.Private, near.ID, strings.TrimSpace(e.path+" is private. "+near.Why), "if the service has to, name it as a reader of rule "+near.ID)
}

// named place, as Explain compares it.
type spot struct {
	id, place, why, refusal string
	seal                    Seal
	writers                 []Who
	user                    bool
	depth                   int
}

// nearestForWriting is the nearest place that says who may change e.path. Of two as
// near, a persistence place is before a system place, that before user space, and that
// before data.
func (e explainer) nearestForWriting() (spot, bool) {
	var best spot
	take := func(s spot) {
		if s.depth > best.depth {
			best = s
		}
	}
	take(spot{id: RuleUnits, place: ControlGroups, why: "Whoever moves into another unit is taken for it.", refusal: " decides which unit a process is in. ", seal: Config, depth: e.depth(Place{Path: ControlGroups})})
	for _, r := range e.p.Spaces.Persistence {
		take(spot{id: r.ID, place: r.Place.String(), why: r.Why, refusal: " is a persistence place: something starts from it later. ", seal: r.Seal, writers: r.Writers, depth: e.depth(r.Place)})
	}
	for _, r := range e.p.Spaces.System {
		refusal := " is system space. "
		if r.Seal == Sealed {
			refusal = " is sealed: only updaters change it, root or not. "
		}
		take(spot{id: r.ID, place: r.Place.String(), why: r.Why, refusal: refusal, seal: r.Seal, writers: r.Writers, depth: e.depth(r.Place)})
	}
	if u, depth := e.userDepth(); depth > best.depth {
		best = spot{id: u.ID, place: u.Path, why: u.Why, user: true, depth: depth}
	}
	for _, r := range e.p.Spaces.Data {
		take(spot{id: r.ID, place: r.Place.String(), why: r.Why, refusal: " is somebody else's data. ", seal: Config, writers: r.Owners, depth: e.depth(r.Place)})
	}
	for _, t := range e.p.Trusted {
		take(spot{id: t.ID, place: t.File, why: t.Why, refusal: " is trusted for its content. ", seal: Config, depth: e.depth(Place{File: t.File})})
	}
	return best, best.depth > 0
}

// system is the system place e.path lies in, unless a user place is nearer.
func (e explainer) system() (spot, bool) {
	r, ok := e.p.nearestSystem(e.path)
	if !ok {
		return spot{}, false
	}
	if _, depth := e.userDepth(); depth > Nearness(merged(r.Place.String())) {
		return spot{}, false
	}
	return spot{id: r.ID, place: r.Place.String()}, true
}

// nearestSystem is the system place of a resolved path, user places aside.
func (p Policy) nearestSystem(at string) (SystemPath, bool) {
	var best SystemPath
	for _, r := range p.Spaces.System {
		place := merged(r.Place.String())
		if (r.File == "" && within(at, place) || at == place) && Nearness(place) > Nearness(merged(best.Place.String())) {
			best = r
		}
	}
	return best, best.Place != Place{}
}

// Nearness orders places around one path: the longer the nearer. /bin and its like are
// /usr by another name, and no nearer than it: what is in them is the distribution's.
func Nearness(place string) int {
	if rest, ok := strings.CutPrefix(place, "/usr/"); ok && slices.Contains(tops, "/"+rest) {
		return len("/usr")
	}
	return len(place)
}

func (e explainer) carved() (UserPath, bool) {
	u, depth := e.userDepth()
	return u, depth > 0
}

// userDepth is the nearest user place inside system space, and how near it is.
func (e explainer) userDepth() (best UserPath, depth int) {
	for _, u := range e.p.Spaces.User {
		d, place := 0, merged(u.Path)
		if within(e.path, place) && len(u.Names) == 0 {
			d = len(place)
		} else if within(e.path, place) {
			d = deepestNamed(e.path, place, u.Names)
		}
		if d > depth {
			best, depth = u, d
		}
	}
	return best, depth
}

// deepestNamed is the length of the longest directory of path below top that has one
// of names; 0 where there is none. The last element of path is no directory.
func deepestNamed(at, top string, names []string) int {
	for dir := path.Dir(at); len(dir) > len(top); dir = path.Dir(dir) {
		if slices.Contains(names, path.Base(dir)) {
			return len(dir)
		}
	}
	return 0
}

// depth is how near place is to e.path: the length of the matching path, 0 where e.path
// is not in it. Of a place in home directories it is that of the account's.
func (e explainer) depth(place Place) int {
	deepest := 0
	for _, dir := range e.at(place.String()) {
		if e.path == dir || place.File == "" && within(e.path, dir) {
			deepest = max(deepest, Nearness(dir))
		}
	}
	return deepest
}

// at is where a place of the policy lies.
func (e explainer) at(place string) []string {
	rest, home := strings.CutPrefix(place, "~/")
	if !home {
		return []string{merged(place)}
	}
	var out []string
	for _, h := range e.homes() {
		out = append(out, path.Join(h, rest))
	}
	return out
}

func (e explainer) homes() []string {
	if e.q.Homes != nil {
		return e.q.Homes
	}
	out := []string{"/root"}
	if name, _, _ := strings.Cut(strings.TrimPrefix(e.path, "/home/"), "/"); strings.HasPrefix(e.path, "/home/") && name != "" {
		out = append(out, "/home/"+name)
	}
	return out
}

func (e explainer) hits(targets []string) bool {
	return slices.ContainsFunc(targets, func(t string) bool {
		return slices.ContainsFunc(e.at(t), func(dir string) bool { return within(e.path, dir) })
	})
}

// liveGrants are the grants of the asking lineage that have not ended.
func (e explainer) liveGrants() []Grant {
	return slices.DeleteFunc(slices.Clone(e.p.Grants), func(g Grant) bool { return !e.is(g.To) || !e.q.At.Before(g.Expires) })
}

func (e explainer) isAny(who []Who) bool { return slices.ContainsFunc(who, e.is) }

// is tells whether the asking lineage is w, roles looked up.
func (e explainer) is(w Who) bool {
	if w.Role != "" {
		return slices.ContainsFunc(e.p.Roles, func(r Role) bool { return r.Role == w.Role && slices.ContainsFunc(r.Who, e.isOne) })
	}
	return e.isOne(w)
}

// isOne is is without roles: they do not nest.
func (e explainer) isOne(w Who) bool {
	return w != (Who{}) && w.Role == "" && slices.ContainsFunc(e.q.By, func(by Who) bool { return w.matches(by) })
}

// matches tells whether by, a lineage as it runs, is w, as the policy names it.
func (w Who) matches(by Who) bool {
	if w.Unit != "" && by.Unit != "" {
		name, instance, _ := strings.Cut(by.Unit, "@")
		suffix := path.Ext(instance)
		return w.Unit == by.Unit || instance != "" && w.Unit == name+"@"+suffix
	}
	return merged(w.Program) == merged(by.Program) && w.Unit == by.Unit && w.User == by.User
}

// String tells the verdict in one line.
func (v Verdict) String() string {
	switch {
	case v.Allowed:
		return fmt.Sprintf("allowed (%s, rule %s): %s", v.Control, v.Rule, v.Why)
	case v.Mode == Observe:
		return fmt.Sprintf("would be refused (%s, rule %s; observe mode): %s", v.Control, v.Rule, v.Why)
	}
	return fmt.Sprintf("refused (%s, rule %s): %s", v.Control, v.Rule, v.Why)
}
