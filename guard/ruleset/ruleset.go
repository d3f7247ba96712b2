// Package ruleset turns a policy into what the kernel programs look up: directories
// with their space, programs with what they make of a process, and which controls
// refuse. It is pure; identities are filled in by package guard, because only the
// kernel programs themselves know how they see a directory.
package ruleset

// Space is where a file lives, with the numbers guard/bpf uses.
type Space uint32

// The spaces, as enum space of guard/bpf/guard.h.
const (
	System  Space = 1 // sealed: only updaters change it; launches
	Config  Space = 2 // administrators may change it; launches
	User    Space = 3 // changes, does not launch
	Data    Space = 4 // of one domain of contained processes
	Persist Space = 5 // contained processes may not change it
	Private Space = 6 // contained processes may not read it
)

// Controls are bits, as enum control of guard/bpf/guard.h.
type Controls uint32

// The controls the kernel programs know.
const (
	Launch  Controls = 1 << 0
	Write   Controls = 1 << 1
	Contain Controls = 1 << 2
)

// Flags are what a program makes of the process that runs it.
type Flags uint32

// The flags, as enum label_flag of guard/bpf/guard.h.
const (
	Contained   Flags = 1 << 0
	Exempt      Flags = 1 << 1
	Updater     Flags = 1 << 2
	Interpreter Flags = 1 << 4
)

// Ruleset is a policy ready for the kernel.
type Ruleset struct {
	Enforce, Observe Controls
	Listeners        bool // listening beyond loopback contains
	Roots            []Root
	Programs         []Program
	Extensions       []string // of scripts, with the dot: ".py"
}

// Root is one directory the policy names.
type Root struct {
	Path   string
	Space  Space
	Rule   uint32 // the policy's rule, told in events
	Domain uint32 // of Data
}

// Program is one program file the policy names; the last part of Path is its name in
// the directory it really lies in, at most MaxName bytes.
type Program struct {
	Path  string
	Flags Flags
	Rule  uint32
}

// MaxName is the longest program name the kernel programs compare.
const MaxName = 38
