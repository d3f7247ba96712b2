//go:build guest && linux

package guard_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
)

// What contained processes may not do. Every scene has an administrator beside it who may.

const secret = data + "/secret/key"

// private names a private file, and a directory that is private and nothing else.
func private() *world {
	return newWorld().place(ruleset.Place{Path: data + "/secret", Flags: ruleset.Private}).
		place(ruleset.Place{Path: config + "/shadow", Flags: ruleset.Launches | ruleset.Config | ruleset.Private | ruleset.File}).
		place(ruleset.Place{Path: persist + "/netrc", Flags: ruleset.Private | ruleset.File})
}

func privateFiles(t *testing.T) {
	put(t, config+"/shadow", "root:secret\n", 0o666)
	put(t, persist+"/netrc", "password\n", 0o666)
	put(t, data+"/secret/deep/key", "secret\n", 0o666)
	for to, link := range map[string]string{secret: scrap + "/link", data + "/secret": scrap + "/dir"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestContainedProcessesReadNothingPrivate(t *testing.T) {
	var readers []scene
	for _, how := range []string{"read " + secret, "read " + data + "/secret", "read " + data + "/secret/deep/key", "read " + config + "/shadow", "read " + persist + "/netrc",
		"rdwr " + secret, "rdwr " + persist + "/netrc", "rdwr " + config + "/shadow",
		"openat2 " + secret, "uring " + secret, "uring " + persist + "/netrc",
		"read " + scrap + "/link", "read " + scrap + "/dir/key", "read /proc/self/root" + secret, "read " + data + "/secret/deep/../key"} {
		readers = append(readers, scene{name: how, script: "ok  " + how + "\n" + serves + "refused  " + how + "\nok  setuid 33\nrefused  " + how + "\n"})
	}
	holdIn(t, private(), privateFiles, readers...)
}

func TestWhatIsPrivateIsNotReadUnderAnotherName(t *testing.T) {
	holdIn(t, private(), privateFiles,
		scene{name: "a second name", script: serves + "refused  link " + secret + " " + data + "/copy\nrefused  link " + persist + "/netrc " + persist + "/copy\n"},
		scene{name: "another name", script: serves + "refused  rename " + secret + " " + data + "/key\n"},
		scene{name: "another name of a file that is named by itself", script: serves + "refused  rename " + persist + "/netrc " + persist + "/copy\n"},
		scene{name: "a directory that is moved out", script: serves + "refused  rename " + data + "/secret/deep " + data + "/deep\n"},
		scene{name: "an exchange", script: serves + "ok  create " + persist + "/mine\nrefused  exchange " + persist + "/mine " + persist + "/netrc\n"},
		scene{name: "the whole directory", script: serves + "refused  rename " + data + "/secret " + data + "/moved\n"},
		scene{name: "who is not contained", script: "ok  link " + persist + "/netrc " + persist + "/copy\nok  rename " + persist + "/copy " + persist + "/copy2\n"},
	)
}

func TestContainedProcessesGainNoPrivilegesByRunningPrograms(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/setuid"}).program(ruleset.Program{Path: bin + "/setgid"})
	group := w.of("demo.service")
	for i := range w.Programs {
		w.Programs[i].Setuid = group
	}
	var scenes []scene
	for _, program := range []string{"/setuid", "/setgid"} {
		run := "  exec " + bin + program + "\n"
		scenes = append(scenes, scene{name: program, script: serves + "ok  setuid 33\nrefused" + run},
			scene{name: program + " by root", script: serves + "refused" + run},
			scene{name: program + " by another thread", script: serves + "refused  texec " + bin + program + "\n"},
			scene{name: program + " as an interpreter", script: serves + "refused  exec " + bin + program + "-script\n"},
			scene{name: program + " of the group", script: "ok  cgroup demo.service\nok  exec " + server + "\n" + serves + "ok" + run + contained},
			scene{name: program + " of nobody", script: "ok" + run})
	}
	hold(t, w, scenes...)
}

func TestUtilitiesAreRefusedExceptToWhomTheyAreFor(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/tool", Utility: 1}).program(ruleset.Program{Path: bin + "/helper", Utility: 1})
	w.Programs[0].Runs = w.of("demo.service")
	const in = "ok  cgroup demo.service\nok  exec " + server + "\n" + serves
	hold(t, w,
		scene{name: "nobody", script: serves + "refused  exec " + bin + "/tool\nrefused  texec " + bin + "/tool\nok  setuid 33\nrefused  exec " + bin + "/tool\n"},
		scene{name: "by /proc", script: serves + "refused  exec /proc/self/root" + bin + "/tool\n"},
		scene{name: "whom it is for", script: in + "ok  exec " + bin + "/tool\n" + contained},
		scene{name: "and nothing else from there", script: in + "ok  exec " + bin + "/tool\nrefused  exec " + bin + "/helper\n"},
		scene{name: "no other one", script: in + "refused  exec " + bin + "/helper\n"},
		scene{name: "who is not contained", script: "ok  exec " + bin + "/tool\n"},
		scene{name: "workers of a utility that serves", script: "ok  exec " + bin + "/tool\n" + serves + "ok  run " + bin + "/tool\nok  exec " + bin + "/tool\nrefused  exec " + bin + "/helper\n"},
		scene{name: "a script of system space", script: serves + "refused  exec " + bin + "/script\n"},
		scene{name: "a script whose interpreter is for it", script: in + "ok  exec " + bin + "/script\n" + contained},
	)
}

func TestAnEdgeToAScriptIsOneToItsInterpreter(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/tool", Utility: 1}).program(ruleset.Program{Path: bin + "/script", Utility: 1})
	w.Programs[1].Runs = w.of("demo.service")
	const in = "ok  cgroup demo.service\nok  exec " + server + "\n" + serves
	hold(t, w,
		scene{name: "the script", script: in + "ok  exec " + bin + "/script\n" + contained},
		scene{name: "the interpreter by itself", script: in + "refused  exec " + bin + "/tool\n"},
		scene{name: "the interpreter by itself later", script: in + "ok  exec " + other + "\nrefused  exec " + bin + "/tool\n"},
		scene{name: "another's", script: serves + "refused  exec " + bin + "/script\n"},
	)
}

// A server that uses popen(3) or system(3) needs a shell that starts its helpers, and not
// one that does as it likes.
func TestAShellForHelpersStartsNothingElse(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/shell", Utility: 1}).program(ruleset.Program{Path: bin + "/helper", Utility: 1}).
		program(ruleset.Program{Path: bin + "/tool", Utility: 1})
	group := w.of("demo.service")
	w.Programs[0].Popen, w.Programs[1].Runs = group, group
	const in = "ok  cgroup demo.service\nok  exec " + server + "\n" + serves + "ok  exec " + bin + "/shell\n"
	hold(t, w,
		scene{name: "a helper", script: in + "ok  exec " + bin + "/helper\n" + contained},
		scene{name: "a helper as a child", script: in + "ok  run " + bin + "/helper\n" + contained},
		scene{name: "a utility", script: in + "refused  exec " + bin + "/tool\nrefused  texec " + bin + "/tool\n"},
		scene{name: "a program nobody has named", script: in + "refused  exec " + other + "\n"},
		scene{name: "a script of system space", script: in + "refused  exec " + bin + "/script\n"},
		scene{name: "another's shell", script: serves + "refused  exec " + bin + "/shell\n"},
	)
}

func TestWhatLeavesContainmentLeavesWithItsChildren(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/helper"}).program(ruleset.Program{Path: bin + "/tool", Utility: 1})
	w.Programs[0].Leaves = w.of("demo.service")
	const in = "ok  cgroup demo.service\nok  exec " + server + "\n" + serves
	hold(t, w,
		scene{name: "it leaves", script: in + contained + "ok  run " + bin + "/helper\n" + free + "ok  run " + other + "\n" + free + "ok  run " + bin + "/tool\n"},
		scene{name: "by another thread", script: in + "ok  texec " + bin + "/helper\n" + free},
		scene{name: "who goes on is contained again when it listens", script: in + "ok  run " + bin + "/helper\n" + free + serves + contained},
		scene{name: "another does not", script: serves + "ok  run " + bin + "/helper\n" + contained},
		scene{name: "nor one that fails to", script: in + "no such file or directory  exec " + bin + "/none\n" + contained},
	)
}

func TestContainedProcessesMakeNothingThatRaisesPrivileges(t *testing.T) {
	var scenes []scene
	for i, mode := range []string{"4755", "2755", "6755"} {
		n := string(rune('a' + i))
		scenes = append(scenes,
			scene{name: "chmod " + mode, script: serves + "ok  chmod 755 " + scrap + "/code.py\nrefused  chmod " + mode + " " + scrap + "/code.py\n"},
			scene{name: "create " + mode, script: serves + "refused  creat " + mode + " " + scrap + "/c" + n + "\n"},
			scene{name: "mknod " + mode, script: serves + "refused  mknod " + mode + " " + scrap + "/m" + n + "\n"},
			scene{name: "without a name " + mode, script: serves + "refused  tmpfile " + mode + " " + scrap + " " + scrap + "/t" + n + "\n"})
	}
	scenes = append(scenes,
		scene{name: "capabilities", script: serves + "refused  capability " + scrap + "/code.py\n"},
		scene{name: "who is not contained", script: "ok  creat 4755 " + scrap + "/raised\nok  capability " + scrap + "/raised\n"},
		scene{name: "daily work", script: serves + "ok  creat 755 " + scrap + "/c\nok  mknod 644 " + scrap + "/m\nok  tmpfile 755 " + scrap + " " + scrap + "/t\nok  chmod 2644 " + scrap + "/c\n"})
	hold(t, newWorld(), scenes...)
}

// There is no device behind the number: who is let through hears that.
func TestDevicesAreAskedAboutByTheNameOfTheirDriver(t *testing.T) {
	text, err := os.ReadFile("/proc/devices")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?m)^ *(\d+) (?:bsg|nvme|nvme-generic|sg|ndctl)$`).FindSubmatch(text)
	if listed == nil {
		t.Fatalf("this kernel has none of the drivers:\n%s", text)
	}
	major, err := strconv.Atoi(string(listed[1]))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.Surfaces = make([]ruleset.Surface, len(policy.Surfaces()))
	w.Surfaces[slices.Index(policy.Surfaces(), policy.Surface("raw-disk"))] = ruleset.Surface{Refused: true, Rule: 1}
	furnish(t)
	for node, number := range map[string]uint64{data + "/disk": unix.Mkdev(uint32(major), 4000), data + "/other": unix.Mkdev(uint32(major)+300, 0)} {
		if err := unix.Mknod(node, unix.S_IFCHR|0o666, int(number)); err != nil {
			t.Fatal(err)
		}
	}
	under(t, w.Ruleset)
	if err := theGuard(t).Learn(); err != nil {
		t.Fatal(err)
	}
	s := scene{script: "no such device or address  read " + data + "/disk\n" + serves + "refused  read " + data + "/disk\nrefused  rdwr " + data + "/disk\n" +
		"no such device or address  read " + data + "/other\n"}
	if got := s.play(t); !slices.Equal(got, outcomes(s.script)) {
		t.Errorf("it went otherwise:\n%s", beside(s.script, got))
	}
}

func TestWhoIsHeldToItRunsNoCodeOfItsOwnMaking(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: server, Flags: ruleset.WX})
	w.Enforce |= ruleset.ControlProcess
	var scenes []scene
	for _, how := range []string{"anonymous", "written-then-run", "file", "own-program"} {
		scenes = append(scenes, scene{name: how, script: "refused  code " + how + "\n"},
			scene{name: how + ", by what it runs", script: "ok  exec " + bin + "/tool\nrefused  code " + how + "\n"},
			scene{name: how + ", by who is not held", actor: attacker, script: "ok  code " + how + "\n"})
	}
	hold(t, w, scenes...)
}

func TestAnAdministratorDoesHisWork(t *testing.T) {
	w := private().program(ruleset.Program{Path: bin + "/tool", Utility: 1})
	holdIn(t, w, privateFiles, scene{name: "root", script: free + "ok  create " + config + "/new\nok  rename " + config + "/new " + config + "/newer\nok  unlink " + config + "/newer\nok  mkdir " + config + "/d\nok  rmdir " + config + "/d\n" +
		"ok  read " + secret + "\nok  read " + data + "/secret\nok  read " + config + "/shadow\nok  rdwr " + config + "/shadow\nok  run " + bin + "/tool\n" + free})
}
