package triage

import (
	"slices"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

func TestTheSourceVersionIsComparedNotTheBinarys(t *testing.T) {
	// The binary was rebuilt (+b4): its version is above the fix, its source is not.
	inv := debian(pkg("libdemo1", "1.2-1+b4", "demo", "1.2-1"))
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:12", "demo", "1.2-1+b1")), "CVE-1 demo 1.2-1")
	// The binary has an epoch of its own and would look far newer.
	inv = debian(pkg("demo-tools", "9:1.0", "demo", "1.0-1"))
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:12", "demo", "1.1-1")), "CVE-1 demo 1.0-1")
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:12", "demo-tools", "10:1.1-1")))
}

func TestTwoInstalledVersionsOfOneSourceAreTwoFindings(t *testing.T) {
	inv := debian(pkg("libold", "1.0-1", "demo", "1.0-1"), pkg("libnew", "1.1-1", "demo", "1.1-1"))
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:12", "demo", "2.0-1")), "CVE-1 demo 1.0-1", "CVE-1 demo 1.1-1")
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:12", "demo", "1.1-1")), "CVE-1 demo 1.0-1")
}

func TestBinariesOfOneSourceAreOneFinding(t *testing.T) {
	inv := debian(pkg("demo-b", "1.0-1", "demo", "1.0-1"), pkg("other", "1", "other", "1"), pkg("demo-a", "1.0-1", "demo", "1.0-1"))
	s := scan(t, inv, about("CVE-1", "Debian:12", "demo", "2.0-1"))
	wantFound(t, s, "CVE-1 demo 1.0-1")
	if got := s.Findings[0].Packages; !slices.Equal(got, []string{"demo-a", "demo-b"}) {
		t.Errorf("packages %q", got)
	}
}

func TestAnotherReleaseDoesNotCount(t *testing.T) {
	inv := debian(pkg("demo", "1.0-1", "demo", "1.0-1"))
	wantFound(t, scan(t, inv, about("CVE-1", "Debian:11", "demo", "2.0-1"), about("CVE-2", "Ubuntu:22.04:LTS", "demo", "2.0-1")))
}

func TestAnAdvisoryAndItsVulnerabilityAreOneFinding(t *testing.T) {
	advisory := about("DSA-1-1", "Debian:12", "demo", "1.1-1")
	advisory.Vulnerabilities = []string{"CVE-1", "CVE-2"}
	s := scan(t, debian(pkg("demo", "1.0-1", "demo", "1.0-1")), about("CVE-1", "Debian:12", "demo", "1.2-1"), advisory)
	wantFound(t, s, "CVE-1 demo 1.0-1", "CVE-2 demo 1.0-1")
	for _, f := range s.Findings {
		if f.ID == "CVE-1" && (len(f.Matches) != 2 || f.Matches[0].Record != "CVE-1" || f.FixedVersion != "1.2-1") {
			t.Errorf("CVE-1: matches %+v, fixed %s; want both records, its own first, and the fix that satisfies both", f.Matches, f.FixedVersion)
		}
	}
}

func TestUnaffectedWithdrawnAndRejectedAreNoFindings(t *testing.T) {
	spared := about("CVE-1", "Debian:12", "demo", "")
	spared.Affected[0].Status = "not_affected"
	withdrawn := about("CVE-2", "Debian:12", "demo", "")
	withdrawn.Withdrawn = now
	rejected := vuln.Record{Source: "nvd", ID: "CVE-3", Rejected: true}
	never := about("CVE-4", "Debian:12", "demo", "0")
	advisory := about("DSA-3-1", "Debian:12", "demo", "")
	advisory.Vulnerabilities = []string{"CVE-3"}
	wantFound(t, scan(t, debian(pkg("demo", "1.0-1", "demo", "1.0-1")), spared, withdrawn, advisory, rejected, never))
}

func TestDistributionRangesBeatNVDRangesOnDistributionPackages(t *testing.T) {
	// NVD says everything below 2.0; the distribution fixed it in 1.0-1+deb12u1.
	nvd := vuln.Record{Source: "nvd", ID: "CVE-1", Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{
		{CPE: "cpe:2.3:a:acme:demo:*:*:*:*:*:*:*:*", Vulnerable: true, EndExcluding: "2.0"}}}}}}}
	p := pkg("demo", "1.0-1+deb12u1", "demo", "1.0-1+deb12u1")
	p.CPE = "cpe:2.3:a:acme:demo:1.0:*:*:*:*:*:*:*"
	wantFound(t, scan(t, debian(p), about("CVE-1", "Debian:12", "demo", "1.0-1+deb12u1"), nvd))
}

