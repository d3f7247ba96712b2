package policy

import (
	"fmt"
	"reflect"
	"time"
)

// Change is one difference between two policies, in an administrator's words.
type Change struct {
	Rule string `json:"rule"` // id of the rule, or key path of a single value
	Kind string `json:"kind"` // "added", "removed", "changed"
	Text string `json:"text"`
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
	// Loosens is true where something that was refused may be allowed afterwards. A
	// changed rule counts as loosening, except a mode that goes to enforce: what a change
	// in words means for every process is not decided here.
	Loosens bool `json:"loosens"`
}

// Diff returns what changes from a to b, in the order of the language. Reasons and
// descriptions are no change: they refuse nothing.
func Diff(a, b Policy) []Change {
	out := diffModes(a, b)
	out = append(out, diffValues(a, b)...)
	return append(out, diffRules(a.Rules(), b.Rules(), a, b)...)
}

func diffModes(a, b Policy) []Change {
	var out []Change
	for _, c := range Controls() {
		was, is := a.ModeOf(c), b.ModeOf(c)
		if was == is {
			continue
		}
		out = append(out, Change{Rule: "controls." + string(c), Kind: "changed", Old: string(was), New: string(is), Loosens: is != Enforce,
			Text: fmt.Sprintf("control %s goes from %s to %s: it %s", c, was, is, Meaning(reflect.TypeFor[Mode](), string(is)))})
	}
	return out
}

func diffValues(a, b Policy) []Change {
	var out []Change
	for _, v := range []struct {
		at, was, is, text string
		loosens           bool
	}{
		{"name", a.Name, b.Name, "the policy is called %[2]q instead of %[1]q", false},
		{"containment.listeners", string(a.Containment.Listeners), string(b.Containment.Listeners),
			"containing whatever listens beyond loopback goes from %[1]q to %[2]q", b.Containment.Listeners != On},
		{"self.token", string(a.Self.Token), string(b.Self.Token), "asking for a signed token goes from %[1]q to %[2]q", b.Self.Token != On},
		{"self.confirm", string(a.Self.Confirm), string(b.Self.Confirm), "the time to confirm goes from %[1]q to %[2]q", false},
		{"self.longest_grant", string(a.Self.LongestGrant), string(b.Self.LongestGrant), "the longest grant goes from %[1]q to %[2]q",
			longer(b.Self.LongestGrant, a.Self.LongestGrant)},
	} {
		if v.was != v.is {
			out = append(out, Change{Rule: v.at, Kind: "changed", Text: fmt.Sprintf(v.text, v.was, v.is), Old: v.was, New: v.is, Loosens: v.loosens})
		}
	}
	return out
}

// longer tells whether a allows more than b; no limit allows most.
func longer(a, b Duration) bool {
	return b != "" && (a == "" || a.Time() > b.Time())
}

func diffRules(was, is []Rule, a, b Policy) []Change {
	var out []Change
	old, oldValues, newValues := index(was), a.values(), b.values()
	kept := map[string]bool{}
	for _, r := range is {
		before, had := old[r.ID]
		kept[r.ID] = had
		switch {
		case !had:
			out = append(out, Change{Rule: r.ID, Kind: "added", Text: "from now on " + r.Says, New: r.Says, Loosens: r.Opens})
		case !sameMeaning(oldValues[r.ID], newValues[r.ID]):
			out = append(out, Change{Rule: r.ID, Kind: "changed", Text: "instead of: " + before.Says + "; from now on: " + r.Says,
				Old: before.Says, New: r.Says, Loosens: true})
		}
	}
	for _, r := range was {
		if !kept[r.ID] {
			// A system place does both: without it nothing launches there, and anything changes.
			// Without any key nobody is asked for a token.
			loosens := !r.Opens || r.List == "spaces.system" || r.List == "self.keys"
			out = append(out, Change{Rule: r.ID, Kind: "removed", Text: "no longer: " + r.Says, Old: r.Says, Loosens: loosens})
		}
	}
	return out
}

func index(rules []Rule) map[string]Rule {
	out := map[string]Rule{}
	for _, r := range rules {
		out[r.ID] = r
	}
	return out
}

func (p *Policy) values() map[string]reflect.Value {
	out := map[string]reflect.Value{}
	p.lists(func(_ string, list reflect.Value) {
		for i := range list.Len() {
			out[describe("", list.Index(i)).ID] = list.Index(i)
		}
	})
	return out
}

// sameMeaning compares two rules without what is only said about them.
func sameMeaning(a, b reflect.Value) bool {
	if a.Type() != b.Type() {
		return false
	}
	for i := range a.NumField() {
		switch a.Type().Field(i).Name {
		case "ID", "Why", "Reason", "Owner", "Technique":
			continue
		}
		if when, ok := a.Field(i).Interface().(time.Time); ok {
			if !when.Equal(b.Field(i).Interface().(time.Time)) {
				return false
			}
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			return false
		}
	}
	return true
}
