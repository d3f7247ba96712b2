package triage

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

var allControls = []host.Control{host.Launch, host.Write, host.ProcessCtl, host.Utility, host.Containing, host.KernelCtl, host.Private, host.Self}

// guarded is a protection in full force: every control refuses and a drill proved it
// an hour ago; the named packages and units run contained.
func guarded(contained ...string) host.Protection {
	p := host.Protection{Generation: 7, Kernel: "6.1.0-21-amd64", Reported: morning, Contained: contained,
		Surfaces: []string{"userns", "af_alg", "xfrm", "nf_tables", "bpf", "module-autoload"}}
	for _, c := range allControls {
		p.Controls = append(p.Controls, host.ControlStatus{Control: c, Mode: host.Enforce, Hooks: 3, Proof: &host.Proof{
			At: morning.Add(-time.Hour), Expires: morning.Add(23 * time.Hour), Generation: 7, Kernel: "6.1.0-21-amd64", Passed: true, Steps: 4}})
	}
	return p
}

// changed is p with each of the named controls (all, when none is named) passed through change.
func changed(p host.Protection, change func(*host.ControlStatus), named ...host.Control) host.Protection {
	p.Controls = slices.Clone(p.Controls)
	for i := range p.Controls {
		if len(named) == 0 || slices.Contains(named, p.Controls[i].Control) {
			change(&p.Controls[i])
		}
	}
	return p
}

func unproven(s *host.ControlStatus)  { s.Proof = nil }
func observing(s *host.ControlStatus) { s.Mode = host.Observe }

// typed reads "exec dos/cwe info/cvss?": types, each with a source (text) and "?" for low confidence.
func typed(list string) []vuln.Typing {
	var out []vuln.Typing
	for word := range strings.FieldsSeq(list) {
		t := vuln.Typing{Source: "text", Confidence: "high"}
		if rest, ok := strings.CutSuffix(word, "?"); ok {
			word, t.Confidence = rest, "low"
		}
		name, source, ok := strings.Cut(word, "/")
		if ok {
			t.Source = source
		}
		t.Type = vuln.Type(name)
		out = append(out, t)
	}
	return out
}

const (
	remoteAll  = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	localAll   = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"
	remoteRead = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"
	remoteStop = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
	oldRead    = "AV:N/AC:L/Au:N/C:P/I:N/A:N"
	oldAll     = "AV:N/AC:L/Au:N/C:C/I:C/A:C"
)

func vector(s string) vuln.Severity { return vuln.Severity{Source: "nvd", Vector: s} }

