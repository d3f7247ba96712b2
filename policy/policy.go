// Package policy is what an administrator asks the guard for: which space a file
// lies in, what is contained, and every exception with its reason. It is plain data
// with the questions one can ask of it: is it sound (Validate), is it wise (Check),
// what changes (Diff), and what happens to one path (Explain). It reads no files and
// no clock; how a policy is written as YAML is policyfile's job.
//
// The comments of the fields below are the reference: docs/policy.md and
// docs/policy.schema.json are generated from them.
package policy

import (
	"time"

	"github.com/kannuki/kannuki/host"
)

// Version is the version of the language.
const Version = 1

// Policy is everything the guard of one host is asked for. A policy that names a
// base holds only what differs; Over joins the two.
type Policy struct {
	// Version of the language: 1.
	Version int `yaml:"version" policy:"required"`
	// Name by which status, events and the fleet call this policy.
	Name string `yaml:"name" policy:"required,form=word"`
	// Base is a built-in policy (standard, strict, observe) this one starts from: its rules hold unless a rule here has the same id or `without` names them.
	Base string `yaml:"base" policy:"form=word"`
	// Without are ids of rules of the base that do not hold here.
	Without []string `yaml:"without" policy:"form=id"`
	// Description says in a sentence or two whom this policy is for.
	Description string `yaml:"description"`
	// Mode of every control that `controls` does not name. Required unless there is a base.
	Mode Mode `yaml:"mode"`
	// Controls gives single controls another mode.
	Controls map[host.Control]Mode `yaml:"controls"`

	// Spaces say where a file lives, and so what may be done with it.
	Spaces Spaces `yaml:"spaces"`
	// Roles are named groups that other rules refer to as `role: NAME`.
	Roles []Role `yaml:"roles"`
	// Containment says which processes are contained, and what leads out of it.
	Containment Containment `yaml:"containment"`
	// Programs are the directories in which names of interpreters and utilities are looked up, links followed.
	Programs []ProgramDir `yaml:"programs"`
	// Interpreters are the programs that run scripts.
	Interpreters Interpreters `yaml:"interpreters"`
	// Updaters may change system space.
	Updaters Updaters `yaml:"updaters"`
	// Builders may launch what they themselves have just built.
	Builders []Builder `yaml:"builders"`
	// Trusted are single files of user space that may launch because their content is known.
	Trusted []Trusted `yaml:"trusted"`
	// Utilities are programs of the operating system that attackers live off.
	Utilities Utilities `yaml:"utilities"`
	// Kernel are the kernel's surfaces refused to contained processes.
	Kernel Kernel `yaml:"kernel"`
	// Deputies are daemons that would act for a contained process, outside its containment.
	Deputies Deputies `yaml:"deputies"`
	// WX are services that may not make writable memory executable.
	WX []WX `yaml:"wx"`
	// Self is how the guard defends itself.
	Self Self `yaml:"self"`
	// Grants are exceptions with an end.
	Grants []Grant `yaml:"grants"`
}

// Place is one place in the file tree: exactly one of its two keys.
type Place struct {
	// Path is a directory with everything below it, followed to where it really lies. Where it is missing the rule waits until it is there.
	Path string `yaml:"path" policy:"form=place"`
	// File is a single file by its directory and name, whether it exists yet or not; it stays named when it is replaced.
	File string `yaml:"file" policy:"form=place"`
}

// Who is a lineage: a process and its descendants. Exactly one of its keys is set.
type Who struct {
	// Program is the path of an executable file; its children are meant too.
	Program string `yaml:"program" policy:"form=path"`
	// Unit is a systemd unit; `name@.service` means every instance.
	Unit string `yaml:"unit" policy:"form=unit"`
	// User is an account, in the sessions it has logged in to.
	User string `yaml:"user" policy:"form=account"`
	// Role is a name from `roles`.
	Role string `yaml:"role" policy:"form=word"`
}

