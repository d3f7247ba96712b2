//go:build guest && linux

package guard_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// Places that are named before they are there, and those on the way to them.

const persistent = ruleset.Config | ruleset.Persist

// starting names what starts later: a directory and a file that are there, others that
// are not, and one with four directories missing on the way.
func starting() *world {
	w := newWorld()
	for _, dir := range []string{"/spool/cron", "/spool/at", "/a/b/c/tabs", "/a2/b/c/tabs", "/jobs"} {
		w.place(ruleset.Place{Path: persist + dir, Flags: persistent})
	}
	for _, file := range []string{"/spool/crontab", "/profile", "/x/y/z/rc"} {
		w.place(ruleset.Place{Path: persist + file, Flags: persistent | ruleset.File})
	}
	return w
}

func spool(t *testing.T) {
	put(t, persist+"/spool/cron/root", "jobs\n", 0o666)
	put(t, persist+"/spool/crontab", "jobs\n", 0o666)
	put(t, persist+"/free/file", "free\n", 0o666)
	put(t, persist+"/free/dir/root", "free\n", 0o666)
	put(t, persist+"/free/jobs/root", "free\n", 0o666)
	if err := os.MkdirAll(persist+"/empty", 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestContainedRootPlantsNothingThatStartsLater(t *testing.T) {
	var scenes []scene
	for _, how := range []string{
		"write " + persist + "/spool/cron/root", "create " + persist + "/spool/cron/new", "write " + persist + "/spool/crontab",
		"mkdir " + persist + "/spool/cron/d", "unlink " + persist + "/spool/crontab",
		"rename " + persist + "/free/file " + persist + "/spool/cron/file", "rename " + persist + "/free/file " + persist + "/spool/crontab",
		"exchange " + persist + "/free/file " + persist + "/spool/crontab",
		"link " + persist + "/free/file " + persist + "/spool/cron/second", "symlink " + persist + "/free/file " + persist + "/spool/cron/link",
		// Not there yet.
		"create " + persist + "/profile", "symlink " + persist + "/free/file " + persist + "/profile", "link " + persist + "/free/file " + persist + "/profile",
		"rename " + persist + "/free/file " + persist + "/profile", "mknod 644 " + persist + "/profile",
		"mkdir " + persist + "/spool/at", "mkdir " + persist + "/jobs", "symlink " + persist + "/free " + persist + "/jobs",
		"rename " + persist + "/free/dir " + persist + "/spool/at", "create " + persist + "/jobs",
	} {
		scenes = append(scenes, scene{name: how, script: serves + "refused  " + how + "\n"})
	}
	holdIn(t, starting(), spool, scenes...)
}

func TestWhatIsMissingOnTheWayIsFollowedFourLevelsDown(t *testing.T) {
	way := func(top string, levels ...string) string {
		script := ""
		for _, l := range levels {
			top += "/" + l
			script += "ok  mkdir " + top + "\n"
		}
		return script
	}
	holdIn(t, starting(), spool,
		scene{name: "a directory", script: serves + way(persist, "a", "b", "c") + "refused  mkdir " + persist + "/a/b/c/tabs\nok  create " + persist + "/a/b/c/free\nok  mkdir " + persist + "/a/b/d\nok  create " + persist + "/a/b/d/tabs\n"},
		scene{name: "a file", script: serves + way(persist, "x", "y", "z") + "refused  create " + persist + "/x/y/z/rc\nok  create " + persist + "/x/y/z/free\n"},
		scene{name: "what an administrator makes there", script: way(persist, "a2", "b", "c", "tabs", "d") + "ok  create " + persist + "/a2/b/c/tabs/root\nok  create " + persist + "/a2/b/c/tabs/d/f\n" + serves +
			"refused  write " + persist + "/a2/b/c/tabs/root\nrefused  create " + persist + "/a2/b/c/tabs/new\nrefused  write " + persist + "/a2/b/c/tabs/d/f\n"},
	)
}

func TestNobodyContainedPutsOtherDirectoriesInTheWay(t *testing.T) {
	var scenes []scene
	for _, how := range []string{
		"rename " + persist + "/spool " + persist + "/away", "rename " + persist + " /var/t2", "rename " + persist + "/free " + persist + "/spool/../a",
		"symlink " + persist + "/free " + persist + "/a", "create " + persist + "/a", "exchange " + persist + "/free " + persist + "/spool",
		"bind " + persist + "/free " + persist + "/spool", "bind " + persist + "/free " + persist,
	} {
		scenes = append(scenes, scene{name: how, script: serves + "refused  " + how + "\n"})
	}
	holdIn(t, starting(), func(t *testing.T) {
		spool(t)
		if err := os.RemoveAll("/var/t2"); err != nil {
			t.Fatal(err)
		}
	}, append(scenes,
		scene{name: "one that is empty is removed", script: serves + "ok  mkdir " + persist + "/a\nrefused  rmdir " + persist + "/a\n"},
		scene{name: "one that is empty is moved", script: serves + "ok  mkdir " + persist + "/x\nrefused  rename " + persist + "/x " + persist + "/a9\n"},
		scene{name: "where nothing is named", script: serves + "ok  mkdir " + persist + "/mine\nok  rename " + persist + "/mine " + persist + "/spool/mine\nok  create " + persist + "/spool/mine/f\nok  rmdir " + persist + "/empty\n"},
		scene{name: "an administrator", script: "ok  rename " + persist + "/spool " + persist + "/away\nok  rename " + persist + "/away " + persist + "/spool\n"},
	)...)
}

// A directory that is named goes on being it when an administrator replaces it.
func TestAReplacedDirectoryIsNamedAtOnce(t *testing.T) {
	holdIn(t, starting(), spool,
		scene{name: "replaced", script: "ok  rename " + persist + "/spool/cron " + persist + "/old\nok  rename " + persist + "/free/jobs " + persist + "/spool/cron\n" + serves + "refused  write " + persist + "/spool/cron/root\n"},
		scene{name: "replaced on the way", script: "ok  rename " + persist + "/spool " + persist + "/gone\nok  mkdir " + persist + "/spool\nok  mkdir " + persist + "/spool/cron\n" + serves +
			"refused  create " + persist + "/spool/cron/root\nrefused  create " + persist + "/spool/crontab\nrefused  mkdir " + persist + "/spool/at\n"},
	)
}

const web = "/srv/t/web"

// webSpace is an application that only its owner changes, with directories for uploads.
func webSpace() *world {
	w := newWorld().program(ruleset.Program{Path: bin + "/python", Flags: ruleset.Interpreter})
	w.UserNames = []ruleset.UserName{{Name: "uploads", Rule: 1}}
	return w.place(ruleset.Place{Path: web, Flags: ruleset.Launches | ruleset.Data | ruleset.Names})
}

func application(t *testing.T) {
	for _, dir := range []string{"/site/uploads", "/site/uploads/2026/11", "/site/code"} {
		put(t, web+dir+"/module.py", "code\n", 0o666)
		if err := install(web + dir + "/program"); err != nil {
			t.Fatal(err)
		}
	}
	put(t, web+"/other/uploads", "a file that is called so\n", 0o666)
	put(t, web+"/site/uploadsx/module.py", "code\n", 0o666)
}

func TestDirectoriesOfCertainNamesAreUserSpace(t *testing.T) {
	python := "ok  run " + bin + "/python\n"
	var scenes []scene
	for _, dir := range []string{"/site/uploads", "/site/uploads/2026/11"} {
		scenes = append(scenes,
			scene{name: dir + " launches nothing", script: "refused  begin " + web + dir + "/program\nrefused  load " + web + dir + "/program\n"},
			scene{name: dir + " holds no code", script: python + "refused  read " + web + dir + "/module.py\n"},
			scene{name: dir + " is written", script: serves + "ok  write " + web + dir + "/module.py\nok  create " + web + dir + "/new\nok  mkdir " + web + dir + "/d\n"})
	}
	holdIn(t, webSpace(), application, append(scenes,
		scene{name: "code beside it", script: "ok  begin " + web + "/site/code/program\n" + python + "ok  read " + web + "/site/code/module.py\nok  read " + web + "/site/uploadsx/module.py\n"},
		scene{name: "code beside it is not written", script: serves + "refused  write " + web + "/site/code/module.py\nrefused  create " + web + "/site/code/new\nrefused  write " + web + "/site/uploadsx/module.py\n"},
		scene{name: "a file that is called so", script: serves + "refused  write " + web + "/other/uploads\n"},
		scene{name: "nobody contained names directories so", script: serves + "refused  mkdir " + web + "/site/code/uploads\nrefused  rename " + web + "/site/code " + web + "/site/uploads/code\nrefused  rename " + web + "/site/uploads " + web + "/site/code2\n"},
	)...)
}

func TestADirectoryIsUserSpaceByTheNameItHasNow(t *testing.T) {
	const code, up = web + "/site/code", web + "/site/uploads"
	holdIn(t, webSpace(), application,
		scene{name: "called otherwise", script: "refused  begin " + up + "/program\nok  rename " + up + " " + web + "/site/static\nok  begin " + web + "/site/static/program\n" +
			"ok  rename " + web + "/site/static " + up + "\nrefused  begin " + up + "/program\n"},
		scene{name: "called so", script: "ok  begin " + code + "/program\nok  mkdir " + web + "/new\nok  rename " + code + " " + web + "/new/uploads\nrefused  begin " + web + "/new/uploads/program\n" +
			"ok  rename " + web + "/new/uploads " + code + "\nok  begin " + code + "/program\n"},
		scene{name: "moved into one", script: "ok  begin " + code + "/program\nok  rename " + code + " " + up + "/code\nrefused  begin " + up + "/code/program\n" +
			"ok  rename " + up + "/code " + code + "\nok  begin " + code + "/program\n"},
		scene{name: "exchanged", script: "ok  exchange " + code + " " + up + "\nok  begin " + code + "/program\nrefused  begin " + up + "/program\n"},
		scene{name: "made afresh", script: "ok  rename " + up + " " + web + "/old\nok  mkdir " + up + "\n" + serves + "ok  create " + up + "/new\n"},
	)
}

// The longest names count as well as short ones: none is taken for another.
func TestALongNameIsNotTakenForAListedOne(t *testing.T) {
	long := strings.Repeat("n", ruleset.MaxName)
	w := newWorld().place(ruleset.Place{Path: persist + "/" + long, Flags: persistent | ruleset.File})
	hold(t, w, scene{name: "a name of the most bytes that count", script: serves + "refused  create " + persist + "/" + long + "\nok  create " + persist + "/" + long + "n\nok  create " + persist + "/" + long + "nnn\n"})
}
