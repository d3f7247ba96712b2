//go:build guest && linux

package guard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
)

// The third tier runs in a process of its own, as the agent does: one that starts
// programs must not be the one that is asked.

// startReduced starts that process under a ruleset, by its name in reducedRules.
func startReduced(t *testing.T, rules string) *agent {
	t.Helper()
	prepare(t)
	a := &agent{cmd: exec.Command(attacker, "reduced", "-")}
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.cmd.Stderr = os.Stderr
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a.in, a.said = in, bufio.NewScanner(out)
	a.said.Buffer(nil, 1<<20)
	t.Cleanup(a.kill)
	if said := a.tells(t, ""); said != "open fanotify" {
		t.Fatal(said)
	}
	if said := a.tells(t, "apply "+rules); said != "apply <nil>" {
		t.Fatal(said)
	}
	return a
}

var reducedRules = map[string]ruleset.Ruleset{"enforce": rules, "observe": observing(), "without-bin": withoutBin()}

func observing() ruleset.Ruleset {
	rs := rules
	rs.Enforce, rs.Observe = 0, rules.Enforce
	return rs
}

// withoutBin is a policy by which the machine's busybox lies in user space.
func withoutBin() ruleset.Ruleset {
	rs := rules
	rs.Places = slices.DeleteFunc(slices.Clone(rules.Places), func(p ruleset.Place) bool { return p.Path == "/bin" })
	return rs
}

// beReduced is the process. It answers each order with a line.
func beReduced() int {
	g, err := guard.OpenReduced(guard.Options{Now: time.Now}, nil)
	if err != nil {
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", "; "))
		return 1
	}
	fmt.Println("open", g.Tier())
	var mu sync.Mutex
	told := []event.Event{}
	go g.Follow(context.Background(), func(e event.Event) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, e)
	})
	var gaps []guard.Gap
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		order, rest, _ := strings.Cut(orders.Text(), " ")
		var answer any
		switch order {
		case "apply":
			var applied guard.Applied
			applied, err = g.ApplyRuleset(reducedRules[rest])
			gaps = applied.Gaps
			fmt.Println(order, err)
			continue
		case "gaps":
			answer = gaps
		case "passed":
			answer = g.Passed()
		case "status":
			answer, err = g.Status()
		case "events":
			mu.Lock()
			answer = slices.Clone(told)
			told = told[:0]
			mu.Unlock()
		case "grant":
			var pid int
			var long, at string
			fmt.Sscan(rest, &pid, &long, &at)
			d, _ := time.ParseDuration(long)
			e := guard.Exception{For: d}
			if at != "" {
				e.Launch = []string{at}
			}
			answer, err = g.Grant(pid, e)
		case "revoke":
			var id uint64
			fmt.Sscan(rest, &id)
			err = g.Revoke(id)
		case "swap": // until it is killed
			fmt.Println("swapping")
			for i := 0; err == nil; i++ {
				_, err = g.ApplyRuleset(reducedRules[[]string{"enforce", "without-bin"}[i%2]])
			}
		case "close":
			err = g.Close()
		}
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		text, err := json.Marshal(answer)
		fmt.Println(string(text), err)
	}
	return 0
}

// asks has it do something and decodes its answer.
func asks[T any](t *testing.T, a *agent, order string) (out T) {
	t.Helper()
	said := a.tells(t, order)
	text, ok := strings.CutSuffix(said, " <nil>")
	if !ok {
		t.Fatalf("%s: %s", order, said)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%s: %s: %v", order, said, err)
	}
	return out
}

// memoryIsSeen tells whether this kernel lets files in memory be asked about.
func memoryIsSeen(t *testing.T, a *agent) bool {
	t.Helper()
	return !slices.ContainsFunc(asks[[]guard.Gap](t, a, "gaps"), func(g guard.Gap) bool { return g.Subject == "memory" })
}

// reducedStep is an attack step of GUARD.md, section 4, and what this tier makes of it.
type reducedStep struct {
	id string
	step
	// hole says why it is not refused; "memory" where that depends on the kernel.
	hole string
}

