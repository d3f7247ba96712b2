//go:build guest && linux

package guard_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// groups is where control groups are; a unit is one called NAME.service.
const groups = "/sys/fs/cgroup"

// Places of the tests, made afresh for each ruleset.
const (
	config  = "/etc/t" // configuration: contained processes do not change it
	data    = "/srv/t" // somebody's
	persist = "/var/t" // what starts later
	scrap   = "/tmp/t" // user space that nothing names
	bin     = "/usr/t" // system space
	probe   = config + "/probe"
)

// The programs of the tests are all the same file: what they are is what the ruleset
// makes of their names.
const (
	server = bin + "/server" // nothing in particular
	other  = bin + "/other"  // nothing in particular either
)

// world is a ruleset that is built by hand.
type world struct {
	ruleset.Ruleset
	members map[string]int // lineages by name
}

// everything is enforced, and listening contains.
func newWorld() *world {
	return &world{Ruleset: ruleset.Ruleset{
		Enforce:   ruleset.ControlLaunch | ruleset.ControlWrite | ruleset.ControlContain | ruleset.ControlUtility | ruleset.ControlPrivate | ruleset.ControlKernel,
		Listeners: true, Rules: []string{"", "rule"}, Groups: make([]ruleset.Group, 1), Extensions: []string{".py"},
		Places: []ruleset.Place{{Path: "/bin", Flags: ruleset.Launches | ruleset.Sealed}, {Path: "/etc", Flags: ruleset.Launches | ruleset.Config},
			{Path: "/usr", Flags: ruleset.Launches | ruleset.Sealed}},
	}, members: map[string]int{}}
}

// place names one more place.
func (w *world) place(p ruleset.Place) *world {
	w.Places = append(w.Places, p)
	slices.SortFunc(w.Places, func(a, b ruleset.Place) int { return strings.Compare(a.Path, b.Path) })
	return w
}

func (w *world) program(p ruleset.Program) *world {
	w.Programs = append(w.Programs, p)
	return w
}

// lineage is the number of a lineage, made where it is new.
func (w *world) lineage(l ruleset.Lineage) int {
	if i, ok := w.members[l.Name]; ok {
		return i
	}
	w.Lineages = append(w.Lineages, l)
	w.members[l.Name] = len(w.Lineages) - 1
	return len(w.Lineages) - 1
}

// of is the group of these lineages: "demo.service" is a unit, "user 1000" an account,
// "/usr/t/x" a program.
func (w *world) of(names ...string) uint16 {
	var g ruleset.Group
	for _, name := range names {
		g.Members = append(g.Members, w.named(name))
	}
	slices.Sort(g.Members)
	w.Groups = append(w.Groups, g)
	return uint16(len(w.Groups) - 1)
}

func (w *world) named(name string) int {
	switch {
	case strings.HasSuffix(name, ".service"):
		return w.lineage(ruleset.Lineage{Name: "unit " + name, Unit: name})
	case strings.HasPrefix(name, "user "):
		return w.lineage(ruleset.Lineage{Name: name, User: true, UID: integer(strings.TrimPrefix(name, "user "))})
	}
	if i, ok := w.members["program "+name]; ok {
		return i
	}
	i := w.lineage(ruleset.Lineage{Name: "program " + name})
	if at := slices.IndexFunc(w.Programs, func(p ruleset.Program) bool { return p.Path == name }); at >= 0 {
		w.Programs[at].Lineage = i + 1
	} else {
		w.program(ruleset.Program{Path: name, Lineage: i + 1})
	}
	return i
}

// scene is what one actor does. Each line of its script is how a step ends and the step,
// two blanks between them.
type scene struct {
	name   string
	actor  string
	script string
	files  []*os.File // inherited, from descriptor 3 on
}

// serves is the beginning of what a contained process does.
const serves = "ok  listen tcp4 0.0.0.0:0\n"

// hold checks that scenes go as they are written under w, and that nothing of what is
// refused there is refused without it.
func hold(t *testing.T, w *world, scenes ...scene) {
	t.Helper()
	holdIn(t, w, func(*testing.T) {}, scenes...)
}

// holdIn is hold where there is more in the places than furnish puts there.
func holdIn(t *testing.T, w *world, more func(*testing.T), scenes ...scene) {
	t.Helper()
	g := theGuard(t)
	if _, err := g.ApplyRuleset(ruleset.Ruleset{}); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenes {
		if !strings.Contains(s.script, "refused") {
			continue
		}
		furnish(t)
		more(t)
		if got, want := s.play(t), strings.ReplaceAll(s.script, "refused", "ok"); !slices.Equal(got, outcomes(want)) {
			t.Errorf("%s: without the guard it does not work:\n%s", s.name, beside(s.script, got))
		}
	}
	furnish(t)
	more(t)
	under(t, w.Ruleset)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			before := s.stakes()
			if got := s.play(t); !slices.Equal(got, outcomes(s.script)) {
				t.Errorf("it went otherwise:\n%s", beside(s.script, got))
			}
			if after := s.stakes(); !maps.Equal(before, after) {
				t.Errorf("refused, and done all the same: there was %q, there is %q", before, after)
			}
		})
	}
}

