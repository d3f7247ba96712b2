package triage

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Engine judges hosts. It keeps what it has matched, so that the second host with
// the same package version costs next to nothing; make a new one when the records
// change. It is not safe for use by several goroutines.
type Engine struct {
	table *Table
	now   time.Time
	shelf *shelf
	units map[string]*unit
	// loaded are the ecosystems the records hold statements about.
	loaded map[string]bool
	// protections numbers the distinct protections met, by the sum of their text: short
	// keys for situations.
	protections map[[sha256.Size]byte]int
	// lone are the groups of the last host judged, where it was the first with its protection.
	lone []place
	// hosts counts the hosts judged: see described.
	hosts   uint32
	scratch scratch
}

// scratch is memory used again for every host.
type scratch struct {
	key   []byte
	units unitList
	known []*unit
}

// NewEngine makes an engine over records. table is the decision table; now is the
// time the verdicts are given at.
func NewEngine(ctx context.Context, records Records, table *Table, now time.Time) (*Engine, error) {
	loaded, err := records.Ecosystems(ctx)
	if err != nil {
		return nil, fmt.Errorf("triage: %w", err)
	}
	return &Engine{table: table, now: now, shelf: newShelf(records), units: map[string]*unit{}, loaded: loaded,
		protections: map[[sha256.Size]byte]int{}}, nil
}

// Verdict is what the engine says of one host. Findings are shared between hosts in
// the same situation and must not be changed; they carry no dates of their own.
type Verdict struct {
	Findings  []*Finding
	NotJudged []NotJudged
	Totals    Totals
}

// group are the findings of one unit in one situation, with what they add up to.
type group struct {
	findings []*Finding
	about    []*described // by finding
	tally    tally
}

// situation is everything about a host that bears on a decision: two hosts in the
// same situation share their findings.
type situation struct {
	exposure   exposure
	role       kernelRole
	state      string
	against    *unit  // what a restart or reboot would bring into force
	process    string // processes that have to be restarted
	importance string
	protection int    // which host.Protection, as Engine.protections numbers them
	running    string // systemd units that run the component, space-separated
	loose      bool   // processes outside every unit run it too
}

// Judge gives the verdict on one host under a protection.
func (e *Engine) Judge(ctx context.Context, inv *host.Inventory, p host.Protection) (Verdict, error) {
	e.hosts++
	j := &judging{engine: e, inv: inv, protection: p}
	if err := j.run(ctx); err != nil {
		return Verdict{}, err
	}
	return j.verdict, nil
}

// forget drops what was kept for a protection that only one host had: a drill gives
// every host proofs of its own, and a fleet must not grow by what nobody shares.
func (e *Engine) forget(protected int) {
	if len(e.lone) > 0 && e.lone[0].in.protection != protected {
		for _, l := range e.lone {
			delete(l.unit.groups, l.in)
		}
	}
	e.lone = e.lone[:0]
}

// place is where a group is kept.
type place struct {
	unit *unit
	in   situation
}

// number gives equal protections one number, and tells whether it was met before or is
// that of hosts without a guard.
func (e *Engine) number(p host.Protection) (n int, shared bool, err error) {
	if rails := (GuardInputs{Reported: p.Reported, Now: e.now}); !rails.stale() {
		p.Reported = e.now // every host reports at a moment of its own; only staleness is said
	}
	text, err := json.Marshal(p)
	if err != nil {
		return 0, false, err
	}
	sum := sha256.Sum256(text)
	n, met := e.protections[sum]
	if !met {
		n = len(e.protections)
		e.protections[sum] = n
	}
	return n, met || len(p.Controls) == 0, nil
}

// judging is the work on one host.
type judging struct {
	engine     *Engine
	inv        *host.Inventory
	protection host.Protection
	protected  int  // number of protection
	shared     bool // another host had the same before
	reach      reach
	verdict    Verdict
	tally      tally
}

