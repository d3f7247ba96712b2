package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/durable"
	"github.com/kannuki/kannuki/policy"
)

// Files below Config.State.
const (
	lastGoodFile   = "policy.last-good.yaml" // text of the last policy that was put in force
	modesFile      = "modes.json"            // what `observe` and `enforce` changed
	pendingFile    = "pending.json"          // what falls back unless it is confirmed
	protectionFile = "protection.json"       // host.Protection
	inventoryFile  = "inventory.json"        // host.Inventory
	grantsFile     = "grants.json"           // why grants were given
	bootFile       = "boot.json"             // how long this start of the host went without protection
	eventsDir      = "events"                // the spool
	lockFile       = "lock"
)

// modes are the controls whose mode is not the policy's.
type modes map[host.Control]policy.Mode

// check tells whether these are modes of controls there are.
func (m modes) check() error {
	for c, mode := range m {
		if !slices.Contains(policy.Controls(), c) || mode != policy.Observe && mode != policy.Enforce {
			return fmt.Errorf("%s: there is no control %q with a mode %q", modesFile, c, mode)
		}
	}
	return nil
}

// fileState is the policy file as it was: its text, malformed or not, or no file.
type fileState struct {
	Missing bool   `json:"missing,omitempty"`
	Text    string `json:"text,omitempty"`
}

// kept is what the files ask for; a nil Policy leaves the policy file alone.
type kept struct {
	Policy *fileState `json:"policy,omitempty"`
	Modes  modes      `json:"modes"`
}

// pendingChange is on disk before the change is anywhere.
type pendingChange struct {
	Pending
	To kept `json:"to"` // what it falls back to
	// Opens are the controls that would observe for good and enforce where it falls back:
	// until it is confirmed the kernel lets them only observe, and ends that by itself.
	Opens []host.Control `json:"opens,omitempty"`
}

func (p *pendingChange) check() error {
	if p.Asked.IsZero() || p.Deadline.IsZero() {
		return fmt.Errorf("%s: says no time", pendingFile)
	}
	if len(p.Opens) > 0 {
		if _, err := controlsNamed(p.Opens); err != nil {
			return fmt.Errorf("%s: %w", pendingFile, err)
		}
	}
	return p.To.Modes.check()
}

// due tells whether it has to fall back. A clock that stands well before the change was
// asked for (no battery, a reboot) says nothing about the deadline: then it is over.
func (p *pendingChange) due(now time.Time) bool {
	return !now.Before(p.Deadline) || now.Before(p.Asked.Add(-time.Minute))
}

// keep is the directory of what outlives the agent, and the policy file.
type keep struct {
	dir    string
	policy string
	// step is called before every write takes effect, with its name. Tests end the
	// agent there.
	step func(name string)
}

// openKeep makes the directory and locks it for this process.
func openKeep(dir, policyFile string) (*keep, func() error, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("agent: state directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("agent: state directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("agent: another agent uses %s (%w); see systemctl status kannuki-agent", dir, err), lock.Close())
	}
	return &keep{dir: dir, policy: policyFile, step: func(string) {}}, lock.Close, nil
}

func (k *keep) path(name string) string { return filepath.Join(k.dir, name) }

// read decodes a file of the state directory; a missing one is no error and leaves
// into alone.
func (k *keep) read(name string, into any) (found bool, err error) {
	text, err := os.ReadFile(k.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("%s: %w", k.path(name), err)
	}
	return true, nil
}

// write replaces a file of the state directory by v as JSON.
func (k *keep) write(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", k.path(name), err)
	}
	return k.writeText(name, append(text, '\n'))
}

func (k *keep) writeText(name string, text []byte) error {
	k.step(name)
	return replaceFile(k.path(name), text)
}

func (k *keep) remove(name string) error {
	k.step("remove " + name)
	return durable.Remove(k.path(name))
}

// readPolicy returns the policy file as it is.
func (k *keep) readPolicy() (fileState, error) {
	text, err := os.ReadFile(k.policy)
	if errors.Is(err, fs.ErrNotExist) {
		return fileState{Missing: true}, nil
	}
	return fileState{Text: string(text)}, err
}

// put makes the files say what to asks for.
func (k *keep) put(to kept) error {
	if err := k.write(modesFile, to.Modes); err != nil {
		return err
	}
	if to.Policy == nil {
		return nil
	}
	k.step("policy")
	if to.Policy.Missing {
		return durable.Remove(k.policy)
	}
	if err := os.MkdirAll(filepath.Dir(k.policy), 0o755); err != nil {
		return err
	}
	return replaceFile(k.policy, []byte(to.Policy.Text))
}

// replaceFile replaces a file whole. A link is followed: the file it names is replaced.
func replaceFile(path string, text []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return durable.Replace(path, text, 0o600)
}
