//go:build benchguard && linux

package benchguard

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/internal/vm"
)

// lib is system space of the test machine, where the measuring programs lie.
const lib = "/usr/libexec/bench"

// data is user space, as in work.c.
const data = "/var/tmp/bench"

// programs is the work program by actor: what the policies and profiles name are
// files, so an actor is a copy of it.
func programs() map[string]string {
	return map[string]string{Plain: lib + "/work", Contained: lib + "/work", Interpreter: lib + "/interpreter"}
}

// TestTables prints the tables, one for each kernel and way of attaching. KERNEL=6.1
// and TIER=2 choose, CASES=guard,fapol. leaves out.
func TestTables(t *testing.T) {
	built := buildPrograms(t)
	for _, series := range vm.Matrix() {
		for tier := 1; tier <= 3; tier++ {
			if !chosen("KERNEL", series) || !chosen("TIER", fmt.Sprint(tier)) {
				continue
			}
			t.Run(fmt.Sprintf("%s/tier%d", series, tier), func(t *testing.T) { table(t, built, series, tier) })
		}
	}
}

// chosen tells whether a word is in a list of the environment; no list is all words.
func chosen(name, word string) bool {
	list := os.Getenv(name)
	return list == "" || slices.Contains(strings.Split(list, ","), word)
}

// rig is one machine under way.
type rig struct {
	*vm.Server
	t        *testing.T
	reduced  bool              // the third tier
	programs map[string]string // by actor
	loaded   bool              // the holder runs
	notes    []string          // below the table
}

func table(t *testing.T, built, series string, tier int) {
	kernel := vm.Kernel(t, series)
	lsm := kernel.WithBPF(t)
	if tier == 2 {
		lsm = kernel.WithoutBPF(t)
	}
	config := vm.Config{Kernel: kernel, LSM: lsm, CPUs: 1, ICount: true, Memory: 2048, Timeout: 15 * time.Minute}
	m := rig{Server: vm.Debian(t, config), t: t, reduced: tier == 3, programs: programs()}
	m.furnish(built)
	figures := Figures{}
	for _, c := range []struct {
		column string
		begin  func() (end func())
	}{
		{"off", func() func() { return func() {} }},
		{"guard", func() func() { return m.guard(0) }},
		{"+1k", func() func() { return m.guard(1000) }},
		{"+10k", func() func() { return m.guard(10_000) }},
		{"fapol.", func() func() { m.unloadGuard(); return m.fapolicyd() }},
		{"AppA.", func() func() { m.unloadGuard(); return m.appArmor() }},
	} {
		if c.column != "off" && !chosen("CASES", c.column) {
			continue
		}
		began := time.Now()
		end := c.begin()
		fmt.Fprintf(os.Stderr, "%s tier %d %s: in place after %.0f s", series, tier, c.column, time.Since(began).Seconds())
		if end == nil {
			continue // a note says why
		}
		figures[c.column] = m.measure()
		end()
		fmt.Fprintf(os.Stderr, ", measured after %.0f s\n", time.Since(began).Seconds())
	}
	m.unloadGuard()
	figures.Print(os.Stdout, fmt.Sprintf("Linux %s, tier %d: instructions of one operation, and ratios", m.Kernel(), tier))
	for _, note := range m.notes {
		fmt.Println(note)
	}
}

// buildPrograms compiles what the machines run, static, into a folder.
func buildPrograms(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	goTool := os.Getenv("GO")
	if goTool == "" {
		goTool = "go"
	}
	if err := os.WriteFile(filepath.Join(dir, "true.c"), []byte("int main(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{goTool, "build", "-trimpath", "-o", filepath.Join(dir, "holder"), "./holder"},
		{"gcc", "-O2", "-Wall", "-static", "-o", filepath.Join(dir, "work"), "work/work.c"},
		{"gcc", "-O2", "-static", "-o", filepath.Join(dir, "true"), filepath.Join(dir, "true.c")},
	} {
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, out)
		}
	}
	return dir
}

// furnish puts programs and files in place, and lets the machine come to rest.
func (m *rig) furnish(built string) {
	m.t.Helper()
	for to, from := range map[string]string{lib + "/holder": "holder", lib + "/work": "work", lib + "/interpreter": "work", lib + "/confined": "work", lib + "/true": "true"} {
		m.Push(m.t, filepath.Join(built, from), to)
	}
	m.Push(m.t, "work/build.c", data+"/build.c")
	m.Push(m.t, "work/work.c", data+"/file")
	m.shell("mkdir -p /etc/bench /srv/rules; cd /srv/rules; seq 0 9999 | xargs mkdir; " +
		"for f in /etc/bench/file " + data + "/name1 " + lib + "/file " + lib + "/file.py; do echo 1 >$f; done; sync; sleep 5")
}

