package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
)

// started is a host that has just started: its /proc, and what systemd has active.
func (r *rig) started(id, uptime string) func(*agent) {
	r.t.Helper()
	dir := r.t.TempDir()
	r.write(dir+"/sys/kernel/random/boot_id", id+"\n")
	r.write(dir+"/uptime", uptime+" 3.10\n")
	r.write(dir+"/1/stat", "1 (systemd) (x)) S 0 1 1 0 -1 4194560 1 1 1 1 1 1 1 1 20 0 1 0 25 100 1 1\n")
	units := filepath.Join(dir, "units")
	for _, name := range []string{"invocation:systemd-journald.service", "invocation:cron.service", "invocation:kannuki-agent.service", "invocation:-.mount", "log-extra-fields:cron.service"} {
		r.write(filepath.Join(units, name), "")
	}
	return func(a *agent) {
		a.boots.proc, a.boots.units = proc(dir), units
		a.boots.kernelLog = slices.Values([]string{"6,1,0,-;Linux version 6.12\n", "14,2,10,-;Run /tmp/x as init process\n", "6,300,1250000,-;Run /init as init process\n SUBSYSTEM=x\n"})
	}
}

func TestTheTimeWithoutProtectionIsFromTheFirstProgramToTheFirstRefusingPolicy(t *testing.T) {
	r := newRig(t)
	r.start(r.started("one", "5.75"))
	b := r.status().Boot
	if b == nil || time.Duration(b.UserSpace) != 1250*time.Millisecond || time.Duration(b.Protected) != 5750*time.Millisecond ||
		time.Duration(b.Unprotected) != 4500*time.Millisecond || b.Measured != "kernel-log" || strings.Join(b.Before, " ") != "cron.service systemd-journald.service" {
		t.Errorf("measured %+v", b)
	}
}

func TestAnAgentThatStartsAgainDoesNotMeasureItself(t *testing.T) {
	r := newRig(t)
	r.start(r.started("one", "5.75"))
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.fake.status.Adopted = true
	r.start(r.started("one", "500.00"))
	if b := r.status().Boot; b == nil || time.Duration(b.Protected) != 5750*time.Millisecond {
		t.Errorf("in the same start of the host: %+v", b)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.fake.status.Adopted = false
	r.start(r.started("two", "7.00"))
	if b := r.status().Boot; b == nil || time.Duration(b.Protected) != 7*time.Second {
		t.Errorf("in the next start of the host: %+v", b)
	}
}

func TestWhatOnlyObservesIsNoProtection(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, web+"mode: observe\n")
	r.start(r.started("one", "5.75"))
	if b := r.status().Boot; b != nil {
		t.Fatalf("nothing is refused, and measured %+v", b)
	}
	r.write(string(r.agent.boots.proc)+"/uptime", "900.00 1\n")
	if _, err := r.client.SetMode(t.Context(), SetMode{Mode: "enforce", Controls: []host.Control{host.Launch}}); err != nil {
		t.Fatal(err)
	}
	if b := r.status().Boot; b == nil || time.Duration(b.Protected) != 900*time.Second {
		t.Errorf("measured %+v", b)
	}
}

func TestAControlWithoutHooksIsNoProtection(t *testing.T) {
	r := newRig(t)
	r.fake.status.Hooks = map[host.Control]int{}
	r.start(r.started("one", "5.75"))
	if b := r.status().Boot; b != nil {
		t.Errorf("no hook is there, and measured %+v", b)
	}
}

// What refused before anybody kept when it began is not claimed to have begun now.
func TestProtectionOfUnknownAgeIsNotMeasured(t *testing.T) {
	r := newRig(t)
	r.fake.status = guard.Status{Tier: guard.TierLSM, Adopted: true, Hooks: map[host.Control]int{host.Launch: 1}}
	r.start(r.started("one", "5000.00"))
	if b := r.status().Boot; b != nil {
		t.Errorf("measured %+v", b)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.start(r.started("one", "6000.00"))
	if b := r.status().Boot; b != nil {
		t.Errorf("the agent after it measured %+v", b)
	}
}

func TestWithoutTheKernelsLogTheFirstProcessCounts(t *testing.T) {
	r := newRig(t)
	started := r.started("one", "5.75")
	r.start(func(a *agent) {
		started(a)
		a.boots.kernelLog = slices.Values([]string{"6,900,99000000,-;a later line\n"})
	})
	if b := r.status().Boot; b == nil || b.Measured != "process-1" || time.Duration(b.UserSpace) != 250*time.Millisecond {
		t.Errorf("measured %+v", b)
	}
}

func TestOnlyTheKernelSaysWhenTheFirstProgramStarted(t *testing.T) {
	for record, want := range map[string]time.Duration{
		"6,339,5140900,-;Run /init as init process\n":         5140900 * time.Microsecond,
		"6,339,5140900,-;Run /sbin/init as init process":      5140900 * time.Microsecond,
		"6,339,5140900,-,caller=T1;Run /init as init process": 5140900 * time.Microsecond,
		"12,339,1,-;Run /init as init process\n":              0, // by somebody else
		"6,339,5140900,-;Run /init as init process, said x\n": 0,
		"6,339,-1x,-;Run /init as init process\n":             0,
		"Run /init as init process":                           0,
		"":                                                    0,
	} {
		if got, ok := firstProgram(slices.Values([]string{record})); got != want || ok != (want > 0) {
			t.Errorf("%q: %v, %v; want %v", record, got, ok, want)
		}
	}
}

// The log of the kernel that runs this is read to its end, and no further.
func TestTheKernelsLogEnds(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: the kernel's log is root's")
	}
	records := 0
	for r := range kernelLog(kernelLogFile) {
		if head, _, ok := strings.Cut(r, ";"); !ok || len(strings.Split(head, ",")) < 4 {
			t.Fatalf("record %q", r)
		}
		records++
	}
	t.Log(records, "records")
}
