package ruleset

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// program is a Program while the rules about it are gathered.
type program struct {
	Program
	called                      []calling // what the policy calls it; the kernel sees one file
	runs, setuid, leaves, popen []int
}

// calling is one name by which contained processes are refused a program.
type calling struct{ name, category string }

// word is what the policy says of one program name.
type word struct {
	order       int // before others that mean the same file too
	rule        string
	category    string // of a utility
	interpreter *policy.Interpreter
}

// programsAt are the entries for a program the policy names: where the name lies and,
// where that is a link, the file it leads to. The kernel sees the second; the first is
// there for the day a package puts a file in place of the link.
func (c *compiler) programsAt(control host.Control, rule, at string) []*program {
	dir, err := c.tree.locate(path.Dir(at))
	if err != nil {
		c.gap(control, rule, at, err.Error())
		return nil
	}
	lies := path.Join(dir.path, path.Base(at))
	real, err := c.tree.locate(lies)
	if err != nil {
		c.gap(control, rule, at, err.Error())
		return nil
	}
	var out []*program
	for _, p := range slices.Compact([]string{lies, real.path}) {
		if len(path.Base(p)) > MaxName {
			c.gap(control, rule, p, "its name is longer than the kernel compares")
			continue
		}
		out = append(out, c.program(p))
	}
	return out
}

func (c *compiler) program(at string) *program {
	p, ok := c.programs[at]
	if !ok {
		p = &program{Program: Program{Path: at}}
		c.programs[at] = p
	}
	return p
}

// named finds interpreters and utilities by their names, with versions, in the
// directories of programs. In those where packages and administrators put commands a
// plain name has an entry even where nothing lies there yet: what is installed a minute
// later is meant at once. Elsewhere (/usr/libexec) it is meant when places are looked up
// again, after the update.
func (c *compiler) named() {
	words := c.words()
	plain := slices.Sorted(maps.Keys(words))
	seen := map[string]bool{} // /bin is /usr/bin by another name on most hosts
	for _, d := range c.p.Programs {
		dir, err := c.tree.locate(d.Path)
		if err != nil {
			c.gap(host.Utility, d.ID, d.Path, err.Error())
			continue
		}
		if seen[dir.path] {
			continue
		}
		seen[dir.path] = true
		there, all := c.files(dir)
		names := there
		if base := path.Base(dir.path); base == "bin" || base == "sbin" || !all {
			names = union(plain, there)
		}
		for _, name := range names {
			w, as, ok := match(words, name)
			switch at := path.Join(dir.path, name); {
			case !ok:
			case all && len(name) <= MaxName && !present(there, name): // no link to follow
				c.refuseAs(c.program(at), as, w)
			default:
				c.say(at, as, w, words)
			}
		}
	}
	c.sayAll(Loader, kmod)
	c.sayAll(Modules, loading)
}

// sayAll gives a flag to programs: under the name they lie at, or where that is another
// program's, not at all (busybox is no kmod).
func (c *compiler) sayAll(flag Flags, paths []string) {
	for _, at := range paths {
		for _, p := range c.programsAt(host.Launch, "", at) {
			if slices.ContainsFunc(paths, func(l string) bool { return path.Base(l) == path.Base(p.Path) }) {
				p.Flags |= flag
			}
		}
	}
}

// present tells whether name is one of names, which are sorted.
func present(names []string, name string) bool {
	_, ok := slices.BinarySearch(names, name)
	return ok
}

// kmod puts modules into the kernel from a buffer, where no hook sees the file: what the
// kernel cannot unpack. It opens nothing else than modules and its own configuration.
var kmod = []string{
	"/usr/bin/kmod", "/usr/bin/insmod", "/usr/bin/modprobe", "/usr/sbin/kmod", "/usr/sbin/insmod", "/usr/sbin/modprobe",
	"/bin/kmod", "/bin/insmod", "/bin/modprobe", "/sbin/kmod", "/sbin/insmod", "/sbin/modprobe",
}

// loading are programs that have kmod's library in them, and open other files too.
var loading = []string{
	"/usr/bin/udevadm", "/bin/udevadm", "/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd",
	"/usr/lib/systemd/systemd-modules-load", "/lib/systemd/systemd-modules-load",
}

// words are the names of utilities, which come first, and of interpreters.
func (c *compiler) words() map[string]word {
	out := map[string]word{}
	for _, u := range c.p.Utilities.Refuse {
		for _, name := range u.Names {
			if _, ok := out[name]; !ok {
				out[name] = word{order: len(out), rule: u.ID, category: u.Category}
			}
		}
	}
	for i := range c.p.Interpreters.Programs {
		r := &c.p.Interpreters.Programs[i]
		for _, name := range r.Names {
			w, ok := out[name]
			if !ok {
				w = word{order: len(out), rule: r.ID}
			}
			if w.interpreter == nil {
				w.interpreter = r
			}
			out[name] = w
		}
	}
	return out
}

// match is the word for a file name, as policy.NamedProgram has it, and which.
func match(words map[string]word, base string) (best word, as string, ok bool) {
	for n := max(1, len(policy.Unversioned(base))); n <= len(base); n++ {
		w, there := words[base[:n]]
		if !there {
			continue
		}
		language := best.interpreter
		if !ok || w.order < best.order {
			best, as, ok = w, base[:n], true
		}
		if best.interpreter == nil {
			best.interpreter = language
		}
	}
	return best, as, ok
}