const (
	notLaunch  = "no launch: not in this tier"
	notStarted = "it is not started itself"
	elsewhere  = "mounted where it is not seen"
)

// mountedAt runs do with something mounted.
func mountedAt(at string, mount func() error, do func() error) func() error {
	return func() error {
		if err := os.MkdirAll(at, 0o777); err != nil {
			return err
		}
		if err := mount(); err != nil {
			return err
		}
		defer unix.Unmount(at, unix.MNT_DETACH)
		return do()
	}
}

func linked(name string, link func(old, new string) error) func() error {
	return func() error {
		os.Remove(scratch + "/mark")
		os.Remove(name)
		if err := install(scratch + "/target"); err != nil {
			return err
		}
		if err := link(scratch+"/target", name); err != nil {
			return err
		}
		return mark(name)
	}
}

func script(name string, run ...string) func() error {
	return func() error {
		os.Remove(scratch + "/mark")
		if err := os.WriteFile(name, []byte("#!/bin/busybox sh\n/bin/busybox touch "+scratch+"/mark\n"), 0o755); err != nil {
			return err
		}
		return exec.Command(append(run, name)[0], append(run, name)[1:]...).Run()
	}
}

// apart runs a copy of busybox from a tmpfs in a mount namespace of its own, which takes
// no privilege in a user namespace of its own.
func apart() error {
	os.Remove(scratch + "/mark")
	cmd := exec.Command(busybox, "sh", "-c", fmt.Sprintf("%[1]s mount -t tmpfs none %[2]s/own && %[1]s cp %[1]s %[2]s/own/busybox && %[2]s/own/busybox touch %[2]s/mark", busybox, scratch))
	if err := os.MkdirAll(scratch+"/own", 0o777); err != nil {
		return err
	}
	// A process that changed its account does not own its files in /proc.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	return cmd.Run()
}

// shadowed calls a program of user space by a name of system space, in a mount namespace
// of its own.
func shadowed() error {
	os.Remove(scratch + "/mark")
	if err := install(scratch + "/over/busybox"); err != nil {
		return err
	}
	cmd := exec.Command(busybox, "sh", "-c", fmt.Sprintf("%s mount --bind %s/over /usr/share && /usr/share/busybox touch %s/mark", busybox, scratch, scratch))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	return cmd.Run()
}

var reducedSteps = []reducedStep{
	{"G01", step{"started from /tmp", launches(scratch + "/x"), marked, everybody, true}, ""},
	{"G01", step{"by a symbolic link in system space", linked("/usr/bin/link", os.Symlink), marked, everybody, false}, ""},
	{"G01", step{"by a hard link", linked(scratch+"/hard", os.Link), marked, everybody, true}, ""},
	{"G01", step{"129 levels deep", launches(scratch + "/" + strings.Repeat("d/", 129) + "x"), marked, everybody, true}, ""},
	{"G01", step{"by /proc/self/root", func() error {
		os.Remove(scratch + "/mark")
		if err := install(scratch + "/y"); err != nil {
			return err
		}
		return mark("/proc/self/root" + scratch + "/y")
	}, marked, everybody, true}, ""},
	{"G02", step{"started from /dev/shm", launches("/dev/shm/x"), marked, everybody, true}, ""},
	{"G02", step{"started from /dev", launches("/dev/x"), marked, everybody, false}, ""},
	{"G02", step{"started from /run", launches("/run/x"), marked, everybody, false}, ""},
	{"G03", step{"a script that is started itself", script(scratch + "/x.sh"), marked, everybody, true}, ""},
	{"G03", step{"a script given to a shell", script(scratch+"/y.sh", busybox, "sh"), marked, "", true}, notStarted},
	{"G06", step{"from memory", stepOf("launch from a memfd").try, marked, everybody, true}, "memory"},
	{"G08", step{"a library of /tmp is mapped", func() error { return mapped(scratch+"/lib", false) }, marked, "", true}, notStarted},
	{"G10", step{"a mapping is made executable", func() error { return mapped(scratch+"/lib", true) }, marked, "", true}, notStarted},
	{"G12", step{"a file of system space is overwritten", stepOf("overwrite a system file").try, stepOf("overwrite a system file").done, "", false}, notLaunch},
	{"G22", step{"configuration is changed", stepOf("change /etc").try, stepOf("change /etc").done, "", false}, notLaunch},
	{"G25", step{"a file is made set-user-ID", stepOf("make a system file setuid").try, stepOf("make a system file setuid").done, "", false}, notLaunch},
	{"G40", step{"from a tmpfs of a mount namespace of its own", apart, marked, "", true}, elsewhere},
	{"G41", step{"over system space, in a mount namespace of its own", shadowed, marked, everybody, false}, ""},
	{"G41", step{"by a bind mount over system space", mountedAt("/usr/share", func() error { return unix.Mount(scratch, "/usr/share", "", unix.MS_BIND, "") }, func() error {
		os.Remove(scratch + "/mark")
		if err := install(scratch + "/z"); err != nil {
			return err
		}
		return mark("/usr/share/z")
	}), marked, everybody, false}, ""},
	{"G47", step{"a file takes the place of one of system space", stepOf("rename a file over a system file").try, stepOf("rename a file over a system file").done, "", false}, notLaunch},
	{"G49", step{"something is mounted over system space", stepOf("mount over /usr/share").try, stepOf("mount over /usr/share").done, "", false}, notLaunch},
}

