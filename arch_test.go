// The architecture of DESIGN.md, as tests: the layout is a table, every rule is a
// pure function over the import graph, and a failure says which rule was broken and
// why the rule exists. Test files are exempt, except where a rule says otherwise:
// the rules are about what is linked into programs.
package kannuki_test

import (
	"slices"
	"strings"
	"testing"
)

// layer is one storey of the house. Arrows point down: a package may import what
// stands below it, and what its layer's own rule allows.
type layer struct {
	name  string
	trees []string // top-level folders; cmd holds one folder per program
}

// Bottom first.
var layers = []layer{
	{"words", []string{"host", "policy", "event", "vuln", "patch"}},
	{"engines", []string{"triage", "rollout", "guard", "drill"}},
	{"adapters", []string{"feed", "inventory", "install", "store", "sample", "policyfile", "policyexport", "wire", "identity"}},
	{"ends", []string{"agent", "control"}},
	{"faces", []string{"api", "console", "cli", "agentcli", "command", "report", "textpage", "lang"}},
	{"cmd", []string{"cmd"}},
	{"workshop", []string{"test"}}, // scenarios and measurements: they may use all of it
	{"internal", []string{"internal"}},
}

// planned are folders of the layout that are designed but not written yet. The test
// fails when one of them appears and is still listed here, and when any other folder
// of the table is missing: so no rule is ever about nothing without our knowing.
var planned = []string{
	"patch", "rollout", "install", "wire",
	"api", "console",
}

func TestArchitectureHolds(t *testing.T) {
	g := load(t, ".")
	if len(g) < 5 {
		t.Fatalf("only %d packages found; the loader must be looking in the wrong place", len(g))
	}
	for _, r := range rules {
		for _, broken := range r.check(g) {
			t.Errorf("%s: %s\n\twhy: %s", r.name, broken, r.why)
		}
	}
}

func TestLayoutTableMatchesTheTree(t *testing.T) {
	g := load(t, ".")
	listed := []string{"cmd/kannuki", "cmd/kannuki-agent"}
	for _, l := range layers {
		if l.name != "cmd" && l.name != "workshop" && l.name != "internal" {
			listed = append(listed, l.trees...)
		}
	}
	for _, tree := range listed {
		exists := g.hasTree(tree)
		switch isPlanned := slices.Contains(planned, tree); {
		case exists && isPlanned:
			t.Errorf("%s exists now: remove it from planned in arch_test.go, so that its rules can no longer go unnoticed", tree)
		case !exists && !isPlanned:
			t.Errorf("%s is in the layout but not in the tree: rules about it check nothing; add it to planned or take it out of the table", tree)
		}
	}
}

// An exception nobody needs any more is a hole in a rule.
func TestEveryExceptionIsUsed(t *testing.T) {
	g := load(t, ".")
	for _, r := range rooms {
		used := false
		eachOwnImport(g, func(p *pkg, to string) string {
			used = used || within(p.path, r.from) && to == r.room
			return ""
		})
		if !used && g.hasTree(r.from) {
			t.Errorf("%s no longer imports %s: take the exception out of rooms", r.from, r.room)
		}
	}
	for _, rig := range rigs {
		used := false
		eachOwnImport(g, func(p *pkg, to string) string {
			used = used || within(p.path, rig.tree) && within(to, rig.tree) && !strings.HasPrefix(to, p.path+"/")
			return ""
		})
		if !used {
			t.Errorf("%s no longer builds on itself: take it out of rigs", rig.tree)
		}
	}
	for name, table := range map[string]map[string][]string{"engineLibraries": engineLibraries, "rigLibraries": rigLibraries} {
		for tree, libraries := range table {
			for _, library := range libraries {
				used := false
				eachImport(g, func(p *pkg, i imported) string {
					used = used || within(p.path, tree) && within(i.path, library)
					return ""
				})
				if !used && g.hasTree(tree) {
					t.Errorf("%s no longer imports %s: take the exception out of %s", tree, library, name)
				}
			}
		}
	}
}

// Budgets are a smell, not a law (DESIGN.md): they are printed with -v.
func TestBudgetsArePrinted(t *testing.T) {
	for _, p := range load(t, ".") {
		for _, s := range p.smells {
			t.Log(s)
		}
	}
}

// Every rule must be able to fail: each case is a small graph that breaks one rule,
// next to the same graph mended.
func TestRulesCatchViolations(t *testing.T) {
	for _, c := range violations {
		t.Run(c.name, func(t *testing.T) {
			if got := brokenRules(c.broken); !slices.Contains(got, c.rule) {
				t.Errorf("graph breaks %q but the rules said %q", c.rule, got)
			}
			if got := brokenRules(c.mended); len(got) > 0 {
				t.Errorf("mended graph still breaks %q", got)
			}
		})
	}
}

func TestEveryRuleHasAViolationCase(t *testing.T) {
	for _, r := range rules {
		if !slices.ContainsFunc(violations, func(v violation) bool { return v.rule == r.name }) {
			t.Errorf("rule %q has no case in TestRulesCatchViolations: it may be unable to fail", r.name)
		}
		if len(strings.Fields(r.why)) < 5 {
			t.Errorf("rule %q does not say why it exists", r.name)
		}
	}
}

