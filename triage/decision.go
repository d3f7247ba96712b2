package triage

// Action is a decision: when to patch. Values are stored and printed; they never change.
type Action string

// The four actions of SSVC's deployer table, least urgent first.
const (
	Defer      Action = "defer"
	Scheduled  Action = "scheduled"
	OutOfCycle Action = "out-of-cycle"
	Immediate  Action = "immediate"
)

// The timelines of CISA BOD 26-04, least urgent first.
const (
	OnUpgrade     Action = "on-upgrade"
	Days60        Action = "60-days"
	Days14        Action = "14-days"
	Days3         Action = "3-days"
	Days3Forensic Action = "3-days-forensics"
)
