package agent

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

// defaultConfirm is the time to confirm where neither request nor policy says one;
// longestConfirm bounds what may be asked for.
const (
	defaultConfirm = 10 * time.Minute
	longestConfirm = 24 * time.Hour
)

// parse reads a policy somebody sent.
func parse(s Source) (policy.Policy, error) {
	p, err := policyfile.Parse(strings.NewReader(s.Text), s.Name)
	if err == nil {
		return p, nil
	}
	refusal := &Error{Code: http.StatusUnprocessableEntity, Mistakes: policyfile.Mistakes(err), Message: firstLine(err), Hint: "nothing was changed"}
	return p, refusal
}

// confirmTime is how long a change waits to be confirmed; 0: it is for good.
func confirmTime(asked Span, byDefault bool, p policy.Policy) (time.Duration, error) {
	d := time.Duration(asked)
	if d == 0 && byDefault {
		if d = p.Self.Confirm.Time(); d == 0 {
			d = defaultConfirm
		}
	}
	if d > longestConfirm {
		return 0, badRequest("a change cannot wait %v to be confirmed", "the longest time is "+longestConfirm.String(), d)
	}
	return d, nil
}

func badRequest(format, hint string, args ...any) *Error {
	return &Error{Code: http.StatusBadRequest, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// applyPolicy puts a policy in force and keeps it in the policy file.
func (f *inForce) applyPolicy(a Apply, permit permit) (Changed, error) {
	p, err := parse(a.Source)
	if err != nil {
		return Changed{}, err
	}
	confirm, err := confirmTime(a.Confirm, a.ConfirmDefault, p)
	if err != nil {
		return Changed{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before, err := f.keep.readPolicy()
	if err != nil {
		return Changed{}, &Error{Code: http.StatusInternalServerError, Message: err.Error(), Hint: "nothing was changed"}
	}
	return f.make(change{
		what: "policy " + p.Name,
		to:   kept{Policy: &fileState{Text: a.Text}, Modes: f.modes},
		back: kept{Policy: &before, Modes: f.modes}, fallsBack: "policy " + f.loaded.policy.Name,
		confirm: confirm, becomes: withModes(p, f.modes), fallsTo: f.base(), action: identity.Apply, permit: permit,
	})
}

// reload reads the policy file again. A malformed one is an error, and what was in
// force stays.
func (f *inForce) reload(permit permit) (Changed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.settled(); err != nil {
		return Changed{}, err
	}
	before, was := f.effective(), f.snapshot()
	file, err := f.keep.readPolicy()
	var l loaded
	if err == nil {
		l, err = f.parse(file)
	}
	if err != nil {
		f.loaded.fault = fmt.Sprintf("%s is malformed, so %s stays in force: %s", f.keep.policy, before.Name, firstLine(err))
		f.log.Error("the policy file is malformed; what was in force stays", "file", f.keep.policy, "error", err)
		return Changed{}, &Error{Code: http.StatusUnprocessableEntity, Mistakes: policyfile.Mistakes(err), Message: firstLine(err), Hint: "what was in force stays"}
	}
	if err := f.permitted(change{becomes: withModes(l.policy, f.modes), action: identity.Apply, permit: permit}); err != nil {
		f.loaded.fault = fmt.Sprintf("%s relaxes what is in force, so %s stays: %s", f.keep.policy, before.Name, firstLine(err))
		return Changed{}, err
	}
	f.loaded = l
	if f.apply(); f.failed != nil {
		why := f.failed
		hint := f.restore(was)
		f.loaded.fault = fmt.Sprintf("%s cannot be put in force, so %s stays: %v", f.keep.policy, before.Name, why)
		return Changed{}, &Error{Code: http.StatusInternalServerError, Message: fmt.Sprintf("policy %s cannot be put in force: %v", l.policy.Name, why), Hint: hint}
	}
	return Changed{Policy: l.policy.Name, Generation: f.applied.Generation, Gaps: f.applied.Gaps, Changes: changes(before, f.effective())}, nil
}

// setMode changes the mode of some controls.
func (f *inForce) setMode(m SetMode, permit permit) (Changed, error) {
	if m.Mode != policy.Observe && m.Mode != policy.Enforce {
		return Changed{}, badRequest("there is no mode %q", "say observe or enforce", m.Mode)
	}
	controls, err := controlsNamed(m.Controls)
	if err != nil {
		return Changed{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	confirm, err := confirmTime(m.Confirm, m.ConfirmDefault, f.loaded.policy)
	if err != nil {
		return Changed{}, err
	}
	c := change{what: strings.TrimSpace(string(m.Mode) + " " + listed(m.Controls)), confirm: confirm,
		to: kept{Modes: f.overridden(m.Mode, controls)}, back: kept{Modes: f.modes}, fallsBack: "the modes before"}
	// Whoever asks to enforce for a while wants to get in again if it locks them out,
	// whatever was in force before.
	if m.Mode == policy.Enforce {
		c.back, c.fallsBack = kept{Modes: f.overridden(policy.Observe, controls)}, strings.TrimSpace("observe "+listed(m.Controls))
	}
	c.becomes, c.fallsTo = withModes(f.loaded.policy, c.to.Modes), withModes(f.loaded.policy, c.back.Modes)
	c.action, c.permit = identity.Observe, permit
	return f.make(c)
}

// overridden are f's modes with controls set to mode; what the policy says anyway is
// no override.
func (f *inForce) overridden(mode policy.Mode, controls []host.Control) modes {
	out := modes{}
	maps.Copy(out, f.modes)
	for _, c := range controls {
		if out[c] = mode; f.loaded.policy.ModeOf(c) == mode {
			delete(out, c)
		}
	}
	return out
}

func controlsNamed(names []host.Control) ([]host.Control, error) {
	if len(names) == 0 {
		return policy.Controls(), nil
	}
	for _, c := range names {
		if !slices.Contains(policy.Controls(), c) {
			hint := "there are " + listed(policy.Controls())
			if near := policy.Nearest(string(c), texts(policy.Controls())); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			return nil, badRequest("there is no control %q", hint, c)
		}
	}
	return names, nil
}

func listed(controls []host.Control) string { return strings.Join(texts(controls), ", ") }

func texts(controls []host.Control) []string {
	out := make([]string, len(controls))
	for i, c := range controls {
		out[i] = string(c)
	}
	return out
}

// fallBack goes back at once to what was before the pending change.
func (f *inForce) fallBack() (Pending, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.pending == nil {
		return Pending{}, &Error{Code: http.StatusConflict, Message: "nothing is to be confirmed", Hint: "kannuki-agent status shows what is in force"}
	}
	p := f.pending.Pending
	f.failed = nil
	if f.fallBackLocked("an administrator asked for it"); f.failed != nil {
		return Pending{}, &Error{Code: http.StatusInternalServerError, Message: "cannot fall back: " + f.failed.Error(), Hint: "the agent tries again; see journalctl -u kannuki-agent"}
	}
	return p, nil
}