func TestComponentsWithoutDistributionAreMatchedByCPEAndSaySo(t *testing.T) {
	record := func(id string, vulnerable bool, end string) vuln.Record {
		return vuln.Record{Source: "nvd", ID: id, Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{
			{CPE: "cpe:2.3:a:acme:demo:*:*:*:*:*:*:*:*", Vulnerable: vulnerable, EndExcluding: end}}}}}}}
	}
	inv := debian()
	inv.Packages = []host.Package{
		{Name: "demo", Version: "1.5", Source: "demo", SourceVersion: "1.5", Kind: "component", CPE: "cpe:2.3:a:acme:demo:1.5:*:*:*:*:*:*:*"},
		{Name: "mystery", Version: "1", Source: "mystery", SourceVersion: "1", Kind: "component"}}
	s := scan(t, inv, record("CVE-1", true, "2.0"), record("CVE-2", true, "1.5"), record("CVE-3", false, "2.0"), about("CVE-4", "Debian:12", "demo", ""))
	wantFound(t, s, "CVE-1 demo 1.5")
	if f := s.Findings[0]; f.Matches[0].Method != "cpe" || f.Reasons[0].Code != CodeMatchCPE || f.FixedVersion != "2.0" {
		t.Errorf("finding %+v does not say that it rests on a CPE", f)
	}
	if !skipped(s, CodeSkipComponent) {
		t.Errorf("a component nothing can match is not told: %+v", s.NotJudged)
	}
}