func stepOf(name string) step {
	return steps[slices.IndexFunc(steps, func(s step) bool { return s.name == name })]
}

func TestReducedRefusesWhatStartsInUserSpaceAndSaysWhatNot(t *testing.T) {
	type row struct {
		s      reducedStep
		actor  string
		came   bool
		output string
	}
	var rows []*row
	prepare(t)
	for _, s := range reducedSteps {
		for _, actor := range []string{"www-data", "administrator"} {
			if actor == "www-data" && !s.wwwData {
				continue
			}
			restore(t)
			if done, out := perform(s.step, actor); !done {
				t.Fatalf("%s %s as %s does not even work without the guard: %s", s.id, s.name, actor, out)
			}
			rows = append(rows, &row{s: s, actor: actor})
		}
	}
	a := startReduced(t, "enforce")
	seen := memoryIsSeen(t, a)
	for _, r := range rows {
		restore(t)
		r.came, r.output = perform(r.s.step, r.actor)
		refused := r.s.hole == "" || r.s.hole == "memory" && seen
		if r.came == refused {
			t.Errorf("%s %s as %s: came off %v; it said: %s", r.s.id, r.s.name, r.actor, r.came, r.output)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "third tier (fanotify) on %s:\n", release(t))
	for _, r := range rows {
		verdict := "refused"
		if r.came {
			verdict = "comes off: " + r.s.hole
		}
		fmt.Fprintf(&table, "%-4s %-52s %-14s %s\n", r.s.id, r.s.name, r.actor, verdict)
	}
	t.Log(table.String())
	restore(t)
}

func release(t *testing.T) string {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(u.Release[:])
}

func TestReducedLetsSystemSpaceLaunch(t *testing.T) {
	startReduced(t, "enforce")
	if err := os.WriteFile("/usr/bin/reduced-script", []byte("#!/bin/busybox sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{scratch + "/usr", scratch + "/root"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(busybox, scratch+"/true"); err != nil {
		t.Fatal(err)
	}
	sh := func(script string, flags uintptr) *exec.Cmd {
		cmd := exec.Command(busybox, "sh", "-c", script)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		return cmd
	}
	for name, cmd := range map[string]*exec.Cmd{
		"a program": exec.Command(busybox, "true"), "its symbolic link elsewhere": sh(scratch+"/true", 0), "a script": exec.Command("/usr/bin/reduced-script"),
		"by /proc/self/root":     exec.Command("/proc/self/root"+busybox, "true"),
		"by a bind mount":        sh(fmt.Sprintf("%[1]s mount --bind /bin %[2]s/usr && %[2]s/usr/busybox true", busybox, scratch), syscall.CLONE_NEWNS),
		"in a chroot":            sh(fmt.Sprintf("%[1]s mount --bind / %[2]s/root && %[1]s chroot %[2]s/root %[1]s true", busybox, scratch), syscall.CLONE_NEWNS),
		"beside a private /tmp":  sh(busybox+" mount -t tmpfs none /tmp && "+busybox+" true", syscall.CLONE_NEWNS),
		"in a process namespace": sh(busybox+" true", syscall.CLONE_NEWPID|syscall.CLONE_NEWNS),
	} {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s was refused: %v: %s", name, err, out)
		}
	}
	os.Remove("/usr/bin/reduced-script")
}

func TestReducedOnlyObserves(t *testing.T) {
	a := startReduced(t, "observe")
	if done, out := perform(stepOf("launch a program from /tmp"), "administrator"); !done {
		t.Errorf("refused while observing: %s", out)
	}
	told := asks[[]event.Event](t, a, "events")
	if len(told) == 0 || told[0].Kind != event.Observed || told[0].Path != scratch+"/x" {
		t.Errorf("told %+v", told)
	}
	if s := asks[guard.Status](t, a, "status"); s.Refused != 0 || s.Observed == 0 {
		t.Errorf("status %+v", s)
	}
}

func TestReducedTellsWhoAndWhere(t *testing.T) {
	a := startReduced(t, "enforce")
	if done, _ := perform(stepOf("launch a program from /tmp"), "www-data"); done {
		t.Fatal("not refused")
	}
	told := asks[[]event.Event](t, a, "events")
	if len(told) != 1 {
		t.Fatalf("told %+v, want one event", told)
	}
	e := told[0]
	if e.Kind != event.Refused || e.Control != string(host.Launch) || e.Op != "exec" || e.Space != "user" || e.Path != scratch+"/x" || e.Actor.UID != 33 ||
		e.Actor.PID <= 0 || e.Actor.ParentIs != "attacker" || e.Count != 1 || time.Since(e.At).Abs() > time.Minute {
		t.Errorf("told %+v", e)
	}
}

func TestReducedTellsItsTierAndWhatIsMissing(t *testing.T) {
	a := startReduced(t, "enforce")
	s := asks[guard.Status](t, a, "status")
	if s.Tier != guard.TierFanotify || s.Deaf != "" || s.Generation != 1 || len(s.Hooks) != 1 || s.Hooks[host.Launch] != 1 {
		t.Errorf("status %+v", s)
	}
	controls := map[string]int{}
	for _, g := range asks[[]guard.Gap](t, a, "gaps") {
		controls[g.Control]++
		t.Logf("%s %s: %s", g.Control, g.Subject, g.Why)
	}
	for _, c := range []host.Control{host.Write, host.ProcessCtl, host.Utility, host.Containing, host.KernelCtl, host.Private, host.Self} {
		if controls[string(c)] != 1 {
			t.Errorf("%d gaps of %s, want one that says why there is none of it", controls[string(c)], c)
		}
	}
}

// What the status calls a gap: with the agent the refusals end.
func TestReducedOpensWhenItsProcessEnds(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	if err := mark(scratch + "/x"); err == nil {
		t.Fatal("not refused")
	}
	a.kill()
	if err := mark(scratch + "/x"); err != nil {
		t.Errorf("nobody is there to refuse: %v", err)
	}
}

func TestReducedOpensWhenItIsClosed(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if said := a.tells(t, "close"); said != "null <nil>" {
			t.Fatal(said)
		}
	}
	if err := mark(scratch + "/x"); err != nil {
		t.Errorf("nobody is there to refuse: %v", err)
	}
}

