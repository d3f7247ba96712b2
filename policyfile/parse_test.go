package policyfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// head starts every sample with four lines.
const head = "version: 1\nname: web\nbase: standard\ndescription: A sample.\n"

// mistakes are files with one thing wrong each, and the whole error.
var mistakes = []struct{ name, text, want string }{
	{"unknown key", head + "spacse:\n  system: []\n",
		`p.yaml:5:1: unknown key "spacse"; did you mean "spaces"?`},
	{"unknown key in a rule", head + "grants:\n  - id: a\n    to: {user: aiko}\n    write: [/etc/nginx]\n    expires: 2026-12-01T06:00:00Z\n    reason: r\n    ower: aiko\n",
		`p.yaml:11:5: grants[0]: unknown key "ower"; did you mean "owner"?`},
	{"key twice", head + "mode: enforce\nmode: observe\n",
		`p.yaml:6:1: key "mode" stands here twice; the first is on line 5; join the two`},
	{"wrong word", head + "mode: enfroce\n",
		`p.yaml:5:7: mode: "enfroce" is none of observe, enforce; did you mean "enforce"?`},
	{"wrong control", head + "controls:\n  lunch: observe\n",
		`p.yaml:6:10: controls.lunch: "lunch" is none of launch, write, process, utility, contain, kernel, private, self; did you mean "launch"?`},
	{"text for a list", head + "without: system:/opt\n",
		`p.yaml:5:10: without: should be a list and is the text "system:/opt"; put a hyphen before each entry, or brackets around them`},
	{"number for text", "version: 1\nname: 7\nbase: standard\n",
		`p.yaml:2:7: name: should be text and is the number 7; put quotes around it`},
	{"text for a switch", head + "containment:\n  listeners: true\n",
		`p.yaml:6:14: containment.listeners: should be text and is the switch true; put quotes around it`},
	{"bad duration", head + "self:\n  confirm: 10 minutes\n",
		`p.yaml:6:12: self.confirm: "10 minutes" is not a length of time in days, hours, minutes and seconds, like 10m; did you mean "10m"?`},
	{"relative path", head + "spaces:\n  system:\n    - {path: srv/shop, seal: sealed}\n",
		`p.yaml:7:14: spaces.system[0].path: "srv/shop" is not an absolute path; did you mean "/srv/shop"?`},
	{"path not cleaned", head + "spaces:\n  system:\n    - {path: /srv/../usr/, seal: sealed}\n",
		`p.yaml:7:14: spaces.system[0].path: "/srv/../usr/" is not cleaned; did you mean "/usr"?`},
	{"pattern", head + "spaces:\n  private:\n    - {path: /home/*/.ssh}\n",
		`p.yaml:7:14: spaces.private[0].path: "/home/*/.ssh" has a pattern in it; places are named one by one`},
	{"path and file", head + "spaces:\n  private:\n    - {path: /a, file: /b}\n",
		`p.yaml:7:7: spaces.private[0]: has path and file; keep one: path, file`},
	{"nobody named", head + "spaces:\n  system:\n    - {path: /srv/a, seal: sealed, writers: [{}]}\n",
		`p.yaml:7:46: spaces.system[0].writers[0]: names nothing; give one of program, unit, user, role`},
	{"both system and user", head + "spaces:\n  user:\n    - {path: /opt, why: logs}\n",
		`p.yaml:7:14: spaces.user[user:/opt].path: /opt is also system space (rule system:/opt); keep one of the two`},
	{"opens sealed space", head + "spaces:\n  user:\n    - {path: /usr/lib/vendor, why: logs}\n",
		`p.yaml:7:14: spaces.user[user:/usr/lib/vendor].path: /usr/lib/vendor would open sealed space: what the host runs from could be changed there; name a directory that holds only data`},
	{"opens sealed space by its other name", head + "spaces:\n  user:\n    - {path: /lib/vendor, why: logs}\n",
		`p.yaml:7:14: spaces.user[user:/lib/vendor].path: /lib/vendor would open sealed space: what the host runs from could be changed there; name a directory that holds only data`},
	{"opens a persistence place", head + "spaces:\n  user:\n    - {path: /etc/cron.d/spool, why: logs}\n",
		`p.yaml:7:14: spaces.user[user:/etc/cron.d/spool].path: /etc/cron.d/spool lies in the persistence place /etc/cron.d; name it as a writer of that rule instead`},
	{"system space of everybody", head + "spaces:\n  system:\n    - {path: /tmp, seal: config}\n",
		`p.yaml:7:14: spaces.system[system:/tmp].path: /tmp belongs to everybody: everything in it could launch; name the directory that holds the programs`},
	{"grant without lineage", head + "grants:\n  - id: a\n    launch: [/srv/x]\n    expires: 2026-12-01T06:00:00Z\n    reason: r\n    owner: o\n",
		`p.yaml:6:5: grants[0].to: is missing`},
	{"grant without end", head + "grants:\n  - {id: a, to: {user: aiko}, launch: [/srv/x], reason: r, owner: o}\n",
		`p.yaml:6:5: grants[0].expires: is missing; say when it ends, like 2026-12-01T06:00:00Z: an exception without an end is a hole`},
	{"grant that ends on a day", head + "grants:\n  - {id: a, to: {user: aiko}, launch: [/srv/x], expires: 2026-12-01, reason: r, owner: o}\n",
		`p.yaml:6:58: grants[0].expires: should be a time with its zone and is the date 2026-12-01; did you mean "2026-12-01T00:00:00Z"?`},
	{"grant to a role", head + "grants:\n  - {id: a, to: {role: php}, launch: [/srv/x], expires: 2026-12-01T06:00:00Z, reason: r, owner: o}\n",
		`p.yaml:6:24: grants[a].to.role: a role cannot stand here; give one of program, unit, user`},
	{"grant of nothing", head + "grants:\n  - {id: a, to: {user: aiko}, expires: 2026-12-01T06:00:00Z, reason: r, owner: o}\n",
		`p.yaml:6:5: grants[a]: grants nothing; give one of launch, write, read, utilities, surfaces, process`},
	{"grant of the guard", head + "grants:\n  - {id: a, to: {user: aiko}, write: [/etc/kannuki/x], expires: 2026-12-01T06:00:00Z, reason: r, owner: o}\n",
		`p.yaml:6:39: grants[a].write[0]: /etc/kannuki/x is the guard's own; no grant opens it; use kannuki-agent policy apply`},
	{"everything is updater", head + "updaters:\n  programs:\n    - {program: /usr/lib/systemd/systemd, why: starts}\n",
		`p.yaml:7:17: updaters.programs[updater:/usr/lib/systemd/systemd].program: every process descends from /usr/lib/systemd/systemd; name the program or unit that is meant`},
	{"updater anybody can change", head + "updaters:\n  programs:\n    - {program: /home/aiko/deploy, why: deploys}\n",
		`p.yaml:7:17: updaters.programs[updater:/home/aiko/deploy].program: /home/aiko/deploy is not in system space: whoever changes it would be trusted; install it below /usr or /opt`},
	{"exempt and contained", head + "containment:\n  contain: [{unit: sshd.service}]\n  exempt: [{unit: sshd.service, profile: login, why: w}]\n",
		`p.yaml:7:12: containment.exempt[exempt:sshd.service]: sshd.service is contained by rule contain:sshd.service and exempt from it here; keep one of the two`},
	{"unknown role", head + "spaces:\n  private:\n    - {path: /etc/x, readers: [{role: tsl}]}\n",
		`p.yaml:7:39: spaces.private[private:/etc/x].readers[0].role: there is no role "tsl"; did you mean "tls"?`},
	{"unknown utility", head + "utilities:\n  allow:\n    - {id: a, to: [{unit: a.service}], names: [crul], why: w}\n",
		`p.yaml:7:48: utilities.allow[a].names[0]: there is no utility "crul" in this policy; did you mean "curl"?`},
	{"unknown base", "version: 1\nname: web\nbase: standart\n",
		`p.yaml:3:7: base: there is no built-in policy "standart"; did you mean "standard"?`},
	{"unknown rule left out", head + "without: [\"system:/opts\"]\n",
		`p.yaml:5:11: without[0]: the base standard has no rule "system:/opts"; did you mean "system:/opt"?`},
	{"same rule twice", head + "spaces:\n  system:\n    - {path: /srv/a, seal: sealed}\n    - {path: /srv/a, seal: config}\n",
		`p.yaml:8:7: spaces.system[1]: rule "system:/srv/a" is also spaces.system[0]; join the two, or give one another id`},
	{"key that is none", head + "self:\n  keys: [{name: ops, key: 'ssh-ed25519 AAAA'}]\n",
		`p.yaml:6:27: self.keys[0].key: "ssh-ed25519 AAAA" is not a public key as kannuki token key prints it, like kannuki-key1:AAAA`},
	{"unit without ending", head + "containment:\n  contain: [{unit: nginx}]\n",
		`p.yaml:6:20: containment.contain[0].unit: "nginx" is not the name of a systemd unit with its ending, like nginx.service; did you mean "nginx.service"?`},
	{"no mode", "version: 1\nname: web\n",
		`mode: is missing`},
	{"newer version", "version: 2\nname: web\nbase: standard\n",
		`p.yaml:1:10: version: version 2 is not known here; this program reads version 1`},
	{"alias", head + "without: &a [system:/opt]\n",
		`p.yaml:5:10: without: anchors and aliases (& and *) are not read; write the value here, or quote the text`},
	{"merge key", head + "spaces:\n  <<: {system: []}\n",
		`p.yaml:6:3: spaces: merge keys (<<) are not read; start from a built-in policy with "base:"`},
	{"tag", head + "without: !!seq [system:/opt]\n",
		`p.yaml:5:10: without: the tag !!seq is not read; take it out, or quote the text`},
	{"no value", head + "grants:\n",
		`p.yaml:5:8: grants: has no value; give it one, or take the key out`},
	{"two documents", head + "---\nversion: 1\n",
		`a second document starts here; one file is one policy`},
	{"empty", "", `p.yaml:1:1: is empty; the shortest policy is "version: 1", a "name:" and "base: standard"`},
	{"no YAML", head + "grants: [\n", `is not YAML`},
	{"a list", "- a\n", `p.yaml:1:1: should be a group of keys and is a list`},
}

