package setup_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/agent/setup"
)

const first = "version: 1\nname: standard\nbase: standard\n"

// host is a machine in a temporary directory, and what systemctl was asked there.
func host(t *testing.T) (setup.Host, *[]string) {
	t.Helper()
	dir := t.TempDir()
	self := filepath.Join(dir, "downloaded")
	if err := os.WriteFile(self, []byte("program 1"), 0o700); err != nil {
		t.Fatal(err)
	}
	var asked []string
	return setup.Host{Root: filepath.Join(dir, "root"), Self: self, Systemctl: func(args ...string) error {
		asked = append(asked, strings.Join(args, " "))
		return nil
	}}, &asked
}

func read(t *testing.T, h setup.Host, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(h.Root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func outcomes(steps []setup.Step) string {
	var words []string
	for _, s := range steps {
		words = append(words, s.What+" "+string(s.Outcome))
	}
	return strings.Join(words, ", ")
}

func TestInstallPutsEverythingInItsPlaceAndStartsIt(t *testing.T) {
	h, asked := host(t)
	steps, err := h.Install(nil, first)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := outcomes(steps), "binary written, policy written, unit written, service started"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if d := cmp.Diff([]string{"daemon-reload", "enable kannuki-agent.service", "restart kannuki-agent.service"}, *asked); d != "" {
		t.Error(d)
	}
	for path, want := range map[string]string{setup.Binary: "program 1", setup.Policy: first, setup.Unit: setup.UnitText()} {
		if got := read(t, h, path); got != want {
			t.Errorf("%s holds %q", path, got)
		}
	}
	for path, want := range map[string]fs.FileMode{setup.Binary: 0o755, setup.Policy: 0o600, "/etc/kannuki": 0o700, setup.Unit: 0o644} {
		if info, err := os.Stat(filepath.Join(h.Root, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	var files []string
	err = filepath.WalkDir(h.Root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, h.Root))
		}
		return err
	})
	slices.Sort(files)
	if d := cmp.Diff([]string{setup.Policy, setup.Unit, setup.Binary}, files); d != "" || err != nil {
		t.Errorf("files left (%v):\n%s", err, d)
	}
}

func TestInstallTwiceIsInstallOnce(t *testing.T) {
	h, _ := host(t)
	if _, err := h.Install(nil, first); err != nil {
		t.Fatal(err)
	}
	h.Self = filepath.Join(h.Root, setup.Binary)
	steps, err := h.Install(nil, first)
	if got, want := outcomes(steps), "binary same, policy kept, unit same, service started"; got != want || err != nil {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
}

func TestANewVersionReplacesTheOldOne(t *testing.T) {
	h, _ := host(t)
	if _, err := h.Install(nil, first); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.Self, []byte("program 2"), 0o700); err != nil {
		t.Fatal(err)
	}
	steps, err := h.Install(nil, first)
	if got, want := outcomes(steps), "binary written, policy kept, unit same, service started"; got != want || err != nil {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
	if got := read(t, h, setup.Binary); got != "program 2" {
		t.Errorf("the binary is %q", got)
	}
}

func TestAPolicySomebodyWroteIsNeverLost(t *testing.T) {
	for _, c := range []struct {
		name, asked, policy, old, outcome string
	}{
		{"kept where none is asked for", "", "mine", "", "policy kept"},
		{"kept beside the one asked for", "other", "other", "mine", "policy replaced"},
		{"the same", "mine", "mine", "", "policy same"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, _ := host(t)
			if _, err := h.Install([]byte("mine"), first); err != nil {
				t.Fatal(err)
			}
			var asked []byte
			if c.asked != "" {
				asked = []byte(c.asked)
			}
			steps, err := h.Install(asked, first)
			if err != nil || !strings.Contains(outcomes(steps), c.outcome) {
				t.Errorf("%s (%v), want %s", outcomes(steps), err, c.outcome)
			}
			if got := read(t, h, setup.Policy); got != c.policy {
				t.Errorf("the policy is %q", got)
			}
			if got := read(t, h, setup.OldPolicy); got != c.old {
				t.Errorf("the old policy is %q", got)
			}
		})
	}
}

func TestWithoutSystemdItSaysSoAndInstallsTheRest(t *testing.T) {
	h, _ := host(t)
	h.Systemctl = nil
	steps, err := h.Install(nil, first)
	if got, want := outcomes(steps), "binary written, policy written, unit skipped, service skipped"; got != want || err != nil {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
	steps, err = h.Uninstall(nil, false)
	if got, want := outcomes(steps), "service absent, programs absent, unit absent, binary removed, policy kept, state absent"; got != want || err != nil {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
}

func TestAFailureOfSystemctlIsToldWithWhatWasDone(t *testing.T) {
	h, _ := host(t)
	h.Systemctl = func(args ...string) error { return errors.New("no such unit") }
	steps, err := h.Install(nil, first)
	if got := outcomes(steps); got != "binary written, policy written, unit written" || err == nil || err.Error() != "no such unit" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestUninstallStopsUnpinsAndKeepsWhatSomebodyWrote(t *testing.T) {
	for _, c := range []struct {
		name    string
		purge   bool
		unpin   error
		want    string
		wantErr string
	}{
		{"plain", false, nil, "service stopped, programs removed, unit removed, binary removed, policy kept, state kept", ""},
		{"purge", true, nil, "service stopped, programs removed, unit removed, binary removed, policy removed, state removed", ""},
		{"pins that stay", false, errors.New("no bpf"), "service stopped, unit removed, binary removed, policy kept, state kept",
			"taking the programs out of the kernel: no bpf; they refuse until the next start of this host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, asked := host(t)
			if _, err := h.Install(nil, first); err != nil {
				t.Fatal(err)
			}
			for _, dir := range []string{setup.State, setup.Pins} {
				if err := os.MkdirAll(filepath.Join(h.Root, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			*asked = nil
			var order []string
			steps, err := h.Uninstall(func() error {
				order = slices.Clone(*asked)
				return c.unpin
			}, c.purge)
			if got := outcomes(steps); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if (err == nil) != (c.wantErr == "") || err != nil && err.Error() != c.wantErr {
				t.Errorf("error %v, want %q", err, c.wantErr)
			}
			if d := cmp.Diff([]string{"disable --now kannuki-agent.service"}, order); d != "" {
				t.Errorf("the agent must be stopped before its programs go: %s", d)
			}
			if read(t, h, setup.Binary)+read(t, h, setup.Unit) != "" {
				t.Error("binary or unit is still there")
			}
		})
	}
}

func TestUninstallOfWhatIsNotThereSaysSo(t *testing.T) {
	h, asked := host(t)
	steps, err := h.Uninstall(func() error { return errors.New("not to be called") }, true)
	if got, want := outcomes(steps), "service absent, programs absent, unit absent, binary absent, policy absent, state absent"; got != want || err != nil {
		t.Errorf("%s, want %s (%v)", got, want, err)
	}
	if d := cmp.Diff([]string{"daemon-reload"}, *asked); d != "" {
		t.Error(d)
	}
}

// systemd itself judges the unit, where it is there to be asked.
func TestSystemdFindsNoFaultWithTheUnit(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: no systemd-analyze on this machine, so nobody but us has read the unit")
	}
	dir := t.TempDir()
	// The program need not be installed for its unit to be right.
	text := strings.ReplaceAll(setup.UnitText(), setup.Binary, "/bin/true")
	path := filepath.Join(dir, setup.UnitName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "verify", "--man=no", path).CombinedOutput()
	var ours []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, setup.UnitName) {
			ours = append(ours, line)
		}
	}
	if err != nil || ours != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestTheUnitStartsBeforeAnythingListensAndIsWatched(t *testing.T) {
	text := "\n" + setup.UnitText()
	for _, line := range []string{"Type=notify", "WatchdogSec=120", "Restart=always", "DefaultDependencies=no", "Conflicts=shutdown.target",
		"OOMScoreAdjust=-900", "LimitMEMLOCK=infinity", "RuntimeDirectoryMode=0700", "StateDirectoryMode=0700", "WantedBy=sysinit.target",
		"ExecStart=" + setup.Binary + " run --reduced", "ConditionKernelCommandLine=!kannuki=off"} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	_, before, _ := strings.Cut(text, "\nBefore=")
	before, _, _ = strings.Cut(before, "\n")
	for _, target := range []string{"sysinit.target", "network-pre.target", "shutdown.target"} {
		if !slices.Contains(strings.Fields(before), target) {
			t.Errorf("the unit does not come before %s", target)
		}
	}
}
