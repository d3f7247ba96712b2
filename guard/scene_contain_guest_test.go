//go:build guest && linux

package guard_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// Who is contained is told by what it may not do: change configuration.
const (
	contained = "refused  write " + probe + "\n"
	free      = "ok  write " + probe + "\n"
)

func TestListeningBeyondLoopbackContains(t *testing.T) {
	var scenes []scene
	for _, how := range []string{"listen tcp4 0.0.0.0:0", "listen tcp6 [::]:0", "listen tcp [::]:0", "listen mptcp4 0.0.0.0:0", "unbound",
		"listen udp4 0.0.0.0:5401", "listen udp6 [::]:5402", "listen udp [::]:5403"} {
		scenes = append(scenes, scene{name: how, script: free + "ok  " + how + "\n" + contained})
	}
	hold(t, newWorld(), scenes...)
}

func TestLoopbackAndConnectingDoNotContain(t *testing.T) {
	var scenes []scene
	for _, how := range []string{"listen tcp4 127.0.0.1:0", "listen tcp4 127.9.9.9:0", "listen tcp6 [::1]:0", "mapped tcp", "listen mptcp4 127.0.0.1:0",
		"listen udp4 127.0.0.1:5411", "listen udp6 [::1]:5412", "mapped udp", "listen udp4 0.0.0.0:0",
		"listen unix " + scrap + "/socket", "listen unixgram " + scrap + "/datagrams", "dial"} {
		scenes = append(scenes, scene{name: how, script: "ok  " + how + "\n" + free})
	}
	hold(t, newWorld(), scenes...)
}

func TestContainmentIsTheWholeProcessAndItsLaterChildren(t *testing.T) {
	hold(t, newWorld(),
		scene{name: "a thread listens", script: free + "ok  tlisten tcp4 0.0.0.0:0\n" + contained + "ok  run " + other + "\n" + contained},
		scene{name: "a child of a child", script: serves + "ok  run " + other + "\nok  run " + server + "\n" + contained},
		scene{name: "a child born before", script: "ok  elder " + other + " " + config + "/plain\n" + contained},
	)
}

func TestContainmentSurvivesWhatAProcessCanDoToItself(t *testing.T) {
	hold(t, newWorld(),
		scene{name: "exec", script: serves + "ok  exec " + other + "\n" + contained},
		scene{name: "exec again", script: serves + "ok  exec " + other + "\nok  exec " + server + "\n" + contained},
		scene{name: "exec by another thread", script: serves + "ok  texec " + other + "\n" + contained},
		scene{name: "exec by another thread, twice", script: serves + "ok  texec " + other + "\nok  texec " + server + "\n" + contained},
		scene{name: "fork", script: serves + "refused  fork " + probe + "\n"},
		scene{name: "another user", script: serves + "ok  setuid 33\n" + contained},
		scene{name: "another user and exec", script: serves + "ok  setuid 33\nok  exec " + other + "\n" + contained},
		scene{name: "a session of its own", script: serves + "ok  setsid\n" + contained},
		scene{name: "a daemon", script: serves + "ok  daemon\n" + contained},
		scene{name: "another control group", script: serves + "ok  cgroup demo.service\nok  exec " + other + "\n" + contained},
		scene{name: "a login", script: serves + "ok  login 1000\nok  exec " + other + "\n" + contained},
	)
}

// Whoever listens while another thread of the process runs a program is contained, or it
// does not listen.
func TestAListenThatRacesWithAnExecIsNotLost(t *testing.T) {
	for name, program := range map[string]ruleset.Program{
		"a program nobody has named": {Path: bin + "/nobody"},
		"a named program":            {Path: other, Flags: ruleset.Interpreter},
	} {
		t.Run(name, func(t *testing.T) {
			furnish(t)
			under(t, newWorld().program(program).Ruleset)
			served := 0
			for i := range 30 {
				got := scene{script: fmt.Sprintf("ok  race %s %d\nok  serving 9\n%s", other, i*200, contained)}.play(t)
				if len(got) != 3 || got[0] != "ok" {
					t.Fatalf("said %q", got)
				}
				if got[1] != "ok" {
					continue // it was too late
				}
				served++
				if got[2] != "refused" {
					t.Errorf("it listens and is not contained (try %d)", i)
				}
			}
			t.Logf("%d of 30 listened before the other program ran", served)
			if served == 0 {
				t.Error("it never listened: nothing was shown")
			}
		})
	}
}

