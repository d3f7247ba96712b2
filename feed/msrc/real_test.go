package msrc

import (
	"bufio"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// realRecords decodes every real CVRF document, and fails the test on any reject.
func realRecords(t *testing.T) []vuln.Record {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(realdata.Path(t, "msrc-cvrf"), "*.xml.zst"))
	if err != nil || len(paths) == 0 {
		t.Skipf("SKIPPED: no CVRF documents: %v", err)
	}
	var records []vuln.Record
	for _, path := range paths {
		err := decodeZstd(path, func(r vuln.Record) error {
			records = append(records, r)
			return nil
		}, func(offset int64, id, reason string) error {
			t.Errorf("%s: byte %d: %s rejected: %s", path, offset, id, reason)
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	return records
}

func decodeZstd(path string, emit func(vuln.Record) error, reject func(int64, string, string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		return err
	}
	defer z.Close()
	return Decode(z, emit, reject)
}

func TestRealDocuments(t *testing.T) {
	records := realRecords(t)
	t.Run("every one is read without reject", func(t *testing.T) { checkComplete(t, records) })
	t.Run("an identifier in two says the same", func(t *testing.T) { checkRepeated(t, records) })
	t.Run("windows server 2019 by vendor impact", func(t *testing.T) { checkServer2019(t, records) })
}

func checkComplete(t *testing.T, records []vuln.Record) {
	ids := map[string]int{}
	counts := map[string]int{}
	for _, r := range records {
		ids[r.ID]++
		counts["products"] += len(r.Products)
		for _, p := range r.Products {
			counts["fixes"] += len(p.Fixes)
			if p.Name == "" {
				t.Errorf("%s: product %s has no name", r.ID, p.ID)
			}
		}
		if len(r.Texts) == 0 || r.Texts[0].Title == "" {
			counts["untitled"]++
		}
		if r.SSVC != nil {
			counts["exploited"]++
		}
	}
	twice := slices.DeleteFunc(slices.Sorted(maps.Keys(ids)), func(id string) bool { return ids[id] == 1 })
	t.Logf("%d records, %d identifiers, in two documents: %v, %v", len(records), len(ids), twice, counts)
	if counts["untitled"] != 2 { // CVE-2018-5407 and CVE-2026-53689 have an empty <Title>
		t.Errorf("%d records without title; want 2", counts["untitled"])
	}
	// 10,322 <Vulnerability> elements in the 43 documents, one pair of them in one document.
	if len(records) != 10321 || len(ids) != 10318 {
		t.Errorf("records, identifiers = %d, %d; want 10321, 10318", len(records), len(ids))
	}
}

// The same identifier in two documents must say the same, or the later import would
// lose what the earlier said (see the package comment).
func checkRepeated(t *testing.T, records []vuln.Record) {
	seen := map[string]vuln.Record{}
	for _, r := range records {
		old, ok := seen[r.ID]
		seen[r.ID] = r
		if !ok {
			continue
		}
		if len(old.Products) != len(r.Products) || !old.Modified.Equal(r.Modified) || old.Texts[0] != r.Texts[0] {
			t.Errorf("%s differs between two documents", r.ID)
		}
	}
}

// Windows Server 2019 by vendor impact. The rule: CVE identifiers; the product named
// "Windows Server 2019" or its Server Core installation Known Affected; earliest
// revision in 2019; the impact Microsoft gives for that product. The derived file
// counts 443 and lacks CVE-2019-1454, which the document has.
func checkServer2019(t *testing.T, records []vuln.Record) {
	derived := derivedReleases(t)
	got := map[string]int{}
	checked := 0
	for _, r := range records {
		if want := derived[r.ID]; want != "" {
			checked++
			if day := r.Published.Format("2006-01-02"); day != want {
				t.Errorf("%s: published %s, the derived file says %s", r.ID, day, want)
			}
		}
		if word := server2019Impact(t, r); word != "" && r.Published.Year() == 2019 {
			got[word]++
			if _, ok := derived[r.ID]; !ok && r.ID != "CVE-2019-1454" {
				t.Errorf("%s is not in the derived file", r.ID)
			}
		}
	}
	want := map[string]int{"Elevation of Privilege": 147, "Remote Code Execution": 138, "Information Disclosure": 98,
		"Denial of Service": 40, "Security Feature Bypass": 16, "Tampering": 3, "Spoofing": 2} // 444
	t.Logf("first release dates agreeing with the derived file: %d of %d; impacts %v", checked, len(derived), got)
	if !maps.Equal(got, want) {
		t.Errorf("impacts = %v; want %v", got, want)
	}
	if checked < 600 {
		t.Errorf("only %d release dates compared", checked)
	}
}

// server2019Impact is the impact of a CVE on Windows Server 2019 itself; empty where
// it is not affected.
func server2019Impact(t *testing.T, r vuln.Record) string {
	if !vuln.IsCVE(r.ID) {
		return ""
	}
	var ids []string
	for _, p := range r.Products {
		if (p.Name == "Windows Server 2019" || strings.EqualFold(p.Name, "Windows Server 2019 (Server Core installation)")) && p.Status == "Known Affected" {
			if p.Component {
				t.Errorf("%s: %s counts as a component", r.ID, p.Name)
			}
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return ""
	}
	for _, i := range r.Impacts {
		if len(i.Products) == 0 || slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(i.Products, id) }) {
			return i.Word
		}
	}
	return "(none)"
}

// derivedReleases maps CVE ids to the derived file's first release dates ("" where it has none).
func derivedReleases(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(realdata.Path(t, "windows-server/windows-server-2019-published-2019.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if cells := strings.Split(lines.Text(), "\t"); vuln.IsCVE(cells[0]) && len(cells) > 2 {
			out[cells[0]] = cells[2]
		}
	}
	if err := lines.Err(); err != nil || len(out) == 0 {
		t.Fatalf("derived file: %d rows, %v", len(out), err)
	}
	return out
}
