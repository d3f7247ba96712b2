package feed

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sniffLen is how much of a document is looked at. A SUSE record lists some hundred
// kilobytes of binaries before it says its id.
const sniffLen = 256 << 10

// byteOrderMark is what some programs put before UTF-8. No decoder sees it.
const byteOrderMark = "\xef\xbb\xbf"

// container is what a file is packed in.
type container string

const (
	plain  container = ""
	zipped container = "zip"
	gzMade container = "gz"
	zsMade container = "zst"
	bzMade container = "bz2"
	tarred container = "tar"
)

// packing tells from its first bytes what a file is packed in.
func packing(head []byte) container {
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		return zipped
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzMade
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zsMade
	case len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return zsMade // a skippable frame before the first
	case len(head) >= 10 && bytes.HasPrefix(head, []byte("BZh")) && bytes.Equal(head[4:10], []byte("1AY&SY")):
		return bzMade
	case len(head) >= 262 && string(head[257:262]) == "ustar":
		return tarred
	}
	return plain
}

// sniff recognises the format of a document by its beginning. Where it is none of
// ours, why says what it is instead, as precisely as it can be told.
func sniff(head []byte) (f Format, why string) {
	head = bytes.TrimPrefix(head, []byte(byteOrderMark))
	text := bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(text) == 0:
		return "", "empty"
	case text[0] == '{':
		return sniffJSON(text)
	case text[0] == '[':
		return sniffList(text)
	case text[0] == '<':
		return sniffXML(text)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	switch {
	case bytes.HasPrefix(line, []byte("#model_version:")), bytes.HasPrefix(line, []byte("cve,epss")):
		return EPSSCSV, ""
	case bytes.HasPrefix(bytes.ReplaceAll(line, []byte(`"`), nil), []byte("cveID,vendorProject,")):
		return KEVCSV, ""
	}
	return "", sniffOther(text)
}

// sniffOther names what is neither JSON nor XML.
func sniffOther(text []byte) string {
	for _, known := range []struct{ magic, why string }{
		{"\xfd7zXZ\x00", "xz archive: not read; unpack it first"},
		{"7z\xbc\xaf\x27\x1c", "7z archive: not read; unpack it first"},
		{"SQLite format 3\x00", "SQLite database"},
		{"%PDF-", "PDF"},
		{"PK", "zip: damaged beginning"},
		{"version https://git-lfs", "Git LFS pointer: the data itself is not here"},
	} {
		if bytes.HasPrefix(text, []byte(known.magic)) {
			return known.why
		}
	}
	if !isText(text) {
		return fmt.Sprintf("no feed format recognised (starts with % x)", text[:min(len(text), 8)])
	}
	line, _, _ := strings.Cut(string(text[:min(len(text), 4096)]), "\n")
	switch {
	case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "%YAML"), looksLikeYAML(line):
		return "YAML"
	case strings.Count(line, ",") >= 2 && !strings.Contains(line, ". "):
		return "CSV: no feed format recognised"
	}
	return "text"
}

func isText(text []byte) bool {
	text = text[:min(len(text), 1024)]
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r == utf8.RuneError && size == 1 && len(text) >= utf8.UTFMax {
			return false
		}
		if unicode.IsControl(r) && !unicode.IsSpace(r) {
			return false
		}
		text = text[size:]
	}
	return true
}

// looksLikeYAML: a first line that is a bare key, or a key and a value.
func looksLikeYAML(line string) bool {
	key, _, ok := strings.Cut(line, ":")
	if !ok || key == "" {
		return false
	}
	for _, r := range key {
		if r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}
