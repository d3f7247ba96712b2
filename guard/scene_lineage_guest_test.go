//go:build guest && linux

package guard_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// written has a contained process try the files of each lineage: those of these, and no
// other's.
func written(as ...string) string {
	script := serves
	for _, who := range []string{"demo", "instance", "template", "inner", "program", "account"} {
		want := "refused"
		for _, a := range as {
			if a == who {
				want = "ok"
			}
		}
		script += want + "  write " + config + "/of/" + who + "\n"
	}
	return script
}

// ofLineages gives each kind of lineage a file of configuration that it writes.
func ofLineages() *world {
	w := newWorld()
	for name, who := range map[string]string{"demo": "demo.service", "instance": "pg@15-main.service", "template": "pg@.service",
		"inner": "inner.service", "program": bin + "/master", "account": "user 1000"} {
		w.place(ruleset.Place{Path: config + "/of/" + name, Flags: ruleset.Launches | ruleset.Config | ruleset.File, Writers: w.of(who)})
	}
	return w.place(ruleset.Place{Path: config + "/of", Flags: ruleset.Launches | ruleset.Config})
}

func TestALineageIsByUnitInstanceTemplateProgramAndAccount(t *testing.T) {
	enter := func(unit string) string { return "ok  cgroup " + unit + "\nok  exec " + server + "\n" }
	hold(t, ofLineages(),
		scene{name: "nobody", script: written()},
		scene{name: "unit", script: enter("demo.service") + written("demo")},
		scene{name: "the uppermost unit", script: enter("demo.service/inner.service") + written("demo")},
		scene{name: "instance", script: enter("pg@15-main.service") + written("instance", "template")},
		scene{name: "program", script: "ok  run " + bin + "/master\n" + written("program")},
		scene{name: "account", script: "ok  login 1000\nok  exec " + server + "\n" + written("account")},
		scene{name: "another account", script: "ok  login 1001\nok  exec " + server + "\n" + written()},
		scene{name: "all at once", script: "ok  login 1000\nok  cgroup demo.service\nok  exec " + bin + "/master\n" + written("demo", "program", "account")},
	)
}

func TestDescendantsKeepTheirLineages(t *testing.T) {
	hold(t, ofLineages(),
		scene{name: "what it runs", script: "ok  run " + bin + "/master\nok  run " + other + "\nok  exec " + server + "\n" + written("program")},
		scene{name: "by another thread", script: "ok  exec " + bin + "/master\nok  texec " + other + "\n" + written("program")},
		scene{name: "a daemon", script: "ok  exec " + bin + "/master\nok  daemon\n" + written("program")},
		scene{name: "who has left the unit", script: "ok  cgroup demo.service\nok  exec " + server + "\nok  cgroup long.service\nok  exec " + other + "\n" + written("demo")},
	)
}

func TestAControlGroupCalledLikeAUnitGivesNothingBelowAnotherUnit(t *testing.T) {
	hold(t, ofLineages(),
		scene{name: "in an account's own", script: "ok  cgroup user@1000.service/app.slice/demo.service\nok  exec " + server + "\n" + written()},
		scene{name: "very deep in it", script: "ok  cgroup user@1000.service/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/demo.service\nok  exec " + server + "\n" + written()},
	)
}

func TestAnExecThatFailsChangesNothing(t *testing.T) {
	w := ofLineages()
	w.program(ruleset.Program{Path: bin + "/python", Flags: ruleset.Interpreter}).
		program(ruleset.Program{Path: bin + "/garbage", Lineage: w.named(bin+"/master") + 1, Flags: ruleset.Exempt | ruleset.Contained}).
		program(ruleset.Program{Path: bin + "/missing", Lineage: w.named(bin+"/master") + 1})
	const code = "  read " + scrap + "/code.py\n"
	var scenes []scene
	for _, how := range []string{"exec", "texec"} {
		fails := "exec format error  " + how + " " + bin + "/garbage\nno such file or directory  " + how + " " + bin + "/missing\ndenied  " + how + " " + config + "/plain\n"
		scenes = append(scenes,
			scene{name: how + " of an interpreter", script: "ok  run " + bin + "/python\nrefused" + code + fails + "refused" + code},
			scene{name: how + " of somebody else", script: fails + "ok" + code + "ok  write " + probe + "\n" + serves + contained},
			scene{name: how + " for a lineage", script: fails + written()},
			scene{name: how + " and then another", script: fails + "ok  exec " + other + "\nok" + code + written()},
		)
	}
	hold(t, w, scenes...)
}

