package policyexport

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/jsonout"
	"github.com/kannuki/kannuki/policy"
)

// Reduction are attack surface reduction settings of Microsoft Defender.
type Reduction struct {
	Policy string          `json:"policy"`
	Rules  []ReductionRule `json:"rules"`
	// Folders are protected by controlled folder access, in FolderMode; none: it is left as it is.
	Folders    []ProtectedFolder `json:"folders"`
	FolderMode string            `json:"folder_mode,omitempty"`
	Gaps       []Gap             `json:"gaps"`
}

// ReductionRule is one rule that is set.
type ReductionRule struct {
	ID      string       `json:"id"`   // GUID
	Name    string       `json:"name"` // Microsoft's
	Mode    string       `json:"mode"` // host.Observe or host.Enforce
	Control host.Control `json:"control"`
	Rules   []string     `json:"rules"` // of the policy, that it stands for a part of
}

// ProtectedFolder is a folder of data.
type ProtectedFolder struct {
	Path  string   `json:"path"`
	Rules []string `json:"rules"`
}

// reductions say of every rule of attack surface reduction what of a policy it stands
// for. Names and identifiers are Microsoft's (attack surface reduction rules reference).
var reductions = []struct {
	id, name string
	control  host.Control
	list     string                       // whose rules it stands for a part of; none: of the control itself
	only     func(policy.Policy) []string // these of them; nil: all
	cloud    bool                         // needs cloud-delivered protection
}{
	{"b2b3f03d-6a65-4f7b-a9c7-1c7ef74a9ba4", "Block untrusted and unsigned processes that run from USB", host.Launch, "spaces.system", nil, false},
	{"d3e037e1-3eb8-44c8-a917-57927947596d", "Block JavaScript or VBScript from launching downloaded executable content", host.Launch, "interpreters.programs", nil, false},
	{"5beb7efe-fd9a-4556-801d-275e5ffc04cc", "Block execution of potentially obfuscated scripts", host.Launch, "interpreters.programs", nil, false},
	{"a8f5898e-1dc8-49a9-9878-85004b8a61e6", "Block Webshell creation for Servers", host.Write, "spaces.user", nil, false},
	{"e6db77e5-3df2-4cf1-b95a-636979351e5b", "Block persistence through WMI event subscription", host.Write, "spaces.persistence", nil, false},
	{"c1db55ab-c21a-4637-bb3f-a12568109d35", "Use advanced protection against ransomware", host.Write, "spaces.data", nil, true},
	{"9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2", "Block credential stealing from the Windows local security authority subsystem", host.Private, "spaces.private", passwords, false},
	{"c0033c00-d16d-4114-a5a0-dc9b3a7d2ceb", "Block use of copied or impersonated system tools", host.Utility, "utilities.refuse", nil, false},
	{"d1e49aac-8f56-4280-b9ba-993a6d77406c", "Block process creations originating from PSExec and WMI commands", host.Containing, "deputies.refuse", nil, false},
	{"56a863a9-875e-4185-98a7-b882c64b5ce5", "Block abuse of exploited vulnerable signed drivers", host.KernelCtl, "kernel.refuse", modules, false},
	{"33ddedf1-c6e0-47cb-833e-de6133960387", "Block rebooting machine in Safe Mode", host.Self, "", nil, false},
}

// unasked are the rules nothing in a policy of ours asks for: those of Office, mail and
// Adobe Reader, and the one that refuses what few others run, wherever it lies.
var unasked = []string{"Block Adobe Reader from creating child processes", "Block all Office applications from creating child processes",
	"Block executable content from email client and webmail", "Block executable files from running unless they meet a prevalence, age, or trusted list criterion",
	"Block Office applications from creating executable content", "Block Office applications from injecting code into other processes",
	"Block Office communication application from creating child processes", "Block Win32 API calls from Office macros"}

