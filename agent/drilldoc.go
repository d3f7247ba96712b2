package agent

import (
	"time"

	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/host"
)

// Drill asks for a drill of some controls, of all where none is named.
type Drill struct {
	Controls []host.Control `json:"controls,omitempty"`
	// For is how long its proofs hold; 0: a week.
	For Span `json:"for,omitempty"`
}

// DrillPlan is a drill that has begun: everything its steps need is there, until it is
// ended or nothing is heard of it for a minute.
type DrillPlan struct {
	ID      string          `json:"id"`
	Scene   drill.Scene     `json:"scene"`
	Orders  []drill.Order   `json:"orders"`  // the steps to do, without the scene
	Skipped []drill.Outcome `json:"skipped"` // those not done here, with the reason
}

// DrillCrew names the processes of a drill. They are children of whoever asks; the
// contained one is contained by this.
type DrillCrew struct {
	ID        string `json:"id"`
	Contained int    `json:"contained"`
	Free      int    `json:"free"`
}

// DrillStep is a step that was done.
type DrillStep struct {
	ID      string        `json:"id"`
	Attempt drill.Attempt `json:"attempt"`
}

// DrillEnd ends a drill. One that was broken off proves nothing.
type DrillEnd struct {
	ID     string `json:"id"`
	Broken bool   `json:"broken,omitempty"`
}

// DrillReport is what a drill has shown.
type DrillReport struct {
	At         time.Time       `json:"at"`
	Kernel     string          `json:"kernel"`
	Tier       string          `json:"tier"`
	Policy     string          `json:"policy"` // its name
	Generation uint64          `json:"generation"`
	Steps      []drill.Outcome `json:"steps"`
	Controls   []DrilledOf     `json:"controls"`
	// Void says why none of it is kept as proof, DrillBroken or DrillChanged; Reason is the
	// sentence. "": it is.
	Void   string `json:"void,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Checked are the places where something of the drill could have been left, Left
	// those where something was.
	Checked []string `json:"checked"`
	Left    []string `json:"left"`
}

// Why a drill is no proof.
const (
	DrillBroken  = "broken-off"
	DrillChanged = "changed" // what it rests on
)

// DrilledOf is what a drill has shown of one control.
type DrilledOf struct {
	Control host.Control `json:"control"`
	Mode    string       `json:"mode"`
	Refused int          `json:"refused"` // steps that were refused
	Done    int          `json:"done"`    // steps that were done
	Skipped int          `json:"skipped"`
	Proof   *host.Proof  `json:"proof,omitempty"` // as it is kept
}