// Spaces name places; a file belongs to the nearest one named above it. Whatever is
// not named is user space: it may change, and nothing launches from it.
type Spaces struct {
	// System space may launch.
	System []SystemPath `yaml:"system"`
	// User are places inside system space that services write to: they may change and may not launch.
	User []UserPath `yaml:"user"`
	// Private places are not read by contained processes.
	Private []PrivatePath `yaml:"private"`
	// Persistence places are where an attacker would come back from; contained processes do not change them, not even where they could change what lies around.
	Persistence []PersistencePath `yaml:"persistence"`
	// Data are places whose content belongs to somebody: other contained processes do not change it.
	Data []DataPath `yaml:"data"`
}

// SystemPath is a place that may launch.
type SystemPath struct {
	// ID by which events name this rule; otherwise `system:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	Place
	// Seal says who may change it.
	Seal Seal `yaml:"seal" policy:"required"`
	// Writers may change it too, even when contained: application space that a deployer fills, a file that one daemon keeps.
	Writers []Who `yaml:"writers"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// UserPath is user space inside system space.
type UserPath struct {
	// ID by which events name this rule; otherwise `user:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	// Path is the directory; with `names`, the directory below which to look.
	Path string `yaml:"path" policy:"required,form=path"`
	// Names makes user space of every directory with one of these names below `path`, and not of `path` itself. This is the only pattern of the language: web applications put their uploads at a depth only they know. It opens nothing, because only those who may change the surrounding space can make such a directory.
	Names []string `yaml:"names" policy:"form=filename"`
	// Why it has to change.
	Why string `yaml:"why" policy:"required"`
}

// PrivatePath is a place contained processes do not read.
type PrivatePath struct {
	// ID by which events name this rule; otherwise `private:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	Place
	// Readers may read it although they are contained.
	Readers []Who `yaml:"readers"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// PersistencePath is a place from which something starts by itself later.
type PersistencePath struct {
	// ID by which events name this rule; otherwise `persistence:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	Place
	// Seal says who may change it; without it, config.
	Seal Seal `yaml:"seal"`
	// Writers may change it too, even when contained.
	Writers []Who `yaml:"writers"`
	// Technique is the ATT&CK technique that would use it.
	Technique string `yaml:"technique" policy:"form=technique"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// DataPath is a place whose content belongs to somebody.
type DataPath struct {
	// ID by which events name this rule; otherwise `data:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	Place
	// Owners may change it although they are contained. With none, no contained process may.
	Owners []Who `yaml:"owners"`
	// ByAccount also lets a contained process change files that belong to the account it runs as, unless that is root: mail is delivered to homes that way, and uploads are stored.
	ByAccount bool `yaml:"by_account"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// Role is a named group of lineages.
type Role struct {
	// ID by which events name this rule; otherwise `role:` and the role.
	ID string `yaml:"id" policy:"form=id"`
	// Role is the name others refer to.
	Role string `yaml:"role" policy:"required,form=word"`
	// Who belongs to it; roles do not nest.
	Who []Who `yaml:"who" policy:"required"`
	// Why these belong together.
	Why string `yaml:"why" policy:"required"`
}

// Containment says which processes are contained.
type Containment struct {
	// Listeners on: a process that listens beyond loopback becomes contained, with every later child.
	Listeners Switch `yaml:"listeners"`
	// Contain are programs and units that are contained from their start, listening or not.
	Contain []Contain `yaml:"contain"`
	// Exempt are listeners that get a built-in profile in place of containment.
	Exempt []Exempt `yaml:"exempt"`
	// Edges are single steps from a contained service to one helper. The helper stays contained, unless the edge says otherwise.
	Edges []Edge `yaml:"edges"`
}

// Contain is one lineage that is always contained.
type Contain struct {
	// ID by which events name this rule; otherwise `contain:` and the program or unit.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// Exempt is one listener that is not contained.
type Exempt struct {
	// ID by which events name this rule; otherwise `exempt:` and the program or unit.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Profile it gets instead.
	Profile Profile `yaml:"profile" policy:"required"`
	// Why it cannot be contained.
	Why string `yaml:"why" policy:"required"`
}

// Edge lets one contained service start one helper that it could not start otherwise.
type Edge struct {
	// ID by which events name this rule; otherwise `edge:`, the service, `>` and the helper.
	ID string `yaml:"id" policy:"form=id"`
	// From is the service.
	From Who `yaml:"from" policy:"required"`
	// To is the helper's executable file. A script runs with its interpreter; a utility runs, from this service only.
	To string `yaml:"to" policy:"required,form=path"`
	// Setuid lets the helper keep the privileges of its set-user-ID or set-group-ID bit.
	Setuid bool `yaml:"setuid"`
	// Shell lets it be started through `sh -c` too, as popen does. That shell starts nothing but helpers this service has such edges to.
	Shell bool `yaml:"shell"`
	// Leaves lets the helper leave containment: only for a script of system space that takes a few values and decides itself what it does with them.
	Leaves bool `yaml:"leaves"`
	// Why the service needs it.
	Why string `yaml:"why" policy:"required"`
}

// ProgramDir is a directory of programs.
type ProgramDir struct {
	// ID by which events name this rule; otherwise `programs:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	// Path is the directory; what lies deeper is not meant.
	Path string `yaml:"path" policy:"required,form=path"`
}

