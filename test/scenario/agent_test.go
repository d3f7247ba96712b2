//go:build linux && amd64

package scenario_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/vm"
)

const (
	// payload is a program in user space; slipped is there once it has run.
	payload = "/srv/programs/payload"
	slipped = "/var/tmp/marks/slipped"

	// residentMost is GUARD.md's bound on the agent's memory.
	residentMost = 30 << 20
)

// The agent comes, dies, comes back, is told nonsense and changes its mind; what it has
// put in force stays in force all the while.
func TestTheAgentOnAServer(t *testing.T) {
	t.Parallel()
	c := vm.Config{Kernel: vm.Kernel(t, "6.12"), Timeout: 2 * time.Minute}
	m := &machine{Server: vm.Debian(t, c), began: time.Now()}
	m.must(t, "payload", "mkdir -p /var/tmp/marks /srv/programs && cp /usr/bin/touch "+payload)
	if !m.slips(t) {
		t.Fatal("the payload does not even run without the guard")
	}
	boot := m.must(t, "boot", "cat /proc/sys/kernel/random/boot_id")

	s := m.install(t)
	// GUARD.md allows a second, on a processor that nobody interprets: install prints it.
	if s.EnforcedAfter == 0 {
		t.Error("the status does not say how long enforcement took to come")
	}
	if s.Memory.Agent == 0 || s.Memory.Agent > residentMost {
		t.Errorf("the agent has %d bytes resident, want at most %d", s.Memory.Agent, residentMost)
	}
	if m.slips(t) {
		t.Fatal("installed, and the payload still runs")
	}
	m.must(t, "tries", fmt.Sprintf("(n=0; while [ ! -e /run/tries-end ]; do %s %s; n=$((n + 1)); echo $n >/run/tries; sleep 0.05; done) </dev/null >/dev/null 2>&1 &", payload, slipped))
	t.Run("killed, it leaves enforcement behind and a new one adopts it", func(t *testing.T) { m.killed(t, s) })
	t.Run("stopped and started, the same", func(t *testing.T) { m.stopped(t) })
	t.Run("a malformed policy changes nothing", func(t *testing.T) { m.malformed(t) })
	tries := strings.TrimSpace(m.must(t, "tries", "cat /run/tries; touch /run/tries-end; sleep 0.3"))
	if m.there(t, slipped) {
		t.Errorf("of %s tries one slipped through", tries)
	}
	t.Logf("%s tries while it was killed, stopped and told nonsense; none came off", tries)
	t.Run("observing refuses nothing and tells all", func(t *testing.T) { m.observing(t) })
	t.Run("an unconfirmed policy falls back", func(t *testing.T) { m.unconfirmed(t) })
	t.Run("an ended grant leaves nothing behind", func(t *testing.T) { m.endedGrant(t) })
	if now := m.must(t, "boot", "cat /proc/sys/kernel/random/boot_id"); now != boot {
		t.Error("the machine was restarted")
	}
}

func (m *machine) there(t testing.TB, path string) bool {
	return m.Run(t, "", "test", "-e", path).ExitCode == 0
}

// slips tells whether the payload runs.
func (m *machine) slips(t testing.TB) bool {
	t.Helper()
	m.Run(t, "", "sh", "-c", payload+" "+slipped)
	ran := m.there(t, slipped)
	m.Run(t, "", "rm", "-f", slipped)
	return ran
}

