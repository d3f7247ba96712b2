package triage

// Codes of reasons, one per line with its meaning and the order of its arguments.
// A code is stored and printed in JSON: it never changes its meaning. Every code has
// an English template in ReasonCodes, and in the catalogue one for each language.

// Codes of decisions.
const (
	CodeDecisionRow     = "decision.row"           // the row that decided: table, row, action
	CodeInputUnknown    = "decision.input-unknown" // an input is unknown: input, value taken
	CodeInputWord       = "decision.input-word"    // an input is no word of the table: input, word, value taken
	CodeMoved           = "decision.moved"         // coverage moved the decision: from, to, effect
	CodeKeptClock       = "decision.kept-clock"    // exploited, exposed, total: coverage moves nothing: effect
	CodeFloor           = "decision.floor"         // exploited and not covered: raised: from, to
	CodeMoveUntyped     = "decision.untyped"       // no type known, so nothing counts as covered
	CodeProtectionStale = "decision.stale"         // protection not confirmed: last report, interval
)

// Codes of coverage: why there is none at all.
const (
	CodeNoGuard          = "coverage.no-guard"          // no guard on this host
	CodeNotEnforcing     = "coverage.not-enforcing"     // the guard only observes
	CodeUntyped          = "coverage.untyped"           // no type known
	CodeNotContained     = "coverage.not-contained"     // runs under nobody's containment: component
	CodeNothingContained = "coverage.nothing-contained" // nothing here runs contained, so a local attacker is a logged-in user
	CodeInferred         = "coverage.inferred"          // all types are guesses: one step weaker: from, to
	CodePartlyContained  = "coverage.partly-contained"  // some of what runs it is not contained: units, "unit: program"
)

// Codes of coverage: the case of the baseline table. All have: types, effect.
const (
	CodeExec            = "coverage.exec"              // code execution in a contained service
	CodeMemory          = "coverage.memory"            // memory errors in a contained service
	CodeOverRead        = "coverage.over-read"         // memory errors that only disclose
	CodePrivSetuid      = "coverage.priv-setuid"       // needs a setuid program or the loader
	CodePrivDeputy      = "coverage.priv-deputy"       // needs a request to a refused daemon
	CodePrivDaemon      = "coverage.priv-daemon"       // local gain of privileges in a contained service
	CodePrivApplication = "coverage.priv-application"  // privileges the service itself hands out
	CodeInfoFiles       = "coverage.info-files"        // files are disclosed
	CodeInfoProcess     = "coverage.info-process"      // other processes' memory is disclosed
	CodeInfoInside      = "coverage.info-inside"       // the process discloses what it holds
	CodeBypassOS        = "coverage.bypass-os"         // a protection of the operating system is skipped
	CodeBypassApp       = "coverage.bypass-app"        // the service's own authentication is skipped
	CodeTraversalWrite  = "coverage.traversal-write"   // files elsewhere are written
	CodeTraversalRead   = "coverage.traversal-read"    // files elsewhere are read
	CodeInclusion       = "coverage.inclusion"         // an outside file is loaded as code
	CodeSQLi            = "coverage.sqli"              // data are read and changed by query
	CodeSQLiExec        = "coverage.sqli-exec"         // as sqli, and code may run through the database
	CodeBrowser         = "coverage.browser"           // the victim is a browser
	CodeDoS             = "coverage.dos"               // the service stops
	CodeKernelNetwork   = "coverage.kernel-network"    // the kernel is attacked from the network
	CodeKernelSurface   = "coverage.kernel-surface"    // needs a kernel surface: types, effect, surfaces, where that is written
	CodeKernelLocal     = "coverage.kernel-local"      // the kernel is attacked locally, no refused surface known to be needed
	CodeKernelPageCache = "coverage.kernel-page-cache" // writes files through the page cache
	CodeKernelOther     = "coverage.kernel-other"      // the kernel discloses or skips something
)