// What is refused to launch is not what the process becomes either.
func TestARefusedExecGivesNoLineage(t *testing.T) {
	w := ofLineages().program(ruleset.Program{Path: bin + "/setuid"}).program(ruleset.Program{Path: bin + "/tool", Utility: 1})
	for i := range w.Programs {
		w.Programs[i].Lineage = w.named(bin+"/master") + 1
	}
	furnish(t)
	under(t, w.Ruleset)
	for _, program := range []string{bin + "/setuid", bin + "/tool"} {
		script := serves + "refused  exec " + program + "\nrefused  texec " + program + "\n" + strings.TrimPrefix(written(), serves)
		if got := (scene{script: script}).play(t); strings.Join(got, "\n") != strings.Join(outcomes(script), "\n") {
			t.Errorf("%s:\n%s", program, beside(script, got))
		}
	}
}

func TestReadersReadWhatIsPrivate(t *testing.T) {
	w := newWorld()
	w.place(ruleset.Place{Path: data + "/secret", Flags: ruleset.Private, Readers: w.of(bin + "/master")})
	hold(t, w,
		scene{name: "a reader", script: "ok  run " + bin + "/master\n" + serves + "ok  read " + data + "/secret\nok  read " + data + "/secret/key\nok  rdwr " + data + "/secret/key\n"},
		scene{name: "another", script: serves + "refused  read " + data + "/secret\nrefused  read " + data + "/secret/key\n"},
		scene{name: "nobody in particular", script: "ok  read " + data + "/secret\nok  read " + data + "/secret/key\n"},
	)
}

func TestDataIsItsOwnersAndByAccountTheFilesOwners(t *testing.T) {
	w := newWorld()
	w.place(ruleset.Place{Path: data, Flags: ruleset.Data, Writers: w.of("demo.service")}).
		place(ruleset.Place{Path: data + "/pool", Flags: ruleset.Data | ruleset.ByAccount})
	pool := func(t *testing.T) {
		put(t, data+"/pool/33", "his\n", 0o666)
		put(t, data+"/pool/0", "root's\n", 0o666)
		put(t, data+"/pool/1000", "another's\n", 0o666)
		for name, uid := range map[string]int{"/pool/33": 33, "/pool": 33, "/pool/1000": 1000} {
			if err := os.Chown(data+name, uid, uid); err != nil {
				t.Fatal(err)
			}
		}
	}
	holdIn(t, w, pool,
		scene{name: "an owner", script: "ok  cgroup demo.service\nok  exec " + server + "\n" + serves + "ok  write " + data + "/file\nok  create " + data + "/fresh\n"},
		scene{name: "another", script: serves + "refused  write " + data + "/file\nrefused  create " + data + "/new\nrefused  mkdir " + data + "/dir\nrefused  chmod 600 " + data + "/file\nrefused  unlink " + data + "/file\n"},
		scene{name: "who is not contained", script: "ok  write " + data + "/file\n"},
		scene{name: "the account of a file", script: serves + "ok  setuid 33\nok  write " + data + "/pool/33\nok  create " + data + "/pool/mine\nrefused  write " + data + "/pool/1000\nrefused  write " + data + "/pool/0\n"},
		scene{name: "root", script: serves + "refused  write " + data + "/pool/0\nrefused  write " + data + "/pool/33\nrefused  create " + data + "/pool/roots\n"},
	)
}

