// Package drill holds harmless attack steps that show, on a live host, that the guard
// refuses what it says it refuses. A step is done by a process that was made for it,
// touches only what the drill made itself or what it leaves as it was, and is judged by
// two witnesses: the error it met, and the event the guard told of that very process. An
// error alone proves nothing. It promises that a step which comes off changes nothing
// beyond the drill's own things, but for the few that say so (Step.Effect), which are
// not done where the guard would let them; and that Clear leaves nothing behind.
package drill

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Comm is the name of the processes that do the steps: every event of theirs shows it,
// until they become another program.
const Comm = "kannuki-drill"

// Step is one harmless attack, which the guard is expected to refuse.
type Step struct {
	Name      string         // "launch-program": what it proves, and how
	Technique string         // of ATT&CK: "T1105"
	Control   host.Control   // what refuses it
	Op        string         // event.Event.Op of the refusal
	Surface   policy.Surface // of the kernel, where it asks for one
	Does      string         // what it does, in English: "starts a program …"

	// Everybody: a process that is not contained does it. The guard refuses it to
	// administrators too.
	Everybody bool
	// Effect: if it came off, something would be there that was not, however small and
	// short: an empty directory, a module that was loaded for a socket.
	Effect bool

	makes kind                                             // its own file in Scene.Scratch or Scene.System
	aim   func(s Scene, own string) (target string, _ Why) // nil: its own file, or nothing
	do    func(o Order) error
	past  []error // what it meets where nobody refuses: it has come off
}

// kind is what the drill makes for a step.
type kind int

const (
	nothing kind = iota
	program      // in user space: a program that ends at once
	script       // in user space: a shell's
	text         // in user space: a few bytes
	sealed       // in system space: a few bytes
	room         // in user space: an empty directory
)

// Why says, by a code and what fills its sentence, why a step was not done or proves
// nothing. The zero value is no reason.
type Why struct {
	Code string   `json:"code"`
	Args []string `json:"args,omitempty"`
}

// Codes of Why.
const (
	NotHere    = "not-here"     // the host or kernel has nothing of the kind: what
	Observes   = "observes"     // the control only observes, and the step would have an effect
	NotInForce = "not-in-force" // nothing of the control is in force
	Allowed    = "allowed"      // the policy does not refuse it: rule
	GapHere    = "gap"          // the guard says itself that it cannot refuse it here: why
	Otherwise  = "otherwise"    // something else refuses it before the guard is asked: what
	NoEvent    = "no-event"     // refused, and the guard told nothing: error
	OtherEvent = "other-event"  // refused by the guard for another reason: its control, operation and rule
	NotRefused = "not-refused"  // it came off
	OnlyTold   = "only-told"    // it came off, and the guard recorded it
	Failed     = "failed"       // it ended otherwise: error
)

// Sentences are the codes in English; {0}, {1} … are the arguments.
var sentences = map[string]string{
	NotHere:    "there is no {0} on this host",
	Observes:   "the control only observes, and the step would leave something",
	NotInForce: "nothing of the control is in force",
	Allowed:    "the policy in force does not refuse it ({0})",
	GapHere:    "the guard cannot refuse it here: {0}",
	Otherwise:  "it is refused before the guard is asked: {0}",
	NoEvent:    "it met \"{0}\", and the guard told nothing: something else refused it",
	OtherEvent: "the guard refused it as something else: {0}, {1}, rule {2}",
	NotRefused: "it was not refused",
	OnlyTold:   "it was recorded and not refused: the control observes",
	Failed:     "it could not be tried: {0}",
}

// Sentence is the code in English, with its placeholders; "" for one that is unknown.
func Sentence(code string) string { return sentences[code] }

// String is the reason as an English sentence.
func (w Why) String() string {
	text := sentences[w.Code]
	for i, arg := range w.Args {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(i)+"}", arg)
	}
	return text
}

func why(code string, args ...string) Why { return Why{code, args} }

// Order is one step for a process that does it.
type Order struct {
	Step   string `json:"step"`
	Target string `json:"target,omitempty"` // the file, directory or socket it is about
	Scene  Scene  `json:"scene"`
	// Orphan: the process is one that was left by its parent, and goes on by itself.
	Orphan int `json:"orphan,omitempty"` // the parent that has to be gone
}

// Went is how a step went for the process that did it.
type Went string

// How a step can go.
const (
	WentRefused Went = "refused"  // not permitted
	WentThrough Went = "came-off" // done, or refused for want of what only comes after
	WentAbsent  Went = "absent"   // there is nothing of the kind
	WentWrong   Went = "failed"   // some other error
)

