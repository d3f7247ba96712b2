// Package ruleset turns a policy into what the kernel programs look up: named places
// with everything that holds there, programs with what they make of a process, and the
// lineages that exceptions are for. It is pure: what it asks of the host it asks
// through Host. Identities are filled in by package guard, because only the kernel
// programs themselves know how they see a directory.
package ruleset

import "time"

// Controls are bits, as enum control of guard/bpf/guard.h.
type Controls uint32

// The controls the kernel programs know.
const (
	ControlLaunch  Controls = 1 << 0
	ControlWrite   Controls = 1 << 1
	ControlContain Controls = 1 << 2
	ControlProcess Controls = 1 << 3
	ControlUtility Controls = 1 << 4
	ControlKernel  Controls = 1 << 5
	ControlPrivate Controls = 1 << 6
	ControlSelf    Controls = 1 << 7
)

// Ruleset is a policy ready for the kernel. Numbers in it are indexes into its lists;
// index 0 of Rules and Groups is "none".
type Ruleset struct {
	Enforce, Observe Controls
	Listeners        bool // listening beyond loopback contains

	Rules    []string  // ids of the policy's rules; what Place.Rule and the like mean
	Lineages []Lineage // who exceptions are for
	Groups   []Group   // sets of lineages
	Starters uint16    // group: its lineages may start updaters without a login session
	Runtimes uint16    // group: its lineages start containers, which launch from their overlays
	Surfaces []Surface // of the kernel, in the order of policy.Surfaces
	Tracers  uint16    // group: its contained processes trace others all the same
	Ports    []Port    // sorted, each port once
	Abstract []Abstract

	Places     []Place // sorted by Path, each path once
	Programs   []Program
	Extensions []string   // of scripts, with the dot: ".py"; 2 to 7 bytes
	UserNames  []UserName // sorted, each name once

	// BuildersAnywhere: builders launch what their lineage has built wherever in user
	// space it lies; without it only in places with Output.
	BuildersAnywhere bool
}

// UserName is the name of directories that are user space below places with Names.
type UserName struct {
	Name string
	Rule uint16
}

// Lineage is one Who of the policy: a process and its descendants. It has exactly one
// of Unit and UID; programs name their lineage themselves (Program.Lineage).
type Lineage struct {
	Name  string // "unit nginx.service", "program /usr/sbin/nginx", "user alice": stable between rulesets
	Unit  string // "nginx.service"; "postgresql@.service" means every instance
	UID   int    // login uid, where User
	User  bool
	Flags Flags  // what it makes of a process: Contained, Exempt, Updater, Builder
	Rule  uint16 // why it makes that of it
}

// Group is a set of lineages. Members after Until count no more (boot-independent wall
// time; grants).
type Group struct {
	Members   []int // indexes into Lineages, ascending
	Temporary []int // members until Until only
	Until     time.Time
}

// PlaceFlags say what holds at a place, as enum place_flag of guard/bpf/guard.h.
type PlaceFlags uint32

// The place flags. A place with neither Launches nor a Write flag nor Private is a
// signpost: it only has named places below it.
const (
	Launches PlaceFlags = 1 << 0 // system space: may launch

	// Who may change it: at most one of Sealed, Config, Data and User; none of them is
	// user space that nothing names.
	Sealed PlaceFlags = 1 << 1 // only updaters and Writers
	Config PlaceFlags = 1 << 2 // contained processes only where they are Writers
	Data   PlaceFlags = 1 << 3 // somebody's: contained processes only where they are Writers
	User   PlaceFlags = 1 << 4 // everybody; named inside something stricter

	Persist   PlaceFlags = 1 << 5  // beside Sealed or Config: something starts from here later
	ByAccount PlaceFlags = 1 << 6  // beside Data: or whose account owns the file (never root)
	Private   PlaceFlags = 1 << 7  // contained processes read it only where they are Readers
	Names     PlaceFlags = 1 << 8  // directories called as one of UserNames are user space below
	Scratch   PlaceFlags = 1 << 9  // updaters launch here what their transaction put here
	Output    PlaceFlags = 1 << 10 // builders launch here what their lineage put here
	File      PlaceFlags = 1 << 11 // a single file by its directory and name; a missing place without it may turn out to be either
	Deputy    PlaceFlags = 1 << 12 // contained processes connect to sockets here only where they are Connectors
	Guard     PlaceFlags = 1 << 13 // beside Sealed: the guard's own; nobody changes it but the agent, and updaters where it is a single file
)

