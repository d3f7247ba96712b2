package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/cyclonedx"
	"github.com/kannuki/kannuki/inventory/windows"
)

// maxFile is the largest exported file we take, in bytes.
const maxFile = 256 << 20

// ReadFile reads an exported inventory; see Read.
func ReadFile(path string) (host.Inventory, error) {
	file, err := os.Open(path)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return host.Inventory{}, fmt.Errorf("inventory: %s is a folder: give a file, or name it as the root of a mounted system", path)
	}
	return Read(file, path)
}

// Read reads an exported inventory and recognises from the content which it is: our
// own JSON (strict), CycloneDX JSON, or what Windows says of itself (systeminfo in
// English or Japanese, Get-HotFix; UTF-8, UTF-16 or Shift_JIS). name is the file, for
// messages; a file that does not name its host lends its own name.
func Read(r io.Reader, name string) (host.Inventory, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %s: %w", name, err)
	}
	if len(data) > maxFile {
		return host.Inventory{}, fmt.Errorf("inventory: %s: larger than %d MiB", name, maxFile>>20)
	}
	inv, err := decode(data, name)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	return inv, nil
}

// formats are what a file can be, for the message that it is none of them.
const formats = "our own JSON, CycloneDX JSON, Windows' systeminfo or Get-HotFix"

func decode(data []byte, name string) (host.Inventory, error) {
	text, err := decodeText(data)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("%s: %w", name, err)
	}
	text = bytes.TrimSpace(text)
	hostName := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	switch {
	case len(text) == 0:
		return host.Inventory{}, fmt.Errorf("%s: the file is empty", name)
	case text[0] == '{' && hasKey(text, "bomFormat"):
		return cyclonedx.Parse(text, hostName)
	case text[0] == '{' || text[0] == '[':
		return decodeJSON(text, name, hostName)
	case bytes.HasPrefix(text, []byte("<")):
		return host.Inventory{}, fmt.Errorf("%s: XML is not read; export the bill of materials as CycloneDX JSON", name)
	}
	if !windows.Recognise(string(text)) {
		return host.Inventory{}, fmt.Errorf("%s: not an inventory; understood are %s", name, formats)
	}
	return windows.Parse(string(text), hostName)
}

// decodeJSON tells our own JSON from PowerShell's.
func decodeJSON(text []byte, name, hostName string) (host.Inventory, error) {
	own := text[0] == '{' && (hasKey(text, "host") || hasKey(text, "packages"))
	if !own && json.Valid(text) && windows.Recognise(string(text)) {
		return windows.Parse(string(text), hostName)
	}
	if text[0] == '[' {
		return host.Inventory{}, fmt.Errorf("%s: a JSON list, not an inventory; understood are %s", name, formats)
	}
	return decodeOwn(text, name, hostName)
}

// hasKey tells whether the outermost JSON object has a key, as far as it can be read.
func hasKey(text []byte, key string) bool {
	dec := json.NewDecoder(bytes.NewReader(text))
	depth, wantKey := 0, false
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		switch t := token.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				depth++
				wantKey = depth == 1
				continue
			}
			depth--
		case string:
			if depth == 1 && wantKey {
				if t == key {
					return true
				}
				wantKey = false
				continue
			}
		}
		if depth == 1 {
			wantKey = true
		}
		if depth == 0 {
			return false
		}
	}
}

// decodeText turns what Windows programs write into UTF-8: UTF-16 (PowerShell's >),
// UTF-8 with a mark, or the Japanese code page 932 (cmd's >).
func decodeText(data []byte) ([]byte, error) {
	var enc encoding.Encoding
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		enc = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	}
	if enc == nil && utf8.Valid(data) {
		return data, nil
	}
	if enc == nil {
		enc = japanese.ShiftJIS
	}
	text, err := enc.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, fmt.Errorf("neither UTF-8, UTF-16 nor Shift_JIS text; understood are %s", formats)
	}
	return text, nil
}