// reference are TRIAGE.md section 3's verdicts: on a host in full force that runs the
// component contained; without proof; and what makes the effect vanish.
var reference = []struct {
	name, id, types, vector string
	component               Component
	full, unproven          Effect
	without                 host.Control // turning this off changes the effect …
	weakened                Effect       // … to this; "" where no control matters
}{
	{"Shellshock", "CVE-2014-6271", "exec", oldAll, Component{Source: "bash", Packages: []string{"bash"}}, Contained, Limited, host.Utility, Limited},
	{"Log4Shell", "CVE-2021-44228", "exec", remoteAll, Component{Source: "apache-log4j2", Units: []string{"tomcat9.service"}}, Contained, Limited, host.Containing, None},
	{"Spring4Shell", "CVE-2022-22965", "exec", remoteAll, Component{Source: "libspring-java", Units: []string{"tomcat9.service"}}, Contained, Limited, host.Write, None},
	{"Struts S2-045", "CVE-2017-5638", "exec", remoteAll, Component{Source: "libstruts", Units: []string{"tomcat9.service"}}, Contained, Limited, host.Launch, Limited},
	{"Text4Shell", "CVE-2022-42889", "exec", remoteAll, Component{Source: "libcommons-text-java", Units: []string{"tomcat9.service"}}, Contained, Limited, host.Utility, Limited},
	{"Confluence OGNL", "CVE-2022-26134", "exec", remoteAll, Component{Source: "confluence", Units: []string{"confluence.service"}}, Contained, Limited, host.Launch, Limited},
	{"PwnKit", "CVE-2021-4034", "priv exec overflow/cwe", localAll, Component{Source: "policykit-1", Packages: []string{"pkexec", "polkitd"}}, Prevented, Contained, host.ProcessCtl, None},
	{"Looney Tunables", "CVE-2023-4911", "overflow exec priv/cwe", localAll, Component{Source: "glibc", Packages: []string{"libc6"}}, Prevented, Contained, host.Launch, None},
	{"Baron Samedit", "CVE-2021-3156", "overflow priv", localAll, Component{Source: "sudo", Packages: []string{"sudo"}}, Prevented, Contained, host.Containing, None},
	{"sudo chroot", "CVE-2025-32463", "priv", "CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Component{Source: "sudo", Packages: []string{"sudo"}}, Prevented, Contained, host.ProcessCtl, None},
	{"nf_tables", "CVE-2024-1086", "memcorr/cwe priv", localAll, Component{Source: "linux", Kernel: true}, Prevented, Contained, host.KernelCtl, None},
	{"GameOver(lay)", "CVE-2023-2640", "priv bypass/cwe", localAll, Component{Source: "linux", Kernel: true}, Prevented, Contained, host.KernelCtl, None},
	{"GameOver(lay), the other", "CVE-2023-32629", "priv bypass/cwe", localAll, Component{Source: "linux", Kernel: true}, Prevented, Contained, host.KernelCtl, None},
	{"Heartbleed", "CVE-2014-0160", "info overflow/cwe", oldRead, Component{Source: "openssl", Units: []string{"nginx.service"}}, None, None, "", ""},
	{"Citrix Bleed", "CVE-2023-4966", "info overflow/cwe exec/cvss?", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:L", Component{Source: "netscaler", Units: []string{"netscaler.service"}}, None, None, "", ""},
	{"ZeroLogon", "CVE-2020-1472", "priv", remoteAll, Component{Source: "samba", Units: []string{"smbd.service"}}, None, None, "", ""},
	{"EternalBlue", "CVE-2017-0144", "exec", remoteAll, Component{Source: "windows", Kernel: true}, None, None, "", ""},
	{"BlueKeep", "CVE-2019-0708", "exec memcorr/cwe", remoteAll, Component{Source: "windows", Kernel: true}, None, None, "", ""},
	{"MOVEit", "CVE-2023-34362", "sqli", remoteAll, Component{Source: "moveit", Units: []string{"moveit.service"}}, Limited, None, host.Containing, None},
	{"Dirty Pipe", "CVE-2022-0847", "priv", localAll, Component{Source: "linux", Kernel: true}, None, None, "", ""},
	{"DoS only", "CVE-2023-44487", "dos", remoteStop, Component{Source: "nginx", Packages: []string{"nginx"}}, None, None, "", ""},
}

// everything contained, so that what decides is the vulnerability.
var running = []string{"bash", "nginx", "nginx.service", "tomcat9.service", "confluence.service", "netscaler.service", "smbd.service", "moveit.service"}

func TestReferenceVerdicts(t *testing.T) {
	for _, c := range reference {
		t.Run(c.name, func(t *testing.T) {
			c.component.Vulnerability = c.id
			cover := func(p host.Protection) Coverage {
				return Cover(c.component, typed(c.types), vector(c.vector), p, morning)
			}
			check := func(when string, got Coverage, want Effect, proven bool) {
				t.Helper()
				if got.Effect != want || got.Proven != proven {
					t.Errorf("%s: %s (proven %v), want %s (%v): %v", when, got.Effect, got.Proven, want, proven, got.Reasons)
				}
				if (len(got.Limits) > 0) != (want != None) || (len(got.Controls) > 0) != (want != None) || len(got.Reasons) == 0 {
					t.Errorf("%s: %s with %v, %d limits, %d reasons", when, got.Effect, got.Controls, len(got.Limits), len(got.Reasons))
				}
			}
			p := guarded(running...)
			check("in full force", cover(p), c.full, c.full != None)
			check("unproven", cover(changed(p, unproven)), c.unproven, false)
			check("without a guard", cover(host.Protection{}), None, false)
			check("only observing", cover(changed(p, observing)), None, false)
			if c.without == "" {
				return
			}
			weak := changed(p, observing, c.without)
			got := cover(weak)
			check("without "+string(c.without), got, c.weakened, c.weakened != None)
			if !strings.Contains(codesOf(got.Reasons), CodeMissing) {
				t.Errorf("without %s: nothing says what is missing: %v", c.without, got.Reasons)
			}
		})
	}
}

func TestKernelSurfaceHoldsOnlyWhereItIsRefused(t *testing.T) {
	for _, id := range []string{"CVE-2024-1086", "CVE-2023-2640", "CVE-2023-32629"} {
		c := Component{Vulnerability: id, Source: "linux", Kernel: true}
		p := guarded("nginx")
		p.Surfaces = []string{"userns"}
		if got := Cover(c, typed("priv"), vector(localAll), p, morning); got.Effect != Prevented {
			t.Errorf("%s with user namespaces refused: %s", id, got.Effect)
		}
		p.Surfaces = []string{"af_alg", "bpf"}
		if got := Cover(c, typed("priv"), vector(localAll), p, morning); got.Effect != None {
			t.Errorf("%s with user namespaces allowed: %s", id, got.Effect)
		}
	}
	// nf_tables itself is no need of whoever has the capability for it in the host.
	c := Component{Vulnerability: "CVE-2024-1086", Source: "linux", Kernel: true}
	p := guarded("openvpn@a.service")
	p.Surfaces = []string{"userns", "bpf"}
	p.Allowed = []host.AllowedSurface{{Surface: "xfrm", To: []string{"wg.service"}}, {Surface: "nf_tables", To: []string{"openvpn@.service", "/usr/sbin/dhclient"}}}
	got := Cover(c, typed("priv"), vector(localAll), p, morning)
	i := slices.IndexFunc(got.Reasons, func(r Reason) bool { return r.Code == CodeSurfaceAllowed })
	if got.Effect != None || i < 0 || !slices.Equal(got.Reasons[i].Args, []string{"nf_tables", "openvpn@.service, /usr/sbin/dhclient"}) {
		t.Errorf("with nf_tables allowed to a tunnel: %s %v", got.Effect, got.Reasons)
	}
	c.Vulnerability = "CVE-2023-2640"
	if got := Cover(c, typed("priv"), vector(localAll), p, morning); got.Effect != Prevented || strings.Contains(codesOf(got.Reasons), CodeSurfaceAllowed) {
		t.Errorf("a way that needs nothing of it: %s %v", got.Effect, got.Reasons)
	}
	unknown := Component{Vulnerability: "CVE-2099-1", Source: "linux", Kernel: true}
	if got := Cover(unknown, typed("priv"), vector(localAll), guarded("nginx"), morning); got.Effect != None || !strings.Contains(codesOf(got.Reasons), CodeKernelLocal) {
		t.Errorf("a kernel bug of unknown path: %s %v", got.Effect, got.Reasons)
	}
}

func TestBaselineTable(t *testing.T) {
	web := Component{Source: "nginx", Packages: []string{"nginx"}}
	sshd := Component{Source: "openssh", Packages: []string{"openssh-server"}, Units: []string{"ssh.service"}}
	kernel := Component{Source: "linux", Kernel: true}
	const localRead = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N"
	const remoteWrite = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"
	for _, c := range []struct {
		name      string
		component Component
		types     string
		vector    string
		want      Effect
		code      string
	}{
		{"exec", web, "exec", remoteAll, Contained, CodeExec},
		{"exec, no vector", web, "exec", "", Contained, CodeExec},
		{"exec, not contained", sshd, "exec", remoteAll, None, CodeNotContained},
		{"exec, kernel", kernel, "exec", remoteAll, None, CodeKernelNetwork},
		{"overflow", web, "overflow", remoteAll, Contained, CodeMemory},
		{"memory errors that only read", web, "memcorr", remoteRead, None, CodeOverRead},
		{"memory errors that only stop", web, "overflow dos", remoteStop, None, CodeOverRead},
		{"overflow and dos: dos does not decide", web, "overflow dos", remoteAll, Contained, CodeDoS},
		{"priv over the network", web, "priv", remoteAll, None, CodePrivApplication},
		{"priv, vector unknown", web, "priv", "", None, CodePrivApplication},
		{"priv, local, in a contained service", web, "priv", localAll, Contained, CodePrivDaemon},
		{"priv, local, in an uncontained service", sshd, "priv", localAll, None, CodePrivDaemon},
		{"priv, a refused daemon", Component{Source: "snapd"}, "priv", localAll, Prevented, CodePrivDeputy},
		{"a setuid package over the network", Component{Source: "exim4", Units: []string{"exim4.service"}}, "exec", remoteAll, None, CodeNotContained},
		{"the loader's library without priv", Component{Source: "glibc", Packages: []string{"libc6"}}, "overflow", localAll, None, CodeMemory},
		{"the loader, code executed by who has an account", Component{Source: "glibc"}, "overflow exec", localAll, Prevented, CodePrivSetuid},
		{"a setuid package, a victim lured", Component{Source: "util-linux"}, "exec", "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", None, CodeExec},
		{"priv, said to be local, that changes nothing", web, "priv", localRead, None, CodePrivApplication},
		{"info", web, "info", remoteRead, None, CodeInfoInside},
		{"traversal that reads", web, "traversal info", remoteRead, Limited, CodeTraversalRead},
		{"traversal that only writes", web, "traversal", remoteWrite, Prevented, CodeTraversalWrite},
		{"traversal that does both", web, "traversal", remoteAll, Limited, CodeTraversalRead},
		{"bypass of its own authentication", web, "bypass", remoteAll, None, CodeBypassApp},
		{"bypass of a protection", Component{Source: "apparmor"}, "bypass", localAll, Contained, CodeBypassOS},
		{"inclusion, for everybody", sshd, "inclusion", remoteAll, Prevented, CodeInclusion},
		{"sqli that reads", web, "sqli", remoteRead, None, CodeSQLi},
		{"sqli with exec", web, "sqli exec", remoteAll, Limited, CodeSQLiExec},
		{"xss", web, "xss", remoteAll, None, CodeBrowser},
		{"csrf", web, "csrf", remoteAll, None, CodeBrowser},
		{"splitting", web, "splitting", remoteAll, None, CodeBrowser},
		{"dos", web, "dos", remoteStop, None, CodeDoS},
		{"no type", web, "", remoteAll, None, CodeUntyped},
		{"kernel info", kernel, "info", localRead, None, CodeKernelOther},
		{"the weakest decides", web, "traversal bypass", remoteAll, None, CodeBypassApp},
		{"exec and info: the process is the attacker's already", web, "exec info bypass", remoteAll, Contained, CodeInsideExec},
		{"exec only inferred, info stated", web, "exec/cvss? info", remoteAll, None, CodeInfoInside},
		{"all inferred with low confidence", web, "exec/cvss?", remoteAll, Limited, CodeInferred},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Cover(c.component, typed(c.types), vector(c.vector), guarded("nginx"), morning)
			if got.Effect != c.want || !strings.Contains(codesOf(got.Reasons), c.code) {
				t.Errorf("%s for %q, want %s for %s", got.Effect, codesOf(got.Reasons), c.want, c.code)
			}
		})
	}
}

