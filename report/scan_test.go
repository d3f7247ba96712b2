package report

import (
	"fmt"
	"time"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// The scans the tests print: a small one with every kind of line in it, one with
// thousands of findings, and one whose texts do their worst.

var morning = time.Date(2026, 11, 23, 7, 0, 0, 0, time.FixedZone("JST", 9*3600))

func day(n int) *time.Time {
	t := morning.AddDate(0, 0, n)
	return &t
}

func reason(step, code string, args ...string) triage.Reason {
	return triage.Reason{Step: step, Code: code, Args: args, Text: step + ": " + fmt.Sprint(args)}
}

func smallScan() triage.Scan {
	findings := []triage.Finding{
		{
			ID: "CVE-2030-0103", SourcePackage: "gatehttp", SourceVersion: "2.4.1-3", FixedVersion: "2.4.1-3+deb12u1", Packages: []string{"gatehttp", "gatehttp-common"},
			Title: "gatehttp: request smuggling through a folded header", Score: 7.5, Severity: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N",
			Types: []vuln.Type{vuln.Bypass}, Exploitation: "poc", Exposure: "open", Decision: triage.OutOfCycle, Deadline: day(14), Coverage: triage.None,
			Table: "ssvc", Row: "poc/open/yes/high", FirstSeen: morning, Automatable: "yes", Impact: "partial",
			Reasons: []triage.Reason{reason("match", triage.CodeMatchRange, "DSA-9001-1", "gatehttp", "2.4.1-3", "0 ≤ v < 2.4.1-3+deb12u1", "source"), reason("exposure", triage.CodeExposureListens, "gatehttp", "0.0.0.0:443", "open")},
		},
		{
			ID: "CVE-2030-0101", SourcePackage: "gatehttp", SourceVersion: "2.4.1-3", FixedVersion: "2.4.1-3+deb12u2", Packages: []string{"gatehttp", "gatehttp-common"},
			Title: "gatehttp: heap overflow while decoding chunks <script>", Score: 9.8, Severity: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", EPSS: 0.91, KEV: true,
			Types: []vuln.Type{vuln.Exec, vuln.Overflow}, Typings: []vuln.Typing{{Type: vuln.Exec, Source: "text", Confidence: "high", Why: "execute arbitrary code"}},
			Exploitation: "active", Exposure: "open", Decision: triage.Immediate, Deadline: day(1), Coverage: triage.Contained, Unguarded: triage.Immediate,
			Table: "ssvc", Row: "active/open/yes/high", FirstSeen: morning, Automatable: "yes", Impact: "total",
			Stages: &triage.Coverage{Effect: triage.Contained, Controls: []host.Control{host.Launch, host.Utility}, Proven: true,
				Reasons: []triage.Reason{reason("coverage", triage.CodeExec, "exec, overflow", "contained")}, Limits: []triage.Reason{reason("coverage", triage.CodeLimitDaemons)}},
			Matches: []triage.Match{{Source: "osv/debian", Record: "DSA-9001-1", Ecosystem: "Debian:12", Package: "gatehttp", Version: "2.4.1-3", Range: "0 ≤ v < 2.4.1-3+deb12u2", Fixed: "2.4.1-3+deb12u2", Method: "source"}},
			Reasons: []triage.Reason{reason("exploitation", triage.CodeExploitKEV, "2026-11-20"), reason("exposure", triage.CodeExposureListens, "gatehttp", "0.0.0.0:443", "open"), reason("coverage", triage.CodeExec, "exec, overflow", "contained")},
		},
		{
			ID: "CVE-2030-0200", SourcePackage: "lib鍵束", SourceVersion: "1:3.0.2-1", Packages: []string{"libkeys3"}, Title: "information leak in the keyring library", TitleJA: "鍵束ライブラリにおける情報漏えいの脆弱性",
			Score: 5.9, Types: []vuln.Type{vuln.Info}, Exploitation: "none", Exposure: "controlled", Decision: triage.Scheduled, Deadline: day(60), Coverage: triage.Limited,
			Matches: []triage.Match{{Source: "osv/debian", Record: "CVE-2030-0200", Ecosystem: "Debian:12", Package: "lib鍵束", Version: "1:3.0.2-1", Range: "0 ≤ v", Method: "source", Status: "under_investigation"}},
			Reasons: []triage.Reason{reason("decision", triage.CodeDecisionRow, "ssvc", "exploitation=none, exposure=controlled, automatable=no, human-impact=high", "scheduled")},
		},
		{
			ID: "CVE-2030-0300", SourcePackage: "linux", SourceVersion: "6.1.90-1", FixedVersion: "6.1.99-1", Packages: []string{"linux-image-6.1.0-21-amd64"}, State: "reboot-needed",
			Score: 7.8, Types: []vuln.Type{vuln.MemCorr, vuln.Priv}, Exploitation: "poc", Exposure: "small", Decision: triage.Scheduled, Unguarded: triage.OutOfCycle, Deadline: day(60), Coverage: triage.Prevented,
			Severity: "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
			Stages: &triage.Coverage{Effect: triage.Prevented, Controls: []host.Control{host.KernelCtl}, Proven: true,
				Reasons: []triage.Reason{reason("coverage", triage.CodeKernelSurface, "memcorr, priv", "prevented", "userns, nf_tables")}, Limits: []triage.Reason{reason("coverage", triage.CodeLimitDaemons), reason("coverage", triage.CodeLimitPageCache)}},
			Reasons: []triage.Reason{reason("coverage", triage.CodeKernelSurface, "memcorr, priv", "prevented", "userns, nf_tables")},
		},
		{
			ID: "CVE-2030-0400", SourcePackage: "sudoku", SourceVersion: "1.9-2", FixedVersion: "1.9-3", Packages: []string{"sudoku"}, Score: 7.8, Types: []vuln.Type{vuln.Priv},
			Exploitation: "none", Exposure: "small", Decision: triage.Defer, Coverage: triage.Prevented, Unguarded: triage.Scheduled,
			Stages:  &triage.Coverage{Effect: triage.Prevented, Controls: []host.Control{host.ProcessCtl, host.Launch}, Proven: true, Reasons: []triage.Reason{reason("coverage", triage.CodePrivSetuid, "priv", "prevented")}},
			Reasons: []triage.Reason{reason("coverage", triage.CodePrivSetuid, "priv", "prevented")},
		},
		{
			ID: "DSA-9002-1", SourcePackage: "sudoku", SourceVersion: "1.9-2", Packages: []string{"sudoku"}, Exploitation: "none", Exposure: "small", Decision: triage.Defer, Coverage: triage.Prevented,
			Stages:  &triage.Coverage{Effect: triage.Prevented, Controls: []host.Control{host.ProcessCtl}, Proven: false},
			Reasons: []triage.Reason{reason("decision", triage.CodeDecisionRow, "ssvc", "exploitation=none, exposure=controlled, automatable=no, human-impact=high", "scheduled")},
		},
	}
	return triage.Scan{
		Host: host.Host{ID: "0123abcd", Name: "web01", Arch: "amd64", Importance: "high", OS: host.OS{ID: "debian", VersionID: "12", Codename: "bookworm", Name: "Debian GNU/Linux 12 (bookworm)"}},
		At:   morning, Findings: findings,
		NotJudged: []triage.NotJudged{
			{What: "in-house-agent", Version: "4.2", Reason: reason("match", triage.CodeSkipComponent, "in-house-agent")},
			{What: "vendor-tool", Version: "1.0-1", Reason: reason("match", triage.CodeSkipComponent, "vendor-tool")},
			{What: "kernel", Version: "6.1.0-self", Reason: reason("match", triage.CodeSkipKernel, "6.1.0-self")},
		},
		Totals: triage.Totals{Packages: 412, SourcePackages: 301, Findings: 6, Vulnerabilities: 6, Decisions: map[triage.Action]int{triage.Immediate: 1, triage.OutOfCycle: 1, triage.Scheduled: 2, triage.Defer: 2},
			Types: map[vuln.Type]int{vuln.Exec: 1, vuln.Overflow: 1, vuln.Bypass: 1, vuln.Info: 1, vuln.MemCorr: 1, vuln.Priv: 2}, Untyped: 1, Fixable: 4, NotJudged: 3},
		Protection: host.Protection{Generation: 7, Kernel: "6.1.0-21-amd64", Tier: "bpf-lsm", Reported: morning, Controls: []host.ControlStatus{{Control: host.Launch, Mode: host.Enforce}}},
	}
}

func smallFeeds() []feed.SourceStatus {
	return []feed.SourceStatus{
		{Source: "osv/debian", Files: 1, Records: 43945, Rejected: 3, Imported: morning.Add(-time.Hour), Newest: morning.Add(-90 * time.Minute)},
		{Source: "kev", Files: 1, Records: 1404, Imported: morning.Add(-time.Hour), Newest: morning.AddDate(0, 0, -90)},
	}
}

// manyScan has n findings in about n/8 packages, most of them not urgent.
func manyScan(n int) triage.Scan {
	scan := smallScan()
	scan.Findings = nil
	for i := range n {
		f := triage.Finding{ID: fmt.Sprintf("CVE-2030-%05d", i), SourcePackage: fmt.Sprintf("package-%03d", i*7919%(n/8+1)), SourceVersion: "1.0-1", FixedVersion: "1.0-2",
			Packages: []string{"p"}, Score: float64(i%100) / 10, Types: []vuln.Type{vuln.Types[i%len(vuln.Types)]}, Exploitation: "none", Exposure: "small", Decision: triage.Defer,
			Reasons: []triage.Reason{reason("exposure", triage.CodeExposureIdle)}}
		switch {
		case i%600 == 0:
			f.Decision, f.Deadline = triage.Immediate, day(1)
		case i%150 == 0:
			f.Decision, f.Deadline = triage.OutOfCycle, day(14)
		case i%3 == 0:
			f.Decision, f.Deadline = triage.Scheduled, day(60)
		}
		if i%5 == 0 {
			f.FixedVersion = ""
		}
		scan.Findings = append(scan.Findings, f)
	}
	for i := range 400 {
		scan.NotJudged = append(scan.NotJudged, triage.NotJudged{What: fmt.Sprintf("odd-%d", i), Version: "1", Reason: reason("match", triage.CodeSkipComponent, "a component")})
	}
	scan.Totals = triage.Totals{Packages: 2000, SourcePackages: 1200, Findings: n, Vulnerabilities: n, Fixable: n * 4 / 5, NotJudged: 400}
	return scan
}

const (
	longWord  = "a-package-name-that-somebody-generated-from-a-build-path-and-never-looked-at-again-0123456789"
	wideTitle = "非常に長い題名を持つ脆弱性：リモートの第三者によって細工された要求を処理することで任意のコードを実行される「可能性」があります。"
	combining = "e\u0301e\u0301か\u3099か\u3099\u200d\u200d👩\u200d💻𠮷野家"
	hostile   = "\x1b[31mred\x1b[0m\r\nsecond line\u202Eesrever\x00\xff"
)

// nastyScan puts the worst texts everywhere a text can come from outside.
func nastyScan() triage.Scan {
	scan := smallScan()
	worst := []string{longWord, wideTitle, combining, hostile, ""}
	scan.Host.Name, scan.Host.OS.Name = longWord, wideTitle
	for i := range 25 {
		w := func(n int) string { return worst[(i+n)%len(worst)] }
		scan.Findings = append(scan.Findings, triage.Finding{ID: "X" + w(0), SourcePackage: w(1), SourceVersion: w(2), FixedVersion: w(3), Title: w(4), Score: 10,
			Types: append([]vuln.Type{vuln.Type(w(0))}, vuln.Types...), Exploitation: w(1), Exposure: w(2), Decision: triage.Action(w(3)), State: w(i / 5), Deadline: day(i),
			Coverage: triage.Effect(w(4)), Stages: &triage.Coverage{Limits: []triage.Reason{reason("coverage", w(0), w(1))}},
			Reasons: []triage.Reason{reason("exposure", w(1), w(2), w(3)), {Step: "coverage", Code: w(2), Text: w(0)}}})
		scan.NotJudged = append(scan.NotJudged, triage.NotJudged{What: w(0), Version: w(1), Reason: triage.Reason{Code: w(2), Text: w(3)}})
	}
	return scan
}
