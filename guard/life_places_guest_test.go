//go:build guest && linux

package guard_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/guard/ruleset"
)

// appRules are lifeRules with an application that administrators may change.
func appRules() ruleset.Ruleset {
	rs := lifeRules()
	app := ruleset.Launches | ruleset.Config
	rs.Places = append([]ruleset.Place{{Path: "/srv/app", Flags: app, WriteRule: 2}, {Path: "/srv/app/var", Flags: ruleset.User, WriteRule: 2},
		{Path: "/srv/app/var/plugins", Flags: app, WriteRule: 2}}, rs.Places...)
	return rs
}

func underApp(t *testing.T) *guard.Guard {
	t.Helper()
	g := under(t, appRules())
	t.Cleanup(func() { os.RemoveAll("/srv") })
	if err := errors.Join(os.RemoveAll("/srv"), os.MkdirAll("/srv/app/var/plugins", 0o755), os.MkdirAll("/srv/user", 0o755),
		install("/srv/app/x"), install("/srv/app/var/x"), install("/srv/app/var/plugins/x"), install("/srv/user/x")); err != nil {
		t.Fatal(err)
	}
	apply(t, g, appRules())
	return g
}

func apply(t *testing.T, g *guard.Guard, rs ruleset.Ruleset) {
	t.Helper()
	if _, err := g.ApplyRuleset(rs); err != nil {
		t.Fatal(err)
	}
}

func TestANamedDirectoryThatIsReplacedIsNamedAtOnceAndTheMovedOneStays(t *testing.T) {
	g := underApp(t)
	seen := follow(t, g)
	a := start(t, attacker)
	a.is(t, true, "launch", "/srv/app/x")
	a.is(t, false, "launch", "/srv/app/var/x")
	a.must(t, "rename", "/srv/app", "/srv/old")
	seen.find(t, func(e event.Event) bool { return e.Op == "place-moved" && strings.HasSuffix(e.Path, "srv/app") })
	a.is(t, true, "launch", "/srv/old/x")
	a.is(t, false, "launch", "/srv/old/var/x")
	a.is(t, true, "launch", "/srv/old/var/plugins/x")
	for _, dir := range []string{"/srv/app", "/srv/app/var", "/srv/app/var/plugins"} {
		a.must(t, "mkdir", dir)
	}
	for _, dir := range []string{"/srv/app", "/srv/app/var", "/srv/app/var/plugins"} {
		a.must(t, "install", dir+"/y")
	}
	a.is(t, true, "launch", "/srv/app/y")
	a.is(t, false, "launch", "/srv/app/var/y")
	a.is(t, true, "launch", "/srv/app/var/plugins/y")
	apply(t, g, appRules()) // as a refresh: the moved one is nobody's now
	a.is(t, true, "launch", "/srv/app/y")
	a.is(t, false, "launch", "/srv/app/var/y")
	a.is(t, false, "launch", "/srv/old/x")
}

func TestADirectoryThatMovesBetweenSpacesIsJudgedRightAtOnce(t *testing.T) {
	underApp(t)
	deep := "tree/a/b/c"
	if err := errors.Join(os.MkdirAll("/srv/user/"+deep, 0o755), install("/srv/user/"+deep+"/x")); err != nil {
		t.Fatal(err)
	}
	a := start(t, attacker)
	for range 3 {
		a.is(t, false, "launch", "/srv/user/"+deep+"/x")
		a.must(t, "rename", "/srv/user/tree", "/srv/app/tree")
		a.is(t, true, "launch", "/srv/app/"+deep+"/x")
		a.must(t, "rename", "/srv/app/tree", "/srv/user/tree")
	}
	a.is(t, false, "launch", "/srv/user/"+deep+"/x")
}

func TestAFileSystemMountedOverOrBelowAPlaceIsUserSpace(t *testing.T) {
	g := underApp(t)
	a := start(t, attacker)
	for _, at := range []string{"/srv/app/below", "/srv/app"} {
		os.MkdirAll(at, 0o755)
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		if err := install(at + "/new"); err != nil {
			t.Fatal(err)
		}
		a.is(t, false, "launch", at+"/new")
		apply(t, g, appRules())
		a.is(t, false, "launch", at+"/new") // a stranger decides what lies on it
		if err := unix.Unmount(at, 0); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, g, appRules())
	a.is(t, true, "launch", "/srv/app/x")
}

// disk mounts a file system of its own at a folder: the image the machine was given.
func disk(t *testing.T, at string) {
	t.Helper()
	image := scratch + "/disk" + filepath.Base(at)
	empty, err := os.ReadFile("/disk.ext4")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(image, empty, 0o600), os.MkdirAll(at, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(busybox)
	cmd.Args = []string{"mount", "-t", "ext4", "-o", "loop", image, at}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
}

func TestADiskMountedBelowAPlaceIsPartOfItAfterARefresh(t *testing.T) {
	g := underApp(t)
	disk(t, "/srv/app/disk")
	if err := install("/srv/app/disk/x"); err != nil {
		t.Fatal(err)
	}
	a := start(t, attacker)
	a.is(t, false, "launch", "/srv/app/disk/x")
	apply(t, g, appRules())
	a.is(t, true, "launch", "/srv/app/disk/x")
}

func TestANumberThatIsGivenAgainIsNotThePlace(t *testing.T) {
	g := under(t, lifeRules())
	disk(t, "/mnt/disk")
	rs := lifeRules()
	rs.Places = append([]ruleset.Place{{Path: "/mnt/disk/app", Flags: ruleset.Launches | ruleset.Config, WriteRule: 2}}, rs.Places...)
	if err := errors.Join(os.Mkdir("/mnt/disk/app", 0o755), install("/mnt/disk/app/x")); err != nil {
		t.Fatal(err)
	}
	apply(t, g, rs)
	a := start(t, attacker)
	a.is(t, true, "launch", "/mnt/disk/app/x")
	was := number(t, "/mnt/disk/app")
	if err := os.RemoveAll("/mnt/disk/app"); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		dir := fmt.Sprintf("/mnt/disk/other%d", i)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if number(t, dir) != was {
			continue
		}
		if err := install(dir + "/x"); err != nil {
			t.Fatal(err)
		}
		a.is(t, false, "launch", dir+"/x")
		return
	}
	t.Fatal("the file system never gave the number again: nothing was shown")
}

