package triage

// Codes of matching: why a package version is vulnerable, or could not be judged.
const (
	CodeMatchRange    = "match.range"      // record, package, version, interval, method
	CodeMatchUrgency  = "match.urgency"    // the distribution's own word: source, word
	CodeMatchStatus   = "match.status"     // the distribution's plan: source, status
	CodeMatchNoFix    = "match.no-fix"     // no fixed version is known: source package
	CodeMatchMissing  = "match.kb-missing" // record, product, build, updates
	CodeMatchCPE      = "match.cpe"        // NVD range, no distribution record: record, cpe, version, interval
	CodeMatchBroken   = "match.broken"     // a record that could not be evaluated: record, error
	CodeParts         = "match.parts"      // only headers or tools of the kernel are installed
	CodeReboot        = "match.reboot"     // running version, installed version
	CodeRestart       = "match.restart"    // process, version it runs, installed version
	CodeSkipKernel    = "skip.kernel"      // running release
	CodeSkipSystem    = "skip.system"      // system
	CodeSkipFeed      = "skip.feed"        // ecosystem
	CodeSkipEnded     = "skip.ended"       // system, last day of support
	CodeSkipUnread    = "skip.unread"      // what, why; where there is one why's code (host.FaultCodes), and its arguments
	CodeSkipReplaced  = "skip.replaced"    // process, file, package
	CodeSkipProduct   = "skip.product"     // product
	CodeSkipComponent = "skip.component"   // component
)

// Codes of types, exploitation and exposure.
const (
	CodeType             = "type.given"           // type, source, confidence, why
	CodeTypeNone         = "type.none"            // no type known
	CodeExploitKEV       = "exploitation.kev"     // day it entered the catalogue
	CodeExploitSSVC      = "exploitation.ssvc"    // source, level
	CodeExploitPublic    = "exploitation.public"  // address
	CodeExploitUnknown   = "exploitation.unknown" //
	CodeExposureUnknown  = "exposure.unknown"     //
	CodeExposureListens  = "exposure.listens"     // process, address, level
	CodeExposureLoopback = "exposure.loopback"    // process, address
	CodeExposureRuns     = "exposure.runs"        // process
	CodeExposureIdle     = "exposure.idle"        //
	CodeExposureSilent   = "exposure.silent"      // of the kernel: nothing on the host listens
	CodeExposureLocal    = "exposure.local"       // a kernel bug that only local users reach
)
