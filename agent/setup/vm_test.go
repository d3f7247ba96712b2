package setup_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/agent"
	"github.com/kannuki/kannuki/internal/vm"
)

// One static file and one command protect a server, and one takes it off again: on a
// whole Debian, whose systemd judges the unit by running it.
func TestOneCommandInstallsAndAnotherUninstallsOnDebian(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: starts a machine")
	}
	d := withAgent(t)
	in := func(script string) vm.Result { return d.Run(t, "", "sh", "-c", script) }

	installed := in("chmod +x /root/kannuki-agent; /root/kannuki-agent install --mode observe")
	t.Logf("%s", installed.Output)
	var s agent.Status
	if err := json.Unmarshal([]byte(in("kannuki-agent status --json").Stdout), &s); err != nil {
		t.Fatalf("%v\n%s", err, in("journalctl -u kannuki-agent --no-pager").Output)
	}
	if (installed.ExitCode == 0) != (s.Reason == "") {
		t.Errorf("install exits with %d where the status gives the reason %q", installed.ExitCode, s.Reason)
	}
	for script, want := range map[string]string{
		"systemctl is-active kannuki-agent":                                      "active",
		"systemctl is-enabled kannuki-agent":                                     "enabled",
		"systemctl show -P NRestarts kannuki-agent":                              "0",
		"systemctl show -P WatchdogUSec kannuki-agent":                           "2min",
		"stat -c %a:%U /run/kannuki/agent.sock /run/kannuki /var/lib/kannuki":    "600:root\n700:root\n700:root",
		"systemctl show -P Before kannuki-agent | grep -c sysinit.target":        "1",
		"systemd-analyze verify default.target 2>&1 | grep -ci 'kannuki.*cycle'": "0",
		"grep -c '^mode: observe$' /etc/kannuki/policy.yaml":                     "1",
		"systemctl reload kannuki-agent && echo reloaded":                        "reloaded",
		"kannuki-agent contain -- no-such-command; echo $?":                      "127",
		"su -s /bin/sh www-data -c 'kannuki-agent status' 2>&1":                  "kannuki-agent: the socket /run/kannuki/agent.sock is root's: run this with sudo",
	} {
		if r := in(script); strings.TrimSpace(r.Stdout) != want {
			t.Errorf("%s\n%s\nwant %q", script, r.Output, want)
		}
	}
	if r := in("/root/kannuki-agent uninstall --purge"); r.ExitCode == 0 {
		t.Errorf("uninstalled by no login session: %s", r.Output)
	}
	removed := d.Do(t, vm.Command{Args: []string{"/root/kannuki-agent", "uninstall", "--purge"}, Login: true, Merge: true})
	if removed.ExitCode != 0 {
		t.Errorf("uninstall: %s", removed.Output)
	}
	left := in("ls -d /usr/sbin/kannuki-agent /etc/kannuki /var/lib/kannuki /etc/systemd/system/kannuki-agent.service /sys/fs/bpf/kannuki /etc/systemd/system/*/kannuki-agent.service 2>/dev/null; systemctl is-active kannuki-agent")
	if got := strings.TrimSpace(left.Stdout); got != "inactive" {
		t.Errorf("left behind:\n%s", got)
	}
}

// withAgent is a server with the program in /root.
func withAgent(t *testing.T) *vm.Server {
	t.Helper()
	program := filepath.Join(t.TempDir(), "kannuki-agent")
	build := exec.Command("go", "build", "-o", program, "../../cmd/kannuki-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d := vm.Debian(t, vm.Config{Kernel: vm.Kernel(t, "6.12")})
	d.Push(t, program, "/root/kannuki-agent")
	return d
}

func TestAServerThatStartsIsProtectedBeforeAnythingListensAndTellsSinceWhen(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: starts a machine, twice")
	}
	d := withAgent(t)
	in := func(script string) vm.Result { return d.Run(t, "", "sh", "-c", script) }
	if r := in("chmod +x /root/kannuki-agent; /root/kannuki-agent install --mode enforce"); r.ExitCode != 0 {
		t.Fatalf("%s", r.Output)
	}
	d.Reboot(t)
	status := func() (s agent.Status) {
		t.Helper()
		if err := json.Unmarshal([]byte(in("kannuki-agent status --json").Stdout), &s); err != nil {
			t.Fatalf("%v\n%s", err, in("journalctl -u kannuki-agent --no-pager").Output)
		}
		return s
	}
	b := status().Boot
	if b == nil || b.Measured != "kernel-log" || b.UserSpace <= 0 || b.Unprotected <= 0 || b.Protected != b.UserSpace+b.Unprotected {
		t.Fatalf("measured %+v", b)
	}
	t.Logf("first program %v after the kernel, protected at %v: %v without protection; active by then: %s",
		time.Duration(b.UserSpace), time.Duration(b.Protected), time.Duration(b.Unprotected), strings.Join(b.Before, " "))
	for _, listens := range []string{"ssh.service", "nginx.service", "cron.service", "dbus.service"} {
		if slices.Contains(b.Before, listens) {
			t.Errorf("%s was active before anything was refused", listens)
		}
	}
	in("systemctl restart kannuki-agent")
	if again := status().Boot; again == nil || again.Protected != b.Protected {
		t.Errorf("an agent that was started again measured %+v, after %+v", again, b)
	}
	t.Logf("%s", in("kannuki-agent status; systemd-analyze; systemd-analyze critical-chain kannuki-agent.service").Output)
}
