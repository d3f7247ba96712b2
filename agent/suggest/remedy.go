package suggest

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/policy"
)

// batch is sights that one kind of line is for: of one lineage, where the line is.
type batch struct {
	remedy remedy
	who    policy.Who
}

func (b batch) compare(other batch) int {
	return cmp.Or(cmp.Compare(b.remedy, other.remedy), cmp.Compare(b.who.String(), other.who.String()))
}

// remedies turns what was ruled into lines, as few as hold it all.
func (s *suggester) remedies() []Suggestion {
	batches := map[batch][]judged{}
	for _, j := range s.verdict {
		b := batch{remedy: j.remedy}
		if j.needsWho() {
			b.who = j.who
		}
		batches[b] = append(batches[b], j)
	}
	lines := linesByID{}
	for _, b := range slices.SortedFunc(maps.Keys(batches), batch.compare) {
		list := batches[b]
		switch b.remedy {
		case builder:
			s.builder(lines, b.who, list)
		case grant:
			s.grant(lines, b.who, list)
		case edge:
			s.edges(lines, b.who, list)
		default:
			s.places(lines, b, list)
		}
	}
	lines.nest()
	return lines.suggestions()
}

// line is one rule in the making.
type line struct {
	add    policy.Policy
	worst  ruling
	sights []*sight
}

type linesByID map[string]*line

// take adds a rule for list, or joins it with one of the same id.
func (l linesByID) take(rule policy.Policy, list []judged) {
	id := idOf(rule)
	have := l[id]
	if have == nil {
		have = &line{add: rule}
		l[id] = have
	} else {
		unite(&have.add, rule)
	}
	for _, j := range list {
		have.sights = append(have.sights, j.sight)
		if have.worst.remedy == none || order[string(j.risk)] > order[string(have.worst.risk)] {
			have.worst = j.ruling
		}
	}
}

func idOf(p policy.Policy) string { return p.Rules()[0].ID }

// unite gives the one rule in to the lineages of the one rule in from, of the same place.
func unite(to *policy.Policy, from policy.Policy) {
	for i := range to.Spaces.System {
		to.Spaces.System[i].Writers = both(to.Spaces.System[i].Writers, from.Spaces.System[i].Writers)
	}
	for i := range to.Spaces.Private {
		to.Spaces.Private[i].Readers = both(to.Spaces.Private[i].Readers, from.Spaces.Private[i].Readers)
	}
	for i := range to.Spaces.Data {
		to.Spaces.Data[i].Owners = both(to.Spaces.Data[i].Owners, from.Spaces.Data[i].Owners)
	}
	for i := range to.Interpreters.Caches {
		to.Interpreters.Caches[i].To = both(to.Interpreters.Caches[i].To, from.Interpreters.Caches[i].To)
	}
}