// Codes of coverage: what stands behind an effect.
const (
	CodeControl        = "coverage.control"         // a proven control: control, time of the drill, steps
	CodeUnproven       = "coverage.unproven"        // one step weaker: controls without proof, from, to
	CodeMissing        = "coverage.missing"         // not enforced: controls, the effect they would bring
	CodeGap            = "coverage.gap"             // a control cannot do something here: control, gap
	CodeSurfaceAllowed = "coverage.surface-allowed" // a surface that is needed is allowed to some who run contained: surface, lineages
	CodeInsideExec     = "coverage.inside-exec"     // other types give no more than code in the process: types
	CodeWX             = "coverage.w-xor-x"         // writable memory may not become code: component
)

// Codes of a protection that has become weaker: why findings return.
const (
	CodeReturnControl   = "return.control"   // refuses no more: control
	CodeReturnProof     = "return.proof"     // no drill stands behind it any more: control
	CodeReturnContained = "return.contained" // no longer contained: services and packages
	CodeReturnSurface   = "return.surface"   // no longer refused: surfaces
)

// Codes of limits, printed wherever coverage is, and of advice.
const (
	CodeLimitDaemons   = "limit.other-daemons" // requests to other daemons leave the process tree
	CodeLimitPageCache = "limit.page-cache"    // page-cache bugs write without a hook
	CodeLimitOwnData   = "limit.own-data"      // in-process payload and own data remain
	CodeLimitLoggedIn  = "limit.logged-in"     // a logged-in user is not contained
	CodeGateway        = "advice.gateway"      // stop denial of service at the network gateway
)

