//go:build linux && amd64

package scenario_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/vm"
	"github.com/kannuki/kannuki/policy"
)

// A drill on a whole server: without the guard's refusing each of its steps comes off,
// with it none does, and the proof lives as long as what it rests on. Nothing is left.
func TestADrillProvesWhatTheGuardRefuses(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, c vm.Config, tier string) {
		c.Timeout = 5 * time.Minute
		m := &machine{Server: vm.Debian(t, c), began: time.Now()}
		m.Push(t, build(t, "github.com/kannuki/kannuki/cmd/kannuki-agent"), "/root/kannuki-agent")
		t.Run("without the guard, what is not tried while it observes comes off", func(t *testing.T) { m.effects(t) })
		m.observer(t)
		before := m.picture(t)
		t.Run("where nothing is refused, the steps come off and are told", func(t *testing.T) { m.drillsObserving(t) })
		m.must(t, "enforce", "kannuki-agent enforce")
		t.Run("all are refused, and the guard says so itself", func(t *testing.T) { m.drillsRefused(t, tier) })
		t.Run("a killed agent's proof is the next one's", func(t *testing.T) { m.proofSurvives(t) })
		t.Run("a killed drill is cleared", func(t *testing.T) { m.drillKilled(t) })
		if after := m.picture(t); after != before {
			t.Errorf("the drills have changed the server:\n%s", changedLines(before, after))
		}
		t.Run("a relaxed control's proof goes, and no other", func(t *testing.T) { m.proofGoes(t) })
	})
}

// effects does, before there is a guard, the steps that a drill leaves out where a
// control observes: a step that meets an error anyway would prove nothing.
func (m *machine) effects(t *testing.T) {
	places := map[string]string{"write-cron": "/etc/cron.d", "write-unit": "/etc/systemd/system", "write-profile": "/etc/profile.d", "write-sudoers": "/etc/sudoers.d"}
	for _, s := range drill.Steps() {
		if !s.Effect {
			continue
		}
		order := drill.Order{Step: s.Name}
		if dir := places[s.Name]; dir != "" {
			order.Target = dir + "/" + drill.Prefix + "unguarded"
		} else if s.Control == host.Write {
			t.Errorf("%s: where is it about?", s.Name)
		}
		text, err := json.Marshal(order)
		if err != nil {
			t.Fatal(err)
		}
		r := m.Do(t, vm.Command{Args: []string{"sh", "-c", "exec /root/kannuki-agent " + drill.Command + " " + drill.Doer + " 3>&1"}, Stdin: text})
		var a drill.Attempt
		if err := json.Unmarshal([]byte(r.Stdout), &a); err != nil {
			t.Fatalf("%s: %v: %s", s.Name, err, r.Output)
		}
		switch a.Went {
		case drill.WentThrough:
		case drill.WentAbsent:
			t.Logf("%s: this kernel has none: %s", s.Name, a.Error)
		default:
			t.Errorf("%s %s without the guard: %s", s.Name, a.Went, a.Error)
		}
	}
}

// observer installs the guard so that it refuses nothing.
func (m *machine) observer(t *testing.T) {
	t.Helper()
	if r := m.Do(t, vm.Command{Args: []string{"/root/kannuki-agent", "install", "--mode", "observe"}, Merge: true}); r.ExitCode != 0 && r.ExitCode != 3 {
		t.Fatalf("install: exit status %d\n%s", r.ExitCode, r.Output)
	}
	m.status(t)
	m.note(t, "installed, observing")
}

// picture is what a drill could have changed: names, modes, sizes and owners of files
// that stay as they are while a server idles, and the modules of its kernel.
func (m *machine) picture(t testing.TB) string {
	t.Helper()
	return m.must(t, "picture", `find /etc /usr /opt /root /var/tmp /tmp /var/spool /boot -xdev -path '*/systemd-private-*' -prune -o -printf '%p %m %u %s\n' | sort
ls -A /dev/shm; mount | wc -l; cut -d' ' -f1 /proc/modules | sort`)
}