func TestOnlyTheRunningKernelIsJudged(t *testing.T) {
	image := func(release, version string) host.Package {
		return pkg("linux-image-"+release, version, "linux-signed-amd64", version+"+1")
	}
	inv := debian(image("6.1.0-20-amd64", "6.1.85-1"), image("6.1.0-21-amd64", "6.1.90-1"), image("6.1.0-22-amd64", "6.1.94-1"))
	inv.Kernel = host.Kernel{Running: "6.1.0-21-amd64", RunningPackage: "linux-image-6.1.0-21-amd64", Installed: []host.InstalledKernel{
		{Release: "6.1.0-20-amd64", Package: "linux-image-6.1.0-20-amd64", Version: "6.1.85-1"},
		{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.90-1"},
		{Release: "6.1.0-22-amd64", Package: "linux-image-6.1.0-22-amd64", Version: "6.1.94-1"}}}
	records := []vuln.Record{
		about("CVE-1", "Debian:12", "linux", "6.1.90-1"), // only the oldest has it
		about("CVE-2", "Debian:12", "linux", "6.1.94-1"), // the installed newest is fixed
		about("CVE-3", "Debian:12", "linux", "6.1.99-1"),
	}
	s := scan(t, inv, records...)
	wantFound(t, s, "CVE-2 linux 6.1.90-1 reboot-needed", "CVE-3 linux 6.1.90-1")
	inv.Kernel.Running = "6.1.0-22-amd64"
	wantFound(t, scan(t, inv, records...), "CVE-3 linux 6.1.94-1")
	inv.Kernel.Running = "" // a mounted root: what would be booted
	wantFound(t, scan(t, inv, records...), "CVE-3 linux 6.1.94-1")
	inv.Kernel.Running = "6.18.0-hypervisor"
	s = scan(t, inv, records...)
	wantFound(t, s)
	if !skipped(s, CodeSkipKernel) {
		t.Error("a running kernel of no package is not told")
	}
}

func TestAHostWithoutANewerKernelDoesNotBorrowAnothersReboot(t *testing.T) {
	image := pkg("linux-image-a", "1", "linux", "1")
	next := pkg("linux-image-b", "2", "linux", "2")
	installed := []host.InstalledKernel{{Release: "a", Package: "linux-image-a", Version: "1"}, {Release: "b", Package: "linux-image-b", Version: "2"}}
	both, one := debian(image, next), debian(image)
	both.Kernel = host.Kernel{Running: "a", Installed: installed}
	one.Kernel = host.Kernel{Running: "a", Installed: installed[:1]}
	table, _ := BuiltinTable("ssvc")
	e, err := NewEngine(t.Context(), fakeRecords{about("CVE-1", "Debian:12", "linux", "2"), about("CVE-2", "Debian:12", "linux", "")}, table, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		inv  *host.Inventory
		want []string
	}{{both, []string{"CVE-1 linux 1 reboot-needed", "CVE-2 linux 1"}}, {one, []string{"CVE-1 linux 1", "CVE-2 linux 1"}}, {both, []string{"CVE-1 linux 1 reboot-needed", "CVE-2 linux 1"}}} {
		s, err := e.Scan(t.Context(), c.inv, host.Protection{}, now)
		if err != nil {
			t.Fatal(err)
		}
		wantFound(t, s, c.want...)
	}
}

func TestKernelHeadersAreNoRunningCode(t *testing.T) {
	inv := debian(pkg("linux-libc-dev", "6.1.90-1", "linux", "6.1.90-1"))
	s := scan(t, inv, about("CVE-1", "Debian:12", "linux", ""))
	wantFound(t, s, "CVE-1 linux 6.1.90-1")
	f := s.Findings[0]
	if f.Exposure != Small || !slices.ContainsFunc(f.Reasons, func(r Reason) bool { return r.Code == CodeParts }) {
		t.Errorf("headers: exposure %s, reasons %+v", f.Exposure, f.Reasons)
	}
}

func TestAProcessThatRunsTheOldLibraryNeedsARestart(t *testing.T) {
	inv := debian(pkg("libssl3", "3.0.13-1", "openssl", "3.0.13-1"))
	inv.Processes = []host.Process{{PID: 812, Name: "nginx", Package: "nginx", Listeners: []host.Listener{{Protocol: "tcp", Address: "203.0.113.5", Port: 443}},
		Replaced: []host.Replaced{{Path: "/usr/lib/libssl.so.3", Package: "libssl3", Version: "3.0.11-1+b2"}}}}
	records := []vuln.Record{about("CVE-1", "Debian:12", "openssl", "3.0.12-1"), about("CVE-2", "Debian:12", "openssl", "3.0.11-1"), about("CVE-3", "Debian:12", "openssl", "3.0.14-1")}
	s := scan(t, inv, records...)
	wantFound(t, s, "CVE-1 openssl 3.0.11-1 restart-needed", "CVE-3 openssl 3.0.13-1")
	for _, f := range s.Findings {
		if f.ID == "CVE-1" && (f.Exposure != Open || f.FixedVersion != "3.0.13-1") {
			t.Errorf("restart: exposure %s, fixed %s; want the listening process's and the installed version", f.Exposure, f.FixedVersion)
		}
	}
	inv.Processes[0].Replaced[0].Version = ""
	s = scan(t, inv, records...)
	wantFound(t, s, "CVE-3 openssl 3.0.13-1")
	if !skipped(s, CodeSkipReplaced) {
		t.Error("a replaced library of unknown version is not told")
	}
}

func TestRPMBinaryPackagesAreComparedByTheirOwnVersion(t *testing.T) {
	inv := rpmHost(pkg("demo-libs", "1:2.0-5.el9", "demo", "1:2.0-5.el9"), pkg("demo-java", "7.0-5.el9", "demo", "1:2.0-5.el9"))
	wantFound(t, scan(t, inv, about("CVE-1", "AlmaLinux:9", "demo-java", "7.0-6.el9")), "CVE-1 demo 1:2.0-5.el9")
	wantFound(t, scan(t, inv, about("CVE-1", "AlmaLinux:9", "demo-java", "7.0-5.el9")))
	// A record that names the source, of which no binary package has the name.
	wantFound(t, scan(t, inv, about("CVE-1", "AlmaLinux:9", "demo", "1:2.0-6.el9")), "CVE-1 demo 1:2.0-5.el9")
	// The epoch decides.
	wantFound(t, scan(t, inv, about("CVE-1", "AlmaLinux:9", "demo-libs", "9.0-1.el9")))
}

func TestModularPackagesMatchTheirStreamOnly(t *testing.T) {
	p := pkg("nodejs", "1:18.19.0-1.module_el9.3.0+90+abc", "nodejs", "1:18.19.0-1.module_el9.3.0+90+abc")
	p.Module = "nodejs:18:9030020240101:rhel9"
	inv := rpmHost(p)
	record := func(fixed, module string) vuln.Record {
		r := about("CVE-1", "AlmaLinux:9", "nodejs", fixed)
		r.Affected[0].Module = module
		return r
	}
	for _, c := range []struct {
		why    string
		record vuln.Record
		hit    bool
	}{
		{"its stream, older than the fix", record("1:18.20.0-1.module_el9.4.0+91+def", "nodejs:18"), true},
		{"its stream, at the fix", record("1:18.19.0-1.module_el9.3.0+90+abc", "nodejs:18"), false},
		{"another stream", record("1:20.11.0-1.module_el9.4.0+92+fff", "nodejs:20"), false},
		{"no stream named, another major version", record("1:20.11.0-1.module_el9.4.0+92+fff", ""), false},
		{"no stream named, the same major version", record("1:18.20.0-1.module_el9.4.0+91+def", ""), true},
		{"a fix of the non-modular package", record("1:19.0.0-1.el9", ""), false},
	} {
		if got := len(scan(t, inv, c.record).Findings) > 0; got != c.hit {
			t.Errorf("%s: found %v, want %v", c.why, got, c.hit)
		}
	}
	plain := rpmHost(pkg("nodejs", "1:16.20.0-1.el9", "nodejs", "1:16.20.0-1.el9"))
	if got := scan(t, plain, record("1:18.20.0-1.module_el9.4.0+91+def", "nodejs:18")); len(got.Findings) > 0 {
		t.Error("a module's fix was held against the non-modular package")
	}
}

func TestOfSeveralBuildsOfAModuleOneIsEnough(t *testing.T) {
	p := pkg("pgaudit", "1.5.0-1.module+el8.4.0+546+3620623e", "pgaudit", "1.5.0-1.module+el8.4.0+546+3620623e")
	p.Module = "postgresql:13:1"
	r := about("CVE-1", "AlmaLinux:9", "pgaudit", "1.5.0-1.module+el8.5.0+684+c3892ef9")
	r.Affected[0].Module = "postgresql:13"
	second := r.Affected[0]
	second.Ranges = []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "1.5.0-1.module+el8.4.0+546+3620623e"}}}}
	r.Affected = append(r.Affected, second)
	wantFound(t, scan(t, rpmHost(p), r))
}