func TestEveryMistakeSaysWhereAndTheWayOut(t *testing.T) {
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			p, err := policyfile.Parse(strings.NewReader(m.text), "p.yaml")
			if err == nil {
				t.Fatalf("read as %+v", p.Name)
			}
			if !strings.Contains(err.Error(), m.want) {
				t.Errorf("got  %s\nwant %s", err, m.want)
			}
			if strings.HasPrefix(m.want, "p.yaml") && len(policyfile.Mistakes(err)) != 1 {
				t.Errorf("one mistake is reported %d times:\n%s", len(policyfile.Mistakes(err)), err)
			}
			if cmp.Diff(p, policy.Policy{}) != "" {
				t.Error("a policy came with the error")
			}
		})
	}
}

func TestAllMistakesAreReportedAtOnceInTheOrderOfTheFile(t *testing.T) {
	text := "version: 1\nname: Web Server\nmodes: enforce\nbase: standard\nspaces:\n  system:\n    - {path: srv, seal: open}\ngrants:\n  - {id: a, owner: 3}\n"
	_, err := policyfile.Parse(strings.NewReader(text), "p.yaml")
	// What stands in the wrong place or shape comes first; the words are judged when the shape is right.
	if got := lines(err); cmp.Diff(got, []string{"3:1", "9:20"}) != "" {
		t.Errorf("%v\n%v", got, err)
	}
	text = strings.NewReplacer("modes", "mode", "owner: 3", "owner: o").Replace(text)
	_, err = policyfile.Parse(strings.NewReader(text), "p.yaml")
	if got := lines(err); cmp.Diff(got, []string{"2:7", "7:14", "7:25", "9:5", "9:5", "9:5"}) != "" {
		t.Errorf("%v\n%v", got, err)
	}
}

