package triage

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// TestJudgeOfAFleetIsScanOfEachHostAlone: what one engine keeps between hosts changes
// no verdict, whatever the fleet: a host's verdict is the one a new engine gives it.
func TestJudgeOfAFleetIsScanOfEachHostAlone(t *testing.T) {
	findings, shared := 0, 0
	for seed := range uint64(300) {
		w := world{rand.New(rand.NewPCG(seed, 7))}
		records := w.records()
		table := TableNames[w.IntN(2)]
		fleet := engineAt(t, table, records)
		seen := map[*Finding]bool{}
		for range 6 {
			inv, p := w.host(), w.protection()
			for range 1 + w.IntN(2) { // the same host again, too
				alone := engineAt(t, table, records)
				want, err := alone.Scan(t.Context(), inv, p, now)
				if err != nil {
					t.Fatal(err)
				}
				v, err := fleet.Judge(t.Context(), inv, p)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range v.Findings {
					if seen[f] {
						shared++
					}
					seen[f] = true
					findings++
				}
				got, err := fleet.Scan(t.Context(), inv, p, now)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(lines(t, want), lines(t, got)); diff != "" {
					t.Fatalf("seed %d, %s (-alone +fleet)\n%s", seed, inv.Host.Name, diff)
				}
				if diff := cmp.Diff(want.Totals, v.Totals); diff != "" {
					t.Fatalf("seed %d, %s: totals (-alone +fleet)\n%s", seed, inv.Host.Name, diff)
				}
				checkTotals(t, got, inv)
				checkNothingHidden(t, fleet, got, inv)
			}
		}
	}
	t.Logf("%d findings, %d of them shared", findings, shared)
	if findings < 8000 || shared < findings/10 {
		t.Errorf("%d findings, %d shared: this proves little", findings, shared)
	}
}

// lines is a verdict as sorted lines of JSON, so that a difference shows.
func lines(t *testing.T, s Scan) []string {
	t.Helper()
	var out []string
	add := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	for i := range s.Findings {
		add(s.Findings[i])
	}
	for i := range s.NotJudged {
		add(s.NotJudged[i])
	}
	slices.Sort(out)
	add(s.Totals)
	return out
}

// checkTotals counts a verdict again.
func checkTotals(t *testing.T, s Scan, inv *host.Inventory) {
	t.Helper()
	want := newTotals()
	ids, sources := map[string]bool{}, map[host.Package]bool{}
	for i := range s.Findings {
		f := &s.Findings[i]
		ids[f.ID] = true
		want.Findings++
		want.Decisions[f.Decision]++
		for _, x := range f.Types {
			want.Types[x]++
		}
		if len(f.Types) == 0 {
			want.Untyped++
		}
		if f.FixedVersion != "" {
			want.Fixable++
		}
	}
	for _, p := range unsigned(inv.Packages) {
		sources[host.Package{Source: p.Source, SourceVersion: p.SourceVersion, Kind: p.Kind, Module: p.Module, CPE: p.CPE}] = true
	}
	want.Packages, want.SourcePackages = len(inv.Packages), len(sources)
	if inv.Windows != nil {
		want.Packages++ // the system itself
	}
	if inv.Windows != nil {
		want.SourcePackages++
	}
	want.Vulnerabilities, want.NotJudged = len(ids), len(s.NotJudged)
	if diff := cmp.Diff(want, s.Totals); diff != "" {
		t.Fatalf("%s: totals (-recount +told)\n%s", inv.Host.Name, diff)
	}
}

// checkNothingHidden holds a verdict against that without any protection.
func checkNothingHidden(t *testing.T, e *Engine, s Scan, inv *host.Inventory) {
	t.Helper()
	bare, err := e.Scan(t.Context(), inv, host.Protection{}, now)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found(bare), found(s)) {
		t.Fatalf("%s: without protection %q, with %q", inv.Host.Name, found(bare), found(s))
	}
	if len(slices.Compact(found(s))) != len(s.Findings) {
		t.Fatalf("%s: a finding is there twice: %q", inv.Host.Name, found(s))
	}
}

// world makes random records, hosts and protections from few words, so that hosts
// often agree, and often in all but one thing.
type world struct{ *rand.Rand }

func pick[T any](w world, list ...T) T { return list[w.IntN(len(list))] }

var worldTexts = []string{"", codeExecution, "It allows a denial of service.", "A local user can gain privileges: privilege escalation.",
	"A heap overflow allows memory corruption.", "It allows information disclosure.", "SQL injection."}

