package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// Problem is one thing wrong with a policy, or, from Check, one thing unwise.
type Problem struct {
	// Path of keys to it. A list element stands as [0] where the problem is how it is
	// written, and as [id] where the problem is what it means.
	Path    string `json:"path"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // the way out
}

func (p Problem) String() string {
	s := p.Path + ": " + p.Message
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Validate returns everything that makes p unfit to be applied: how it is written
// (WellFormed) and what it means (Sound). A policy with a base is validated after Over.
func (p Policy) Validate() []Problem {
	return append(p.WellFormed(), p.Sound()...)
}

// WellFormed returns what is wrong with single words of p: what is missing, in no
// known form, or said twice.
func (p Policy) WellFormed() []Problem {
	var out []Problem
	formed("", reflect.ValueOf(p), &out)
	if p.Version != Version && p.Version != 0 {
		out = append(out, Problem{"version", fmt.Sprintf("version %d is not known here", p.Version), fmt.Sprintf("this program reads version %d", Version)})
	}
	seen := map[string]string{}
	p.lists(func(at string, list reflect.Value) {
		for i := range list.Len() {
			id, here := describe("", list.Index(i)).ID, fmt.Sprintf("%s[%d]", at, i)
			if first, twice := seen[id]; twice && id != "" {
				out = append(out, Problem{here, fmt.Sprintf("rule %q is also %s", id, first), "join the two, or give one another id"})
			}
			seen[id] = here
		}
	})
	return out
}

// Tag is what a field's policy tag says about it.
type Tag struct {
	Key      string // its YAML key; empty for an inlined struct
	Required bool
	Form     string
}

// FieldTag reads the tags of a field of the policy's types.
func FieldTag(f reflect.StructField) Tag {
	t := Tag{Key: f.Tag.Get("yaml")}
	for part := range strings.SplitSeq(f.Tag.Get("policy"), ",") {
		if form, ok := strings.CutPrefix(part, "form="); ok {
			t.Form = form
		}
		t.Required = t.Required || part == "required"
	}
	return t
}

// formed checks the fields of the struct v.
func formed(at string, v reflect.Value, out *[]Problem) {
	for i := range v.NumField() {
		f, tag := v.Type().Field(i), FieldTag(v.Type().Field(i))
		here := join(at, tag.Key)
		if f.Anonymous {
			here = at
			*out = append(*out, oneKey(at, v.Field(i))...)
		} else if tag.Required && v.Field(i).IsZero() {
			*out = append(*out, Problem{here, "is missing", requirement(tag)})
			continue
		}
		formedValue(here, tag, v.Field(i), out)
	}
}

func requirement(tag Tag) string {
	switch {
	case tag.Key == "expires":
		return "say when it ends, like 2026-12-01T06:00:00Z: an exception without an end is a hole"
	case tag.Key == "why" || tag.Key == "reason":
		return "say it in a sentence; it stands beside every event"
	case tag.Form != "":
		return "it is " + Forms()[tag.Form].About + ", like " + Forms()[tag.Form].Example
	}
	return ""
}

func formedValue(at string, tag Tag, v reflect.Value, out *[]Problem) {
	switch v.Kind() {
	case reflect.String:
		*out = append(*out, formedText(at, tag, v)...)
	case reflect.Int:
		if tag.Form == "port" && (v.Int() < 1 || v.Int() > 65535) {
			*out = append(*out, Problem{at, fmt.Sprintf("%d is no port", v.Int()), "ports are 1 to 65535"})
		}
	case reflect.Slice:
		formedList(at, tag, v, out)
	case reflect.Map:
		for _, k := range v.MapKeys() {
			*out = append(*out, formedText(at+"."+k.String(), Tag{}, k)...)
			*out = append(*out, formedText(at+"."+k.String(), Tag{}, v.MapIndex(k))...)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Who]() && tag.Key != "" && !v.IsZero() {
			*out = append(*out, oneKey(at, v)...)
		}
		if v.Type() != reflect.TypeFor[time.Time]() {
			formed(at, v, out)
		}
	}
}

func formedList(at string, tag Tag, v reflect.Value, out *[]Problem) {
	seen := map[string]bool{}
	for i := range v.Len() {
		e, here := v.Index(i), fmt.Sprintf("%s[%d]", at, i)
		if e.Kind() == reflect.String && e.String() == "" {
			*out = append(*out, Problem{here, "is empty", "take it out"})
			continue
		}
		if e.Kind() == reflect.String && seen[e.String()] {
			*out = append(*out, Problem{here, fmt.Sprintf("%q stands here twice", e.String()), "take one out"})
		}
		if e.Kind() == reflect.String {
			seen[e.String()] = true
		}
		if e.Type() == reflect.TypeFor[Who]() {
			*out = append(*out, oneKey(here, e)...)
		}
		formedValue(here, tag, e, out)
	}
}

func formedText(at string, tag Tag, v reflect.Value) []Problem {
	text := v.String()
	if words := Values(v.Type()); words != nil && text != "" && !slices.Contains(words, text) {
		return []Problem{{at, fmt.Sprintf("%q is none of %s", text, strings.Join(words, ", ")), didYouMean(Nearest(text, words))}}
	}
	if tag.Form == "" || text == "" {
		return nil
	}
	if wrong, hint := breach(tag.Form, text); wrong != "" {
		return []Problem{{at, wrong, didYouMean(hint)}}
	}
	return nil
}

func didYouMean(word string) string {
	if word == "" {
		return ""
	}
	return fmt.Sprintf("did you mean %q?", word)
}

// oneKey holds Place and Who to exactly one of their keys.
func oneKey(at string, v reflect.Value) []Problem {
	var keys, set []string
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		keys = append(keys, key)
		if !v.Field(i).IsZero() {
			set = append(set, key)
		}
	}
	switch {
	case len(set) > 1:
		return []Problem{{at, "has " + strings.Join(set, " and "), "keep one: " + strings.Join(keys, ", ")}}
	case len(set) == 0:
		return []Problem{{at, "names nothing", "give one of " + strings.Join(keys, ", ")}}
	}
	return nil
}

// guardPlaces are the guard's own: out of everybody's reach in any policy.
var guardPlaces = []string{"/etc/kannuki", "/var/lib/kannuki", "/run/kannuki", "/sys/fs/bpf/kannuki",
	"/etc/systemd/system/kannuki-agent.service.d", "/run/systemd/system/kannuki-agent.service.d"}

// guardFiles are single files of its own: what starts it, and what would keep it from
// starting. Updaters replace them.
var guardFiles = []string{GuardProgram, "/etc/systemd/system/kannuki-agent.service", "/run/systemd/system/kannuki-agent.service",
	"/etc/systemd/system/sysinit.target.wants/kannuki-agent.service"}

// GuardPlaces returns the guard's own places.
func GuardPlaces() []string { return slices.Clone(guardPlaces) }

// GuardFiles returns the guard's own single files.
func GuardFiles() []string { return slices.Clone(guardFiles) }

// GuardState is where the agent keeps what it has to know after its next start.
const GuardState = "/var/lib/kannuki"

// guardSecrets are those of them that contained processes do not even open: what was
// recorded about them, and what is pinned, where a lock would keep the agent from starting.
var guardSecrets = []string{GuardState, "/sys/fs/bpf/kannuki"}

// IsGuardSecret tells whether a path lies where contained processes do not even read.
func IsGuardSecret(path string) bool {
	return slices.ContainsFunc(guardSecrets, func(secret string) bool { return within(path, secret) })
}

// GuardProgram is the agent's program: updaters replace it, and nobody else does.
const GuardProgram = "/usr/sbin/kannuki-agent"

// ControlGroups is where processes are moved from one unit to another. Contained
// processes do not change it: they would leave the lineage their rules are for.
const ControlGroups = "/sys/fs/cgroup"

// core is what a host starts and lives from: nothing in it is ever user space.
var core = []string{"/usr", "/boot"}

// shared are places everybody writes to.
var shared = []string{"/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "/proc", "/sys", "/run/user", "/run/lock", "/var/lock"}

// tops are links into /usr.
var tops = []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}

// merged is path as it lies where /bin, /sbin and /lib* are links into /usr, as on
// every system the guard supports.
func merged(p string) string {
	for _, top := range tops {
		if within(p, top) {
			return "/usr" + p
		}
	}
	return p
}

// within tells whether p is dir or lies below it.
func within(p, dir string) bool {
	return p == dir || dir == "/" && strings.HasPrefix(p, "/") || strings.HasPrefix(p, dir+"/")
}

func inAny(p string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return within(p, d) })
}

// Sound returns what p, joined with its base, means and must not mean.
func (p Policy) Sound() []Problem {
	s := soundness{p: p, utilities: p.utilityNames()}
	for _, check := range []func(){s.head, s.spaces, s.lineages, s.containment, s.allowances, s.code, s.grants} {
		check()
	}
	return s.out
}

type soundness struct {
	p         Policy
	utilities []string
	out       []Problem
}

func (s *soundness) say(list, id, field, hint, format string, args ...any) {
	at := list
	if id != "" {
		at += "[" + id + "]"
	}
	if field != "" {
		at += "." + field
	}
	s.out = append(s.out, Problem{at, fmt.Sprintf(format, args...), hint})
}

func (s *soundness) head() {
	if s.p.Base != "" {
		s.say("base", "", "", "", "the base %q was not joined", s.p.Base)
	}
	if s.p.Mode == "" {
		s.say("mode", "", "", `say "mode: observe" or "mode: enforce", or start from a base`, "is missing")
	}
	if len(s.p.Programs) == 0 {
		s.say("programs", "", "", "list /usr/bin and /usr/sbin, or start from a base", "no directory of programs is named, so no interpreter or utility is known")
	}
	for _, dir := range []string{"/usr/bin", "/usr/lib"} {
		if r, ok := s.p.nearestSystem(dir); !ok || merged(r.Place.String()) == "/" {
			s.say("spaces.system", "", "", "name /usr, or start from a base", "%s is not system space: nothing in it would launch, and the host would not start", dir)
		}
	}
}

func (s *soundness) spaces() {
	for _, r := range s.p.Spaces.System {
		at := r.Place.String()
		if slices.Contains(shared, at) {
			s.say("spaces.system", r.ID, "path", "name the directory that holds the programs", "%s belongs to everybody: everything in it could launch", at)
		}
		if strings.HasPrefix(at, "~") {
			s.say("spaces.system", r.ID, "path", "trust single files, or give a grant", "a home directory is not system space")
		}
	}
	for _, r := range s.p.Spaces.User {
		s.userPath(r)
	}
}

// userPath refuses carve-outs that would open what must stay shut.
func (s *soundness) userPath(r UserPath) {
	at, hint := merged(r.Path), "name a directory that holds only data"
	sys, inside := s.p.nearestSystem(at)
	closed := inside && sys.Seal == Sealed && (inAny(at, core) || inAny(merged(sys.Place.String()), core))
	for _, other := range s.p.Spaces.System {
		if merged(other.Place.String()) == at && len(r.Names) == 0 {
			s.say("spaces.user", r.ID, "path", "keep one of the two", "%s is also system space (rule %s)", r.Path, other.ID)
			return
		}
	}
	switch {
	case closed || at == "/" || at == "/etc":
		s.say("spaces.user", r.ID, "path", hint, "%s would open sealed space: what the host runs from could be changed there", r.Path)
	case slices.ContainsFunc(core, func(c string) bool { return within(c, at) }):
		s.say("spaces.user", r.ID, "path", hint, "%s would open sealed space below it", r.Path)
	}
	for _, o := range s.p.Spaces.Persistence {
		if place := o.Place.String(); within(at, place) {
			s.say("spaces.user", r.ID, "path", "name it as a writer of that rule instead", "%s lies in the persistence place %s", r.Path, place)
		}
	}
	if inAny(at, guardPlaces) {
		s.say("spaces.user", r.ID, "path", "", "%s is the guard's own", r.Path)
	}
}

// lineages checks every Who by where it stands.
func (s *soundness) lineages() {
	var roles []string
	for _, r := range s.p.Roles {
		roles = append(roles, r.Role)
	}
	s.p.lists(func(at string, list reflect.Value) {
		for i := range list.Len() {
			id := describe("", list.Index(i)).ID
			for _, l := range lineagesOf(list.Index(i)) {
				s.lineage(at, id, l.field, l.who, roles)
			}
		}
	})
}

// allowed says which keys of Who make sense in which list; others take them all.
var allowed = map[string]string{
	"roles":               "program, unit, user",
	"containment.contain": "program, unit",
	"containment.exempt":  "program, unit",
	"updaters.programs":   "program, unit",
	"updaters.starters":   "unit",
	"builders":            "program, unit, user",
	"wx":                  "program, unit",
	"grants":              "program, unit, user",
}

func (s *soundness) lineage(list, id, field string, w Who, roles []string) {
	kind := "program"
	switch {
	case w.Unit != "":
		kind = "unit"
	case w.User != "":
		kind = "user"
	case w.Role != "":
		kind = "role"
	}
	if may, limited := allowed[list]; limited && w != (Who{}) && !strings.Contains(may, kind) {
		s.say(list, id, join(field, kind), "give one of "+may, "a %s cannot stand here", kind)
		return
	}
	if slices.Contains(everything, merged(w.Program)+w.Unit) {
		s.say(list, id, join(field, kind), "name the program or unit that is meant", "every process descends from %s", w)
	}
	if kind == "role" && !slices.Contains(roles, w.Role) {
		s.say(list, id, join(field, "role"), didYouMean(Nearest(w.Role, roles)), "there is no role %q", w.Role)
	}
	trusting := slices.Contains([]string{"updaters.programs", "containment.exempt", "containment.edges"}, list)
	if _, ok := s.p.nearestSystem(merged(w.Program)); kind == "program" && w.Program != "" && trusting && !ok {
		s.say(list, id, join(field, "program"), "install it below /usr or /opt", "%s is not in system space: whoever changes it would be trusted", w.Program)
	}
}

// everything are lineages all processes belong to.
var everything = []string{"/usr/lib/systemd/systemd", "/usr/sbin/init", "/usr/lib/sysvinit/init", "init.scope", "-.slice", "system.slice"}

type fieldWho struct {
	field string
	who   Who
}

// lineagesOf returns every Who in a rule with its key path in it.
func lineagesOf(rule reflect.Value) []fieldWho {
	var out []fieldWho
	for i := range rule.NumField() {
		key := rule.Type().Field(i).Tag.Get("yaml")
		switch v := rule.Field(i).Interface().(type) {
		case Who:
			out = append(out, fieldWho{key, v})
		case []Who:
			for n, w := range v {
				out = append(out, fieldWho{fmt.Sprintf("%s[%d]", key, n), w})
			}
		}
	}
	return out
}

func (s *soundness) containment() {
	for _, e := range s.p.Containment.Exempt {
		for _, c := range s.p.Containment.Contain {
			if c.Who == e.Who {
				s.say("containment.exempt", e.ID, "", "keep one of the two", "%s is contained by rule %s and exempt from it here", e.Who, c.ID)
			}
		}
	}
	for _, e := range s.p.Containment.Edges {
		if _, ok := s.p.nearestSystem(merged(e.To)); !ok && e.To != "" {
			s.say("containment.edges", e.ID, "to", "install it below /usr or /opt", "%s is not in system space: it could not launch", e.To)
		}
	}
}

func (s *soundness) allowances() {
	var categories, deputies []string
	for _, u := range s.p.Utilities.Refuse {
		categories = append(categories, u.Category)
	}
	for _, d := range s.p.Deputies.Refuse {
		deputies = append(deputies, d.Name)
		if len(d.Sockets)+len(d.Abstract)+len(d.Ports) == 0 {
			s.say("deputies.refuse", d.ID, "", "give one of sockets, abstract, ports", "names nothing to refuse")
		}
	}
	for _, a := range s.p.Utilities.Allow {
		if len(a.Names)+len(a.Categories) == 0 {
			s.say("utilities.allow", a.ID, "", "give names or categories", "allows nothing")
		}
		s.known("utilities.allow", a.ID, "names", "utility", a.Names, s.utilities)
		s.known("utilities.allow", a.ID, "categories", "category of utilities", a.Categories, categories)
	}
	for _, a := range s.p.Deputies.Allow {
		s.known("deputies.allow", a.ID, "names", "deputy", a.Names, deputies)
	}
}

func (s *soundness) known(list, id, field, what string, have, words []string) {
	for i, w := range have {
		if !slices.Contains(words, w) {
			s.say(list, id, fmt.Sprintf("%s[%d]", field, i), didYouMean(Nearest(w, words)), "there is no %s %q in this policy", what, w)
		}
	}
}

// utilityNames are the programs contained processes may not run.
func (p Policy) utilityNames() []string {
	var out []string
	for _, u := range p.Utilities.Refuse {
		out = append(out, u.Names...)
	}
	for _, i := range p.Interpreters.Programs {
		out = append(out, i.Names...)
	}
	return out
}

func (s *soundness) code() {
	for _, c := range s.p.Interpreters.Caches {
		if slices.Contains(shared, c.Path) {
			s.say("interpreters.caches", c.ID, "path", "give the service a directory of its own", "%s belongs to everybody", c.Path)
		}
	}
}

func (s *soundness) grants() {
	for _, g := range s.p.Grants {
		if len(g.Launch)+len(g.Write)+len(g.Read)+len(g.Utilities)+len(g.Surfaces) == 0 && !g.Process {
			s.say("grants", g.ID, "", "give one of launch, write, read, utilities, surfaces, process", "grants nothing")
		}
		s.targets(g.ID, "launch", g.Launch)
		s.targets(g.ID, "write", g.Write)
		s.targets(g.ID, "read", g.Read)
		s.known("grants", g.ID, "utilities", "utility", g.Utilities, s.utilities)
	}
}

func (s *soundness) targets(id, field string, targets []string) {
	for i, t := range targets {
		here := fmt.Sprintf("%s[%d]", field, i)
		if t == "/" {
			s.say("grants", id, here, "name what it is for", "the whole file tree is no target")
		}
		if inAny(t, guardPlaces) || t == GuardProgram {
			s.say("grants", id, here, "use kannuki-agent policy apply", "%s is the guard's own; no grant opens it", t)
		}
	}
}

// ModeOf returns the mode of one control.
func (p Policy) ModeOf(c host.Control) Mode {
	if m, ok := p.Controls[c]; ok {
		return m
	}
	return p.Mode
}
