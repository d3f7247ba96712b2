package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/cyclonedx"
	"github.com/kannuki/kannuki/inventory/windows"
)

// maxFile is the largest exported file we take, in bytes.
const maxFile = 256 << 20

// ReadFiles reads one host from one file (see Read), or from several in which Windows
// says of itself what it was asked with one command each.
func ReadFiles(paths []string) (host.Inventory, error) {
	if len(paths) == 1 {
		return ReadFile(paths[0])
	}
	var all strings.Builder
	for _, path := range paths {
		text, err := readWindows(path)
		if err != nil {
			return host.Inventory{}, fmt.Errorf("inventory: %w", err)
		}
		all.WriteString(text + "\n\n")
	}
	joined := strings.Join(paths, " + ")
	inv, err := windows.Parse(all.String(), joined)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	if inv.Host.Name == joined { // nothing in the files names the host
		inv.Host.Name = nameOf(paths[0])
	}
	return inv, nil
}

// readWindows reads one of several files.
func readWindows(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := readAll(file, path)
	if err != nil {
		return "", err
	}
	text, err := windows.Decode(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w; understood are %s", path, err, formats)
	}
	if !windows.Recognise(text) {
		return "", fmt.Errorf("%s: not an export of Windows; only these can be several files of one host: systeminfo, ver, Get-HotFix, Get-ComputerInfo, Win32_DeviceGuard, Get-MpPreference", path)
	}
	return text, nil
}

// nameOf is what a host without a name is called: as its file.
func nameOf(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

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
	data, err := readAll(r, name)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	inv, err := decode(data, name)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("inventory: %w", err)
	}
	return inv, nil
}

func readAll(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MiB", name, maxFile>>20)
	}
	return data, nil
}

// formats are what a file can be, for the message that it is none of them.
const formats = "our own JSON, CycloneDX JSON, Windows' systeminfo, Get-HotFix or Get-ComputerInfo"

func decode(data []byte, name string) (host.Inventory, error) {
	decoded, err := windows.Decode(data)
	if err != nil {
		return host.Inventory{}, fmt.Errorf("%s: %w; understood are %s", name, err, formats)
	}
	text := bytes.TrimSpace([]byte(decoded))
	hostName := nameOf(name)
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
