package suggest

import (
	"cmp"
	"iter"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/policy"
)

// shared are places everybody may write to; nothing that lies in them is anybody's.
var shared = []string{"/tmp", "/var/tmp", "/dev", "/run/user", "/run/lock", "/var/lock", "/run/shm", "/proc", "/sys", "/memfd:"}

// everybodys tells whether a path lies where everybody may write, or in no directory
// with a name.
func everybodys(p string) bool {
	return slices.ContainsFunc(shared, func(s string) bool { return within(p, s) }) || strings.HasPrefix(p, "/memfd:") ||
		path.Dir(p) == "/" || path.Dir(p) == "/run" || path.Dir(p) == "/home"
}

func within(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// home is the home directory p lies in, as far as its path tells; "" where in none.
func home(p string) string {
	if within(p, "/root") {
		return "/root"
	}
	if rest, ok := strings.CutPrefix(p, "/home/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		return "/home/" + name
	}
	return ""
}

// working tells whether p lies in a directory a service unpacks things into.
func working(p string) bool {
	return slices.ContainsFunc(strings.Split(path.Dir(p), "/"), func(name string) bool {
		return slices.Contains([]string{"cache", "tmp", "temp", "work", "native"}, name)
	})
}

// wide are directories that hold what belongs to different owners: a line for one of
// them would be for all. Beside these every directory at the top is.
var wide = []string{"/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/share", "/usr/lib",
	"/var/lib", "/var/cache", "/var/log", "/var/spool", "/var/opt", "/var/www", "/var/www/html", "/var/backups", "/var/mail"}

// nameable tells whether a directory may stand in a line: one owner's, and no home as
// a whole.
func nameable(dir string) bool {
	return strings.Count(dir, "/") >= 2 && !slices.Contains(wide, dir) && !everybodys(dir) && dir != home(dir) &&
		!(path.Dir(dir) == "/mnt" || path.Dir(dir) == "/media" || path.Dir(dir) == "/usr" || path.Dir(dir) == "/var")
}

// changing is a name that is another one next time: it has a run of digits, or is one
// long hexadecimal number.
var changing = regexp.MustCompile(`[0-9]{5,}|^[0-9a-fA-F-]{12,}$`)

// lasting is p, or the part of its directory that will be there next time as well.
func lasting(p string) (at string, dir bool) {
	parts := strings.Split(p, "/")
	for i, name := range parts {
		if changing.MatchString(name) {
			if above := strings.Join(parts[:i], "/"); nameable(above) {
				return above, true
			}
			return p, false
		}
	}
	return p, false
}

// spot is one place of a line.
type spot struct {
	at     string
	dir    bool
	sights []*sight
}

// covering is how places are chosen. Directories may be, where they are nameable and
// hold more than one of the paths.
type covering struct {
	dirs bool                                   // a directory also where there is one path
	fit  func(dir string, sights []*sight) bool // whether a directory may be; nil: any
}

// cover finds the fewest places that hold all sights: greedily, the place that holds
// most of what is left, the deeper of two that hold as much. What no place can be
// written for is in none of them.
func (c covering) cover(sights []*sight) []spot {
	candidates := c.candidates(sights)
	var out []spot
	covered := map[*sight]bool{}
	for {
		best := widest(candidates, covered)
		if len(best.sights) == 0 {
			return out
		}
		for _, o := range best.sights {
			covered[o] = true
		}
		out = append(out, best)
	}
}

// writable is a path as a policy can name it: without patterns and line ends.
var writable = regexp.MustCompile(policy.Forms()["path"].Pattern)

// candidates are the places that may be chosen, each with the sights it holds.
func (c covering) candidates(sights []*sight) []*spot {
	at := map[string]*spot{}
	put := func(place string, dir bool) {
		if !writable.MatchString(place) {
			return
		}
		if at[place] == nil {
			at[place] = &spot{at: place}
		}
		at[place].dir = at[place].dir || dir
	}
	for dir := range forks(sights) {
		if nameable(dir) && (c.fit == nil || c.fit(dir, sights)) {
			put(dir, true)
		}
	}
	for _, o := range sights {
		place, dir := lasting(o.q.Path)
		if dir && c.fit != nil && !c.fit(place, sights) {
			place, dir = o.q.Path, false
		}
		if c.dirs && !dir && nameable(path.Dir(place)) {
			place, dir = path.Dir(place), true
		}
		put(place, dir)
	}
	for _, o := range sights {
		for dir := range above(o.q.Path) {
			if here := at[dir]; here != nil && (here.dir || dir == o.q.Path) {
				here.sights = append(here.sights, o)
			}
		}
	}
	out := slices.Collect(maps.Values(at))
	slices.SortFunc(out, func(a, b *spot) int { return cmp.Or(cmp.Compare(len(b.at), len(a.at)), cmp.Compare(a.at, b.at)) })
	return out
}

// widest is the candidate that holds most of what is not covered; they are sorted by
// which of equals is to be taken.
func widest(candidates []*spot, covered map[*sight]bool) (best spot) {
	for _, c := range candidates {
		if len(c.sights) <= len(best.sights) {
			continue
		}
		c.sights = slices.DeleteFunc(c.sights, func(o *sight) bool { return covered[o] })
		if len(c.sights) > len(best.sights) {
			best = *c
		}
	}
	best.sights = slices.Clone(best.sights)
	return best
}

// above yields p and every directory above it but the root.
func above(p string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for ; len(p) > 1 && yield(p); p = path.Dir(p) {
		}
	}
}

// forks are the directories at which the paths part: one above that would be wider and
// hold nothing more.
func forks(sights []*sight) map[string]bool {
	child, out := map[string]string{}, map[string]bool{}
	for _, o := range sights {
		below := o.q.Path
		for dir := range above(path.Dir(o.q.Path)) {
			if first, seen := child[dir]; seen && first != below {
				out[dir] = true
			}
			child[dir], below = below, dir
		}
	}
	return out
}

// launchable tells whether a directory may become system space: no contained process
// was seen changing anything in it, and it is no application's root, where data lies
// beside programs, unless programs lie in it directly.
func (s *suggester) launchable(dir string, sights []*sight) bool {
	if s.written[dir] {
		return false
	}
	depth := strings.Count(dir, "/")
	if within(dir, "/var") || within(dir, "/usr") {
		depth--
	}
	if depth >= 3 {
		return true
	}
	direct := 0
	for _, o := range sights {
		if path.Dir(o.q.Path) == dir {
			direct++
		}
	}
	return direct >= 2
}

// survey notes where things launch from, and what contained processes change.
func (s *suggester) survey() {
	s.written, s.launched = map[string]bool{}, map[string]bool{}
	for _, o := range s.seen {
		if o.q.Op == policy.Exec && o.op != "library" {
			s.launched[path.Dir(o.q.Path)] = true
		}
		if o.q.Op == policy.Write && o.contained() {
			for dir := range above(o.q.Path) {
				s.written[dir] = true
			}
		}
	}
}
