package guard

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// grounds is a little host below a directory: usr launches, usr/share is carved out,
// srv/www has directories of visitors, later is named and not there.
func grounds(t *testing.T) (top string, rs ruleset.Ruleset) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"usr/bin", "usr/share/deep", "usr/etc", "srv/www/site/uploads/a", "home"} {
		if err := os.MkdirAll(top+"/"+dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	rs = ruleset.Ruleset{Rules: []string{"", "system:usr", "user:share", "user:names"}, UserNames: []ruleset.UserName{{Name: "uploads", Rule: 3}},
		Places: []ruleset.Place{{Path: top + "/later", Flags: ruleset.Launches, LaunchRule: 1}, {Path: top + "/srv/www", Flags: ruleset.Launches | ruleset.Names, LaunchRule: 1},
			{Path: top + "/usr", Flags: ruleset.Launches, LaunchRule: 1}, {Path: top + "/usr/etc/tool", Flags: ruleset.File | ruleset.User, LaunchRule: 2},
			{Path: top + "/usr/share", Flags: ruleset.User, LaunchRule: 2}}}
	return top, rs
}

func program(t *testing.T, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("#!/bin/true\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// found finds a program as a question does: by an open descriptor.
func found(t *testing.T, l *layout, name string, meanwhile ...func()) finding {
	t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(name, err)
	}
	defer unix.Close(fd)
	for _, do := range meanwhile {
		do()
	}
	f, err := l.find(fd)
	if err != nil {
		t.Fatal(name, err)
	}
	return f
}

func TestAProgramIsJudgedByTheNearestNamedDirectory(t *testing.T) {
	top, rs := grounds(t)
	l := lay(rs, nil)
	for name, want := range map[string]struct {
		launches bool
		rule     string
	}{
		"usr/bin/x": {true, "system:usr"}, "usr/x": {true, "system:usr"}, "usr/share/x": {false, "user:share"}, "usr/share/deep/x": {false, "user:share"},
		"usr/etc/x": {true, "system:usr"}, "usr/etc/tool": {false, "user:share"}, "home/x": {false, ""}, "x": {false, ""},
		"srv/www/site/x": {true, "system:usr"}, "srv/www/site/uploads/x": {false, "user:names"}, "srv/www/site/uploads/a/x": {false, "user:names"},
		"later/x": {true, "system:usr"}, // the place was made since
		"usr/" + strings.Repeat("d/", deepest-2) + "x": {true, "system:usr"}, "usr/" + strings.Repeat("e/", deepest+1) + "x": {false, ""},
	} {
		program(t, top+"/"+name)
		f := found(t, l, top+"/"+name)
		if f.launches() != want.launches || l.rule(f.place.LaunchRule) != want.rule {
			t.Errorf("%.40s: launches %v by rule %q, want %v by %q", name, f.launches(), l.rule(f.place.LaunchRule), want.launches, want.rule)
		}
	}
}

func TestNoNameMakesAProgramOfUserSpaceOneOfSystemSpace(t *testing.T) {
	top, rs := grounds(t)
	l := lay(rs, nil)
	program(t, top+"/home/x")
	program(t, top+"/usr/bin/x")
	if err := os.Symlink("../../home/x", top+"/usr/bin/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../home", top+"/usr/dir"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(top+"/usr/bin/x", top+"/home/back"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"usr/bin/link": false, "usr/dir/x": false, "usr/bin/../../home/x": false, "home/back": true} {
		if f := found(t, l, top+"/"+name); f.launches() != want {
			t.Errorf("%s: launches %v, want %v", name, f.launches(), want)
		}
	}
	// Whoever waits for an answer may lead the path elsewhere meanwhile.
	swapped := func() {
		if err := os.Rename(top+"/home", top+"/old"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("usr/bin", top+"/home"); err != nil {
			t.Fatal(err)
		}
	}
	if f := found(t, l, top+"/home/x", swapped); f.launches() {
		t.Errorf("a directory that became a link to system space made its program launch: %+v", f)
	}
}

func TestAnUnlinkedProgramLiesNowhere(t *testing.T) {
	top, rs := grounds(t)
	l := lay(rs, nil)
	program(t, top+"/usr/bin/x")
	gone := func() {
		if err := os.Remove(top + "/usr/bin/x"); err != nil {
			t.Fatal(err)
		}
	}
	if f := found(t, l, top+"/usr/bin/x", gone); f.launches() {
		t.Errorf("launches: %+v", f)
	}
	// Nor where another file took its name.
	program(t, top+"/usr/bin/y")
	replaced := func() {
		program(t, top+"/usr/bin/z")
		if err := os.Rename(top+"/usr/bin/z", top+"/usr/bin/y"); err != nil {
			t.Fatal(err)
		}
	}
	if f := found(t, l, top+"/usr/bin/y", replaced); f.launches() {
		t.Errorf("launches: %+v", f)
	}
}

func TestANamedDirectoryThatWasReplacedIsNamedAtOnce(t *testing.T) {
	top, rs := grounds(t)
	l := lay(rs, nil)
	program(t, top+"/usr/bin/x")
	if err := os.Rename(top+"/usr", top+"/moved"); err != nil {
		t.Fatal(err)
	}
	program(t, top+"/usr/bin/x")
	program(t, top+"/usr/share/x")
	for name, want := range map[string]bool{"usr/bin/x": true, "usr/share/x": false, "moved/bin/x": true} {
		if f := found(t, l, top+"/"+name); f.launches() != want {
			t.Errorf("%s: launches %v, want %v", name, f.launches(), want)
		}
	}
	// What is moved is what it was until the host is looked at again.
	if f := found(t, lay(rs, nil), top+"/moved/bin/x"); f.launches() {
		t.Error("a directory that was moved out of system space launches after another look")
	}
}

func TestSystemSpaceThatOthersChangeIsAGapAndForeignFileSystemsDoNotLaunch(t *testing.T) {
	top, rs := grounds(t)
	if err := os.Chmod(top+"/usr", 0o777); err != nil {
		t.Fatal(err)
	}
	program(t, top+"/usr/bin/x")
	program(t, top+"/srv/www/x")
	l := lay(rs, []mount{{at: top + "/srv/www", root: "/", kind: "nfs"}})
	if len(l.gaps) != 2 {
		t.Errorf("gaps %+v, want one for usr and one for srv/www", l.gaps)
	}
	if f := found(t, l, top+"/usr/bin/x"); !f.launches() {
		t.Error("it is a gap, and launches")
	}
	if f := found(t, l, top+"/srv/www/x"); f.launches() {
		t.Error("launches from a file system somebody else fills")
	}
}
