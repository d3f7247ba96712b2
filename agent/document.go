package agent

import (
	"fmt"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

// The documents of the socket, as JSON; docs/formats.md describes those that
// kannuki-agent prints.

// Span is a length of time as JSON text: "10m0s".
type Span time.Duration

// MarshalText writes it as time.Duration does.
func (s Span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

// UnmarshalText reads "10m", "1h30m"; a negative span is an error.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no length of time; write it as 10m or 1h30m", text)
	}
	*s = Span(d)
	return nil
}

// Status is the agent and what is in force on its host.
type Status struct {
	Version string    `json:"version"`
	Since   time.Time `json:"since"` // when this agent started
	Kernel  string    `json:"kernel,omitempty"`

	// Enforcing is true where at least one control refuses now.
	Enforcing bool `json:"enforcing"`
	// Reason is why nothing can be enforced here; "" where a guard is loaded.
	Reason     string `json:"reason,omitempty"`
	Tier       string `json:"tier,omitempty"`
	Generation uint64 `json:"generation,omitempty"`
	Adopted    bool   `json:"adopted,omitempty"` // an earlier agent's programs go on
	// EnforcedAfter is the time from the agent's start to its policy in force.
	EnforcedAfter Span `json:"enforced_after,omitempty"`
	// Boot is how long this host was without protection after it started; nil where that
	// is not known, or where nothing was refused since.
	Boot *Boot `json:"boot,omitempty"`

	Policy   PolicyStatus    `json:"policy"`
	Controls []ControlStatus `json:"controls"`
	// Missing are hooks this kernel does not have.
	Missing []Missing `json:"missing,omitempty"`
	Pending *Pending  `json:"pending,omitempty"`
	// Unlocked is what is in observe mode for a while.
	Unlocked *Unlocked `json:"unlocked,omitempty"`
	Grants   []Grant   `json:"grants,omitempty"`

	Events    EventCounts     `json:"events"`
	Exports   []ExportStatus  `json:"exports,omitempty"`
	Memory    Memory          `json:"memory"`
	Inventory InventoryStatus `json:"inventory"`
	// Faults are what is wrong now, a sentence each with the way out.
	Faults []string `json:"faults,omitempty"`
}

// Boot is the time between the first program of a start of the host and the first policy
// that refused something. UserSpace and Protected count from the kernel's own start.
type Boot struct {
	UserSpace   Span `json:"user_space"`
	Protected   Span `json:"protected"`
	Unprotected Span `json:"unprotected"`
	// Measured tells what UserSpace was taken from: "kernel-log", or "process-1", which
	// the kernel makes before it has anything to run in it.
	Measured string `json:"measured"`
	// Before are the services that were active by then, as systemd has them.
	Before []string `json:"before,omitempty"`
}

// PolicyStatus is where the policy in force came from.
type PolicyStatus struct {
	Name   string `json:"name"`
	Source string `json:"source"` // the file, or "built in"
	// Good is false where the source is malformed: then the last good policy is in
	// force, and Fault says what is wrong with the source.
	Good    bool      `json:"good"`
	Fault   string    `json:"fault,omitempty"`
	Applied time.Time `json:"applied,omitzero"`
	Rules   int       `json:"rules,omitempty"` // rules the kernel knows
}

// ControlStatus is one control as it is in force.
type ControlStatus struct {
	Control host.Control `json:"control"`
	// Mode is "observe", "enforce", or "none" where nothing of it is in force here.
	Mode  string `json:"mode"`
	Asked string `json:"asked"` // what the policy and the administrator ask for
	// Overridden is true where `observe` or `enforce` changed what the policy asks for.
	Overridden bool        `json:"overridden,omitempty"`
	Hooks      int         `json:"hooks"`
	Gaps       []guard.Gap `json:"gaps,omitempty"`
	// Proof is what the last drill has shown, while it counts.
	Proof *host.Proof `json:"proof,omitempty"`
}

// ModeNone is the mode of a control of which nothing is in force.
const ModeNone = "none"

