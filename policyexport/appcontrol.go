package policyexport

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// CodeIntegrity is a policy of App Control for Business.
type CodeIntegrity struct {
	Policy  string       `json:"policy"`  // name of the policy it was made from
	ID      string       `json:"id"`      // of the result: the same for every version of one policy
	Version string       `json:"version"` // of the result
	Enforce bool         `json:"enforce"` // false: audit mode
	Options []string     `json:"options"`
	Paths   []PathRule   `json:"paths"`
	Denied  []DeniedFile `json:"denied"`
	// Drivers is true where only drivers load that Windows or its hardware laboratory signed.
	Drivers bool  `json:"drivers"`
	Gaps    []Gap `json:"gaps"`
}

// PathRule lets programs and libraries of a folder launch, or refuses them.
type PathRule struct {
	Path  string   `json:"path"`
	Allow bool     `json:"allow"`
	Rules []string `json:"rules"` // of the policy, that it stands for
}

// DeniedFile is a program refused by the name built into it.
type DeniedFile struct {
	File  string   `json:"file"`
	Rules []string `json:"rules"`
}

// AppControl exports p. Options.Places must have passed CheckPlaces.
func AppControl(p policy.Policy, opt Options) CodeIntegrity {
	r := rulesOf(p)
	c := CodeIntegrity{Policy: p.Name, ID: policyID(p.Name), Version: versionAt(opt), Enforce: enforced(p, host.Launch),
		Denied: []DeniedFile{}}
	c.Options = options(p, c.Enforce, opt)
	c.Paths = pathRules(p, opt)
	if c.asHard(p, host.Utility) {
		c.Denied = deniedFiles(p)
	}
	c.Drivers = c.asHard(p, host.KernelCtl) && len(modules(p)) > 0
	c.wholeGaps(p, r, opt)
	c.spaceGaps(p, r, opt)
	c.ruleGaps(p, r)
	c.Gaps = r.gaps
	return c
}

// asHard tells whether the one mode of the result is no harder than the policy's mode
// of a control: what is only observed there is not refused here.
func (c *CodeIntegrity) asHard(p policy.Policy, control host.Control) bool {
	return !c.Enforce || enforced(p, control)
}

// options of App Control; the order is that of their numbers.
func options(p policy.Policy, enforce bool, opt Options) []string {
	out := []string{"Enabled:UMCI"}
	if !enforce {
		out = append(out, "Enabled:Audit Mode")
	}
	out = append(out, "Disabled:Flight Signing", "Enabled:Unsigned System Integrity Policy", "Enabled:Advanced Boot Options Menu")
	if enforce {
		out = append(out, "Enabled:Boot Audit On Failure") // a driver that is needed to start is not to cost the server
	}
	if len(p.Interpreters.Programs) == 0 {
		out = append(out, "Disabled:Script Enforcement")
	}
	out = append(out, "Enabled:Update Policy No Reboot", "Enabled:Allow Supplemental Policies")
	if opt.NoWriteCheck {
		out = append(out, "Disabled:Runtime FilePath Rule Protection")
	}
	return append(out, "Enabled:Revoked Expired As Unsigned")
}

// pathRules are the folders that launch, and those inside them that do not.
func pathRules(p policy.Policy, opt Options) []PathRule {
	var out []PathRule
	add := func(path string, allow bool, id string) {
		i := slices.IndexFunc(out, func(r PathRule) bool { return strings.EqualFold(r.Path, path) && r.Allow == allow })
		if i < 0 {
			i = len(out)
			out = append(out, PathRule{Path: path, Allow: allow, Rules: []string{}})
		}
		if id != "" {
			out[i].Rules = append(out[i].Rules, id)
		}
	}
	for _, folder := range everyServer {
		for _, s := range p.Spaces.System {
			if s.Path != "" && slices.Contains(folder.stands, s.Path) && opt.Places[s.Path] == "" {
				add(folder.path, true, s.ID)
			}
		}
	}
	windows := len(out) > 0 && out[0].Path == everyServer[0].path
	for _, s := range p.Spaces.System {
		if folder := opt.Places[s.Path]; s.Path != "" && folder != "" {
			add(folder+`\*`, true, s.ID)
		}
	}
	for _, u := range p.Spaces.User {
		if folder := opt.Places[u.Path]; folder != "" && len(u.Names) == 0 {
			add(folder+`\*`, false, u.ID)
		}
	}
	if windows {
		for _, folder := range serviceFolders {
			add(folder, false, "")
		}
	}
	return out
}

// deniedFiles are the programs of Windows that stand for refused utilities.
func deniedFiles(p policy.Policy) []DeniedFile {
	var out []DeniedFile
	for _, b := range blockedPrograms {
		d := DeniedFile{File: b.file}
		for _, u := range p.Utilities.Refuse {
			if slices.ContainsFunc(u.Names, func(name string) bool { return slices.Contains(b.like, name) }) {
				d.Rules = append(d.Rules, u.ID)
			}
		}
		for _, i := range p.Interpreters.Programs {
			if slices.ContainsFunc(i.Names, func(name string) bool { return slices.Contains(b.like, name) }) {
				d.Rules = append(d.Rules, i.ID)
			}
		}
		if len(d.Rules) > 0 {
			out = append(out, d)
		}
	}
	return out
}

