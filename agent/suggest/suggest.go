// Package suggest reads what was observed and refused on a host and says which few
// lines of policy would let its real work pass, how often each was needed and how
// risky each is. It is pure: the same events and policy give the same suggestions.
//
// It promises: with the lines of a suggestion added, policy.Explain allows every event
// the suggestion claims; no line names a place that everybody may write to; no line
// lets a service out of containment. What looks like an attack, and what no line could
// express, is not passed over: it comes back with the reason and without lines.
package suggest

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

// Advice is what to do about something that was recorded.
type Advice string

// The advice.
const (
	Add     Advice = "add"     // add the lines, if the work is real
	Refuse  Advice = "refuse"  // do not grant: it looks like an attack
	Unable  Advice = "unable"  // no line of a policy would be right
	Already Advice = "already" // the policy, as it is now, allows it
)

// Risk is what a suggestion gives up.
type Risk string

// The risks; advice without lines has none.
const (
	Low    Risk = "low"
	Medium Risk = "medium"
	High   Risk = "high"
)

// Suggestion is one exception, or one group of events without one.
type Suggestion struct {
	ID     string `json:"id"` // of the rule to add; otherwise the reason and whom it concerns
	Advice Advice `json:"advice"`
	Lines  string `json:"lines,omitempty"` // YAML to add to the policy, in its own sections
	Lets   string `json:"lets,omitempty"`  // what the lines let pass, one clause
	Risk   Risk   `json:"risk,omitempty"`
	Reason string `json:"reason"`            // code of Why, stable
	Why    string `json:"why"`               // of the risk, or of there being no lines
	WayOut string `json:"way_out,omitempty"` // where there are no lines

	Events  int         `json:"events"` // what it stands for, repeats counted
	Actors  int         `json:"actors"` // distinct: unit, program or command with its account
	First   time.Time   `json:"first"`
	Last    time.Time   `json:"last"`
	Example event.Event `json:"example"`

	add    policy.Policy // Lines as values
	sights []*sight      // the events it claims
}

// Host is what is known of the host besides its events.
type Host struct {
	// Accounts are names of accounts by user id: sessions are named by them. Without it
	// nothing is suggested for sessions that only their account would name.
	Accounts map[int]string
}

// From suggests what would let the events pass under p, of a host nothing more is
// known of. p is joined with its base.
func From(events iter.Seq[event.Event], p policy.Policy) []Suggestion { return Host{}.From(events, p) }

// From suggests what would let the events pass under p: first what to add, from low to
// high risk and the most frequent first, then the rest.
func (h Host) From(events iter.Seq[event.Event], p policy.Policy) []Suggestion {
	s := suggester{host: h, p: p, seen: map[sightKey]*sight{}, own: map[string]bool{}, faults: len(p.Validate())}
	for e := range events {
		s.see(e)
	}
	s.judge()
	out := s.prove(s.remedies())
	for _, group := range s.without {
		out = append(out, group.suggestion())
	}
	slices.SortFunc(out, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(order[string(a.Advice)], order[string(b.Advice)]), cmp.Compare(order[string(a.Risk)], order[string(b.Risk)]),
			cmp.Compare(b.Events, a.Events), cmp.Compare(a.ID, b.ID))
	})
	return out
}

var order = map[string]int{string(Add): 0, string(Refuse): 1, string(Unable): 2, string(Already): 3, string(Low): 0, string(Medium): 1, string(High): 2}

// Policy is everything that several suggestions add, as one piece: Over(base) applies
// it, policyfile.Format writes it.
func Policy(list []Suggestion) policy.Policy {
	var all policy.Policy
	for _, s := range list {
		join(&all, s.add)
	}
	return all
}

// Lines is the YAML of everything that several suggestions add, each section once; it
// goes below a policy's own head (version, name, base). It is empty where none adds any.
func Lines(list []Suggestion) string { return policyfile.Format(Policy(list)) }

// join adds the lists of more that suggestions fill.
func join(to *policy.Policy, more policy.Policy) {
	to.Spaces.System = append(to.Spaces.System, more.Spaces.System...)
	to.Spaces.User = append(to.Spaces.User, more.Spaces.User...)
	to.Spaces.Private = append(to.Spaces.Private, more.Spaces.Private...)
	to.Spaces.Data = append(to.Spaces.Data, more.Spaces.Data...)
	to.Containment.Edges = append(to.Containment.Edges, more.Containment.Edges...)
	to.Interpreters.Caches = append(to.Interpreters.Caches, more.Interpreters.Caches...)
	to.Builders = append(to.Builders, more.Builders...)
	to.Grants = append(to.Grants, more.Grants...)
}

