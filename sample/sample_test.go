package sample_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/osv-scalibr/semantic"
	"github.com/knqyf263/go-cpe/naming"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/sample"
	"github.com/kannuki/kannuki/vuln"
)

// reference are the vulnerabilities TRIAGE.md section 3 gives verdicts for.
var reference = []string{
	"CVE-2014-6271", "CVE-2021-44228", "CVE-2022-22965", "CVE-2017-5638", "CVE-2022-42889", "CVE-2022-26134",
	"CVE-2021-4034", "CVE-2023-4911", "CVE-2021-3156", "CVE-2025-32463", "CVE-2024-1086", "CVE-2023-2640",
	"CVE-2023-32629", "CVE-2014-0160", "CVE-2023-4966", "CVE-2020-1472", "CVE-2017-0144", "CVE-2019-0708",
	"CVE-2023-34362", "CVE-2022-0847", "CVE-2023-44487",
}

// recordsOf decodes the sample strictly.
func recordsOf(t *testing.T) []vuln.Record {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(sample.Records()))
	lines.Buffer(nil, 1<<20)
	var out []vuln.Record
	for n := 1; lines.Scan(); n++ {
		if n == 1 {
			if got, want := lines.Text(), `{"kannuki":"records","version":1}`; got != want {
				t.Fatalf("header line is %s, want %s", got, want)
			}
			continue
		}
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		var r vuln.Record
		if err := dec.Decode(&r); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if _, err := dec.Token(); err != io.EOF {
			t.Fatalf("line %d: more than one record", n)
		}
		out = append(out, r)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func hostsOf(t *testing.T) []host.Inventory {
	t.Helper()
	out, err := sample.Hosts()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSampleHasEnoughRecordsEachOnce(t *testing.T) {
	rs := recordsOf(t)
	if len(rs) < 75 {
		t.Errorf("%d records, want at least 75", len(rs))
	}
	seen := map[string]bool{}
	for _, r := range rs {
		if !vuln.IsCVE(r.ID) || r.Source != "sample" || !slices.Equal(r.Vulnerabilities, []string{r.ID}) {
			t.Errorf("%s: source %q, vulnerabilities %v", r.ID, r.Source, r.Vulnerabilities)
		}
		if seen[r.ID] {
			t.Errorf("%s stands there twice", r.ID)
		}
		seen[r.ID] = true
	}
}

func TestEveryReferenceVulnerabilityIsThere(t *testing.T) {
	rs := recordsOf(t)
	for _, id := range reference {
		if !slices.ContainsFunc(rs, func(r vuln.Record) bool { return r.ID == id }) {
			t.Errorf("%s is missing", id)
		}
	}
}

func TestEveryRecordReadsInBothLanguages(t *testing.T) {
	for _, r := range recordsOf(t) {
		if len(r.Texts) != 2 || r.Texts[0].Lang != "en" || r.Texts[1].Lang != "ja" {
			t.Errorf("%s: want one English and one Japanese text", r.ID)
			continue
		}
		for _, text := range r.Texts {
			japanese := strings.ContainsFunc(text.Details, func(c rune) bool { return unicode.In(c, unicode.Hiragana) })
			if text.Title == "" || len(text.Details) < 40 || japanese != (text.Lang == "ja") {
				t.Errorf("%s: %s text is %q, %q", r.ID, text.Lang, text.Title, text.Details)
			}
		}
	}
}

func TestEveryRecordSaysWhatItConcernsAndHowSevereItIs(t *testing.T) {
	for _, r := range recordsOf(t) {
		if len(r.Affected)+len(r.Configurations)+len(r.Products) == 0 {
			t.Errorf("%s concerns nothing", r.ID)
		}
		if len(r.Severities) == 0 || r.Published.IsZero() || r.Published.Year() < 2005 {
			t.Errorf("%s: severities %v, published %v", r.ID, r.Severities, r.Published)
		}
		if s := r.SSVC; s != nil && (!slices.Contains([]string{"none", "poc", "active"}, s.Exploitation) ||
			!slices.Contains([]string{"yes", "no"}, s.Automatable) || !slices.Contains([]string{"partial", "total"}, s.Impact)) {
			t.Errorf("%s: ssvc %+v", r.ID, *s)
		}
		if r.KEV != nil && (r.KEV.Added.IsZero() || r.KEV.Due.IsZero()) {
			t.Errorf("%s: kev %+v", r.ID, *r.KEV)
		}
	}
}

func TestEveryVectorParsesToItsScore(t *testing.T) {
	for _, r := range recordsOf(t) {
		for _, s := range r.Severities {
			if s.Vector == "" {
				if s.Word == "" {
					t.Errorf("%s: severity without vector and word", r.ID)
				}
				continue
			}
			score, err := baseScore(s.Vector)
			if err != nil || math.Abs(score-s.Score) > 0.001 || !strings.HasPrefix(s.Vector, "CVSS:"+s.Version+"/") {
				t.Errorf("%s: %s is CVSS %s %.1f in the record, but %.1f, %v", r.ID, s.Vector, s.Version, s.Score, score, err)
			}
		}
	}
}

func baseScore(vector string) (float64, error) {
	if strings.HasPrefix(vector, "CVSS:3.0") {
		v, err := gocvss30.ParseVector(vector)
		if err != nil {
			return 0, err
		}
		return v.BaseScore(), nil
	}
	v, err := gocvss31.ParseVector(vector)
	if err != nil {
		return 0, err
	}
	return v.BaseScore(), nil
}

func TestEveryVersionAndCPEParses(t *testing.T) {
	for _, r := range recordsOf(t) {
		for _, a := range r.Affected {
			if a.Status == "" && len(a.Ranges) == 0 {
				t.Errorf("%s: %s %s has neither a range nor a status", r.ID, a.Ecosystem, a.Package)
			}
			for _, fixed := range fixedVersions(a) {
				if _, err := semantic.Parse(fixed, family(a.Ecosystem)); err != nil {
					t.Errorf("%s: %s %s: %v", r.ID, a.Ecosystem, fixed, err)
				}
			}
		}
		for _, m := range matches(r) {
			if _, err := naming.UnbindFS(m.CPE); err != nil {
				t.Errorf("%s: %s: %v", r.ID, m.CPE, err)
			}
		}
	}
}

// family is the ecosystem's name to the version order's: what stands before the release.
func family(ecosystem string) string {
	name, _, _ := strings.Cut(ecosystem, ":")
	if name == "AlmaLinux" || name == "Rocky Linux" {
		return "Red Hat"
	}
	return name
}

func fixedVersions(a vuln.Affected) []string {
	var out []string
	for _, r := range a.Ranges {
		for _, e := range r.Events {
			if e.Fixed != "" {
				out = append(out, e.Fixed)
			}
		}
	}
	return out
}

func matches(r vuln.Record) []vuln.CPEMatch {
	var out []vuln.CPEMatch
	for _, c := range r.Configurations {
		for _, n := range c.Nodes {
			out = append(out, n.Matches...)
		}
	}
	return out
}

// The first run must have something to say on a Debian 12 that has only its
// essential packages: what Debian has left open there.
func TestBareDebian12HasOpenVulnerabilities(t *testing.T) {
	essential := []string{"apt", "coreutils", "gcc-12", "glibc", "gnupg2", "libgcrypt20", "ncurses", "pam", "shadow", "systemd", "tar", "util-linux", "zlib"}
	found := map[string]bool{}
	for _, r := range recordsOf(t) {
		for _, a := range r.Affected {
			if a.Ecosystem == "Debian:12" && a.Status == "" && len(fixedVersions(a)) == 0 && slices.Contains(essential, a.Package) {
				found[a.Package] = true
			}
		}
	}
	if len(found) < 10 {
		t.Errorf("open vulnerabilities in %d essential packages only: %v", len(found), found)
	}
}

func TestHostsAreCompleteAndOnDocumentationAddresses(t *testing.T) {
	var ids []string
	for _, inv := range hostsOf(t) {
		ids = append(ids, inv.Host.OS.ID)
		h := inv.Host
		if h.ID == "" || h.Importance == "" || inv.Collected.Before(time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC)) || inv.Processes == nil {
			t.Errorf("%s: id, importance, time or processes are missing", h.Name)
		}
		if !strings.HasSuffix(h.Name, ".example.com") {
			t.Errorf("%s is not a reserved name", h.Name)
		}
		for _, a := range h.Addresses {
			if !strings.HasPrefix(a, "203.0.113.") && !strings.HasPrefix(a, "10.") && !strings.HasPrefix(a, "2001:db8:") {
				t.Errorf("%s: %s is nobody's documentation or private address", h.Name, a)
			}
		}
	}
	if want := []string{"debian", "almalinux", "windows"}; !slices.Equal(ids, want) {
		t.Errorf("hosts are %v, want %v", ids, want)
	}
}

func TestProcessesRunInstalledPackages(t *testing.T) {
	for _, inv := range hostsOf(t) {
		installed := map[string]bool{"": true}
		for _, p := range inv.Packages {
			installed[p.Name] = true
			if _, err := semantic.Parse(p.SourceVersion, map[string]string{"dpkg": "Debian", "rpm": "Red Hat"}[p.Kind]); err != nil {
				t.Errorf("%s: %s %s: %v", inv.Host.Name, p.Source, p.SourceVersion, err)
			}
		}
		for _, p := range inv.Processes {
			names := append([]string{p.Package}, p.Libraries...)
			for _, r := range p.Replaced {
				names = append(names, r.Package)
			}
			for _, name := range names {
				if !installed[name] {
					t.Errorf("%s: %s (pid %d) uses %s, which is not installed", inv.Host.Name, p.Name, p.PID, name)
				}
			}
		}
		for _, k := range inv.Kernel.Installed {
			if !installed[k.Package] {
				t.Errorf("%s: kernel package %s is not installed", inv.Host.Name, k.Package)
			}
		}
	}
}

// The hosts are there to show findings: each must have some, and the web server must
// show the two states that are not simply "patch it".
func TestHostsAreBehind(t *testing.T) {
	rs := recordsOf(t)
	for i, least := range []int{25, 10, 9} {
		inv := hostsOf(t)[i]
		if got := open(t, inv, rs); len(got) < least {
			t.Errorf("%s: %d vulnerabilities, want at least %d: %v", inv.Host.Name, len(got), least, got)
		}
	}
	web := hostsOf(t)[0]
	newest := web.Kernel.Installed[len(web.Kernel.Installed)-1]
	if newest.Release == web.Kernel.Running {
		t.Error("the web server has booted its newest kernel: nothing shows \"reboot needed\"")
	}
	if !slices.ContainsFunc(web.Processes, func(p host.Process) bool { return len(p.Replaced) > 0 }) {
		t.Error("no process of the web server maps a replaced file: nothing shows \"restart needed\"")
	}
}

// open is a deliberately simple matcher: enough to know that there is something to find.
func open(t *testing.T, inv host.Inventory, rs []vuln.Record) []string {
	t.Helper()
	ecosystem := map[string]string{"debian": "Debian:12", "almalinux": "AlmaLinux:9"}[inv.Host.OS.ID]
	var out []string
	for _, r := range rs {
		behind := slices.ContainsFunc(r.Affected, func(a vuln.Affected) bool {
			return a.Ecosystem == ecosystem && a.Status == "" && slices.ContainsFunc(inv.Packages, func(p host.Package) bool { return behindFix(t, p, a) })
		})
		missing := inv.Windows != nil && slices.ContainsFunc(r.Products, func(p vuln.Product) bool {
			return p.Name == inv.Windows.Product && !slices.Contains(inv.Windows.KBs, p.Fixes[0].KB)
		})
		if behind || missing {
			out = append(out, r.ID)
		}
	}
	return out
}

func behindFix(t *testing.T, p host.Package, a vuln.Affected) bool {
	t.Helper()
	name, version := p.Name, p.Version
	if a.SourcePackage {
		name, version = p.Source, p.SourceVersion
	}
	if name != a.Package || a.Module != "" && !strings.HasPrefix(p.Module, a.Module+":") || (a.Module == "") != (p.Module == "") {
		return false
	}
	fixed := fixedVersions(a)
	if len(fixed) == 0 {
		return true
	}
	v, err := semantic.Parse(version, family(a.Ecosystem))
	if err != nil {
		t.Fatal(err)
	}
	order, err := v.CompareStr(fixed[0])
	if err != nil {
		t.Fatal(err)
	}
	return order < 0
}
