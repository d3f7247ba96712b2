package report

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// guardedWindows is a Windows host that reports every protection of its own.
func guardedWindows() host.Inventory {
	inv := windowsInventory()
	inv.Unread = []host.Unread{{What: "Windows build revision", Why: "systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"}}
	inv.Windows.CodeIntegrity = &host.CodeIntegrity{User: host.Enforce, Kernel: host.Enforce, Services: []string{"credential-guard", "memory-integrity", "secure-launch", "smm-measurement", "9"}}
	inv.Windows.Defender = &host.Defender{Realtime: "on", ControlledFolders: host.Observe,
		ReductionRules: []host.ReductionRule{{ID: "a", Mode: host.Enforce}, {ID: "b", Mode: host.Enforce}, {ID: "c", Mode: "warn"}, {ID: "d", Mode: host.Observe}, {ID: "e", Mode: host.Off}}}
	return inv
}

// unguardedWindows reports that hardly anything of it works.
func unguardedWindows() host.Inventory {
	inv := windowsInventory()
	inv.Windows.CodeIntegrity = &host.CodeIntegrity{User: host.Off, Kernel: host.Enforce}
	inv.Windows.Defender = &host.Defender{Realtime: "off", ControlledFolders: host.Off}
	return inv
}

func TestProtectionsOfWindowsReadAsWritten(t *testing.T) {
	scan := cleanScan()
	scan.Host = windowsInventory().Host
	scan.Protection = triage.WindowsProtection(guardedWindows().Windows, morning)
	for _, l := range lang.Languages {
		golden(t, "inventory-windows-guarded."+l, render(t, inventoryPage(guardedWindows()), l, Page{}))
		golden(t, "inventory-windows-unguarded."+l, render(t, inventoryPage(unguardedWindows()), l, Page{}))
		golden(t, "morning-windows."+l, render(t, morningPage(scan, false), l, Page{}))
	}
}

func TestProtectionsOfWindowsFitThePageWhateverTheyAre(t *testing.T) {
	nasty := guardedWindows()
	nasty.Windows.CodeIntegrity.Services = []string{longWord, wideTitle, hostile, combining}
	nasty.Windows.CodeIntegrity.User, nasty.Windows.Defender.Realtime = hostile, longWord
	for _, l := range lang.Languages {
		for _, width := range []int{60, 80, 100} {
			for line := range strings.Lines(string(render(t, inventoryPage(nasty), l, Page{Width: width}))) {
				if w := lang.Width(strings.TrimRight(line, "\n")); w > width {
					t.Errorf("%s at %d: %d cells: %q", l, width, w, line)
				}
			}
		}
	}
}

// What Windows' exports lack, and what its protections cannot do, is told in whole
// sentences; a Japanese page says them in Japanese.
func TestSentencesAboutWindowsAreSaidInEveryLanguage(t *testing.T) {
	exports := []string{
		"HotFixID\nA  b  KB12345\n", "OS Name: Microsoft Windows Server 2019\nHotfix(s): 3 Hotfix(s) Installed.\n [01]: KB12345\n", "OS Name: Microsoft Windows Server 2019\nOS Version: 10.0.17763\n",
		"OsHotFixes : {KB12345...}\n", "HotFixID;Description\nKB12345;\"a\n", "CodeIntegrityPolicyEnforcementStatus : 2\n",
		"AttackSurfaceReductionRules_Ids : {a...}\n", "AttackSurfaceReductionRules_Ids : {a, b}\nAttackSurfaceReductionRules_Actions : {1}\n",
		"ExclusionPath : {N/A: Must be an administrator to view exclusions}\nDisableRealtimeMonitoring : False\n",
	}
	sentences := map[string]bool{}
	for _, text := range exports {
		inv, err := inventory.Read(strings.NewReader(text), "x.txt")
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range inv.Unread {
			sentences[u.Why] = true
			if strings.Contains(u.What, " ") { // others are names of properties
				sentences[u.What] = true
			}
		}
	}
	for _, c := range triage.WindowsProtection(guardedWindows().Windows, morning).Controls {
		for _, gap := range c.Gaps {
			sentences[gap] = true
		}
	}
	if len(sentences) < 14 {
		t.Errorf("only %d sentences: %v", len(sentences), sentences)
	}
	for _, l := range lang.Languages {
		for s := range sentences {
			if !lang.New(l).Has("text." + s) {
				t.Errorf("%s.windows.json lacks %q", l, "text."+s)
			} else if l == "en" && lang.New(l).T("text."+s) != s {
				t.Errorf("en.windows.json says %q for %q", lang.New(l).T("text."+s), s)
			}
		}
	}
}
