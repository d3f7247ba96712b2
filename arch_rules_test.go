package kannuki_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// graph is every package of the module by its path below the module root.
type graph map[string]*pkg

// pkg is one package as far as the rules look at it; test files are left out.
type pkg struct {
	path     string
	imports  []imported
	calls    []string // "os.Exit", "time.Now": selectors the rules ask about, with their place
	inits    []string // places of init functions
	comments int      // package comments
	lines    int
	smells   []string // budget breaches, printed only
}

// imported is one import: own packages by their path below the module root.
type imported struct {
	path string
	own  bool
}

func (i imported) std() bool {
	first, _, _ := strings.Cut(i.path, "/")
	return !i.own && !strings.Contains(first, ".")
}

type rule struct {
	name, why string
	check     func(graph) []string
}

// rules are DESIGN.md's "Rules" 1–8. Rule 5 (interfaces live with their caller) and
// rule 7 (shapes shared with C are generated) are judged by reading and by bpf2go.
var rules = []rule{
	{"every package has a layer",
		"the tree is the architecture: a folder nobody placed has no rules",
		everyPackageHasALayer},
	{"arrows point down",
		"cmd → faces → ends → adapters → engines → words: what is below can be read, tested and replaced without what is above",
		arrowsPointDown},
	{"words are pure",
		"everything is written in the words; whatever they import, every package imports",
		wordsArePure},
	{"engines stand alone",
		"an engine is one verb over words: it can be tested with plain values and its libraries are pure ones, chosen by name",
		enginesStandAlone},
	{"adapters know the words only",
		"adapters touch the world, so they are replaced most: two that know each other can only be replaced together",
		adaptersKnowWords},
	{"internal leaves import the standard library only",
		"a leaf that imports our packages is no leaf: it ties whoever uses it to them",
		leavesImportStdlib},
	{"use the door, not a room",
		"one door per subsystem lets its inside change without asking anybody",
		useTheDoor},
	{"storetest is for tests",
		"a conformance suite links the testing package, which has no place in a program",
		storetestIsForTests},
	{"agent and control meet only in wire",
		"an attacker on a server must not find the fleet's vulnerability data there, and the control plane must not be able to guard or patch itself by accident",
		agentAndControlApart},
	{"the agent starts no program",
		"where fanotify asks the agent before a program starts, its own fork would wait for an answer that only it can give, and the host with it (agent/setup runs in install, the steps of drill in the command that asks)",
		agentStartsNothing},
	{"libraries stay with their owner",
		"loading kernel programs and speaking SQL are each one package's job; a second place would be a second way",
		librariesStayHome},
	{"environment enters once",
		"arguments, environment, exit and the clock enter in cmd, cli and agentcli and are passed down as values: everything below runs in a test as it runs at night",
		environmentEntersOnce},
	{"no init",
		"an init function runs for everyone who links the package, in an order nobody wrote down",
		noInit},
	{"one package comment",
		"each package says once what it is for and what it promises",
		onePackageComment},
	{"no drawers",
		"a package named for nothing in particular collects everything; name the thing",
		noDrawers},
	{"thin programs",
		"a main wires and exits; what is in it cannot be run in a test (60 lines at most)",
		thinPrograms},
}

// engineLibraries are third-party packages an engine may use: pure computation only.
var engineLibraries = map[string][]string{
	"triage": {
		"github.com/pandatix/go-cvss", // CVSS vectors
	},
	"guard": {
		"github.com/cilium/ebpf", // loads the kernel programs
		"golang.org/x/sys",       // system call numbers and structures
	},
	"drill": {
		"golang.org/x/sys", // the same, of what it tries
	},
}

// adapterEngines are the engines and fellow adapters an adapter may know, beyond words.
var adapterEngines = map[string][]string{
	"store": {"triage", "feed"}, // keeps findings; is a feed.Sink
}

// rooms are the inner packages outsiders may enter, with the reason.
var rooms = []struct{ from, room, why string }{
	{"cli", "store/sqlite", "somebody has to choose the database, where the program is put together"},
	{"agentcli", "agent/setup", "the program is put together there: install and uninstall are its commands"},
	{"agentcli", "agent/export", "the program is put together there: --export becomes a part of the agent"},
	{"agentcli", "agent/suggest", "suggest is a question about the events on disk, not one the running agent answers"},
	{"cmd/kannuki-agent", "agent/setup", "the host it installs on is passed in, as the kernel is"},
	{"test", "store/sqlite", "measurements are of one database"},
}