func brokenRules(g graph) []string {
	var names []string
	for _, r := range rules {
		if len(r.check(g)) > 0 {
			names = append(names, r.name)
		}
	}
	return names
}

type violation struct {
	name, rule     string
	broken, mended graph
}

var violations = []violation{
	{"a folder nobody placed", "every package has a layer",
		of(node("misc")), of(node("host"))},
	{"engine uses adapter", "arrows point down",
		of(node("triage", own("feed")), node("feed")), of(node("triage", own("vuln")), node("vuln"))},
	{"end uses face", "arrows point down",
		of(node("control", own("cli")), node("cli")), of(node("cli", own("control")), node("control"))},
	{"word uses a library", "words are pure",
		of(node("vuln", lib("golang.org/x/text/language"))), of(node("vuln", lib("time")))},
	{"word uses a leaf", "words are pure",
		of(node("vuln", own("internal/x")), node("internal/x")), of(node("vuln", own("host")), node("host"))},
	{"engine uses engine", "engines stand alone",
		of(node("triage", own("rollout")), node("rollout")), of(node("triage", own("triage/cover")), node("triage/cover"))},
	{"engine uses an unlisted library", "engines stand alone",
		of(node("triage", lib("github.com/spf13/cobra"))), of(node("triage", lib("github.com/pandatix/go-cvss/31")))},
	{"adapter uses adapter", "adapters know the words only",
		of(node("inventory", own("feed")), node("feed")), of(node("store", own("feed"), own("triage")), node("feed"), node("triage"))},
	{"adapter uses engine", "adapters know the words only",
		of(node("feed", own("triage")), node("triage")), of(node("feed", own("vuln")), node("vuln"))},
	{"leaf uses a word", "internal leaves import the standard library only",
		of(node("internal/x", own("vuln")), node("vuln")), of(node("internal/x", lib("strings")))},
	{"rig uses another leaf", "internal leaves import the standard library only",
		of(node("internal/vm/guest", own("internal/stream")), node("internal/stream")),
		of(node("internal/vm/guest", own("internal/vm/port")), node("internal/vm/port"))},
	{"leaf uses a library", "internal leaves import the standard library only",
		of(node("internal/x", lib("github.com/klauspost/compress/zstd"))), of(node("internal/realdata", lib("github.com/klauspost/compress/zstd")))},
	{"outsider enters a room", "use the door, not a room",
		of(node("cli", own("feed/osv")), node("feed/osv")), of(node("cli", own("feed")), node("feed"))},
	{"report enters the database", "use the door, not a room",
		of(node("report", own("store/sqlite")), node("store/sqlite")), of(node("cli", own("store/sqlite")), node("store/sqlite"))},
	{"program links the conformance suite", "storetest is for tests",
		of(node("store/sqlite", own("store/storetest")), node("store/storetest")), of(node("store/sqlite"), node("store/storetest"))},
	{"agent links triage through a middleman", "agent and control meet only in wire",
		of(node("agent", own("wire")), node("wire", own("triage")), node("triage")), of(node("agent", own("wire")), node("wire"))},
	{"the agent asks a tool", "the agent starts no program",
		of(node("agent", own("inventory")), node("inventory", lib("os/exec"))),
		of(node("agent", own("inventory")), node("inventory"), node("agent/setup", lib("os/exec")))},
	{"the agent asks a tool itself", "the agent starts no program",
		of(node("agent", lib("os/exec"))), of(node("agentcli", lib("os/exec")))},
	{"control links a collector", "agent and control meet only in wire",
		of(node("control", own("inventory")), node("inventory")), of(node("control", own("triage")), node("triage"))},
	{"eBPF outside the guard", "libraries stay with their owner",
		of(node("agent", lib("github.com/cilium/ebpf"))), of(node("guard/probe", lib("github.com/cilium/ebpf/features")))},
	{"SQL outside the store", "libraries stay with their owner",
		of(node("cli", lib("modernc.org/sqlite"))), of(node("store/sqlite", lib("modernc.org/sqlite")))},
	{"exit deep inside", "environment enters once",
		of(node("feed", calls("os.Exit"))), of(node("cli", calls("os.Exit", "os.Args", "os.Getenv")))},
	{"environment below the agent's face", "environment enters once",
		of(node("agent", calls("os.Getenv"))), of(node("agentcli", calls("os.Getenv", "os.Args", "time.Now")))},
	{"clock taken, not given", "environment enters once",
		of(node("triage", calls("time.Now"))), of(node("cli", calls("time.Now")))},
	{"init", "no init",
		of(node("feed", inits())), of(node("feed"))},
	{"undocumented", "one package comment",
		of(node("feed", comments(0))), of(node("feed"))},
	{"documented twice", "one package comment",
		of(node("feed", comments(2))), of(node("feed"))},
	{"drawer", "no drawers",
		of(node("internal/util")), of(node("internal/lineiter"))},
	{"fat main", "thin programs",
		of(node("cmd/kannuki", lines(61))), of(node("cmd/kannuki", lines(60)))},
}