// passwords are the private places that hold what accounts log in with.
func passwords(p policy.Policy) []string {
	var ids []string
	for _, s := range p.Spaces.Private {
		if name := path.Base(s.File); strings.Contains(name, "shadow") || name == "opasswd" {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// modules are the surfaces through which code gets into the kernel as a driver.
func modules(p policy.Policy) []string {
	var ids []string
	for _, k := range p.Kernel.Refuse {
		if k.Surface == "module" {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// AttackSurface exports p. Options.Places must have passed CheckPlaces.
func AttackSurface(p policy.Policy, opt Options) Reduction {
	r := rulesOf(p)
	out := Reduction{Policy: p.Name, Rules: []ReductionRule{}, Folders: []ProtectedFolder{}}
	var cloud []string
	for _, d := range reductions {
		rule := ReductionRule{ID: d.id, Name: d.name, Mode: string(p.ModeOf(d.control)), Control: d.control, Rules: []string{}}
		switch {
		case d.only != nil:
			rule.Rules = d.only(p)
		case d.list != "":
			rule.Rules = r.in(d.list, nil)
		}
		if d.list != "" && len(rule.Rules) == 0 {
			continue
		}
		out.Rules = append(out.Rules, rule)
		if d.cloud {
			cloud = append(cloud, d.name)
		}
	}
	out.folders(p, opt)
	out.gaps(p, r, cloud)
	return out
}

// folders are the places of data that a folder of this server stands for.
func (out *Reduction) folders(p policy.Policy, opt Options) {
	for _, d := range p.Spaces.Data {
		folder := opt.Places[d.Path]
		if d.Path == "" || folder == "" {
			continue
		}
		i := slices.IndexFunc(out.Folders, func(f ProtectedFolder) bool { return strings.EqualFold(f.Path, folder) })
		if i < 0 {
			i = len(out.Folders)
			out.Folders = append(out.Folders, ProtectedFolder{Path: folder})
		}
		out.Folders[i].Rules = append(out.Folders[i].Rules, d.ID)
	}
	if len(out.Folders) > 0 {
		out.FolderMode = string(p.ModeOf(host.Write))
	}
}

func (out *Reduction) gaps(p policy.Policy, r *rules, cloud []string) {
	r.note(GapAntivirus)
	r.note(GapTamper)
	if len(cloud) > 0 {
		r.note(GapCloud, strings.Join(cloud, ", "))
	}
	r.note(GapLeftOut, strings.Join(unasked, ", "))
	for _, rule := range out.Rules {
		if len(rule.Rules) > 0 {
			r.gap(GapPart, rule.Rules, rule.Name)
		}
	}
	r.lists(GapExchange, "spaces.user")
	var stood []string
	for _, f := range out.Folders {
		stood = append(stood, f.Rules...)
	}
	r.gap(GapFolders, stood)
	said := map[string]bool{}
	for _, g := range r.gaps {
		for _, id := range g.Rules {
			said[id] = true
		}
	}
	var rest []string
	for _, rule := range r.all {
		if !said[rule.ID] {
			rest = append(rest, rule.ID)
		}
	}
	r.gap(GapPatterns, rest)
	out.Gaps = r.gaps
}

// actions are the words Set-MpPreference and Intune have for a mode.
var actions = map[string]struct{ word, number string }{
	host.Enforce: {"Enabled", "1"}, host.Observe: {"AuditMode", "2"},
}

// WritePowerShell writes a script that sets the rules and leaves others as they are.
// What words say and the gaps are comments at its beginning. Windows PowerShell takes a
// script for UTF-8 only by its mark.
func (out Reduction) WritePowerShell(w io.Writer, words Words) error {
	var b strings.Builder
	b.WriteString("\ufeff")
	for _, line := range words.remarks(out.Gaps) {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	b.WriteString("#Requires -RunAsAdministrator\n")
	for _, r := range out.Rules {
		fmt.Fprintf(&b, "\n# %s\n", r.Name)
		fmt.Fprintf(&b, "Add-MpPreference -AttackSurfaceReductionRules_Ids %s -AttackSurfaceReductionRules_Actions %s\n", r.ID, actions[r.Mode].word)
	}
	if len(out.Folders) > 0 {
		b.WriteString("\n# Controlled folder access\n")
		for _, f := range out.Folders {
			fmt.Fprintf(&b, "Add-MpPreference -ControlledFolderAccessProtectedFolders %s\n", quoted(f.Path))
		}
		fmt.Fprintf(&b, "Set-MpPreference -EnableControlledFolderAccess %s\n", actions[out.FolderMode].word)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted is a string of PowerShell in which nothing is replaced. It takes typographic
// quotation marks for plain ones.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('\'')
	for _, r := range s {
		if strings.ContainsRune("'\u2018\u2019\u201a\u201b", r) {
			b.WriteRune(r)
		}
		b.WriteRune(r)
	}
	b.WriteByte('\'')
	return b.String()
}

// WriteJSON writes the whole export with its gaps in words.
func (out Reduction) WriteJSON(w io.Writer, words Words) error {
	out.Gaps = words.said(out.Gaps)
	return jsonout.Write(w, out)
}

// intuneProfile is a custom configuration profile of Intune (Microsoft Graph,
// windows10CustomConfiguration).
type intuneProfile struct {
	Type        string          `json:"@odata.type"`
	Name        string          `json:"displayName"`
	Description string          `json:"description"`
	Settings    []intuneSetting `json:"omaSettings"`
}

type intuneSetting struct {
	Type  string `json:"@odata.type"`
	Name  string `json:"displayName"`
	URI   string `json:"omaUri"`
	Value any    `json:"value"`
}

// WriteIntune writes a configuration profile to import in Intune (through Microsoft
// Graph). description says what it is; JSON has no place for the gaps.
func (out Reduction) WriteIntune(w io.Writer, description string) error {
	const defender = "./Vendor/MSFT/Policy/Config/Defender/"
	var rules []string
	for _, r := range out.Rules {
		rules = append(rules, r.ID+"="+actions[r.Mode].number)
	}
	text := func(name, value string) intuneSetting {
		return intuneSetting{"#microsoft.graph.omaSettingString", name, defender + name, value}
	}
	profile := intuneProfile{"#microsoft.graph.windows10CustomConfiguration", "kannuki " + out.Policy, description,
		[]intuneSetting{text("AttackSurfaceReductionRules", strings.Join(rules, "|"))}}
	if len(out.Folders) > 0 {
		var folders []string
		for _, f := range out.Folders {
			folders = append(folders, f.Path)
		}
		mode := map[string]int{host.Enforce: 1, host.Observe: 2}[out.FolderMode]
		profile.Settings = append(profile.Settings, text("ControlledFolderAccessProtectedFolders", strings.Join(folders, "|")),
			intuneSetting{"#microsoft.graph.omaSettingInteger", "EnableControlledFolderAccess", defender + "EnableControlledFolderAccess", mode})
	}
	return jsonout.Write(w, profile)
}
