package feed

import (
	"context"
	"testing"

	"github.com/kannuki/kannuki/feed/osv"
	"github.com/kannuki/kannuki/internal/realdata"
)

func importOne(t testing.TB, m *memory, name string) Outcome {
	t.Helper()
	outs, err := Import(context.Background(), []string{realdata.Path(t, name)}, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(outs) != 1 {
		t.Fatalf("%d outcomes for one file", len(outs))
	}
	return outs[0]
}

func TestRealFilesGiveEveryRecordTheyHold(t *testing.T) {
	for _, c := range []struct {
		name    string
		format  Format
		members int
		records int
		left    map[string]int
	}{
		{"osv/Debian/all.zip", OSV, 43945, 43945, map[string]int{osv.NoPackage: 10921}},
		{"osv/AlmaLinux/all.zip", OSV, 5637, 5637, nil},
		{"osv/Rocky/all.zip", OSV, 1491, 1491, nil},
		{"nvd/nvdcve-1.1-2017.json.gz", NVD11, 1, 16509, nil},
		{"nvd/nvdcve-1.1-2018.json.gz", NVD11, 1, 16591, nil},
		{"nvd/nvdcve-1.1-2019.json.gz", NVD11, 1, 14480, nil},
		{"nvd/nvdcve-1.1-2025.json.gz", NVD11, 1, 12137, nil},
		{"nvd/nvdcve-1.1-recent.json.gz", NVD11, 1, 1182, nil},
		{"kev/known_exploited_vulnerabilities.json.gz", KEVJSON, 1, 1404, nil},
		{"kev/known_exploited_vulnerabilities.csv.gz", KEVCSV, 1, 1404, nil},
		{"redhat/redhat-securitydata-cve-2024-10-10.tar.zst", RedHat, 34222, 34222, map[string]int{"text": 1}},
		{"vulnrichment/vulnrichment-2024-10-24.tar.zst", CVE5, 44130, 44130, map[string]int{"text": 2}},
		{"epss/epss_scores-2021-08-31.csv.gz", EPSSCSV, 1, 72272, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory()
			m.countOnly = true
			out := importOne(t, m, c.name)
			if out.Status != Imported || out.Records != c.records || out.Rejected != 0 || out.Formats[c.format] != c.members {
				t.Errorf("got %+v, want %d records from %d members of %s", out, c.records, c.members, c.format)
			}
			if len(out.Left) != len(c.left) {
				t.Errorf("left %v, want %v", out.Left, c.left)
			}
			for why, n := range c.left {
				if out.Left[why] != n {
					t.Errorf("left %q %d times, want %d", why, out.Left[why], n)
				}
			}
		})
	}
}
