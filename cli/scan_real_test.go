package cli_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/internal/realdata"
)

// kannuki runs one command in-process and returns its output.
func kannuki(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Main(t.Context(), cli.Env{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Getenv: func(string) string { return "" }, Now: time.Now})
	if errs.Len() > 0 {
		t.Logf("kannuki %s: %s", strings.Join(args, " "), errs.String())
	}
	return out.String(), code
}

// osvRecord is what the check below reads of an OSV record, on its own.
type osvRecord struct {
	ID        string
	Withdrawn string
	Affected  []struct {
		Package  struct{ Ecosystem, Name string }
		Versions []string
		Ranges   []struct {
			Type   string
			Events []map[string]string
		}
	}
}

// dpkgOrder asks dpkg itself, once per pair.
type dpkgOrder map[[2]string]bool

func (d dpkgOrder) less(t *testing.T, a, b string) bool {
	if less, ok := d[[2]string{a, b}]; ok {
		return less
	}
	err := exec.Command("dpkg", "--compare-versions", a, "lt", b).Run()
	if err != nil && err.(*exec.ExitError).ExitCode() != 1 {
		t.Fatalf("dpkg --compare-versions %q lt %q: %v", a, b, err)
	}
	d[[2]string{a, b}] = err == nil
	return err == nil
}

// affected evaluates OSV ranges with dpkg's order.
func (d dpkgOrder) affected(t *testing.T, version string, events []map[string]string) bool {
	type point struct{ kind, version string }
	var points []point
	for _, e := range events {
		for kind, v := range e {
			points = append(points, point{kind, v})
		}
	}
	before := func(a, b string) bool { return a != b && (a == "0" || b != "0" && d.less(t, a, b)) }
	slices.SortStableFunc(points, func(a, b point) int {
		switch {
		case before(a.version, b.version):
			return -1
		case before(b.version, a.version):
			return 1
		}
		return 0
	})
	hit := false
	for _, p := range points {
		switch p.kind {
		case "introduced":
			hit = hit || !before(version, p.version)
		case "fixed":
			hit = hit && before(version, p.version)
		case "last_affected":
			hit = hit && !before(p.version, version)
		}
	}
	return hit
}

func TestScanOfThisMachineAgreesWithDpkgOnEveryRecordOfItsRelease(t *testing.T) {
	data := realdata.Path(t, "osv/Debian/all.zip")
	release := debianRelease(t)
	db := filepath.Join(t.TempDir(), "k.db")
	if _, code := kannuki(t, "feed", "import", data, "--db", db); code != cli.ExitOK {
		t.Fatalf("import: exit code %d", code)
	}
	out, code := kannuki(t, "scan", "--json", "--db", db)
	if code != cli.ExitOK {
		t.Fatalf("scan: exit code %d", code)
	}
	var scan struct {
		Findings []struct {
			ID            string
			SourcePackage string `json:"source_package"`
			SourceVersion string `json:"source_version"`
			Matches       []struct{ Record string }
		}
	}
	if err := json.Unmarshal([]byte(out), &scan); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range scan.Findings {
		for _, m := range f.Matches {
			got[m.Record+" "+f.SourcePackage+" "+f.SourceVersion] = true
		}
	}
	want, compared := everyRecord(t, data, release, installedSources(t))
	agree(t, want, got)
	t.Logf("%s: %d matches agree; %d statements about installed sources, %d distinct pairs asked of dpkg", release, len(want), compared, len(dpkgAsked))
	if len(want) == 0 {
		t.Error("nothing matched: the check proves nothing on this machine")
	}
}

// agree holds what a scan matched against what an independent check expects.
func agree(t *testing.T, want, got map[string]bool) {
	t.Helper()
	for key := range want {
		if !got[key] {
			t.Errorf("missed: %s", key)
		}
	}
	for key := range got {
		if !want[key] {
			t.Errorf("invented: %s", key)
		}
	}
}

var dpkgAsked = dpkgOrder{}

func everyRecord(t *testing.T, path, release string, installed map[string][]string) (want map[string]bool, compared int) {
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	want = map[string]bool{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var rec osvRecord
		err = json.NewDecoder(r).Decode(&rec)
		r.Close()
		if err != nil || rec.Withdrawn != "" {
			continue
		}
		for _, a := range rec.Affected {
			if a.Package.Ecosystem != release {
				continue
			}
			for _, version := range installed[a.Package.Name] {
				compared++
				hit := slices.Contains(a.Versions, version)
				for _, rg := range a.Ranges {
					hit = hit || rg.Type == "ECOSYSTEM" && dpkgAsked.affected(t, version, rg.Events)
				}
				if hit {
					want[rec.ID+" "+a.Package.Name+" "+version] = true
				}
			}
		}
	}
	return want, compared
}

func debianRelease(t *testing.T) string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		fields[name] = strings.Trim(value, `"`)
	}
	if fields["ID"] != "debian" {
		t.Skipf("SKIPPED: this machine runs %s; the check needs Debian", cmp.Or(fields["ID"], "an unknown system"))
	}
	return "Debian:" + fields["VERSION_ID"]
}

func installedSources(t *testing.T) map[string][]string {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status}\t${source:Package}\t${source:Version}\n").Output()
	if err != nil {
		t.Fatalf("dpkg-query: %v", err)
	}
	sources := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if f[0] != "not-installed" && f[0] != "config-files" && !slices.Contains(sources[f[1]], f[2]) {
			sources[f[1]] = append(sources[f[1]], f[2])
		}
	}
	return sources
}
