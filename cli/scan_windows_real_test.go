package cli_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/internal/realdata"
)

// msrcFix, msrcEntry: what this check reads of Microsoft's documents, on its own.
type msrcFix struct{ kb, kind string }

type msrcEntry struct {
	fixes  []msrcFix
	impact string
}

// cvrf is one document, as far as this check reads it.
type cvrf struct {
	Names []struct {
		ID   string `xml:"ProductID,attr"`
		Name string `xml:",chardata"`
	} `xml:"ProductTree>FullProductName"`
	Vulnerabilities []struct {
		CVE      string
		Statuses []struct {
			Type     string   `xml:",attr"`
			Products []string `xml:"ProductID"`
		} `xml:"ProductStatuses>Status"`
		Threats []struct {
			Type        string `xml:",attr"`
			Description string
			Products    []string `xml:"ProductID"`
		} `xml:"Threats>Threat"`
		Remediations []struct {
			Type        string `xml:",attr"`
			Description string
			SubType     string
			Products    []string `xml:"ProductID"`
		} `xml:"Remediations>Remediation"`
	} `xml:"Vulnerability"`
}

// realMSRC reads what the documents list for one product, by vulnerability.
func realMSRC(t *testing.T, product string) map[string]*msrcEntry {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(realdata.Path(t, "msrc-cvrf"), "*.xml.zst"))
	if err != nil || len(paths) == 0 {
		t.Skipf("SKIPPED: no CVRF documents: %v", err)
	}
	out := map[string]*msrcEntry{}
	for _, path := range paths {
		var doc cvrf
		readCVRF(t, path, &doc)
		var id string
		for _, n := range doc.Names {
			if n.Name == product {
				id = n.ID
			}
		}
		doc.list(id, out)
	}
	if len(out) == 0 {
		t.Fatalf("nothing is listed for %s", product)
	}
	return out
}

func readCVRF(t *testing.T, path string, doc *cvrf) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if err := xml.NewDecoder(z).Decode(doc); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// list adds what the document lists as affected for the product with an id.
func (doc *cvrf) list(id string, out map[string]*msrcEntry) {
	for _, v := range doc.Vulnerabilities {
		affected := false
		for _, s := range v.Statuses {
			affected = affected || s.Type == "Known Affected" && slices.Contains(s.Products, id)
		}
		if !affected {
			continue
		}
		e := &msrcEntry{}
		for _, r := range v.Remediations {
			if r.Type == "Vendor Fix" && slices.Contains(r.Products, id) {
				e.fixes = append(e.fixes, msrcFix{strings.TrimPrefix(r.Description, "KB"), r.SubType})
			}
		}
		for _, threat := range v.Threats {
			if threat.Type == "Impact" && slices.Contains(threat.Products, id) {
				e.impact = threat.Description
			}
		}
		out[v.CVE] = e
	}
}

// imported is a database with all of Microsoft's documents.
func imported(t *testing.T) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "k.db")
	if _, code := kannuki(t, "feed", "import", realdata.Path(t, "msrc-cvrf"), "--db", db); code != cli.ExitOK {
		t.Fatalf("import: exit code %d", code)
	}
	return db
}

type windowsFinding struct {
	ID       string
	Fixed    string `json:"fixed_version"`
	Types    []string
	Coverage string
}

