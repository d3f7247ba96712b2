package cyclonedx_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/cyclonedx"
)

// bill wraps components into a document.
func bill(version string, components ...string) string {
	return fmt.Sprintf(`{"bomFormat":"CycloneDX","specVersion":%q,"version":1,"components":[%s]}`, version, strings.Join(components, ","))
}

func TestComponentsOfSBOMMakers(t *testing.T) {
	const debian = `{"type":"operating-system","name":"debian","version":"12.5"}`
	tests := []struct {
		name, component string
		want            host.Package
	}{
		{"deb with source and its version", `{"type":"library","name":"bash","version":"5.2.15-2+b7","purl":"pkg:deb/debian/bash@5.2.15-2%2Bb7?arch=amd64&distro=debian-12&upstream=bash@5.2.15-2"}`,
			host.Package{Name: "bash", Version: "5.2.15-2+b7", Arch: "amd64", Source: "bash", SourceVersion: "5.2.15-2", Kind: "dpkg"}},
		{"deb with source name only", `{"type":"library","name":"libssl3","version":"3.0.11-1","purl":"pkg:deb/debian/libssl3@3.0.11-1?arch=amd64&upstream=openssl&distro=debian-12"}`,
			host.Package{Name: "libssl3", Version: "3.0.11-1", Arch: "amd64", Source: "openssl", SourceVersion: "3.0.11-1", Kind: "dpkg"}},
		{"deb with epoch as qualifier, source in properties", `{"type":"library","name":"vim-common","version":"9.0.1378-2","purl":"pkg:deb/debian/vim-common@9.0.1378-2?arch=all&distro=debian-12.5&epoch=2",
			"properties":[{"name":"aquasecurity:trivy:SrcName","value":"vim"},{"name":"aquasecurity:trivy:SrcVersion","value":"9.0.1378"},{"name":"aquasecurity:trivy:SrcRelease","value":"2"},{"name":"aquasecurity:trivy:SrcEpoch","value":"2"}]}`,
			host.Package{Name: "vim-common", Version: "2:9.0.1378-2", Arch: "all", Source: "vim", SourceVersion: "2:9.0.1378-2", Kind: "dpkg"}},
		{"rpm of another system", `{"type":"library","publisher":"AlmaLinux","name":"bind-libs","version":"9.16.23-11.el9","purl":"pkg:rpm/almalinux/bind-libs@9.16.23-11.el9?arch=x86_64&epoch=32&upstream=bind-9.16.23-11.el9.src.rpm&distro=almalinux-9.2"}`,
			host.Package{Name: "bind-libs", Version: "32:9.16.23-11.el9", Arch: "x86_64", Source: "bind", SourceVersion: "32:9.16.23-11.el9", Kind: "rpm", Vendor: "AlmaLinux", Ecosystem: "AlmaLinux:9"}},
		{"modular rpm", `{"type":"library","name":"nodejs","version":"1:18.1-1","purl":"pkg:rpm/rocky/nodejs@18.1-1?epoch=1&distro=rocky-9","properties":[{"name":"syft:metadata:modularityLabel","value":"nodejs:18:9"}]}`,
			host.Package{Name: "nodejs", Version: "1:18.1-1", Source: "nodejs", SourceVersion: "1:18.1-1", Kind: "rpm", Module: "nodejs:18:9", Ecosystem: "Rocky Linux:9"}},
		{"apk", `{"type":"library","name":"busybox-binsh","version":"1.36.1-r15","purl":"pkg:apk/alpine/busybox-binsh@1.36.1-r15?arch=x86_64&upstream=busybox&distro=alpine-3.19.1"}`,
			host.Package{Name: "busybox-binsh", Version: "1.36.1-r15", Arch: "x86_64", Source: "busybox", SourceVersion: "1.36.1-r15", Kind: "apk", Ecosystem: "Alpine:v3.19"}},
		{"Maven", `{"type":"library","group":"org.apache.logging.log4j","name":"log4j-core","version":"2.14.1","cpe":"cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*","purl":"pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"}`,
			host.Package{Name: "org.apache.logging.log4j:log4j-core", Version: "2.14.1", Source: "org.apache.logging.log4j:log4j-core", SourceVersion: "2.14.1", Kind: "component", CPE: "cpe:2.3:a:apache:log4j:2.14.1:*:*:*:*:*:*:*"}},
		{"no purl", `{"type":"application","name":"in-house","version":"7"}`, host.Package{Name: "in-house", Version: "7", Source: "in-house", SourceVersion: "7", Kind: "component"}},
	}
	for _, version := range []string{"1.4", "1.5", "1.6"} {
		for _, test := range tests {
			t.Run(version+" "+test.name, func(t *testing.T) {
				inv, err := cyclonedx.Parse([]byte(bill(version, debian, test.component)), "f")
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff([]host.Package{test.want}, inv.Packages, cmpopts.IgnoreFields(host.Package{}, "PURL")); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
				if inv.Host.OS.ID != "debian" || inv.Host.OS.VersionID != "12" || len(inv.Unread) != 0 {
					t.Errorf("os %+v, unread %v", inv.Host.OS, inv.Unread)
				}
			})
		}
	}
}

