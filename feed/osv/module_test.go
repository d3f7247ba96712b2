package osv

import (
	"archive/zip"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

func TestModuleStreamsAreReadFromTheTitleWhereTheFixIsModular(t *testing.T) {
	for _, c := range []struct{ title, fixed, purl, want string }{
		{"Important: lantern:18 security update", "1:18.2-1.module_el8.9.0+1+abc", "", "lantern:18"},
		{"Important: lamp:rhel and lamp-devel:rhel security, bug fix, and enhancement update", "2-1.module+el8", "", "lamp:rhel lamp-devel:rhel"},
		{"Moderate: wick:DL1, lamp:2.066 and wick:DL1 update", "2-1.module+el8", "", "wick:DL1 lamp:2.066"},
		{"Important: lamp:2.4/mod_wick security update", "2-1.module+el8", "", "lamp:2.4"},
		{"Low: 389-lamp:1.4 security update", "2-1.module+el8", "", "389-lamp:1.4"},
		{"ALSA-2031:1: lamp:8.0 security update (Important)", "2-1.module+el8", "", "lamp:8.0"},
		{"ALSA-2031:1 lamp security update", "2-1.module+el8", "", ""},
		{"Important: lamp security update", "2-1.module+el8", "", ""},
		{"Important: lamp:18 security update", "2-1.el8", "", ""},
		{"", "2-1.module+el8", "", ""},
		{"Important: lamp:18 security update", "2-1.module+el8", "pkg:rpm/x/lamp?rpmmod=lamp:20", "lamp:20"},
	} {
		r := one(t, fmt.Sprintf(`{"id": "ALSA-2031:1", "modified": "2031-01-01T00:00:00Z", "summary": %q, "affected": [{"package": {"ecosystem": "AlmaLinux:8",
			"name": "lamp", "purl": %q}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": %q}]}]}]}`, c.title, c.purl, c.fixed))
		if got := r.Affected[0].Module; got != c.want {
			t.Errorf("%q, fixed %s: module %q, want %q", c.title, c.fixed, got, c.want)
		}
	}
}

// TestRealModularRecordsNameTheirStreams: nearly all do; those that do not are left to
// triage, which compares versions of one beginning.
func TestRealModularRecordsNameTheirStreams(t *testing.T) {
	for _, c := range []struct {
		name          string
		modular, most int // records with a modular fix; of these at most so many without a stream
	}{{"AlmaLinux", 723, 15}, {"Rocky", 358, 5}} {
		archive, err := zip.OpenReader(realdata.Path(t, "osv/"+c.name+"/all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		records, without := 0, 0
		for _, f := range archive.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(in)
			in.Close()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), ".module") {
				continue
			}
			err = Decode(strings.NewReader(string(text)), func(r vuln.Record) error {
				named, fixed := false, false
				for _, a := range r.Affected {
					named = named || a.Module != ""
					fixed = fixed || modular(a.Ranges)
					if a.Module != "" && !modular(a.Ranges) {
						t.Errorf("%s: %s is in %q and its fix is not modular", r.ID, a.Package, a.Module)
					}
				}
				if fixed {
					records++
				}
				if fixed && !named {
					without++
				}
				return nil
			}, func(_ int64, id, why string) error { return fmt.Errorf("%s: %s", id, why) })
			if err != nil {
				t.Error(err)
			}
		}
		t.Logf("%s: %d modular records, %d without a stream", c.name, records, without)
		if records != c.modular || without > c.most {
			t.Errorf("%s: %d modular records, %d without a stream; want %d and at most %d", c.name, records, without, c.modular, c.most)
		}
	}
}
