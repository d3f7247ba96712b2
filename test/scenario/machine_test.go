//go:build linux && amd64

package scenario_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm"
	"github.com/kannuki/kannuki/test/scenario"
)

// machine is a Debian server with the attacked services in it.
type machine struct {
	*vm.Server
	began time.Time
}

// addresses of the services that each actor works through; a visitor has none.
var addresses = map[string]string{
	scenario.WWWData:       "127.0.0.1:7001",
	scenario.Root:          "127.0.0.1:7002",
	scenario.Administrator: "127.0.0.1:7003",
}

// owners of a step's directories.
var owners = map[string]string{
	scenario.WWWData: "www-data", scenario.Root: "root", scenario.Administrator: "root", scenario.Visitor: "root",
	"alice": "alice", "system": "root"}

const (
	attackerPath = "/usr/lib/attacker/attacker"
	chunk        = 40 << 10 // of a command's input, which goes in one frame
)

// build compiles a program of this module for the machines.
func build(t testing.TB, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), filepath.Base(pkg))
	cmd := exec.Command("go", "build", "-trimpath", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", pkg, err, said)
	}
	return out
}

// start boots a server, or restores it, and puts the attacked services into it.
func start(t testing.TB, c vm.Config) *machine {
	t.Helper()
	m := &machine{began: time.Now()}
	attacker := build(t, "github.com/kannuki/kannuki/test/scenario/attacker")
	c.Timeout = 10 * time.Minute
	m.Server = vm.Debian(t, c)
	m.Push(t, attacker, attackerPath)
	setup, err := os.ReadFile("testdata/setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	m.must(t, "sh", string(setup))
	m.logIn(t)
	m.note(t, "the machine is set up")
	return m
}

// note logs how long it has taken up to here.
func (m *machine) note(t testing.TB, what string) {
	t.Helper()
	t.Logf("%6.1f s  %s", time.Since(m.began).Seconds(), what)
}

// logIn opens the connections that sessions go through, and the administrator's own
// copy of the attacker in one of them.
func (m *machine) logIn(t testing.TB) {
	t.Helper()
	m.must(t, "sh", `set -e
for who in alice root; do
	ssh -f -N $who@127.0.0.1 </dev/null >/dev/null 2>&1
done
setsid ssh root@127.0.0.1 'exec `+attackerPath+` serve 127.0.0.1:7003' </dev/null >/dev/null 2>&1 &
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	nc -z 127.0.0.1 7001 && nc -z 127.0.0.1 7002 && nc -z 127.0.0.1 7003 && exit 0
	sleep 0.5
done
systemctl status attacker@root attacker@www-data
exit 1`)
}

// must runs a shell script as root that has to end well.
func (m *machine) must(t testing.TB, name, script string) string {
	t.Helper()
	r := m.Do(t, vm.Command{Args: []string{"sh", "-s"}, Stdin: []byte(script), Merge: true})
	if r.ExitCode != 0 {
		t.Fatalf("%s: exit status %d\n%s", name, r.ExitCode, r.Output)
	}
	return r.Stdout
}

// inChunks gives texts to a command in as few calls as its input allows.
func (m *machine) inChunks(t testing.TB, texts []string, args ...string) string {
	t.Helper()
	var out, in strings.Builder
	flush := func() {
		if in.Len() == 0 {
			return
		}
		r := m.Do(t, vm.Command{Args: args, Stdin: []byte(in.String())})
		if r.ExitCode != 0 {
			t.Fatalf("%s: exit status %d\n%s", strings.Join(args, " "), r.ExitCode, lastLines(r.Output, 20))
		}
		out.WriteString(r.Stdout)
		in.Reset()
	}
	for _, text := range texts {
		if in.Len()+len(text) > chunk {
			flush()
		}
		in.WriteString(text)
	}
	flush()
	return out.String()
}

// prepare makes every step's directories, runs its preparation and reports what fails.
func (m *machine) prepare(t testing.TB, all []scenario.Instance) {
	t.Helper()
	ids := map[string]string{"root": "0"}
	for _, who := range []string{"alice", "www-data"} {
		ids[who] = strings.TrimSpace(m.must(t, "id", "id -u "+who))
	}
	var directories, scripts []string
	for _, i := range all {
		owner := owners[i.Actor]
		var do [][]string
		for _, d := range i.Directories() {
			id := "0"
			if d.Own {
				id = ids[owner]
			}
			do = append(do, []string{"directory", d.Path, id})
		}
		directories = append(directories, stepLine(t, i.N, "", do))
		if script := i.Preparation(); script != "" {
			scripts = append(scripts, fmt.Sprintf("said=$(exec 2>&1 </dev/null; set -e; %s\n) || echo %s:%d: \"$said\"\n", script, i.File, i.Line))
		}
	}
	for line := range strings.Lines(m.inChunks(t, directories, attackerPath, "ask")) {
		if !strings.Contains(line, `"Error":""`) {
			t.Fatalf("making directories: %s", line)
		}
	}
	if failed := m.inChunks(t, scripts, "sh", "-s"); failed != "" {
		t.Fatalf("preparations failed:\n%s", failed)
	}
}

// stepLine is a step as the attacker reads it.
func stepLine(t testing.TB, name, to string, do [][]string) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"Name": name, "To": to, "Do": do})
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// result is how one step ended.
type result struct {
	Name         string
	Error        string
	Output       string
	Began, Ended time.Time
	cameOff      bool    // what shows it holds
	before       *result // of what root did right before it; nil for nothing
	after        *result // of looking, and of taking back what is to be undone
}

