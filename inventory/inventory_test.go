package inventory_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
)

func clock() time.Time { return time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) }

func collect(t *testing.T, root string) host.Inventory {
	t.Helper()
	inv, err := inventory.Collect(context.Background(), inventory.Options{Root: root, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// tree makes a root; a name that begins with "-> " in its text is a symbolic link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const bashStatus = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2-2+b7\nSource: bash (5.2-2)\n"

func TestMountedRoot(t *testing.T) {
	root := tree(t, map[string]string{
		"etc/os-release":      "-> ../usr/lib/os-release",
		"usr/lib/os-release":  "ID=ubuntu\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.4 LTS (Jammy)\"\nPRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\n",
		"etc/hostname":        "# ours\nweb1\n",
		"etc/machine-id":      "0123456789abcdef0123456789abcdef\n",
		"var/lib/dpkg/status": bashStatus + "\nPackage: linux-image-6.1.0-21-amd64\nStatus: install ok installed\nArchitecture: amd64\nVersion: 6.1.90-1\n",
		"var/lib/dpkg/info/linux-image-6.1.0-21-amd64.list": "/boot/vmlinuz-6.1.0-21-amd64\n",
		"boot/vmlinuz-6.1.0-21-amd64":                       "",
		"var/lib/ubuntu-advantage/status.json":              `{"attached": true, "services": [{"name": "livepatch", "status": "enabled"}, {"name": "esm-infra", "status": "enabled"}]}`,
	})
	inv := collect(t, root)
	want := host.Inventory{
		Origin: "root", Collected: clock(),
		Host: host.Host{ID: inv.Host.ID, Name: "web1", Arch: "amd64",
			OS: host.OS{ID: "ubuntu", VersionID: "22.04", Name: "Ubuntu 22.04.4 LTS", LTS: true, Channels: []string{"pro"}}},
		Packages: []host.Package{
			{Name: "bash", Version: "5.2-2+b7", Arch: "amd64", Source: "bash", SourceVersion: "5.2-2", Kind: "dpkg"},
			{Name: "linux-image-6.1.0-21-amd64", Version: "6.1.90-1", Arch: "amd64", Source: "linux-image-6.1.0-21-amd64", SourceVersion: "6.1.90-1", Kind: "dpkg"}},
		Kernel: host.Kernel{Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.90-1"}}},
	}
	if d := cmp.Diff(want, inv); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(inv.Host.ID) != 32 || strings.Contains(inv.Host.ID, "0123456789abcdef") {
		t.Errorf("host id %q; want 32 digits that are not the machine id", inv.Host.ID)
	}
	if again := collect(t, root); again.Host.ID != inv.Host.ID {
		t.Errorf("host id changed from %s to %s", inv.Host.ID, again.Host.ID)
	}
}

func TestLinksInTheRootDoNotLeadOutside(t *testing.T) {
	outside := tree(t, map[string]string{
		"status":     "Package: outsider\nStatus: install ok installed\nVersion: 1\n",
		"os-release": "ID=outside\n", "hostname": "outside", "machine-id": strings.Repeat("f", 32),
		"info/inside.list": "/boot/vmlinuz-1.0\n",
	})
	root := tree(t, map[string]string{
		"var/lib/dpkg/status":       "-> /db/status", // absolute: inside the root
		"db/status":                 "Package: inside\nStatus: install ok installed\nVersion: 1\n",
		"var/lib/dpkg/info":         "-> " + outside + "/info",
		"var/lib/dpkg/status.d/one": "-> " + outside + "/status",
		"var/lib/dpkg/status.d/two": "-> ../../../../../../../../../../.." + outside + "/status",
		"etc/os-release":            "-> " + outside + "/os-release",
		"etc/hostname":              "-> " + outside + "/hostname",
		"etc/machine-id":            "-> /proc/self/root" + outside + "/machine-id",
		"boot/vmlinuz-1.0":          "",
	})
	inv := collect(t, root)
	if len(inv.Packages) != 1 || inv.Packages[0].Name != "inside" {
		t.Errorf("packages %v; want the one inside", inv.Packages)
	}
	if inv.Host.OS.ID != "" || inv.Host.Name == "outside" || inv.Host.ID != "" {
		t.Errorf("host %+v was read outside the root", inv.Host)
	}
	if k := inv.Kernel.Installed; len(k) != 1 || k[0].Package != "" {
		t.Errorf("kernels %v; want one nobody owns", k)
	}
	if text := fmt.Sprint(inv.Unread); !strings.Contains(text, "status.d/one") || !strings.Contains(text, "status.d/two") || !strings.Contains(text, "operating system") {
		t.Errorf("unread %s", text)
	}
}

func TestNoPackageDatabaseSaysWhereWeLooked(t *testing.T) {
	root := tree(t, map[string]string{"etc/os-release": "ID=x\n"})
	_, err := inventory.Collect(context.Background(), inventory.Options{Root: root, Now: clock})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{root, "var/lib/dpkg/status", "rpmdb.sqlite", "lib/apk/db/installed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %q in it", err, want)
		}
	}
	if _, err := inventory.Collect(context.Background(), inventory.Options{Root: root + "/gone", Now: clock}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v for a root that does not exist", err)
	}
}

func TestOneDatabaseIsEnough(t *testing.T) {
	root := tree(t, map[string]string{"lib/apk/db/installed": "P:musl\nV:1.2-r0\nA:x86_64\n", "etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\n"})
	inv := collect(t, root)
	if len(inv.Packages) != 1 || inv.Packages[0].Kind != "apk" || inv.Host.Arch != "amd64" || len(inv.Unread) > 0 {
		t.Errorf("inventory %+v", inv)
	}
	// A database that is there and cannot be read is an error, whatever else there is.
	broken := tree(t, map[string]string{"lib/apk/db/installed": "P:musl\nV:1.2-r0\n", "var/lib/rpm/Packages": "garbage in the place of a database, long enough"})
	if _, err := inventory.Collect(context.Background(), inventory.Options{Root: broken, Now: clock}); err == nil || !strings.Contains(err.Error(), "var/lib/rpm/Packages") {
		t.Errorf("error %v; want one that names the database", err)
	}
}

func TestRedHatChannelsAreThoseOfEnabledRepositories(t *testing.T) {
	const repos = "[rhel-9-for-x86_64-baseos-eus-rpms]\nname = x\nenabled = 1\n\n[rhel-9-for-x86_64-baseos-aus-rpms]\nenabled=0\n[rhel-9-sap-e4s-rpms]\nname=no word of enabled\n"
	for id, want := range map[string][]string{"rhel": {"e4s", "eus"}, "rocky": nil} {
		root := tree(t, map[string]string{
			"etc/os-release": "ID=" + id + "\nVERSION_ID=9.4\n", "lib/apk/db/installed": "P:a\nV:1\n",
			"etc/yum.repos.d/redhat.repo": repos, "etc/yum.repos.d/old.repo.rpmsave": "[x-tus-rpms]\n",
		})
		if got := collect(t, root).Host.OS.Channels; !slices.Equal(got, want) {
			t.Errorf("%s: channels %q; want %q", id, got, want)
		}
	}
}

func TestUbuntuProCountsOnlyWhileAttached(t *testing.T) {
	for status, want := range map[string]int{
		`{"attached": false, "services": [{"name": "esm-infra", "status": "enabled"}]}`: 0,
		`{"attached": true, "services": [{"name": "esm-apps", "status": "disabled"}]}`:  0,
		`{"attached": true, "services": [{"name": "esm-apps", "status": "enabled"}]}`:   1,
	} {
		root := tree(t, map[string]string{"etc/os-release": "ID=ubuntu\nVERSION_ID=22.04\n", "lib/apk/db/installed": "P:a\nV:1\n",
			"var/lib/ubuntu-advantage/status.json": status})
		if got := collect(t, root).Host.OS.Channels; len(got) != want {
			t.Errorf("%s: channels %q", status, got)
		}
	}
	root := tree(t, map[string]string{"etc/os-release": "ID=ubuntu\n", "lib/apk/db/installed": "P:a\nV:1\n", "var/lib/ubuntu-advantage/status.json": "{"})
	if unread := collect(t, root).Unread; len(unread) != 1 || !strings.Contains(unread[0].Why, "Ubuntu Pro is in force is unknown") {
		t.Errorf("unread %v", unread)
	}
}

func TestLiveMachine(t *testing.T) {
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil {
		t.Skipf("SKIPPED: the live machine has no dpkg database: %v", err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	inv := collect(t, "")
	i := slices.IndexFunc(inv.Processes, func(p host.Process) bool { return p.PID == os.Getpid() })
	if i < 0 || len(inv.Processes[i].Listeners) != 1 || inv.Processes[i].Listeners[0].Port != port {
		t.Errorf("this test's own listener on port %d is not in the inventory", port)
	}
	if i >= 0 && inv.Processes[i].Package != "" {
		t.Errorf("this test program is said to belong to package %s", inv.Processes[i].Package)
	}
	if inv.Origin != "live" || inv.Host.Name == "" || inv.Host.Arch == "" || inv.Kernel.Running == "" || len(inv.Packages) == 0 {
		t.Errorf("incomplete: %+v, kernel %+v, %d packages", inv.Host, inv.Kernel, len(inv.Packages))
	}
	owned := 0
	for _, p := range inv.Processes {
		if p.Package != "" && slices.Contains(p.Libraries, p.Package) {
			owned++
		}
	}
	t.Logf("%d packages, %d processes listed, %d owned, unread %v", len(inv.Packages), len(inv.Processes), owned, inv.Unread)
	if inv.Kernel.RunningPackage == "" && !slices.ContainsFunc(inv.Unread, func(u host.Unread) bool { return u.What == inv.Kernel.Running }) {
		t.Error("no package owns the running kernel, and nobody says so")
	}
}

func TestInventorySurvivesItsOwnFormats(t *testing.T) {
	inv := collect(t, tree(t, map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=12\n", "etc/hostname": "h\n", "var/lib/dpkg/status": bashStatus}))
	var own, bill bytes.Buffer
	if err := errors.Join(inventory.WriteJSON(&own, inv), inventory.WriteCycloneDX(&bill, inv)); err != nil {
		t.Fatal(err)
	}
	back, err := inventory.Read(&own, "x.json")
	if d := cmp.Diff(inv, back); d != "" || err != nil {
		t.Errorf("own JSON, %v (-written +read):\n%s", err, d)
	}
	back, err = inventory.Read(&bill, "x.json")
	opts := cmp.Options{cmpopts.IgnoreFields(host.Package{}, "PURL"), cmpopts.IgnoreFields(host.Inventory{}, "Origin")}
	if d := cmp.Diff(inv, back, opts); d != "" || err != nil {
		t.Errorf("CycloneDX, %v (-written +read):\n%s", err, d)
	}
}

func BenchmarkCollectLive(b *testing.B) {
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil {
		b.Skip("SKIPPED: no dpkg database here")
	}
	for b.Loop() {
		if _, err := inventory.Collect(context.Background(), inventory.Options{Now: clock}); err != nil {
			b.Fatal(err)
		}
	}
}