// rigs are internal trees that build on themselves: several packages that are one tool
// for tests. Nothing else about them is excused: other packages they may not import.
var rigs = []struct{ tree, why string }{
	{"internal/vm", "the host's side of a test machine, the program inside it and the port between them share one language"},
}

// rigLibraries are third-party packages a rig for tests may use.
var rigLibraries = map[string][]string{
	"internal/realdata": {
		"github.com/klauspost/compress", // publishers' archives are packed with zstd
	},
}

// owners of libraries that must stay in one place.
var owners = []struct{ library, owner string }{
	{"github.com/cilium/ebpf", "guard"},
	{"database/sql", "store"},
	{"modernc.org/sqlite", "store"},
	{"github.com/jackc/pgx", "store"},
	{"github.com/lib/pq", "store"},
	{"github.com/mattn/go-sqlite3", "store"},
	{"github.com/pressly/goose", "store"},
}

// farApart lists, per starting package, the trees it must not reach by any way.
var farApart = []struct {
	from  string
	never []string
}{
	{"cmd/kannuki-agent", []string{"triage", "rollout", "feed", "store", "sample", "api", "console", "control"}},
	{"agent", []string{"triage", "rollout", "feed", "store", "sample", "api", "console", "control"}},
	{"control", []string{"guard", "inventory", "install", "agent"}},
}

func everyPackageHasALayer(g graph) []string {
	return each(g, func(p *pkg) []string {
		if p.path == "." || rank(p.path) >= 0 {
			return nil
		}
		return []string{p.path + " is in no layer of the table in arch_test.go"}
	})
}

func arrowsPointDown(g graph) []string {
	return eachOwnImport(g, func(p *pkg, to string) string {
		from, down := rank(p.path), rank(to)
		if layerOf(p.path) == "internal" || layerOf(to) == "internal" || from >= down {
			return ""
		}
		return fmt.Sprintf("%s (%s) imports %s (%s)", p.path, layerOf(p.path), to, layerOf(to))
	})
}

func wordsArePure(g graph) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		if layerOf(p.path) != "words" || i.std() || i.own && layerOf(i.path) == "words" {
			return ""
		}
		return fmt.Sprintf("%s imports %s; words import the standard library and words", p.path, i.path)
	})
}

func enginesStandAlone(g graph) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		if layerOf(p.path) != "engines" || i.std() {
			return ""
		}
		if i.own && (sameTree(p.path, i.path) || layerOf(i.path) == "words" || layerOf(i.path) == "internal") {
			return ""
		}
		if !i.own && slices.ContainsFunc(engineLibraries[tree(p.path)], func(lib string) bool { return within(i.path, lib) }) {
			return ""
		}
		return fmt.Sprintf("%s imports %s; engines import words, their own children and the libraries listed for them", p.path, i.path)
	})
}

func adaptersKnowWords(g graph) []string {
	return eachOwnImport(g, func(p *pkg, to string) string {
		if layerOf(p.path) != "adapters" || sameTree(p.path, to) || slices.Contains([]string{"words", "internal"}, layerOf(to)) ||
			slices.Contains(adapterEngines[tree(p.path)], to) {
			return ""
		}
		return fmt.Sprintf("%s imports %s; adapters import words and their own children", p.path, to)
	})
}

func leavesImportStdlib(g graph) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		if layerOf(p.path) != "internal" || i.std() || i.own && strings.HasPrefix(i.path, p.path+"/") {
			return ""
		}
		for _, rig := range rigs {
			if i.own && within(p.path, rig.tree) && within(i.path, rig.tree) {
				return ""
			}
		}
		if !i.own && slices.ContainsFunc(rigLibraries[p.path], func(lib string) bool { return within(i.path, lib) }) {
			return ""
		}
		return fmt.Sprintf("%s imports %s", p.path, i.path)
	})
}

func useTheDoor(g graph) []string {
	return eachOwnImport(g, func(p *pkg, to string) string {
		l := layerOf(to)
		if !strings.Contains(to, "/") || sameTree(p.path, to) || l == "internal" || l == "words" {
			return ""
		}
		for _, r := range rooms {
			if within(p.path, r.from) && to == r.room {
				return ""
			}
		}
		return fmt.Sprintf("%s imports %s; use %s, or list the room with a reason", p.path, to, tree(to))
	})
}

