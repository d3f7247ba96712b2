package sample_test

import (
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
)

// osvRecord is what these tests read of an OSV record.
type osvRecord struct {
	ID       string
	Related  []string
	Affected []struct {
		Package struct{ Ecosystem, Name string }
		Ranges  []struct {
			Events []struct{ Introduced, Fixed string }
		}
	}
}

func (r osvRecord) fixed(ecosystem, name string) (versions []string, listed bool) {
	for _, a := range r.Affected {
		if a.Package.Ecosystem != ecosystem || a.Package.Name != name {
			continue
		}
		listed = true
		for _, x := range a.Ranges {
			for _, e := range x.Events {
				if e.Fixed != "" {
					versions = append(versions, e.Fixed)
				}
			}
		}
	}
	return versions, listed
}

// fixedSince are Debian fixes newer than the snapshot of February 2025, as the
// changelogs of the packages state them.
var fixedSince = map[string]string{
	"CVE-2022-49043 libxml2": "2.9.14+dfsg-1.3~deb12u2",
	"CVE-2023-31484 perl":    "5.36.0-7+deb12u3",
	"CVE-2023-44487 nginx":   "1.22.1-9+deb12u11",
	"CVE-2023-4641 shadow":   "1:4.13+dfsg1-1+deb12u1",
	"CVE-2023-52425 expat":   "2.5.0-1+deb12u2",
	"CVE-2024-13176 openssl": "3.0.16-1~deb12u1",
	"CVE-2024-21096 mariadb": "1:10.11.9-0+deb12u1",
	"CVE-2024-25062 libxml2": "2.9.14+dfsg-1.3~deb12u2",
	"CVE-2024-38428 wget":    "1.21.3-1+deb12u1",
	"CVE-2024-7347 nginx":    "1.22.1-9+deb12u2",
	"CVE-2024-8508 unbound":  "1.17.1-2+deb12u3",
	"CVE-2025-0395 glibc":    "2.36-9+deb12u10",
}

func TestDebianFixesAgreeWithDebian(t *testing.T) {
	real := members(t, "osv/Debian/all.zip", func(name string) bool { return strings.HasPrefix(name, "CVE-") })
	checked, since := 0, map[string]bool{}
	for _, r := range recordsOf(t) {
		entry, known := real[r.ID]
		for _, a := range r.Affected {
			if !known || !strings.HasPrefix(a.Ecosystem, "Debian:") || a.Status != "" {
				continue
			}
			ours := fixedVersions(a)
			theirs, listed := decode(t, entry).fixed(a.Ecosystem, a.Package)
			if key := r.ID + " " + a.Package; len(theirs) == 0 && len(ours) == 1 && a.Ecosystem == "Debian:12" && fixedSince[key] == ours[0] {
				since[key] = true
				continue
			}
			checked++
			if !listed || !slices.Equal(ours, theirs) {
				t.Errorf("%s: %s %s fixed in %v here, in %v there (listed: %v)", r.ID, a.Ecosystem, a.Package, ours, theirs, listed)
			}
		}
	}
	if checked < 150 {
		t.Errorf("only %d Debian statements could be checked", checked)
	}
	for key := range fixedSince {
		if !since[key] {
			t.Errorf("fixedSince[%q] excuses nothing: take it out", key)
		}
	}
}

func TestAlmaLinuxFixesAgreeWithAlmaLinux(t *testing.T) {
	byCVE := map[string][]osvRecord{}
	for _, entry := range members(t, "osv/AlmaLinux/all.zip", func(string) bool { return true }) {
		r := decode(t, entry)
		for _, id := range r.Related {
			byCVE[id] = append(byCVE[id], r)
		}
	}
	checked := 0
	for _, r := range recordsOf(t) {
		for _, a := range r.Affected {
			if !strings.HasPrefix(a.Ecosystem, "AlmaLinux:") {
				continue
			}
			checked++
			ours := fixedVersions(a)
			if len(ours) != 1 || !slices.ContainsFunc(byCVE[r.ID], func(adv osvRecord) bool {
				theirs, _ := adv.fixed(a.Ecosystem, a.Package)
				return slices.Contains(theirs, ours[0])
			}) {
				t.Errorf("%s: no advisory fixes %s %s in %v", r.ID, a.Ecosystem, a.Package, ours)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d AlmaLinux statements could be checked", checked)
	}
}

func TestKEVDatesAgreeWithTheCatalogue(t *testing.T) {
	f, err := os.Open(realdata.Path(t, "kev/known_exploited_vulnerabilities.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var catalogue struct {
		DateReleased    string
		Vulnerabilities []struct{ CveID, DateAdded, DueDate, KnownRansomwareCampaignUse string }
	}
	if err := json.NewDecoder(z).Decode(&catalogue); err != nil {
		t.Fatal(err)
	}
	theirs := map[string]string{}
	for _, v := range catalogue.Vulnerabilities {
		theirs[v.CveID] = v.DateAdded + " " + v.DueDate + " " + v.KnownRansomwareCampaignUse
	}
	for _, r := range recordsOf(t) {
		ours := ""
		if k := r.KEV; k != nil {
			ours = k.Added.Format("2006-01-02") + " " + k.Due.Format("2006-01-02") + " " + map[bool]string{true: "Known", false: "Unknown"}[k.Ransomware]
			if k.Added.Format("2006-01-02") > catalogue.DateReleased[:10] {
				continue // added after the snapshot
			}
		}
		if ours != theirs[r.ID] {
			t.Errorf("%s: KEV says %q here, %q there", r.ID, ours, theirs[r.ID])
		}
	}
}

func members(t *testing.T, name string, want func(string) bool) map[string]*zip.File {
	t.Helper()
	z, err := zip.OpenReader(realdata.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { z.Close() })
	out := map[string]*zip.File{}
	for _, f := range z.File {
		if id, ok := strings.CutSuffix(f.Name, ".json"); ok && want(id) {
			out[id] = f
		}
	}
	return out
}

func decode(t *testing.T, f *zip.File) osvRecord {
	t.Helper()
	rc, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var r osvRecord
	if err := json.NewDecoder(rc).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}
