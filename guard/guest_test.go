//go:build guest && linux

package guard_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/internal/vm/guest"
)

// The attacker is this binary, installed in system space, told by its name.
const attacker = "/usr/bin/attacker"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "act" {
		os.Exit(goThrough(os.Args[2:]))
	}
	if len(os.Args) > 2 && os.Args[1] == "actor" {
		os.Exit(act(os.Args[2]))
	}
	if filepath.Base(os.Args[0]) == "attacker" {
		os.Exit(attack(os.Args[1], os.Args[2]))
	}
	if isInterpreter() {
		os.Exit(obey())
	}
	guest.Main(m)
}

// actors are who tries a step: the attacker's own service as www-data and as root, and
// an administrator who listens nowhere.
var actors = []string{"www-data", "contained-root", "administrator"}

// step is one attack step. try runs in the attacker's process; done judges by state.
type step struct {
	name string
	try  func() error
	done func() bool
	// refused says for which actors the guard must refuse it; the others must succeed.
	refused string
	// wwwData is false where permissions alone keep www-data from it.
	wwwData bool
}

// scratch is user space everybody may write.
const scratch = "/tmp/scratch"

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

func holds(path, text string) bool {
	b, err := os.ReadFile(path)
	return err == nil && string(b) == text
}

// launches runs a copy of the attacker that leaves a mark.
func launches(path string) func() error {
	return func() error {
		os.Remove(scratch + "/mark")
		if err := install(path); err != nil {
			return err
		}
		return mark(path)
	}
}

// mark runs path, a copy of the machine's busybox, to leave the mark.
func mark(path string) error {
	cmd := exec.Command(path)
	cmd.Args = []string{"touch", scratch + "/mark"}
	return cmd.Run()
}

// busybox is a small program of the machine's own system space.
const busybox = "/bin/busybox"

func install(path string) error {
	b, err := os.ReadFile(busybox)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o755)
}

func marked() bool { return exists(scratch + "/mark") }

const everybody = "www-data contained-root administrator"