func TestReducedAsksAboutWhatIsMountedOnceItWasTold(t *testing.T) {
	a := startReduced(t, "enforce")
	at := scratch + "/later"
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", at, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	if err := install(at + "/x"); err != nil {
		t.Fatal(err)
	}
	if err := mark(at + "/x"); err != nil {
		t.Errorf("nobody has told yet: %v", err)
	}
	if said := a.tells(t, "apply enforce"); said != "apply <nil>" {
		t.Fatal(said)
	}
	if err := mark(at + "/x"); err == nil {
		t.Error("it starts although the mount was told")
	}
}

func TestReducedAsksOnceAboutWhatEverybodyMayLaunch(t *testing.T) {
	a := startReduced(t, "enforce")
	for range 20 {
		if err := exec.Command(busybox, "true").Run(); err != nil {
			t.Fatal(err)
		}
	}
	if n := asks[uint64](t, a, "passed"); n == 0 || n > 5 {
		t.Errorf("it was asked about %d programs of system space, and one was started", n)
	}
	if err := os.WriteFile(scratch+"/x", nil, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := exec.Command(scratch + "/x").Run(); err == nil {
			t.Fatal("not refused")
		}
	}
	if s := asks[guard.Status](t, a, "status"); s.Refused != 20 {
		t.Errorf("it refused %d times, want 20", s.Refused)
	}
}

