// Package setup makes a program a guard of its host, and undoes it: the binary in its
// place, the policy, the systemd unit. It promises that installing twice is installing
// once, that every file is there whole or not at all, that a policy somebody wrote is
// never lost, and that it tells each thing it did and did not do.
package setup

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/kannuki/kannuki/internal/durable"
)

// Where things lie, below Host.Root.
const (
	Binary    = "/usr/sbin/kannuki-agent"
	Unit      = "/etc/systemd/system/kannuki-agent.service"
	UnitName  = "kannuki-agent.service"
	Policy    = "/etc/kannuki/policy.yaml"
	OldPolicy = "/etc/kannuki/policy.yaml.old"
	State     = "/var/lib/kannuki"
	Pins      = "/sys/fs/bpf/kannuki"
)

// unit is early: it starts when the local file systems are there, and what listens
// starts after it. It sets up no mount namespace, because the guard resolves the
// policy's places where everybody else sees them.
//
//go:embed kannuki-agent.service
var unit []byte

// UnitText is the unit as it is installed.
func UnitText() string { return string(unit) }

// Host is the machine to set up.
type Host struct {
	Root string // directory that is its "/"; "" is "/"
	Self string // path of the program to install: the one that runs
	// Systemctl runs systemctl and returns what it said as an error; nil where no
	// systemd runs.
	Systemctl func(args ...string) error
}

// ThisHost is the machine this program runs on.
func ThisHost() (Host, error) {
	self, err := os.Executable()
	if err != nil {
		return Host{}, fmt.Errorf("where this program lies: %w", err)
	}
	h := Host{Self: self}
	// sd_booted(3): the directory is there where systemd is the service manager.
	if info, err := os.Stat("/run/systemd/system"); err == nil && info.IsDir() {
		h.Systemctl = systemctl
	}
	return h, nil
}