func both(a, b []policy.Who) []policy.Who {
	out := slices.Clone(a)
	for _, w := range b {
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	return out
}

// nest gives a place inside another suggested place the exceptions of the outer one:
// the nearer rule decides, and must not take away what the other gives.
func (l linesByID) nest() {
	for _, inner := range l {
		for _, outer := range l {
			a, b := &inner.add, &outer.add
			if len(a.Spaces.Data)*len(b.Spaces.Data) > 0 && inside(a.Spaces.Data[0].Place, b.Spaces.Data[0].Place) {
				a.Spaces.Data[0].Owners = both(a.Spaces.Data[0].Owners, b.Spaces.Data[0].Owners)
			}
			if len(a.Spaces.System)*len(b.Spaces.System) > 0 && inside(a.Spaces.System[0].Place, b.Spaces.System[0].Place) {
				a.Spaces.System[0].Writers = both(a.Spaces.System[0].Writers, b.Spaces.System[0].Writers)
			}
			if len(a.Spaces.Private)*len(b.Spaces.Private) > 0 && inside(a.Spaces.Private[0].Place, b.Spaces.Private[0].Place) {
				a.Spaces.Private[0].Readers = both(a.Spaces.Private[0].Readers, b.Spaces.Private[0].Readers)
			}
		}
	}
}

// inside tells whether a lies in the directory b.
func inside(a, b policy.Place) bool { return b.Path != "" && within(a.String(), b.Path) }

func (l linesByID) suggestions() []Suggestion {
	var out []Suggestion
	for _, id := range slices.Sorted(maps.Keys(l)) {
		one := l[id]
		add := Suggestion{ID: id, Advice: Add, Risk: one.worst.risk, Reason: one.worst.reason.code, Why: one.worst.reason.why, add: one.add, sights: one.sights}
		sortWho(&add.add)
		add.Lines, add.Lets = Lines([]Suggestion{add}), one.add.Rules()[0].Says
		out = append(out, add)
	}
	return out
}

// sortWho puts lineages in an order that does not depend on the order of events.
func sortWho(p *policy.Policy) {
	by := func(a, b policy.Who) int { return cmp.Compare(a.String(), b.String()) }
	for i := range p.Spaces.System {
		slices.SortFunc(p.Spaces.System[i].Writers, by)
	}
	for i := range p.Spaces.Private {
		slices.SortFunc(p.Spaces.Private[i].Readers, by)
	}
	for i := range p.Spaces.Data {
		slices.SortFunc(p.Spaces.Data[i].Owners, by)
	}
}

// seen says when and how often, for the `why` of a rule.
func seen(list []judged) string {
	n, first, last := 0, list[0].first, list[0].last
	for _, j := range list {
		n += j.events
		if j.first.Before(first) {
			first = j.first
		}
		if j.last.After(last) {
			last = j.last
		}
	}
	times := fmt.Sprintf("%d times", n)
	if n == 1 {
		times = "once"
	}
	from, to := first.UTC().Format(time.DateOnly), last.UTC().Format(time.DateOnly)
	if from == to {
		return "suggested, seen " + times + " on " + from
	}
	return "suggested, seen " + times + " from " + from + " to " + to
}

func sightsOf(list []judged) []*sight {
	out := make([]*sight, len(list))
	for i, j := range list {
		out[i] = j.sight
	}
	return out
}

// only is the part of list that is in sights.
func only(list []judged, sights []*sight) []judged {
	if len(sights) == len(list) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(j judged) bool { return !slices.Contains(sights, j.sight) })
}

// builder lets who launch what it built: in the directories seen, or, where it builds
// below a shared directory, wherever it built it. The kernel knows what it built.
func (s *suggester) builder(lines linesByID, who policy.Who, list []judged) {
	b := policy.Builder{Who: who, Why: seen(list)}
	if !slices.ContainsFunc(list, func(j judged) bool { return everybodys(j.q.Path) }) {
		spots := covering{dirs: true}.cover(sightsOf(list))
		if list = s.unnamed(list, spots); len(list) == 0 {
			return // no output at all would mean all of user space
		}
		for _, spot := range spots {
			b.Output = append(b.Output, spot.at)
		}
		slices.Sort(b.Output)
	}
	lines.take(filled(policy.Policy{Builders: []policy.Builder{b}}), list)
}

// longest is how long a suggested grant lasts where the policy names no longest time.
const longest = 30 * 24 * time.Hour

// grant lets who launch from places in a home, until some weeks after the last event.
func (s *suggester) grant(lines linesByID, who policy.Who, list []judged) {
	spots := covering{}.cover(sightsOf(list))
	if list = s.unnamed(list, spots); len(list) == 0 {
		return
	}
	length := longest
	if most := s.p.Self.LongestGrant.Time(); most > 0 {
		length = min(length, most)
	}
	name := who.Unit + who.User + who.Program
	g := policy.Grant{ID: "suggested:" + name, To: who, Expires: s.newest.Add(length).UTC().Truncate(time.Second), Reason: seen(list), Owner: "put your name here"}
	for _, spot := range spots {
		g.Launch = append(g.Launch, spot.at)
	}
	slices.Sort(g.Launch)
	lines.take(filled(policy.Policy{Grants: []policy.Grant{g}}), list)
}