// Interpreters are programs that run scripts.
type Interpreters struct {
	// Programs that may not open a script of user space, whoever runs them. Contained processes do not run them at all, unless an edge or an allowance lets them: inline code has no file to judge.
	Programs []Interpreter `yaml:"programs"`
	// Caches are places where one service keeps code it compiled itself; only that service opens it.
	Caches []Cache `yaml:"caches"`
}

// Interpreter is one language.
type Interpreter struct {
	// ID by which events name this rule; otherwise `interpreter:` and the language.
	ID string `yaml:"id" policy:"form=id"`
	// Language it runs.
	Language string `yaml:"language" policy:"required,form=word"`
	// Names of its programs, looked up in `programs`. A name also means the same name followed by a version (`python3` means `python3.11` too): distributions install several side by side.
	Names []string `yaml:"names" policy:"required,form=filename"`
	// Extensions are endings of files it loads as code beside the script it is called with.
	Extensions []string `yaml:"extensions" policy:"form=extension"`
}

// Cache is compiled code of one service.
type Cache struct {
	// ID by which events name this rule; otherwise `cache:` and the path.
	ID string `yaml:"id" policy:"form=id"`
	// Path is the directory; never one that is shared by everybody, such as /tmp.
	Path string `yaml:"path" policy:"required,form=path"`
	// To are the services that may open it as code.
	To []Who `yaml:"to" policy:"required"`
	// Libraries lets them also map libraries from there, as some Java libraries unpack themselves.
	Libraries bool `yaml:"libraries"`
	// Why the code cannot lie in system space.
	Why string `yaml:"why" policy:"required"`
}

// Updaters may change system space. They are updaters only when an administrator's
// session, a timer, the agent or one of the starters started them, never below a
// contained process; their scripts inherit it and lose it with them.
type Updaters struct {
	// Programs that are updaters.
	Programs []Updater `yaml:"programs"`
	// Starters are further units that may start them.
	Starters []Starter `yaml:"starters"`
}

// Updater is one program that may change system space.
type Updater struct {
	// ID by which events name this rule; otherwise `updater:` and the program or unit.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Scratch are directories where its lineage launches what that lineage itself put there: package managers unpack scripts before they run them.
	Scratch []string `yaml:"scratch" policy:"form=path"`
	// Why it changes system space.
	Why string `yaml:"why" policy:"required"`
}

// Starter is a unit that may start updaters.
type Starter struct {
	// ID by which events name this rule; otherwise `starter:` and the unit.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Why it starts them.
	Why string `yaml:"why" policy:"required"`
}

