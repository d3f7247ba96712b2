package policy

import (
	"reflect"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Rule is one rule of a policy as lists, events and differences show it.
type Rule struct {
	ID   string `json:"id"`   // stable: what events name
	List string `json:"list"` // the key path of its list, "spaces.system"
	Says string `json:"says"` // what it does, one clause
	Why  string `json:"why,omitempty"`
	// Opens is true where the rule lets something happen that would be refused
	// without it; false where it refuses. A system path does both: it counts as opening.
	Opens bool `json:"opens"`
}

// entry is what every rule's type can say about itself.
type entry interface {
	key() string  // its id where it has none of its own
	says() string // what it does
	opens() bool
}

// Fill gives every rule without an id the id it goes by.
func (p *Policy) Fill() {
	p.lists(func(_ string, list reflect.Value) {
		for i := range list.Len() {
			if id := list.Index(i).FieldByName("ID"); id.String() == "" {
				id.SetString(list.Index(i).Interface().(entry).key())
			}
		}
	})
}

// DefaultID is the id rule goes by when it has none of its own; rule is an element of
// one of the policy's lists.
func DefaultID(rule any) string {
	if e, ok := rule.(entry); ok {
		return e.key()
	}
	return ""
}

// Rules returns every rule, in the order of the language.
func (p Policy) Rules() []Rule {
	var out []Rule
	p.lists(func(path string, list reflect.Value) {
		for i := range list.Len() {
			out = append(out, describe(path, list.Index(i)))
		}
	})
	return out
}

func describe(path string, v reflect.Value) Rule {
	e := v.Interface().(entry)
	r := Rule{ID: v.FieldByName("ID").String(), List: path, Says: e.says(), Opens: e.opens()}
	if r.ID == "" {
		r.ID = e.key()
	}
	for _, name := range []string{"Why", "Reason"} {
		if why := v.FieldByName(name); why.IsValid() {
			r.Why = why.String()
		}
	}
	return r
}

// lists calls each with the key path and the value of every list of rules.
func (p *Policy) lists(each func(path string, list reflect.Value)) {
	walkLists("", reflect.ValueOf(p).Elem(), each)
}

func walkLists(path string, v reflect.Value, each func(string, reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		at := join(path, f.Tag.Get("yaml"))
		switch {
		case isRuleList(f.Type):
			each(at, v.Field(i))
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == v.Type().PkgPath():
			walkLists(at, v.Field(i), each)
		}
	}
}

func isRuleList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Implements(reflect.TypeFor[entry]())
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Over returns p on top of base: p's words where it has some, the base's rules
// without those p names in Without, and p's rules, which replace rules of the same id.
func (p Policy) Over(base Policy) Policy {
	out := p
	out.Base, out.Without = "", nil
	if out.Description == "" {
		out.Description = base.Description
	}
	if out.Mode == "" {
		out.Mode = base.Mode
	}
	out.Controls = nil
	// A mode for the whole policy speaks for every control it does not name itself.
	if p.Mode == "" {
		out.setControls(base)
	}
	out.setControls(p)
	over(reflect.ValueOf(&out).Elem(), reflect.ValueOf(base), p.Without)
	return out
}

func (p *Policy) setControls(from Policy) {
	for c, m := range from.Controls {
		if p.Controls == nil {
			p.Controls = map[host.Control]Mode{}
		}
		p.Controls[c] = m
	}
}

func over(v, base reflect.Value, without []string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case isRuleList(f.Type):
			v.Field(i).Set(joinLists(v.Field(i), base.Field(i), without))
		case f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == v.Type().PkgPath():
			over(v.Field(i), base.Field(i), without)
		case f.Type.Kind() == reflect.String && v.Field(i).String() == "" && f.Name != "Base":
			v.Field(i).SetString(base.Field(i).String())
		}
	}
}

// joinLists keeps the base's order; a rule that replaces one stands in its place.
func joinLists(own, base reflect.Value, without []string) reflect.Value {
	out := reflect.MakeSlice(own.Type(), 0, own.Len()+base.Len())
	placed := map[string]bool{}
	ownByID := map[string]int{}
	for i := range own.Len() {
		ownByID[describe("", own.Index(i)).ID] = i
	}
	for i := range base.Len() {
		id := describe("", base.Index(i)).ID
		if at, replaced := ownByID[id]; replaced {
			out, placed[id] = reflect.Append(out, own.Index(at)), true
		} else if !slices.Contains(without, id) {
			out = reflect.Append(out, base.Index(i))
		}
	}
	for i := range own.Len() {
		if !placed[describe("", own.Index(i)).ID] {
			out = reflect.Append(out, own.Index(i))
		}
	}
	if out.Len() == 0 {
		return reflect.Zero(own.Type())
	}
	return out
}

// String names the lineage: "unit nginx.service".
func (w Who) String() string {
	switch {
	case w.Program != "":
		return w.Program
	case w.Unit != "":
		return w.Unit
	case w.User != "":
		return "sessions of " + w.User
	case w.Role != "":
		return "role " + w.Role
	}
	return "nobody"
}

func (w Who) bare() string {
	return w.Program + w.Unit + w.User + w.Role
}

func (p Place) String() string { return p.Path + p.File }

func names(who []Who) string {
	out := make([]string, len(who))
	for i, w := range who {
		out[i] = w.String()
	}
	return strings.Join(out, ", ")
}

// allLineages are all lineages the policy names.
func (p *Policy) allLineages() []Who {
	var out []Who
	p.lists(func(_ string, list reflect.Value) {
		for i := range list.Len() {
			for _, l := range lineagesOf(list.Index(i)) {
				out = append(out, l.who)
			}
		}
	})
	return out
}

// Lineages returns who with every role replaced by its members, without repeats.
func (p Policy) Lineages(who []Who) []Who {
	var out []Who
	add := func(w Who) {
		if w.Role == "" && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	for _, w := range who {
		add(w)
		for _, r := range p.Roles {
			if w.Role != "" && r.Role == w.Role {
				for _, member := range r.Who {
					add(member)
				}
			}
		}
	}
	return out
}