func number(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

func TestWhatRunsBeforeAPolicyIsLabelledAsIfItHadStartedUnderIt(t *testing.T) {
	g := under(t, ruleset.Ruleset{})
	called(t, "/usr/bin/served", "/usr/bin/script", "/usr/bin/sshd")
	cgroup := "/sys/fs/cgroup/shop@1.service"
	os.MkdirAll("/sys/fs/cgroup", 0o755)
	if !exists("/sys/fs/cgroup/cgroup.procs") {
		if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	rs := lifeRules()
	rs.Lineages = []ruleset.Lineage{{Name: "unit shop@.service", Unit: "shop@.service", Flags: ruleset.Contained}, {Name: "program /usr/bin/served"}}
	rs.Programs = []ruleset.Program{{Path: "/usr/bin/served", Flags: ruleset.Contained, Lineage: 2}, {Path: "/usr/bin/script", Flags: ruleset.Interpreter},
		{Path: "/usr/bin/sshd", Flags: ruleset.Exempt}}
	listener, admin, exempt := start(t, attacker), start(t, attacker), start(t, "/usr/bin/sshd")
	listener.must(t, "listen")
	exempt.must(t, "listen")
	unit := start(t, attacker)
	if err := os.WriteFile(cgroup+"/cgroup.procs", []byte(strconv.Itoa(unit.pid)), 0); err != nil {
		t.Fatal(err)
	}
	served := start(t, "/usr/bin/served")
	rows := []struct {
		name        string
		a           *actor
		contained   bool
		interpreter bool
		lineage     string
	}{
		{"a listener", listener, true, false, ""}, {"its child", listener.spawn(t, attacker), true, false, ""},
		{"its child's child", listener.spawn(t, attacker).spawn(t, attacker), true, false, ""},
		{"an instance of a unit", unit, true, false, "unit shop@.service"}, {"its child", unit.spawn(t, attacker), true, false, "unit shop@.service"},
		{"a listed program", served, true, false, "program /usr/bin/served"}, {"its child", served.spawn(t, attacker), true, false, "program /usr/bin/served"},
		{"an interpreter", start(t, "/usr/bin/script"), false, true, ""}, {"an administrator", admin, false, false, ""},
		{"who is exempt", exempt, false, false, ""}, {"what it started", exempt.spawn(t, attacker), false, false, ""},
	}
	apply(t, g, rs)
	for _, row := range rows {
		l, err := g.Label(row.a.pid)
		if err != nil || l.Contained != row.contained || l.Interpreter != row.interpreter || strings.Join(l.Lineages, " ") != row.lineage {
			t.Errorf("%s: %+v, %v", row.name, l, err)
		}
		row.a.is(t, !row.contained, "write", "/etc/demo")
	}
}

// A service that forks without end while a policy is put in force: each link of the
// chain ends when it has started the next. It is caught, or it is told.
func TestAProcessThatForksWithoutEndDoesNotEscapeUntold(t *testing.T) {
	g := under(t, ruleset.Ruleset{})
	if err := errors.Join(install("/usr/bin/chain"), os.RemoveAll(scratch+"/stop")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		cmd := exec.Command("/usr/bin/chain")
		cmd.Args = []string{"sh", "-c", "chain() { [ -e " + scratch + "/stop ] || ( chain ) & }; chain"}
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
	}
	defer os.WriteFile(scratch+"/stop", nil, 0o644)
	rs := lifeRules()
	rs.Programs = []ruleset.Program{{Path: "/usr/bin/chain", Flags: ruleset.Contained}}
	time.Sleep(200 * time.Millisecond)
	applied, err := g.ApplyRuleset(rs)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d labelled; gaps %v", applied.Labelled, applied.Gaps)
	met, free := 0, 0
	for until := time.Now().Add(20 * time.Second); met < 40 && time.Now().Before(until); {
		entries, err := os.ReadDir("/proc")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if exe, err := os.Readlink("/proc/" + e.Name() + "/exe"); err != nil || exe != "/usr/bin/chain" {
				continue
			}
			l, err := g.Label(pid)
			if err != nil || !exists("/proc/"+e.Name()+"/exe") {
				continue
			}
			met++
			if !l.Contained {
				free++
			}
		}
	}
	untold := len(applied.Gaps) == 0
	if met == 0 || free > 0 && untold {
		t.Errorf("%d met, %d not contained; gaps %+v", met, free, applied.Gaps)
	}
}