// Missing is a hook this kernel does not have.
type Missing struct {
	Hook string `json:"hook"`
	Why  string `json:"why"`
}

// Pending is a change that falls back unless it is confirmed.
type Pending struct {
	What     string    `json:"what"` // "policy web", "enforce launch, write"
	Asked    time.Time `json:"asked"`
	Deadline time.Time `json:"deadline"`
	// FallsBack says to what, in words.
	FallsBack string `json:"falls_back"`
}

// Grant is an exception of one process in force.
type Grant struct {
	ID     uint64    `json:"id"`
	PID    int       `json:"pid"`
	Comm   string    `json:"comm,omitempty"`
	Until  time.Time `json:"until"`
	Launch []string  `json:"launch,omitempty"`
	Write  []string  `json:"write,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// EventCounts are events since the kernel programs were loaded, and what was lost on
// the way since this agent started.
type EventCounts struct {
	Refused      uint64 `json:"refused"`
	Observed     uint64 `json:"observed"`
	LostRefusals uint64 `json:"lost_refusals"` // refusals that stood and could not be told
	LostNotes    uint64 `json:"lost_notes"`    // observations and notes
	Summed       uint64 `json:"summed"`        // told as the count of another event
	LostSpool    uint64 `json:"lost_spool"`    // made room in the spool, or unreadable there
	LostFollow   uint64 `json:"lost_follow"`   // too fast for whoever followed
}

// ExportStatus is how sending events elsewhere goes.
type ExportStatus struct {
	Name    string `json:"name"`
	Sent    uint64 `json:"sent"`
	Waiting int    `json:"waiting"`
	Dropped uint64 `json:"dropped"`
	Error   string `json:"error,omitempty"` // of the last try, if it failed
}

// Memory is what the guard costs, in bytes.
type Memory struct {
	Agent  uint64 `json:"agent"`  // resident
	Kernel uint64 `json:"kernel"` // maps and programs
}

// InventoryStatus is when this host was last inventoried.
type InventoryStatus struct {
	Collected time.Time `json:"collected,omitzero"`
	Packages  int       `json:"packages,omitempty"`
	Unread    int       `json:"unread,omitempty"` // things that could not be read
	Error     string    `json:"error,omitempty"`  // of the last try
}

// PolicyText is the policy in force.
type PolicyText struct {
	PolicyStatus
	Text      string `json:"text"`      // as it was written
	Effective string `json:"effective"` // joined with its base, modes as they hold, canonical
}

// Source is a policy somebody has: its text, and the name errors call it by.
type Source struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Checked is what is to be said about a policy.
type Checked struct {
	OK bool `json:"ok"` // it could be applied
	// Mistakes keep it from being applied.
	Mistakes []*policyfile.Mistake `json:"mistakes"`
	// Unwise is what `policy check` advises against.
	Unwise []Advice `json:"unwise"`
}

// Advice is one thing of a sound policy that is unwise.
type Advice struct {
	At      string `json:"at"` // path of keys
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Apply asks for a new policy. With Confirm it falls back to what was in force unless
// Confirm is called within that time.
type Apply struct {
	Source
	Confirm Span `json:"confirm,omitempty"`
	// ConfirmDefault, without Confirm, waits as long as the policy's self.confirm says.
	ConfirmDefault bool   `json:"confirm_default,omitempty"`
	Token          string `json:"token,omitempty"` // text of a signed token
}

// Reload asks to read the policy file again.
type Reload struct {
	Token string `json:"token,omitempty"`
}

// SetMode asks for a mode of some controls; of all, where none is named. With Confirm
// it falls back: enforce to observe, observe to what it was.
type SetMode struct {
	Mode     policy.Mode    `json:"mode"`
	Controls []host.Control `json:"controls,omitempty"`
	Confirm  Span           `json:"confirm,omitempty"`
	// ConfirmDefault, without Confirm, waits as long as the policy's self.confirm says.
	ConfirmDefault bool   `json:"confirm_default,omitempty"`
	Token          string `json:"token,omitempty"`
}

// Unlock asks for observe mode of some controls, of all where none is named, for a while.
type Unlock struct {
	Controls []host.Control `json:"controls,omitempty"`
	For      Span           `json:"for"`
	Reason   string         `json:"reason"`
	Token    string         `json:"token,omitempty"`
}

// Unlocked is what is in observe mode for a while.
type Unlocked struct {
	Controls []host.Control `json:"controls"`
	Asked    time.Time      `json:"asked"`
	Until    time.Time      `json:"until"`
	Reason   string         `json:"reason"`
	Token    string         `json:"token,omitempty"` // id of the token that was used
}

// Uninstall asks the guard to let itself be taken off.
type Uninstall struct {
	Token string `json:"token,omitempty"`
}

// TokenText is a token somebody has.
type TokenText struct {
	Token string `json:"token"`
}

// TokenStatus is what a token for this host has to say.
type TokenStatus struct {
	Host   string     `json:"host,omitempty"` // what kannuki token sign --host is given; empty: this host has no machine id
	Asked  bool       `json:"asked"`          // self.token of the policy in force
	Wanted bool       `json:"wanted"`         // and a key is named: nothing is relaxed without one
	Keys   []TokenKey `json:"keys"`
	Used   int        `json:"used"`  // tokens that were used and have not ended
	Since  time.Time  `json:"since"` // tokens signed before are refused
}

// TokenKey is a key of the policy in force.
type TokenKey struct {
	Name string `json:"name"`
	ID   string `json:"id"`
}

// Changed is what came of a change.
type Changed struct {
	Policy     string          `json:"policy"` // its name
	Generation uint64          `json:"generation,omitempty"`
	Changes    []policy.Change `json:"changes"`
	Gaps       []guard.Gap     `json:"gaps,omitempty"`
	Pending    *Pending        `json:"pending,omitempty"`
}

// Explain asks what happens when As does Op to Path. By is the lineage, where it is known.
type Explain struct {
	Op   policy.Op `json:"op"`
	Path string    `json:"path"` // absolute; links are followed here
	As   policy.As `json:"as"`
	By   []Lineage `json:"by,omitempty"`
}

// Lineage is who does something: one of its keys.
type Lineage struct {
	Program string `json:"program,omitempty"`
	Unit    string `json:"unit,omitempty"`
	User    string `json:"user,omitempty"`
}

// Explained is the answer: the verdict, and the path it is about, links followed.
type Explained struct {
	Path string `json:"path"`
	policy.Verdict
}

// Ask asks for an exception for a process and what descends from it. PID 0 is the
// process that asks. Neither Launch nor Write: anywhere but the guard's own places.
type Ask struct {
	PID    int      `json:"pid,omitempty"`
	For    Span     `json:"for"`
	Launch []string `json:"launch,omitempty"`
	Write  []string `json:"write,omitempty"`
	Reason string   `json:"reason"`
}

// Process names one by its id; 0 is the process that asks.
type Process struct {
	PID int `json:"pid,omitempty"`
}

// Revoke names a grant.
type Revoke struct {
	ID uint64 `json:"id"`
}

// Line is one line of the stream of events: an event, or what went wrong.
type Line struct {
	Event *event.Event `json:"event,omitempty"`
	Error string       `json:"error,omitempty"`
}

func (l Line) split() (event.Event, error) {
	if l.Event == nil {
		return event.Event{}, &Error{Message: l.Error}
	}
	return *l.Event, nil
}

// Error is what the agent answers when it does not do what it was asked for.
type Error struct {
	Code     int                   `json:"-"` // HTTP status
	Message  string                `json:"message"`
	Hint     string                `json:"hint,omitempty"`     // the next step
	Reason   string                `json:"reason,omitempty"`   // a code for the catalogues: "no-session", "token-expired"
	Args     []string              `json:"args,omitempty"`     // of the sentences of that code
	Mistakes []*policyfile.Mistake `json:"mistakes,omitempty"` // of a policy
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "; " + e.Hint
}
