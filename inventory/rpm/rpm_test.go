package rpm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the driver go-rpmdb reads rpmdb.sqlite with

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// moduleDatabases are the real databases that go-rpmdb is tested with, of CentOS 5
// to Fedora 35, in all three forms and both byte orders; read in its module folder.
func moduleDatabases(t testing.TB) []string {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/anchore/go-rpmdb").Output()
	if err != nil {
		t.Skipf("SKIPPED: go list does not find go-rpmdb's databases: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "pkg/testdata/*/*"))
	if len(files) == 0 {
		t.Skip("SKIPPED: go-rpmdb's module has no databases in pkg/testdata")
	}
	return files
}

func parseFile(path string) (*Database, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parse(bytes.NewReader(data), int64(len(data)), nil, path)
}

// TestAgreesWithGoRPMDB holds our reading of real databases against another reader's.
func TestAgreesWithGoRPMDB(t *testing.T) {
	forms := map[string]int{}
	for _, path := range moduleDatabases(t) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			ours, err := parseFile(path)
			if err != nil || len(ours.Unread) > 0 {
				t.Fatalf("unread %v, %v", ours, err)
			}
			forms[filepath.Base(path)]++
			want := theirs(t, path)
			var got []string
			for i, p := range ours.Packages {
				got = append(got, fmt.Sprintf("%s %s %s %s %s %s %d", p.Name, p.Version, p.Arch, p.Vendor, p.Module, p.Source, bytes.Count(ours.files[i].names, []byte{0})))
			}
			slices.Sort(got)
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" || len(got) == 0 {
				t.Errorf("(-theirs +ours):\n%s", d)
			}
		})
	}
	for _, form := range []string{"Packages", "Packages.db", "rpmdb.sqlite"} {
		if forms[form] == 0 {
			t.Errorf("no database of the form %s was compared", form)
		}
	}
}

func theirs(t *testing.T, path string) []string {
	t.Helper()
	db, err := rpmdb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.ListPackages()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range list {
		if p.Name == "gpg-pubkey" {
			continue
		}
		version := p.Version + "-" + p.Release
		if p.EpochNum() > 0 {
			version = fmt.Sprintf("%d:%s", p.EpochNum(), version)
		}
		source := strings.TrimSuffix(strings.TrimSuffix(p.SourceRpm, ".rpm"), ".src")
		for range 2 {
			if i := strings.LastIndexByte(source, '-'); i > 0 {
				source = source[:i]
			}
		}
		if source == "" {
			source = p.Name
		}
		out = append(out, fmt.Sprintf("%s %s %s %s %s %s %d", p.Name, version, p.Arch, p.Vendor, p.Modularitylabel, source, len(p.BaseNames)))
	}
	return out
}

// build makes packages with rpmbuild and installs them into the database of root, in
// the given form; it returns where that database is.
func build(t *testing.T, backend string) (root string) {
	t.Helper()
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not installed; apt-get install rpm", tool)
		}
	}
	top := t.TempDir()
	root = filepath.Join(top, "root")
	spec := filepath.Join(top, "suite.spec")
	text := `Name: suite
Version: 1.5
Release: 2.el9
Epoch: 3
Summary: made for a test
License: none
Vendor: Example Works
ModularityLabel: suite:1:2
%description
%package libs
Summary: its library
%description libs
%install
mkdir -p %{buildroot}/usr/lib64 %{buildroot}/usr/bin
echo a > %{buildroot}/usr/lib64/libsuite.so.1
echo b > %{buildroot}/usr/bin/suite
%files
/usr/bin/suite
%files libs
/usr/lib64/libsuite.so.1
`
	if err := os.WriteFile(spec, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	command(t, "rpmbuild", "-bb", "--quiet", "--define", "_topdir "+top, "--target", "x86_64", spec)
	rpms, _ := filepath.Glob(filepath.Join(top, "RPMS/*/*.rpm"))
	if len(rpms) != 2 {
		t.Fatalf("rpmbuild made %v", rpms)
	}
	args := []string{"--root", root, "--define", "_db_backend " + backend, "--define", "_dbpath /var/lib/rpm",
		"--justdb", "--nodeps", "--ignoreos", "--ignorearch", "-i"}
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpm", append(args, rpms...)...).CombinedOutput(); strings.Contains(string(out), "invalid %_db_backend") {
		t.Skipf("SKIPPED: this rpm cannot write the form %s", backend)
	} else if err != nil {
		t.Fatalf("rpm: %v\n%s", err, out)
	}
	return root
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func TestDatabasesRPMWrites(t *testing.T) {
	for _, backend := range []string{"sqlite", "ndb"} {
		t.Run(backend, func(t *testing.T) {
			dir := build(t, backend)
			before := listing(t, dir)
			root, err := rootfs.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			db, err := Read(root)
			if err != nil || db == nil || len(db.Unread) > 0 {
				t.Fatalf("database %v, %v", db, err)
			}
			slices.SortFunc(db.Packages, func(a, b host.Package) int { return strings.Compare(a.Name, b.Name) })
			want := []host.Package{
				{Name: "suite", Version: "3:1.5-2.el9", Arch: "x86_64", Source: "suite", SourceVersion: "3:1.5-2.el9", Kind: "rpm", Vendor: "Example Works", Module: "suite:1:2"},
				{Name: "suite-libs", Version: "3:1.5-2.el9", Arch: "x86_64", Source: "suite", SourceVersion: "3:1.5-2.el9", Kind: "rpm", Vendor: "Example Works", Module: "suite:1:2"},
			}
			if d := cmp.Diff(want, db.Packages); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(before, listing(t, dir)); d != "" {
				t.Errorf("reading changed the root (-before +after):\n%s", d)
			}
		})
	}
}

func TestOwnersAreToldFromFileLists(t *testing.T) {
	dir := build(t, "sqlite")
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	db, err := Read(root)
	if err != nil {
		t.Fatal(err)
	}
	index := owner.New(root, []string{"/usr/lib64/libsuite.so.1", "/usr/bin/suite", "/usr/bin/other"})
	db.Claim(index)
	for path, want := range map[string]string{"/usr/lib64/libsuite.so.1": "suite-libs", "/usr/bin/suite": "suite", "/usr/bin/other": ""} {
		got := ""
		if p := index.Owner(path); p != nil {
			got = p.Name
		}
		if got != want {
			t.Errorf("owner of %s is %q; want %q", path, got, want)
		}
	}
}

// listing is every file below dir with its size and time.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			out = append(out, fmt.Sprint(path, info.Size(), info.ModTime(), info.Mode()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSourcePackageFromFileName(t *testing.T) {
	for file, want := range map[string][2]string{
		"bind-9.16.23-11.el9.src.rpm": {"bind", "9.16.23-11.el9"}, "a-b-c-1-2.nosrc.rpm": {"a-b-c", "1-2"},
		"": {}, "(none)": {}, "odd.src.rpm": {}, "a-1.src.rpm": {}, "-1-2.src.rpm": {},
	} {
		name, version, ok := splitSource(file)
		if name != want[0] || version != want[1] || ok != (want[0] != "") {
			t.Errorf("splitSource(%q) = %q, %q, %v", file, name, version, ok)
		}
	}
}
