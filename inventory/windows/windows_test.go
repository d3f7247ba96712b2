package windows_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/windows"
)

const systemEN = `
Host Name:                 SRV1
OS Name:                   Microsoft Windows Server 2016 Datacenter
OS Version:                10.0.14393 N/A Build 14393
OS Manufacturer:           Microsoft Corporation
System Type:               x64-based PC
Domain:                    example.org
Hotfix(s):                 3 Hotfix(s) Installed.
                           [01]: KB4520724
                           [02]: KB4049065
                           [03]: KB4525236
Network Card(s):           1 NIC(s) Installed.
                           [01]: Some Adapter
                                 Connection Name: Ethernet
                                 DHCP Server:     10.9.9.9
                                 IP address(es)
                                 [01]: 10.0.0.5
                                 [02]: fe80::1
`

const systemJA = `
ホスト名:               SRV-JA
OS 名:                  Microsoft Windows Server 2012 R2 Standard
OS バージョン:          6.3.9600 N/A ビルド 9600
システムの種類:         x64-based PC
ホットフィックス:       2 個のホットフィックスがインストールされています。
                        [01]: KB2919355
                        [02]: KB4525243
`

const table = `
Source        Description      HotFixID      InstalledBy          InstalledOn
------        -----------      --------      -----------          -----------
SRV3          Update           KB4514366     NT AUTHORITY\SYSTEM  11/13/2019 12:00:00 AM
SRV3          Security Update  KB4523205     NT AUTHORITY\SYSTEM  11/14/2019 12:00:00 AM
`

const psList = `
Description         : Security Update
FixComments         :
HotFixID            : KB4523205
PSComputerName      : SRV4
`

const psCSV = `#TYPE System.Management.ManagementObject#root\cimv2\Win32_QuickFixEngineering
"PSComputerName","Description","HotFixID","InstalledOn"
"SRV5","Security Update","KB4523205","11/14/2019"
"SRV5","Update","KB4514366","11/13/2019"
`

const registry = `
HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion
    CurrentBuild    REG_SZ    17763
    UBR    REG_DWORD    0x364
    InstallationType    REG_SZ    Server Core
    ProductName    REG_SZ    Windows Server 2019 Standard
`

func TestExportsOfWindows(t *testing.T) {
	tests := []struct {
		name, in string
		host     string
		want     host.Windows
		unread   []string
	}{
		{"systeminfo", systemEN, "SRV1", host.Windows{Product: "Windows Server 2016", Build: "10.0.14393", KBs: []string{"4049065", "4520724", "4525236"}}, []string{"build revision"}},
		{"systeminfo in Japanese", systemJA, "SRV-JA", host.Windows{Product: "Windows Server 2012 R2", Build: "6.3.9600", KBs: []string{"2919355", "4525243"}}, []string{"build revision"}},
		{"systeminfo with ver after it", systemEN + "\nMicrosoft Windows [Version 10.0.14393.3326]\n", "SRV1",
			host.Windows{Product: "Windows Server 2016", Build: "10.0.14393.3326", KBs: []string{"4049065", "4520724", "4525236"}}, nil},
		{"systeminfo as CSV", `"Host Name","OS Name","OS Version","System Type","Hotfix(s)"` + "\r\n" +
			`"SRV1","Microsoft Windows Server 2019 Standard","10.0.17763 N/A Build 17763","x64-based PC","2 Hotfix(s) Installed.,[01]: KB4514366,[02]: KB4523205"` + "\r\n",
			"SRV1", host.Windows{Product: "Windows Server 2019", Build: "10.0.17763", KBs: []string{"4514366", "4523205"}}, []string{"build revision"}},
		{"Get-HotFix", table, "SRV3", host.Windows{KBs: []string{"4514366", "4523205"}}, []string{"product", "build revision"}},
		{"Get-HotFix as a list", psList, "SRV4", host.Windows{KBs: []string{"4523205"}}, []string{"product", "build revision"}},
		{"Get-HotFix as CSV", psCSV, "SRV5", host.Windows{KBs: []string{"4514366", "4523205"}}, []string{"product", "build revision"}},
		{"Get-HotFix as JSON", `{"PSComputerName":"SRV6","HotFixID":"KB4523205","InstalledOn":{"value":"x","DateTime":"y"}}`, "SRV6",
			host.Windows{KBs: []string{"4523205"}}, []string{"product", "build revision"}},
		{"Get-ComputerInfo as JSON", `{"CsName":"SRV7","OsName":"Microsoft Windows Server 2022 Standard","OsVersion":"10.0.20348","WindowsInstallationType":"Server Core","CsSystemType":"x64-based PC","OsHotFixes":[{"HotFixID":"KB5031364"}]}`,
			"SRV7", host.Windows{Product: "Windows Server 2022", Build: "10.0.20348", Core: true, KBs: []string{"5031364"}}, []string{"build revision"}},
		{"registry and table", registry + table, "SRV3", host.Windows{Product: "Windows Server 2019", Core: true, Build: "10.0.17763.868", KBs: []string{"4514366", "4523205"}}, nil},
		{"fewer KBs than announced", strings.Replace(systemEN, "[02]: KB4049065", "[02]: Q147222", 1), "SRV1",
			host.Windows{Product: "Windows Server 2016", Build: "10.0.14393", KBs: []string{"4520724", "4525236"}}, []string{"build revision", "installed updates: fewer are listed"}},
		{"no updates at all", "Host Name: A\nOS Name: Microsoft Windows Server 2019 Standard\nOS Version: 10.0.17763 N/A Build 17763\nHotfix(s): N/A\n", "A",
			host.Windows{Product: "Windows Server 2019", Build: "10.0.17763", KBs: []string{}}, []string{"build revision"}},
		{"updates not in the file", "Host Name: A\nOS Name: Microsoft Windows Server 2019 Standard\n", "A",
			host.Windows{Product: "Windows Server 2019", KBs: []string{}}, []string{"build revision", "installed updates: not in the file"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !windows.Recognise(test.in) {
				t.Error("not recognised")
			}
			inv, err := windows.Parse(test.in, "file")
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(&test.want, inv.Windows); d != "" {
				t.Errorf("windows (-want +got):\n%s", d)
			}
			if inv.Host.Name != test.host || inv.Host.OS.ID != "windows" {
				t.Errorf("host %+v", inv.Host)
			}
			if len(inv.Unread) != len(test.unread) {
				t.Fatalf("unread %v; want %q", inv.Unread, test.unread)
			}
			for i, u := range inv.Unread {
				if !strings.Contains(u.What+": "+u.Why, test.unread[i]) {
					t.Errorf("unread %v; want %q in it", u, test.unread[i])
				}
			}
		})
	}
}