func TestInfoEvidenceTellsFilesAndOtherProcessesApart(t *testing.T) {
	web := Component{Source: "nginx", Packages: []string{"nginx"}}
	for why, want := range map[string]Effect{"read arbitrary files": Limited, "CWE-552": Limited, "memory of other processes": Prevented, "CWE-200": None} {
		got := Cover(web, []vuln.Typing{{Type: vuln.Info, Source: "text", Confidence: "high", Why: why}}, vector(remoteRead), guarded("nginx"), morning)
		if got.Effect != want {
			t.Errorf("%q: %s, want %s", why, got.Effect, want)
		}
	}
}

func TestALibraryIsContainedOnlyWhereEveryUnitThatRunsItIs(t *testing.T) {
	c := Component{Source: "openssl", Packages: []string{"libssl3"}, Units: []string{"nginx.service", "backup.service"}}
	got := Cover(c, typed("exec"), vector(remoteAll), guarded("nginx.service"), morning)
	if got.Effect != None || got.Reasons[0].Code != CodePartlyContained || got.Reasons[0].Args[0] != "backup.service" {
		t.Errorf("one of two units: %s %v", got.Effect, got.Reasons)
	}
	if got = Cover(c, typed("exec"), vector(remoteAll), guarded("nginx.service", "backup.service"), morning); got.Effect != Contained {
		t.Errorf("both units: %s", got.Effect)
	}
	c.Units = nil
	if got = Cover(c, typed("exec"), vector(remoteAll), guarded("nginx.service"), morning); got.Effect != None {
		t.Errorf("nothing runs it: %s", got.Effect)
	}
}

