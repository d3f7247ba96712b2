package apk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/apk"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

const installed = `C:Q1aaaa=
P:musl
V:1.2.4_git20230717-r4
A:x86_64
S:1
o:musl
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1bbbb=
F:
R:at-the-top

P:ssl_client
V:1.36.1-r15
A:x86_64
o:busybox
F:usr/bin
M:0:0:755
R:ssl_client

P:linux-lts
V:6.6.14-r0
A:x86_64
F:lib/modules/6.6.14-0-lts
R:modules.builtin
`

func TestRecords(t *testing.T) {
	db := apk.Parse([]byte(installed), "installed")
	want := []host.Package{
		{Name: "musl", Version: "1.2.4_git20230717-r4", Arch: "x86_64", Source: "musl", SourceVersion: "1.2.4_git20230717-r4", Kind: "apk"},
		{Name: "ssl_client", Version: "1.36.1-r15", Arch: "x86_64", Source: "busybox", SourceVersion: "1.36.1-r15", Kind: "apk"},
		{Name: "linux-lts", Version: "6.6.14-r0", Arch: "x86_64", Source: "linux-lts", SourceVersion: "6.6.14-r0", Kind: "apk"},
	}
	if d := cmp.Diff(want, db.Packages); d != "" || len(db.Unread) != 0 {
		t.Errorf("unread %v (-want +got):\n%s", db.Unread, d)
	}
}

func TestBrokenRecordsAreListedAndTouchNoNeighbour(t *testing.T) {
	for in, want := range map[string]string{
		"P:a\nA:x\n\nP:b\nV:1\n":         "db:1 a: no V:",
		"P:b\nV:1\n\n\nV:1\n":            "db:5: no P:",
		"P:b\nV:1\n\nP:a\nV:1\nwhat\n":   "db:4 a: line 6 is not",
		"P:b\nV:1\r\n\r\nP:a\nP:c\nV:1":  "a second time",
		"P:b\nV:1\n\nP:a\nV:1\no:x\no:y": "line 7 gives o: a second time",
	} {
		db := apk.Parse([]byte(in), "db")
		if len(db.Packages) != 1 || db.Packages[0].Name != "b" || db.Packages[0].Version != "1" || len(db.Unread) != 1 {
			t.Errorf("%q: packages %v, unread %v", in, db.Packages, db.Unread)
			continue
		}
		if got := db.Unread[0].What + ": " + db.Unread[0].Why; !strings.Contains(got, want) {
			t.Errorf("unread %q; want %q in it", got, want)
		}
	}
}

func TestOwners(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "lib/apk/db"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, apk.Paths[0]), []byte(installed), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	db, err := apk.Read(root)
	if err != nil || db == nil {
		t.Fatal(db, err)
	}
	want := map[string]string{
		"/lib/ld-musl-x86_64.so.1": "musl", "/at-the-top": "musl", "/usr/bin/ssl_client": "ssl_client",
		"/lib/modules/6.6.14-0-lts/modules.builtin": "linux-lts", "/usr/bin/other": "",
	}
	var paths []string
	for p := range want {
		paths = append(paths, p)
	}
	index := owner.New(root, paths)
	db.Claim(index)
	for path, name := range want {
		got := ""
		if p := index.Owner(path); p != nil {
			got = p.Name
		}
		if got != name {
			t.Errorf("owner of %s is %q; want %q", path, got, name)
		}
	}
}

func TestNoDatabaseIsNoError(t *testing.T) {
	root, err := rootfs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if db, err := apk.Read(root); db != nil || err != nil {
		t.Errorf("Read = %v, %v; want nothing", db, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(installed))
	f.Add([]byte("P:\nV:\n\n:\nR:x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		db := apk.Parse(data, "f")
		for _, p := range db.Packages {
			if p.Name == "" || p.Version == "" || p.Source == "" {
				t.Fatalf("incomplete %+v", p)
			}
		}
		db.Claim(owner.New(noLinks{}, []string{"/a", "/usr/lib/b"}))
	})
}

type noLinks struct{}

func (noLinks) Readlink(string) (string, error) { return "", os.ErrNotExist }