func (j *judging) run(ctx context.Context) error {
	var err error
	if j.protected, j.shared, err = j.engine.number(j.protection); err != nil {
		return fmt.Errorf("triage: protection of %s: %w", j.inv.Host.Name, err)
	}
	j.engine.forget(j.protected)
	j.reach = reachOf(j.inv)
	ecosystems := Ecosystems(j.inv.Host.OS)
	j.coverageOfFeeds(ecosystems)
	units := j.engine.scratch.units.of(ecosystems, j.inv.Packages)
	j.tally.sources = len(units)
	j.unnamed(units)
	stale := j.restarts(units)
	units = append(units, moduleUnits(ecosystems, j.inv.Packages)...)
	roles := kernelRoles(units, j.inv.Kernel)
	if booted := bootedUnit(units, j.inv.Kernel); booted != nil {
		units, roles = append(units, *booted), append(roles, runningKernel)
	}
	match := func(fresh []*unit) error { return j.engine.shelf.matchAll(ctx, fresh) }
	known, err := j.engine.resolve(ctx, j.engine.scratch.known[:0], units, match)
	if err != nil {
		return err
	}
	j.engine.scratch.known = known
	j.judgeUnits(known, roles)
	old, err := j.engine.resolve(ctx, nil, unitsIn(stale), match)
	if err != nil {
		return err
	}
	j.judgeRestarts(stale, old, known)
	if err := j.judgeWindows(ctx); err != nil {
		return err
	}
	j.verdict.Totals = j.tally.totals(j.packages(), len(j.verdict.NotJudged))
	return nil
}

// resolve appends every unit to out, from among those known, or has it matched: match
// fills the hits of units nobody has asked for yet.
func (e *Engine) resolve(ctx context.Context, out []*unit, units []unit, match func(fresh []*unit) error) ([]*unit, error) {
	var fresh []*unit
	var keys []string
	for i := range units {
		key := units[i].appendKey(e.scratch.key[:0])
		e.scratch.key = key
		u := e.units[string(key)]
		if u == nil {
			u = new(unit)
			*u = units[i]
			u.binaries = slices.Clone(u.binaries)
			u.packages = u.names()
			u.groups = map[situation]*group{}
			e.units[string(key)] = u
			fresh, keys = append(fresh, u), append(keys, string(key))
		}
		out = append(out, u)
	}
	if len(fresh) == 0 {
		return out, nil
	}
	err := match(fresh)
	if err == nil {
		err = e.shelf.describe(ctx, fresh)
	}
	if err != nil {
		for _, key := range keys { // half known is not known: the next host asks again
			delete(e.units, key)
		}
		return nil, err
	}
	return out, nil
}

// judgeUnits adds the findings of every unit that is code on this host.
func (j *judging) judgeUnits(known []*unit, roles []kernelRole) {
	next := slices.Index(roles, bootNext)
	hits := 0
	for _, u := range known {
		hits += len(u.hits)
	}
	j.verdict.Findings = make([]*Finding, 0, hits)
	for i, u := range known {
		switch roles[i] {
		case bootNext, otherImage:
			continue
		case runningKernel:
			j.judgeKernel(u, next, known)
		default:
			j.add(u, u.hits, j.situation(u, roles[i]))
		}
		j.verdict.NotJudged = append(j.verdict.NotJudged, u.problem...)
	}
	j.unpackagedKernel(roles)
}

// judgeKernel adds the findings of the running kernel; those a reboot into the
// installed newer kernel would end say so.
func (j *judging) judgeKernel(u *unit, next int, known []*unit) {
	s := j.situation(u, runningKernel)
	if next < 0 {
		j.add(u, u.hits, s)
		return
	}
	s.against = known[next] // what is left depends on what would be booted
	left, gone := partition(u.hits, s.against.hits)
	j.add(u, left, s)
	s.state = RebootNeeded
	j.add(u, gone, s)
}

// partition splits hits by whether the other unit has them too.
func partition(hits, other []hit) (both, only []hit) {
	for _, h := range hits {
		_, found := slices.BinarySearchFunc(other, h.id, func(o hit, id string) int { return strings.Compare(o.id, id) })
		if found {
			both = append(both, h)
		} else {
			only = append(only, h)
		}
	}
	return both, only
}

// unpackagedKernel says when the running kernel belongs to no package: its
// vulnerabilities are then unknown, not absent.
func (j *judging) unpackagedKernel(roles []kernelRole) {
	k := j.inv.Kernel
	if k.Running == "" || slices.Contains(roles, runningKernel) || j.inv.Windows != nil {
		return
	}
	j.skip("kernel", k.Running, CodeSkipKernel, k.Running)
}

// situation describes how u stands on this host.
func (j *judging) situation(u *unit, role kernelRole) situation {
	s := situation{role: role, importance: j.inv.Host.Importance, protection: j.protected}
	switch role {
	case runningKernel:
		s.exposure = j.reach.host
	case kernelParts:
		s.exposure = exposure{level: Small}
	default:
		s.exposure = j.reach.of(u)
		if len(j.protection.Contained) > 0 {
			s.running, s.loose = strings.Join(j.reach.running(u), " "), j.reach.outside(u)
		}
	}
	return s
}