func TestWhatIsContainedInPartIsNotAndSaysWhichProgramsAreNot(t *testing.T) {
	p := guarded("b.service", "nginx")
	p.Partly = []host.PartlyContained{{Name: "a.service", Outside: []string{"/usr/bin/helper", "/usr/sbin/a"}}, {Name: "python3", Outside: []string{"/usr/bin/python3.11"}}}
	for _, c := range []struct {
		name      string
		component Component
		want      string // argument of the reason; "": it is contained
	}{
		{"its only service", Component{Source: "a", Units: []string{"a.service"}}, "a.service: /usr/bin/helper, a.service: /usr/sbin/a"},
		{"its only service, though its package is named", Component{Source: "nginx", Packages: []string{"nginx"}, Units: []string{"a.service"}}, "a.service: /usr/bin/helper, a.service: /usr/sbin/a"},
		{"one of two services", Component{Source: "a", Units: []string{"a.service", "b.service"}}, "a.service: /usr/bin/helper, a.service: /usr/sbin/a"},
		{"and another that nobody contains", Component{Source: "a", Units: []string{"a.service", "c.service"}}, "a.service: /usr/bin/helper, a.service: /usr/sbin/a, c.service"},
		{"its package", Component{Source: "python3.11", Packages: []string{"python3"}}, "python3: /usr/bin/python3.11"},
		{"its package, beside a service that is", Component{Source: "python3.11", Packages: []string{"python3"}, Units: []string{"b.service"}}, "python3: /usr/bin/python3.11"},
		{"neither", Component{Source: "b", Packages: []string{"b"}, Units: []string{"b.service"}}, ""},
	} {
		got := Cover(c.component, typed("exec"), vector(remoteAll), p, morning)
		said := ""
		if r := got.Reasons[0]; r.Code == CodePartlyContained {
			said = r.Args[0]
		}
		if said != c.want || (got.Effect == None) != (c.want != "") {
			t.Errorf("%s: %s, said %q, want %q: %v", c.name, got.Effect, said, c.want, got.Reasons)
		}
	}
}

