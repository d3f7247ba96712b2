package inventory_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
)

// written puts files into a folder and returns their paths, in the order given.
func written(t *testing.T, files ...[2]string) []string {
	t.Helper()
	dir := t.TempDir()
	var paths []string
	for _, f := range files {
		path := filepath.Join(dir, f[0])
		if err := os.WriteFile(path, []byte(f[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func TestOneWindowsHostMayStandInSeveralFiles(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String(systeminfoJA)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String("HotFixID      : KB5087538\r\nCSName        : WIN-KANNUKI\r\n")
	if err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.ReadFiles(written(t, [2]string{"sysinfo.txt", sjis}, [2]string{"ver.txt", "\r\nMicrosoft Windows [Version 10.0.17763.8755]\r\n"},
		[2]string{"hotfix.txt", wide}, [2]string{"dg.json", `{"UsermodeCodeIntegrityPolicyEnforcementStatus":2,"SecurityServicesRunning":[2]}`}))
	if err != nil {
		t.Fatal(err)
	}
	w := inv.Windows
	if inv.Host.Name != "WIN-KANNUKI" || w.Product != "Windows Server 2019" || w.Build != "10.0.17763.8755" ||
		!slices.Equal(w.KBs, []string{"4523205", "5087538"}) || w.CodeIntegrity.User != host.Enforce || len(inv.Unread) != 0 {
		t.Errorf("host %+v, windows %+v, unread %v", inv.Host, w, inv.Unread)
	}
}

func TestSeveralFilesThatAreNotOneHostAreRefused(t *testing.T) {
	ours := [2]string{"a.txt", systeminfoJA}
	for _, test := range []struct {
		name  string
		other [2]string
		want  string
	}{
		{"another host", [2]string{"b.txt", "CSName : OTHER\nHotFixID : KB5087538\n"}, "several hosts (WIN-KANNUKI, OTHER)"},
		{"our own JSON", [2]string{"b.json", ownJSON}, "b.json: not an export of Windows"},
		{"no text", [2]string{"b.bin", "\x00\x01\x02"}, "b.bin: neither UTF-8"},
		{"no file", [2]string{"", ""}, "is a directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			paths := written(t, ours)
			if test.other[0] == "" {
				paths = append(paths, t.TempDir())
			} else {
				paths = append(paths, written(t, test.other)...)
			}
			if _, err := inventory.ReadFiles(paths); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestFilesThatNameNoHostLendTheFirstName(t *testing.T) {
	inv, err := inventory.ReadFiles(written(t, [2]string{"sv7.txt", "OS Name: Microsoft Windows Server 2022 Standard\n"}, [2]string{"x.txt", "[Version 10.0.20348.5139]\nMicrosoft Windows [Version 10.0.20348.5139]\n"}))
	if err != nil || inv.Host.Name != "sv7" || inv.Windows.Build != "10.0.20348.5139" {
		t.Errorf("host %+v, %+v, %v", inv.Host, inv.Windows, err)
	}
}
