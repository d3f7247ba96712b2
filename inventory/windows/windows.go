// Package windows reads what a Windows server says of itself in text an
// administrator can export: systeminfo (English or Japanese; text or CSV),
// Get-HotFix (table, list, CSV or JSON), Get-ComputerInfo (list or JSON), ver, reg
// query of CurrentVersion, Win32_DeviceGuard and Get-MpPreference (list or JSON), alone
// or one after the other in one file, in whatever encoding the console wrote. It
// promises to say which fact is missing and which command tells it.
package windows

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Recognise tells whether text looks like something Parse understands.
func Recognise(text string) bool { return gather(text).any() }

func (f *facts) any() bool {
	return len(f.kbs) > 0 || f.product != "" || f.full != "" || f.hotfixLine || f.guarded || f.defended
}

// Parse reads the exported text, in UTF-8. name is the file, for messages and for a
// text that does not name its host. Text of several hosts is refused: an update of one
// would hide what the other lacks.
func Parse(text, name string) (host.Inventory, error) {
	f := gather(text)
	if !f.any() {
		return host.Inventory{}, fmt.Errorf("%s: no OS name and no KB number found; export with: systeminfo > host.txt (English or Japanese), or: Get-HotFix | ConvertTo-Csv", name)
	}
	if len(f.hosts) > 1 {
		return host.Inventory{}, fmt.Errorf("%s: this is of several hosts (%s): export a file for each", name, strings.Join(f.hosts[:min(len(f.hosts), 5)], ", "))
	}
	build := f.fullBuild()
	product, sac := productOf(f.product, build, f.servicePack, f.arch)
	w := &host.Windows{Product: product, Build: build, Core: f.core || sac, KBs: []string{},
		CodeIntegrity: f.codeIntegrity(), Defender: f.defender()}
	for kb := range f.kbs {
		w.KBs = append(w.KBs, kb)
	}
	slices.SortFunc(w.KBs, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	slices.Sort(f.addresses)
	return host.Inventory{
		Origin: "file", Packages: []host.Package{}, Windows: w, Unread: f.missing(w),
		Host: host.Host{
			Name: cmp.Or(strings.Join(f.hosts, ""), name), Arch: f.arch, Addresses: slices.Compact(f.addresses),
			OS: host.OS{ID: "windows", Name: product, VersionID: build},
		},
	}, nil
}