// Builder is a lineage that may launch its own output. It changes no system space,
// gains no privileges and reads nothing private; what it built launches nowhere else.
type Builder struct {
	// ID by which events name this rule; otherwise `builder:` and the program, unit or user.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Output are the only directories whose new files it launches; without any, all of user space.
	Output []string `yaml:"output" policy:"form=place"`
	// Why it builds on this host.
	Why string `yaml:"why" policy:"required"`
}

// Trusted is one file whose content is known. It loses its trust when it changes, and
// contained processes do not change it.
type Trusted struct {
	// ID by which events name this rule; otherwise `trusted:` and the file.
	ID string `yaml:"id" policy:"form=id"`
	// File that may launch, or be opened by an interpreter.
	File string `yaml:"file" policy:"required,form=path"`
	// SHA256 of its content, in hexadecimal.
	SHA256 string `yaml:"sha256" policy:"required,form=sha256"`
	// To are those who may launch it; nobody else does.
	To []Who `yaml:"to" policy:"required"`
	// Why it does not lie in system space.
	Why string `yaml:"why" policy:"required"`
}

// Utilities are refused to contained processes.
type Utilities struct {
	// Refuse are the utilities in groups that have one reason.
	Refuse []Utility `yaml:"refuse"`
	// Allow lets single services run some of them.
	Allow []UtilityAllowance `yaml:"allow"`
}

// Utility is one group of utilities, for which one reason is true. A category may have
// several groups, each with an id of its own.
type Utility struct {
	// ID by which events name this rule; otherwise `utility:` and the category.
	ID string `yaml:"id" policy:"form=id"`
	// Category they belong to; allowances may name it.
	Category string `yaml:"category" policy:"required,form=word"`
	// Technique is the ATT&CK technique they serve.
	Technique string `yaml:"technique" policy:"form=technique"`
	// Names of the programs, looked up in `programs`; a name also means the same name followed by a version.
	Names []string `yaml:"names" policy:"required,form=filename"`
	// Why an attacker wants them.
	Why string `yaml:"why"`
}

// UtilityAllowance lets services run utilities.
type UtilityAllowance struct {
	// ID by which events name this rule; required, because an allowance has no other name.
	ID string `yaml:"id" policy:"required,form=id"`
	// To are the services.
	To []Who `yaml:"to" policy:"required"`
	// Names of utilities or interpreters.
	Names []string `yaml:"names" policy:"form=filename"`
	// Categories of utilities.
	Categories []string `yaml:"categories" policy:"form=word"`
	// Why they need them.
	Why string `yaml:"why" policy:"required"`
}

// Kernel are surfaces of the kernel.
type Kernel struct {
	// Refuse are the surfaces refused to contained processes.
	Refuse []KernelSurface `yaml:"refuse"`
	// Allow lets single services have some of them.
	Allow []KernelAllowance `yaml:"allow"`
}