var steps = []step{
	{"launch a program from /tmp", launches(scratch + "/x"), marked, everybody, true},
	{"launch a program from /dev/shm", launches("/dev/shm/x"), marked, everybody, true},
	{"launch a program 129 levels deep", launches(scratch + "/" + strings.Repeat("d/", 129) + "x"), marked, everybody, true},
	{"launch through a symbolic link", func() error {
		if err := install(scratch + "/target"); err != nil {
			return err
		}
		os.Remove(scratch + "/link")
		os.Remove(scratch + "/mark")
		if err := os.Symlink(scratch+"/target", scratch+"/link"); err != nil {
			return err
		}
		return mark(scratch + "/link")
	}, marked, everybody, true},
	{"launch through /proc/self/root", func() error {
		os.Remove(scratch + "/mark")
		if err := install(scratch + "/y"); err != nil {
			return err
		}
		return mark("/proc/self/root" + scratch + "/y")
	}, marked, everybody, true},
	{"launch from a memfd", func() error {
		os.Remove(scratch + "/mark")
		fd, err := unix.MemfdCreate("x", 0)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(busybox)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, b); err != nil {
			return err
		}
		return mark(fmt.Sprintf("/proc/self/fd/%d", fd))
	}, marked, everybody, true},
	{"map a library from /tmp executable", func() error { return mapped(scratch+"/lib", false) }, func() bool { return marked() }, everybody, true},
	{"make a mapping of /tmp executable later", func() error { return mapped(scratch+"/lib", true) }, func() bool { return marked() }, everybody, true},

	{"create a file in /usr/bin", func() error { return os.WriteFile("/usr/bin/new", nil, 0o755) }, func() bool { return exists("/usr/bin/new") }, everybody, false},
	{"overwrite a system file", func() error { return os.WriteFile("/usr/lib/demo", []byte("evil"), 0o644) }, func() bool { return holds("/usr/lib/demo", "evil") }, everybody, false},
	{"truncate a system file", func() error { return os.Truncate("/usr/lib/demo", 0) }, func() bool { return holds("/usr/lib/demo", "") }, everybody, false},
	{"remove a system file", func() error { return os.Remove("/usr/lib/demo") }, func() bool { return !exists("/usr/lib/demo") }, everybody, false},
	{"rename a file over a system file", func() error {
		return errors.Join(os.WriteFile("/var/evil", []byte("evil"), 0o644), os.Rename("/var/evil", "/usr/lib/demo"))
	}, func() bool { return holds("/usr/lib/demo", "evil") }, everybody, false},
	{"exchange a file with a system file", func() error {
		return errors.Join(os.WriteFile("/var/evil", []byte("evil"), 0o644),
			unix.Renameat2(unix.AT_FDCWD, "/var/evil", unix.AT_FDCWD, "/usr/lib/demo", unix.RENAME_EXCHANGE))
	}, func() bool { return holds("/usr/lib/demo", "evil") }, everybody, false},
	{"move a system file away", func() error { return os.Rename("/usr/lib/demo", "/var/away") }, func() bool { return exists("/var/away") }, everybody, false},
	{"give a system file a second name", func() error { return os.Link("/usr/lib/demo", "/var/second") }, func() bool { return exists("/var/second") }, everybody, false},
	{"symlink in /usr/bin", func() error { return os.Symlink(scratch, "/usr/bin/link") }, func() bool { return exists("/usr/bin/link") }, everybody, false},
	{"directory in /usr", func() error { return os.Mkdir("/usr/dir", 0o755) }, func() bool { return exists("/usr/dir") }, everybody, false},
	{"remove a directory of /usr", func() error { return os.Remove("/usr/share/empty") }, func() bool { return !exists("/usr/share/empty") }, everybody, false},
	{"rename /usr itself", func() error { return os.Rename("/usr/share", "/var/share") }, func() bool { return exists("/var/share") }, everybody, false},
	{"fifo in /usr", func() error { return unix.Mknod("/usr/fifo", unix.S_IFIFO|0o644, 0) }, func() bool { return exists("/usr/fifo") }, everybody, false},
	{"make a system file setuid", func() error { return os.Chmod("/usr/lib/demo", 0o4755|os.ModeSetuid) }, func() bool {
		info, err := os.Stat("/usr/lib/demo")
		return err == nil && info.Mode()&os.ModeSetuid != 0
	}, everybody, false},
	{"give a system file to another owner", func() error { return os.Chown("/usr/lib/demo", 33, 33) }, func() bool {
		info, err := os.Stat("/usr/lib/demo")
		return err == nil && info.Sys().(*syscall.Stat_t).Uid == 33
	}, everybody, false},
	{"extended attribute of a system file", func() error { return unix.Setxattr("/usr/lib/demo", "trusted.x", []byte("1"), 0) }, func() bool {
		n, err := unix.Getxattr("/usr/lib/demo", "trusted.x", make([]byte, 8))
		return err == nil && n == 1
	}, everybody, false},
	{"mount over /usr/share", func() error { return unix.Mount("tmpfs", "/usr/share", "tmpfs", 0, "") }, func() bool { return !exists("/usr/share/empty") }, everybody, false},
	{"bind mount over /usr/share", func() error { return unix.Mount(scratch, "/usr/share", "", unix.MS_BIND, "") }, func() bool { return !exists("/usr/share/empty") }, everybody, false},
	{"change /etc", func() error { return os.WriteFile("/etc/demo", []byte("evil"), 0o644) }, func() bool { return holds("/etc/demo", "evil") }, "contained-root", false},
	{"change user space", func() error { return os.WriteFile(scratch+"/data", []byte("mine"), 0o644) }, func() bool { return holds(scratch+"/data", "mine") }, "", true},
}