// Beside a step, in its name: what is done right before it and right after it.
const (
	approach = "/before"
	look     = "/look"
)

// attack lets each actor do its steps, and looks at the machine after each.
func (m *machine) attack(t testing.TB, all []scenario.Instance, guarded bool) map[string]*result {
	t.Helper()
	results := map[string]*result{}
	for _, actor := range scenario.Actors {
		var steps []string
		for _, i := range all {
			if i.Actor == actor && i.ID != "" {
				steps = append(steps, lines(t, i, guarded)...)
			}
		}
		for line := range strings.Lines(m.inChunks(t, steps, attackerPath, "ask")) {
			r := &result{}
			if err := json.Unmarshal([]byte(line), r); err != nil {
				t.Fatalf("the attacker answered %q: %v", line, err)
			}
			r.into(results)
		}
	}
	return results
}

// lines are a step as the attacker reads it, with what root does before and after it.
func lines(t testing.TB, i scenario.Instance, guarded bool) []string {
	t.Helper()
	do, err := i.Operations()
	if err != nil {
		t.Fatal(err)
	}
	steps := []string{stepLine(t, i.N, addresses[i.Actor], do)}
	if script := i.Approach(guarded); script != "" {
		steps = append([]string{rootLine(t, i.N+approach, "set -e\n"+script)}, steps...)
	}
	return append(steps, rootLine(t, i.N+look, i.Look()))
}

// slowest logs where the time went: what waits there keeps all others waiting.
func slowest(t testing.TB, results map[string]*result) {
	t.Helper()
	took := func(r *result) time.Duration {
		if r == nil {
			return 0
		}
		return r.Ended.Sub(r.Began)
	}
	whole := func(r *result) time.Duration { return took(r.before) + took(r) + took(r.after) }
	var before, itself, after time.Duration
	for _, r := range results {
		before, itself, after = before+took(r.before), itself+took(r), after+took(r.after)
	}
	t.Logf("%d steps: %.0f s before them, %.0f s themselves, %.0f s looking and undoing", len(results), before.Seconds(), itself.Seconds(), after.Seconds())
	all := slices.SortedFunc(maps.Values(results), func(a, b *result) int { return cmp.Compare(whole(b), whole(a)) })
	for _, r := range all[:min(len(all), 20)] {
		t.Logf("%6.1f s  took %s: %.1f before it, %.1f itself", whole(r).Seconds(), r.Name, took(r.before).Seconds(), took(r).Seconds())
	}
}

// rootLine is a script that no service does, but whoever hands out the steps.
func rootLine(t testing.TB, name, script string) string {
	t.Helper()
	return stepLine(t, name, "", [][]string{{"run", "sh", "-c", script}})
}

// into puts what was done for a step to the step's own result.
func (r *result) into(results map[string]*result) {
	if n, ok := strings.CutSuffix(r.Name, look); ok {
		said, _, _ := strings.Cut(r.Output, "\n")
		results[n].cameOff, results[n].after = said == scenario.CameOff, r
		return
	}
	if n, ok := strings.CutSuffix(r.Name, approach); ok {
		results[n] = &result{Name: n, before: r}
		return
	}
	if before := results[r.Name]; before != nil {
		r.before = before.before
	}
	results[r.Name] = r
}

// notReady is why a step proves nothing: what had to be there before it is not.
func (r *result) notReady() string {
	if r.before == nil || r.before.Error == "" {
		return ""
	}
	return r.before.Error + "\n" + r.before.Output
}