// Place is one named place with everything that holds there: what an enclosing place
// says is already in it, so the nearest named place is all the kernel has to find.
type Place struct {
	Path  string // absolute, as it really lies (links followed); need not exist yet
	Flags PlaceFlags

	// Rules, as indexes into Ruleset.Rules, told in events.
	LaunchRule  uint16 // that made it system or user space
	WriteRule   uint16
	PrivateRule uint16
	DeputyRule  uint16

	// Groups that are excepted.
	Writers    uint16
	Readers    uint16
	Launchers  uint16 // launch and map from here although it is user space
	Coders     uint16 // open code here although it is user space
	Connectors uint16
}

// Flags are what a program or lineage makes of a process, as enum label_flag of
// guard/bpf/guard.h.
type Flags uint32

// The flags.
const (
	Contained   Flags = 1 << 0
	Exempt      Flags = 1 << 1 // never contained by listening
	Updater     Flags = 1 << 2
	Interpreter Flags = 1 << 4
	Agent       Flags = 1 << 5  // the guard's own program, where neither a login session nor anything contained starts it
	Builder     Flags = 1 << 6  // launches what its lineage has built
	Utilities   Flags = 1 << 7  // a utility: contained processes do not run it
	Loader      Flags = 1 << 8  // loads kernel modules from files it opens (kmod)
	WX          Flags = 1 << 11 // runs no code of its own making
	Modules     Flags = 1 << 12 // loads kernel modules among other work (udev)
)

// Program is one program file the policy names, by its directory and name, so that it
// stays named when a package update replaces it. It need not exist yet.
type Program struct {
	Path    string // absolute, its directory as it really lies
	Flags   Flags
	Rule    uint16 // of what Flags say
	Utility uint16 // rule that refuses it to contained processes
	Lineage int    // index into Lineages plus 1; 0: none

	// Groups whose processes may do more with it.
	Runs   uint16 // may run it although it is a utility
	Setuid uint16 // it keeps its set-user-ID privileges for them
	Leaves uint16 // it leaves containment when they start it
	Popen  uint16 // a shell they may start, which starts nothing but what Runs lets them

	// Options of an interpreter, by letter: see Options.
	Options Options
}

// Options tell which arguments of an interpreter are code. Bits: a-z are 0-25, A-Z are
// 26-51, a lone "-" is 52; as the interpreter's own manual has them. ScriptArguments is
// what the kernel programs do with them, in Go.
type Options struct {
	// Inline: code is here or comes from elsewhere, so no later argument is a script:
	// sh -c, perl -e. Without Valued nothing behind it is an option either. Of "-": it is
	// standard input; where it is not Inline it ends options, as "--" does.
	Inline   uint64
	Valued   uint64 // their value is the next argument: sh -o, python -W
	Attached uint64 // the rest of the word, where there is one, is their value: perl -i.bak, python -Wd
	// Script: their value is a script file, attached or next: awk -f. No later argument is
	// one, unless it is Valued too: node -r.
	Script uint64
	// NoScript: the first argument that is no option is no script (awk's program text).
	NoScript bool
	// Words: an option is a whole word with one dash, and its last letter stands for it:
	// java -jar is "r".
	Words bool
	// Applet: called by its own name the first argument names the interpreter: busybox sh.
	Applet bool
}

// Limits of the kernel side.
const (
	MaxName     = 38   // bytes of a program's or place's name that the kernel compares
	MaxUnit     = 58   // bytes of a unit's name
	MaxLineages = 512  // lineages of one host
	MaxGroups   = 2000 // sets of lineages of one ruleset
)

// Gap is something a policy asks for that this host or kernel cannot enforce.
type Gap struct {
	Control string `json:"control"`           // host.Control
	Rule    string `json:"rule,omitempty"`    // the policy's rule id
	Subject string `json:"subject,omitempty"` // path, hook or program
	Why     string `json:"why"`
}
