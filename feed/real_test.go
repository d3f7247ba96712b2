package feed

import (
	"context"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kannuki/kannuki/feed/osv"
	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// realFile is what is known of one file of the real data.
type realFile struct {
	format  Format
	members int
	records int
	left    map[string]int
}

var realFiles = map[string]realFile{
	"osv/Debian/all.zip":                                {OSV, 43945, 43945, map[string]int{osv.NoPackage: 10921}},
	"osv/AlmaLinux/all.zip":                             {OSV, 5637, 5637, nil},
	"osv/Rocky/all.zip":                                 {OSV, 1491, 1491, nil},
	"nvd/nvdcve-1.1-2017.json.gz":                       {NVD11, 1, 16509, nil},
	"nvd/nvdcve-1.1-2018.json.gz":                       {NVD11, 1, 16591, nil},
	"nvd/nvdcve-1.1-2019.json.gz":                       {NVD11, 1, 14480, nil},
	"nvd/nvdcve-1.1-2025.json.gz":                       {NVD11, 1, 12137, nil},
	"nvd/nvdcve-1.1-recent.json.gz":                     {NVD11, 1, 1182, nil},
	"kev/known_exploited_vulnerabilities.json.gz":       {KEVJSON, 1, 1404, nil},
	"kev/known_exploited_vulnerabilities.csv.gz":        {KEVCSV, 1, 1404, nil},
	"epss/epss_scores-2021-08-31.csv.gz":                {EPSSCSV, 1, 72272, nil},
	"redhat/redhat-securitydata-cve-2024-10-10.tar.zst": {RedHat, 34222, 34222, map[string]int{"text": 1}},
	"vulnrichment/vulnrichment-2024-10-24.tar.zst":      {CVE5, 44130, 44130, map[string]int{"text": 2}},
}

func TestWholeFolderOfRealDataIsImported(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: reads 600 MB, some 15 s")
	}
	dir := realdata.Dir(t)
	m := newMemory()
	m.countOnly = true
	assessed, exploited := 0, 0
	m.onRecord = func(r vuln.Record) error {
		if r.Source == "cve5" && r.SSVC != nil {
			assessed++
		}
		if r.Source == "cve5" && r.KEV != nil {
			exploited++
		}
		return nil
	}
	outs, err := Import(context.Background(), []string{dir}, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, out := range outs {
		name, _ := filepath.Rel(dir, out.File.Path)
		t.Logf("%s: %s, %d records, %d rejected, %v, left %v", name, out.Status, out.Records, out.Rejected, out.Formats, out.Left)
		if out.Status == Failed {
			t.Errorf("%s failed: %s", name, out.Err)
		}
		if want, ok := realFiles[name]; ok {
			seen++
			checkReal(t, name, out, want)
		}
	}
	if seen != len(realFiles) {
		t.Errorf("%d of %d known files seen", seen, len(realFiles))
	}
	// The one record with SSVC values that CISA gave as a CNA is not among them.
	if assessed < 44026 || exploited < 224 {
		t.Errorf("%d CVE records with CISA's SSVC values, %d with KEV; the Vulnrichment archive alone has 44,026 and 224", assessed, exploited)
	}
}

func checkReal(t *testing.T, name string, out Outcome, want realFile) {
	t.Helper()
	if out.Status != Imported || out.Records != want.records || out.Rejected != 0 || out.Formats[want.format] != want.members {
		t.Errorf("%s: %+v, want %d records from %d members of %s", name, out, want.records, want.members, want.format)
	}
	if len(out.Left) != len(want.left) {
		t.Errorf("%s: left %v, want %v", name, out.Left, want.left)
	}
	for why, n := range want.left {
		if out.Left[why] != n {
			t.Errorf("%s: left %q %d times, want %d", name, why, out.Left[why], n)
		}
	}
}

// nowhere is a sink that keeps nothing: what remains is reading and decoding.
type nowhere struct{ records int }

func (n *nowhere) Begin(context.Context, File) (Batch, error) { return n, nil }
func (n *nowhere) Record(vuln.Record) error                   { n.records++; return nil }
func (n *nowhere) EPSS(vuln.EPSS) error                       { n.records++; return nil }
func (n *nowhere) Reject(Reject) error                        { return nil }
func (n *nowhere) Commit() error                              { return nil }
func (n *nowhere) Rollback() error                            { return nil }

func benchmarkDecode(b *testing.B, name string) {
	path := realdata.Path(b, name)
	b.ReportAllocs()
	for b.Loop() {
		peak, stop := watchHeap()
		sink := &nowhere{}
		start := time.Now()
		if _, err := Import(context.Background(), []string{path}, sink, Options{}); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		stop()
		b.ReportMetric(float64(sink.records)/took.Seconds(), "records/s")
		b.ReportMetric(float64(peak.Load())/(1<<20), "peak-MiB")
	}
}

// watchHeap looks for the most memory that was in use at one time.
func watchHeap() (*atomic.Uint64, func()) {
	var peak atomic.Uint64
	done := make(chan struct{})
	go func() {
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			peak.Store(max(peak.Load(), s.HeapInuse+s.StackInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return &peak, func() { close(done) }
}

func BenchmarkDecodeDebian(b *testing.B)  { benchmarkDecode(b, "osv/Debian/all.zip") }
func BenchmarkDecodeNVD2019(b *testing.B) { benchmarkDecode(b, "nvd/nvdcve-1.1-2019.json.gz") }
func BenchmarkDecodeVulnrichment(b *testing.B) {
	benchmarkDecode(b, "vulnrichment/vulnrichment-2024-10-24.tar.zst")
}
func BenchmarkDecodeRedHat(b *testing.B) {
	benchmarkDecode(b, "redhat/redhat-securitydata-cve-2024-10-10.tar.zst")
}
