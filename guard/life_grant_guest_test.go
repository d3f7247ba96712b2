//go:build guest && linux

package guard_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
)

// guarded makes files of the guard's own, and one of system space, anew.
func guarded(t *testing.T) {
	t.Helper()
	if err := errors.Join(os.MkdirAll("/guarded", 0o755), os.WriteFile("/guarded/policy", nil, 0o644), os.WriteFile("/usr/bin/agent", nil, 0o755),
		os.MkdirAll(scratch+"/in", 0o777), os.MkdirAll(scratch+"/out", 0o777), install(scratch+"/in/x"), install(scratch+"/out/x")); err != nil {
		t.Fatal(err)
	}
}

func TestAGrantFreesWhatItNamesAndNothingElse(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	for _, row := range []struct {
		name                                      string
		e                                         guard.Exception
		launchIn, launchOut, writeUsr, writeGuard bool
	}{
		{"launch there", guard.Exception{Launch: []string{scratch + "/in"}}, true, false, false, false},
		{"launch a file", guard.Exception{Launch: []string{scratch + "/in/x"}}, true, false, false, false},
		{"write there", guard.Exception{Write: []string{"/usr/lib"}}, false, false, true, false},
		{"both", guard.Exception{Launch: []string{scratch + "/in"}, Write: []string{"/usr/lib/demo"}}, true, false, true, false},
		{"anything", guard.Exception{}, true, true, true, false},
		{"the guard's own", guard.Exception{Write: []string{"/guarded", "/usr/bin/agent"}}, false, false, false, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := start(t, attacker)
			row.e.For = time.Minute
			granted, err := g.Grant(a.pid, row.e)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range []*actor{a, a.spawn(t, attacker)} {
				a.is(t, row.launchIn, "launch", scratch+"/in/x")
				a.is(t, row.launchOut, "launch", scratch+"/out/x")
				a.is(t, row.writeUsr, "write", "/usr/lib/demo")
				a.is(t, row.writeGuard, "write", "/guarded/policy")
				a.is(t, row.writeGuard, "write", "/usr/bin/agent")
			}
			if err := g.Revoke(granted.ID); err != nil {
				t.Fatal(err)
			}
			a.is(t, false, "launch", scratch+"/in/x")
			a.is(t, false, "write", "/etc/demo") // contained now
			start(t, attacker).is(t, true, "write", "/etc/demo")
		})
	}
}

func TestAGrantWithTargetsLeavesAContainedProcessContainedElsewhere(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	a := start(t, attacker)
	a.must(t, "listen")
	granted, err := g.Grant(a.pid, guard.Exception{For: time.Minute, Launch: []string{scratch + "/in"}})
	if err != nil {
		t.Fatal(err)
	}
	a.is(t, true, "launch", scratch+"/in/x")
	a.is(t, false, "write", "/etc/demo")
	if l, err := g.Label(a.pid); err != nil || !l.Granted || !l.Contained {
		t.Errorf("%+v, %v", l, err)
	}
	if err := g.Revoke(granted.ID); err != nil {
		t.Fatal(err)
	}
	a.is(t, false, "launch", scratch+"/in/x")
	b := start(t, attacker)
	b.must(t, "listen")
	if _, err := g.Grant(b.pid, guard.Exception{For: time.Minute}); err != nil {
		t.Fatal(err)
	}
	b.is(t, true, "write", "/etc/demo")
}