func storetestIsForTests(g graph) []string {
	return eachOwnImport(g, func(p *pkg, to string) string {
		if to != "store/storetest" {
			return ""
		}
		return p.path + " imports store/storetest outside a test"
	})
}

func agentAndControlApart(g graph) []string {
	var out []string
	for _, apart := range farApart {
		for to, way := range reach(g, apart.from) {
			if slices.ContainsFunc(apart.never, func(tree string) bool { return within(to, tree) }) {
				out = append(out, strings.Join(way, " → "))
			}
		}
	}
	slices.Sort(out)
	return out
}

func agentStartsNothing(g graph) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		runs := slices.ContainsFunc([]string{"agent", "guard", "inventory", "policyfile", "identity"}, func(tree string) bool { return within(p.path, tree) })
		if !runs || p.path == "agent/setup" || i.own || i.path != "os/exec" {
			return ""
		}
		return p.path + " imports os/exec"
	})
}

func librariesStayHome(g graph) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		for _, o := range owners {
			if !i.own && within(i.path, o.library) && !within(p.path, o.owner) {
				return fmt.Sprintf("%s imports %s, which belongs to %s", p.path, i.path, o.owner)
			}
		}
		return ""
	})
}

func environmentEntersOnce(g graph) []string {
	return each(g, func(p *pkg) []string {
		// Test rigs find their data through the environment; what is under test is no product.
		if within(p.path, "cmd") || within(p.path, "cli") || within(p.path, "agentcli") || within(p.path, "test") || within(p.path, "internal") {
			return nil
		}
		var out []string
		for _, c := range p.calls {
			out = append(out, p.path+" uses "+c)
		}
		return out
	})
}

func noInit(g graph) []string {
	return each(g, func(p *pkg) []string { return p.inits })
}

func onePackageComment(g graph) []string {
	return each(g, func(p *pkg) []string {
		if p.comments == 1 {
			return nil
		}
		return []string{fmt.Sprintf("%s has %d package comments", p.path, p.comments)}
	})
}

func noDrawers(g graph) []string {
	drawers := []string{"util", "utils", "helper", "helpers", "common", "manager", "misc", "shared", "base"}
	return each(g, func(p *pkg) []string {
		if slices.Contains(drawers, path.Base(p.path)) {
			return []string{p.path}
		}
		return nil
	})
}

func thinPrograms(g graph) []string {
	return each(g, func(p *pkg) []string {
		if within(p.path, "cmd") && p.lines > 60 {
			return []string{fmt.Sprintf("%s has %d lines", p.path, p.lines)}
		}
		return nil
	})
}

// reach returns every own package that from links, with one way to it.
func reach(g graph, from string) map[string][]string {
	ways := map[string][]string{}
	var walk func(at string, way []string)
	walk = func(at string, way []string) {
		if g[at] == nil {
			return
		}
		for _, i := range g[at].imports {
			if i.own && ways[i.path] == nil {
				ways[i.path] = append(slices.Clone(way), i.path)
				walk(i.path, ways[i.path])
			}
		}
	}
	walk(from, []string{from})
	return ways
}

func each(g graph, check func(*pkg) []string) []string {
	var out []string
	for _, at := range slices.Sorted(maps.Keys(g)) {
		out = append(out, check(g[at])...)
	}
	return out
}

func eachImport(g graph, check func(*pkg, imported) string) []string {
	return each(g, func(p *pkg) []string {
		var out []string
		for _, i := range p.imports {
			if broken := check(p, i); broken != "" {
				out = append(out, broken)
			}
		}
		return out
	})
}

func eachOwnImport(g graph, check func(p *pkg, to string) string) []string {
	return eachImport(g, func(p *pkg, i imported) string {
		if !i.own {
			return ""
		}
		return check(p, i.path)
	})
}

func (g graph) hasTree(tree string) bool {
	for at := range g {
		if within(at, tree) {
			return true
		}
	}
	return false
}

// rank is the height of a package's layer, -1 where the table does not know it.
func rank(at string) int {
	return slices.IndexFunc(layers, func(l layer) bool { return slices.Contains(l.trees, tree(at)) })
}

func layerOf(at string) string {
	if r := rank(at); r >= 0 {
		return layers[r].name
	}
	return ""
}

func tree(at string) string {
	top, _, _ := strings.Cut(at, "/")
	return top
}

func sameTree(a, b string) bool { return tree(a) == tree(b) }

// within tells whether path is parent or lies below it.
func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}