func TestSystemIsReadFromPurlsWhereNoComponentSaysIt(t *testing.T) {
	for distro, want := range map[string]host.OS{
		"debian-12.5": {ID: "debian", VersionID: "12"}, "ubuntu-22.04": {ID: "ubuntu", VersionID: "22.04", LTS: true},
		"ubuntu-23.10": {ID: "ubuntu", VersionID: "23.10"}, "redhat-9.3": {ID: "rhel", VersionID: "9.3"},
		"opensuse-leap-15.6": {ID: "opensuse-leap", VersionID: "15.6"}, "alpine-3.19.1": {ID: "alpine", VersionID: "3.19.1"},
	} {
		inv, err := cyclonedx.Parse([]byte(bill("1.5",
			`{"type":"library","name":"a","version":"1","purl":"pkg:deb/x/a@1?distro=`+distro+`"}`,
			`{"type":"library","name":"b","version":"1","purl":"pkg:deb/x/b@1?distro=`+distro+`"}`,
			`{"type":"library","name":"c","version":"1","purl":"pkg:apk/alpine/c@1?distro=alpine-3.10"}`)), "f")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, inv.Host.OS); d != "" {
			t.Errorf("%s (-want +got):\n%s", distro, d)
		}
		if inv.Packages[0].Ecosystem != "" || inv.Packages[2].Ecosystem != "Alpine:v3.10" {
			t.Errorf("%s: ecosystems %q, %q", distro, inv.Packages[0].Ecosystem, inv.Packages[2].Ecosystem)
		}
	}
}

func TestNothingIsLostSilently(t *testing.T) {
	inv, err := cyclonedx.Parse([]byte(bill("1.6",
		`{"type":"library","name":"no-version"}`, `{"type":"library","version":"1"}`,
		`{"type":"library","name":"bad","version":"1","purl":"pkg:nothing"}`,
		`{"type":"file","name":"/etc/passwd"}`, `{"type":"file","name":"/etc/group"}`,
		`{"type":"application","name":"outer","version":"1","components":[{"type":"library","name":"inner","version":"2"}]}`)), "f")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, u := range inv.Unread {
		got = append(got, u.What)
	}
	want := []string{"?", "file", "no-version", "pkg:nothing"}
	if !slices.Equal(got, want) || len(inv.Packages) != 2 || inv.Packages[1].Name != "inner" {
		t.Errorf("unread %q, packages %v", got, inv.Packages)
	}
}