func (w world) records() fakeRecords {
	var out fakeRecords
	for i := range 30 {
		id := fmt.Sprintf("CVE-2026-%04d", i)
		eco := pick(w, "Debian:12", "Debian:12", "AlmaLinux:9", "Red Hat:enterprise_linux:8", "Red Hat:rhel_eus:8.6")
		name := pick(w, "demo", "lib", "linux", "kernel", "nodejs")
		r := rated(id, eco, name, pick(w, "", "1.0-1", "1.1-1", "1.2-1"), pick(w, worldTexts...), pick(w, "", remoteAll, localAll, remoteStop, remoteRead), nil)
		a := &r.Affected[0]
		switch {
		case name == "nodejs" && w.IntN(2) == 0:
			a.Package, a.Module = "nodejs:18", "nodejs:18"
			a.Ranges = []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: pick(w, "8060020220523160029.ad008a3a", "8090020240301110609.a75119d5")}}}}
		case w.IntN(8) == 0:
			a.Status = pick(w, "not_affected", "will_not_fix")
		case w.IntN(8) == 0:
			a.Ranges[0].Events[0].Introduced = "no version!"
		case w.IntN(8) == 0:
			a.Arches = []string{"arm64"}
		}
		if w.IntN(3) == 0 {
			r.SSVC = &vuln.SSVC{Source: "cisa-adp", Exploitation: pick(w, "", NotExploited, PoC, Active), Automatable: pick(w, "", "yes", "no"), Impact: pick(w, "", "total", "partial")}
		}
		if w.IntN(6) == 0 {
			r.KEV = &vuln.KEV{Added: now.AddDate(0, 0, -w.IntN(30))}
		}
		r.Products = []vuln.Product{{Name: "Windows Server 2019", Status: pick(w, "Known Affected", "Known Not Affected"), Fixes: []vuln.Fix{{KB: pick(w, "1", "2", "3"), Supersedes: []string{pick(w, "", "1", "2")}}}}}
		r.Configurations = []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: "cpe:2.3:a:acme:" + name + ":*:*:*:*:*:*:*:*", Vulnerable: w.IntN(4) > 0, EndExcluding: pick(w, "", "1.1", "1.2")}}}}}}
		out = append(out, r)
		if w.IntN(4) == 0 {
			advisory := about("DSA-"+id, eco, name, pick(w, "", "1.1-1", "1.2-1"))
			advisory.Vulnerabilities = []string{id}
			out = append(out, advisory)
		}
	}
	return out
}

func (w world) host() *host.Inventory {
	inv := &host.Inventory{Host: host.Host{Name: fmt.Sprint("host", w.IntN(1000)), Importance: pick(w, "", "low", "very-high"),
		Addresses: pick(w, nil, []string{"10.0.0.1"}, []string{"10.0.0.1", "203.0.113.9"})}}
	kind := "rpm"
	switch w.IntN(6) {
	case 0, 1, 2:
		kind, inv.Host.OS = "dpkg", host.OS{ID: "debian", VersionID: "12"}
	case 3:
		inv.Host.OS = host.OS{ID: "almalinux", VersionID: "9.4"}
	case 4:
		inv.Host.OS = host.OS{ID: "rhel", VersionID: "8.6", Channels: pick(w, nil, []string{"eus"})}
	case 5:
		inv.Host.OS, inv.Windows = host.OS{ID: "windows"}, &host.Windows{Product: "Windows Server 2019", Build: pick(w, "", "10.0.17763.1"), KBs: pick(w, nil, []string{"1"}, []string{"3", "2"})}
		return inv
	}
	w.install(inv, kind)
	w.boot(inv, kind)
	if w.IntN(5) > 0 {
		inv.Processes = []host.Process{}
		for i := range w.IntN(4) {
			inv.Processes = append(inv.Processes, w.process(i))
		}
	}
	return inv
}