func TestAddressesAreTheHostsOwn(t *testing.T) {
	inv, err := windows.Parse(systemEN, "file")
	if err != nil || !slices.Equal(inv.Host.Addresses, []string{"10.0.0.5"}) || inv.Host.Arch != "amd64" {
		t.Errorf("host %+v, %v", inv.Host, err)
	}
}

func TestProductsAreNamedAsMicrosoftsUpdatesNameThem(t *testing.T) {
	tests := []struct{ edition, version, system, want string }{
		{"Microsoft Windows Server 2008 R2 Standard", "6.1.7601 Service Pack 1 Build 7601", "x64-based PC", "Windows Server 2008 R2 for x64-based Systems Service Pack 1"},
		{"Microsoft® Windows Server® 2008 Enterprise", "6.0.6002 Service Pack 2 Build 6002", "X86-based PC", "Windows Server 2008 for 32-bit Systems Service Pack 2"},
		{"Microsoft Windows Server Datacenter", "10.0.18363 N/A Build 18363", "x64-based PC", "Windows Server, version 1909"},
		{"Microsoft Windows Server 2022 Datacenter", "10.0.25398 N/A Build 25398", "x64-based PC", "Windows Server 2022, 23H2 Edition"},
		{"Microsoft Windows Server 2025 Datacenter", "10.0.26100 N/A Build 26100", "x64-based PC", "Windows Server 2025"},
		{"Microsoft Windows 10 Pro", "10.0.17763 N/A Build 17763", "x64-based PC", "Windows 10 Version 1809 for x64-based Systems"},
		{"Microsoft Windows 10 Enterprise 2015 LTSB", "10.0.10240 N/A Build 10240", "x64-based PC", "Windows 10 for x64-based Systems"},
		{"Microsoft Windows 11 Pro", "10.0.22631 N/A Build 22631", "ARM64-based PC", "Windows 11 Version 23H2 for ARM64-based Systems"},
		{"Microsoft Windows 7 Professional", "6.1.7601 Service Pack 1 Build 7601", "x64-based PC", "Windows 7 for x64-based Systems Service Pack 1"},
	}
	for _, test := range tests {
		inv, err := windows.Parse("OS Name: "+test.edition+"\nOS Version: "+test.version+"\nSystem Type: "+test.system+"\n", "x")
		if err != nil || inv.Windows.Product != test.want {
			t.Errorf("%s: product %q, %v; want %q", test.edition, inv.Windows.Product, err, test.want)
		}
	}
}

func TestOtherTextIsRefusedWithTheWayOut(t *testing.T) {
	for _, in := range []string{"", "hello", "Nom de l'hôte: X\nNom du système: Microsoft Windows\n", "a,b\n1,2\n"} {
		if windows.Recognise(in) {
			t.Errorf("%q recognised", in)
		}
		if _, err := windows.Parse(in, "f.txt"); err == nil || !strings.Contains(err.Error(), "f.txt") || !strings.Contains(err.Error(), "systeminfo") {
			t.Errorf("error %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{systemEN, systemJA, table, psList, psCSV, registry, `[{"HotFixID":"KB12345"}]`, "OsHotFixes : {KB12345,\n   KB12346...}"} {
		f.Add(s)
	}
	for _, name := range []string{"computerinfo.txt", "computerinfo.json", "deviceguard.txt", "mppreference.json", "mppreference.txt"} {
		f.Add(sample(f, name))
	}
	f.Fuzz(func(t *testing.T, in string) {
		inv, err := windows.Parse(in, "f")
		if (err == nil) != windows.Recognise(in) && (err == nil || !strings.Contains(err.Error(), "several hosts")) {
			t.Fatalf("recognised and parsed differ: %v", err)
		}
		if err == nil && (inv.Windows == nil || inv.Windows.KBs == nil || inv.Host.Name == "") {
			t.Fatalf("incomplete %+v", inv)
		}
	})
}