// A package is named by its programs; a service that has its library loaded is another.
func TestAPackageWhoseProgramRunsContainedDoesNotAnswerForServicesThatDoNot(t *testing.T) {
	c := Component{Source: "openssl", Packages: []string{"libssl3", "openssl"}, Units: []string{"backup.service"}}
	if got := Cover(c, typed("exec"), vector(remoteAll), guarded("openssl", "nginx.service"), morning); got.Effect != None || got.Reasons[0].Code != CodeNotContained {
		t.Errorf("%s %v", got.Effect, got.Reasons)
	}
}

func TestALocalAttackerIsHeldOnlyWhereSomethingRunsContained(t *testing.T) {
	sudo := Component{Source: "sudo", Packages: []string{"sudo"}}
	got := Cover(sudo, typed("priv"), vector(localAll), guarded(), morning)
	if got.Effect != None || !strings.Contains(codesOf(got.Reasons), CodeNothingContained) {
		t.Errorf("%s %v", got.Effect, got.Reasons)
	}
	got = Cover(sudo, typed("priv"), vector(localAll), guarded("nginx"), morning)
	if got.Effect != Prevented || !strings.Contains(codesOf(got.Limits), CodeLimitLoggedIn) {
		t.Errorf("%s %v", got.Effect, got.Limits)
	}
}