// KernelSurface is one surface.
type KernelSurface struct {
	// ID by which events name this rule; otherwise `kernel:` and the surface.
	ID string `yaml:"id" policy:"form=id"`
	// Surface that is refused.
	Surface Surface `yaml:"surface" policy:"required"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// KernelAllowance lets services use surfaces.
type KernelAllowance struct {
	// ID by which events name this rule; required, because an allowance has no other name.
	ID string `yaml:"id" policy:"required,form=id"`
	// To are the services.
	To []Who `yaml:"to" policy:"required"`
	// Surfaces they may use.
	Surfaces []Surface `yaml:"surfaces" policy:"required"`
	// Why they need them.
	Why string `yaml:"why" policy:"required"`
}

// Deputies are sockets behind which somebody with more rights acts on request.
type Deputies struct {
	// Refuse are the sockets contained processes do not connect to.
	Refuse []Deputy `yaml:"refuse"`
	// Allow lets single services connect to some of them.
	Allow []DeputyAllowance `yaml:"allow"`
}

// Deputy is one daemon.
type Deputy struct {
	// ID by which events name this rule; otherwise `deputy:` and the name.
	ID string `yaml:"id" policy:"form=id"`
	// Name of the daemon.
	Name string `yaml:"name" policy:"required,form=word"`
	// Sockets are its unix sockets; a directory means every socket below it.
	Sockets []string `yaml:"sockets" policy:"form=path"`
	// Abstract are its abstract unix sockets, without the leading zero byte.
	Abstract []string `yaml:"abstract"`
	// Ports are its TCP ports on this host's own addresses.
	Ports []int `yaml:"ports" policy:"form=port"`
	// Why, for whoever reads the policy or an event.
	Why string `yaml:"why"`
}

// DeputyAllowance lets services connect to deputies.
type DeputyAllowance struct {
	// ID by which events name this rule; required, because an allowance has no other name.
	ID string `yaml:"id" policy:"required,form=id"`
	// To are the services.
	To []Who `yaml:"to" policy:"required"`
	// Names of deputies.
	Names []string `yaml:"names" policy:"required,form=word"`
	// Why they need them.
	Why string `yaml:"why" policy:"required"`
}

// WX holds one service to memory that is either writable or executable.
type WX struct {
	// ID by which events name this rule; otherwise `wx:` and the program or unit.
	ID string `yaml:"id" policy:"form=id"`
	Who
	// Why it needs no code of its own making.
	Why string `yaml:"why"`
}

// Self is how the guard defends itself. Its own files are out of everybody's reach in
// any policy; only how it may be relaxed is a choice.
type Self struct {
	// Token on: relaxing the policy or stopping the agent takes a signed token beside an administrator's session. As long as no key is named an administrator's session alone does, and the status says so.
	Token Switch `yaml:"token"`
	// Keys are whose tokens are taken.
	Keys []TokenKey `yaml:"keys"`
	// Confirm is how long a new policy or mode stays in force unconfirmed when it was applied with --confirm and no time.
	Confirm Duration `yaml:"confirm" policy:"form=duration"`
	// LongestGrant is the longest time a grant may be given for.
	LongestGrant Duration `yaml:"longest_grant" policy:"form=duration"`
}

// TokenKey is a public key. Whoever has the private one may sign tokens for this host.
type TokenKey struct {
	// ID by which events name this rule; otherwise `key:` and the name.
	ID string `yaml:"id" policy:"form=id"`
	// Name of the key: whose it is, and since when.
	Name string `yaml:"name" policy:"required,form=word"`
	// Key as `kannuki token key` prints it.
	Key string `yaml:"key" policy:"required,form=token-key"`
	// Why its holder decides over this host.
	Why string `yaml:"why"`
}

// Grant is an exception: lineage, target and expiry. Children that still run when it
// ends are contained again.
type Grant struct {
	// ID by which events and people name this grant.
	ID string `yaml:"id" policy:"required,form=id"`
	// To is the one lineage it is for; a role is too wide.
	To Who `yaml:"to" policy:"required"`
	// Launch are files or directories of user space it may launch from.
	Launch []string `yaml:"launch" policy:"form=place"`
	// Write are files or directories it may change.
	Write []string `yaml:"write" policy:"form=place"`
	// Read are private files or directories it may read.
	Read []string `yaml:"read" policy:"form=place"`
	// Utilities it may run although it is contained.
	Utilities []string `yaml:"utilities" policy:"form=filename"`
	// Surfaces of the kernel it may use.
	Surfaces []Surface `yaml:"surfaces"`
	// Process lets it trace other processes and read their memory: a debugger.
	Process bool `yaml:"process"`
	// Expires is when it ends, as 2026-12-01T06:00:00Z. A grant that has ended does nothing.
	Expires time.Time `yaml:"expires" policy:"required"`
	// Reason for it.
	Reason string `yaml:"reason" policy:"required"`
	// Owner who answers for it.
	Owner string `yaml:"owner" policy:"required"`
}