func TestReducedForgetsWhatItLetPassUnderAnotherPolicy(t *testing.T) {
	a := startReduced(t, "enforce")
	for range 3 {
		if err := exec.Command(busybox, "true").Run(); err != nil {
			t.Fatal(err)
		}
	}
	if said := a.tells(t, "apply without-bin"); said != "apply <nil>" {
		t.Fatal(said)
	}
	if err := exec.Command(busybox, "true").Run(); err == nil {
		t.Error("what was let pass under the policy before still is")
	}
	if said := a.tells(t, "apply enforce"); said != "apply <nil>" {
		t.Fatal(said)
	}
	if err := exec.Command(busybox, "true").Run(); err != nil {
		t.Error(err)
	}
}

func TestReducedMissesNothingWhilePoliciesAreSwapped(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	a.tells(t, "swap")
	tries, began := 0, time.Now()
	for ; time.Since(began) < 5*time.Second; tries++ {
		if err := exec.Command(scratch + "/x").Run(); err == nil {
			t.Fatalf("try %d was let through", tries)
		}
		_ = exec.Command(busybox, "true").Run() // one policy lets it, the other does not
	}
	t.Logf("%d refusals", tries)
}

func TestReducedGrantsWhoLaunchesFromUserSpace(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/true"); err != nil {
		t.Fatal(err)
	}
	if err := install(scratch + "/other/true"); err != nil {
		t.Fatal(err)
	}
	someone := exec.Command(busybox, "sh")
	in, err := someone.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := someone.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := someone.Start(); err != nil {
		t.Fatal(err)
	}
	defer someone.Wait()
	defer in.Close()
	said := bufio.NewScanner(out)
	runs := func(script string) bool {
		t.Helper()
		fmt.Fprintf(in, "%s; echo $?\n", script)
		if !said.Scan() {
			t.Fatal("the shell has ended")
		}
		return said.Text() == "0"
	}
	tool, other := scratch+"/true 2>/dev/null", scratch+"/other/true 2>/dev/null"
	if runs(tool) {
		t.Fatal("launches without a grant")
	}
	g := asks[guard.Grant](t, a, fmt.Sprintf("grant %d 1h %s", someone.Process.Pid, scratch+"/true"))
	nested := busybox + " sh -c '" + tool + "; exit $?'"
	if !runs(tool) || !runs(nested) {
		t.Error("the grant does not reach what it names, or not children")
	}
	if runs(other) {
		t.Error("the grant reaches what it does not name")
	}
	if err := exec.Command(scratch + "/true").Run(); err == nil {
		t.Error("the grant reaches somebody else")
	}
	if said := a.tells(t, fmt.Sprintf("revoke %d", g.ID)); said != "null <nil>" {
		t.Fatal(said)
	}
	if runs(tool) {
		t.Error("launches after the grant was revoked")
	}
	asks[guard.Grant](t, a, fmt.Sprintf("grant %d 1h %s", someone.Process.Pid, scratch+"/other"))
	if !runs(other) || runs(tool) {
		t.Error("a grant for a directory reaches what lies in it, and nothing else")
	}
	asks[guard.Grant](t, a, fmt.Sprintf("grant %d 1s", someone.Process.Pid))
	if !runs(tool) {
		t.Error("a grant without places reaches everything")
	}
	time.Sleep(1100 * time.Millisecond)
	if runs(tool) {
		t.Error("launches after the grant has ended")
	}
}

