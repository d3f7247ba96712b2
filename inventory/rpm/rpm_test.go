package rpm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

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