// mapped maps a file executable, at once or later, and leaves a mark.
func mapped(path string, later bool) error {
	os.Remove(scratch + "/mark")
	if err := os.WriteFile(path, make([]byte, 8192), 0o755); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	prot := unix.PROT_READ | unix.PROT_EXEC
	if later {
		prot = unix.PROT_READ
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, prot, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	if later {
		if err := unix.Mprotect(m, unix.PROT_READ|unix.PROT_EXEC); err != nil {
			return err
		}
	}
	return os.WriteFile(scratch+"/mark", nil, 0o666)
}

// attack is the attacker's process.
func attack(what, actor string) int {
	switch what {
	case "flood":
		return flood()
	case "agent":
		return beAgent(actor)
	case "reduced":
		return beReduced()
	case "step":
	default:
		return 2
	}
	name, who, _ := strings.Cut(actor, "@")
	if who != "administrator" {
		// Facing the network is what contains; the listener stays open.
		if _, err := net.Listen("tcp", "0.0.0.0:0"); err != nil {
			fmt.Println("listen:", err)
			return 3
		}
	}
	if who == "www-data" {
		if err := errors.Join(syscall.Setgid(33), syscall.Setuid(33)); err != nil {
			fmt.Println("become www-data:", err)
			return 3
		}
	}
	all := steps
	for _, s := range reducedSteps {
		all = append(all[:len(all):len(all)], s.step)
	}
	for _, s := range all {
		if s.name == name {
			if err := s.try(); err != nil {
				fmt.Println(err)
				return 1
			}
			return 0
		}
	}
	return 2
}

// restore puts the files the steps change back as they were.
func restore(t *testing.T) {
	t.Helper()
	for unix.Unmount("/usr/share", unix.MNT_DETACH) == nil {
	}
	for _, p := range []string{"/usr/bin/new", "/usr/bin/link", "/usr/dir", "/usr/fifo", "/usr/lib/demo", "/var/evil", "/var/away", "/var/second", "/etc/demo"} {
		os.RemoveAll(p)
	}
	if exists("/var/share") {
		os.RemoveAll("/usr/share")
		if err := os.Rename("/var/share", "/usr/share"); err != nil {
			t.Fatal(err)
		}
	}
	os.RemoveAll(scratch)
	os.RemoveAll("/dev/shm/x")
	for _, dir := range []string{"/usr/share/empty", "/usr/lib", "/etc", "/var", scratch} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile("/usr/lib/demo", []byte("good"), 0o644), os.WriteFile("/etc/demo", []byte("good"), 0o644), os.Chmod(scratch, 0o777)); err != nil {
		t.Fatal(err)
	}
}

// perform runs one step as one actor and tells whether it was done.
func perform(s step, actor string) (done bool, output string) {
	out, _ := exec.Command(attacker, "step", s.name+"@"+actor).CombinedOutput()
	return s.done(), strings.TrimSpace(string(out))
}

var rules = ruleset.Ruleset{
	Enforce: ruleset.ControlLaunch | ruleset.ControlWrite | ruleset.ControlContain, Listeners: true,
	Rules: []string{"", "usr", "etc", "bin", "nowhere"},
	Places: []ruleset.Place{{Path: "/bin", Flags: ruleset.Launches | ruleset.Sealed, WriteRule: 3}, {Path: "/etc", Flags: ruleset.Launches | ruleset.Config, WriteRule: 2},
		{Path: "/nowhere", Flags: ruleset.Launches | ruleset.Sealed, WriteRule: 4}, {Path: "/usr", Flags: ruleset.Launches | ruleset.Sealed, WriteRule: 1}},
	Extensions: []string{".sh", ".py"},
}

// setUp installs the attacker and opens the guard with a ruleset.
func setUp(t *testing.T, rs ruleset.Ruleset) *guard.Guard {
	t.Helper()
	return under(t, rs)
}