func systemctl(args ...string) error {
	out, err := exec.Command("systemctl", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// Outcome is what became of one thing.
type Outcome string

// The outcomes.
const (
	Written  Outcome = "written"
	Same     Outcome = "same"     // was there already, the same
	Kept     Outcome = "kept"     // was there, another one, and stays
	Replaced Outcome = "replaced" // the old one is kept beside it
	Removed  Outcome = "removed"
	Absent   Outcome = "absent"
	Started  Outcome = "started"
	Stopped  Outcome = "stopped"
	Skipped  Outcome = "skipped" // not possible here
)

// Step is one thing that was done or left.
type Step struct {
	What    string  `json:"what"` // "binary", "policy", "unit", "service", "programs", "state"
	Outcome Outcome `json:"outcome"`
	Path    string  `json:"path,omitempty"`
}

func (h Host) at(path string) string { return filepath.Join("/", h.Root, path) }

// Install puts the binary, the policy and the unit in their places and starts the
// unit. policy is the text to have in force; nil keeps the file that is there, or
// else writes first. The steps taken so far come with an error, too.
func (h Host) Install(policy []byte, first string) ([]Step, error) {
	var steps []Step
	for _, do := range []func() (Step, error){
		h.installBinary,
		func() (Step, error) { return h.installPolicy(policy, first) },
		h.installUnit,
		h.start,
	} {
		step, err := do()
		if err != nil {
			return steps, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func (h Host) installBinary() (Step, error) {
	step := Step{"binary", Written, Binary}
	from, err := os.Stat(h.Self)
	if err != nil {
		return step, fmt.Errorf("the running program: %w", err)
	}
	if to, err := os.Stat(h.at(Binary)); err == nil && os.SameFile(from, to) {
		step.Outcome = Same
		return step, nil
	}
	program, err := os.ReadFile(h.Self)
	if err != nil {
		return step, fmt.Errorf("the running program: %w", err)
	}
	return step, h.write(Binary, program, 0o755, 0o755)
}

func (h Host) installPolicy(policy []byte, first string) (Step, error) {
	step := Step{"policy", Written, Policy}
	_, err := os.Lstat(h.at(Policy))
	switch {
	case errors.Is(err, fs.ErrNotExist) && policy == nil:
		return step, h.write(Policy, []byte(first), 0o600, 0o700)
	case errors.Is(err, fs.ErrNotExist):
		return step, h.write(Policy, policy, 0o600, 0o700)
	case err != nil:
		return step, fmt.Errorf("the policy that is there: %w", err)
	case policy == nil:
		step.Outcome = Kept
		return step, nil
	}
	step, err = h.SaveOld(policy)
	if err != nil || step.Outcome == Same {
		return step, err
	}
	return step, h.write(Policy, policy, 0o600, 0o700)
}

// SaveOld keeps the policy file that is there beside it, before policy takes its place.
func (h Host) SaveOld(policy []byte) (Step, error) {
	step := Step{"policy", Replaced, Policy}
	there, err := os.ReadFile(h.at(Policy))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		step.Outcome = Written
		return step, nil
	case err != nil:
		return step, fmt.Errorf("the policy that is there: %w", err)
	case bytes.Equal(there, policy):
		step.Outcome = Same
		return step, nil
	}
	return step, h.write(OldPolicy, there, 0o600, 0o700)
}

func (h Host) installUnit() (Step, error) {
	step := Step{"unit", Written, Unit}
	if h.Systemctl == nil {
		step.Outcome = Skipped
		return step, nil
	}
	if there, err := os.ReadFile(h.at(Unit)); err == nil && bytes.Equal(there, unit) {
		step.Outcome = Same
		return step, nil
	}
	return step, h.write(Unit, unit, 0o644, 0o755)
}

// start also restarts: a new binary runs only then. What is pinned refuses meanwhile.
func (h Host) start() (Step, error) {
	step := Step{"service", Started, UnitName}
	if h.Systemctl == nil {
		step.Outcome = Skipped
		return step, nil
	}
	return step, h.all([]string{"daemon-reload"}, []string{"enable", UnitName}, []string{"restart", UnitName})
}

func (h Host) all(commands ...[]string) error {
	for _, c := range commands {
		if err := h.Systemctl(c...); err != nil {
			return err
		}
	}
	return nil
}

// Uninstall stops the unit, takes the pinned programs out of the kernel with unpin,
// and removes unit and binary. Policy and state stay, unless purge. It goes on after a
// failure, so that as much as possible is undone; the error joins all of them.
func (h Host) Uninstall(unpin func() error, purge bool) ([]Step, error) {
	var steps []Step
	var errs []error
	take := func(step Step, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		steps = append(steps, step)
	}
	take(h.stop())
	take(h.unpin(unpin))
	take(h.remove("unit", Unit))
	if h.Systemctl != nil {
		errs = append(errs, h.Systemctl("daemon-reload"))
	}
	take(h.remove("binary", Binary))
	for _, place := range []Step{{What: "policy", Path: filepath.Dir(Policy)}, {What: "state", Path: State}} {
		if purge {
			take(h.remove(place.What, place.Path))
		} else {
			take(h.keep(place.What, place.Path))
		}
	}
	return steps, errors.Join(errs...)
}

func (h Host) stop() (Step, error) {
	step := Step{"service", Stopped, UnitName}
	if _, err := os.Lstat(h.at(Unit)); h.Systemctl == nil || errors.Is(err, fs.ErrNotExist) {
		step.Outcome = Absent
		return step, nil
	}
	return step, h.Systemctl("disable", "--now", UnitName)
}

func (h Host) unpin(unpin func() error) (Step, error) {
	step := Step{"programs", Removed, Pins}
	if _, err := os.Lstat(h.at(Pins)); errors.Is(err, fs.ErrNotExist) {
		step.Outcome = Absent
		return step, nil
	}
	if err := unpin(); err != nil {
		return step, fmt.Errorf("taking the programs out of the kernel: %w; they refuse until the next start of this host", err)
	}
	return step, nil
}

func (h Host) remove(what, path string) (Step, error) {
	step, err := h.keep(what, path)
	if err != nil || step.Outcome == Absent {
		return step, err
	}
	step.Outcome = Removed
	return step, os.RemoveAll(h.at(path))
}

func (h Host) keep(what, path string) (Step, error) {
	_, err := os.Lstat(h.at(path))
	if errors.Is(err, fs.ErrNotExist) {
		return Step{what, Absent, path}, nil
	}
	return Step{what, Kept, path}, err
}

// write replaces a file in one step, and makes the folder it is in.
func (h Host) write(path string, content []byte, mode, dirMode os.FileMode) error {
	path = h.at(path)
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return err
	}
	return durable.Replace(path, content, mode)
}