// ReasonCodes maps every code to its English template; {0}, {1} … are its arguments.
var ReasonCodes = map[string]string{
	CodeDecisionRow:     "{0}: {1} → {2}",
	CodeInputUnknown:    "{0} is unknown; taken as {1}",
	CodeInputWord:       "{0} is given as {1}, which the table does not know; taken as {2}",
	CodeMoved:           "the guard moves it from {0} to {1} ({2})",
	CodeKeptClock:       "known exploited, exposed and of total impact: the clock stands whatever the guard does ({0})",
	CodeFloor:           "actively exploited and not covered: raised from {0} to {1}",
	CodeMoveUntyped:     "no type is known, so nothing counts as covered",
	CodeProtectionStale: "the protection was last confirmed {0}, more than {1} ago: decided as without the guard",

	CodeNoGuard:          "no guard on this host",
	CodeNotEnforcing:     "the guard here only observes",
	CodeUntyped:          "no type is known, so nothing counts as covered",
	CodeNotContained:     "{0} runs under nobody's containment",
	CodeNothingContained: "nothing on this host runs contained, so a local attacker is a logged-in user",
	CodeInferred:         "every type is a guess of low confidence, so {0} counts as {1}",
	CodePartlyContained:  "not everything that runs it is contained: {0}",

	CodeExec:            "{0} in a contained service ({1}): binaries, scripts, shells and persistence are refused, children stay contained",
	CodeMemory:          "{0} in a contained service ({1}): what the attacker's code would do next is refused",
	CodeOverRead:        "{0} that only discloses the process's own memory ({1})",
	CodePrivSetuid:      "{0} through a setuid program or the loader ({1}): a contained process runs no setuid program and loads no library from user space",
	CodePrivDeputy:      "{0} through a request to a system daemon ({1}): contained processes may not talk to it",
	CodePrivDaemon:      "{0} by a local user in a contained service ({1})",
	CodePrivApplication: "{0} inside the service's own rights ({1}): the guard does not know the service's users",
	CodeInfoFiles:       "{0} from files ({1}): private paths are refused, what the service reads anyway is not",
	CodeInfoProcess:     "{0} from other processes' memory ({1})",
	CodeInfoInside:      "{0} from what the process itself holds ({1})",
	CodeBypassOS:        "{0} of a protection of the operating system ({1}): what follows is refused",
	CodeBypassApp:       "{0} of the service's own authentication ({1})",
	CodeTraversalWrite:  "{0} that writes ({1}): system space and persistence places are refused",
	CodeTraversalRead:   "{0} that reads ({1}): private paths are refused, what the service reads anyway is not",
	CodeInclusion:       "{0} ({1}): interpreters open no script from user space",
	CodeSQLi:            "{0} ({1}): the service's own data are reached by a permitted query",
	CodeSQLiExec:        "{0} ({1}): code run through the database would be held, the service's own data are not",
	CodeBrowser:         "{0} ({1}): the victim is the visitor's browser",
	CodeDoS:             "{0} ({1}): stopping a service is nothing the guard refuses",
	CodeKernelNetwork:   "{0} in the kernel, from the network ({1}): the guard's hooks live in the attacked kernel",
	CodeKernelSurface:   "{0} in the kernel ({1}): the way there needs {2} – {3}",
	CodeKernelLocal:     "{0} in the kernel, locally ({1}): no refused surface is known to be needed",
	CodeKernelPageCache: "{0} in the kernel ({1}): it writes files through the page cache, past every hook",
	CodeKernelOther:     "{0} in the kernel ({1})",

	CodeControl:        "{0} refuses; proven by a drill at {1} ({2} steps)",
	CodeUnproven:       "unproven: no drill in force stands behind {0}, so {1} counts as {2}",
	CodeMissing:        "not enforced here: {0}; with it: {1}",
	CodeGap:            "{0} has a gap here: {1}",
	CodeSurfaceAllowed: "the policy allows {0} to what runs contained here: {1}",
	CodeInsideExec:     "{0} give an attacker no more than code in the process would",
	CodeWX:             "{0} may not make writable memory executable",

	CodeReturnControl:   "{0} refuses no more",
	CodeReturnProof:     "no drill in force stands behind {0} any more",
	CodeReturnContained: "no longer contained: {0}",
	CodeReturnSurface:   "no longer refused: {0}",

	CodeLimitDaemons:   "requests to other daemons (D-Bus, container sockets, cron spools) leave the process tree",
	CodeLimitPageCache: "bugs in the page cache write files without a hook",
	CodeLimitOwnData:   "code inside the process and the service's own data remain in reach",
	CodeLimitLoggedIn:  "it holds for an attacker who comes through a contained process, not for a logged-in user",
	CodeGateway:        "denial of service: limit it at the network gateway",

	CodeMatchRange:    "{0} names {1}: {2} is in {3} ({4} version)",
	CodeMatchUrgency:  "{0} rates it {1}",
	CodeMatchStatus:   "{0} says: {1}",
	CodeMatchNoFix:    "no fixed version of {0} is known yet",
	CodeMatchMissing:  "{0} lists {1}; build {2} has none of its updates ({3})",
	CodeMatchCPE:      "{0} names {1} by CPE: {2} is in {3}; no distribution record covers it",
	CodeMatchBroken:   "{0} could not be evaluated: {1}",
	CodeParts:         "only headers or tools of this kernel are installed: none of its code runs",
	CodeReboot:        "reboot needed: {0} runs, {1} is installed",
	CodeRestart:       "restart needed: {0} still runs {1}, {2} is installed",
	CodeSkipKernel:    "the running kernel {0} belongs to no installed package: its vulnerabilities are unknown",
	CodeSkipSystem:    "no feed we know covers {0}",
	CodeSkipFeed:      "no records of {0} are loaded: run kannuki feed sync or kannuki feed import",
	CodeSkipEnded:     "{0} has had no free security support since {1}: new vulnerabilities get no fix and often no record",
	CodeSkipUnread:    "{0} could not be read: {1}",
	CodeSkipReplaced:  "{0} still runs a replaced {1} of {2}: which version is unknown; restart it",
	CodeSkipProduct:   "no vendor list names {0}: load the MSRC feed",
	CodeSkipComponent: "{0} belongs to no distribution and has no CPE: nothing to match it by",

	CodeType:             "type {0} from {1} ({2} confidence): {3}",
	CodeTypeNone:         "no type is known",
	CodeExploitKEV:       "known exploited (CISA KEV since {0})",
	CodeExploitSSVC:      "{0} says exploitation is {1}",
	CodeExploitPublic:    "a public exploit is linked: {0}",
	CodeExploitUnknown:   "nobody has said whether it is exploited; taken as none",
	CodeExposureUnknown:  "what runs and listens here is unknown; taken as open",
	CodeExposureListens:  "{0} listens on {1}: {2}",
	CodeExposureLoopback: "{0} listens on {1} only: small",
	CodeExposureRuns:     "{0} runs it and does not listen: small",
	CodeExposureIdle:     "nothing that runs uses it: small",
	CodeExposureSilent:   "nothing on this host listens: small",
	CodeExposureLocal:    "reached only by code that already runs on the host: small",
}
