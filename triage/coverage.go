package triage

import "github.com/kannuki/kannuki/host"

// Effect is what the guard takes away from an attacker, strongest first.
type Effect string

// The four effects of TRIAGE.md section 3.
const (
	Prevented Effect = "prevented" // the exploit's goal is refused at its first step
	Contained Effect = "contained" // the bug may fire; launch, persistence, spread and tampering are refused
	Limited   Effect = "limited"   // damage is bounded to what the service already owns
	None      Effect = "none"      // the guard does not help
)

// Coverage is the effect with what stands behind it.
type Coverage struct {
	Effect   Effect         `json:"effect"`
	Controls []host.Control `json:"controls,omitempty"` // that bring it about
	Proven   bool           `json:"proven"`
	Reasons  []Reason       `json:"reasons,omitempty"`
	Limits   []Reason       `json:"limits,omitempty"` // printed wherever coverage is
}