// A file can keep whoever opens it waiting. The one that answers opens what it is asked
// about.
func TestReducedIsNotHeldUpByAFileThatKeepsWhoOpensItWaiting(t *testing.T) {
	startReduced(t, "enforce")
	leased := scratch + "/leased"
	if err := install(leased); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(leased, unix.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	tried := exec.Command(leased, "true")
	began := time.Now()
	_ = tried.Start() // refused, or busy
	if err := exec.Command(busybox, "true").Run(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("somebody else's program started after %v", took)
	}
}

func TestReducedAnswersManyAtOnce(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	const each = 3 * 64 // more than are judged at once
	var all sync.WaitGroup
	var wrong atomic.Int64
	for range each {
		all.Go(func() {
			if exec.Command(scratch+"/x").Run() == nil {
				wrong.Add(1)
			}
		})
		all.Go(func() {
			if exec.Command(busybox, "true").Run() != nil {
				wrong.Add(1)
			}
		})
	}
	all.Wait()
	if n := wrong.Load(); n > 0 {
		t.Errorf("%d of %d starts ended the wrong way", n, 2*each)
	}
	if s := asks[guard.Status](t, a, "status"); s.Refused != each {
		t.Errorf("it refused %d, want %d", s.Refused, each)
	}
}

// An agent that is stopped keeps everybody waiting, and nobody gets past.
func TestReducedKeepsEveryStartWaitingWhileItIsStopped(t *testing.T) {
	a := startReduced(t, "enforce")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	// Not by this process: it could not go on before its child has started.
	shell := exec.Command(busybox, "sh")
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	if err := a.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(in, "%s/x true; exit $?\n", scratch)
	ended := make(chan error, 1)
	go func() { ended <- shell.Wait() }()
	select {
	case err := <-ended:
		t.Errorf("it ended without an answer: %v", err)
	case <-time.After(3 * time.Second):
	}
	if err := a.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; shell.ProcessState.ExitCode() != 126 {
		t.Errorf("it was not refused: %v", err)
	}
}

// What a start costs: without the tier, with it where the file was let pass before, and
// where it is asked about each time.
func TestReducedCost(t *testing.T) {
	prepare(t)
	if err := os.MkdirAll("/usr/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := install("/usr/bin/cost"); err != nil {
		t.Fatal(err)
	}
	defer os.Remove("/usr/bin/cost")
	const starts = 50
	cost := func(program string) time.Duration {
		least := time.Hour
		for range 3 {
			began := time.Now()
			for range starts {
				cmd := exec.Command(program, "true")
				cmd.Args[0] = "busybox"
				_ = cmd.Run() // it may be refused
			}
			least = min(least, time.Since(began)/starts)
		}
		return least
	}
	off := cost("/usr/bin/cost")
	a := startReduced(t, "enforce")
	passed := cost("/usr/bin/cost")
	if err := install(scratch + "/x"); err != nil {
		t.Fatal(err)
	}
	refused := cost(scratch + "/x")
	a.tells(t, "apply observe")
	observed := cost(scratch + "/x")
	t.Logf("fork+exec+wait on %s: off %v, on and passed before %v (%.3f), refused each time %v, asked and observed each time %v (%.3f)", release(t), off, passed,
		float64(passed)/float64(off), refused, observed, float64(observed)/float64(off))
	if s := asks[guard.Status](t, a, "status"); s.Refused < starts || s.Observed < starts {
		t.Errorf("it was not asked: %+v", s)
	}
}