// add appends the findings of hits, which are u.hits or a part of them.
func (j *judging) add(u *unit, hits []hit, s situation) {
	if len(hits) == 0 {
		return
	}
	g := u.groups[s]
	if g == nil {
		g = &group{findings: make([]*Finding, len(hits)), about: make([]*described, len(hits))}
		for i := range hits {
			g.findings[i], g.about[i] = j.engine.judge(u, &hits[i], s, j.protection), hits[i].described
			g.tally.count(g.findings[i])
		}
		if s.process == "" { // process ids are this host's own
			u.groups[s] = g
			if !j.shared {
				j.engine.lone = append(j.engine.lone, place{u, s})
			}
		}
	}
	j.verdict.Findings = append(j.verdict.Findings, g.findings...)
	j.tally.add(&g.tally)
	for _, d := range g.about {
		if d.host != j.engine.hosts {
			d.host = j.engine.hosts
			j.tally.vulnerabilities++
		}
	}
}

func (j *judging) skip(what, version, code string, args ...string) {
	j.verdict.NotJudged = append(j.verdict.NotJudged, NotJudged{What: what, Version: version,
		Reason: Reason{Step: "match", Code: code, Args: args}})
}

// coverageOfFeeds says when no record could have matched: an unknown system, or one
// whose feed is not loaded.
func (j *judging) coverageOfFeeds(ecosystems []string) {
	os := j.inv.Host.OS
	switch {
	case j.inv.Windows != nil:
	case len(j.inv.Packages) == 0:
	case len(ecosystems) == 0:
		j.skip("os", os.VersionID, CodeSkipSystem, cmp.Or(os.Name, os.ID, "?"))
	default:
		for _, eco := range ecosystems {
			if !j.engine.loaded[eco] {
				j.skip("os", os.VersionID, CodeSkipFeed, eco)
			}
		}
		if end, ok := EndOfLife(os); ok && !j.engine.now.Before(end) {
			j.skip("os", os.VersionID, CodeSkipEnded, cmp.Or(os.Name, os.ID), end.Format(time.DateOnly))
		}
	}
	for _, u := range j.inv.Unread {
		j.skip(u.What, "", CodeSkipUnread, unreadArgs(u)...)
	}
}

// unreadArgs are the arguments of CodeSkipUnread.
func unreadArgs(u host.Unread) []string {
	args := []string{u.What, u.Why}
	if u.Code == "" {
		return args
	}
	return append(append(args, u.Code), u.Args...)
}

// Scan gives the verdict on one host with its dates, most urgent first. first is when
// the host was first seen: no deadline is counted from before.
func (e *Engine) Scan(ctx context.Context, inv *host.Inventory, p host.Protection, first time.Time) (Scan, error) {
	v, err := e.Judge(ctx, inv, p)
	if err != nil {
		return Scan{}, err
	}
	s := Scan{Host: inv.Host, At: e.now, Findings: make([]Finding, len(v.Findings)), NotJudged: v.NotJudged, Totals: v.Totals, Protection: p}
	slices.SortStableFunc(v.Findings, compareFindings)
	for i, f := range v.Findings {
		s.Findings[i] = e.dated(*f, first)
	}
	if s.NotJudged == nil {
		s.NotJudged = []NotJudged{}
	}
	return s, nil
}

// dated fills in when a finding was first seen and when it is due. The clock of a
// finding starts when the store first knew the vulnerability, or the host, whichever
// came later. An entry in KEV starts the clock of known exploitation, unless the one
// that was running ends before.
func (e *Engine) dated(f Finding, first time.Time) Finding {
	f.FirstSeen = first
	d := e.shelf.digests[f.ID]
	if d == nil {
		return f
	}
	if d.Known.After(f.FirstSeen) {
		f.FirstSeen = d.Known
	}
	if f.window == nil {
		return f
	}
	due := f.FirstSeen.Add(*f.window)
	if d.KEV != nil && d.KEV.Added.After(f.FirstSeen) {
		due = d.KEV.Added.Add(*f.window)
		if f.earlier != nil && f.FirstSeen.Add(*f.earlier).Before(due) {
			due = f.FirstSeen.Add(*f.earlier)
		}
	}
	f.Deadline = &due
	return f
}
