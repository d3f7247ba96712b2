package triage

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// listed is a vulnerability of a product, by a CPE, a text and a vector, published in a year.
func listed(id, cpe, text, vector string, year int) vuln.Vulnerability {
	r := vuln.Record{Source: "nvd", ID: id, Published: time.Date(year, 5, 1, 0, 0, 0, 0, time.UTC), Texts: []vuln.Text{{Lang: "en", Details: text}},
		Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: cpe, Vulnerable: true}}}}}}}
	if vector != "" {
		r.Severities = []vuln.Severity{{Source: "nvd", Vector: vector}}
	}
	return vuln.Vulnerability{ID: id, Records: []vuln.Record{r}}
}

const (
	gateSystem = "cpe:2.3:o:gate:gate_os:-:*:*:*:*:*:*:*"
	gateServer = "cpe:2.3:a:gate:gate_server:-:*:*:*:*:*:*:*"
)

func table4(t *testing.T, product, rules string, p host.Protection, list ...vuln.Vulnerability) CoverageTable {
	t.Helper()
	q := CoverageQuestion{TypeQuestion: TypeQuestion{Product: product, Rules: rules, Source: "nvd", From: 2019, To: 2019}, Protection: p, Now: morning}
	table, err := BuildCoverageTable(q, slices.Values(list))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// brief is a row as one line.
func brief(r CoverageRow) string {
	return fmt.Sprintf("%d: %d = %dp %dc %dl %dn %d?, sum %d %.1f, covered %.1f", r.Year, r.Distinct, r.Prevented, r.Contained, r.Limited, r.None, r.Untyped,
		r.Sum, r.OverlappingSumPercent, r.DistinctPercent)
}

func TestTable4CountsEveryVulnerabilityOnceAndTheSumBesideIt(t *testing.T) {
	list := []vuln.Vulnerability{
		listed("CVE-2019-0001", gateSystem, "A heap overflow lets remote attackers execute arbitrary code.", remoteAll, 2019),
		listed("CVE-2019-0002", gateSystem, "Users gain privileges.", localAll, 2019),
		listed("CVE-2019-0003", gateSystem, "Attackers bypass a protection.", "", 2019),
		listed("CVE-2019-0004", gateSystem, "Attackers obtain sensitive information.", remoteRead, 2019),
		listed("CVE-2019-0005", gateSystem, "A denial of service.", remoteStop, 2019),
		listed("CVE-2019-0006", gateSystem, "Directory traversal.", remoteRead, 2019),
		listed("CVE-2019-0007", gateSystem, "File inclusion.", remoteAll, 2019),
		listed("CVE-2019-0008", gateSystem, "Something happens.", "", 2019),
		listed("CVE-2019-0009", gateSystem, "A heap overflow and a denial of service.", remoteAll, 2019),
		listed("CVE-2019-0010", gateSystem, "Attackers bypass a protection and obtain sensitive information.", remoteRead, 2019),
	}
	got := table4(t, "gate os", FullRules, FullProtection(morning), list...)
	// covered: 1 (exec, overflow), 2 (priv), 3 (bypass), 7 (inclusion), 9 (overflow); 10's
	// disclosure is not, though its bypass is a covered type.
	want := "2019: 10 = 1p 4c 1l 3n 1?, sum 7 70.0, covered 50.0"
	if len(got.Rows) != 1 || brief(got.Rows[0]) != want {
		t.Errorf("%s\nwant %s", brief(got.Rows[0]), want)
	}
	if r := got.Rows[0]; r.Distinct != r.Prevented+r.Contained+r.Limited+r.None+r.Untyped {
		t.Errorf("the effects do not add up: %s", brief(r))
	}
	if dos := got.Rows[0].Types[vuln.DoS]; dos[None] != 2 || len(dos) != 1 {
		t.Errorf("denial of service is covered: %v", dos)
	}
	if got := table4(t, "gate os", FullRules, host.Protection{}, list...).Rows[0]; brief(got) != "2019: 10 = 0p 0c 0l 9n 1?, sum 0 0.0, covered 0.0" {
		t.Errorf("without a guard: %s", brief(got))
	}
	without := changed(FullProtection(morning), observing, host.Utility, host.Launch)
	if got := table4(t, "gate os", FullRules, without, list...).Rows[0]; got.Contained+got.Prevented != 0 || got.Limited == 0 {
		t.Errorf("without utility and launch: %s", brief(got))
	}
}

func TestTable4KnowsAnOperatingSystemAnApplicationAndAKernel(t *testing.T) {
	bypass := "Attackers bypass a protection."
	for cpe, want := range map[string]Effect{gateSystem: Contained, gateServer: None} {
		product := vuln.CPEProduct(cpe)
		r := table4(t, product, FullRules, FullProtection(morning), listed("CVE-2019-0001", cpe, bypass, "", 2019)).Rows[0]
		if r.Types[vuln.Bypass][want] != 1 {
			t.Errorf("bypass of %s: %s, want %s", product, brief(r), want)
		}
	}
	const kernel = "cpe:2.3:o:linux:linux_kernel:*:*:*:*:*:*:*:*"
	r := table4(t, "linux_kernel", FullRules, FullProtection(morning), listed("CVE-2019-0001", kernel, "Lets attackers execute arbitrary code.", remoteAll, 2019),
		listed("CVE-2024-1086", kernel, "Local users gain privileges.", localAll, 2019)).Rows[0]
	if brief(r) != "2019: 2 = 1p 0c 0l 1n 0?, sum 1 50.0, covered 50.0" {
		t.Errorf("a kernel: %s", brief(r))
	}
}

func TestJudgedOneByOneIsStricterAboutVectorsAndTheKernel(t *testing.T) {
	list := []vuln.Vulnerability{
		listed("CVE-2019-0001", gateSystem, "Attackers execute arbitrary code.", remoteAll, 2019),
		listed("CVE-2019-0002", gateSystem, "Users gain privileges in the kernel.", localAll, 2019),
		listed("CVE-2019-0003", gateSystem, "A heap overflow.", remoteRead, 2019),
		listed("CVE-2019-0004", gateSystem, "Users gain privileges.", remoteAll, 2019),
	}
	r := table4(t, "gate os", FullRules, FullProtection(morning), list...).Rows[0]
	if r.Covered() != 4 {
		t.Errorf("by type %s", brief(r))
	}
	if diff := cmp.Diff(map[Effect]int{Contained: 1, None: 3}, r.Each); diff != "" {
		t.Errorf("one by one (-want +got)\n%s", diff)
	}
}

func TestTheJSONOfACoverageTableHasExactlyItsKeys(t *testing.T) {
	table := table4(t, "gate os", CVEDetailsRules, FullProtection(morning), listed("CVE-2019-0001", gateSystem, "Attackers execute arbitrary code.", remoteAll, 2019))
	text, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"product":"gate os","rules":"cvedetails","rows":[{"year":2019,"distinct":1,"prevented":0,"contained":1,"limited":0,"none":0,"untyped":0,` +
		`"overlapping_sum_percent":100,"distinct_percent":100}]}`
	if string(text) != want {
		t.Errorf("%s\nwant %s", text, want)
	}
}

func TestTable3FollowsTheControlsInForce(t *testing.T) {
	line := func(p host.Protection, code string) Coverage {
		for _, e := range EffectsByType(p, morning) {
			if e.Reasons[0].Code == code {
				return e.Coverage
			}
		}
		t.Fatalf("no line %s", code)
		return Coverage{}
	}
	full := FullProtection(morning)
	for code, want := range map[string]Effect{CodeExec: Contained, CodeMemory: Contained, CodePrivSetuid: Prevented, CodePrivDeputy: Prevented, CodeKernelSurface: Prevented,
		CodeKernelNetwork: None, CodeKernelLocal: None, CodeInfoFiles: Limited, CodeInfoProcess: Prevented, CodeInfoInside: None, CodeBypassOS: Contained, CodeBypassApp: None,
		CodeTraversalRead: Limited, CodeTraversalWrite: Prevented, CodeInclusion: Prevented, CodeSQLi: None, CodeBrowser: None, CodeDoS: None} {
		got := line(full, code)
		if got.Effect != want || got.Proven != (want != None) || (len(got.Controls) > 0) != (want != None) {
			t.Errorf("%s: %s (proven %v, %v), want %s", code, got.Effect, got.Proven, got.Controls, want)
		}
	}
	if got := line(changed(full, unproven, host.Write), CodeExec); got.Effect != Limited || got.Proven || !strings.Contains(codesOf(got.Reasons), CodeUnproven) {
		t.Errorf("exec with writing unproven: %s %v", got.Effect, got.Reasons)
	}
	if got := line(changed(full, observing, host.Launch), CodeInclusion); got.Effect != None || !strings.Contains(codesOf(got.Reasons), CodeMissing) {
		t.Errorf("inclusion without launch: %s %v", got.Effect, got.Reasons)
	}
	counted := map[vuln.Type]int{}
	none := full
	none.Surfaces = nil // of a kernel that lacks every hook that would ask
	for _, e := range EffectsByType(none, morning) {
		if strings.Contains(codesOf(e.Reasons), CodeKernelSurface) && e.Effect != None {
			t.Errorf("no surface is refused, and what needs one is %s", e.Effect)
		}
	}
	for _, e := range EffectsByType(full, morning) {
		if e.Counts != "" {
			for _, typ := range e.Types {
				counted[typ]++
			}
		}
	}
	for _, typ := range vuln.Types {
		if want := 1 + one(typ == vuln.Bypass); counted[typ] != want { // of systems and of applications
			t.Errorf("%s has %d lines that count, want %d", typ, counted[typ], want)
		}
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestAFleetCountsAVulnerabilityOnceWithItsWeakestEffect(t *testing.T) {
	records := fakeRecords{rated("CVE-2025-0001", "Debian:12", "demo", "", codeExecution, remoteAll, nil), rated("CVE-2024-0001", "Debian:12", "demo", "", "A denial of service.", remoteStop, nil),
		rated("CVE-2024-0002", "Debian:12", "demo", "", "", "", nil), rated("CVE-2024-0003", "Debian:12", "lib", "", codeExecution, remoteAll, nil)}
	for i, year := range []int{2025, 2024, 2024, 2024} {
		records[i].Published = time.Date(year, 5, 1, 0, 0, 0, 0, time.UTC)
	}
	lib := web()
	lib.Packages[0].Name, lib.Packages[0].Source, lib.Processes[0].Package, lib.Processes[0].Unit = "lib", "lib", "lib", "lib.service"
	e := engineAt(t, "ssvc", records)
	table := func(hosts ...host.Protection) CoverageTable {
		var all FleetCoverage
		for i, p := range hosts {
			inv := web()
			if i == 2 {
				inv = lib
			}
			v, err := e.Judge(t.Context(), inv, p)
			if err != nil {
				t.Fatal(err)
			}
			all.Add(e, v.Findings)
		}
		return all.Table([]string{"a", "b"})
	}
	full := inForce("demo", "demo.service", "lib.service")
	for name, c := range map[string]struct {
		hosts []host.Protection
		want  string
	}{
		"one guarded host":          {[]host.Protection{full}, "2024: 2 = 0p 0c 0l 1n 1?, sum 0 0.0, covered 0.0 | 2025: 1 = 0p 1c 0l 0n 0?, sum 1 100.0, covered 100.0"},
		"guarded, and not":          {[]host.Protection{full, {}}, "2024: 2 = 0p 0c 0l 1n 1?, sum 0 0.0, covered 0.0 | 2025: 1 = 0p 0c 0l 1n 0?, sum 0 0.0, covered 0.0"},
		"guarded twice and another": {[]host.Protection{full, full, full}, "2024: 3 = 0p 1c 0l 1n 1?, sum 1 33.3, covered 33.3 | 2025: 1 = 0p 1c 0l 0n 0?, sum 1 100.0, covered 100.0"},
		"nobody":                    {nil, ""},
	} {
		got := table(c.hosts...)
		var rows []string
		for _, r := range got.Rows {
			rows = append(rows, brief(r))
			if r.Each != nil {
				t.Errorf("%s: judged one by one, as if hosts were not known", name)
			}
		}
		if strings.Join(rows, " | ") != c.want || got.Hosts != len(c.hosts) {
			t.Errorf("%s: %d hosts\n%s\nwant\n%s", name, got.Hosts, strings.Join(rows, " | "), c.want)
		}
	}
}

func TestEveryRecordIsHeardAlsoThatNamesNoAffectedVersion(t *testing.T) {
	records := fakeRecords{about("CVE-2026-0001", "Debian:12", "demo", "1.1-1"), about("DSA-1", "Debian:12", "demo", "0.9-1"), about("CVE-2026-0001", "Debian:11", "demo", ""),
		about("CVE-2026-0002", "Debian:12", "demo", "2"), about("CVE-2026-0001", "Debian:12", "other", "")}
	records[1].Vulnerabilities = []string{"CVE-2026-0001"}
	e := engineAt(t, "ssvc", records)
	got, err := e.Hear(t.Context(), web(), "CVE-2026-0001")
	if err != nil {
		t.Fatal(err)
	}
	want := []Heard{
		{Source: "osv/test", Record: "CVE-2026-0001", Package: "demo", Version: "1.0-1", Fixed: "1.1-1", Affected: true},
		{Source: "osv/test", Record: "DSA-1", Package: "demo", Version: "1.0-1", Fixed: "0.9-1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if none, err := e.Hear(t.Context(), web(), "CVE-2026-9999"); err != nil || none == nil || len(none) != 0 {
		t.Errorf("of one nobody names: %v, %v", none, err)
	}
}
