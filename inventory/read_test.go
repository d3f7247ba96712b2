package inventory_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
)

const ownJSON = `{
  "host": {"name": "web1", "os": {"id": "debian", "version_id": "12"}},
  "packages": [
    {"name": "openssl", "version": "3.0.11-1", "kind": "dpkg"},
    {"name": "bash", "version": "5.2-2+b7", "kind": "dpkg", "source": "bash", "source_version": "5.2-2"}
  ],
  "processes": [{"pid": 7, "name": "nginx", "listeners": [{"protocol": "tcp", "address": "0.0.0.0", "port": 80}]}]
}`

func read(t *testing.T, text string) host.Inventory {
	t.Helper()
	inv, err := inventory.Read(strings.NewReader(text), "inv.json")
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

func TestOwnJSONIsRead(t *testing.T) {
	inv := read(t, ownJSON)
	want := host.Package{Name: "openssl", Version: "3.0.11-1", Kind: "dpkg", Source: "openssl", SourceVersion: "3.0.11-1"}
	if inv.Packages[0] != want || inv.Host.Name != "web1" || inv.Processes[0].Listeners[0].Port != 80 {
		t.Fatalf("read %+v", inv)
	}
}

func TestOwnJSONRoundTrips(t *testing.T) {
	first := read(t, ownJSON)
	var a, b bytes.Buffer
	if err := inventory.WriteJSON(&a, first); err != nil {
		t.Fatal(err)
	}
	second := read(t, a.String())
	if err := inventory.WriteJSON(&b, second); err != nil {
		t.Fatal(err)
	}
	if a.String() != b.String() {
		t.Errorf("written twice, differs:\n%s", cmp.Diff(a.String(), b.String()))
	}
	if strings.Index(a.String(), `"bash"`) > strings.Index(a.String(), `"openssl"`) {
		t.Errorf("packages are not in order:\n%s", a.String())
	}
}

func TestBadFilesSayWhatIsWrongAndWhere(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"misspelt key", strings.Replace(ownJSON, `"version": "3.0.11-1"`, `"versoin": "3.0.11-1"`, 1), `inv.json:4:25: unknown key "versoin" in packages[0]; did you mean "version"?`},
		{"key of the wrong case", strings.Replace(ownJSON, `"host"`, `"Host"`, 1), `inv.json:2:3: unknown key "Host" in the inventory; did you mean "host"?`},
		{"key inside a list in a list", strings.Replace(ownJSON, `"port": 80`, `"prot": 80`, 1), `unknown key "prot" in processes[0].listeners[0]; did you mean "port"?`},
		{"wrong type", strings.Replace(ownJSON, `"pid": 7`, `"pid": "7"`, 1), `inv.json:7:`},
		{"no version", strings.Replace(ownJSON, `"version": "3.0.11-1", `, ``, 1), `packages[0] (openssl): no "version"`},
		{"no kind", strings.Replace(ownJSON, `, "kind": "dpkg"`, ``, 1), `"kind" is ""; it must be one of dpkg, rpm, apk, component`},
		{"cut off", ownJSON[:len(ownJSON)-9], "inv.json:"},
		{"cut off in a key", ownJSON[:40], "the file ends in the middle"},
		{"no JSON", `{"host": nope}`, "inv.json:1:"},
		{"text after", ownJSON + "{}", "text after the end"},
		{"nothing to judge", `{"host": {"name": "x", "os": {"id": "debian"}}}`, `neither "packages" nor "windows"`},
		{"bottomless", `{"host": ` + strings.Repeat(`[`, 100_000), "nested deeper than"},
		{"empty", "  \n", "the file is empty"},
		{"XML", `<?xml version="1.0"?><bom/>`, "CycloneDX JSON"},
		{"something else", "Dear administrator,\nhello.\n", "not an inventory; understood are our own JSON"},
		{"a list", `["a"]`, "a JSON list, not an inventory"},
		{"binary", "\x00\x01\xfe\xff\x80\x00\x99", "neither UTF-8"},
		{"broken bill", `{"bomFormat": "CycloneDX", "specVersion": 3}`, "not a CycloneDX bill"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := inventory.Read(strings.NewReader(test.in), "inv.json")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %q in it", err, test.want)
			}
		})
	}
}

