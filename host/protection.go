package host

import (
	"slices"
	"time"
)

// Control is one protection of the guard.
type Control string

// The six controls coverage is computed from, and the guard's own defence.
// The numbers of TRIAGE.md section 3 and GUARD.md section 4 stand beside them.
const (
	Launch     Control = "launch"  // 1: nothing is launched from user space
	Write      Control = "write"   // 2: system space and persistence places are not changed
	ProcessCtl Control = "process" // 3: other processes' memory, privileges, signals
	Utility    Control = "utility" // 4: operating-system programs attackers live off
	Containing Control = "contain" // 5: what faces the network stays contained, children too
	KernelCtl  Control = "kernel"  // 6: modules, namespaces, bpf, unusual sockets
	Private    Control = "private" // contained processes do not read private paths
	Self       Control = "self"    // S: the guard defends itself
)

// Modes of a control.
const (
	Observe = "observe" // records what would be refused
	Enforce = "enforce" // refuses
	Off     = "off"     // neither: only of what an operating system offers itself
)

// Protection is what this host's kernel really enforces now: never what a policy
// asks for. The zero value is a host without a guard.
type Protection struct {
	Generation uint64          `json:"generation,omitempty"` // policy generation in force
	Kernel     string          `json:"kernel,omitempty"`     // uname -r it holds on
	Tier       string          `json:"tier,omitempty"`       // "bpf-lsm", "fmod-ret", "fanotify"
	Reported   time.Time       `json:"reported,omitzero"`    // when the agent last confirmed it
	Controls   []ControlStatus `json:"controls,omitempty"`
	// Contained are the binary packages and systemd units of which every process runs
	// contained on this host, and one at least does.
	Contained []string `json:"contained,omitempty"`
	// Partly are those of which some processes run contained and others do not.
	Partly []PartlyContained `json:"partly,omitempty"`
	// Surfaces are the kernel surfaces the kernel control refuses to every contained
	// process: "userns", "af_alg", "xfrm", "nf_tables", "bpf", "module-autoload", …
	Surfaces []string `json:"surfaces,omitempty"`
	// Allowed are the surfaces it refuses to all but some who run contained here.
	Allowed []AllowedSurface `json:"allowed,omitempty"`
	// WX are the units and packages of which every process may not make memory executable
	// that it has written.
	WX []string `json:"wx,omitempty"`
}

// PartlyContained is a unit or package that is not contained although processes of it are.
type PartlyContained struct {
	Name    string   `json:"name"`
	Outside []string `json:"outside"` // programs of its other processes, sorted
}

// AllowedSurface is a kernel surface that some use although they run contained.
type AllowedSurface struct {
	Surface string   `json:"surface"`
	To      []string `json:"to"` // as the policy names them: "openvpn@.service", "/usr/sbin/dhclient"
}

// ControlStatus is one control as it is in force.
type ControlStatus struct {
	Control Control  `json:"control"`
	Mode    string   `json:"mode"`            // Observe or Enforce
	Hooks   int      `json:"hooks,omitempty"` // attached hooks
	Gaps    []string `json:"gaps,omitempty"`  // what it cannot enforce here, with the reason
	Proof   *Proof   `json:"proof,omitempty"`
}

// Proof is a drill that showed a control refusing on this host, or on the same
// kernel and policy generation.
type Proof struct {
	At         time.Time `json:"at"`
	Expires    time.Time `json:"expires"`
	Generation uint64    `json:"generation"` // the newest it holds for: the same policy, resolved again, has another
	Kernel     string    `json:"kernel"`
	Passed     bool      `json:"passed"`
	Steps      int       `json:"steps,omitempty"` // drill steps behind it
	Host       string    `json:"host,omitempty"`  // where it ran, when not here
}

// Enforced tells whether c refuses on this host now.
func (p Protection) Enforced(c Control) bool {
	return slices.ContainsFunc(p.Controls, func(s ControlStatus) bool { return s.Control == c && s.Mode == Enforce })
}

// Proven tells whether a drill that passed stands behind c at now: not expired, and
// of the policy generation and kernel in force.
func (p Protection) Proven(c Control, now time.Time) bool {
	return slices.ContainsFunc(p.Controls, func(s ControlStatus) bool {
		return s.Control == c && s.Mode == Enforce && s.Proof != nil && s.Proof.Passed &&
			now.Before(s.Proof.Expires) && s.Proof.Generation == p.Generation && s.Proof.Kernel == p.Kernel
	})
}
