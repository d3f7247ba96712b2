package kernel_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/kernel"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

func TestKernels(t *testing.T) {
	debian := func(v string) *host.Package { return &host.Package{Name: "linux-image-6.1.0-21-amd64", Version: v} }
	core := func(v string) *host.Package { return &host.Package{Name: "kernel-core", Version: v} }
	lts := &host.Package{Name: "linux-lts", Version: "6.6.14-r0"}
	tests := []struct {
		name             string
		files            []string
		owners           map[string]*host.Package
		running, version string
		want             host.Kernel
		unread           string
	}{
		{"Debian, with what it was built as", []string{"boot/vmlinuz-6.1.0-21-amd64", "boot/vmlinuz-6.1.0-21-amd64.old", "lib/modules/6.1.0-21-amd64/modules.builtin", "lib/modules/6.1.0-18-amd64/updates/x.ko"},
			map[string]*host.Package{"/boot/vmlinuz-6.1.0-21-amd64": debian("6.1.94-1")}, "6.1.0-21-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)",
			host.Kernel{Running: "6.1.0-21-amd64", RunningPackage: "linux-image-6.1.0-21-amd64", RunningVersion: "6.1.90-1",
				Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.94-1"}}}, ""},
		{"Red Hat, several of one package", []string{"boot/vmlinuz-0-rescue-abc", "lib/modules/5.14.0-362.el9.x86_64/vmlinuz", "lib/modules/5.14.0-427.el9.x86_64/vmlinuz"},
			map[string]*host.Package{"/lib/modules/5.14.0-362.el9.x86_64/vmlinuz": core("5.14.0-362.el9"), "/lib/modules/5.14.0-427.el9.x86_64/vmlinuz": core("5.14.0-427.el9")},
			"5.14.0-362.el9.x86_64", "#1 SMP PREEMPT_DYNAMIC Tue",
			host.Kernel{Running: "5.14.0-362.el9.x86_64", RunningPackage: "kernel-core", Installed: []host.InstalledKernel{
				{Release: "5.14.0-362.el9.x86_64", Package: "kernel-core", Version: "5.14.0-362.el9"},
				{Release: "5.14.0-427.el9.x86_64", Package: "kernel-core", Version: "5.14.0-427.el9"}}}, ""},
		{"Alpine names images by flavour", []string{"boot/vmlinuz-lts", "lib/modules/6.6.14-0-lts/modules.builtin", "lib/modules/6.6.1-0-lts/left.ko"},
			map[string]*host.Package{"/boot/vmlinuz-lts": lts, "/lib/modules/6.6.14-0-lts/modules.builtin": lts}, "6.6.14-0-lts", "#1-Alpine SMP",
			host.Kernel{Running: "6.6.14-0-lts", RunningPackage: "linux-lts", Installed: []host.InstalledKernel{{Release: "6.6.14-0-lts", Package: "linux-lts", Version: "6.6.14-r0"}}}, ""},
		{"running kernel was removed", []string{"boot/vmlinuz-6.1.0-22-amd64"}, map[string]*host.Package{"/boot/vmlinuz-6.1.0-22-amd64": debian("6.1.94-1")}, "6.1.0-21-amd64", "",
			host.Kernel{Running: "6.1.0-21-amd64", Installed: []host.InstalledKernel{{Release: "6.1.0-22-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "6.1.94-1"}}},
			"not among the installed ones (6.1.0-22-amd64 is)"},
		{"self-built", []string{"boot/vmlinuz-6.9.0-mine"}, nil, "6.9.0-mine", "", host.Kernel{Running: "6.9.0-mine", Installed: []host.InstalledKernel{{Release: "6.9.0-mine"}}}, "no package owns its image"},
		{"container or foreign kernel", nil, nil, "6.18.0", "", host.Kernel{Running: "6.18.0"}, "none is installed here"},
		{"mounted root", []string{"boot/vmlinuz-6.1.0-21-amd64"}, map[string]*host.Package{"/boot/vmlinuz-6.1.0-21-amd64": debian("1")}, "", "",
			host.Kernel{Installed: []host.InstalledKernel{{Release: "6.1.0-21-amd64", Package: "linux-image-6.1.0-21-amd64", Version: "1"}}}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range test.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			root, err := rootfs.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			images := kernel.Read(root, test.running, test.version)
			asked := map[string]bool{}
			for _, p := range images.Paths() {
				asked[p] = true
			}
			got, unread := images.Resolve(func(path string) *host.Package {
				if !asked[path] {
					t.Errorf("asks for %s, which Paths does not list", path)
				}
				return test.owners[path]
			})
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if (test.unread == "") != (len(unread) == 0) || len(unread) > 0 && !strings.Contains(unread[0].Why, test.unread) {
				t.Errorf("unread %v; want %q", unread, test.unread)
			}
		})
	}
}