// exposed is a listener beyond loopback of this process, which is the agent and so never
// contained.
func exposed(t *testing.T) *os.File {
	t.Helper()
	l, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAcceptingOnAnInheritedSocketContains(t *testing.T) {
	socket := []*os.File{exposed(t)}
	hold(t, newWorld(),
		scene{name: "it accepts", files: socket, script: "ok  accept 3\n" + contained},
		scene{name: "it only holds it", files: socket, script: free},
	)
}

func TestTheExemptAreNotContainedByListening(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: bin + "/exempt", Flags: ruleset.Exempt})
	w.lineage(ruleset.Lineage{Name: "unit exempt.service", Unit: "exempt.service", Flags: ruleset.Exempt})
	hold(t, w,
		scene{name: "an exempt program", script: "ok  run " + bin + "/exempt\n" + serves + free},
		scene{name: "it forks", script: "ok  run " + bin + "/exempt\n" + serves + "ok  fork " + probe + "\n"},
		scene{name: "another program that it runs", script: "ok  run " + bin + "/exempt\nok  exec " + other + "\n" + serves + contained},
		scene{name: "an exempt unit", script: "ok  cgroup exempt.service\nok  exec " + server + "\n" + serves + free},
		scene{name: "its children", script: "ok  cgroup exempt.service\nok  exec " + server + "\nok  run " + other + "\n" + serves + free},
		scene{name: "who has left it", script: "ok  cgroup exempt.service\nok  exec " + server + "\nok  cgroup demo.service\nok  exec " + server + "\n" + serves + contained},
		scene{name: "a contained process that runs it", script: serves + "ok  exec " + bin + "/exempt\n" + contained + serves + contained},
		scene{name: "a contained process that enters it", script: serves + "ok  cgroup exempt.service\nok  exec " + server + "\n" + contained},
	)
}

func TestAListedProgramAndUnitAreContainedFromTheirStart(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: other, Flags: ruleset.Contained})
	w.lineage(ruleset.Lineage{Name: "unit demo.service", Unit: "demo.service", Flags: ruleset.Contained})
	hold(t, w,
		scene{name: "a program", script: "ok  run " + other + "\n" + contained + "ok  exec " + server + "\n" + contained},
		scene{name: "a unit", script: "ok  cgroup demo.service\n" + free + "ok  exec " + server + "\n" + contained},
		scene{name: "who has left the unit", script: "ok  cgroup demo.service\nok  exec " + server + "\nok  cgroup long.service\nok  exec " + server + "\n" + contained},
		scene{name: "a unit of an account", script: "ok  cgroup user@1000.service/app.slice/demo.service\nok  exec " + server + "\n" + free},
	)
}

// The service manager starts a service straight in its control group.
func TestAProcessThatIsBornInAUnitBelongsToIt(t *testing.T) {
	w := newWorld()
	w.lineage(ruleset.Lineage{Name: "unit demo.service", Unit: "demo.service", Flags: ruleset.Contained})
	furnish(t)
	under(t, w.Ruleset)
	dir, err := os.Open(groups + "/demo.service")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	cmd := exec.Command(server, "act", "write "+probe)
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "refused" {
		t.Errorf("%v, %s; want it refused", err, out)
	}
}

func TestWhereContainmentIsOnlyObservedNobodyIsContained(t *testing.T) {
	w := newWorld().program(ruleset.Program{Path: other, Flags: ruleset.Contained})
	w.Enforce, w.Observe = w.Enforce&^ruleset.ControlContain, ruleset.ControlContain
	hold(t, w, scene{name: "it listens", script: serves + free}, scene{name: "it is listed", script: "ok  run " + other + "\n" + free})
}
