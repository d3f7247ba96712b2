package policyexport

// Codes of gaps, one per line with its meaning and the order of its arguments. A code
// is printed in JSON: it never changes its meaning.
const (
	GapRelease       = "export.release"       // what the release of Windows has to be
	GapModes         = "export.modes"         // a control's mode differs from the whole's: control, its mode, the whole's
	GapObserved      = "export.observed"      // left out, because its control only observes: control
	GapSigned        = "export.signed"        // Windows' own programs launch from anywhere
	GapAccounts      = "export.accounts"      // service accounts count as administrators: folders refused by name
	GapBlockList     = "export.block-list"    // weak versions of allowed programs
	GapUnchecked     = "export.unchecked"     // path rules hold where anybody may write
	GapPlaces        = "export.places"        // places no folder stands for
	GapFiles         = "export.files"         // single files in system space
	GapSeals         = "export.seals"         // who changes a place
	GapWriters       = "export.writers"       // writers who are no administrators
	GapCarved        = "export.carved"        // user space by names of directories
	GapPrivate       = "export.private"       // reading
	GapPersistence   = "export.persistence"   // changing what starts by itself
	GapData          = "export.data"          // changing others' data
	GapContainment   = "export.containment"   // who asks plays no part
	GapPrograms      = "export.programs"      // utilities are known by the name inside the file
	GapInterpreters  = "export.interpreters"  // interpreters that do not ask: languages
	GapCaches        = "export.caches"        // code a service compiled itself
	GapUpdaters      = "export.updaters"      // who changes system space
	GapBuilders      = "export.builders"      // launching one's own output
	GapTrusted       = "export.trusted"       // files by digest
	GapEverybody     = "export.everybody"     // a refusal for contained processes becomes one for everybody
	GapAdministering = "export.administering" // programs of Windows left out because administrators need them: names
	GapUtilities     = "export.utilities"     // groups no program of Windows stands for
	GapAllowances    = "export.allowances"    // exceptions for single services
	GapDrivers       = "export.drivers"       // modules become drivers, for everybody
	GapSurfaces      = "export.surfaces"      // surfaces of Linux
	GapDeputies      = "export.deputies"      // requests to daemons
	GapWX            = "export.wx"            // writable memory made executable
	GapGrants        = "export.grants"        // exceptions with an end
	GapSelf          = "export.self"          // who may take the policy away
	GapPatterns      = "export.patterns"      // attack surface reduction knows patterns, not places
	GapAntivirus     = "export.antivirus"     // what the rules depend on
	GapTamper        = "export.tamper"        // who may take the rules away
	GapCloud         = "export.cloud"         // a rule that asks the cloud: rules
	GapExchange      = "export.exchange"      // a rule that works on Exchange only
	GapLeftOut       = "export.left-out"      // reduction rules nothing in the policy asks for: names
	GapPart          = "export.part"          // a rule covers a part of what is asked: rule
	GapFolders       = "export.folders"       // controlled folders trust programs by reputation
)

// GapCodes maps every code to its English template; {0}, {1} … are its arguments.
var GapCodes = map[string]string{
	GapRelease:       "path rules and this form of policy hold on Windows Server 2022 and later; Windows Server 2019 and 2016 do not know them",
	GapModes:         "an App Control policy has one mode: {0} is {1} in the policy, the whole is {2}",
	GapObserved:      "left out: the policy only observes {0}, and the whole refuses",
	GapSigned:        "programs that are signed as part of Windows launch from anywhere: without them the server does not start",
	GapAccounts:      "App Control counts LOCAL SERVICE and NETWORK SERVICE among the administrators: folders inside Windows that they may write are refused by name; look for more of them with icacls",
	GapBlockList:     "old versions of allowed programs that can be made to run anything are not listed here: merge Microsoft's recommended block rules, which are kept up to date",
	GapUnchecked:     "path rules hold without the check who may write there: whoever can write into an allowed folder launches from it",
	GapPlaces:        "no folder that every Windows server has stands for these places, and nothing launches there; where this server has one, export again with the option place (PLACE=FOLDER)",
	GapFiles:         "single files with a seal of their own: permissions of files decide who changes them",
	GapSeals:         "who may change a place is left to its permissions: App Control refuses launches, not changes",
	GapWriters:       "programs in a place that its writers may change do not launch when these are no administrators; if they have to, allow the place in a supplemental policy with the option Disabled:Runtime FilePath Rule Protection",
	GapCarved:        "folders known by their name at any depth: path rules of Windows Server have one wildcard; the check who may write there refuses them where the service may",
	GapPrivate:       "nobody is kept from reading: use permissions and separate accounts",
	GapPersistence:   "changes to what starts by itself are not refused (services, scheduled tasks, Run keys, WMI): what is started has to be allowed to launch",
	GapData:          "nobody is kept from changing others' data: use permissions, or controlled folder access (target asr, option place)",
	GapContainment:   "Windows decides by the file, not by who starts it: it contains no process, so there is nothing to exempt and no step to allow",
	GapPrograms:      "utilities are known by the name built into the file, wherever it lies: folders of programs play no part",
	GapInterpreters:  "PowerShell, Windows Script Host and MSHTA ask App Control about scripts; batch files and scripts of {0} run from anywhere once their interpreter is allowed",
	GapCaches:        "code that a service compiles itself cannot be allowed to that service alone: ASP.NET and others that compile at run time need a supplemental policy",
	GapUpdaters:      "who may change system space is left to permissions: installers run as administrators",
	GapBuilders:      "what somebody has just built launches for nobody",
	GapTrusted:       "App Control compares a hash of its own for programs (Authenticode), not the SHA-256 of the file, and knows no \"to whom\": make these rules with New-CIPolicyRule -Level Hash",
	GapEverybody:     "the policy refuses these to contained processes; Windows refuses them to everybody",
	GapAdministering: "administrators cannot do without these, so they are allowed to everybody: {0}",
	GapUtilities:     "no program of Windows stands for these that a server can do without",
	GapAllowances:    "an exception for single services cannot be expressed: what is refused is refused to all",
	GapDrivers:       "drivers have to be signed as part of Windows or by its hardware laboratory, whoever loads them; an attacker's own copy of a weak signed driver still loads: turn on memory integrity, which has Microsoft's list of them",
	GapSurfaces:      "surfaces of the Linux kernel: Windows has no such refusal for services",
	GapDeputies:      "requests to services with more rights (RPC, COM, named pipes, WMI) are not refused",
	GapWX:            "memory of a service that is writable and executable: use the exploit protection of Windows (Set-ProcessMitigation, arbitrary code guard)",
	GapGrants:        "an exception with an end cannot be expressed: take a supplemental policy away when it is over",
	GapSelf:          "an administrator can take an unsigned policy away: sign it to make that impossible",
	GapPatterns:      "attack surface reduction refuses known patterns of attack, not launches by place, reads or changes: use it beside App Control",
	GapAntivirus:     "the rules work only while Microsoft Defender Antivirus is the active antivirus with real-time protection; on Windows Server 2016 and 2012 R2 they need the unified Defender for Endpoint package",
	GapTamper:        "an administrator can take the rules away, unless tamper protection holds them",
	GapCloud:         "these need cloud-delivered protection: {0}",
	GapExchange:      "refused only on servers with the Exchange role",
	GapLeftOut:       "rules that nothing in the policy asks for are left as they are: {0}",
	GapPart:          "one part is refused, by the rule \"{0}\"; the rest is not",
	GapFolders:       "controlled folder access lets programs that Microsoft trusts change the folders, an attacked service among them; it knows no owners",
}