func TestAProofThatIsNotInForceProvesNothing(t *testing.T) {
	web := Component{Source: "nginx", Packages: []string{"nginx"}}
	for name, spoil := range map[string]func(*host.ControlStatus){
		"expired":            func(s *host.ControlStatus) { p := *s.Proof; p.Expires = morning; s.Proof = &p },
		"another generation": func(s *host.ControlStatus) { p := *s.Proof; p.Generation = 6; s.Proof = &p },
		"another kernel":     func(s *host.ControlStatus) { p := *s.Proof; p.Kernel = "5.10"; s.Proof = &p },
		"failed":             func(s *host.ControlStatus) { p := *s.Proof; p.Passed = false; s.Proof = &p },
	} {
		got := Cover(web, typed("exec"), vector(remoteAll), changed(guarded("nginx"), spoil, host.Write), morning)
		if got.Effect != Limited || got.Proven || !strings.Contains(codesOf(got.Reasons), CodeUnproven) {
			t.Errorf("%s: %s (proven %v) %v", name, got.Effect, got.Proven, got.Reasons)
		}
	}
}

func TestCoverageNamesControlsProofsGapsAndLimits(t *testing.T) {
	p := changed(guarded("nginx"), func(s *host.ControlStatus) { s.Gaps = []string{"overlayfs lower layers: no hook on 5.14"} }, host.Write)
	p.WX = []string{"nginx"}
	got := Cover(Component{Source: "nginx", Packages: []string{"nginx"}}, typed("memcorr dos"), vector(remoteAll), p, morning)
	want := []host.Control{host.Launch, host.Write, host.Utility, host.Containing}
	if !slices.Equal(got.Controls, want) {
		t.Errorf("controls %v, want %v", got.Controls, want)
	}
	codes := codesOf(got.Reasons)
	for _, code := range []string{CodeMemory, CodeDoS, CodeWX, CodeControl, CodeGap} {
		if !strings.Contains(codes, code) {
			t.Errorf("no %s in %s", code, codes)
		}
	}
	for _, r := range got.Reasons {
		if r.Code == CodeControl && r.Args[1] != "2026-11-23T06:00:00Z" {
			t.Errorf("proof of %v", r.Args)
		}
		if r.Code == CodeGap && (r.Args[0] != "write" || !strings.Contains(r.Args[1], "overlayfs")) {
			t.Errorf("gap %v", r.Args)
		}
	}
	if limits := codesOf(got.Limits); limits != CodeLimitDaemons+" "+CodeLimitPageCache+" "+CodeLimitOwnData {
		t.Errorf("limits %s", limits)
	}
}

func TestDenialOfServiceIsSentToTheGateway(t *testing.T) {
	for _, c := range reference {
		advice := GatewayAdvice(typed(c.types))
		if wanted := strings.Contains(c.types, "dos"); wanted != (codesOf(advice) == CodeGateway) {
			t.Errorf("%s: advice %v", c.name, advice)
		}
	}
}

// TestWhatIf turns one control on, and off again: the same function, another protection.
func TestWhatIf(t *testing.T) {
	table := builtin(t, "ssvc")
	web := Component{Source: "nginx", Packages: []string{"nginx"}}
	in := guardInputs(Inputs{Exploitation: PoC, Exposure: Open, Automatable: "yes", Impact: "total", HumanImpact: "high"}, vuln.Exec)
	decide := func(p host.Protection) Action {
		d, _ := table.Guarded(table.Decide(in.Inputs), Cover(web, in.Typings, vector(remoteAll), p, morning), in)
		return d.Action
	}
	now := changed(guarded("nginx"), observing, host.Utility)
	if a := decide(now); a != OutOfCycle {
		t.Errorf("without utility: %s", a)
	}
	on := changed(now, func(s *host.ControlStatus) { s.Mode = host.Enforce }, host.Utility)
	if a := decide(on); a != Scheduled {
		t.Errorf("with utility turned on: %s", a)
	}
	if a := decide(changed(on, observing, host.Utility)); a != OutOfCycle {
		t.Errorf("turned off again: %s", a)
	}
}