func TestASupportChannelsRecordBeatsTheNormalRelease(t *testing.T) {
	inv := rpmHost(pkg("demo", "1.0-1.el9_2.4", "demo", "1.0-1.el9_2.4"))
	inv.Host.OS = host.OS{ID: "rhel", VersionID: "9.2", Channels: []string{"eus"}}
	records := []vuln.Record{about("CVE-1", "Red Hat:enterprise_linux:9", "demo", "1.0-9.el9_4"), about("RHSA-1", "Red Hat:rhel_eus:9.2", "demo", "1.0-1.el9_2.4"),
		about("CVE-2", "Red Hat:enterprise_linux:9", "demo", "1.0-9.el9_4")}
	records[1].Vulnerabilities = []string{"CVE-1"}
	wantFound(t, scan(t, inv, records...), "CVE-2 demo 1.0-1.el9_2.4")
	inv.Host.OS.Channels = nil
	wantFound(t, scan(t, inv, records...), "CVE-1 demo 1.0-1.el9_2.4", "CVE-2 demo 1.0-1.el9_2.4")
	pro := debian(pkg("demo", "1.0-1ubuntu1+esm1", "demo", "1.0-1ubuntu1+esm1"))
	pro.Host.OS = host.OS{ID: "ubuntu", VersionID: "18.04", LTS: true, Channels: []string{"pro"}}
	wantFound(t, scan(t, pro, about("CVE-1", "Ubuntu:18.04:LTS", "demo", ""), about("CVE-1", "Ubuntu:Pro:18.04:LTS", "demo", "1.0-1ubuntu1+esm1")))
}

