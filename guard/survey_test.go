package guard

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/guard/ruleset"
)

const nobody = ^uint32(0) // no login

func surveyed(rs ruleset.Ruleset, bits []uint16, first bool, running ...process) *surveyor {
	v := newSurveyor(staging{rs: rs, bits: bits, first: first})
	for _, p := range running {
		v.table[p.pid] = p
	}
	return v
}

func TestARunningProcessGetsTheLabelItWouldHaveBeenGiven(t *testing.T) {
	rs := ruleset.Ruleset{Enforce: ruleset.ControlContain, Listeners: true,
		Programs: []ruleset.Program{
			{Path: "/usr/bin/git", Lineage: 1},
			{Path: "/usr/sbin/nginx", Flags: ruleset.Contained, Lineage: 2},
			{Path: "/usr/sbin/sshd", Flags: ruleset.Exempt},
			{Path: "/usr/bin/make", Flags: ruleset.Builder},
		},
		Lineages: []ruleset.Lineage{
			{Name: "program /usr/bin/git"}, {Name: "program /usr/sbin/nginx"},
			{Name: "unit db@.service", Unit: "db@.service", Flags: ruleset.Contained}, {Name: "user aiko", User: true, UID: 1000}, {Name: "unit cron.service", Unit: "cron.service"},
		}}
	bits := []uint16{1, 2, 3, 65, 0} // there was no room for the last
	first := process{pid: 1, exe: "/usr/lib/systemd/systemd", known: true, login: nobody, faces: true}
	nginx := process{pid: 10, parent: 1, exe: "/usr/sbin/nginx", known: true, login: nobody}
	worker := process{pid: 11, parent: 10, exe: "/usr/bin/git", known: true, login: nobody}
	sshd := process{pid: 20, parent: 1, exe: "/usr/sbin/sshd", known: true, login: nobody, faces: true}
	make := process{pid: 21, parent: 20, exe: "/usr/bin/make", known: true, login: 1000}
	for _, c := range []struct {
		why      string
		is       process
		adopted  bool // labels were kept before
		flags    ruleset.Flags
		lineages []int // bits
	}{
		{"a program that is contained", nginx, false, ruleset.Contained, []int{1}},
		{"its descendant", worker, false, ruleset.Contained, []int{0, 1}},
		{"its descendant where labels tell who left containment", worker, true, 0, []int{0, 1}},
		{"another file of that path", process{pid: 12, parent: 1, exe: "/usr/sbin/nginx", login: nobody}, false, 0, nil},
		{"an instance of a unit", process{pid: 13, parent: 1, exe: "/usr/bin/db", known: true, unit: "db@main.service", login: nobody}, false, ruleset.Contained, []int{2}},
		{"a unit there was no room for", process{pid: 14, parent: 1, exe: "/usr/sbin/cron", known: true, unit: "cron.service", login: nobody}, false, 0, nil},
		{"a listener", process{pid: 15, parent: 1, exe: "/opt/web", known: true, login: nobody, faces: true}, false, ruleset.Contained, nil},
		{"a listener that is exempt", sshd, false, ruleset.Exempt, nil},
		{"a session below it", make, false, ruleset.Builder, []int{64}},
		{"a child of the first process, which listens for others", process{pid: 16, parent: 1, exe: "/bin/true", known: true, login: nobody}, false, 0, nil},
	} {
		v := surveyed(rs, bits, !c.adopted, first, nginx, worker, sshd, make, c.is)
		want := bpf.GuardLabel{Flags: uint32(c.flags)}
		for _, bit := range c.lineages {
			want.Lineages[bit/64] |= 1 << (bit % 64)
		}
		var got bpf.GuardLabel
		if v.become(&got, c.is); got != want {
			t.Errorf("%s: flags %#x, lineages %v; want %#x, %v", c.why, got.Flags, got.Lineages, want.Flags, want.Lineages)
		}
	}
}

