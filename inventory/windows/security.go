package windows

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// states are how Win32_DeviceGuard (numbers) and Get-ComputerInfo (words) say what a
// code integrity policy does.
var states = map[string]string{
	"0": host.Off, "1": host.Observe, "2": host.Enforce,
	"off": host.Off, "auditmode": host.Observe, "enforcementmode": host.Enforce,
}

// services are the services of virtualization-based security, by number and by
// Get-ComputerInfo's words; 0 says that there are none.
var services = map[string]string{
	"1": "credential-guard", "credentialguard": "credential-guard",
	"2": "memory-integrity", "hypervisorenforcedcodeintegrity": "memory-integrity",
	"3": "secure-launch", "4": "smm-measurement", "0": "",
}

// ruleStates are the actions of an attack surface reduction rule; 5 is "not configured".
var ruleStates = map[string]string{
	"0": host.Off, "1": host.Enforce, "2": host.Observe, "5": host.Off, "6": "warn",
	"disabled": host.Off, "notconfigured": host.Off, "enabled": host.Enforce, "auditmode": host.Observe, "warn": "warn",
}

// folderStates are the values of EnableControlledFolderAccess; 3 and 4 concern raw
// disks only, which is not what the word promises.
var folderStates = map[string]string{
	"0": host.Off, "1": host.Enforce, "2": host.Observe, "3": host.Off, "4": host.Off,
	"disabled": host.Off, "enabled": host.Enforce, "auditmode": host.Observe, "blockdiskmodificationonly": host.Off, "auditdiskmodificationonly": host.Off,
}

// setSecurity takes a value of Win32_DeviceGuard or Get-MpPreference.
func (f *facts) setSecurity(k key, value string) {
	if value == "" {
		return
	}
	value = strings.ToLower(value)
	switch k {
	case keyUserCode:
		f.guarded = true
		f.userCode = weaker(f.userCode, states[value])
	case keyKernelCode:
		f.guarded = true
		f.kernelCode = weaker(f.kernelCode, states[value])
	case keyRealtime:
		f.defended = true
		f.realtime = cmp.Or(map[string]string{"true": "off", "false": "on"}[value], f.realtime)
	case keyFolders:
		f.defended = true
		f.folders = weaker(f.folders, folderStates[value])
	}
}

// weaker of two states of the same thing; an empty one says nothing.
func weaker(a, b string) string {
	for _, state := range []string{host.Off, host.Observe, host.Enforce} {
		if a == state || b == state {
			return state
		}
	}
	return ""
}

// braces reads "{1, 2, 3}", which may go on on the next lines and ends in "..." or "…"
// where PowerShell printed the first entries only.
func (f *facts) braces(k key, value string) {
	switch {
	case strings.HasPrefix(value, "{") && !strings.Contains(value, "}"):
		f.closeList()
		f.open = openList{key: k, text: value}
	case strings.HasPrefix(value, "{"):
		f.closed(k, value)
	case strings.HasPrefix(value, "System."), strings.HasPrefix(value, "Microsoft."): // CSV holds no lists
		f.cut = append(f.cut, k)
		f.list(k, nil)
	case value == "":
		f.list(k, nil)
	default:
		f.list(k, []string{value})
	}
}

// continues adds a line to the open list; false when the line does not belong to it.
func (f *facts) continues(line string) bool {
	if strings.TrimSpace(line) == "" || !strings.HasPrefix(line, " ") || len(f.open.text) > 1<<16 {
		f.closeList()
		return false
	}
	f.open.text += strings.TrimSpace(line)
	if strings.Contains(line, "}") {
		f.closeList()
	}
	return true
}

// closeList takes the list that was open.
func (f *facts) closeList() {
	if f.open.key != keyNone {
		f.closed(f.open.key, f.open.text)
		f.open = openList{}
	}
}

func (f *facts) closed(k key, text string) {
	inner, _, whole := strings.Cut(strings.TrimPrefix(text, "{"), "}")
	var values []string
	for part := range strings.SplitSeq(inner, ",") {
		part = strings.TrimSpace(part)
		for _, dots := range []string{"...", "…"} {
			if strings.HasSuffix(part, dots) {
				part, whole = strings.TrimSuffix(part, dots), false
			}
		}
		if part != "" {
			values = append(values, part)
		}
	}
	if !whole {
		f.cut = append(f.cut, k)
	}
	f.list(k, values)
}

// list takes all values of a list; false where they are not all, but objects.
func (f *facts) list(k key, values []string) bool {
	switch k {
	case keyHotfixList:
		f.hotfixLine = true
		f.updates(strings.Join(values, " "))
		return false
	case keyServices:
		f.guarded = f.guarded || len(values) > 0
		for _, v := range values {
			if name := serviceName(v); name != "" && !slices.Contains(f.services, name) {
				f.services = append(f.services, name)
			}
		}
	case keyRuleIDs:
		f.defended = true
		f.ruleIDs = values
	case keyRuleModes:
		f.defended = true
		f.ruleModes = values
	default:
		return false
	}
	return true
}

func serviceName(value string) string {
	if name, known := services[strings.ToLower(value)]; known {
		return name
	}
	return value
}

// codeIntegrity is what the text says of code integrity, nil where nothing.
func (f *facts) codeIntegrity() *host.CodeIntegrity {
	if f.userCode == "" && f.kernelCode == "" && len(f.services) == 0 {
		return nil
	}
	slices.Sort(f.services)
	return &host.CodeIntegrity{User: f.userCode, Kernel: f.kernelCode, Services: f.services}
}

var guid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// defender is what the text says of Microsoft Defender Antivirus, nil where nothing.
func (f *facts) defender() *host.Defender {
	if !f.defended {
		return nil
	}
	d := &host.Defender{Realtime: f.realtime, ControlledFolders: f.folders}
	for i, id := range f.ruleIDs {
		id = strings.ToLower(id)
		if i >= len(f.ruleModes) || !guid.MatchString(id) {
			continue
		}
		if mode := ruleStates[strings.ToLower(f.ruleModes[i])]; mode != "" {
			d.ReductionRules = append(d.ReductionRules, host.ReductionRule{ID: id, Mode: mode})
		}
	}
	slices.SortFunc(d.ReductionRules, func(a, b host.ReductionRule) int { return strings.Compare(a.ID, b.ID) })
	return d
}

// missingSecurity lists what an export of protections began to say and did not finish.
// That no such export is there is no fault: the host then counts as having none.
func (f *facts) missingSecurity() []host.Unread {
	var out []host.Unread
	add := func(what, why string) { out = append(out, host.Unread{What: what, Why: why}) }
	for _, k := range []key{keyServices, keyRuleIDs, keyRuleModes} {
		if slices.Contains(f.cut, k) {
			add(names[k], "the list is printed in part only: export it with ConvertTo-Json")
		}
	}
	if f.guarded && f.userCode == "" {
		add("UsermodeCodeIntegrityPolicyEnforcementStatus", "no value, or none we know: run Get-CimInstance Win32_DeviceGuard as an administrator")
	}
	switch {
	case f.veiled && len(f.ruleIDs) == 0:
		add(names[keyRuleIDs], "shown to administrators only: run Get-MpPreference as an administrator")
	case len(f.ruleIDs) != len(f.ruleModes):
		add(names[keyRuleModes], "not as many as there are rules: export both with ConvertTo-Json")
	}
	return out
}
