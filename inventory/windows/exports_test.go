package windows_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/windows"
)

func sample(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func parse(t *testing.T, text string) host.Inventory {
	t.Helper()
	if !windows.Recognise(text) {
		t.Fatalf("not recognised:\n%s", text)
	}
	inv, err := windows.Parse(text, "file")
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// unread are the facts an inventory misses, as "what: why".
func unread(inv host.Inventory) string {
	var lines []string
	for _, u := range inv.Unread {
		lines = append(lines, u.What+": "+u.Why)
	}
	return strings.Join(lines, "\n")
}

func TestWholeExportsOfServersAreRead(t *testing.T) {
	tests := []struct {
		file   string
		host   host.Host
		want   host.Windows
		unread string
	}{
		{"systeminfo-ja.txt",
			host.Host{Name: "SV-FILE01", Arch: "amd64", Addresses: []string{"192.168.10.21"}, OS: host.OS{ID: "windows", Name: "Windows Server 2019", VersionID: "10.0.17763"}},
			host.Windows{Product: "Windows Server 2019", Build: "10.0.17763", KBs: []string{"4486153", "4535680", "5005112", "5087538"}},
			"Windows build revision: systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"},
		{"systeminfo-en.txt",
			host.Host{Name: "WEB25", Arch: "amd64", Addresses: []string{"10.20.0.5"}, OS: host.OS{ID: "windows", Name: "Windows Server 2025", VersionID: "10.0.26100"}},
			host.Windows{Product: "Windows Server 2025", Build: "10.0.26100", KBs: []string{"5087051", "5087539"}},
			"Windows build revision: systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"},
		{"computerinfo.txt",
			host.Host{Name: "core22", Arch: "amd64", OS: host.OS{ID: "windows", Name: "Windows Server 2022", VersionID: "10.0.20348"}},
			host.Windows{Product: "Windows Server 2022", Core: true, Build: "10.0.20348", KBs: []string{"5012170", "5081494", "5082420", "5087545"},
				CodeIntegrity: &host.CodeIntegrity{User: host.Observe, Kernel: host.Enforce, Services: []string{"memory-integrity", "secure-launch"}}},
			"Windows build revision: systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"},
		{"computerinfo.json",
			host.Host{Name: "db16", Arch: "amd64", OS: host.OS{ID: "windows", Name: "Windows Server 2016", VersionID: "10.0.14393.9140"}},
			host.Windows{Product: "Windows Server 2016", Build: "10.0.14393.9140", KBs: []string{"4049065", "5087537"},
				CodeIntegrity: &host.CodeIntegrity{User: host.Off, Kernel: host.Off}},
			""},
		{"hotfix-ja.csv",
			host.Host{Name: "SV-FILE01", OS: host.OS{ID: "windows"}},
			host.Windows{KBs: []string{"4486153", "5087538"}},
			"Windows product: not in the file: append the output of systeminfo\n" +
				"Windows build revision: systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			inv := parse(t, sample(t, test.file))
			if d := cmp.Diff(test.host, inv.Host); d != "" {
				t.Errorf("host (-want +got):\n%s", d)
			}
			if d := cmp.Diff(&test.want, inv.Windows); d != "" {
				t.Errorf("windows (-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.unread, unread(inv)); d != "" {
				t.Errorf("unread (-want +got):\n%s", d)
			}
		})
	}
}

func TestProtectionsOfWindowsItselfAreRead(t *testing.T) {
	rules := []host.ReductionRule{
		{ID: "56a863a9-875e-4185-98a7-b882c64b5ce5", Mode: "warn"},
		{ID: "9e6c4e1f-7d60-472f-ba1a-a39ef669e4b2", Mode: host.Enforce},
		{ID: "d1e49aac-8f56-4280-b9ba-993a6d77406c", Mode: host.Off},
		{ID: "e6db77e5-3df2-4cf1-b95a-636979351e5b", Mode: host.Observe},
	}
	const noUpdates = "Windows product: not in the file: append the output of systeminfo\n" +
		"Windows build revision: systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver\n" +
		"installed updates: not in the file: append the output of systeminfo or Get-HotFix"
	tests := []struct {
		name, text string
		integrity  *host.CodeIntegrity
		defender   *host.Defender
		unread     string // beyond noUpdates
	}{
		{"Win32_DeviceGuard as a list", sample(t, "deviceguard.txt"),
			&host.CodeIntegrity{User: host.Enforce, Kernel: host.Enforce, Services: []string{"credential-guard", "memory-integrity"}}, nil, ""},
		{"Win32_DeviceGuard as JSON", sample(t, "deviceguard.json"), &host.CodeIntegrity{User: host.Observe, Kernel: host.Enforce}, nil, ""},
		{"Get-MpPreference as JSON", sample(t, "mppreference.json"), nil, &host.Defender{Realtime: "on", ReductionRules: rules, ControlledFolders: host.Observe}, ""},
		{"a list that is printed in part", sample(t, "mppreference.txt"), nil, &host.Defender{Realtime: "off", ControlledFolders: host.Off, ReductionRules: []host.ReductionRule{
			{ID: "01443614-cd74-433a-b99e-2ecdc07bfc25", Mode: host.Enforce}, {ID: "3b576869-a4ec-4529-8536-b80a7769e899", Mode: host.Enforce},
			{ID: "56a863a9-875e-4185-98a7-b882c64b5ce5", Mode: host.Enforce}, {ID: "5beb7efe-fd9a-4556-801d-275e5ffc04cc", Mode: host.Enforce}}},
			"AttackSurfaceReductionRules_Ids: the list is printed in part only: export it with ConvertTo-Json\n" +
				"AttackSurfaceReductionRules_Actions: the list is printed in part only: export it with ConvertTo-Json"},
		{"without an administrator's rights", sample(t, "mppreference-user.txt"), nil, &host.Defender{Realtime: "on", ControlledFolders: host.Off},
			"AttackSurfaceReductionRules_Ids: shown to administrators only: run Get-MpPreference as an administrator"},
		{"lists in CSV", "\"DisableRealtimeMonitoring\",\"AttackSurfaceReductionRules_Ids\",\"AttackSurfaceReductionRules_Actions\"\n\"False\",\"System.String[]\",\"System.Byte[]\"\n",
			nil, &host.Defender{Realtime: "on"},
			"AttackSurfaceReductionRules_Ids: the list is printed in part only: export it with ConvertTo-Json\n" +
				"AttackSurfaceReductionRules_Actions: the list is printed in part only: export it with ConvertTo-Json"},
		{"a state nobody knows", "UsermodeCodeIntegrityPolicyEnforcementStatus : 9\nCodeIntegrityPolicyEnforcementStatus : 2\n",
			&host.CodeIntegrity{Kernel: host.Enforce}, nil,
			"UsermodeCodeIntegrityPolicyEnforcementStatus: no value, or none we know: run Get-CimInstance Win32_DeviceGuard as an administrator"},
		{"two that disagree: the weaker counts", sample(t, "deviceguard.txt") + sample(t, "deviceguard.json"),
			&host.CodeIntegrity{User: host.Observe, Kernel: host.Enforce, Services: []string{"credential-guard", "memory-integrity"}}, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inv := parse(t, test.text)
			if d := cmp.Diff(test.integrity, inv.Windows.CodeIntegrity); d != "" {
				t.Errorf("code integrity (-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.defender, inv.Windows.Defender); d != "" {
				t.Errorf("defender (-want +got):\n%s", d)
			}
			if d := cmp.Diff(strings.TrimRight(noUpdates+"\n"+test.unread, "\n"), unread(inv)); d != "" {
				t.Errorf("unread (-want +got):\n%s", d)
			}
		})
	}
}

func TestOneFileHoldsTheOutputOfSeveralCommands(t *testing.T) {
	text := sample(t, "systeminfo-ja.txt") + "\r\nMicrosoft Windows [Version 10.0.17763.8755]\r\n" + sample(t, "hotfix-ja.csv") +
		"\n" + sample(t, "deviceguard.json") + "\n" + sample(t, "mppreference.json") + "\nすべて終わりました。\n"
	inv := parse(t, text)
	w := inv.Windows
	if w.Product != "Windows Server 2019" || w.Build != "10.0.17763.8755" || len(w.KBs) != 4 || w.CodeIntegrity == nil || w.Defender == nil ||
		len(w.Defender.ReductionRules) != 4 || inv.Host.Name != "SV-FILE01" || len(inv.Unread) != 0 {
		t.Errorf("read %+v %+v, unread %v", inv.Host, w, inv.Unread)
	}
}

// The command of docs/windows.md writes all of it without a line between.
func TestTheDocumentedCommandsOutputIsRead(t *testing.T) {
	trim := func(name string) string { return strings.TrimSpace(sample(t, name)) + "\r\n" }
	_, csv, _ := strings.Cut(trim("hotfix-ja.csv"), "\n")
	inv := parse(t, sample(t, "systeminfo-ja.txt")+"\r\nMicrosoft Windows [Version 10.0.17763.8755]\r\n"+csv+trim("deviceguard.json")+trim("mppreference.json"))
	w := inv.Windows
	if w.Build != "10.0.17763.8755" || len(w.KBs) != 4 || w.CodeIntegrity == nil || w.CodeIntegrity.User != host.Observe ||
		w.Defender == nil || len(w.Defender.ReductionRules) != 4 || len(inv.Unread) != 0 {
		t.Errorf("read %+v, %+v, %+v, unread %v", w, w.CodeIntegrity, w.Defender, inv.Unread)
	}
}

func TestRevisionsOfTheRegistryBelongToTheVersionOfTheBuild(t *testing.T) {
	for build, want := range map[string]string{"17763": "10.0.17763.868", "10240": "10.0.10240.868", "9600": "6.3.9600.868", "9200": "6.2.9200.868", "7601": "6.1.7601.868", "6003": "6.0.6003.868"} {
		inv := parse(t, "    CurrentBuild    REG_SZ    "+build+"\n    UBR    REG_DWORD    0x364\n    ProductName    REG_SZ    Windows Server\n")
		if inv.Windows.Build != want {
			t.Errorf("build %s: %q, want %q", build, inv.Windows.Build, want)
		}
	}
}

func TestListsThatAreCutSayHowToGetThemWhole(t *testing.T) {
	for _, dots := range []string{"...", "…"} {
		inv := parse(t, "CsName     : A\nOsName     : Microsoft Windows Server 2022 Standard\nOsVersion  : 10.0.20348\nOsHotFixes : {KB5082420, KB5012170"+dots+"}\n")
		if len(inv.Windows.KBs) != 2 || !strings.Contains(unread(inv), "installed updates: the list is cut off") {
			t.Errorf("KBs %v, unread %q", inv.Windows.KBs, unread(inv))
		}
	}
}

func TestUpdatesOfSeveralHostsAreNotTakenForOnes(t *testing.T) {
	text := table + strings.ReplaceAll(table, "SRV3", "SRV8")
	if _, err := windows.Parse(text, "all.txt"); err == nil || !strings.Contains(err.Error(), "all.txt: this is of several hosts (SRV3, SRV8): export a file for each") {
		t.Errorf("error %v", err)
	}
	// One host by its NetBIOS name, which ends after 15 letters, and by its DNS name.
	inv := parse(t, "Host Name: FILESERVER-TOKY\nOS Name: Microsoft Windows Server 2019 Standard\nCsDNSHostName : fileserver-tokyo1\nPSComputerName : fileserver-tokyo1.corp.example.jp\n")
	if inv.Host.Name != "FILESERVER-TOKY" {
		t.Errorf("host %q", inv.Host.Name)
	}
}

func TestWmicNamesNoHostByItsAddress(t *testing.T) {
	inv := parse(t, "Caption                                     CSName  Description      FixComments  HotFixID   InstallDate  InstalledBy\n"+
		"http://support.microsoft.com/?kbid=4486153  SRV1    Update                        KB4486153               NT AUTHORITY\\SYSTEM\n")
	if inv.Host.Name != "file" || len(inv.Windows.KBs) != 1 {
		t.Errorf("host %q, updates %v", inv.Host.Name, inv.Windows.KBs)
	}
}

func TestUnclosedTablesAreNotLostSilently(t *testing.T) {
	inv := parse(t, "HotFixID;Description\nKB4486153;\"a\nKB5087538;b\n")
	if len(inv.Windows.KBs) == 0 || !strings.Contains(unread(inv), "CSV table: a quote is not closed") {
		t.Errorf("updates %v, unread %q", inv.Windows.KBs, unread(inv))
	}
}
