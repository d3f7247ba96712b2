package cli_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/cli"
	"github.com/kannuki/kannuki/internal/realdata"
)

// outcome is what feed import --json says of one file.
type outcome struct {
	File     struct{ Path string }
	Status   string
	Records  int
	Rejected int
	Left     map[string]int
	Error    string
}

func importAll(t *testing.T, dir, db string) (list []outcome) {
	t.Helper()
	start := time.Now()
	out, code := kannuki(t, "feed", "import", dir, "--json", "--db", db)
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	if code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
	t.Logf("%d files in %.1f s", len(list), time.Since(start).Seconds())
	return list
}

func TestWholeFolderOfRealDataIsImportedOnceAndWhatIsLeftIsNamed(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED in -short: importing all real data takes a minute or two")
	}
	dir := realdata.Dir(t)
	db := filepath.Join(t.TempDir(), "k.db")
	status := map[string]outcome{}
	for _, o := range importAll(t, dir, db) {
		rel, err := filepath.Rel(dir, o.File.Path)
		if err != nil {
			t.Fatal(err)
		}
		status[filepath.ToSlash(rel)] = o
		switch {
		case o.Status == "failed":
			t.Errorf("%s failed: %s", rel, o.Error)
		case o.Status == "left" && len(o.Left) == 0:
			t.Errorf("%s was left alone without a reason", rel)
		}
	}
	for _, want := range []struct {
		path    string
		status  string
		records int // at least
	}{
		{"nvd/nvdcve-1.1-2019.json.gz", "imported", 14480}, {"osv/Debian/all.zip", "imported", 43000},
		{"osv/AlmaLinux/all.zip", "imported", 5637}, {"osv/Rocky/all.zip", "imported", 1491},
		{"epss/epss_scores-2021-08-31.csv.gz", "imported", 72272}, {"INDEX.md", "left", 0},
		{"windows-server/windows-server-2019-published-2019.tsv", "left", 0},
	} {
		if o := status[want.path]; o.Status != want.status || o.Records < want.records {
			t.Errorf("%s: %s with %d records, want %s with %d or more", want.path, o.Status, o.Records, want.status, want.records)
		}
	}
	before, _ := kannuki(t, "feed", "status", "--json", "--db", db)
	for _, o := range importAll(t, dir, db) {
		if o.Status != "unchanged" && o.Status != "left" {
			t.Errorf("again, %s: %s with %d records; want it unchanged", o.File.Path, o.Status, o.Records)
		}
	}
	if after, _ := kannuki(t, "feed", "status", "--json", "--db", db); after != before {
		t.Errorf("importing again changed what is held:\n%s\nwas\n%s", after, before)
	}
	for _, source := range []string{"nvd", "kev", "epss", "cve5", "redhat", "msrc", "jvn", "osv/debian", "osv/almalinux", "osv/rocky"} {
		if !strings.Contains(before, `"source": "`+source+`"`) {
			t.Errorf("no source %s in the status:\n%s", source, before)
		}
	}
	// A vulnerability that many sources know is shown as one.
	page, code := kannuki(t, "show", "CVE-2024-6387", "--lang", "ja", "--db", db)
	if code != cli.ExitOK || len(wideLines(page)) > 0 || !strings.Contains(page, "Debian:12") || !strings.Contains(page, "AlmaLinux:9") {
		t.Errorf("exit code %d; lines too wide %q in\n%s", code, wideLines(page), page)
	}
}