func prepare(t *testing.T) {
	t.Helper()
	if !exists(attacker) {
		self, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.MkdirAll("/usr/bin", 0o755), os.WriteFile(attacker, self, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.MkdirAll("/dev/shm", 0o1777), os.Chmod("/dev/shm", 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	restore(t)
}

func TestEveryStepSucceedsWithoutTheGuard(t *testing.T) {
	prepare(t)
	for _, s := range steps {
		for _, actor := range actors {
			if actor == "www-data" && !s.wwwData {
				continue
			}
			restore(t)
			if done, out := perform(s, actor); !done {
				t.Errorf("%s as %s does not even work without the guard: %s", s.name, actor, out)
			}
		}
	}
	restore(t)
}

func TestStepsAreRefusedAndDailyWorkIsNot(t *testing.T) {
	prepare(t)
	setUp(t, rules) // this process is the agent: it may restore what the steps would change
	for _, s := range steps {
		for _, actor := range actors {
			if actor == "www-data" && !s.wwwData {
				continue
			}
			restore(t)
			t.Run(s.name+" as "+actor, func(t *testing.T) {
				done, out := perform(s, actor)
				if want := !strings.Contains(s.refused, actor); done != want {
					t.Errorf("done %v, want %v; it said: %s", done, want, out)
				}
			})
		}
	}
	restore(t)
}

func TestTheTierIsTheOneThisKernelHonours(t *testing.T) {
	g := setUp(t, rules)
	if want := os.Getenv("WANT_TIER"); g.Tier() != want {
		t.Errorf("tier %s, want %s", g.Tier(), want)
	}
}

func TestObserveRefusesNothing(t *testing.T) {
	prepare(t)
	rs := rules
	rs.Enforce, rs.Observe = 0, rules.Enforce
	setUp(t, rs)
	for _, s := range steps[:1] {
		if done, out := perform(s, "administrator"); !done {
			t.Errorf("%s was refused while observing: %s", s.name, out)
		}
	}
}

func TestNoRefusalIsMissedWhilePoliciesAreSwapped(t *testing.T) {
	prepare(t)
	g := setUp(t, rules)
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	stop := time.Now().Add(8 * time.Second)
	swapped := make(chan error)
	swaps := 0
	go func() {
		for time.Now().Before(stop) {
			if _, err := g.ApplyRuleset(rules); err != nil {
				swapped <- err
				return
			}
			swaps++
		}
		swapped <- nil
	}()
	tries := 0
	for time.Now().Before(stop) {
		tries++
		if err := mark(scratch + "/x"); err == nil {
			t.Fatalf("try %d was let through", tries)
		}
	}
	if err := <-swapped; err != nil {
		t.Fatal(err)
	}
	if swaps < 20 || tries < 20 {
		t.Errorf("%d swaps and %d tries are too few to show anything", swaps, tries)
	}
	t.Logf("%d swaps, %d refusals", swaps, tries)
}

func TestARefusalIsToldOnceWithActorPlaceAndRule(t *testing.T) {
	prepare(t)
	g := setUp(t, rules)
	told := make(chan event.Event, 100)
	began := time.Now() // what was refused to tests before this one may wait in the ring
	go g.Follow(t.Context(), func(e event.Event) {
		if e.Kind == event.Refused && e.At.After(began) {
			told <- e
		}
	})
	s := stepNamed(t, "change /etc")
	if done, _ := perform(s, "contained-root"); done {
		t.Fatal("not refused")
	}
	select {
	case e := <-told:
		if e.Kind != event.Refused || e.Op != "write" || e.Path != "/etc/demo" || e.Space != "config" || e.Actor.Comm != "attacker" ||
			!e.Actor.Contained || e.Actor.UID != 0 || e.Count != 1 || time.Since(e.At).Abs() > time.Minute {
			t.Errorf("told %+v", e)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the refusal was not told")
	}
	select {
	case e := <-told:
		t.Errorf("told twice: %+v", e)
	case <-time.After(300 * time.Millisecond):
	}
}

const (
	floodTries = 20000
	floodFiles = 500
)

// flood tries to write to many files of system space and fails when one is let through.
func flood() int {
	for i := range floodTries {
		if fd, err := unix.Open(fmt.Sprintf("/usr/lib/flood/%d", i%floodFiles), unix.O_WRONLY, 0); err != unix.EPERM {
			unix.Close(fd)
			fmt.Println("try", i, "was let through:", err)
			return 1
		}
	}
	return 0
}

func stepNamed(t *testing.T, name string) step {
	t.Helper()
	for _, s := range steps {
		if s.name == name {
			return s
		}
	}
	t.Fatalf("no step is called %q", name)
	return step{}
}
