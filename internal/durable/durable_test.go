//go:build unix

package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/kannuki/kannuki/internal/durable"
)

// names are the files of a folder.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func want(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("%s: %.40q, %v; want %.40q", path, got, err, content)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != mode {
		t.Errorf("%s: mode %v, %v; want %v", path, info.Mode(), err, mode)
	}
}

func TestAFileIsReplacedWithTheModeAskedFor(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "unit")
	defer syscall.Umask(syscall.Umask(0o077))
	for _, c := range []struct {
		content string
		mode    fs.FileMode
	}{{"first", 0o644}, {"", 0o600}, {"a longer one", 0o755}} {
		if err := durable.Replace(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		want(t, path, c.content, c.mode)
	}
	if left := names(t, dir); !slices.Equal(left, []string{"unit"}) {
		t.Errorf("left %q", left)
	}
}

func TestALinkIsReplacedNotFollowed(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "link"), filepath.Join(dir, "other")
	if err := errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Symlink(other, path), durable.Replace(path, []byte("new"), 0o600)); err != nil {
		t.Fatal(err)
	}
	want(t, path, "new", 0o600)
	want(t, other, "other", 0o600)
}

func TestWhatCannotBePutInPlaceLeavesNothingBehind(t *testing.T) {
	for why, c := range map[string]struct {
		path string
		do   func(t *testing.T, path string) error
	}{
		"a directory of that name": {"folder", func(_ *testing.T, path string) error { return durable.Replace(path, []byte("x"), 0o600) }},
		"a folder that is not there": {"missing/file", func(_ *testing.T, path string) error {
			return durable.Replace(path, []byte("x"), 0o600)
		}},
		"no room for the content": {"old", func(t *testing.T, path string) error {
			limit(t, 1<<10)
			return durable.Replace(path, make([]byte, 1<<12), 0o600)
		}},
		"a file that was closed": {"old", func(t *testing.T, path string) error {
			f, err := os.Create(filepath.Join(filepath.Dir(path), "part"))
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			return durable.Settle(f, path)
		}},
		"a name in a folder that is not there": {"missing/file", func(t *testing.T, path string) error {
			f, err := os.Create(filepath.Join(filepath.Dir(filepath.Dir(path)), "part"))
			if err != nil {
				t.Fatal(err)
			}
			return durable.Settle(f, path)
		}},
	} {
		t.Run(why, func(t *testing.T) {
			dir := t.TempDir()
			old := filepath.Join(dir, "old")
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.WriteFile(old, []byte("old"), 0o600)); err != nil {
				t.Fatal(err)
			}
			if err := c.do(t, filepath.Join(dir, c.path)); err == nil {
				t.Error("no error")
			}
			want(t, old, "old", 0o600)
			if left := names(t, dir); !slices.Equal(left, []string{"folder", "old"}) {
				t.Errorf("left %q", left)
			}
		})
	}
}

// limit bounds the size of the files this process writes, in bytes, until the test ends.
func limit(t *testing.T, size uint64) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Error(err)
		}
		signal.Reset(syscall.SIGXFSZ)
	})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
}

func TestReadersFindOneContentWholeWhileTwoWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<15)}
	if err := durable.Replace(path, []byte(contents[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	for _, content := range contents {
		writing.Go(func() {
			for range 20 {
				if err := durable.Replace(path, []byte(content), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	for reads := 0; ; reads++ {
		got, err := os.ReadFile(path)
		if err != nil || !slices.Contains(contents, string(got)) {
			t.Fatalf("read %d: %d bytes, %d of them a, %v", reads, len(got), bytes.Count(got, []byte("a")), err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestWhatIsRemovedMayBeGoneAlready(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := durable.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.Remove(filepath.Join(dir, "missing", "file")); err != nil {
		t.Error(err)
	}
	if left := names(t, dir); left != nil {
		t.Errorf("left %q", left)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Remove(dir); err == nil {
		t.Error("a folder with a file in it was removed")
	}
}