func changedLines(before, after string) string {
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	var out []string
	for _, l := range was {
		if !slices.Contains(is, l) {
			out = append(out, "- "+l)
		}
	}
	for _, l := range is {
		if !slices.Contains(was, l) {
			out = append(out, "+ "+l)
		}
	}
	return strings.Join(out, "\n")
}

// drill runs one, and returns what it says and its exit status.
func (m *machine) drill(t testing.TB, login bool, args ...string) (agent.DrillReport, int) {
	t.Helper()
	began := time.Now()
	script := "exec kannuki-agent drill --json " + strings.Join(args, " ")
	if login {
		script = logIn + script
	}
	r := m.Do(t, vm.Command{Args: []string{"sh", "-s"}, Stdin: []byte(script)})
	var report agent.DrillReport
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		t.Fatalf("drill: exit status %d, %v\n%s\n%s", r.ExitCode, err, lastLines(r.Output, 20), m.Run(t, "", "journalctl", "-u", "kannuki-agent", "--no-pager", "-n", "30").Output)
	}
	found := map[drill.Verdict]int{}
	for _, s := range report.Steps {
		found[s.Verdict]++
		if s.Verdict == drill.Skipped {
			t.Logf("%s is skipped: %s", s.Step, s.Reason)
		}
	}
	m.note(t, fmt.Sprintf("drilled in %.1f s: %v", time.Since(began).Seconds(), found))
	if len(report.Left) > 0 || report.Void != "" {
		t.Errorf("left %v, void %q %s", report.Left, report.Void, report.Reason)
	}
	if traces := m.must(t, "traces", "find / -xdev -name '"+drill.Prefix+"*' -o -fstype tmpfs -name '"+drill.Prefix+"*'; ls -d /dev/shm/"+drill.Prefix+"* 2>/dev/null || true"); traces != "" {
		t.Errorf("left behind: %s", traces)
	}
	return report, r.ExitCode
}

// logIn makes root's session of a shell, as pam_loginuid does.
const logIn = "echo 0 >/proc/self/loginuid\n"

// wants fails for every step that has another verdict.
func wants(t *testing.T, r agent.DrillReport, want drill.Verdict) {
	t.Helper()
	for _, s := range r.Steps {
		if s.Verdict != want && s.Verdict != drill.Skipped {
			t.Errorf("%s (%s) is %s, want %s: it met %q; %s; the guard told %+v", s.Step, s.Target, s.Verdict, want, s.Error, s.Reason, s.Event)
		}
	}
}

func (m *machine) drillsObserving(t *testing.T) {
	r, code := m.drill(t, false)
	wants(t, r, drill.Observed)
	if code != 3 {
		t.Errorf("exit status %d, want 3", code)
	}
	for _, s := range r.Steps {
		step, _ := drill.Find(s.Step)
		if step.Effect && s.Verdict != drill.Skipped {
			t.Errorf("%s has an effect, and was done", s.Step)
		}
	}
}

// skippable are the steps that a Debian server of ours has nothing for.
var skippable = []string{"contain-runtime", "utility-language", "launch-memfd", "private-tls-key"}

