package triage

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// coverCase is one line of the baseline table of TRIAGE.md section 3.
type coverCase struct {
	code      string // of its reason
	contained bool   // holds only where the component runs contained
	local     bool   // the attacker is a process on the host: it must be a contained one
	ladder    []rung // strongest effect first; below the last one there is none
}

// rung is an effect and the controls that must all refuse for it.
type rung struct {
	effect Effect
	needs  []host.Control
}

// bounded is what keeps damage inside what the service owns even where a launch or a
// utility is not refused: other files, other processes, children.
var bounded = rung{Limited, []host.Control{host.Write, host.ProcessCtl, host.Containing}}

// The baseline: which case has which effect through which controls.
var (
	caseExec = &coverCase{code: CodeExec, contained: true, ladder: []rung{
		{Contained, []host.Control{host.Launch, host.Write, host.Utility, host.Containing}}, bounded}}
	caseMemory = &coverCase{code: CodeMemory, contained: true, ladder: caseExec.ladder}
	caseSetuid = &coverCase{code: CodePrivSetuid, local: true, ladder: []rung{
		{Prevented, []host.Control{host.Launch, host.ProcessCtl, host.Containing}}}}
	caseDeputy = &coverCase{code: CodePrivDeputy, local: true, ladder: []rung{
		{Prevented, []host.Control{host.ProcessCtl, host.Utility, host.Containing}}}}
	casePrivDaemon = &coverCase{code: CodePrivDaemon, contained: true, local: true, ladder: []rung{
		{Contained, []host.Control{host.Launch, host.Write, host.ProcessCtl, host.Containing}}, bounded}}
	caseInfoFiles = &coverCase{code: CodeInfoFiles, contained: true, ladder: []rung{
		{Limited, []host.Control{host.Private, host.Containing}}}}
	caseInfoProcess = &coverCase{code: CodeInfoProcess, contained: true, ladder: []rung{
		{Prevented, []host.Control{host.ProcessCtl, host.Containing}}}}
	caseBypassOS = &coverCase{code: CodeBypassOS, local: true, ladder: []rung{
		{Contained, []host.Control{host.Launch, host.Write, host.ProcessCtl, host.Containing}}, bounded}}
	caseTraversalWrite = &coverCase{code: CodeTraversalWrite, contained: true, ladder: []rung{
		{Prevented, []host.Control{host.Launch, host.Write, host.Containing}}, bounded}}
	caseTraversalRead = &coverCase{code: CodeTraversalRead, contained: true, ladder: caseInfoFiles.ladder}
	// Interpreters refuse scripts from user space to everybody: containment is not needed.
	caseInclusion = &coverCase{code: CodeInclusion, ladder: []rung{{Prevented, []host.Control{host.Launch}}}}
	// A permitted query takes the service's own data, but no further.
	caseSQLiExec      = &coverCase{code: CodeSQLiExec, contained: true, ladder: []rung{{Limited, caseExec.ladder[0].needs}, bounded}}
	caseKernelSurface = &coverCase{code: CodeKernelSurface, local: true, ladder: []rung{
		{Prevented, []host.Control{host.KernelCtl, host.Containing}}}}

	// The guard does not help.
	caseOverRead        = &coverCase{code: CodeOverRead}
	casePrivApplication = &coverCase{code: CodePrivApplication}
	caseInfoInside      = &coverCase{code: CodeInfoInside}
	caseBypassApp       = &coverCase{code: CodeBypassApp}
	caseSQLi            = &coverCase{code: CodeSQLi}
	caseBrowser         = &coverCase{code: CodeBrowser}
	caseDoS             = &coverCase{code: CodeDoS}
	caseKernelNetwork   = &coverCase{code: CodeKernelNetwork}
	caseKernelLocal     = &coverCase{code: CodeKernelLocal}
	caseKernelPageCache = &coverCase{code: CodeKernelPageCache}
	caseKernelOther     = &coverCase{code: CodeKernelOther}
)

// severity is what coverage reads from a CVSS vector.
type severity struct {
	known                  bool
	local                  bool // the attacker is on the host
	account                bool // and needs an account there
	lured                  bool // somebody else has to do something
	confidentiality, wrote bool // something is read; something is changed
	changesAll, stopsAll   bool // integrity, availability lost whole
}

func readSeverity(s vuln.Severity) severity {
	m := metrics(s)
	if m == nil {
		return severity{}
	}
	lost := func(name string) string { return m[name] + m["V"+name] } // CVSS 4 says VC, VI, VA
	some := func(v string) bool { return v != "" && v != "N" }
	whole := func(v string) bool { return v == "H" || v == "C" } // CVSS 2 says Complete
	return severity{
		known:           true,
		local:           m["AV"] == "L" || m["AV"] == "P",
		account:         m["PR"] == "L" || m["PR"] == "H",
		lured:           m["UI"] != "" && m["UI"] != "N",
		confidentiality: some(lost("C")), wrote: some(lost("I")),
		changesAll: whole(lost("I")), stopsAll: whole(lost("A")),
	}
}

// outcomes sorts the types into cases, in table order; several types of one case are
// one outcome.
func (v *covering) outcomes() []outcome {
	var out []outcome
	var inside []vuln.Type
	for _, t := range vuln.Types {
		if !v.has(t) {
			continue
		}
		o := v.outcome(t)
		if o.coverCase != caseExec && o.coverCase != caseMemory && v.insideExec(t) {
			inside = append(inside, t)
			continue
		}
		if i := slices.IndexFunc(out, func(x outcome) bool { return x.coverCase == o.coverCase }); i >= 0 {
			out[i].types = append(out[i].types, t)
			continue
		}
		o.types = []vuln.Type{t}
		out = append(out, o)
	}
	if inside != nil {
		v.say(CodeInsideExec, strings.Join(words(inside), ", "))
	}
	return out
}

