//go:build linux

package vm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func fill(dir string) error { return os.WriteFile(filepath.Join(dir, "whole"), nil, 0o644) }

func TestManyAskAndOneMakes(t *testing.T) {
	cache := t.TempDir()
	var made atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := keep(cache, "kind/thing", func(dir string) error {
				made.Add(1)
				time.Sleep(20 * time.Millisecond)
				return fill(dir)
			})
			if err != nil || !exists(filepath.Join(dir, "whole")) {
				t.Errorf("%s, %v: not whole", dir, err)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 {
		t.Errorf("made %d times", made.Load())
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	cache := t.TempDir()
	if _, err := keep(cache, "thing", func(string) error { return errors.New("no network") }); err == nil {
		t.Fatal("a failure was kept")
	}
	if _, err := keep(cache, "thing", fill); err != nil {
		t.Error("after a failure:", err)
	}
}

// The maker here is this test in a process of its own, killed in the middle.
func TestAKilledMakerLeavesNothingHalf(t *testing.T) {
	if cache := os.Getenv("KANNUKI_TEST_KEEP"); cache != "" {
		_, _ = keep(cache, "thing", func(dir string) error {
			_ = os.WriteFile(filepath.Join(dir, "half"), nil, 0o644)
			time.Sleep(time.Minute)
			return nil
		})
		return
	}
	cache := t.TempDir()
	maker := child(t, "TestAKilledMakerLeavesNothingHalf", "KANNUKI_TEST_KEEP="+cache)
	until(t, func() bool { return exists(filepath.Join(cache, "thing.building", "half")) })
	if exists(filepath.Join(cache, "thing")) {
		t.Error("there before it is whole")
	}
	if err := maker.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = maker.Wait()
	dir, err := keep(cache, "thing", fill)
	if err != nil || exists(filepath.Join(dir, "half")) || !exists(filepath.Join(dir, "whole")) {
		t.Errorf("%s, %v: not made anew", dir, err)
	}
	if exists(filepath.Join(cache, "thing.building")) {
		t.Error("what the killed process left is still there")
	}
}

func TestOnlyWhatNobodyAsksForIsPruned(t *testing.T) {
	cache := t.TempDir()
	for _, name := range []string{"old", "asked", "new"} {
		if _, err := keep(cache, name, fill); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-unusedFor - time.Hour)
		if err := os.Chtimes(filepath.Join(cache, name), long, long); err != nil {
			t.Fatal(err)
		}
		if name == "old" {
			continue
		}
		if _, err := keep(cache, name, nil); err != nil {
			t.Fatal(err)
		}
	}
	prune(cache)
	for name, want := range map[string]bool{"old": false, "asked": true, "new": true} {
		if exists(filepath.Join(cache, name)) != want {
			t.Errorf("%s: there = %v, want %v", name, !want, want)
		}
	}
}

// child runs one test of this binary in a process of its own.
func child(t *testing.T, test string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// until waits for something that another process does.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal("waited 30 s for nothing")
}