// wholeGaps are about the result as a whole.
func (c *CodeIntegrity) wholeGaps(p policy.Policy, r *rules, opt Options) {
	r.note(GapRelease)
	for _, control := range []host.Control{host.Utility, host.KernelCtl} {
		if mode := p.ModeOf(control); mode != p.ModeOf(host.Launch) {
			r.note(GapModes, string(control), string(mode), string(p.ModeOf(host.Launch)))
		}
	}
	r.note(GapSigned)
	if opt.NoWriteCheck {
		r.note(GapUnchecked)
	} else if slices.ContainsFunc(c.Paths, func(x PathRule) bool { return !x.Allow && len(x.Rules) == 0 }) {
		r.note(GapAccounts)
	}
	r.note(GapBlockList)
	r.note(GapSelf)
}

// expresses tells whether a path rule stands for a rule of the policy.
func (c *CodeIntegrity) expresses(id string) bool {
	return slices.ContainsFunc(c.Paths, func(x PathRule) bool { return slices.Contains(x.Rules, id) })
}

func (c *CodeIntegrity) spaceGaps(p policy.Policy, r *rules, opt Options) {
	var places, files, seals, writers, carved []string
	for _, s := range p.Spaces.System {
		switch {
		case s.File != "":
			files = append(files, s.ID)
		case c.expresses(s.ID):
			seals = append(seals, s.ID)
			if len(s.Writers) > 0 && !opt.NoWriteCheck {
				writers = append(writers, s.ID)
			}
		default:
			places = append(places, s.ID)
		}
	}
	for _, u := range p.Spaces.User {
		if !c.expresses(u.ID) {
			carved = append(carved, u.ID)
		}
	}
	r.gap(GapPlaces, places)
	r.gap(GapFiles, files)
	r.gap(GapSeals, seals)
	r.gap(GapWriters, writers)
	r.gap(GapCarved, carved)
	r.lists(GapPrivate, "spaces.private")
	r.lists(GapPersistence, "spaces.persistence")
	r.lists(GapData, "spaces.data")
}

func (c *CodeIntegrity) ruleGaps(p policy.Policy, r *rules) {
	r.lists(GapContainment, "roles", "containment.contain", "containment.exempt", "containment.edges")
	r.lists(GapPrograms, "programs")
	var languages []string
	for _, i := range p.Interpreters.Programs {
		languages = append(languages, i.Language)
	}
	r.gap(GapInterpreters, r.in("interpreters.programs", nil), strings.Join(languages, ", "))
	r.lists(GapCaches, "interpreters.caches")
	r.lists(GapUpdaters, "updaters.programs", "updaters.starters")
	r.lists(GapBuilders, "builders")
	r.lists(GapTrusted, "trusted")
	denied := func(id string) bool {
		return slices.ContainsFunc(c.Denied, func(d DeniedFile) bool { return slices.Contains(d.Rules, id) })
	}
	if c.asHard(p, host.Utility) {
		r.gap(GapEverybody, r.in("utilities.refuse", denied))
		r.gap(GapUtilities, r.in("utilities.refuse", func(id string) bool { return !denied(id) }))
	} else {
		r.gap(GapObserved, r.in("utilities.refuse", nil), string(host.Utility))
	}
	r.gap(GapAdministering, r.in("utilities.refuse", nil), administering)
	r.lists(GapAllowances, "utilities.allow", "kernel.allow", "deputies.allow")
	drivers := modules(p)
	surfaces := r.in("kernel.refuse", func(id string) bool { return !slices.Contains(drivers, id) })
	if c.Drivers {
		r.gap(GapDrivers, drivers)
	} else {
		r.gap(GapObserved, drivers, string(host.KernelCtl))
	}
	r.gap(GapSurfaces, surfaces)
	r.lists(GapDeputies, "deputies.refuse")
	r.lists(GapWX, "wx")
	r.lists(GapGrants, "grants")
}

// policyID is the GUID of a policy's export, from its name: a later export of the same
// policy takes the place of an earlier one. The bits are those of RFC 9562's version 8.
func policyID(name string) string {
	sum := sha256.Sum256([]byte("kannuki app control 1\x00" + name))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return fmt.Sprintf("{%X-%X-%X-%X-%X}", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// versionAt is the version of an export: its parts are at most 65535 and grow with time.
func versionAt(opt Options) string {
	t := opt.Now.UTC()
	return fmt.Sprintf("%d.%d.%d.0", t.Year(), int(t.Month())*100+t.Day(), t.Hour()*100+t.Minute())
}
