package vuln

import "time"

// Change is something a feed import changed about one vulnerability that an
// administrator wants to hear of next morning.
type Change struct {
	At            time.Time  `json:"at"`
	Vulnerability string     `json:"vulnerability"`
	Kind          ChangeKind `json:"kind"`
	Source        string     `json:"source"`
	Old           string     `json:"old,omitempty"`
	New           string     `json:"new,omitempty"`
}

// ChangeKind says what changed. Values are stored.
type ChangeKind string

// The kinds of change.
const (
	ChangeNew       ChangeKind = "new"             // first record about it
	ChangeScored    ChangeKind = "re-scored"       // Old and New are "vector (score)", or EPSS values
	ChangeExploited ChangeKind = "newly-exploited" // entered KEV, or the ADP now says "active"
	ChangeFixed     ChangeKind = "newly-fixed"     // New is "ecosystem package version"
	ChangeRejected  ChangeKind = "rejected"        // withdrawn or rejected
)
