package cli

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/policy"
)

// agentKeeps is where the agent of this machine says what it enforces.
var agentKeeps = filepath.Join(policy.GuardState, "protection.json")

// protection is what guards the host a command is about: what a file says, or the agent
// of this machine where the command is about this machine. The zero value says nothing.
func (a *app) protection(file string, here bool) (host.Protection, error) {
	if file != "" {
		return inventory.ReadProtectionFile(file)
	}
	if !here {
		return host.Protection{}, nil
	}
	p, err := inventory.ReadProtectionFile(agentKeeps)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) { // no agent here
			a.Say(a.T("cli.protection-unread", err.Error()))
		}
		return host.Protection{}, nil
	}
	return p, nil
}

// here tells whether a command is about this machine.
func (s subject) here() bool { return s.root == "" && len(s.files) == 0 && s.hostName == "" }

// hostError puts an error about hosts into words.
func (a *app) hostError(err error) error {
	var unknown *control.UnknownHost
	switch {
	case !errors.As(err, &unknown):
		return err
	case len(unknown.Known) == 0:
		return errors.New(a.T("cli.no-hosts"))
	}
	return errors.New(a.T("cli.unknown-host", unknown.Name, unknown.Near, a.few(unknown.Known)))
}

// few is the beginning of a list that may be a fleet.
func (a *app) few(names []string) string {
	const shown = 12
	if len(names) > shown {
		return a.List(names[:shown]) + a.T("list.more", len(names)-shown)
	}
	return a.List(names)
}
