//go:build linux

package vm

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The truth about cpio archives is another program's reading of ours.
func TestBusyboxReadsOurArchives(t *testing.T) {
	requireHost(t)
	from := t.TempDir()
	for name, content := range map[string]string{"empty": "", "one": "1", "deep/er/file": strings.Repeat("x", 4097)} {
		path := filepath.Join(from, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	a := newArchive(&out)
	a.hostPath("/tree", from)
	a.symlink("/bin/sh", "busybox")
	a.file("../../etc/escape", 0o600, []byte("stays inside"))
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	extract := exec.Command("busybox", "cpio", "-idm")
	extract.Dir, extract.Stdin = to, &out
	if said, err := extract.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if said, err := exec.Command("diff", "-r", from, filepath.Join(to, "tree")).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	if info, err := os.Stat(filepath.Join(to, "tree/one")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("permissions are lost: %v, %v", info.Mode(), err)
	}
	if target, err := os.Readlink(filepath.Join(to, "bin/sh")); err != nil || target != "busybox" {
		t.Errorf("link to %q, %v", target, err)
	}
	if content, err := os.ReadFile(filepath.Join(to, "etc/escape")); err != nil || string(content) != "stays inside" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestAMissingHostFileIsAnError(t *testing.T) {
	a := newArchive(&bytes.Buffer{})
	a.hostPath("/x", filepath.Join(t.TempDir(), "nowhere"))
	if a.close() == nil {
		t.Error("an archive without the file was written")
	}
}

func TestModulesComeAfterWhatTheyNeed(t *testing.T) {
	for _, series := range Matrix() {
		k := Kernel(t, series)
		load, err := k.modules("overlay", "virtio_console", "ext4", "nf_conntrack")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, m := range load {
			depends, err := dependencies(m.path)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range depends {
				if !slices.Contains(names, moduleName(d)) {
					t.Errorf("kernel %s: %s is loaded before %s, which it needs", series, m.name, d)
				}
			}
			names = append(names, m.name)
		}
		if !slices.Contains(names, "nf_defrag_ipv4") || slices.Contains(names, "ext4") {
			t.Errorf("kernel %s: %v; want what nf_conntrack needs, and not ext4, which is built in", series, names)
		}
		if _, err := k.modules("no_such_module"); err == nil || !strings.Contains(err.Error(), "no_such_module") {
			t.Errorf("kernel %s: an unknown module: %v", series, err)
		}
	}
}

func TestTheNewestVersionIsChosen(t *testing.T) {
	shown := "Package: linux-image-6.1.0-9-cloud-amd64\nVersion: 6.1.27-1\nDescription: x\n y: Version\n\n" +
		"Package: linux-image-6.1.0-10-cloud-amd64\nVersion: 6.1.38-1\n"
	got := versions(shown)
	if len(got) != 2 || got["linux-image-6.1.0-10-cloud-amd64"] != "6.1.38-1" {
		t.Errorf("read %v", got)
	}
	requireHost(t)
	if !newer("6.1.38-1", "6.1.4-1") || newer("6.1.4~rc1-1", "6.1.4-1") || newer("1", "1") {
		t.Error("versions are not in dpkg's order")
	}
}