// shell runs a script as root and returns what it printed.
func (m *rig) shell(script string) string {
	m.t.Helper()
	r := m.Run(m.t, "", "sh", "-ec", script)
	if r.ExitCode != 0 {
		m.t.Fatalf("%s\nexit status %d: %s", script, r.ExitCode, r.Output)
	}
	return r.Stdout
}

// processes is in how many processes an operation is measured. What one finds in memory
// differs from what the next one does, and a fork copies it; and now and then leaving any
// program costs 500 instructions more for the rest of a process (docs/performance.md).
const processes = 4

// measure runs every operation as every actor in several processes, and the least counts.
// What takes long is measured in one: it is far more than what differs.
func (m *rig) measure() map[Row]float64 {
	m.t.Helper()
	figures := map[Row]float64{}
	for _, actor := range []string{Plain, Contained, Interpreter} {
		all := Operations(actor)
		m.run(figures, actor, all)
		brief := slices.DeleteFunc(all, func(name string) bool { return name == "build" })
		for range processes - 1 {
			m.run(figures, actor, brief)
		}
	}
	return figures
}

// run lowers figures to what one run of the work program says.
func (m *rig) run(figures map[Row]float64, actor string, operations []string) {
	m.t.Helper()
	r := m.Run(m.t, "", append([]string{m.programs[actor], actor}, operations...)...)
	if r.ExitCode != 0 {
		m.t.Errorf("%s as %s: exit status %d: %s", m.programs[actor], actor, r.ExitCode, r.Output)
		return
	}
	read, err := Read(r.Stdout, actor)
	if err != nil {
		m.t.Error(err)
	}
	for row, n := range read {
		if old, measured := figures[row]; !measured || n < old {
			figures[row] = n
		}
	}
}

const holding = "/run/holder"

// loadGuard starts the holder, which has the programs in the kernel until it ends.
func (m *rig) loadGuard() {
	m.t.Helper()
	how := ""
	if m.reduced {
		how = " reduced"
	}
	m.shell(fmt.Sprintf(`rm -rf %[1]s; mkdir %[1]s; mkfifo %[1]s/asked; cd %[1]s
setsid sh -c 'exec sleep 86400 >%[1]s/asked' >/dev/null 2>&1 & echo $! >until
setsid sh -c '%[2]s/holder%[3]s <%[1]s/asked >>%[1]s/said 2>%[1]s/wrong; echo >%[1]s/done' >/dev/null 2>&1 &`, holding, lib, how))
}

// guard puts the guard in force with so many rules more than the standard policy.
func (m *rig) guard(more int) func() {
	m.t.Helper()
	if !m.loaded {
		m.loadGuard()
		m.loaded = true
	}
	said := m.shell(fmt.Sprintf(`cd %s; : >said
[ -e done ] || echo %d >asked
n=0; until [ -s said ] || [ -e done ] || [ $n -ge 1800 ]; do sleep 0.1; n=$((n+1)); done
[ -s said ] || { echo "no answer after $n times 0.1 s" >>wrong; ps axo pid,stat,wchan:20,args >>wrong; }
cat said`, holding, more))
	if said == "" {
		m.notes = append(m.notes, fmt.Sprintf("guard with %d rules more: %s", more, m.shell("cat "+holding+"/wrong")))
		return nil
	}
	var s struct {
		Open, Apply float64 // seconds
		Tier        string
		KernelBytes int64
		Rules       int
	}
	if err := json.Unmarshal([]byte(said), &s); err != nil {
		m.t.Fatalf("the holder said %q: %v", said, err)
	}
	memory := m.shell("awk '/VmRSS/{print $2}' /proc/$(pidof holder)/status")
	m.notes = append(m.notes, fmt.Sprintf("guard, %d rules: loaded in %.2f G instructions, in force in %.2f G more;\n  holder %s kB resident, kernel maps %d kB",
		s.Rules, s.Open, s.Apply, strings.TrimSpace(memory), s.KernelBytes>>10))
	return func() {}
}

// unloadGuard ends the holder. The kernel frees what it held a little later.
func (m *rig) unloadGuard() {
	m.t.Helper()
	if !m.loaded {
		return
	}
	m.loaded = false
	m.shell(fmt.Sprintf("cd %s; kill $(cat until); until [ -e done ]; do sleep 0.1; done; sleep 3", holding))
}
