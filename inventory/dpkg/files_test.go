package dpkg_test

import (
	"bytes"
	"compress/gzip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/dpkg"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// tree makes a root with these files and opens it.
func tree(t *testing.T, files map[string]string) *rootfs.FS {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := rootfs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestStatusAndStatusDirAreBothRead(t *testing.T) {
	root := tree(t, map[string]string{
		"var/lib/dpkg/status":                  "Package: a\nStatus: install ok installed\nVersion: 1\n",
		"var/lib/dpkg/status.d/base":           "Package: base-files\nVersion: 12\n",
		"var/lib/dpkg/status.d/base.md5sums":   "0000  etc/x\n",
		"var/lib/dpkg/status.d/tzdata":         "Package: tzdata\nVersion: 2024a\nno field here\n",
		"var/lib/dpkg/status.d/a-folder/inner": "Package: no\nVersion: 1\n",
	})
	packages, unread, found, err := dpkg.Read(root)
	if err != nil || !found || len(packages) != 2 || packages[1].Name != "base-files" {
		t.Fatalf("packages %v, found %v, %v", packages, found, err)
	}
	if len(unread) != 1 || !strings.Contains(unread[0].What, "status.d/tzdata:1") {
		t.Errorf("unread %v", unread)
	}
}

func TestNoDatabaseIsNotFound(t *testing.T) {
	if packages, unread, found, err := dpkg.Read(tree(t, nil)); found || err != nil || len(packages)+len(unread) > 0 {
		t.Errorf("packages %v, unread %v, found %v, %v", packages, unread, found, err)
	}
}

func TestOwnersAreToldFromListsAndDiversions(t *testing.T) {
	root := tree(t, map[string]string{
		"var/lib/dpkg/info/libx:amd64.list": "/.\n/usr\n/usr/lib/libx.so.1\n",
		"var/lib/dpkg/info/libx:i386.list":  "/usr/lib32/libx.so.1\n",
		"var/lib/dpkg/info/gone.list":       "/usr/lib/gone.so\n",
		"var/lib/dpkg/info/mesa.list":       "/usr/lib/libGL.so.1\n",
		"var/lib/dpkg/info/driver.list":     "/usr/lib/libGL.so.1\n",
		"var/lib/dpkg/info/driver.md5sums":  "/usr/lib/other\n",
		"var/lib/dpkg/diversions":           "/usr/lib/libGL.so.1\n/usr/lib/mesa/libGL.so.1\ndriver\n",
	})
	packages := []host.Package{
		{Kind: "dpkg", Name: "libx", Arch: "amd64", Version: "1"}, {Kind: "dpkg", Name: "libx", Arch: "i386", Version: "1"},
		{Kind: "dpkg", Name: "mesa", Arch: "amd64", Version: "1"}, {Kind: "dpkg", Name: "driver", Arch: "amd64", Version: "1"},
	}
	want := map[string]string{
		"/usr/lib/libx.so.1": "libx amd64", "/usr/lib32/libx.so.1": "libx i386", "/usr/lib/gone.so": "",
		"/usr/lib/libGL.so.1": "driver amd64", "/usr/lib/mesa/libGL.so.1": "mesa amd64", "/usr/lib/other": "",
	}
	var paths []string
	for p := range want {
		paths = append(paths, p)
	}
	index := owner.New(root, paths)
	if unread := dpkg.Claim(root, packages, index); len(unread) > 0 {
		t.Errorf("unread %v", unread)
	}
	for path, name := range want {
		got := ""
		if p := index.Owner(path); p != nil {
			got = p.Name + " " + p.Arch
		}
		if got != name {
			t.Errorf("owner of %s is %q; want %q", path, got, name)
		}
	}
}

// TestOwnersAgreeWithDpkgQuery asks dpkg itself about programs of this machine.
func TestOwnersAgreeWithDpkgQuery(t *testing.T) {
	query, err := exec.LookPath("dpkg-query")
	if err != nil {
		t.Skip("SKIPPED: no dpkg-query here to compare with")
	}
	root, err := rootfs.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	packages, _, _, err := dpkg.Read(root)
	if err != nil {
		t.Fatal(err)
	}
	paths, _ := filepath.Glob("/usr/bin/dir*")
	index := owner.New(root, paths)
	dpkg.Claim(root, packages, index)
	compared := 0
	for _, path := range paths {
		p := index.Owner(path)
		// dpkg-query looks for the path as it was listed; a package from before the merge of /usr lists /bin.
		out, err := exec.Command(query, "-S", path).Output()
		if err != nil {
			out, err = exec.Command(query, "-S", strings.TrimPrefix(path, "/usr")).Output()
		}
		if (err == nil) != (p != nil) {
			t.Errorf("%s: dpkg-query says %q (%v), we say %v", path, out, err, p)
			continue
		}
		if p != nil && !strings.HasPrefix(string(out), p.Name+":") && !strings.Contains(string(out), p.Name+",") && !strings.Contains(string(out), "diversion") {
			t.Errorf("%s: dpkg-query says %q, we say %s", path, out, p.Name)
		}
		compared++
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

func TestHistoryTellsWhatAnOldProcessStillRuns(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("2026-09-01 10:00:00 startup packages configure\n2026-09-02 10:00:00 upgrade libx:amd64 1 2\n"))
	z.Close()
	root := tree(t, map[string]string{
		"var/log/dpkg.log":      "2026-11-01 10:00:00 status installed a:amd64 1\n2026-11-02 10:00:00 upgrade libx:amd64 3 4\n2026-11-02 10:00:00 upgrade libx:i386 3 4\n",
		"var/log/dpkg.log.1":    "2026-10-01 10:00:00 upgrade libx:amd64 2 3\n",
		"var/log/dpkg.log.2.gz": packed.String(),
		"var/log/dpkg.logs":     "nothing of dpkg's\n",
	})
	h, unread := dpkg.ReadHistory(root, time.UTC)
	if len(unread) > 0 {
		t.Fatal(unread)
	}
	libx := &host.Package{Name: "libx", Arch: "amd64", Version: "4"}
	for at, want := range map[string]string{
		"2026-11-01": "3", "2026-10-15": "3", "2026-09-15": "2", "2026-09-02": "1",
		"2026-11-03": "", // no upgrade since
		"2026-08-01": "", // before the logs begin: it may have been anything
	} {
		day, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := h.VersionAt(libx, day); got != want {
			t.Errorf("version at %s is %q; want %q", at, got, want)
		}
	}
	if got := h.VersionAt(&host.Package{Name: "other", Arch: "amd64"}, time.Date(2026, 9, 15, 0, 0, 0, 0, time.UTC)); got != "" {
		t.Errorf("version %q of a package that was never upgraded", got)
	}
}