func (w world) install(inv *host.Inventory, kind string) {
	for _, name := range []string{"demo", "lib", "nodejs"} {
		v := pick(w, "", "1.0-1", "1.0-1", "1.1-1", "1.2-1")
		if v == "" {
			continue
		}
		p := host.Package{Name: name, Version: v, Source: name, SourceVersion: v, Kind: kind, Arch: pick(w, "amd64", "amd64", "arm64")}
		if name == "nodejs" && kind == "rpm" {
			p.Module = pick(w, "", "nodejs:18", "nodejs:18:8060020220523160029:ad008a3a", "nodejs:18:8070020220523160029:ad008a3a")
		}
		inv.Packages = append(inv.Packages, p)
		if w.IntN(2) == 0 {
			p.Name, p.Version = name+"-tools", pick(w, v, v+"+b1")
			inv.Packages = append(inv.Packages, p)
		}
	}
	if w.IntN(4) == 0 {
		v := pick(w, "1.0", "1.1", "1.3")
		inv.Packages = append(inv.Packages, host.Package{Name: "sbom", Version: v, Source: "sbom", SourceVersion: v, Kind: "component",
			CPE: pick(w, "", "cpe:2.3:a:acme:demo:"+v+":*:*:*:*:*:*:*")})
	}
	w.Shuffle(len(inv.Packages), func(i, k int) { inv.Packages[i], inv.Packages[k] = inv.Packages[k], inv.Packages[i] })
}

// boot installs kernels, none to two, and runs one of them, another, or none.
func (w world) boot(inv *host.Inventory, kind string) {
	source := map[string]string{"dpkg": "linux", "rpm": "kernel"}[kind]
	versions := []string{"1.0-1", "1.1-1", "1.2-1"}
	for i := range w.IntN(3) {
		release := string(rune('a' + i))
		v := versions[i+w.IntN(2)]
		if slices.ContainsFunc(inv.Kernel.Installed, func(k host.InstalledKernel) bool { return k.Version == v }) {
			continue
		}
		inv.Packages = append(inv.Packages, host.Package{Name: source + "-image-" + release, Version: v, Source: source, SourceVersion: v, Kind: kind, Arch: "amd64"})
		inv.Kernel.Installed = append(inv.Kernel.Installed, host.InstalledKernel{Release: release, Package: source + "-image-" + release, Version: v})
	}
	inv.Kernel.Running = pick(w, "", "a", "a", "b", "c")
	if inv.Kernel.Running == "a" && w.IntN(3) == 0 {
		inv.Kernel.RunningVersion = "0.9-1"
	}
}

func (w world) process(i int) host.Process {
	name := pick(w, "demo", "lib", "nodejs")
	p := host.Process{PID: 100 + w.IntN(2) + 2*i, Name: name + "d", Package: name, Unit: pick(w, "", name+".service")}
	if w.IntN(2) == 0 {
		p.Libraries = []string{"lib"}
	}
	if w.IntN(2) == 0 {
		p.Listeners = []host.Listener{{Protocol: "tcp", Address: pick(w, "0.0.0.0", "127.0.0.1", "10.0.0.1", "::"), Port: pick(w, 80, 443)}}
	}
	if w.IntN(3) == 0 {
		p.Replaced = []host.Replaced{{Path: "/usr/lib/lib.so", Package: pick(w, "lib", "demo"), Version: pick(w, "", "0.9-1", "1.0-1+b2")}}
	}
	return p
}

func (w world) protection() host.Protection {
	p := inForce(pick(w, nil, []string{"demo"}, []string{"demo.service", "lib.service"})...)
	p.Reported = now.Add(-time.Duration(w.IntN(30)) * time.Minute)
	switch w.IntN(4) {
	case 0:
		return host.Protection{}
	case 1:
		return changed(p, unproven, pick(w, allControls...))
	case 2:
		return changed(p, observing, pick(w, allControls...))
	}
	return p
}

// TestHostsThatReportAtDifferentMomentsShareTheirFindings: else a guarded fleet would
// cost as many judgements as it has hosts.
func TestHostsThatReportAtDifferentMomentsShareTheirFindings(t *testing.T) {
	e := engineAt(t, "ssvc", fakeRecords{rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, nil)})
	judge := func(ago time.Duration, change func(*host.ControlStatus)) *Finding {
		p := changed(inForce("demo"), change)
		p.Reported = now.Add(-ago)
		v, err := e.Judge(t.Context(), web(), p)
		if err != nil || len(v.Findings) != 1 {
			t.Fatal(len(v.Findings), err)
		}
		return v.Findings[0]
	}
	same := func(*host.ControlStatus) {}
	first := judge(time.Second, same)
	if judge(10*time.Minute, same) != first {
		t.Error("a report of ten minutes ago is judged apart from one of a second ago")
	}
	if judge(time.Hour, same) == first || judge(time.Second, unproven) == first {
		t.Error("a stale or an unproven protection shares the findings of one in force")
	}
}
