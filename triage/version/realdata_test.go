package version

import (
	"archive/zip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

type osvRecord struct {
	ID       string `json:"id"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
		} `json:"package"`
		Ranges []struct {
			Type   string       `json:"type"`
			Events []vuln.Event `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

// TestPublishedRangesCompile: of what distributions publish, next to nothing may be
// lost, and every listed version must lie in the ranges listed beside it.
func TestPublishedRangesCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 50,000 records")
	}
	compiled, refused, listed, outside := 0, 0, 0, 0
	for _, name := range []string{"osv/Debian/all.zip", "osv/AlmaLinux/all.zip", "osv/Rocky/all.zip"} {
		archive, err := zip.OpenReader(realdata.Path(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.File {
			var r osvRecord
			in, err := f.Open()
			if err == nil {
				err = json.NewDecoder(in).Decode(&r)
			}
			if err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			in.Close()
			for _, a := range r.Affected {
				order, ok := OrderOf(a.Package.Ecosystem)
				if !ok {
					continue
				}
				var ranges []vuln.Range
				for _, x := range a.Ranges {
					ranges = append(ranges, vuln.Range{Kind: x.Type, Events: x.Events})
				}
				s, err := Compile(order, ranges, nil)
				if err != nil {
					if refused++; refused <= 10 {
						t.Logf("%s %s: %v", r.ID, a.Package.Ecosystem, err)
					}
					continue
				}
				compiled++
				if len(s.intervals) == 0 || !strings.HasPrefix(a.Package.Ecosystem, "Debian") {
					continue
				}
				for _, v := range a.Versions {
					listed++
					if _, in, err := s.Contains(v); err != nil || !in {
						if outside++; outside <= 10 {
							t.Logf("%s %s: listed %s, ranges %v: %v", r.ID, a.Package.Ecosystem, v, a.Ranges, err)
						}
					}
				}
			}
		}
		archive.Close()
	}
	t.Logf("%d statements compiled, %d refused; %d listed versions, %d outside their ranges", compiled, refused, listed, outside)
	if compiled < 100_000 || refused*1000 > compiled {
		t.Errorf("%d compiled, %d refused", compiled, refused)
	}
	if outside*1000 > listed {
		t.Errorf("%d of %d listed versions are outside", outside, listed)
	}
}