// suggester works one list of events through.
type suggester struct {
	host     Host
	p        policy.Policy
	seen     map[sightKey]*sight
	own      map[string]bool // programs that do one job
	newest   time.Time
	written  map[string]bool // what contained processes change, and every directory above it
	launched map[string]bool // directories something launches from
	faults   int             // what is wrong with p before anything is added
	verdict  []judged
	without  map[string]*group // by reason and lineage
}

// judged is a sight with what is to be done about it.
type judged struct {
	*sight
	ruling
}

// group is sights nothing is added for.
type group struct {
	ruling
	id     string
	sights []*sight
}

func (s *suggester) judge() {
	s.without = map[string]*group{}
	s.survey()
	keys := slices.SortedFunc(maps.Keys(s.seen), sightKey.compare)
	for _, k := range keys {
		o := s.seen[k]
		r := s.rule(o)
		if r.remedy != none && r.needsWho() && o.who == (policy.Who{}) {
			r = unable(reasonNobody)
		}
		if r.remedy == none {
			s.leave(o, r)
			continue
		}
		s.verdict = append(s.verdict, judged{o, r})
	}
}

// leave puts a sight among those nothing is added for.
func (s *suggester) leave(o *sight, r ruling) {
	id := r.reason.code + ":" + o.actorName()
	if s.without[id] == nil {
		s.without[id] = &group{ruling: r, id: id}
	}
	s.without[id].sights = append(s.without[id].sights, o)
}

func (g *group) suggestion() Suggestion {
	out := Suggestion{ID: g.id, Advice: g.advice, Reason: g.reason.code, Why: g.reason.why, WayOut: g.reason.wayOut, sights: g.sights}
	out.count()
	return out
}

// count fills in how often and by whom.
func (s *Suggestion) count() {
	actors := map[string]bool{}
	for _, o := range s.sights {
		s.Events += o.events
		actors[o.actor] = true
		if s.First.IsZero() || o.first.Before(s.First) {
			s.First, s.Example = o.first, o.example
		}
		if o.last.After(s.Last) {
			s.Last = o.last
		}
	}
	s.Actors = len(actors)
}

// prove keeps what holds: each suggestion's lines, alone and beside all others, make a
// sound policy and allow what it claims. A claim that does not hold is left without.
func (s *suggester) prove(list []Suggestion) []Suggestion {
	list = s.sound(list)
	for i := range list {
		alone := list[i].add.Over(s.p)
		s.drop(&list[i], func(o *sight) bool { return !alone.Explain(o.q).Allowed })
	}
	for {
		// With fewer suggestions another may be the one that decides.
		list = slices.DeleteFunc(list, func(one Suggestion) bool { return len(one.sights) == 0 })
		all, dropped := Policy(list).Over(s.p), 0
		for i := range list {
			dropped += s.drop(&list[i], func(o *sight) bool { return !all.Explain(o.q).Allowed })
		}
		if dropped == 0 {
			break
		}
	}
	for i := range list {
		list[i].count()
	}
	return list
}

// drop takes back the claims of one that fail, and returns how many.
func (s *suggester) drop(one *Suggestion, fails func(*sight) bool) int {
	before := len(one.sights)
	one.sights = slices.DeleteFunc(one.sights, func(o *sight) bool {
		if !fails(o) {
			return false
		}
		s.leave(o, unable(reasonNoWords))
		return true
	})
	return before - len(one.sights)
}

// sound keeps what may be put into a policy. Most of the time all of it may: a part
// that may not is looked for by halves.
func (s *suggester) sound(list []Suggestion) []Suggestion {
	with := Policy(list).Over(s.p)
	with.Version = s.p.Version // a piece has no head of its own
	if len(list) == 0 || len(with.Validate()) <= s.faults {
		return list
	}
	if len(list) == 1 {
		s.drop(&list[0], func(*sight) bool { return true })
		return nil
	}
	half := len(list) / 2
	return slices.Concat(s.sound(list[:half]), s.sound(list[half:]))
}