// scanWindows scans an exported host and returns its findings by vulnerability.
func scanWindows(t *testing.T, db, export string) map[string]windowsFinding {
	t.Helper()
	file := filepath.Join(t.TempDir(), "host.txt")
	if err := os.WriteFile(file, []byte(export), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := kannuki(t, "scan", "--json", "--inventory", file, "--db", db)
	if code != cli.ExitOK {
		t.Fatalf("scan: exit code %d", code)
	}
	var scan struct{ Findings []windowsFinding }
	if err := json.Unmarshal([]byte(out), &scan); err != nil {
		t.Fatal(err)
	}
	found := map[string]windowsFinding{}
	for _, f := range scan.Findings {
		found[f.ID] = f
	}
	return found
}

// export is what systeminfo and ver say of a host.
func export(edition, version, ver string, kbs ...string) string {
	text := "Host Name: REAL\nOS Name: Microsoft " + edition + " Standard\nOS Version: " + version + " N/A Build\nSystem Type: x64-based PC\n"
	text += fmt.Sprintf("Hotfix(s): %d Hotfix(s) Installed.\n", len(kbs))
	for i, kb := range kbs {
		text += fmt.Sprintf("     [%02d]: KB%s\n", i+1, kb)
	}
	if ver != "" {
		text += "\nMicrosoft Windows [Version " + ver + "]\n"
	}
	return text
}

func TestWindowsServersAgreeWithMicrosoftsDocuments(t *testing.T) {
	db := imported(t)
	listed := map[string]map[string]*msrcEntry{}
	for _, product := range []string{"Windows Server 2019", "Windows Server 2012 R2"} {
		listed[product] = realMSRC(t, product)
	}
	t.Run("missing updates", func(t *testing.T) { checkMissing(t, db, listed) })
	t.Run("types are impacts", func(t *testing.T) { checkImpacts(t, db, listed["Windows Server 2019"]) })
}

// checkMissing: what is missing on each host is told here by rules of its own, from the
// numbers of the updates alone.
func checkMissing(t *testing.T, db string, all map[string]map[string]*msrcEntry) {
	only := func(kbs ...string) func(msrcFix) bool {
		return func(f msrcFix) bool { return !slices.Contains(kbs, f.kb) }
	}
	upTo := func(last int, kind string) func(msrcFix) bool {
		return func(f msrcFix) bool {
			n, _ := strconv.Atoi(f.kb)
			return strings.Contains(f.kind, kind) && n <= last
		}
	}
	tests := []struct {
		name, product, export string
		holds                 func(msrcFix) bool // a fix that is in
	}{
		{"nothing installed", "Windows Server 2019", export("Windows Server 2019", "10.0.17763", "10.0.17763.1"), func(msrcFix) bool { return false }},
		// After May 2026 came KB5094123; the two others are no cumulative updates.
		{"cumulative update of May 2026", "Windows Server 2019", export("Windows Server 2019", "10.0.17763", "", "5087538"), only("5094123", "4519337", "4465664")},
		{"the same told by the build", "Windows Server 2019", export("Windows Server 2019", "10.0.17763", "10.0.17763.8755"), only("5094123", "4519337", "4465664")},
		{"cumulative update of December 2018", "Windows Server 2019", export("Windows Server 2019", "10.0.17763", "", "4471332"), only2018},
		{"rollup of May 2025", "Windows Server 2012 R2", export("Windows Server 2012 R2", "6.3.9600", "", "5058403"), upTo(5058403, "Rollup")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			listed := all[test.product]
			want := map[string]bool{}
			for id, e := range listed {
				if !slices.ContainsFunc(e.fixes, test.holds) {
					want[id] = true
				}
			}
			got := scanWindows(t, db, test.export)
			t.Logf("%s, %s: %d listed, %d missing", test.product, test.name, len(listed), len(got))
			for _, id := range slices.Sorted(maps.Keys(want)) {
				if _, ok := got[id]; !ok {
					t.Errorf("%s is not found; its fixes: %v", id, listed[id].fixes)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(got)) {
				if !want[id] {
					t.Errorf("%s is found; its fixes: %v", id, listed[id].fixes)
				}
			}
		})
	}
}

// only2018 are the cumulative updates of Windows Server 2019 up to December 2018.
func only2018(f msrcFix) bool {
	return slices.Contains([]string{"4464330", "4467708", "4471332"}, f.kb)
}

func checkImpacts(t *testing.T, db string, listed map[string]*msrcEntry) {
	types := map[string]string{"Remote Code Execution": "exec", "Elevation of Privilege": "priv", "Information Disclosure": "info", "Denial of Service": "dos", "Security Feature Bypass": "bypass"}
	found := scanWindows(t, db, export("Windows Server 2019", "10.0.17763", "10.0.17763.1"))
	typed := 0
	for id, e := range listed {
		want := types[e.impact]
		if want == "" {
			continue // Spoofing and Tampering are tags, and say no type
		}
		typed++
		if !slices.Contains(found[id].Types, want) {
			t.Errorf("%s: types %v; Microsoft says %s", id, found[id].Types, e.impact)
		}
	}
	if typed < 500 {
		t.Errorf("only %d vulnerabilities have an impact that is a type", typed)
	}
}