func TestSocketsThatListenBeyondLoopbackAreToldFromOthers(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	line := func(local, state, inode string) string {
		return "   0: " + local + " 00000000:0000 " + state + " 00000000:00000000 00:00000000 00000000     0        0 " + inode + " 1\n"
	}
	file := filepath.Join(t.TempDir(), "table")
	for _, c := range []struct {
		why, line string
		datagrams bool
		faces     bool
	}{
		{"everywhere", line("00000000:0050", "0A", "7"), false, true},
		{"on an address", line("0500000A:0050", "0A", "7"), false, true},
		{"on loopback", line("0100007F:0050", "0A", "7"), false, false},
		{"on another address of loopback", line("3500007F:0035", "0A", "7"), false, false},
		{"connected", line("0500000A:0050", "01", "7"), false, false},
		{"everywhere, IPv6", line("00000000000000000000000000000000:0050", "0A", "7"), false, true},
		{"on loopback, IPv6", line("00000000000000000000000001000000:0050", "0A", "7"), false, false},
		{"on loopback of IPv4 in IPv6", line("0000000000000000FFFF00000100007F:0050", "0A", "7"), false, false},
		{"datagrams", line("00000000:0035", "07", "7"), true, true},
		{"datagrams that only ask", line("00000000:8003", "07", "7"), true, false},
		{"datagrams, connected", line("00000000:0035", "01", "7"), true, false},
		{"no address", line("xyz:0050", "0A", "7"), false, false},
		{"a short line", "   0: 00000000:0050 00000000:0000 0A\n", false, false},
	} {
		if err := os.WriteFile(file, []byte(head+c.line), 0o600); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		exposed{chosen: 32768}.readTable(file, c.datagrams, got)
		if got["7"] != c.faces || len(got) > 1 {
			t.Errorf("%s: %v, want %v", c.why, got, c.faces)
		}
	}
}

// BenchmarkSurvey works out what 300 processes are, by a policy of as many programs as
// the built-in one names on a server.
func BenchmarkSurvey(b *testing.B) {
	rs := ruleset.Ruleset{Enforce: ruleset.ControlContain, Listeners: true}
	for i := range 3239 {
		rs.Programs = append(rs.Programs, ruleset.Program{Path: fmt.Sprintf("/usr/bin/program%d", i)})
	}
	for i := range 200 {
		rs.Lineages = append(rs.Lineages, ruleset.Lineage{Unit: fmt.Sprintf("unit%d.service", i)})
	}
	var running []process
	for i := range 300 {
		running = append(running, process{pid: i + 2, parent: 1 + i%4, exe: fmt.Sprintf("/usr/bin/program%d", i*10), known: true, unit: "unit7.service", login: nobody})
	}
	for b.Loop() {
		v := surveyed(rs, make([]uint16, len(rs.Lineages)), true, running...)
		for _, p := range running {
			var l bpf.GuardLabel
			v.become(&l, p)
		}
	}
}

// What has ended may have started another that was not listed yet: it takes one more
// look, once.
func TestASurveyLooksAgainAfterWhatHasEnded(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait() // until then it is a zombie
	pid := cmd.Process.Pid
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if p, err := readLineage(pid); err == nil && p.ended {
			break
		}
		if time.Now().After(until) {
			t.Fatal("it does not end")
		}
	}
	v := surveyed(ruleset.Ruleset{}, nil, true)
	fresh, all, err := v.readNew()
	if err != nil || all || slices.Contains(fresh, pid) {
		t.Errorf("fresh %v, all %v, %v; want %d not among them, and not all", slices.Contains(fresh, pid), all, err, pid)
	}
	if _, known := v.table[pid]; !known {
		t.Error("it is looked at a second time")
	}
}

// endFirst is the environment variable by which this program ends its own first thread.
const endFirst = "KANNUKI_TEST_END_FIRST"

func init() {
	if os.Getenv(endFirst) == "" {
		return
	}
	go func() {
		time.Sleep(time.Minute)
		os.Exit(0)
	}()
	unix.Syscall(unix.SYS_EXIT, 0, 0, 0)
}

func TestAProcessWhoseFirstThreadHasEndedIsStillWhatItRuns(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), endFirst+"=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	dir := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := os.Readlink(dir + "exe"); err != nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal("its first thread does not end")
		}
	}
	p, err := readProcess(cmd.Process.Pid, exposed{inodes: map[string]map[string]bool{}})
	if err != nil || p.exe != self || p.parent != os.Getpid() || p.ended {
		t.Errorf("%+v, %v; want %s below %d", p, err, self, os.Getpid())
	}
}