func (v *covering) has(t vuln.Type) bool {
	return slices.ContainsFunc(v.typings, func(x vuln.Typing) bool { return x.Type == t })
}

// stated tells whether somebody says t, rather than CVSS suggesting it.
func (v *covering) stated(t vuln.Type) bool {
	return slices.ContainsFunc(v.typings, func(x vuln.Typing) bool { return x.Type == t && x.Source != "cvss" })
}

// insideExec: where a record says that the attacker's code runs in the service, what
// the process holds and may do is the attacker's already, and the effect on code
// execution answers for it. Not so where exec is only inferred: an over-read of a
// high score is still an over-read. A database is another process, so sqli stays.
func (v *covering) insideExec(t vuln.Type) bool {
	if v.component.Kernel || !v.stated(vuln.Exec) || v.outcome(vuln.Exec).coverCase != caseExec {
		return false
	}
	return t != vuln.DoS && t != vuln.SQLi && t != vuln.Exec
}

// outcome is the case of one type on this component.
func (v *covering) outcome(t vuln.Type) outcome {
	if t == vuln.DoS {
		return outcome{coverCase: caseDoS}
	}
	if v.component.Kernel {
		return v.kernelOutcome(t)
	}
	if v.byType {
		return outcome{coverCase: v.typeCase(t)}
	}
	if v.throughSetuid() && t != vuln.XSS && t != vuln.CSRF && t != vuln.Splitting {
		return outcome{coverCase: caseSetuid}
	}
	return outcome{coverCase: v.serviceCase(t)}
}

func (v *covering) serviceCase(t vuln.Type) *coverCase {
	s := v.severity
	switch t {
	case vuln.Exec:
		return caseExec
	case vuln.Overflow, vuln.MemCorr:
		if s.known && !s.wrote {
			return caseOverRead
		}
		return caseMemory
	case vuln.Priv:
		return v.privilegeCase()
	case vuln.Info:
		return v.disclosureCase()
	case vuln.Bypass:
		if v.component.System || osProtections[v.component.Source] {
			return caseBypassOS
		}
		return caseBypassApp
	case vuln.Traversal:
		// Reading is the weaker held: only where nothing is read does writing decide.
		if s.wrote && !s.confidentiality {
			return caseTraversalWrite
		}
		return caseTraversalRead
	case vuln.Inclusion:
		return caseInclusion
	case vuln.SQLi:
		// Whoever may change everything and stop the service may as a rule make the
		// database run programs too.
		if v.stated(vuln.Exec) || s.changesAll && s.stopsAll {
			return caseSQLiExec
		}
		return caseSQLi
	}
	return caseBrowser
}

// privilegeCase: over a network the privileges are the service's own; on the host
// they are the system's, and who has them can change it: a vector that says nothing
// is changed speaks of the service too. An unknown vector takes the cautious reading.
func (v *covering) privilegeCase() *coverCase {
	switch {
	case !v.severity.local || !v.severity.wrote:
		return casePrivApplication
	case deputies[v.component.Source]:
		return caseDeputy
	}
	return casePrivDaemon
}

// disclosureCase: unless the evidence names files or other processes, what is
// disclosed is what the process holds itself.
func (v *covering) disclosureCase() *coverCase {
	var why strings.Builder
	for _, t := range v.typings {
		if t.Type == vuln.Info {
			why.WriteString(strings.ToLower(t.Why) + "\n")
		}
	}
	for _, word := range []string{"other process", "another process", "different process"} {
		if strings.Contains(why.String(), word) {
			return caseInfoProcess
		}
	}
	if v.stated(vuln.Traversal) {
		return caseInfoFiles
	}
	for _, word := range []string{"arbitrary file", "local file", "cwe-538", "cwe-552", "cwe-530"} {
		if strings.Contains(why.String(), word) {
			return caseInfoFiles
		}
	}
	return caseInfoInside
}

// throughSetuid: a local bug of a package whose programs are setuid is reached by
// running one of them, unless a victim has to be lured. One of the loader is, where
// rights are gained: whoever has an account runs code already, so what "executes
// code" there does so with stronger rights.
func (v *covering) throughSetuid() bool {
	s := v.severity
	switch {
	case !s.local || s.lured:
		return false
	case setuidSources[v.component.Source]:
		return true
	}
	return loaderSources[v.component.Source] && s.account && s.changesAll && (v.has(vuln.Priv) || v.has(vuln.Exec))
}

// kernelOutcome: the kernel is not held by hooks that live in it; only a way there
// that needs a refused surface is closed.
func (v *covering) kernelOutcome(t vuln.Type) outcome {
	if pageCacheBugs[v.component.Vulnerability] {
		return outcome{coverCase: caseKernelPageCache}
	}
	if path, ok := kernelPaths[v.component.Vulnerability]; ok {
		return outcome{coverCase: caseKernelSurface, surfaces: path.surfaces, source: path.source}
	}
	switch t {
	case vuln.Exec, vuln.Overflow, vuln.MemCorr, vuln.Priv:
	default:
		return outcome{coverCase: caseKernelOther}
	}
	if !v.severity.local {
		return outcome{coverCase: caseKernelNetwork}
	}
	return outcome{coverCase: caseKernelLocal}
}