func lines(err error) []string {
	var out []string
	for _, m := range policyfile.Mistakes(err) {
		out = append(out, fmt.Sprintf("%d:%d", m.Line, m.Column))
	}
	return out
}

func TestAPolicyStandsOnItsBase(t *testing.T) {
	text := head + `mode: observe
controls: {launch: enforce}
without: ["builder:/usr/bin/make"]
spaces:
  system:
    - {path: /opt, seal: config, why: ours}
    - {path: /srv/shop, seal: sealed}
`
	p, err := policyfile.Parse(strings.NewReader(text), "p.yaml")
	if err != nil {
		t.Fatal(err)
	}
	base, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range policy.Diff(base, p) {
		got[c.Rule] = c.Kind
	}
	want := map[string]string{"name": "changed", "system:/opt": "changed", "system:/srv/shop": "added", "builder:/usr/bin/make": "removed",
		"controls.write": "changed", "controls.process": "changed", "controls.utility": "changed", "controls.contain": "changed",
		"controls.kernel": "changed", "controls.private": "changed", "controls.self": "changed"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if p.Base != "" || p.Without != nil {
		t.Error("the joined policy still names its base")
	}
}

func TestBuiltinsAreSoundAndWise(t *testing.T) {
	for _, name := range policyfile.BuiltinNames() {
		p, err := policyfile.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Name != name {
			t.Errorf("%s calls itself %s", name, p.Name)
		}
		if problems := p.Validate(); problems != nil {
			t.Errorf("%s: %v", name, problems)
		}
		want := 0
		if name == "observe" || name == "strict" {
			want = 1 // that nothing is refused; that no key is named for tokens
		}
		if found := p.Check(noon); len(found) != want {
			t.Errorf("%s: %v", name, found)
		}
		for _, r := range p.Rules() {
			if r.Why == "" && !strings.HasPrefix(r.ID, "programs:") && !strings.HasPrefix(r.ID, "interpreter:") {
				t.Errorf("%s: rule %s has no reason", name, r.ID)
			}
		}
	}
}

func TestUnknownBuiltinNamesTheNearest(t *testing.T) {
	_, err := policyfile.Builtin("strickt")
	var unknown *policyfile.UnknownBuiltin
	if !errors.As(err, &unknown) || unknown.Near != "strict" {
		t.Fatalf("%v", err)
	}
	if _, err := policyfile.Builtin("x/../standard"); !errors.As(err, &unknown) {
		t.Fatalf("%v", err)
	}
}

// same tells whether Format loses nothing and repeats itself.
func same(t *testing.T, p policy.Policy) {
	t.Helper()
	text := policyfile.Format(p)
	again, err := policyfile.Parse(strings.NewReader(text), "formatted")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if d := cmp.Diff(p, again); d != "" {
		t.Fatalf("read back differently: %s\n%s", d, text)
	}
	if policyfile.Format(again) != text {
		t.Fatal("formatted differently the second time")
	}
}

func TestWhatIsFormattedReadsBackTheSame(t *testing.T) {
	for _, name := range policyfile.BuiltinNames() {
		p, err := policyfile.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		same(t, p)
	}
}

func TestFormatGolden(t *testing.T) {
	p := policy.Policy{Version: 1, Name: "x", Mode: policy.Enforce, Description: "two\nlines: \"and\" # more"}
	p.Containment.Edges = []policy.Edge{{ID: "edge:/usr/bin/a>/usr/bin/b", From: policy.Who{Program: "/usr/bin/a"}, To: "/usr/bin/b", Shell: true, Why: "yes"}}
	p.Grants = []policy.Grant{{ID: "g", To: policy.Who{User: "aiko"}, Launch: []string{"/srv/a", "~/b"}, Expires: noon, Reason: "10", Owner: "o"}}
	want := `version: 1
name: x
description: "two\nlines: \"and\" # more"
mode: enforce
containment:
  edges:
    - from: {program: /usr/bin/a}
      to: /usr/bin/b
      shell: true
      why: "yes"
grants:
  - id: g
    to: {user: aiko}
    launch: [/srv/a, ~/b]
    expires: 2026-11-23T12:00:00Z
    reason: "10"
    owner: o
`
	if d := cmp.Diff(want, policyfile.Format(p)); d != "" {
		t.Error(d)
	}
}

func TestTheExamplesOfTheDocumentsAreRead(t *testing.T) {
	for _, name := range []string{"policy.md", "guard.md"} {
		page, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(string(page), "```yaml\n")[1:]
		if len(blocks) < 2 {
			t.Fatalf("%s: %d examples", name, len(blocks))
		}
		for _, b := range blocks {
			text, _, _ := strings.Cut(b, "```")
			p, err := policyfile.Parse(strings.NewReader(text), "docs/"+name)
			if err != nil {
				t.Fatal(err)
			}
			same(t, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range mistakes {
		f.Add(m.text)
	}
	for _, name := range policyfile.BuiltinNames() {
		text, err := policyfile.BuiltinText(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(head + "trusted:\n  - {file: /home/a/b, sha256: " + strings.Repeat("0f", 32) + ", to: [{user: a}], why: \"\\u0007 x\\\\ '\\n\"}\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := policyfile.Parse(strings.NewReader(text), "fuzz")
		if err != nil {
			if len(policyfile.Mistakes(err)) == 0 {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		same(t, p)
		p.Check(noon)
		p.Explain(policy.Question{Op: policy.Exec, Path: "/tmp/x", As: policy.AsContained})
	})
}

func BenchmarkBuiltin(b *testing.B) {
	for b.Loop() {
		if _, err := policyfile.Builtin(policyfile.Default); err != nil {
			b.Fatal(err)
		}
	}
}
