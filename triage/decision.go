package triage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/vuln"
)

// Action is a decision: when to patch. Values are stored and printed; they never change.
type Action string

// The four actions of SSVC's deployer table, least urgent first.
const (
	Defer      Action = "defer"
	Scheduled  Action = "scheduled"
	OutOfCycle Action = "out-of-cycle"
	Immediate  Action = "immediate"
)

// The timelines of CISA BOD 26-04, least urgent first.
const (
	OnUpgrade     Action = "on-upgrade"
	Days60        Action = "60-days"
	Days14        Action = "14-days"
	Days3         Action = "3-days"
	Days3Forensic Action = "3-days-forensics"
)

// urgencies ranks the actions of both tables by the clock they set.
var urgencies = map[Action]int{
	Defer: 0, OnUpgrade: 0, Scheduled: 1, Days60: 1, OutOfCycle: 2, Days14: 2, Immediate: 3, Days3: 3, Days3Forensic: 4,
}

// Urgency ranks actions of any table on one scale, 0 the least urgent: those that
// set the same clock are equal. An action no table has is -1.
func Urgency(a Action) int {
	if u, ok := urgencies[a]; ok {
		return u
	}
	return -1
}

// ParseAction reads an action of either table; the error suggests the nearest word.
func ParseAction(s string) (Action, error) {
	if _, ok := urgencies[Action(s)]; ok {
		return Action(s), nil
	}
	words := make([]string, 0, len(urgencies))
	for a := range urgencies {
		words = append(words, string(a))
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(urgencies[Action(a)], urgencies[Action(b)]), cmp.Compare(a, b))
	})
	return "", fmt.Errorf("%q is no decision: did you mean %q? (one of %s)", s, nearest.Word(s, words), strings.Join(words, ", "))
}

// Less orders findings for whoever has to work through them: urgency, known and
// active exploitation, exposure, and only then the EPSS prediction and the score.
func Less(a, b *Finding) bool { return compareFindings(a, b) < 0 }

func compareFindings(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(Urgency(b.Decision), Urgency(a.Decision)),
		compareBool(b.KEV, a.KEV),
		cmp.Compare(exploitationRank(b.Exploitation), exploitationRank(a.Exploitation)),
		cmp.Compare(slices.Index(exposureOrder, b.Exposure), slices.Index(exposureOrder, a.Exposure)),
		cmp.Compare(b.EPSS, a.EPSS),
		cmp.Compare(b.Score, a.Score),
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.SourcePackage, b.SourcePackage),
		cmp.Compare(a.SourceVersion, b.SourceVersion),
	)
}