// say tells the entries of one named program what it is. A link's file that has a name
// of its own among the words goes by that, wherever it lies: sh says nothing of busybox,
// and env nothing of a coreutils that is every program at once.
func (c *compiler) say(at, as string, w word, words map[string]word) {
	for _, p := range c.programsAt(host.Utility, w.rule, at) {
		if own, name, ok := match(words, path.Base(p.Path)); ok && p.Path != at {
			c.refuseAs(p, name, own)
		} else {
			c.refuseAs(p, as, w)
		}
	}
}

// refuseAs makes p a utility by one of the names it is called.
func (c *compiler) refuseAs(p *program, as string, w word) {
	if p.Utility == 0 {
		p.Utility = c.rule(w.rule)
	}
	if call := (calling{as, w.category}); !slices.Contains(p.called, call) {
		p.called = append(p.called, call)
	}
	p.Flags |= Utilities
	if w.interpreter == nil || p.Flags&Interpreter != 0 {
		return
	}
	if p.Rule == 0 {
		p.Rule = c.rule(w.interpreter.ID)
	}
	p.Flags |= Interpreter
	p.Options = optionsOf(w.interpreter.Language, as)
}

// files are the names in a directory of programs, sorted; all is false where
// it cannot be listed, and there may be others.
func (c *compiler) files(dir located) (names []string, all bool) {
	if dir.kind != directory || c.host.FS == nil {
		return nil, true
	}
	list, err := fs.ReadDir(c.host.FS, strings.TrimPrefix(dir.path, "/"))
	if err != nil {
		c.gap(host.Utility, "", dir.path, "cannot be listed, so programs with a version in their name are not found: "+err.Error())
	}
	for _, f := range list {
		if !f.IsDir() {
			names = append(names, f.Name())
		}
	}
	slices.Sort(names)
	return names, err == nil
}

// edges are single steps from a service to a helper.
func (c *compiler) edges() {
	for _, e := range c.p.Containment.Edges {
		from := c.all(host.Containing, e.ID, []policy.Who{e.From})
		for _, p := range c.programsAt(host.Containing, e.ID, e.To) {
			p.runs = append(p.runs, from...)
			if e.Setuid {
				p.setuid = append(p.setuid, from...)
			}
			if e.Leaves {
				p.leaves = append(p.leaves, from...)
			}
		}
		if e.Shell {
			c.popen(e, from)
		}
	}
}

// popen lets a service start the shells of the host, for what its edges lead to.
func (c *compiler) popen(e policy.Edge, from []int) {
	for _, d := range c.p.Programs {
		for _, name := range policy.Shells() {
			for _, p := range c.programsAt(host.Containing, e.ID, path.Join(d.Path, name)) {
				p.popen = append(p.popen, from...)
			}
		}
	}
}

// allowance is who may run what is called by one name, or is of one category.
type allowance struct {
	members []int
	temps   []temporary
}

// allowances let services run utilities. A file that goes by several names is run only
// by those who may run it under each of them.
func (c *compiler) allowances() {
	names, categories := map[string]*allowance{}, map[string]*allowance{}
	at := func(m map[string]*allowance, key string) *allowance {
		if m[key] == nil {
			m[key] = &allowance{}
		}
		return m[key]
	}
	for _, a := range c.p.Utilities.Allow {
		to := c.all(host.Utility, a.ID, a.To)
		for _, name := range a.Names {
			at(names, name).members = append(at(names, name).members, to...)
		}
		for _, category := range a.Categories {
			at(categories, category).members = append(at(categories, category).members, to...)
		}
	}
	for _, g := range c.live() {
		to := c.all(host.Utility, g.ID, []policy.Who{g.To})
		for _, name := range g.Utilities {
			at(names, name).temps = append(at(names, name).temps, temporary{to, g.Expires})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.programs)) {
		c.allowed(c.programs[key], names, categories)
	}
}

func (c *compiler) allowed(p *program, names, categories map[string]*allowance) {
	var members []int
	var temps []temporary
	for i, call := range p.called {
		may := allowance{}
		for _, a := range []*allowance{names[call.name], categories[call.category]} {
			if a != nil {
				may.members, may.temps = union(may.members, a.members), append(may.temps, a.temps...)
			}
		}
		if i == 0 {
			members, temps = may.members, may.temps
			continue
		}
		members = slices.DeleteFunc(slices.Clone(members), func(n int) bool { return !slices.Contains(may.members, n) })
		temps = nil // a grant names one of its names: the others stay refused
	}
	rule := c.rules[max(p.Utility, p.Rule)]
	p.Runs = c.group(host.Utility, rule, union(members, p.runs), temps)
	p.Setuid = c.group(host.Containing, rule, union(p.setuid, nil), nil)
	p.Leaves = c.group(host.Containing, rule, union(p.leaves, nil), nil)
	p.Popen = c.group(host.Containing, rule, union(p.popen, nil), nil)
}

func (c *compiler) sortedPrograms() []Program {
	out := make([]Program, 0, len(c.programs))
	for _, at := range slices.Sorted(maps.Keys(c.programs)) {
		out = append(out, c.programs[at].Program)
	}
	return out
}
