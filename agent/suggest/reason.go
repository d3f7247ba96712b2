package suggest

// reason is why a line is risky, or why there is none: a code for programs and the
// catalogues, and the sentence.
type reason struct{ code, why, wayOut string }

// Of lines to add.
var (
	reasonContainedLaunch = reason{"contained-launch", "a contained service launches from here, and could have put it here itself: look at the files first. From then on no contained process changes the place, and whoever else may write there can make it launch", ""}
	reasonOwnLibraries    = reason{"own-libraries", "the service maps libraries it unpacked itself: whoever takes the service over can bring his own", ""}
	reasonBuilds          = reason{"builds", "whoever can start this lineage runs programs of his own; it reads nothing private and changes no system space", ""}
	reasonHome            = reason{"home", "whoever can write to this home makes it launch for that lineage; the grant ends by itself", ""}
	reasonDeployed        = reason{"deployed", "everything in the place may launch, for everybody: it has to be one that only deployers write to. Contained processes cannot from then on", ""}
	reasonHomes           = reason{"homes", "the service changes files of people", ""}
	reasonData            = reason{"data", "the service changes what seems to be its own data; nothing launches from there, and other services lose their way in", ""}
	reasonConfig          = reason{"config", "the service rewrites its own configuration: whoever takes it over decides how it starts next time", ""}
	reasonUploads         = reason{"uploads", "the place may change and no longer launches: code in it would stop to run", ""}
	reasonDeployer        = reason{"deployer", "sealed space is written by this lineage from then on, and what it writes launches", ""}
	reasonMildUtility     = reason{"mild-utility", "the program only tells or packs; the helper stays contained", ""}
	reasonUtility         = reason{"utility", "an attacker inside the service gets this program as well; the helper stays contained", ""}
	reasonSetuid          = reason{"setuid", "the program runs with its owner's rights: a fault in it is a way out of the service", ""}
	reasonKey             = reason{"key", "the service reads a secret that others of its kind read too: a stolen key outlives the break-in", ""}
	reasonSecret          = reason{"secret", "the service reads a secret no service reads by default", ""}
)

// Of what looks like an attack.
var (
	reasonGuard           = reason{"guard", "somebody reached for the guard itself", "find out who it was"}
	reasonContainedShared = reason{"contained-launch-shared", "a contained process launched what lies where everybody writes: this is how a break-in goes on", "install the program as a package or below /usr/local; give a library a directory of its own"}
	reasonContainedUpload = reason{"contained-launch-upload", "a contained process launched what lies where visitors' files lie", "move the code out of there"}
	reasonContainedHome   = reason{"contained-launch-home", "a contained process launched a file from a home directory", "install the program as a package or below /usr/local"}
	reasonContainedWrote  = reason{"contained-launch-written", "programs launch from a directory a contained process changes: whoever takes the process over launches what he likes", "keep code and data apart: deploy the code to a directory the service does not write to"}
	reasonPersistence     = reason{"persistence", "a contained process changed a place something starts from later", "do this from an administrator's session or a unit that does not face the network"}
	reasonOthersData      = reason{"others-data", "a contained process changed data that belongs to others", "name the service as an owner of that rule by hand, if the data is its own"}
	reasonContainedSealed = reason{"contained-system", "a contained process changed programs or libraries", "let an updater or a deployer that does not face the network do it"}
	reasonCode            = reason{"web-code", "a contained service wrote code where its code lies: a web shell is put there the same way, and so is an application's update of itself", "update it as an administrator, or let a unit of its own do it"}
	reasonExit            = reason{"exit", "the program changes accounts, rights, schedules, packages, the kernel or the guard: nothing a service does for visitors", "let a unit that does not face the network do it"}
	reasonRiser           = reason{"riser", "the program gives its caller somebody else's rights", "let a unit that does not face the network do it"}
	reasonMakeSetuid      = reason{"make-setuid", "a contained process gave a file its owner's rights: this keeps a way back to root", "find out what in the service did it; let a package set the mode"}
	reasonOnce            = reason{"once", "it came in one go, as somebody trying would: fewer than three times, or on a single day", "observe for longer: what is work comes back"}
	reasonTreasure        = reason{"treasure", "a contained process read passwords, keys to other hosts or somebody's history", "find out what in the service did it"}
)

// Of what no line would be right for.
var (
	reasonNoPath         = reason{"no-path", "it is about no file, so nothing can be asked of the policy", "name it by hand, under kernel.allow, deputies.allow or a grant, if it is work"}
	reasonCutPath        = reason{"cut-path", "the path was not told whole", "find the file by its end and name its directory by hand"}
	reasonAlready        = reason{"already", "the policy as it is now allows it", ""}
	reasonShell          = reason{"shell", "the service may start a shell, but only to start the helpers it has edges to; this one did something else", "name the edge to what the shell started, if that is work"}
	reasonNobody         = reason{"nobody", "who it was is not known well enough to name: no service, no named account, and a program everybody runs", "start it from a unit of its own, or run it under a grant (kannuki-agent grant --for 15m -- …)"}
	reasonNoWords        = reason{"no-words", "no line of the policy language would let just this pass", "run it under a grant (kannuki-agent grant --for 15m -- …)"}
	reasonName           = reason{"name", "its name has a pattern or a line end in it, which a policy cannot write", "rename it, or run it under a grant (kannuki-agent grant --for 15m -- …)"}
	reasonUpdaterScratch = reason{"updater-scratch", "an updater launched from where it unpacks nothing", "name the directory as scratch of that updater by hand, if it is its own"}
	reasonShared         = reason{"shared", "it lies where everybody may write: a line for such a place would be for everybody's files", "move it below /usr/local, or run it under a grant (kannuki-agent grant --for 15m -- …)"}
	reasonUploadsLaunch  = reason{"uploads-launch", "it lies where visitors' files lie: a line for it would let those launch", "move the code out of there"}
	reasonBesideCode     = reason{"beside-code", "the service writes beside its code: opening that directory would stop the code from running", "let it write to a directory of its own, such as uploads or cache"}
	reasonCore           = reason{"core", "the place is what the host runs from, or starts from later", "use the package manager, or a grant (kannuki-agent grant --for 15m -- …)"}
	reasonByHand         = reason{"by-hand", "a session changed sealed space, and which account it was is not known", "use a grant (kannuki-agent grant --for 15m -- …)"}
)
