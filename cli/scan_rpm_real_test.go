package cli_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/realdata"
)

// rpmAsk compares pairs of versions, two lines each, by rpm's own comparison.
const rpmAsk = `%{lua:
local answers = io.open(rpm.expand("%answers"), "w")
local left
for line in io.lines(rpm.expand("%pairs")) do
  if left then answers:write(rpm.vercmp(left, line), "\n") left = nil else left = line end
end
answers:close()}`

// rpmCompare answers -1, 0 or 1 for every pair.
func rpmCompare(t *testing.T, pairs [][2]string) []string {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("SKIPPED: rpm, which the scan is held against, is not installed (Debian: apt-get install rpm)")
	}
	dir := t.TempDir()
	var in strings.Builder
	for _, p := range pairs {
		in.WriteString(p[0] + "\n" + p[1] + "\n")
	}
	if err := os.WriteFile(dir+"/pairs", []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("rpm", "--define", "pairs "+dir+"/pairs", "--define", "answers "+dir+"/answers", "--eval", rpmAsk)
	if msg, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(msg), "error") {
		t.Fatalf("rpm: %v\n%s", err, msg)
	}
	answers, err := os.ReadFile(dir + "/answers")
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Fields(string(answers))
	if len(list) != len(pairs) {
		t.Fatalf("rpm answered %d of %d pairs", len(list), len(pairs))
	}
	return list
}

// fix is one statement of an advisory: name is affected below version.
type fix struct{ record, name, version string }

// rpmFixes reads every statement about one release. A range of another shape than
// "from the beginning to the fix" fails the test: the check below would not cover it.
func rpmFixes(t *testing.T, path, release string) (fixes []fix) {
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var rec osvRecord
		err = json.NewDecoder(r).Decode(&rec)
		r.Close()
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for _, a := range rec.Affected {
			if a.Package.Ecosystem != release || rec.Withdrawn != "" {
				continue
			}
			for _, rg := range a.Ranges {
				if len(rg.Events) != 2 || rg.Events[0]["introduced"] != "0" || rg.Events[1]["fixed"] == "" {
					t.Fatalf("%s: range %v", rec.ID, rg.Events)
				}
				fixes = append(fixes, fix{rec.ID, a.Package.Name, rg.Events[1]["fixed"]})
			}
		}
	}
	return fixes
}

// installedFrom makes up what is installed: about n of the packages the statements
// name, by turns below, at and above a fix, without its epoch and with a higher one.
func installedFrom(fixes []fix, n int) map[string]string {
	byName := map[string][]string{}
	for _, f := range fixes {
		byName[f.name] = append(byName[f.name], f.version)
	}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	installed := map[string]string{}
	for i := 0; i < len(names); i += max(1, len(names)/n) {
		versions := byName[names[i]]
		v := versions[i%len(versions)]
		_, noEpoch, epoch := strings.Cut(v, ":")
		switch turn := i / max(1, len(names)/n) % 6; {
		case turn == 0:
			v += "~1" // sorts before it
		case turn == 1:
			v += ".1"
		case turn == 2 && epoch:
			v = noEpoch
		case turn == 3 && !epoch:
			v = "1:" + v
		case turn == 4:
			version, _, _ := strings.Cut(v, "-")
			v = version + "-0.1.el0"
		}
		installed[names[i]] = v
	}
	return installed
}

// modular tells a version built in a module, as rpm's release says it.
func modular(version string) bool { return strings.Contains(version, ".module") }

// stream is what docs/limits.md calls the first number of a version.
func stream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	return version[:len(version)-len(strings.TrimLeft(version, "0123456789"))]
}

