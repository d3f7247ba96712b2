package windows

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// facts are what the text says, in whatever form.
type facts struct {
	hosts                                   []string // that it names, in order
	product, arch                           string
	version                                 string // "10.0.17763", at most three numbers
	full                                    string // "10.0.17763.1217", from ver
	servicePack                             string // "1"
	regBuild, regUBR                        string
	core                                    bool
	hotfixLine                              bool // updates are listed, be it none
	hotfixes                                int  // how many systeminfo says there are
	kbs                                     map[string]bool
	addresses                               []string
	damaged                                 bool // a quote of a table is not closed
	userCode, kernelCode, realtime, folders string
	services                                []string
	ruleIDs, ruleModes                      []string
	guarded, defended                       bool  // Win32_DeviceGuard, Get-MpPreference are there
	cut                                     []key // lists that are printed in part
	veiled                                  bool  // Get-MpPreference was run without an administrator's rights
	open                                    openList
}

// openList is a list whose closing brace stands on a later line.
type openList struct {
	key  key
	text string
}

var (
	kbNumber   = regexp.MustCompile(`(?i)\bKB(\d{5,8})\b`)
	verLine    = regexp.MustCompile(`\[\S+ (\d+\.\d+\.\d+\.\d+)\]`)
	regLine    = regexp.MustCompile(`^\s+(\w+)\s+REG_(?:SZ|DWORD)\s+(.*)$`)
	listItem   = regexp.MustCompile(`^\s*\[\d+\]:\s*(.*)$`)
	threeParts = regexp.MustCompile(`^\d+\.\d+\.\d+(\.\d+)?`)
	packNumber = regexp.MustCompile(`Service Pack (\d+)`)
)

func gather(text string) *facts {
	f := &facts{kbs: map[string]bool{}}
	f.read(strings.ReplaceAll(text, "\ufeff", "")) // marks of files that were joined
	return f
}

// line reads one line of plain output.
func (f *facts) line(line string) {
	if f.open.key != keyNone && f.continues(line) {
		return
	}
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
	if label, value, ok := strings.Cut(line, ":"); ok && keyOf(label) != keyNone {
		f.set(label, value)
		return
	}
	f.row(line)
}

// row reads a row of Get-HotFix's table: computer, description, KB, …
func (f *facts) row(line string) {
	m := kbNumber.FindStringSubmatch(line)
	if m == nil {
		return
	}
	f.kbs[m[1]], f.hotfixLine = true, true
	if cells := strings.Fields(line); len(cells) > 2 && !kbNumber.MatchString(cells[0]) && !strings.Contains(cells[0], "://") {
		f.named(cells[0])
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

// set takes one labelled value; the first product counts.
func (f *facts) set(label, value string) {
	value = strings.TrimSpace(value)
	if strings.Contains(value, "N/A: Must be an") {
		f.veiled = true // "…an administrator to view exclusions", also written "and administrator"
	}
	switch k := keyOf(label); k {
	case keyHost:
		f.named(value)
	case keyProduct:
		f.product = cmp.Or(f.product, value)
	case keyVersion:
		f.version = cmp.Or(f.version, threeParts.FindString(value))
		f.pack(value)
	case keyPack:
		f.pack(value)
	case keySystem:
		f.arch = cmp.Or(archOf(value), f.arch)
	case keyCore:
		f.core = f.core || slices.Contains(coreWords, value)
	case keyHotfixes:
		f.hotfixLine = true
		f.updates(value)
		digits := value[:len(value)-len(strings.TrimLeft(value, "0123456789"))]
		f.hotfixes, _ = strconv.Atoi(digits) // "N/A" is none
	case keyHotfixID:
		f.hotfixLine = true
		f.updates(value)
	case keyBuild:
		f.regBuild = cmp.Or(f.regBuild, value)
	case keyUBR:
		if n, err := strconv.ParseUint(value, 0, 32); err == nil {
			f.regUBR = strconv.FormatUint(n, 10)
		}
	case keyHotfixList, keyServices, keyRuleIDs, keyRuleModes:
		f.braces(k, value)
	default:
		f.setSecurity(k, value)
	}
}

// coreWords are how InstallationType and OsServerLevel say Server Core; as JSON the
// latter is a number.
var coreWords = []string{"Server Core", "ServerCore", "ServerCoreWithManagementTools", "2", "3"}

func (f *facts) pack(value string) {
	if m := packNumber.FindStringSubmatch(value); m != nil {
		f.servicePack = m[1]
	}
}

func (f *facts) updates(value string) {
	for _, m := range kbNumber.FindAllStringSubmatch(value, -1) {
		f.kbs[m[1]] = true
	}
}

// named notes a host's name, once.
func (f *facts) named(name string) {
	if name != "" && !slices.ContainsFunc(f.hosts, func(h string) bool { return sameHost(h, name) }) {
		f.hosts = append(f.hosts, name)
	}
}

// sameHost compares two names of hosts: NetBIOS names have no domain, are in capitals
// and end after 15 letters.
func sameHost(a, b string) bool {
	short := func(name string) string {
		name, _, _ = strings.Cut(strings.ToUpper(name), ".")
		return name[:min(len(name), 15)]
	}
	return short(a) == short(b)
}

// missing lists the facts that judging needs and the text does not give.
func (f *facts) missing(w *host.Windows) []host.Unread {
	var out []host.Unread
	add := func(what, why string) { out = append(out, host.Unread{What: what, Why: why}) }
	if w.Product == "" {
		add("Windows product", "not in the file: append the output of systeminfo")
	}
	if strings.Count(w.Build, ".") < 3 {
		add("Windows build revision", "systeminfo and Get-HotFix do not say it: append the output of: cmd /c ver")
	}
	switch {
	case slices.Contains(f.cut, keyHotfixList):
		add("installed updates", "the list is cut off: append the output of Get-HotFix")
	case !f.hotfixLine && len(w.KBs) == 0:
		add("installed updates", "not in the file: append the output of systeminfo or Get-HotFix")
	case f.hotfixes > len(w.KBs):
		add("installed updates", "fewer are listed than announced: append the output of Get-HotFix")
	}
	if f.damaged {
		add("CSV table", "a quote is not closed, so rows may be lost: export it again")
	}
	return append(out, f.missingSecurity()...)
}

type firstBuild struct {
	build   int
	version string
}

// firstBuilds are the first builds of each version of Windows, newest first: the
// registry says the build without it.
var firstBuilds = []firstBuild{{10240, "10.0."}, {9600, "6.3."}, {9200, "6.2."}, {7600, "6.1."}, {6000, "6.0."}}

// fullBuild puts the build together from whoever says most.
func (f *facts) fullBuild() string {
	if f.full != "" {
		return f.full
	}
	number, err := strconv.Atoi(f.regBuild)
	i := slices.IndexFunc(firstBuilds, func(first firstBuild) bool { return number >= first.build })
	switch {
	case err != nil || i < 0 || f.regUBR == "" && f.version != "":
		return f.version
	case f.regUBR == "":
		return firstBuilds[i].version + f.regBuild
	}
	return firstBuilds[i].version + f.regBuild + "." + f.regUBR
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