// toldSince tells whether the payload's refusal was told after a moment.
func (m *machine) toldSince(t testing.TB, since time.Time, kind event.Kind) bool {
	t.Helper()
	for range 40 {
		for _, e := range m.events(t) {
			if e.Kind == kind && e.Path == payload && !e.At.Before(since) {
				return true
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	return false
}

func (m *machine) pid(t testing.TB) string {
	t.Helper()
	return strings.TrimSpace(m.must(t, "pid", "systemctl show -P MainPID kannuki-agent"))
}

// back waits for another agent than the one of pid.
func (m *machine) back(t testing.TB, pid string) agent.Status {
	t.Helper()
	for range 60 {
		if now := m.pid(t); now != "0" && now != pid {
			return m.status(t)
		}
		time.Sleep(500 * time.Millisecond)
	}
	t.Fatal("no new agent came")
	return agent.Status{}
}

func (m *machine) killed(t *testing.T, before agent.Status) {
	pid := m.pid(t)
	since := m.now(t)
	m.must(t, "kill", "kill -9 "+pid)
	if m.slips(t) {
		t.Error("the payload ran while there was no agent")
	}
	s := m.back(t, pid)
	if !s.Adopted || !s.Enforcing || s.Generation < before.Generation {
		t.Errorf("the new agent: adopted %v, enforcing %v, generation %d after %d", s.Adopted, s.Enforcing, s.Generation, before.Generation)
	}
	if !m.toldSince(t, since, event.Refused) {
		t.Error("no refusal was told after the kill")
	}
}

func (m *machine) stopped(t *testing.T) {
	pid := m.pid(t)
	m.must(t, "stop", "systemctl stop kannuki-agent")
	if m.slips(t) {
		t.Error("the payload ran while the agent was stopped")
	}
	m.must(t, "start", "systemctl start kannuki-agent")
	if s := m.back(t, pid); !s.Adopted || !s.Enforcing {
		t.Errorf("the new agent: adopted %v, enforcing %v", s.Adopted, s.Enforcing)
	}
}

func (m *machine) malformed(t *testing.T) {
	before := m.status(t)
	m.Write(t, "/root/bad.yaml", []byte("version: 1\nname: bad\nbase: standard\nspaces:\n  sistem: []\n"), 0o600, "")
	r := m.Do(t, vm.Command{Args: []string{"kannuki-agent", "policy", "apply", "/root/bad.yaml"}, Merge: true})
	if r.ExitCode == 0 || !strings.Contains(r.Output, "bad.yaml:5") || !strings.Contains(r.Output, "sistem") {
		t.Errorf("exit status %d, want an error with file, line and word:\n%s", r.ExitCode, r.Output)
	}
	after := m.status(t)
	if after.Policy.Name != before.Policy.Name || after.Generation != before.Generation || !after.Enforcing {
		t.Errorf("before %+v generation %d, after %+v generation %d", before.Policy, before.Generation, after.Policy, after.Generation)
	}
}

// inSession runs a script as an administrator who has logged in: nobody else relaxes the
// guard.
func (m *machine) inSession(t *testing.T, name, script string) {
	t.Helper()
	// vm.Command's Login starts the rig's own program, which lies in user space.
	r := m.Do(t, vm.Command{Args: []string{"sh", "-c", "echo 0 >/proc/self/loginuid && exec sh -s"}, Stdin: []byte(script), Merge: true})
	if r.ExitCode != 0 {
		t.Fatalf("%s: exit status %d\n%s", name, r.ExitCode, r.Output)
	}
}

func (m *machine) observing(t *testing.T) {
	since := m.now(t)
	m.inSession(t, "observe", "kannuki-agent observe")
	if !m.slips(t) {
		t.Error("it refuses while it observes")
	}
	if !m.toldSince(t, since, event.Observed) {
		t.Error("what would have been refused was not told")
	}
	m.must(t, "enforce", "kannuki-agent enforce")
	if m.slips(t) {
		t.Error("it enforces again, and the payload runs")
	}
}

func (m *machine) unconfirmed(t *testing.T) {
	m.Write(t, "/root/open.yaml", []byte("version: 1\nname: open\nbase: standard\nspaces:\n  system:\n    - {path: /srv/programs, seal: config, why: a mistake}\n"), 0o600, "")
	m.inSession(t, "apply", "kannuki-agent policy apply /root/open.yaml --confirm 30s")
	if s := m.status(t); s.Policy.Name != "open" || s.Pending == nil {
		t.Errorf("policy %+v, pending %+v", s.Policy, s.Pending)
	}
	if !m.slips(t) {
		t.Error("the policy is in force and lets launch from there, and the payload does not run")
	}
	for range 60 {
		if s := m.status(t); s.Policy.Name == "standard" {
			if m.slips(t) {
				t.Error("it fell back, and the payload still runs")
			}
			return
		}
		time.Sleep(time.Second)
	}
	t.Error("it never fell back")
}

// endedGrant: while the grant lasts the payload runs; its child, still there when it has
// ended, is contained.
func (m *machine) endedGrant(t *testing.T) {
	m.must(t, "grant", `kannuki-agent grant --for 20s -- sh -c '(sleep 25; `+payload+" "+slipped+`; touch /etc/after-the-grant; touch /var/tmp/marks/after) </dev/null >/dev/null 2>&1 & `+payload+` /var/tmp/marks/during; sleep 22'`)
	if !m.there(t, "/var/tmp/marks/during") {
		t.Error("the payload did not run under the grant")
	}
	for range 40 {
		if m.there(t, "/var/tmp/marks/after") {
			break
		}
		time.Sleep(500 * time.Millisecond)
	}
	if !m.there(t, "/var/tmp/marks/after") {
		t.Fatal("the grant's child did not go on")
	}
	if m.there(t, slipped) {
		t.Error("the payload ran after the grant")
	}
	if m.there(t, "/etc/after-the-grant") {
		t.Error("the grant's child changed /etc: it is not contained again")
	}
}
