//go:build guest && linux

package guard_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/kannuki/kannuki/guard"
)

// These two are last: they end the guard all other tests share.

func TestAnotherVersionTakesOverWithoutAMomentBetween(t *testing.T) {
	g := under(t, lifeRules())
	contained := start(t, attacker)
	contained.must(t, "listen")
	install(scratch + "/x")
	old := g.Folder()
	half := halfPinned(t, old)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	adopted.g = nil
	tries := hammered(t, "/usr/lib/demo", scratch+"/x", func() {
		next := startAgent(t, "next")
		said := next.tells(t, "")
		t.Log(said)
		if !strings.HasPrefix(said, "open false 0") {
			t.Fatalf("what was pinned by half: %s", said)
		}
		if said := next.tells(t, "apply"); said != "apply <nil>" {
			t.Fatal(said)
		}
		next.kill()
	})
	t.Logf("%d attempts", tries)
	if exists(old) || exists(half+"/map_half") {
		t.Error("what is no longer in force is still pinned")
	}
	again, err := guard.OpenVersion(guard.Options{Pins: pinned, Now: time.Now}, "next")
	if err != nil {
		t.Fatal(err)
	}
	adopted.g = again
	if l, err := again.Label(contained.pid); err != nil || !l.Contained || !again.Adopted() {
		t.Errorf("label %+v, %v; adopted %v", l, err, again.Adopted())
	}
	contained.is(t, false, "write", "/etc/demo")
}

// halfPinned leaves what a process of the next version leaves that is killed while it
// pins.
func halfPinned(t *testing.T, beside string) string {
	t.Helper()
	dir := beside[:strings.LastIndex(beside, "-")] + "-next"
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := errors.Join(os.Mkdir(dir, 0o700), m.Pin(filepath.Join(dir, "map_half"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRemoveTakesEverythingOut(t *testing.T) {
	g := theGuard(t)
	prepare(t)
	if _, err := g.ApplyRuleset(lifeRules()); err != nil {
		t.Fatal(err)
	}
	a := start(t, attacker)
	a.is(t, false, "write", "/usr/lib/demo")
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	adopted.g = nil
	for until := time.Now().Add(10 * time.Second); !a.does(t, "write", "/usr/lib/demo"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it is refused still")
		}
	}
	if exists(pinned) {
		t.Error("pins are left")
	}
}
