package compare_test

import (
	"database/sql"
	"encoding/binary"
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

	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
	"github.com/kannuki/kannuki/inventory/rpm"
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

// readFiles puts files where RPM has its database below a root, and reads it.
func readFiles(t testing.TB, files map[string][]byte) (*rpm.Database, *rootfs.FS) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, "var/lib/rpm", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	db, err := rpm.Read(root)
	if err != nil || db == nil || len(db.Unread) > 0 {
		t.Fatalf("database %+v, %v", db, err)
	}
	return db, root
}

func readAll(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAgreesWithGoRPMDB holds our reading of real databases against another reader's.
func TestAgreesWithGoRPMDB(t *testing.T) {
	forms := map[string]int{}
	for _, path := range moduleDatabases(t) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			forms[filepath.Base(path)]++
			ours, root := readFiles(t, map[string][]byte{filepath.Base(path): readAll(t, path)})
			want, files := theirs(t, path)
			var got []string
			for _, p := range ours.Packages {
				got = append(got, fmt.Sprintf("%s %s %s %s %s %s", p.Name, p.Version, p.Arch, p.Vendor, p.Module, p.Source))
			}
			slices.Sort(got)
			slices.Sort(want)
			if d := cmp.Diff(want, got); d != "" || len(got) == 0 {
				t.Errorf("(-theirs +ours):\n%s", d)
			}
			compareFiles(t, root, ours, files)
		})
	}
	for _, form := range []string{"Packages", "Packages.db", "rpmdb.sqlite"} {
		if forms[form] == 0 {
			t.Errorf("no database of the form %s was compared", form)
		}
	}
}

// theirs returns go-rpmdb's packages, and for every file the packages that own it.
func theirs(t *testing.T, path string) (packages []string, files map[string][]string) {
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
	files = map[string][]string{}
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
		packages = append(packages, fmt.Sprintf("%s %s %s %s %s %s", p.Name, version, p.Arch, p.Vendor, p.Modularitylabel, source))
		names, err := p.InstalledFileNames()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			files[n] = append(files[n], p.Name)
		}
	}
	return packages, files
}

func compareFiles(t *testing.T, root *rootfs.FS, ours *rpm.Database, files map[string][]string) {
	t.Helper()
	var paths []string
	for p := range files {
		paths = append(paths, p)
	}
	index := owner.New(root, paths)
	ours.Claim(index)
	for path, owners := range files {
		if p := index.Owner(path); p == nil || !slices.Contains(owners, p.Name) {
			t.Fatalf("owner of %s is %v; go-rpmdb says %v", path, p, owners)
		}
	}
	if !index.Done() || len(files) == 0 {
		t.Errorf("%d files, all owned: %v", len(files), index.Done())
	}
}

// header is a package header with a name and so many files, as the database holds it.
func header(name string, files int) []byte {
	be := binary.BigEndian
	var index, data []byte
	add := func(tag, kind, count int, value string) {
		for _, n := range []int{tag, kind, len(data), count} {
			index = be.AppendUint32(index, uint32(n))
		}
		data = append(data, value...)
	}
	add(1000, 6, 1, name+"\x00")
	add(1001, 6, 1, "1.0\x00")
	add(1002, 6, 1, "1\x00")
	add(1117, 8, files, strings.Repeat("a-file-of-the-package\x00", files))
	out := be.AppendUint32(be.AppendUint32(nil, uint32(len(index)/16)), uint32(len(data)))
	return append(append(out, index...), data...)
}

// sqliteFiles has SQLite itself write a database and a log of rows that are not in it
// yet; the connection stays open while both are copied, as with a running rpm.
func sqliteFiles(t *testing.T, settled, logged int) (database, log []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(query string, args ...any) {
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("PRAGMA journal_mode = WAL")
	exec("PRAGMA wal_autocheckpoint = 0")
	exec("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
	for i := range settled + logged {
		if i == settled {
			exec("PRAGMA wal_checkpoint(TRUNCATE)")
		}
		exec("INSERT INTO Packages (blob) VALUES (?)", header(fmt.Sprintf("p%d", i), i*7%1000))
	}
	return readAll(t, path), readAll(t, path+"-wal")
}

func TestPackagesInSQLitesWriteAheadLogAreSeen(t *testing.T) {
	for _, n := range [][2]int{{0, 3}, {40, 0}, {300, 200}} {
		data, log := sqliteFiles(t, n[0], n[1])
		db, _ := readFiles(t, map[string][]byte{"rpmdb.sqlite": data, "rpmdb.sqlite-wal": log})
		if len(db.Packages) != n[0]+n[1] {
			t.Fatalf("%d settled, %d in the log: %d packages", n[0], n[1], len(db.Packages))
		}
		for i, p := range db.Packages {
			if p.Name != fmt.Sprintf("p%d", i) || p.Version != "1.0-1" {
				t.Fatalf("package %d is %+v", i, p)
			}
		}
		if n[1] < 2 {
			continue
		}
		// A log torn in its last frame loses the last transaction and no more.
		torn, _ := readFiles(t, map[string][]byte{"rpmdb.sqlite": data, "rpmdb.sqlite-wal": log[:len(log)-1]})
		if len(torn.Packages) != n[0]+n[1]-1 {
			t.Errorf("torn log: %d packages", len(torn.Packages))
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, path := range moduleDatabases(b) {
		system := filepath.Base(filepath.Dir(path))
		if !slices.Contains([]string{"centos7-many", "fedora35", "sle15-bci"}, system) {
			continue
		}
		_, root := readFiles(b, map[string][]byte{filepath.Base(path): readAll(b, path)})
		b.Run(system, func(b *testing.B) {
			for b.Loop() {
				if _, err := rpm.Read(root); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
