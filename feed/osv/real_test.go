package osv

import (
	"archive/zip"
	"encoding/json"
	"testing"

	"github.com/google/osv-scalibr/semantic"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// The package drops listed versions where a range exists. That loses nothing as long
// as every version listed lies inside its ranges.
func TestDebianListsNoVersionOutsideOfItsRanges(t *testing.T) {
	z, err := zip.OpenReader(realdata.Path(t, "osv/Debian/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	listed, outside := 0, 0
	for i, f := range z.File {
		if i%10 != 0 {
			continue // all 1,795,512 versions of all releases were looked at once; this keeps watch
		}
		for _, a := range affectedOf(t, f) {
			if a.Package == nil || a.Package.Ecosystem != "Debian:12" {
				continue
			}
			var versions []string
			if len(a.Versions) > 0 {
				if err := json.Unmarshal(a.Versions, &versions); err != nil {
					t.Fatal(err)
				}
			}
			words, err := a.words(func(string, int) {})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range versions {
				if listed++; !contains(t, words.Ranges[0].Events, v) {
					outside++
					t.Logf("%s: %s %s lies outside %v", f.Name, words.Package, v, words.Ranges)
				}
			}
		}
	}
	if outside > 0 || listed == 0 {
		t.Errorf("%d of %d versions listed for Debian 12 lie outside their ranges", outside, listed)
	}
	t.Logf("%d versions listed for Debian 12, all inside their ranges", listed)
}

func affectedOf(t *testing.T, f *zip.File) []affected {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var d document
	if err := json.NewDecoder(r).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d.Affected
}

// contains evaluates one range of introduced and fixed events, which is all that
// Debian writes.
func contains(t *testing.T, events []vuln.Event, version string) bool {
	t.Helper()
	v := semantic.MustParse(version, "Debian")
	in := false
	for _, e := range events {
		switch {
		case e.Introduced == "0":
			in = true
		case e.Introduced != "":
			in = in || compare(t, v, e.Introduced) >= 0
		case e.Fixed != "" && compare(t, v, e.Fixed) >= 0:
			in = false
		}
	}
	return in
}

func compare(t *testing.T, v semantic.Version, other string) int {
	t.Helper()
	n, err := v.CompareStr(other)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