func (m *machine) drillsRefused(t *testing.T, tier string) {
	for _, login := range []bool{false, true} {
		r, code := m.drill(t, login)
		wants(t, r, drill.Refused)
		if code != 0 {
			t.Errorf("login %v: exit status %d, want 0", login, code)
		}
		if r.Tier != tier || len(r.Controls) != len(policy.Controls()) {
			t.Errorf("tier %s, %d controls", r.Tier, len(r.Controls))
		}
		for _, c := range r.Controls {
			if c.Proof == nil || !c.Proof.Passed || c.Refused == 0 {
				t.Errorf("%s: %+v", c.Control, c)
			}
		}
		for _, s := range r.Steps {
			if s.Verdict == drill.Skipped && s.Why.Code != drill.NotHere && s.Why.Code != drill.Otherwise && !slices.Contains(skippable, s.Step) {
				t.Errorf("%s is skipped: %s", s.Step, s.Reason)
			}
			if s.Verdict == drill.Refused && (s.Event == nil || s.Event.Drill == "") {
				t.Errorf("%s: the event %+v does not say of which drill it is", s.Step, s.Event)
			}
		}
	}
	for _, c := range policy.Controls() {
		if p := m.protection(t); !p.Proven(c, m.now(t)) {
			t.Errorf("%s is not proven in what is reported: %+v", c, p.Controls)
		}
	}
	page := m.must(t, "page", "kannuki-agent drill launch --lang ja")
	if !strings.Contains(page, "すべての手順が拒否されました") {
		t.Errorf("the page:\n%s", page)
	}
	t.Logf("the page:\n%s", page)
}

// protection is what the agent reports.
func (m *machine) protection(t testing.TB) host.Protection {
	t.Helper()
	var p host.Protection
	if err := json.Unmarshal([]byte(m.must(t, "protection", "cat /var/lib/kannuki/protection.json")), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// reported waits for what the agent reports to be as wanted.
func (m *machine) reported(t *testing.T, what string, ready func(host.Protection) bool) {
	t.Helper()
	for range 60 {
		if ready(m.protection(t)) {
			return
		}
		time.Sleep(time.Second)
	}
	t.Errorf("%s: it is never reported: %+v", what, m.protection(t).Controls)
}

func (m *machine) proofSurvives(t *testing.T) {
	pid, generation := m.pid(t), m.protection(t).Generation
	m.must(t, "kill", killAgent)
	s := m.back(t, pid)
	for _, c := range s.Controls {
		if c.Proof == nil || !c.Proof.Passed {
			t.Errorf("%s: %+v", c.Control, c.Proof)
		}
	}
	m.reported(t, "another generation, proven", func(p host.Protection) bool {
		return p.Generation > generation && p.Proven(host.Launch, m.now(t)) && p.Proven(host.Self, m.now(t))
	})
}

// killAgent has the first process do it: nobody else may.
const killAgent = "systemctl kill --signal=KILL kannuki-agent"

// drillKilled: command and agent are killed together in the midst of a drill.
func (m *machine) drillKilled(t *testing.T) {
	pid := m.pid(t)
	m.must(t, "kill", `kannuki-agent drill kernel >/dev/null 2>&1 </dev/null & asker=$!
for i in $(seq 100); do ls -d /var/tmp/`+drill.Prefix+`* >/dev/null 2>&1 && break; sleep 0.1; done
sleep 1
ls -d /var/tmp/`+drill.Prefix+`* && kill -9 $asker
`+killAgent)
	m.back(t, pid)
	if left := m.must(t, "left", "ls -d /var/tmp/"+drill.Prefix+"* /usr/lib/"+drill.Prefix+"* /var/lib/kannuki/drill.json 2>/dev/null; pgrep -x kannuki-drill || true"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

func (m *machine) proofGoes(t *testing.T) {
	m.must(t, "observe", logIn+"kannuki-agent observe launch")
	m.reported(t, "launch is not proven, write is", func(p host.Protection) bool {
		return !p.Enforced(host.Launch) && !p.Proven(host.Launch, m.now(t)) && p.Proven(host.Write, m.now(t))
	})
	m.must(t, "enforce", "kannuki-agent enforce launch")
	m.reported(t, "launch refuses and is not proven", func(p host.Protection) bool {
		return p.Enforced(host.Launch) && !p.Proven(host.Launch, m.now(t))
	})
	if r, code := m.drill(t, true, "launch"); code != 0 {
		t.Errorf("exit status %d: %+v", code, r.Controls)
	}
	m.reported(t, "launch is proven anew", func(p host.Protection) bool { return p.Proven(host.Launch, m.now(t)) })
}
