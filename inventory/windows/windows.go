// Package windows reads what a Windows server says of itself in text an
// administrator can export: systeminfo (English or Japanese; text or CSV),
// Get-HotFix (table, list, CSV or JSON), Get-ComputerInfo, ver and reg query of
// CurrentVersion, alone or one after the other in one file. It promises to say
// which fact is missing and which command tells it.
package windows

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Recognise tells whether text looks like something Parse understands.
func Recognise(text string) bool {
	f := gather(text)
	return len(f.kbs) > 0 || f.product != "" || f.hotfixLine
}

// Parse reads the exported text, in UTF-8. name is the file, for messages and for a
// text that does not name its host.
func Parse(text, name string) (host.Inventory, error) {
	f := gather(text)
	if len(f.kbs) == 0 && f.product == "" && !f.hotfixLine {
		return host.Inventory{}, fmt.Errorf("%s: no OS name and no KB number found; export with: systeminfo > host.txt (English or Japanese), or: Get-HotFix | ConvertTo-Csv", name)
	}
	build := f.fullBuild()
	product, sac := productOf(f.product, build, f.servicePack, f.arch)
	w := &host.Windows{Product: product, Build: build, Core: f.core || sac, KBs: []string{}}
	for kb := range f.kbs {
		w.KBs = append(w.KBs, kb)
	}
	slices.SortFunc(w.KBs, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	slices.Sort(f.addresses)
	return host.Inventory{
		Origin: "file", Packages: []host.Package{}, Windows: w, Unread: f.missing(w),
		Host: host.Host{
			Name: cmp.Or(f.name, name), Arch: f.arch, Addresses: slices.Compact(f.addresses),
			OS: host.OS{ID: "windows", Name: product, VersionID: build},
		},
	}, nil
}

// missing lists the facts that matching needs and the text does not give.
func (f *facts) missing(w *host.Windows) []host.Unread {
	var out []host.Unread
	if w.Product == "" {
		out = append(out, host.Unread{What: "Windows product", Why: "not in the file: append the output of systeminfo"})
	}
	if strings.Count(w.Build, ".") < 3 {
		out = append(out, host.Unread{What: "Windows build revision", Why: "systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver"})
	}
	switch {
	case !f.hotfixLine && len(w.KBs) == 0:
		out = append(out, host.Unread{What: "installed updates", Why: "not in the file: append the output of systeminfo or Get-HotFix"})
	case f.hotfixes > len(w.KBs):
		out = append(out, host.Unread{What: "installed updates", Why: fmt.Sprintf("%d are announced, %d KB numbers are listed", f.hotfixes, len(w.KBs))})
	}
	return out
}

// facts are what the text says, in whatever form.
type facts struct {
	name, product, arch string
	version             string // "10.0.17763", at most three numbers
	full                string // "10.0.17763.1217", from ver
	servicePack         string // "1"
	regBuild, regUBR    string
	core                bool
	hotfixLine          bool // updates are listed, be it none
	hotfixes            int  // how many systeminfo says there are
	kbs                 map[string]bool
	addresses           []string
}

// fullBuild puts the build together from whoever says most.
func (f *facts) fullBuild() string {
	if f.full != "" {
		return f.full
	}
	if f.regBuild != "" && f.regUBR != "" {
		prefix := "10.0." // UBR exists since Windows 10
		return prefix + f.regBuild + "." + f.regUBR
	}
	return f.version
}

var (
	kbNumber   = regexp.MustCompile(`(?i)\bKB(\d{5,8})\b`)
	verLine    = regexp.MustCompile(`\[\S+ (\d+\.\d+\.\d+\.\d+)\]`)
	regLine    = regexp.MustCompile(`^\s+(\w+)\s+REG_(?:SZ|DWORD)\s+(.*)$`)
	listItem   = regexp.MustCompile(`^\s*\[\d+\]:\s*(.*)$`)
	threeParts = regexp.MustCompile(`^\d+\.\d+\.\d+(\.\d+)?`)
	packNumber = regexp.MustCompile(`Service Pack (\d+)`)
)

// gather reads any of the forms.
func gather(text string) *facts {
	f := &facts{kbs: map[string]bool{}}
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		var v any
		if json.Unmarshal([]byte(trimmed), &v) == nil {
			f.walk("", v)
			return f
		}
	}
	if f.table(trimmed) {
		return f
	}
	for line := range strings.Lines(text) {
		f.line(strings.TrimRight(line, "\r\n"))
	}
	return f
}

