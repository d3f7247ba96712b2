package triage

import (
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/feed/redhat"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// rhel8 is a Red Hat host with nodejs and a companion installed from one module.
func rhel8(label string) *host.Inventory {
	inv := rpmHost(pkg("nodejs", "1:18.9.1-1.module+el8.7.0", "nodejs", "1:18.9.1-1.module+el8.7.0"),
		pkg("npm", "1:8.19.1-1.18.9.1.1.module+el8.7.0", "nodejs", "1:18.9.1-1.module+el8.7.0"),
		pkg("nodejs-nodemon", "2.0.20-1.module+el8.7.0", "nodejs-nodemon", "2.0.20-1.module+el8.7.0"))
	inv.Host.OS = host.OS{ID: "rhel", VersionID: "8.7"}
	for i := range inv.Packages {
		inv.Packages[i].Module = label
	}
	return inv
}

// moduleFix is what Red Hat says: a vulnerability is fixed in a build of a whole module.
func moduleFix(id, ecosystem, stream, build string) vuln.Record {
	r := about(id, ecosystem, stream, build)
	r.Source, r.Affected[0].Module = "redhat", stream
	return r
}

func TestAModulesBuildIsComparedWithTheInstalledOne(t *testing.T) {
	const rhel = "Red Hat:enterprise_linux:8"
	const label = "nodejs:18:8070020221009220316:bd1311ed"
	for _, c := range []struct {
		why, label, eco, stream, fixed string
		hit                            bool
	}{
		{"an older build", label, rhel, "nodejs:18", "8090020240301110609.a75119d5", true},
		{"the fixed build itself", label, rhel, "nodejs:18", "8070020221009220316.bd1311ed", false},
		{"a newer build", label, rhel, "nodejs:18", "8060020220523160029.ad008a3a", false},
		{"a later build on the same day", label, rhel, "nodejs:18", "8070020221009220317.bd1311ed", true},
		{"no fix yet", label, rhel, "nodejs:18", "", true},
		{"another stream", label, rhel, "nodejs:20", "8090020240301110609.a75119d5", false},
		{"another module", label, rhel, "ruby:18", "8090020240301110609.a75119d5", false},
		{"another release", label, "Red Hat:enterprise_linux:9", "nodejs:18", "9090020240301110609.a75119d5", false},
		{"a label without a build", "nodejs:18", rhel, "nodejs:18", "8090020240301110609.a75119d5", false},
		{"no module", "", rhel, "nodejs:18", "8090020240301110609.a75119d5", false},
	} {
		s := scan(t, rhel8(c.label), moduleFix("CVE-1", c.eco, c.stream, c.fixed))
		if (len(s.Findings) > 0) != c.hit {
			t.Errorf("%s: found %q, want one: %v", c.why, found(s), c.hit)
		}
		if s.Totals.SourcePackages != 2 {
			t.Errorf("%s: %d source packages, want 2: a module is none", c.why, s.Totals.SourcePackages)
		}
	}
}

func TestAModuleIsOneFindingWithThePackagesInstalledFromIt(t *testing.T) {
	inv := rhel8("nodejs:18:8070020221009220316:bd1311ed")
	inv.Host.Addresses = []string{"10.0.0.1"}
	inv.Processes = []host.Process{listening("node", "nodejs", "0.0.0.0")}
	f := single(t, scan(t, inv, moduleFix("CVE-1", "Red Hat:enterprise_linux:8", "nodejs:18", "8090020240301110609.a75119d5")))
	if f.SourcePackage != "nodejs:18" || f.SourceVersion != "8070020221009220316.bd1311ed" || f.FixedVersion != "8090020240301110609.a75119d5" ||
		!slices.Equal(f.Packages, []string{"nodejs", "nodejs-nodemon", "npm"}) || f.Exposure != Controlled || f.Matches[0].Method != "module" {
		t.Errorf("%+v", f)
	}
}

func TestAStatementAboutOnePackageOfAModuleConcernsThatPackage(t *testing.T) {
	r := about("CVE-1", "Red Hat:enterprise_linux:8", "nodejs-nodemon", "")
	r.Affected[0].Module, r.Affected[0].SourcePackage = "nodejs:18", true
	inv := rhel8("nodejs:18:8070020221009220316:bd1311ed")
	wantFound(t, scan(t, inv, r), "CVE-1 nodejs-nodemon 2.0.20-1.module+el8.7.0")
	r.Affected[0].Module = "nodejs:20"
	wantFound(t, scan(t, inv, r))
}

// TestModulesOfRealRecordsCompare: an old build of a real stream has findings, a build
// newer than every fix has none but those without a fix.
func TestModulesOfRealRecordsCompare(t *testing.T) {
	records := realModules(t)
	streams := map[string]int{}
	for _, r := range records {
		for _, a := range r.Affected {
			if a.Package == a.Module && firstFix(a.Ranges) != "" && strings.HasPrefix(a.Ecosystem, "Red Hat:enterprise_linux:8") {
				streams[a.Module]++
			}
		}
	}
	if len(streams) < 50 || streams["nodejs:18"] < 10 {
		t.Fatalf("%d streams with a fixed build, nodejs:18 in %d statements", len(streams), streams["nodejs:18"])
	}
	judged := func(label string) (fixed, open int) {
		for _, f := range scan(t, rhel8(label), records...).Findings {
			switch {
			case f.SourcePackage != "nodejs:18":
			case f.FixedVersion != "":
				fixed++
			default:
				open++
			}
		}
		return fixed, open
	}
	oldFixed, oldOpen := judged("nodejs:18:8000020180101000000:00000000")
	newFixed, newOpen := judged("nodejs:18:9999920991231235959:00000000")
	t.Logf("%d streams; nodejs:18 of 2018: %d to fix, %d without a fix; of 2099: %d and %d", len(streams), oldFixed, oldOpen, newFixed, newOpen)
	if oldFixed < 10 || newFixed != 0 || oldOpen != newOpen {
		t.Errorf("old build: %d to fix, %d open; newest: %d, %d", oldFixed, oldOpen, newFixed, newOpen)
	}
}

// realModules are the real Red Hat records that speak about a module.
func realModules(t *testing.T) (out []vuln.Record) {
	t.Helper()
	keep := func(r vuln.Record) error {
		if slices.ContainsFunc(r.Affected, func(a vuln.Affected) bool { return a.Module != "" }) {
			out = append(out, r)
		}
		return nil
	}
	refuse := func(int64, string, string) error { return nil }
	for name, file := range realdata.Members(t, "redhat/redhat-securitydata-cve-2024-10-10.tar.zst") {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		if err := redhat.Decode(file, keep, refuse); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