// stakes are the contents of the files that the actor is refused to write, and does not
// touch otherwise; "absent" of one that is not there.
func (s scene) stakes() map[string]string {
	out := map[string]string{}
	for _, l := range lines(s.script) {
		want, step, _ := strings.Cut(strings.TrimSpace(l), "  ")
		words := strings.Fields(step)
		if want != "refused" || len(words) != 2 || words[0] != "write" && words[0] != "create" && words[0] != "fork" {
			continue
		}
		if s.touches(words[1]) {
			continue
		}
		out[words[1]] = "absent"
		if b, err := os.ReadFile(words[1]); err == nil {
			out[words[1]] = string(b)
		}
	}
	return out
}

// touches tells whether a step that is allowed names the file, or a directory above it.
func (s scene) touches(file string) bool {
	for _, l := range lines(s.script) {
		want, step, _ := strings.Cut(strings.TrimSpace(l), "  ")
		for _, word := range strings.Fields(step) {
			if want == "ok" && strings.HasPrefix(word, "/") && strings.HasPrefix(file, word) {
				return true
			}
		}
	}
	return false
}

func lines(script string) []string {
	return slices.DeleteFunc(strings.Split(script, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
}

func outcomes(script string) []string {
	var out []string
	for _, l := range lines(script) {
		want, _, _ := strings.Cut(strings.TrimSpace(l), "  ")
		out = append(out, want)
	}
	return out
}

// play lets the actor act and returns how its steps ended.
func (s scene) play(t *testing.T) []string {
	t.Helper()
	actor := s.actor
	if actor == "" {
		actor = server
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, actor, "act")
	cmd.WaitDelay = time.Second
	for _, l := range lines(s.script) {
		_, step, _ := strings.Cut(strings.TrimSpace(l), "  ")
		cmd.Args = append(cmd.Args, strings.TrimSpace(step))
	}
	cmd.ExtraFiles = s.files
	var said, cried strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &cried
	if err := cmd.Run(); err != nil {
		t.Logf("%s ended with %v: %s", s.name, err, cried.String())
	}
	return lines(said.String())
}

// beside shows a script with what came of it.
func beside(script string, got []string) string {
	var b strings.Builder
	for i, l := range lines(script) {
		was := "(nothing)"
		if i < len(got) {
			was = got[i]
		}
		b.WriteString("\t" + was + "\t<- " + strings.TrimSpace(l) + "\n")
	}
	return b.String()
}

// put writes a file and the directories it is in.
func put(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
}

// furnish makes the places of the tests as they are before anybody acts.
func furnish(t *testing.T) {
	t.Helper()
	for _, dir := range []string{persist + "/spool", persist, config, data, scrap} {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(scrap, 0o777); err != nil {
		t.Fatal(err)
	}
	if !exists(server) {
		installPrograms(t)
	}
	put(t, probe, "configured\n", 0o666)
	put(t, config+"/plain", "no program\n", 0o644)
	put(t, config+"/of/demo", "of demo.service\n", 0o666)
	put(t, scrap+"/code.py", "code\n", 0o644)
	put(t, data+"/file", "data\n", 0o666)
	put(t, data+"/secret/key", "secret\n", 0o666)
	units(t, "demo.service", "demo.service/inner.service", "pg@15-main.service", "exempt.service", "long.service",
		"user@1000.service/app.slice/demo.service", "user@1000.service/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/demo.service")
}

// installPrograms makes the programs of the tests.
func installPrograms(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	put(t, server, string(self), 0o755)
	for _, name := range []string{"other", "tool", "helper", "shell", "python", "exempt", "master", "setuid", "setgid"} {
		how := os.Link
		if strings.HasPrefix(name, "set") {
			how = func(from, to string) error { return os.WriteFile(to, self, 0o755) }
		}
		if err := how(server, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(bin+"/setuid", 0o755|os.ModeSetuid), os.Chmod(bin+"/setgid", 0o755|os.ModeSetgid)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/setuid", "/setgid"} {
		put(t, bin+name+"-script", "#!"+bin+name+" act\n", 0o755)
	}
	put(t, bin+"/garbage", "no program of any kind\n", 0o755)
	put(t, bin+"/script", "#!"+bin+"/tool act\n", 0o755)
}

// units makes control groups.
func units(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(groups, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