// walk takes the strings and numbers of a ConvertTo-Json document.
func (f *facts) walk(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			f.walk(k, v[k])
		}
	case []any:
		for _, e := range v {
			f.walk(key, e)
		}
	case string:
		f.set(key, v)
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// table reads CSV with a heading we know; false when it is none.
func (f *facts) table(text string) bool {
	if strings.HasPrefix(text, "#TYPE") {
		_, text, _ = strings.Cut(text, "\n") // Export-Csv names the .NET type first
	}
	heading, _, _ := strings.Cut(text, "\n")
	comma := ','
	for _, c := range []rune{';', '\t'} {
		if strings.Count(heading, string(c)) > strings.Count(heading, string(comma)) {
			comma = c
		}
	}
	if !strings.ContainsRune(heading, comma) {
		return false
	}
	in := csv.NewReader(strings.NewReader(text))
	in.Comma, in.LazyQuotes, in.FieldsPerRecord = comma, true, -1
	rows, err := in.ReadAll()
	if err != nil || len(rows) == 0 || !slices.ContainsFunc(rows[0], func(h string) bool { return keyOf(h) != keyNone }) {
		return false
	}
	for _, row := range rows[1:] {
		for i, value := range row {
			if i < len(rows[0]) {
				f.set(rows[0][i], value)
			}
		}
	}
	return true
}

// line reads one line of plain output.
func (f *facts) line(line string) {
	if m := verLine.FindStringSubmatch(line); m != nil {
		f.full = m[1]
		return
	}
	if m := regLine.FindStringSubmatch(line); m != nil {
		f.set(m[1], m[2])
		return
	}
	if m := listItem.FindStringSubmatch(line); m != nil {
		f.item(m[1])
		return
	}
	if key, value, ok := strings.Cut(line, ":"); ok && keyOf(key) != keyNone {
		f.set(key, value)
		return
	}
	// A row of Get-HotFix's table: computer, description, KB, …
	if m := kbNumber.FindStringSubmatch(line); m != nil {
		f.kbs[m[1]], f.hotfixLine = true, true
		if cells := strings.Fields(line); f.name == "" && len(cells) > 2 && !kbNumber.MatchString(cells[0]) {
			f.name = cells[0]
		}
	}
}

// item is one entry of a list in systeminfo: an update or an address.
func (f *facts) item(value string) {
	if m := kbNumber.FindStringSubmatch(value); m != nil {
		f.kbs[m[1]] = true
		return
	}
	if a, err := netip.ParseAddr(strings.TrimSpace(value)); err == nil && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
		f.addresses = append(f.addresses, a.String())
	}
}

// key is a fact we know by several names.
type key int

const (
	keyNone key = iota
	keyHost
	keyProduct
	keyVersion
	keySystem
	keyCore
	keyHotfixes
	keyHotfixID
	keyBuild
	keyUBR
)

// keys are the labels of systeminfo in English and Japanese, and the property names of PowerShell and the registry.
var keys = map[string]key{
	"host name": keyHost, "ホスト名": keyHost, "csname": keyHost, "pscomputername": keyHost, "csdnshostname": keyHost,
	"os name": keyProduct, "os 名": keyProduct, "osname": keyProduct, "productname": keyProduct, "windowsproductname": keyProduct,
	"os version": keyVersion, "os バージョン": keyVersion, "osversion": keyVersion,
	"system type": keySystem, "システムの種類": keySystem, "cssystemtype": keySystem,
	"installationtype": keyCore, "windowsinstallationtype": keyCore,
	"hotfix(s)": keyHotfixes, "ホットフィックス": keyHotfixes,
	"hotfixid": keyHotfixID, "currentbuild": keyBuild, "currentbuildnumber": keyBuild, "ubr": keyUBR,
}

func keyOf(label string) key {
	return keys[strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(label), `"`)))]
}

// set takes one labelled value; the first product and host name count.
func (f *facts) set(label, value string) {
	value = strings.TrimSpace(value)
	switch keyOf(label) {
	case keyHost:
		f.name = cmp.Or(f.name, value)
	case keyProduct:
		f.product = cmp.Or(f.product, value)
	case keyVersion:
		f.setVersion(value)
	case keySystem:
		f.arch = cmp.Or(archOf(value), f.arch)
	case keyCore:
		f.core = f.core || value == "Server Core"
	case keyHotfixes:
		f.hotfixLine = true
		for _, m := range kbNumber.FindAllStringSubmatch(value, -1) {
			f.kbs[m[1]] = true
		}
		digits := value[:len(value)-len(strings.TrimLeft(value, "0123456789"))]
		f.hotfixes, _ = strconv.Atoi(digits) // "N/A" is none
	case keyHotfixID:
		f.hotfixLine = true
		if m := kbNumber.FindStringSubmatch(value); m != nil {
			f.kbs[m[1]] = true
		}
	case keyBuild:
		f.regBuild = value
	case keyUBR:
		if n, err := strconv.ParseUint(value, 0, 32); err == nil {
			f.regUBR = strconv.FormatUint(n, 10)
		}
	}
}

func (f *facts) setVersion(value string) {
	f.version = cmp.Or(f.version, threeParts.FindString(value))
	if m := packNumber.FindStringSubmatch(value); m != nil {
		f.servicePack = m[1]
	}
}

func archOf(system string) string {
	switch s := strings.ToLower(system); {
	case strings.HasPrefix(s, "x64"):
		return "amd64"
	case strings.HasPrefix(s, "arm64"):
		return "arm64"
	case strings.HasPrefix(s, "x86"):
		return "386"
	}
	return ""
}