// expected are the statements that concern what is installed, by rpm's order: builds
// of modules only speak of builds of modules with the same first number, and of several
// of one record the package needs to reach only one.
func expected(t *testing.T, fixes []fix, installed map[string]string) (want map[string]bool, compared int) {
	var about []fix
	var pairs [][2]string
	for _, f := range fixes {
		v, ok := installed[f.name]
		if !ok || modular(v) != modular(f.version) || modular(v) && stream(v) != stream(f.version) {
			continue
		}
		about = append(about, f)
		pairs = append(pairs, [2]string{v, f.version})
	}
	want, spared := map[string]bool{}, map[string]bool{}
	for i, answer := range rpmCompare(t, pairs) {
		key := about[i].record + " " + about[i].name + " " + pairs[i][0]
		want[key] = want[key] || answer == "-1"
		spared[key] = spared[key] || answer != "-1" && modular(pairs[i][0])
	}
	for key, hit := range want {
		if !hit || spared[key] {
			delete(want, key)
		}
	}
	return want, len(pairs)
}

func TestScanOfRPMHostsAgreesWithRPMOnEveryRecordOfTheirRelease(t *testing.T) {
	for _, c := range []struct {
		data, release string
		os            host.OS
		// pack makes the package that statements about name mean: the binary of that
		// name in AlmaLinux's records, whatever its source; the source in Rocky's.
		pack func(name, version string) host.Package
	}{
		{"osv/AlmaLinux/all.zip", "AlmaLinux:9", host.OS{ID: "almalinux", VersionID: "9.5"}, binaryNamed},
		{"osv/AlmaLinux/all.zip", "AlmaLinux:8", host.OS{ID: "almalinux", VersionID: "8.10"}, binaryNamed},
		{"osv/Rocky/all.zip", "Rocky Linux:8", host.OS{ID: "rocky", VersionID: "8.10"}, sourceNamed},
		{"osv/Rocky/all.zip", "Rocky Linux:9", host.OS{ID: "rocky", VersionID: "9.4"}, sourceNamed},
	} {
		t.Run(c.release, func(t *testing.T) {
			data := realdata.Path(t, c.data)
			fixes := rpmFixes(t, data, c.release)
			installed := installedFrom(fixes, 300)
			inv := host.Inventory{Host: host.Host{Name: "made-up", OS: c.os}, Origin: "file", Processes: []host.Process{}}
			for name, v := range installed {
				inv.Packages = append(inv.Packages, c.pack(name, v))
			}
			slices.SortFunc(inv.Packages, func(a, b host.Package) int { return host.ComparePackages(&a, &b) })
			got := scanned(t, data, inv)
			want, compared := expected(t, fixes, installed)
			agree(t, want, got)
			t.Logf("%s: %d packages, %d comparisons by rpm, %d matches agree", c.release, len(installed), compared, len(want))
			if len(want) == 0 || len(want) == compared {
				t.Errorf("%d of %d matched: the check proves nothing", len(want), compared)
			}
		})
	}
}

func binaryNamed(name, version string) host.Package {
	return host.Package{Name: name, Version: version, Arch: "x86_64", Source: "src-of-" + name, SourceVersion: "0-0", Kind: "rpm"}
}

func sourceNamed(name, version string) host.Package {
	return host.Package{Name: "part-of-" + name, Version: "0-0", Arch: "x86_64", Source: name, SourceVersion: version, Kind: "rpm"}
}

// scanned is every match of a scan: record, package and version.
func scanned(t *testing.T, data string, inv host.Inventory) map[string]bool {
	dir := t.TempDir()
	db := filepath.Join(dir, "k.db")
	if _, code := kannuki(t, "feed", "import", data, "--db", db); code != cli.ExitOK {
		t.Fatalf("import: exit code %d", code)
	}
	text, err := json.Marshal(inv)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "host.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := kannuki(t, "scan", "--inventory", file, "--json", "--db", db)
	if code != cli.ExitOK {
		t.Fatalf("scan: exit code %d", code)
	}
	var scan struct {
		Findings []struct {
			Matches []struct{ Record, Package, Version string }
		}
	}
	if err := json.Unmarshal([]byte(out), &scan); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range scan.Findings {
		for _, m := range f.Matches {
			got[m.Record+" "+m.Package+" "+m.Version] = true
		}
	}
	return got
}