// TestLessProtectionNeverCoversMore holds for every reference case and control.
func TestLessProtectionNeverCoversMore(t *testing.T) {
	for _, c := range reference {
		c.component.Vulnerability = c.id
		p := guarded(running...)
		full := Cover(c.component, typed(c.types), vector(c.vector), p, morning).Effect.rank()
		for _, control := range allControls {
			for name, change := range map[string]func(*host.ControlStatus){"observing": observing, "unproven": unproven} {
				if got := Cover(c.component, typed(c.types), vector(c.vector), changed(p, change, control), morning); got.Effect.rank() < full {
					t.Errorf("%s with %s %s: %s", c.name, control, name, got.Effect)
				}
			}
		}
	}
}

func TestEveryReasonHasATemplateForItsArguments(t *testing.T) {
	check := func(r Reason) {
		template, ok := ReasonCodes[r.Code]
		if !ok {
			t.Errorf("%s has no template", r.Code)
		}
		for i := range r.Args {
			if hole := "{" + string(rune('0'+i)) + "}"; !strings.Contains(template, hole) {
				t.Errorf("%s: %q leaves out argument %d (%v)", r.Code, template, i, r.Args)
			}
		}
		if strings.Contains(template, "{"+string(rune('0'+len(r.Args)))+"}") {
			t.Errorf("%s: %q wants more than %v", r.Code, template, r.Args)
		}
	}
	seen := map[string]bool{CodeGateway: true} // GatewayAdvice, of no arguments
	collect := func(c Component, typings []vuln.Typing, v string, p host.Protection) {
		got := Cover(c, typings, vector(v), p, morning)
		for _, r := range slices.Concat(got.Reasons, got.Limits) {
			seen[r.Code] = true
			check(r)
		}
	}
	gappy := changed(guarded(running...), func(s *host.ControlStatus) { s.Gaps = []string{"one"} })
	gappy.WX = []string{"nginx"}
	gappy.Allowed = []host.AllowedSurface{{Surface: "nf_tables", To: []string{"wg.service"}}}
	protections := []host.Protection{gappy, guarded("nginx"), guarded(), changed(gappy, unproven), changed(gappy, observing), changed(gappy, observing, host.Write), {}}
	for _, c := range reference {
		c.component.Vulnerability = c.id
		for _, p := range protections {
			collect(c.component, typed(c.types), c.vector, p)
		}
	}
	components := []Component{{Source: "nginx", Packages: []string{"nginx"}}, {Source: "linux", Kernel: true}, {Source: "snapd"}, {Source: "apparmor"},
		{Source: "openssl", Units: []string{"nginx.service", "backup.service"}}}
	for _, c := range components {
		for _, p := range protections {
			for _, v := range []string{"", remoteAll, localAll, remoteRead, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N"} {
				for _, one := range vuln.Types {
					collect(c, typed(string(one)), v, p)
				}
				collect(c, typed("exec info"), v, p)
				collect(c, typed("exec?"), v, p)
				collect(c, nil, v, p)
				for _, why := range []string{"another process", "local file"} {
					collect(c, []vuln.Typing{{Type: vuln.Info, Why: why, Confidence: "high"}}, v, p)
				}
			}
		}
	}
	for code := range ReasonCodes {
		if (strings.HasPrefix(code, "coverage.") || strings.HasPrefix(code, "limit.") || strings.HasPrefix(code, "advice.")) && !seen[code] {
			t.Errorf("nothing says %s", code)
		}
	}
}

func BenchmarkCoverAndDecide(b *testing.B) {
	table := builtin(b, "ssvc")
	web := Component{Vulnerability: "CVE-2021-44228", Source: "nginx", Packages: []string{"nginx"}}
	in := guardInputs(Inputs{Exploitation: PoC, Exposure: Open, Automatable: "yes", HumanImpact: "high"}, vuln.Exec, vuln.DoS)
	for name, p := range map[string]host.Protection{"guarded": guarded("nginx"), "bare": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Guarded(table.Decide(in.Inputs), Cover(web, in.Typings, vector(remoteAll), p, morning), in)
			}
		})
	}
}
