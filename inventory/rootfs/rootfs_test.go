package rootfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/inventory/rootfs"
)

// image builds a root with a secret beside it, and returns it opened.
func image(t *testing.T, links map[string]string) *rootfs.FS {
	t.Helper()
	top := t.TempDir()
	root := filepath.Join(top, "image")
	write(t, filepath.Join(top, "secret"), "outside")
	write(t, filepath.Join(root, "etc/real"), "inside")
	write(t, filepath.Join(root, "secret"), "the image's own")
	for name, target := range links {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(strings.ReplaceAll(target, "TOP", top), name); err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fsys.Close() })
	return fsys
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLinksAreResolvedInsideTheRoot(t *testing.T) {
	fsys := image(t, map[string]string{
		"abs":         "/etc/real",
		"rel":         "etc/real",
		"a/b/dotdot":  "../../etc/real",
		"climb":       "../../../../../secret", // stops at the root, so it is the image's own
		"absdir":      "/etc",
		"chain":       "/abs",
		"a/relchain":  "../absdir/real",
		"escape":      "TOP/secret",
		"loop":        "loop",
		"a/loop1":     "loop2",
		"a/loop2":     "/a/loop1",
		"nowhere":     "/gone",
		"usr/lib/rel": "../../absdir/../secret",
	})
	for name, want := range map[string]string{
		"abs": "inside", "/rel": "inside", "a/b/dotdot": "inside", "climb": "the image's own",
		"absdir/real": "inside", "chain": "inside", "a/relchain": "inside", "../../secret": "the image's own",
		"usr/lib/rel": "the image's own",
	} {
		got, err := fsys.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("ReadFile(%q) = %q, %v; want %q", name, got, err, want)
		}
		if _, err := fsys.Stat(name); err != nil {
			t.Errorf("Stat(%q): %v", name, err)
		}
	}
	for _, name := range []string{"escape", "loop", "a/loop1", "nowhere"} {
		if got, err := fsys.ReadFile(name); err == nil {
			t.Errorf("ReadFile(%q) = %q; want an error", name, got)
		}
		if _, err := fsys.Stat(name); err == nil {
			t.Errorf("Stat(%q) succeeded; want an error", name)
		}
	}
}

func TestPipeInTheImageDoesNotBlock(t *testing.T) {
	fsys := image(t, nil)
	if err := syscall.Mkfifo(filepath.Join(fsys.Dir(), "pipe"), 0o644); err != nil {
		t.Skipf("SKIPPED: no pipes here: %v", err)
	}
	done := make(chan error, 1)
	go func() { _, err := fsys.ReadFile("pipe"); done <- err }()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Fatalf("error %v; want one that says it is not a regular file", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("reading a pipe blocked")
	}
}

func TestMissingFileIsNamedAsTheAdministratorSeesIt(t *testing.T) {
	fsys := image(t, nil)
	_, err := fsys.ReadFile("var/lib/dpkg/status")
	if !os.IsNotExist(err) || !strings.Contains(err.Error(), filepath.Join(fsys.Dir(), "var/lib/dpkg/status")) {
		t.Fatalf("error %v; want not-exist with the full path", err)
	}
}

func TestReadDirIsSorted(t *testing.T) {
	fsys := image(t, map[string]string{"link": "/etc"})
	write(t, filepath.Join(fsys.Dir(), "etc/another"), "")
	entries, err := fsys.ReadDir("link")
	if err != nil || len(entries) != 2 || entries[0].Name() != "another" {
		t.Fatalf("ReadDir = %v, %v", entries, err)
	}
}