// edges names each helper who starts. A shell is no helper of its own where it only
// stands between the service and helpers.
func (s *suggester) edges(lines linesByID, who policy.Who, list []judged) {
	byFile := map[string][]judged{}
	var shells []judged
	behind := false // a helper was started by a shell
	for _, j := range list {
		if slices.Contains(policy.Shells(), path.Base(j.q.Path)) && !j.q.Setuid {
			shells = append(shells, j)
			continue
		}
		behind = behind || byShell(j)
		byFile[j.q.Path] = append(byFile[j.q.Path], j)
	}
	if !behind {
		for _, j := range shells {
			byFile[j.q.Path] = append(byFile[j.q.Path], j)
		}
		shells = nil
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		helper := byFile[file]
		e := policy.Edge{From: who, To: file, Why: seen(helper)}
		e.Setuid = slices.ContainsFunc(helper, func(j judged) bool { return j.q.Setuid })
		if e.Shell = slices.ContainsFunc(helper, byShell); e.Shell {
			helper, shells = append(helper, shells...), nil
		}
		lines.take(filled(policy.Policy{Containment: policy.Containment{Edges: []policy.Edge{e}}}), helper)
	}
}

func byShell(j judged) bool {
	return slices.Contains(policy.Shells(), j.example.Actor.ParentIs) || slices.Contains(policy.Shells(), j.example.Actor.Comm)
}

// places names the places of a batch.
func (s *suggester) places(lines linesByID, b batch, list []judged) {
	c := covering{dirs: b.remedy == userPlace || b.remedy == dataPlace || b.remedy == cache}
	if b.remedy == systemPlace {
		c.fit = s.launchable
	}
	spots := c.cover(sightsOf(list))
	list = s.unnamed(list, spots)
	for _, spot := range spots {
		here := only(list, spot.sights)
		place := policy.Place{File: spot.at}
		if spot.dir {
			place = policy.Place{Path: spot.at}
		}
		if !spot.dir && (b.remedy == userPlace || b.remedy == cache) {
			for _, o := range spot.sights {
				s.leave(o, unable(reasonNoWords)) // these name directories only
			}
			continue
		}
		lines.take(filled(s.place(b, place, here)), here)
	}
}

// unnamed leaves what no place could be written for, and returns the rest.
func (s *suggester) unnamed(list []judged, spots []spot) (rest []judged) {
	named := map[*sight]bool{}
	for _, spot := range spots {
		for _, o := range spot.sights {
			named[o] = true
		}
	}
	for _, j := range list {
		if named[j.sight] {
			rest = append(rest, j)
		} else {
			s.leave(j.sight, unable(reasonName))
		}
	}
	return rest
}

// place is one place. What held there before holds in it as well: only the exception
// is new.
func (s *suggester) place(b batch, at policy.Place, list []judged) (out policy.Policy) {
	why := seen(list)
	rule := s.p.Explain(list[0].q).Rule
	switch b.remedy {
	case systemPlace:
		out.Spaces.System = []policy.SystemPath{{Place: at, Seal: policy.Config, Why: why}}
	case writerPlace:
		around, _ := byID(s.p.Spaces.System, rule)
		out.Spaces.System = []policy.SystemPath{{Place: at, Seal: around.Seal, Writers: both(around.Writers, []policy.Who{b.who}), Why: why}}
	case userPlace:
		out.Spaces.User = []policy.UserPath{{Path: at.Path, Why: why}}
	case dataPlace:
		around, _ := byID(s.p.Spaces.Data, rule)
		out.Spaces.Data = []policy.DataPath{{Place: at, Owners: both(around.Owners, []policy.Who{b.who}), ByAccount: around.ByAccount, Why: why}}
	case readerPlace:
		around, _ := byID(s.p.Spaces.Private, rule)
		out.Spaces.Private = []policy.PrivatePath{{Place: at, Readers: both(around.Readers, []policy.Who{b.who}), Why: strings.TrimSpace(around.Why + "; " + why)}}
	case cache:
		libraries := slices.ContainsFunc(list, func(j judged) bool { return j.op == "library" })
		out.Interpreters.Caches = []policy.Cache{{Path: at.Path, To: []policy.Who{b.who}, Libraries: libraries, Why: why}}
	}
	return out
}

func filled(p policy.Policy) policy.Policy {
	p.Fill()
	return p
}
