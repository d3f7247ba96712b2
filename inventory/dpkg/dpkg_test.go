package dpkg_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/dpkg"
)

func TestStanzas(t *testing.T) {
	tests := []struct {
		name, in string
		byDir    bool
		want     []host.Package
		unread   []string // parts of "what: why"
	}{
		{name: "source defaults to the binary", in: "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b7\n",
			want: []host.Package{{Name: "bash", Version: "5.2.15-2+b7", Arch: "amd64", Source: "bash", SourceVersion: "5.2.15-2+b7", Kind: "dpkg"}}},
		{name: "source with its own version", in: "Package: bash\nSource: bash-src (5.2.15-2)\nStatus: install ok installed\nVersion: 5.2.15-2+b7\n",
			want: []host.Package{{Name: "bash", Version: "5.2.15-2+b7", Source: "bash-src", SourceVersion: "5.2.15-2", Kind: "dpkg"}}},
		{name: "vendor, case and continuation lines", in: "PACKAGE: a\nstatus: hold ok triggers-awaited\nversion: 1\nOrigin: Example\nDescription: x\n Version: 9\n .\n Package: b\n",
			want: []host.Package{{Name: "a", Version: "1", Source: "a", SourceVersion: "1", Kind: "dpkg", Vendor: "Example"}}},
		{name: "removed packages are neither installed nor unread",
			in: "Package: a\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: b\nStatus: purge ok not-installed\n"},
		{name: "two architectures of one package", in: "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n\n\nPackage: a\nStatus: install ok unpacked\nArchitecture: i386\nVersion: 1",
			want: []host.Package{
				{Name: "a", Version: "1", Arch: "amd64", Source: "a", SourceVersion: "1", Kind: "dpkg"},
				{Name: "a", Version: "1", Arch: "i386", Source: "a", SourceVersion: "1", Kind: "dpkg"}}},
		{name: "no Status is installed in status.d", byDir: true, in: "Package: base-files\nVersion: 12\n",
			want: []host.Package{{Name: "base-files", Version: "12", Source: "base-files", SourceVersion: "12", Kind: "dpkg"}}},
		{name: "no Status is unread in status", in: "Package: a\nVersion: 1\n", unread: []string{"status:1 a: no Status"}},
		{name: "no Version", in: "\n\nPackage: a\nStatus: install ok installed\n", unread: []string{"status:3 a: no Version"}},
		{name: "no Package", in: "Status: install ok installed\nVersion: 1\n", unread: []string{"status:1: no Package"}},
		{name: "a broken stanza does not touch its neighbours", in: "Package: a\nwhat is this\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n",
			want:   []host.Package{{Name: "b", Version: "2", Source: "b", SourceVersion: "2", Kind: "dpkg"}},
			unread: []string{"status:1 a: line 2 is neither"}},
		{name: "a field given twice", in: "Package: a\nVersion: 1\nVersion: 2\nStatus: install ok installed\n", unread: []string{"line 3 gives Version a second time"}},
		{name: "half-installed", in: "Package: a\nStatus: install reinstreq half-installed\nVersion: 1\n", unread: []string{"half-installed"}},
		{name: "unknown state", in: "Package: a\nStatus: install ok wobbly\nVersion: 1\n", unread: []string{`unknown Status "install ok wobbly"`}},
		{name: "broken Source", in: "Package: a\nStatus: install ok installed\nVersion: 1\nSource: b (1\n", unread: []string{`Source "b (1"`}},
		{name: "empty", in: ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			packages, unread, err := dpkg.Parse(strings.NewReader(test.in), "status", test.byDir)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, packages); d != "" {
				t.Errorf("packages (-want +got):\n%s", d)
			}
			if len(unread) != len(test.unread) {
				t.Fatalf("unread %v; want %q", unread, test.unread)
			}
			for i, u := range unread {
				if got := u.What + ": " + u.Why; !strings.Contains(got, test.unread[i]) {
					t.Errorf("unread %q; want %q in it", got, test.unread[i])
				}
			}
		})
	}
}