func TestAGrantEndsWithItsFirstProcessAndWhatRunsIsContained(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	a := start(t, attacker)
	granted, err := g.Grant(a.pid, guard.Exception{For: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	child := a.spawn(t, attacker)
	child.is(t, true, "launch", scratch+"/in/x")
	if grants, err := g.Grants(); err != nil || len(grants) != 1 || grants[0].ID != granted.ID || grants[0].PID != a.pid || grants[0].For > time.Minute {
		t.Errorf("%+v, %v; want %+v", grants, err, granted)
	}
	a.ends(t)
	child.is(t, false, "launch", scratch+"/in/x")
	child.is(t, false, "write", "/etc/demo")
	if grants, err := g.Grants(); err != nil || len(grants) > 0 {
		t.Errorf("%+v, %v", grants, err)
	}
}

func TestAGrantEndsByTheKernelsClockThoughNobodyIsThere(t *testing.T) {
	g := under(t, lifeRules())
	guarded(t)
	a := start(t, attacker)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	adopted.g = nil
	child := startAgent(t, "")
	child.tells(t, "")
	began := time.Now()
	if said := child.tells(t, fmt.Sprint("grant ", a.pid, " 3s ", scratch+"/in")); said != "grant <nil>" {
		t.Fatal(said)
	}
	child.kill()
	a.is(t, true, "launch", scratch+"/in/x")
	if time.Since(began) > 2500*time.Millisecond {
		t.Log("this machine is too slow to see it free for long")
	}
	time.Sleep(3200*time.Millisecond - time.Since(began))
	a.is(t, false, "launch", scratch+"/in/x")
	a.is(t, false, "write", "/etc/demo")
	start(t, attacker).is(t, true, "write", "/etc/demo")
	var err error
	if adopted.g, err = guard.Open(guard.Options{Pins: pinned, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
}

// roles are lifeRules with an updater, who starts it, a builder and an interpreter.
func roles() ruleset.Ruleset {
	rs := lifeRules()
	rs.Lineages = []ruleset.Lineage{{Name: "program /usr/bin/starter"}}
	rs.Groups = []ruleset.Group{{}, {Members: []int{0}}}
	rs.Starters = 1
	rs.BuildersAnywhere = true
	rs.Programs = []ruleset.Program{{Path: "/usr/bin/updater", Flags: ruleset.Updater}, {Path: "/usr/bin/starter", Lineage: 1},
		{Path: "/usr/bin/make", Flags: ruleset.Builder}, {Path: "/bin/busybox", Flags: ruleset.Interpreter}}
	rs.Places = append([]ruleset.Place{{Path: scratch + "/updates", Flags: ruleset.Scratch}}, rs.Places...)
	return rs
}

// called gives the attacker other names.
func called(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := os.Link(attacker, n); err != nil && !errors.Is(err, os.ErrExist) {
			t.Fatal(err)
		}
	}
}

func underRoles(t *testing.T) *guard.Guard {
	t.Helper()
	g := under(t, roles())
	guarded(t)
	called(t, "/usr/bin/updater", "/usr/bin/starter", "/usr/bin/make")
	if err := errors.Join(os.MkdirAll(scratch+"/updates", 0o777), os.Chmod(scratch+"/updates", 0o777), os.Chmod(scratch+"/in", 0o777)); err != nil {
		t.Fatal(err)
	}
	return g
}

// session is an actor in somebody's login session.
func session(t *testing.T, uid string) *actor {
	t.Helper()
	a := start(t, attacker)
	a.logsIn(t, uid)
	return a
}

func TestAnUpdaterIsOneOnlyWhereSomebodyWhoMayStartsIt(t *testing.T) {
	underRoles(t)
	contained := session(t, "1000")
	contained.must(t, "listen")
	for _, row := range []struct {
		name string
		by   *actor
		want bool
	}{
		{"nobody in particular", start(t, attacker), false},
		{"a login session", session(t, "1000"), true},
		{"a starter", start(t, "/usr/bin/starter"), true},
		{"a child of a starter", start(t, "/usr/bin/starter").spawn(t, attacker), true},
		{"another updater", session(t, "1000").spawn(t, "/usr/bin/updater"), true},
		{"a contained process of a session", contained, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			u := row.by.spawn(t, "/usr/bin/updater")
			for _, a := range []*actor{u, u.spawn(t, attacker)} {
				a.is(t, row.want, "write", "/usr/lib/demo")
				a.is(t, row.want, "write", "/usr/bin/agent")
				a.is(t, false, "write", "/guarded/policy")
			}
			if row.name != "another updater" {
				row.by.is(t, false, "write", "/usr/lib/demo")
			}
		})
	}
}

func TestATransactionEndsWithTheUpdaterThatBeganIt(t *testing.T) {
	g := underRoles(t)
	seen := follow(t, g)
	u := session(t, "1000").spawn(t, "/usr/bin/updater")
	daemon := u.spawn(t, attacker)
	daemon.is(t, true, "write", "/usr/lib/demo")
	u.ends(t)
	daemon.is(t, false, "write", "/usr/lib/demo")
	daemon.is(t, true, "write", "/etc/demo") // it is nobody's, and not contained
	seen.find(t, func(e event.Event) bool { return e.Op == "updated" && e.Actor.PID == u.pid })
}

func TestAnUpdatersChildThatListensIsNoneAtOnce(t *testing.T) {
	underRoles(t)
	u := session(t, "1000").spawn(t, "/usr/bin/updater")
	daemon := u.spawn(t, attacker)
	daemon.must(t, "listen")
	daemon.is(t, false, "write", "/usr/lib/demo")
	daemon.is(t, false, "write", "/etc/demo")
	u.is(t, true, "write", "/usr/lib/demo")
}

func TestAnUpdaterThatExecsFromAnotherThreadKeepsItsTransaction(t *testing.T) {
	underRoles(t)
	u := session(t, "1000").spawn(t, "/usr/bin/updater")
	child := u.spawn(t, attacker)
	u.becomes(t, attacker)
	u.is(t, true, "write", "/usr/lib/demo")
	child.is(t, true, "write", "/usr/lib/demo")
	u.ends(t)
	child.is(t, false, "write", "/usr/lib/demo")
}

func TestUpdatersLaunchFromScratchOnlyWhatTheirTransactionWrote(t *testing.T) {
	underRoles(t)
	u := session(t, "1000").spawn(t, "/usr/bin/updater")
	other := session(t, "1000").spawn(t, "/usr/bin/updater")
	admin := start(t, attacker)
	at := scratch + "/updates/"
	u.must(t, "install", at+"own")
	u.is(t, true, "launch", at+"own")
	u.spawn(t, attacker).is(t, true, "launch", at+"own")
	other.is(t, false, "launch", at+"own")
	admin.is(t, false, "launch", at+"own")
	admin.must(t, "install", at+"others")
	u.is(t, false, "launch", at+"others")
	u.must(t, "install", scratch+"/in/own")
	u.is(t, false, "launch", scratch+"/in/own")
	admin.must(t, "write", at+"own")
	u.is(t, false, "launch", at+"own")
}

func TestBuildersRunWhatTheirAccountBuilt(t *testing.T) {
	underRoles(t)
	as := func(uid string) *actor {
		a := session(t, uid)
		a.must(t, "user", uid)
		return a.spawn(t, "/usr/bin/make")
	}
	at := scratch + "/in/"
	first := as("1000")
	first.must(t, "install", at+"built")
	for _, row := range []struct {
		name string
		a    *actor
		want bool
	}{
		{"itself", first, true}, {"its child", first.spawn(t, attacker), true}, {"another build of the account", as("1000"), true},
		{"another account's build", as("33"), false}, {"the account without a build", session(t, "1000"), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.a.is(t, row.want, "launch", at+"built")
			row.a.is(t, false, "write", "/usr/lib/demo")
		})
	}
	stranger := start(t, attacker)
	stranger.must(t, "install", at+"strange")
	first.is(t, false, "launch", at+"strange")
	first.must(t, "listen")
	first.is(t, false, "launch", at+"built")
}

func TestBuildersRunScriptsOfTheirOwnAccount(t *testing.T) {
	underRoles(t)
	write := func(name string, uid int, mode os.FileMode) string {
		path := scratch + "/in/" + name
		if err := errors.Join(os.WriteFile(path, []byte("exit 0\n"), mode), os.Chmod(path, mode), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := session(t, "1000")
	a.must(t, "user", "1000")
	builder := a.spawn(t, "/usr/bin/make")
	own, open, others := write("own.sh", 1000, 0o644), write("open.sh", 1000, 0o666), write("others.sh", 33, 0o644)
	builder.is(t, true, "script", own)
	builder.is(t, false, "script", open)
	builder.is(t, false, "script", others)
	a.is(t, false, "script", own)
	builder.must(t, "listen")
	builder.is(t, false, "script", own)
}

func TestAGrantNeedsAnEndAndFewPlaces(t *testing.T) {
	g := under(t, lifeRules())
	a := start(t, attacker)
	for e, want := range map[*guard.Exception]string{
		{}: "needs an end", {For: time.Minute, Launch: []string{"/nowhere/at/all"}}: "no such file",
		{For: time.Minute, Write: strings.Split("/a /b /c /d /e /f /g /h /i", " ")}: "at most 8",
	} {
		if _, err := g.Grant(a.pid, *e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", *e, err, want)
		}
	}
	if _, err := g.Grant(1<<22-3, guard.Exception{For: time.Minute}); !errors.Is(err, guard.ErrNoProcess) {
		t.Errorf("a process that is not there: %v", err)
	}
}
