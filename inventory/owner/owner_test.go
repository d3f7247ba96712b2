package owner_test

import (
	"os"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
)

// links are symbolic links by name.
type links map[string]string

func (l links) Readlink(name string) (string, error) {
	if t, ok := l[name]; ok {
		return t, nil
	}
	return "", os.ErrNotExist
}

func TestMergedUsr(t *testing.T) {
	libc, ping := &host.Package{Name: "libc6"}, &host.Package{Name: "ping"}
	tests := []struct {
		name                string
		links               links
		asked, claimed      string
		owner               *host.Package
		alsoAsked, alsoWant string
	}{
		{"listed under /lib, mapped under /usr/lib", links{"lib": "usr/lib"}, "/usr/lib/x/libc.so.6", "/lib/x/libc.so.6", libc, "/lib/x/libc.so.6", "libc6"},
		{"listed under /usr/lib, mapped under /lib", links{"lib": "/usr/lib"}, "/lib/x/libc.so.6", "/usr/lib/x/libc.so.6", libc, "", ""},
		{"not merged: two files", links{}, "/usr/lib/x/libc.so.6", "/lib/x/libc.so.6", nil, "", ""},
		{"merged elsewhere: two files", links{"lib": "other/lib"}, "/usr/lib/x/libc.so.6", "/lib/x/libc.so.6", nil, "", ""},
		{"bin merged, lib not", links{"bin": "usr/bin"}, "/usr/bin/ping", "/bin/ping", ping, "", ""},
		{"no link for share", links{"lib": "usr/lib", "bin": "usr/bin"}, "/usr/share/x", "/share/x", nil, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			x := owner.New(test.links, []string{test.asked})
			p := test.owner
			if p == nil {
				p = libc
			}
			x.Claim([]byte(test.claimed), p)
			if got := x.Owner(test.asked); got != test.owner {
				t.Errorf("owner of %s is %v; want %v", test.asked, got, test.owner)
			}
			if x.Done() != (test.owner != nil) {
				t.Errorf("done %v", x.Done())
			}
			if test.alsoAsked != "" && (x.Owner(test.alsoAsked) == nil || x.Owner(test.alsoAsked).Name != test.alsoWant) {
				t.Errorf("owner of %s is %v", test.alsoAsked, x.Owner(test.alsoAsked))
			}
		})
	}
}

func TestFirstClaimStands(t *testing.T) {
	first, second := &host.Package{Name: "first"}, &host.Package{Name: "second"}
	x := owner.New(links{}, []string{"/a", "/a", "/b"})
	x.Claim([]byte("/a"), first)
	x.Claim([]byte("/a"), second)
	x.Claim([]byte("/nobody-asked"), second)
	if x.Owner("/a") != first || x.Owner("/b") != nil || x.Owner("/nobody-asked") != nil || x.Done() {
		t.Errorf("owners %v %v %v, done %v", x.Owner("/a"), x.Owner("/b"), x.Owner("/nobody-asked"), x.Done())
	}
	x.Claim([]byte("/b"), second)
	if !x.Done() {
		t.Error("not done though every path has an owner")
	}
}