func TestLongLinesDoNotEndTheStanza(t *testing.T) {
	long := strings.Repeat("x, ", 100_000)
	in := "Package: a\nDepends: " + long + "\nStatus: install ok installed\nVersion: 1\nConffiles:\n " + long + "\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n"
	packages, unread, err := dpkg.Parse(strings.NewReader(in), "status", false)
	if err != nil || len(unread) != 0 || len(packages) != 2 {
		t.Fatalf("packages %v, unread %v, err %v", packages, unread, err)
	}
}

// TestAgreesWithDpkgQuery holds our reading of this machine's database against dpkg's own.
func TestAgreesWithDpkgQuery(t *testing.T) {
	query, err := exec.LookPath("dpkg-query")
	if err != nil {
		t.Skip("SKIPPED: no dpkg-query here to compare with")
	}
	out, err := exec.Command(query, "-W", "-f",
		"${Package}\t${Architecture}\t${Version}\t${source:Package}\t${source:Version}\t${Status}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for line := range strings.Lines(string(out)) {
		head, status, _ := cutLast(strings.TrimSuffix(line, "\n"), "\t")
		switch status[strings.LastIndexByte(status, ' ')+1:] {
		case "installed", "unpacked", "half-configured", "triggers-awaited", "triggers-pending":
			want = append(want, head)
		}
	}
	file, err := os.Open("/" + dpkg.StatusPath)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packages, unread, err := dpkg.Parse(file, "status", false)
	if err != nil || len(unread) != 0 {
		t.Fatalf("unread %v, err %v", unread, err)
	}
	var got []string
	differ := 0
	for _, p := range packages {
		got = append(got, strings.Join([]string{p.Name, p.Arch, p.Version, p.Source, p.SourceVersion}, "\t"))
		if p.Version != p.SourceVersion {
			differ++
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if d := cmp.Diff(want, got); d != "" || len(got) == 0 {
		t.Errorf("dpkg-query and we differ (-dpkg +ours):\n%s", d)
	}
	t.Logf("%d packages, %d with a source version of their own", len(got), differ)
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func FuzzParse(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\nSource: b (2)\n", false)
	f.Add("Package: a\n\nVersion", true)
	f.Add(": \n \n\t\nStatus:  \n", false)
	f.Fuzz(func(t *testing.T, in string, byDir bool) {
		packages, _, err := dpkg.Parse(strings.NewReader(in), "status", byDir)
		if err != nil {
			t.Fatalf("a string cannot fail to be read: %v", err)
		}
		for _, p := range packages {
			if p.Name == "" || p.Version == "" || p.Source == "" || p.SourceVersion == "" {
				t.Fatalf("incomplete package %+v", p)
			}
		}
	})
}

// status770 is a status file of the size of a usual server: 770 packages.
func status770() []byte {
	var b bytes.Buffer
	for i := range 770 {
		fmt.Fprintf(&b, "Package: package-%d\nStatus: install ok installed\nPriority: optional\nSection: libs\nInstalled-Size: 1234\n"+
			"Maintainer: Someone <someone@example.org>\nArchitecture: amd64\nMulti-Arch: same\nSource: source-%d (1.%d-1)\nVersion: 1.%d-1+b1\n"+
			"Depends: libc6 (>= 2.34), libgcc-s1 (>= 3.0), libstdc++6 (>= 12)\nConffiles:\n /etc/package-%d.conf 00000000000000000000000000000000\n"+
			"Description: one of many\n%sHomepage: https://example.org/\n\n", i, i/2, i, i, i, strings.Repeat(" a line of a description that goes on a little\n", 12))
	}
	return b.Bytes()
}

func BenchmarkParse770(b *testing.B) {
	data := status770()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		packages, unread, err := dpkg.Parse(bytes.NewReader(data), "status", false)
		if err != nil || len(unread) != 0 || len(packages) != 770 {
			b.Fatal(len(packages), unread, err)
		}
	}
}