func TestLaunchersLaunchFromUserSpaceAndCodersOpenCodeThere(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/python", Flags: ruleset.Interpreter})
	w.place(ruleset.Place{Path: data + "/launch", Launchers: w.of("demo.service")}).
		place(ruleset.Place{Path: data + "/cache", Coders: w.of("demo.service")})
	const in = "ok  cgroup demo.service\nok  exec " + server + "\n"
	const code = "  read " + data + "/cache/module.py\n"
	stuff := func(t *testing.T) {
		if err := install(data + "/launch/program"); err != nil {
			t.Fatal(err)
		}
		put(t, data+"/launch/module.py", "code\n", 0o644)
		put(t, data+"/cache/module.py", "code\n", 0o644)
		put(t, data+"/cache/library", strings.Repeat("x", 8192), 0o755)
		put(t, data+"/launch/library", strings.Repeat("x", 8192), 0o755)
		if err := install(data + "/cache/program"); err != nil {
			t.Fatal(err)
		}
	}
	holdIn(t, w, stuff,
		scene{name: "a launcher", script: in + "ok  begin " + data + "/launch/program\nok  load " + data + "/launch/library\nrefused  begin " + data + "/cache/program\nrefused  load " + data + "/cache/library\n"},
		scene{name: "a contained launcher", script: in + serves + "ok  begin " + data + "/launch/program\nok  load " + data + "/launch/library\n"},
		scene{name: "another", script: "refused  begin " + data + "/launch/program\nrefused  load " + data + "/launch/library\n"},
		scene{name: "another, who asks only to read", script: "refused  load-to-read " + data + "/launch/library\n"},
		scene{name: "a coder", script: in + "ok  exec " + bin + "/python\nok" + code + "refused  read " + data + "/launch/module.py\n"},
		scene{name: "no coder", script: "ok  run " + bin + "/python\nrefused" + code},
	)
}

func TestConnectorsSpeakToDeputies(t *testing.T) {
	w := newWorld()
	w.place(ruleset.Place{Path: persist + "/bus", Flags: ruleset.Deputy, Connectors: w.of("demo.service")}).
		place(ruleset.Place{Path: persist + "/one", Flags: ruleset.Deputy | ruleset.File, Connectors: w.of("demo.service")})
	ways := []string{"unix " + persist + "/bus/stream", "unixpacket " + persist + "/bus/packets", "unixgram " + persist + "/bus/datagrams", "unix " + persist + "/one"}
	var may, mayNot string
	for _, way := range ways {
		may += "ok  connect " + way + "\n"
		mayNot += "refused  connect " + way + "\n"
	}
	const open = "ok  connect unix " + persist + "/free\n"
	holdIn(t, w, func(t *testing.T) { speakOn(t, append(ways, "unix "+persist+"/free")) },
		scene{name: "a connector", script: "ok  cgroup demo.service\nok  exec " + server + "\n" + serves + may + open},
		scene{name: "another", script: serves + mayNot + open},
		scene{name: "who is not contained", script: may + open},
		scene{name: "another name of the socket", script: serves + "refused  rename " + persist + "/one " + persist + "/two\n"},
		scene{name: "a second name of the socket", script: serves + "refused  link " + persist + "/one " + persist + "/three\n"},
	)
}

// speakOn listens on sockets until the test has ended or they are made afresh.
func speakOn(t *testing.T, ways []string) {
	t.Helper()
	if err := os.MkdirAll(persist+"/bus", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		network, name, _ := strings.Cut(way, " ")
		if network == "unixgram" {
			c, err := net.ListenPacket(network, name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			continue
		}
		l, err := net.Listen(network, name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
	}
}

func TestTemporaryMembersStopCounting(t *testing.T) {
	w := newWorld()
	w.Groups = append(w.Groups, ruleset.Group{Members: []int{w.named("demo.service")}, Temporary: []int{w.named("long.service")}, Until: time.Now().Add(8 * time.Second)})
	w.place(ruleset.Place{Path: config + "/lent", Flags: ruleset.Launches | ruleset.Config | ruleset.File, Writers: uint16(len(w.Groups) - 1)})
	furnish(t)
	under(t, w.Ruleset)
	as := func(unit string) string {
		got := scene{script: "ok  cgroup " + unit + "\nok  exec " + server + "\n" + serves + "ok  write " + config + "/lent\n"}.play(t)
		if len(got) != 4 {
			t.Fatalf("said %q", got)
		}
		return got[3]
	}
	if got := as("long.service"); got != "ok" {
		t.Errorf("before the end: %s", got)
	}
	time.Sleep(time.Until(w.Groups[len(w.Groups)-1].Until) + 500*time.Millisecond)
	if got := as("long.service"); got != "refused" {
		t.Errorf("after the end: %s", got)
	}
	if got := as("demo.service"); got != "ok" {
		t.Errorf("a member for good, after the end of others: %s", got)
	}
}