func sample() host.Inventory {
	return host.Inventory{
		Collected: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), Origin: "file",
		Host: host.Host{ID: "abc", Name: "web1", Arch: "amd64", Importance: "high", Labels: []string{"dmz", "web"}, Addresses: []string{"192.0.2.1"},
			OS: host.OS{ID: "ubuntu", IDLike: []string{"debian"}, VersionID: "22.04", Codename: "jammy", Name: "Ubuntu 22.04.4 LTS", LTS: true, Channels: []string{"pro"}}},
		Packages: []host.Package{
			{Name: "bash", Version: "5.2-2+b7", Arch: "amd64", Source: "bash", SourceVersion: "5.2-2", Kind: "dpkg", Vendor: "Example"},
			{Name: "libstdc++6", Version: "12.3.0-1", Arch: "amd64", Source: "gcc-12", SourceVersion: "12.3.0-1", Kind: "dpkg"},
			{Name: "vim", Version: "2:9.0-1", Arch: "amd64", Source: "vim", SourceVersion: "2:9.0-1", Kind: "dpkg"},
			{Name: "bind-libs", Version: "32:9.16-11.el9", Arch: "x86_64", Source: "bind", SourceVersion: "32:9.16-11.el9", Kind: "rpm", Module: "bind:9:1"},
			{Name: "odd", Version: "2:1-1", Arch: "x86_64", Source: "odd-src", SourceVersion: "1-1", Kind: "rpm", Ecosystem: "AlmaLinux:9"},
			{Name: "busybox", Version: "1.36-r1", Arch: "x86_64", Source: "busybox", SourceVersion: "1.36-r1", Kind: "apk"},
			{Name: "in-house", Version: "7", Source: "suite", SourceVersion: "7.1", Kind: "component", CPE: "cpe:2.3:a:x:y:7:*:*:*:*:*:*:*"},
		},
	}
}

func TestWrittenBillReadsBackToTheSame(t *testing.T) {
	windows := sample()
	windows.Host.OS = host.OS{ID: "windows", Name: "Windows Server 2019", VersionID: "10.0.17763.868"}
	windows.Packages = []host.Package{}
	windows.Windows = &host.Windows{Product: "Windows Server 2019", Core: true, Build: "10.0.17763.868", KBs: []string{"4514366", "4523205"}}
	for name, want := range map[string]host.Inventory{"ubuntu": sample(), "windows": windows} {
		var b, again bytes.Buffer
		if err := cyclonedx.Write(&b, want); err != nil {
			t.Fatal(err)
		}
		got, err := cyclonedx.Parse(b.Bytes(), "f")
		if err != nil {
			t.Fatal(err)
		}
		byName := cmpopts.SortSlices(func(a, b host.Package) bool { return a.Name < b.Name })
		if d := cmp.Diff(want, got, byName, cmpopts.IgnoreFields(host.Package{}, "PURL")); d != "" {
			t.Errorf("%s (-written +read):\n%s", name, d)
		}
		if err := cyclonedx.Write(&again, want); err != nil || again.String() != b.String() {
			t.Errorf("%s: writing twice gives different bytes (%v)", name, err)
		}
	}
}

func TestWrittenBillHasDistinctReferences(t *testing.T) {
	inv := sample()
	inv.Packages = append(inv.Packages, inv.Packages...)
	var b bytes.Buffer
	if err := cyclonedx.Write(&b, inv); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		SerialNumber string
		Components   []struct {
			Ref  string `json:"bom-ref"`
			Purl string
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range doc.Components {
		if c.Ref == "" || seen[c.Ref] {
			t.Errorf("bom-ref %q is empty or repeated", c.Ref)
		}
		seen[c.Ref] = true
	}
	if len(doc.Components) != 15 || !strings.HasPrefix(doc.SerialNumber, "urn:uuid:") {
		t.Errorf("%d components, serial %q", len(doc.Components), doc.SerialNumber)
	}
	if !strings.Contains(b.String(), "pkg:deb/ubuntu/bash@5.2-2%2Bb7?arch=amd64&distro=ubuntu-22.04&upstream=bash%405.2-2") {
		t.Errorf("no purl other tools understand:\n%s", b.String())
	}
}

func FuzzParse(f *testing.F) {
	var b bytes.Buffer
	if err := cyclonedx.Write(&b, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(bill("1.4", `{"type":"library","name":"a","version":"1","purl":"pkg:rpm/x/a@1?upstream=-.src.rpm&distro=-1"}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := cyclonedx.Parse(data, "f")
		if err != nil {
			return
		}
		for _, p := range inv.Packages {
			if p.Name == "" || p.Version == "" || p.Source == "" || p.SourceVersion == "" || p.Kind == "" {
				t.Fatalf("incomplete %+v", p)
			}
		}
		if err := cyclonedx.Write(&bytes.Buffer{}, inv); err != nil {
			t.Fatal(err)
		}
	})
}
