package windows_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/kannuki/kannuki/inventory/windows"
)

func encode(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	out, err := e.NewEncoder().String(strings.ReplaceAll(text, "\n", "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var (
	wide   = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	marked = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
)

func TestTextOfEveryConsoleIsDecoded(t *testing.T) {
	ja, en := sample(t, "systeminfo-ja.txt"), sample(t, "systeminfo-en.txt")
	const ver = "\nMicrosoft Windows [Version 10.0.17763.8755]\n"
	const list = "Source   HotFixID\nSV-FILE01  Security Update  KB5087538  2026/05/13 0:00:00\n"
	tests := []struct {
		name, data, want string
	}{
		{"cmd in Japanese", encode(t, japanese.ShiftJIS, ja), ja},
		{"PowerShell in Japanese", encode(t, marked, ja), ja},
		{"PowerShell, big-endian", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), ja), ja},
		{"cmd /u", encode(t, wide, ja), ja},
		{"UTF-8", ja, ja},
		{"UTF-8 with a mark", "\ufeff" + ja, ja},
		{"a Western code page", encode(t, charmap.Windows1252, en), en},
		{"cmd, then PowerShell's >>", encode(t, japanese.ShiftJIS, ja) + encode(t, wide, list), ja + list},
		{"PowerShell, then cmd's >>", encode(t, marked, ja) + encode(t, japanese.ShiftJIS, ver), ja + ver},
		{"cmd, PowerShell, cmd", encode(t, japanese.ShiftJIS, ja) + encode(t, wide, ja) + encode(t, japanese.ShiftJIS, ver), ja + ja + ver},
		{"cmd in Japanese, then UTF-8", encode(t, japanese.ShiftJIS, ja) + ja, ja + ja},
		{"two marks", encode(t, marked, list) + encode(t, marked, ver), list + ver},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := windows.Decode([]byte(test.data))
			got = strings.ReplaceAll(strings.ReplaceAll(got, "\r\n", "\n"), "\ufeff", "")
			if err != nil || got != test.want {
				t.Errorf("error %v, decoded %d bytes of %d:\n%.300s", err, len(got), len(test.want), got)
			}
		})
	}
}

func TestWhatIsNoTextIsRefused(t *testing.T) {
	for _, data := range []string{"\x00\x01\xfe\xff\x80\x00\x99", "MZ\x90\x00\x03\x00\x00\x00\x04", "PK\x03\x04", "\xff\xfeab\x00"} {
		if text, err := windows.Decode([]byte(data)); err == nil {
			t.Errorf("%q decoded to %q", data, text)
		}
	}
}

func FuzzDecode(f *testing.F) {
	ja := sample(f, "systeminfo-ja.txt")
	f.Add([]byte(ja))
	f.Add([]byte(encode(f, japanese.ShiftJIS, ja)))
	f.Add([]byte(encode(f, marked, ja)))
	f.Add([]byte(encode(f, japanese.ShiftJIS, "ホスト名: A\n") + encode(f, wide, "HotFixID\nKB12345\n") + "a\r\n"))
	f.Add([]byte("\n\x00\n\x00\r\n\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		text, err := windows.Decode(data)
		if err == nil && !utf8.ValidString(text) {
			t.Fatalf("%q decoded to what is no UTF-8: %q", data, text)
		}
		if err == nil && utf8.Valid(data) && !strings.ContainsRune(string(data), 0) && text != strings.TrimPrefix(string(data), "\ufeff") {
			t.Fatalf("UTF-8 came out changed: %q, %q", data, text)
		}
	})
}
