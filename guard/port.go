package guard

import (
	"time"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Gap is something a policy asks for that this host or kernel cannot enforce.
type Gap = ruleset.Gap

// Applied tells what came of putting a policy in force.
type Applied struct {
	Generation uint64    `json:"generation"`
	Gaps       []Gap     `json:"gaps,omitempty"`
	Labelled   int       `json:"labelled"`        // processes that ran already and were labelled
	Until      time.Time `json:"until,omitzero"`  // when the next grant of the policy ends: apply again then
	Rules      int       `json:"rules,omitempty"` // rules the kernel knows
}

// Status is the guard as it is in force.
type Status struct {
	Tier       string               `json:"tier"`
	Generation uint64               `json:"generation"`
	Adopted    bool                 `json:"adopted"` // pinned programs of an earlier agent go on
	Hooks      map[host.Control]int `json:"hooks"`   // attached hooks by control
	Missing    []Missing            `json:"missing,omitempty"`
	Deaf       string               `json:"deaf,omitempty"` // why what is refused happens all the same: then there are no hooks
	// Modes are what is done about each control now, relaxations counted in: read back, not
	// what was asked for. Of a control that no policy in force speaks of there is none.
	Modes        map[host.Control]policy.Mode `json:"modes,omitempty"`
	Relaxed      []host.Control               `json:"relaxed,omitempty"` // that RelaxUntil lets only observe
	RelaxedUntil time.Time                    `json:"relaxed_until,omitzero"`

	Drops       Drops  `json:"drops"`
	Refused     uint64 `json:"refused"`  // since the programs were loaded
	Observed    uint64 `json:"observed"` // would have been refused
	KernelBytes uint64 `json:"kernel_bytes"`
}

// Label is what the kernel programs hold a process for.
type Label struct {
	Contained   bool     `json:"contained"`
	Exempt      bool     `json:"exempt,omitempty"`
	Updater     bool     `json:"updater,omitempty"`
	Granted     bool     `json:"granted,omitempty"`
	Interpreter bool     `json:"interpreter,omitempty"`
	Builder     bool     `json:"builder,omitempty"`
	WX          bool     `json:"wx,omitempty"`       // runs no memory that it has written
	Rule        string   `json:"rule,omitempty"`     // what made it contained
	Lineages    []string `json:"lineages,omitempty"` // "unit nginx.service", "program /usr/sbin/nginx"
}

// Drops counts what was not told, since the programs were loaded.
type Drops struct {
	Refusals uint64 `json:"refusals"` // events of refusals that found no room; the refusals stood
	Notes    uint64 `json:"notes"`
	Summed   uint64 `json:"summed"` // folded into another event's count
}

// Exception is a grant to one process and what descends from it: until it ends, or its
// first process does. What still runs then is contained.
type Exception struct {
	For    time.Duration `json:"for"`
	Launch []string      `json:"launch,omitempty"` // files or directories of user space it may launch from
	Write  []string      `json:"write,omitempty"`  // sealed or others' places it may change
	// With neither Launch nor Write it may launch from and write to anywhere but the
	// guard's own places.
}

// Grant is an Exception in force.
type Grant struct {
	ID    uint64    `json:"id"`
	PID   int       `json:"pid"`
	Until time.Time `json:"until"`
	Exception
}
