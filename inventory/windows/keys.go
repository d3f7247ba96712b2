package windows

import "strings"

// key is a fact we know by several names.
type key int

const (
	keyNone key = iota
	keyHost
	keyProduct
	keyVersion
	keyPack
	keySystem
	keyCore
	keyHotfixes
	keyHotfixID
	keyHotfixList
	keyBuild
	keyUBR
	keyUserCode
	keyKernelCode
	keyServices
	keyRealtime
	keyRuleIDs
	keyRuleModes
	keyFolders
	keyExclusions
)

// keys are the labels of systeminfo in English and Japanese, and the property names of
// PowerShell and the registry, which are the same in every language.
var keys = map[string]key{
	"host name": keyHost, "ホスト名": keyHost, "csname": keyHost, "pscomputername": keyHost, "csdnshostname": keyHost,
	"os name": keyProduct, "os 名": keyProduct, "osname": keyProduct, "productname": keyProduct, "windowsproductname": keyProduct,
	"os version": keyVersion, "os バージョン": keyVersion, "osversion": keyVersion,
	"oscsdversion": keyPack,
	"system type":  keySystem, "システムの種類": keySystem, "cssystemtype": keySystem,
	"installationtype": keyCore, "windowsinstallationtype": keyCore, "osserverlevel": keyCore,
	"hotfix(s)": keyHotfixes, "ホットフィックス": keyHotfixes,
	"hotfixid": keyHotfixID, "oshotfixes": keyHotfixList,
	"currentbuild": keyBuild, "currentbuildnumber": keyBuild, "osbuildnumber": keyBuild, "ubr": keyUBR, "windowsubr": keyUBR,

	// Win32_DeviceGuard, and the same in Get-ComputerInfo.
	"usermodecodeintegritypolicyenforcementstatus": keyUserCode, "deviceguardusermodecodeintegritypolicyenforcementstatus": keyUserCode,
	"codeintegritypolicyenforcementstatus": keyKernelCode, "deviceguardcodeintegritypolicyenforcementstatus": keyKernelCode,
	"securityservicesrunning": keyServices, "deviceguardsecurityservicesrunning": keyServices,

	// Get-MpPreference.
	"disablerealtimemonitoring":           keyRealtime,
	"attacksurfacereductionrules_ids":     keyRuleIDs,
	"attacksurfacereductionrules_actions": keyRuleModes,
	"enablecontrolledfolderaccess":        keyFolders,
	"exclusionpath":                       keyExclusions,
}

// names are the labels in the writing of whoever prints them, for messages.
var names = map[key]string{
	keyHotfixList: "OsHotFixes", keyServices: "SecurityServicesRunning",
	keyRuleIDs: "AttackSurfaceReductionRules_Ids", keyRuleModes: "AttackSurfaceReductionRules_Actions",
}

func keyOf(label string) key {
	return keys[strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(label), `"`)))]
}
