// Package event holds the word for what the guard did: one Event says what was refused
// or observed, who tried it, where, by which rule, and what an administrator can do.
// It is plain data, safe to copy and to encode as JSON; unknown is the zero value.
package event

import "time"

// Event is one refusal, observation or note, or several of the same kind summed up.
type Event struct {
	At      time.Time `json:"at"`
	Kind    Kind      `json:"kind"`
	Control string    `json:"control,omitempty"` // host.Control, where one decided
	Op      string    `json:"op"`                // "exec", "library", "create", "rename", …
	// Count is how many of this kind it stands for since the last one told; at least 1.
	Count int `json:"count"`

	Path  string `json:"path,omitempty"` // as far as it was told, "…/" before what was cut
	Space string `json:"space,omitempty"`
	Rule  string `json:"rule,omitempty"` // the policy's rule id
	// Why the rule is there, and the way out of a refusal, as a sentence each.
	Why    string `json:"why,omitempty"`
	WayOut string `json:"way_out,omitempty"`
	// Drill names the drill that brought it about: nobody attacks. "" for none.
	Drill string `json:"drill,omitempty"`

	Actor Actor `json:"actor"`
}

// Kind says what became of it.
type Kind string

// The kinds.
const (
	Refused  Kind = "refused"
	Observed Kind = "observed" // would have been refused
	Note     Kind = "note"     // nothing was asked: a process became contained, a place moved
)

// Actor is the process that tried.
type Actor struct {
	PID       int    `json:"pid"`
	Comm      string `json:"comm"`
	Parent    int    `json:"parent,omitempty"`
	ParentIs  string `json:"parent_comm,omitempty"`
	UID       int    `json:"uid"`
	LoginUID  int    `json:"login_uid"` // -1: no login session
	Contained bool   `json:"contained,omitempty"`
	Updater   bool   `json:"updater,omitempty"`
	Granted   bool   `json:"granted,omitempty"`

	// What the agent read in /proc while the process still lived; empty where it did not.
	Exe      string     `json:"exe,omitempty"`
	Cmdline  string     `json:"cmdline,omitempty"` // its start, arguments parted by spaces
	Unit     string     `json:"unit,omitempty"`    // systemd unit, "nginx.service"
	Ancestry []Ancestor `json:"ancestry,omitempty"`
}

// Ancestor is one process above an actor; the nearest comes first.
type Ancestor struct {
	PID  int    `json:"pid"`
	Comm string `json:"comm"`
}