func exploitationRank(level string) int {
	return slices.Index([]string{NotExploited, PoC, Active}, level)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Inputs are what a decision is made from. "" is unknown: the table says which
// value is taken then, and the decision says that it was.
type Inputs struct {
	Exploitation string // NotExploited, PoC, Active
	Exposure     string // Small, Controlled, Open
	Automatable  string // "no", "yes"
	Impact       string // technical impact: "partial", "total"
	HumanImpact  string // the host's importance: "low", "medium", "high", "very-high"
	KEV          bool   // in CISA's catalogue, which is evidence of active exploitation
}

// input is the value of one table input, "" when unknown.
func (in Inputs) input(name string) string {
	switch name {
	case "exploitation":
		if in.KEV {
			return Active
		}
		return in.Exploitation
	case "exposure":
		return in.Exposure
	case "automatable":
		return in.Automatable
	case "human-impact":
		return in.HumanImpact
	case "technical-impact":
		return in.Impact
	case "kev":
		return yesNo(in.KEV)
	case "exposed":
		if in.Exposure == "" {
			return ""
		}
		return yesNo(in.Exposure == Open)
	}
	return ""
}

// inputNames are the inputs a table may ask for.
var inputNames = []string{"exploitation", "exposure", "automatable", "human-impact", "technical-impact", "kev", "exposed"}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// Decision is the row of a table that held, and what coverage made of it.
type Decision struct {
	Action Action
	Table  string // Table.Name
	Row    string // "exploitation=active, exposure=open, automatable=yes, human-impact=high"
	// Window is how long there is from the first sight of the finding; nil: no clock,
	// with the regular upgrade.
	Window *time.Duration
	// Forensics asks to look for traces of an attack. Coverage never takes it away.
	Forensics bool
	// Unguarded is the action without the guard; set by Guarded.
	Unguarded Action
	Reasons   []Reason
}

// Decide looks up the row that holds for in. Every input that is unknown, or no
// word of the table, takes the table's cautious value and is a reason.
func (t *Table) Decide(in Inputs) Decision {
	d := Decision{Table: t.Name}
	row, row2 := 0, make([]string, len(t.Inputs))
	for i, input := range t.Inputs {
		word := in.input(input.Name)
		at := slices.Index(input.Values, word)
		switch {
		case at >= 0:
		case word == "":
			d.Reasons = append(d.Reasons, Reason{Step: "decision", Code: CodeInputUnknown, Args: []string{input.Name, input.Unknown}})
		default:
			d.Reasons = append(d.Reasons, Reason{Step: "decision", Code: CodeInputWord, Args: []string{input.Name, word, input.Unknown}})
		}
		if at < 0 {
			at = slices.Index(input.Values, input.Unknown)
		}
		row = row*len(input.Values) + at
		row2[i] = input.Name + "=" + input.Values[at]
	}
	d.Row = strings.Join(row2, ", ")
	d.set(t, t.cells[row])
	d.Unguarded = d.Action
	d.Reasons = append(d.Reasons, Reason{Step: "decision", Code: CodeDecisionRow, Args: []string{t.Name, d.Row, string(d.Action)}})
	return d
}

// set makes the action at place of the table's ladder the decision.
func (d *Decision) set(t *Table, place int) {
	c := &t.Actions[place]
	d.Action, d.Window = c.Action, c.window()
	d.Forensics = d.Forensics || c.Forensics
}

// DefaultReportingInterval is how old an agent's report may be before the protection
// behind a decision no longer counts.
const DefaultReportingInterval = 15 * time.Minute

// GuardInputs are what the guard-rails look at.
type GuardInputs struct {
	Inputs
	Typings  []vuln.Typing
	Reported time.Time     // host.Protection.Reported
	Now      time.Time     //
	Interval time.Duration // how long a report counts; 0 is DefaultReportingInterval
}

// Guarded moves d by the coverage, within the guard-rails of TRIAGE.md section 4,
// and returns it with what was said on the way; d itself stays as it was. It never
// drops a finding and never takes forensics away.
func (t *Table) Guarded(d Decision, cov Coverage, in GuardInputs) (Decision, []Reason) {
	var said []Reason
	say := func(code string, args ...string) {
		said = append(said, Reason{Step: "decision", Code: code, Args: args})
	}
	d.Reasons = slices.Clip(d.Reasons)
	from := t.place(d.Action)
	floor := from
	if p := t.place(t.Floor); in.input("exploitation") == Active && t.rung(p) > t.rung(from) {
		floor = p
	}
	d.Unguarded = t.Actions[floor].Action
	effect, steps := cmp.Or(cov.Effect, None), t.Steps[cov.Effect]
	switch {
	case len(in.Typings) == 0:
		if effect != None {
			say(CodeMoveUntyped)
		}
		effect, steps = None, 0
	case effect != None && in.stale():
		say(CodeProtectionStale, lastReport(in.Reported), in.interval().String())
		effect, steps = None, 0
	case steps > 0 && in.keepsClock():
		say(CodeKeptClock, string(effect))
		steps = 0
	}
	to := t.later(from, steps)
	if effect == None {
		to = floor
	}
	d.set(t, to)
	switch {
	case t.rung(to) > t.rung(from):
		say(CodeFloor, string(t.Actions[from].Action), string(d.Action))
	case to != from:
		say(CodeMoved, string(t.Actions[from].Action), string(d.Action), string(effect))
	}
	d.Reasons = append(d.Reasons, said...)
	return d, said
}

// keepsClock: known exploited, reachable from beyond the private network and of
// total impact. What is unknown counts as such.
func (in GuardInputs) keepsClock() bool {
	return in.KEV && (in.Exposure == Open || in.Exposure == "") && in.Impact != "partial"
}

func (in GuardInputs) interval() time.Duration {
	if in.Interval > 0 {
		return in.Interval
	}
	return DefaultReportingInterval
}

// stale: a report from the future by more than an interval counts no more than an old one.
func (in GuardInputs) stale() bool {
	return in.Reported.IsZero() || in.Now.Sub(in.Reported).Abs() > in.interval()
}

// Stale tells whether a protection no longer counts at now, for nobody has confirmed it
// within a reporting interval. Where there was never a guard nothing is stale.
func Stale(p host.Protection, now time.Time) bool {
	return len(p.Controls) > 0 && GuardInputs{Reported: p.Reported, Now: now}.stale()
}

func lastReport(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339)
}