func TestArchitectureQualifiesAStatement(t *testing.T) {
	r := about("CVE-1", "Debian:12", "demo", "")
	r.Affected[0].Arches = []string{"s390x"}
	wantFound(t, scan(t, debian(pkg("demo", "1", "demo", "1")), r))
	r.Affected[0].Arches = []string{"s390x", "amd64"}
	wantFound(t, scan(t, debian(pkg("demo", "1", "demo", "1")), r), "CVE-1 demo 1")
}

func TestWhatCouldNotMatchIsToldNotSilent(t *testing.T) {
	for _, c := range []struct {
		code string
		os   host.OS
		r    vuln.Record
	}{
		{CodeSkipFeed, host.OS{ID: "debian", VersionID: "13"}, about("CVE-1", "Debian:12", "demo", "")},
		{CodeSkipSystem, host.OS{ID: "haiku", VersionID: "1"}, about("CVE-1", "Debian:12", "demo", "")},
		{CodeSkipEnded, host.OS{ID: "debian", VersionID: "10"}, about("CVE-1", "Debian:10", "demo", "")},
		{CodeMatchBroken, host.OS{ID: "debian", VersionID: "12"}, about("CVE-1", "Debian:12", "demo", "no version!")},
	} {
		inv := debian(pkg("demo", "1", "demo", "1"))
		inv.Host.OS = c.os
		if s := scan(t, inv, c.r); !skipped(s, c.code) {
			t.Errorf("%s is not told: %+v", c.code, s.NotJudged)
		}
	}
}

func TestWindowsUpdatesAreFollowedThroughSupersedence(t *testing.T) {
	listed := func(id, kb, build string, supersedes ...string) vuln.Record {
		return vuln.Record{Source: "msrc", ID: id, Products: []vuln.Product{{Name: "Windows Server 2019", Status: "Known Affected",
			Fixes: []vuln.Fix{{KB: kb, Build: build, Supersedes: supersedes}}}}}
	}
	core := listed("CVE-9", "900", "")
	core.Products[0].Name = "Windows Server 2019 (Server Core installation)"
	safe := listed("CVE-8", "800", "")
	safe.Products[0].Status = "Known Not Affected"
	records := []vuln.Record{listed("CVE-1", "100", ""), listed("CVE-2", "200", "", "100"), listed("CVE-3", "300", "10.0.17763.300", "200"), listed("CVE-4", "400", "10.0.17763.400", "300"), core, safe}
	windows := func(build string, kbs ...string) *host.Inventory {
		return &host.Inventory{Host: host.Host{Name: "w", OS: host.OS{ID: "windows"}}, Windows: &host.Windows{Product: "Windows Server 2019", Build: build, KBs: kbs}}
	}
	for _, c := range []struct {
		why  string
		inv  *host.Inventory
		want []string
	}{
		{"nothing installed", windows("10.0.17763.1"), []string{"CVE-1", "CVE-2", "CVE-3", "CVE-4"}},
		{"the first update alone", windows("10.0.17763.1", "100"), []string{"CVE-2", "CVE-3", "CVE-4"}},
		{"a later update stands for those it supersedes, step by step", windows("10.0.17763", "300"), []string{"CVE-4"}},
		{"the build is enough where the KB is not listed", windows("10.0.17763.400"), []string{"CVE-1", "CVE-2"}},
		{"an unrelated update helps nothing", windows("10.0.17763.1", "777"), []string{"CVE-1", "CVE-2", "CVE-3", "CVE-4"}},
	} {
		var got []string
		for _, f := range scan(t, c.inv, records...).Findings {
			got = append(got, f.ID)
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: missing %q, want %q", c.why, got, c.want)
		}
	}
	if s := scan(t, windows("1"), about("CVE-1", "Debian:12", "x", "")); !skipped(s, CodeSkipProduct) {
		t.Error("a Windows host without any vendor list is not told")
	}
}
