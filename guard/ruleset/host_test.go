package ruleset_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
)

func sealed(paths ...string) policy.Policy {
	p := policy.Policy{Version: 1, Name: "test", Mode: policy.Enforce}
	for _, at := range paths {
		p.Spaces.System = append(p.Spaces.System, policy.SystemPath{Place: policy.Place{Path: at}, Seal: policy.Sealed})
	}
	p.Fill()
	return p
}

// ownPlaces are the places of rs but for the guard's and the control groups'.
func ownPlaces(rs ruleset.Ruleset) []string {
	var out []string
	for _, p := range rs.Places {
		if r := rs.Rules[p.WriteRule]; r != policy.RuleGuard && r != policy.RuleUnits {
			out = append(out, p.Path)
		}
	}
	return out
}

func TestPlacesAreWhereTheyReallyLie(t *testing.T) {
	root := files(`
		bin -> usr/bin
		usr/bin/
		data/app/v2/
		opt/app -> /data/app/current
		data/app/current -> v2
		opt/up -> ../../../data
		opt/gone -> /data/later/x
		opt/a -> b
		opt/b -> a
		opt/file
		var/run -> /run
		run/
	`)
	for _, row := range []struct {
		name, path string
		want       []string
	}{
		{"as named", "/data/app", []string{"/data/app"}},
		{"a link, which is closed as well", "/bin", []string{"/bin", "/usr/bin"}},
		{"a link on the way is followed", "/bin/x/y", []string{"/usr/bin/x/y"}},
		{"an absolute link, and one beside its target", "/opt/app", []string{"/data/app/current", "/data/app/v2", "/opt/app"}},
		{"a link above the root is below it", "/opt/up", []string{"/data", "/opt/up"}},
		{"what is missing waits below what is there", "/var/run/new/deep", []string{"/run/new/deep"}},
		{"a link to nothing waits where it leads", "/opt/gone", []string{"/data/later/x", "/opt/gone"}},
		{"below a file nothing is yet", "/opt/file/x", []string{"/opt/file/x"}},
		{"nothing there at all", "/nowhere/x", []string{"/nowhere/x"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			rs, gaps := ruleset.Compile(sealed(row.path), ruleset.Host{FS: root}, noon)
			if got := ownPlaces(rs); !slices.Equal(got, row.want) {
				t.Errorf("%v, want %v", got, row.want)
			}
			if slices.ContainsFunc(gaps, func(g ruleset.Gap) bool { return g.Rule == "system:"+row.path }) {
				t.Errorf("gaps %v", gaps)
			}
		})
	}
}

func TestLinksInACircleAreAGap(t *testing.T) {
	rs, gaps := ruleset.Compile(sealed("/opt/a/x"), ruleset.Host{FS: files("opt/a -> b\nopt/b -> a")}, noon)
	if got := ownPlaces(rs); len(got) != 0 {
		t.Errorf("places %v", got)
	}
	if !hasGap(gaps, "system:/opt/a/x", "/opt/a/x") {
		t.Errorf("gaps %v", gaps)
	}
}

// unreadable is a file system one directory of which may not be looked at.
type unreadable struct{ fs.ReadLinkFS }

func (u unreadable) Lstat(name string) (fs.FileInfo, error) {
	if name == "opt/closed" {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: fs.ErrPermission}
	}
	return u.ReadLinkFS.Lstat(name)
}

func TestWhatCannotBeLookedAtIsAGap(t *testing.T) {
	_, gaps := ruleset.Compile(sealed("/opt/closed/x"), ruleset.Host{FS: unreadable{files("opt/")}}, noon)
	if !hasGap(gaps, "system:/opt/closed/x", "/opt/closed/x") {
		t.Errorf("gaps %v", gaps)
	}
}

func hasGap(gaps []ruleset.Gap, rule, subject string) bool {
	return slices.ContainsFunc(gaps, func(g ruleset.Gap) bool { return g.Rule == rule && g.Subject == subject && g.Why != "" })
}

func TestAPlaceInHomesIsOneInEveryHome(t *testing.T) {
	p := policy.Policy{Version: 1, Name: "test", Mode: policy.Enforce}
	p.Spaces.Private = []policy.PrivatePath{{Place: policy.Place{Path: "~/.ssh"}}}
	p.Fill()
	rs, _ := ruleset.Compile(p, ruleset.Host{FS: files("home -> data/home\ndata/home/aiko/"), Homes: []string{"/home/aiko", "/root", "/var/lib/git"}}, noon)
	var got []string
	for _, place := range rs.Places {
		if rs.Rules[place.PrivateRule] == "private:~/.ssh" {
			got = append(got, place.Path)
		}
	}
	if want := []string{"/data/home/aiko/.ssh", "/root/.ssh", "/var/lib/git/.ssh"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestAHostIsReadFromItsFiles(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"etc", "root", "home/aiko", "home/ldap-user", "var/lib/postgresql", "srv/git"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	passwd := "root:x:0:0:root:/root:/bin/bash\n" +
		"daemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n" +
		"postgres:x:110:115::/var/lib/postgresql:/bin/bash\n" +
		"git:x:1002:1002::/srv/git:/usr/bin/git-shell\n" +
		"gone:x:1003:1003::/home/gone:/bin/sh\n" +
		"everything:x:1004:1004::/:/bin/sh\n" +
		"nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n" +
		"+@nis\nbad:x:one:1::/root:/bin/sh\n" +
		"aiko:x:1000:1000:Aiko:/home/aiko:/bin/zsh\n"
	if err := os.WriteFile(filepath.Join(root, "etc/passwd"), []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	h, err := ruleset.ReadHost(root)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"/home/aiko", "/home/ldap-user", "/root", "/srv/git"}; !slices.Equal(h.Homes, want) {
		t.Errorf("homes %v, want %v", h.Homes, want)
	}
	if len(h.Accounts) != 8 || h.Accounts["postgres"] != 110 || h.Accounts["aiko"] != 1000 {
		t.Errorf("accounts %v", h.Accounts)
	}
	if _, err := ruleset.ReadHost(filepath.Join(root, "home")); err == nil {
		t.Error("a root without etc/passwd is read as if it had one")
	}
}
