package osrelease_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/osrelease"
)

func TestSystems(t *testing.T) {
	tests := []struct {
		name, in string
		want     host.OS
	}{
		{"Debian", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n",
			host.OS{ID: "debian", VersionID: "12", Codename: "bookworm", Name: "Debian GNU/Linux 12 (bookworm)"}},
		{"Debian sid has no version", "PRETTY_NAME=\"Debian GNU/Linux forky/sid\"\nID=debian\nVERSION_CODENAME=forky\n",
			host.OS{ID: "debian", Codename: "forky", Name: "Debian GNU/Linux forky/sid"}},
		{"Ubuntu long-term", "NAME=Ubuntu\nVERSION_ID='22.04'\nVERSION='22.04.4 LTS (Jammy Jellyfish)'\nID=ubuntu\nID_LIKE=debian\n",
			host.OS{ID: "ubuntu", IDLike: []string{"debian"}, VersionID: "22.04", Name: "Ubuntu 22.04.4 LTS (Jammy Jellyfish)", LTS: true}},
		{"Ubuntu interim", "PRETTY_NAME=\"Ubuntu 23.10\"\nVERSION_ID=\"23.10\"\nVERSION=\"23.10 (Mantic)\"\nID=ubuntu\n",
			host.OS{ID: "ubuntu", VersionID: "23.10", Name: "Ubuntu 23.10"}},
		{"Rocky", "# a comment\n\nID=\"rocky\"\r\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Rocky Linux 9.4\"\nCPE_NAME=\"cpe:/o:rocky:rocky:9::baseos\"\n",
			host.OS{ID: "rocky", IDLike: []string{"rhel", "centos", "fedora"}, VersionID: "9.4", Name: "Rocky Linux 9.4", CPE: "cpe:/o:rocky:rocky:9::baseos"}},
		{"escapes", "ID=x\nPRETTY_NAME=\"a \\\"b\\\" \\$c\"\nVERSION_ID=1\\.2\n", host.OS{ID: "x", Name: `a "b" $c`, VersionID: "1.2"}},
		{"no ID is linux", "PRETTY_NAME=x\n", host.OS{ID: "linux", Name: "x"}},
		{"the last assignment counts", "ID=a\nID=b\nNAME=n\n", host.OS{ID: "b", Name: "n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := osrelease.Parse([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestFaultsNameTheLine(t *testing.T) {
	for in, want := range map[string]string{
		"ID=a\nnot an assignment\n": "line 2", "ID=\"open\n": "line 1: ID: quote is not closed",
		"A=1\n\nID='a' b\n": "line 3: ID: text after", "=x": "line 1",
	} {
		if _, err := osrelease.Parse([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): error %v; want %q in it", in, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("ID=debian\nVERSION_ID=\"12\"\n"))
	f.Add([]byte("ID='a\\'\nX=\"\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		os, err := osrelease.Parse(data)
		if err == nil && os.ID == "" {
			t.Fatalf("no error and no ID: %+v", os)
		}
		if err != nil && os.ID != "" {
			t.Fatalf("an error and a value: %v %+v", err, os)
		}
	})
}