func TestReadFileNamesWhatItIsGiven(t *testing.T) {
	dir := t.TempDir()
	if _, err := inventory.ReadFile(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("error %v for a folder", err)
	}
	if _, err := inventory.ReadFile(filepath.Join(dir, "gone.json")); !os.IsNotExist(err) && !strings.Contains(err.Error(), "gone.json") {
		t.Errorf("error %v for a missing file", err)
	}
	path := filepath.Join(dir, "db7.json")
	if err := os.WriteFile(path, []byte(`{"packages": [{"name": "a", "version": "1", "kind": "rpm"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	inv, err := inventory.ReadFile(path)
	if err != nil || inv.Host.Name != "db7" || inv.Origin != "file" {
		t.Errorf("inventory %+v, %v; want one named after its file", inv.Host, err)
	}
}

const systeminfoJA = "ホスト名:               WIN-KANNUKI\r\nOS 名:                  Microsoft Windows Server 2019 Standard\r\n" +
	"OS バージョン:          10.0.17763 N/A ビルド 17763\r\nシステムの種類:         x64-based PC\r\n" +
	"ホットフィックス:       1 個のホットフィックスがインストールされています。\r\n                        [01]: KB4523205\r\n"

func TestTextsAreReadInTheEncodingsWindowsWrites(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String(systeminfoJA)
	if err != nil {
		t.Fatal(err)
	}
	utf16, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String(systeminfoJA)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"UTF-8": systeminfoJA, "UTF-8 with a mark": "\ufeff" + systeminfoJA, "Shift_JIS": sjis, "UTF-16": utf16} {
		inv := read(t, text)
		if inv.Host.Name != "WIN-KANNUKI" || inv.Windows == nil || inv.Windows.Product != "Windows Server 2019" || len(inv.Windows.KBs) != 1 {
			t.Errorf("%s: host %+v, windows %+v", name, inv.Host, inv.Windows)
		}
	}
}

func TestPowerShellJSONIsTakenForWindows(t *testing.T) {
	inv := read(t, `[{"CSName":"SRV9","HotFixID":"KB5001","Description":"Update"},{"CSName":"SRV9","HotFixID":"KB50012345"}]`)
	if inv.Host.Name != "SRV9" || inv.Windows == nil || len(inv.Windows.KBs) != 1 || inv.Windows.KBs[0] != "50012345" {
		t.Errorf("host %+v windows %+v", inv.Host, inv.Windows)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(ownJSON))
	f.Add([]byte(systeminfoJA))
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"a","version":"1","purl":"pkg:deb/debian/a@1?upstream=b@2"}]}`))
	f.Add([]byte("\xff\xfea\x00:\x00"))
	f.Add([]byte(`{"packages":[{"name":"a","version":"1","kind":"apk"}],"host":{"labels":["x"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		inv, err := inventory.Read(bytes.NewReader(data), "fuzz")
		if err != nil {
			return
		}
		for _, p := range inv.Packages {
			if p.Name == "" || p.Version == "" || p.Source == "" || p.Kind == "" {
				t.Fatalf("incomplete package %+v", p)
			}
		}
		// Whatever was read can be written, and read again to the same.
		var a, b bytes.Buffer
		if err := inventory.WriteJSON(&a, inv); err != nil {
			t.Fatal(err)
		}
		again, err := inventory.Read(&a, "fuzz")
		if err != nil {
			t.Fatalf("reading back: %v", err)
		}
		if err := inventory.WriteJSON(&b, again); err != nil {
			t.Fatal(err)
		}
		if err := inventory.WriteCycloneDX(&b, again); err != nil {
			t.Fatal(err)
		}
	})
}