// Attempt is a step that was done, as its process tells it.
type Attempt struct {
	Step  string `json:"step"`
	PID   int    `json:"pid"`
	Went  Went   `json:"went"`
	Error string `json:"error,omitempty"`
}

// Verdict is what a step has shown.
type Verdict string

// The verdicts. Only Refused proves anything, and Skipped speaks for nothing.
const (
	Refused  Verdict = "refused"  // by the guard: it said so itself
	CameOff  Verdict = "came-off" // not refused
	Observed Verdict = "observed" // recorded, not refused
	Unproven Verdict = "unproven" // not done, and not by the guard
	Skipped  Verdict = "skipped"
)

// Outcome is a step with what it has shown.
type Outcome struct {
	Step      string       `json:"step"`
	Technique string       `json:"technique"`
	Control   host.Control `json:"control"`
	Does      string       `json:"does"`
	By        string       `json:"by"`       // "contained" or "anyone": who did it
	Expected  Verdict      `json:"expected"` // Refused, always
	Verdict   Verdict      `json:"verdict,omitempty"`
	Target    string       `json:"target,omitempty"`
	Error     string       `json:"error,omitempty"` // what the step met
	Why       *Why         `json:"why,omitempty"`
	Reason    string       `json:"reason,omitempty"` // Why as a sentence
	Event     *event.Event `json:"event,omitempty"`  // what the guard told of it
}

// Proven tells whether the outcomes of one control prove it: at least one step was
// refused by the guard, and none that was done ended otherwise. steps counts the
// refused ones, done those that say anything.
func Proven(c host.Control, all []Outcome) (proven bool, steps, done int) {
	for _, o := range all {
		if o.Control != c || o.Verdict == Skipped {
			continue
		}
		done++
		if o.Verdict == Refused {
			steps++
		}
	}
	return steps > 0 && steps == done, steps, done
}

// Steps are all steps, those of one control beside each other.
func Steps() []Step {
	return slices.Concat(launching, writing, reading, reaching, running, containing, kernel, guarding)
}

// Find is the step of that name.
func Find(name string) (Step, bool) {
	all := Steps()
	i := slices.IndexFunc(all, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return Step{}, false
	}
	return all[i], true
}

// By is who does the step, in the policy's word.
func (s Step) By() policy.As {
	if s.Everybody {
		return policy.AsAnyone
	}
	return policy.AsContained
}

// Outcome is the step without a verdict yet.
func (s Step) Outcome(target string) Outcome {
	return Outcome{Step: s.Name, Technique: s.Technique, Control: s.Control, Does: s.Does, By: string(s.By()), Expected: Refused, Target: target}
}

// Skip is the step, not done for this reason.
func (s Step) Skip(target string, w Why) Outcome { return s.Outcome(target).because(Skipped, w) }

func (o Outcome) because(v Verdict, w Why) Outcome {
	o.Verdict, o.Why, o.Reason = v, &w, w.String()
	return o
}

// Judge says what an attempt has shown. told are the guard's events of the processes
// that did it, rule the one that has to have decided; "" for any. Neither witness is
// believed alone.
func (s Step) Judge(a Attempt, target, rule string, told []event.Event) Outcome {
	o := s.Outcome(target)
	o.Error = a.Error
	expected, other := s.among(a, rule, told)
	if expected != nil {
		o.Event = expected
	}
	switch {
	case a.Went == WentThrough && expected != nil && expected.Kind == event.Observed:
		return o.because(Observed, why(OnlyTold))
	case a.Went == WentThrough:
		return o.because(CameOff, why(NotRefused))
	case expected != nil && expected.Kind == event.Refused && a.Went == WentRefused:
		o.Verdict = Refused
		return o
	case a.Went == WentAbsent:
		return o.because(Skipped, why(NotHere, a.Error))
	case a.Went == WentRefused && other != nil:
		o.Event = other
		return o.because(Unproven, why(OtherEvent, other.Control, other.Op, other.Rule))
	case a.Went == WentRefused:
		return o.because(Unproven, why(NoEvent, a.Error))
	}
	return o.because(Unproven, why(Failed, a.Error))
}

// among finds the event that the step is expected to bring about, and another refusal of
// the same process where there is none.
func (s Step) among(a Attempt, rule string, told []event.Event) (expected, other *event.Event) {
	for i := range told {
		e := &told[i]
		if e.Kind == event.Note || e.Actor.PID != a.PID {
			continue
		}
		fits := e.Op == s.Op && e.Control == string(s.Control) && e.Actor.Contained == !s.Everybody && (rule == "" || e.Rule == rule)
		switch {
		case fits && (expected == nil || e.Kind == event.Refused):
			expected = e
		case !fits && e.Kind == event.Refused:
			other = e
		}
	}
	return expected, other
}
