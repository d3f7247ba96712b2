package agentcli

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// utility is one name of the policy's list, on this host.
type utility struct {
	Name      string   `json:"name"`
	Category  string   `json:"category"`
	Technique string   `json:"technique,omitempty"`
	Rule      string   `json:"rule"` // of its group; events name it
	Why       string   `json:"why"`
	Installed []string `json:"installed"` // files it is here, with versions; empty: it is not here
	// Allowed are the contained services that run it all the same.
	Allowed []allowance `json:"allowed"`
	// Asked are contained processes that were refused it, or would have been.
	Asked []asking `json:"asked"`
}

// allowance is a rule that lets services run a utility.
type allowance struct {
	Rule string   `json:"rule"`
	To   []string `json:"to"` // "role monitoring", "nginx.service", "/usr/sbin/nginx"
	// Shell is true of a shell that is started as sh -c only, for the helper of an edge.
	Shell bool `json:"shell,omitempty"`
}

// asking is who asked for a utility, and how often.
type asking struct {
	Who      string    `json:"who"` // unit, else program, else the process's name
	Refused  int       `json:"refused"`
	Observed int       `json:"observed"`
	Last     time.Time `json:"last"`
}

// interpreterCategory is of interpreters that no group of utilities names: contained
// processes do not run them either.
const interpreterCategory = "interpreter"

// utilityList is the policy's list as it comes to names, in the policy's order.
func utilityList(p policy.Policy, now time.Time) []*utility {
	var out []*utility
	named := map[string]bool{}
	for _, g := range p.Utilities.Refuse {
		for _, n := range g.Names {
			if !named[n] {
				named[n] = true
				out = append(out, &utility{Name: n, Category: g.Category, Technique: g.Technique, Rule: g.ID, Why: g.Why})
			}
		}
	}
	for _, i := range p.Interpreters.Programs {
		for _, n := range i.Names {
			if !named[n] {
				named[n] = true
				out = append(out, &utility{Name: n, Category: interpreterCategory, Technique: "T1059", Rule: i.ID, Why: "Runs " + i.Language + " code, also code that lies in no file."})
			}
		}
	}
	for _, u := range out {
		u.Installed, u.Asked, u.Allowed = []string{}, []asking{}, allowances(p, u, now)
	}
	return out
}

// allowances are the rules that let contained services run u.
func allowances(p policy.Policy, u *utility, now time.Time) []allowance {
	out := []allowance{}
	for _, a := range p.Utilities.Allow {
		if slices.Contains(a.Names, u.Name) || slices.Contains(a.Categories, u.Category) {
			out = append(out, allowance{Rule: a.ID, To: lineages(a.To)})
		}
	}
	for _, e := range p.Containment.Edges {
		if _, ok := policy.NamedProgram([]string{u.Name}, path.Base(e.To)); ok && inProgramDir(p, e.To) {
			out = append(out, allowance{Rule: e.ID, To: lineages([]policy.Who{e.From})})
		}
		if e.Shell && slices.Contains(policy.Shells(), u.Name) {
			out = append(out, allowance{Rule: e.ID, To: lineages([]policy.Who{e.From}), Shell: true})
		}
	}
	for _, g := range p.Grants {
		if slices.Contains(g.Utilities, u.Name) && now.Before(g.Expires) {
			out = append(out, allowance{Rule: g.ID, To: lineages([]policy.Who{g.To})})
		}
	}
	return out
}

func inProgramDir(p policy.Policy, file string) bool {
	return slices.ContainsFunc(p.Programs, func(d policy.ProgramDir) bool { return d.Path == path.Dir(file) })
}

func lineages(who []policy.Who) []string {
	var out []string
	for _, w := range who {
		out = append(out, w.String())
	}
	return out
}

// finder finds the utility a file name means: the same name, or with a version behind it.
type finder map[string]*utility

func finderOf(list []*utility) finder {
	f := finder{}
	for _, u := range list {
		f[u.Name] = u
	}
	return f
}

// find is the longest name that base is.
func (f finder) find(base string) *utility {
	for n := len(base); n >= max(1, len(policy.Unversioned(base))); n-- {
		if u := f[base[:n]]; u != nil {
			return u
		}
	}
	return nil
}

// install notes which files of the policy's directories below root are utilities. A
// directory that goes by two names (/bin on most hosts) is read once.
func (f finder) install(root string, dirs []policy.ProgramDir) error {
	var read []fs.FileInfo
	for _, d := range dirs {
		at := filepath.Join(root, d.Path)
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if slices.ContainsFunc(read, func(r fs.FileInfo) bool { return os.SameFile(r, info) }) {
			continue
		}
		read = append(read, info)
		files, err := os.ReadDir(at)
		if err != nil {
			return err
		}
		for _, file := range files {
			if u := f.find(file.Name()); u != nil && !file.IsDir() {
				u.Installed = append(u.Installed, path.Join(d.Path, file.Name()))
			}
		}
	}
	return nil
}

// count adds who asked for what to the utilities. An event's file may be one a utility's
// link leads to: then its rule says of which group it is.
func (f finder) count(list []*utility, events []event.Event) {
	asked := map[*utility]map[string]*asking{}
	for _, e := range events {
		u := f.of(list, e)
		if u == nil {
			continue
		}
		who := cmp.Or(e.Actor.Unit, e.Actor.Exe, e.Actor.Comm)
		if asked[u] == nil {
			asked[u] = map[string]*asking{}
		}
		a := asked[u][who]
		if a == nil {
			a = &asking{Who: who}
			asked[u][who] = a
		}
		if e.Kind == event.Refused {
			a.Refused += e.Count
		} else {
			a.Observed += e.Count
		}
		if e.At.After(a.Last) {
			a.Last = e.At
		}
	}
	for u, by := range asked {
		for _, who := range slices.Sorted(maps.Keys(by)) {
			u.Asked = append(u.Asked, *by[who])
		}
		slices.SortStableFunc(u.Asked, func(a, b asking) int { return cmp.Compare(b.Refused+b.Observed, a.Refused+a.Observed) })
	}
}

// of is the utility an event is about; nil where it is about none.
func (f finder) of(list []*utility, e event.Event) *utility {
	started := e.Control == string(host.Utility) || e.Op == "setuid" // sudo is refused for its rights before its name
	if e.Kind == event.Note || !started || e.Path == "" {
		return nil
	}
	if u := f.find(path.Base(e.Path)); u != nil {
		return u
	}
	if i := slices.IndexFunc(list, func(u *utility) bool { return u.Rule == e.Rule && strings.HasPrefix(path.Base(e.Path), u.Name) }); i >= 0 {
		return list[i]
	}
	if i := slices.IndexFunc(list, func(u *utility) bool { return u.Rule == e.Rule }); i >= 0 {
		return list[i]
	}
	return nil
}
