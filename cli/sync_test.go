package cli_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/cli"
)

const kevFile = `{"title":"CISA Catalog of Known Exploited Vulnerabilities","catalogVersion":"2026.01.01","dateReleased":"2026-01-01T00:00:00Z","count":1,
"vulnerabilities":[{"cveID":"CVE-2021-44228","vendorProject":"Apache","product":"Log4j2","vulnerabilityName":"Log4Shell","dateAdded":"2021-12-10",
"shortDescription":"Own words.","requiredAction":"Update.","dueDate":"2021-12-24","knownRansomwareCampaignUse":"Known","notes":"","cwes":["CWE-502"]}]}`

// mirror serves the KEV file and counts what was asked of it.
func mirror(t *testing.T) (address string, asked *[]string) {
	asked = &[]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `"one"`)
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		if !strings.HasSuffix(r.URL.Path, "/known_exploited_vulnerabilities.json") {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(kevFile))
	}))
	t.Cleanup(server.Close)
	return server.URL + "/feeds", asked
}

func TestSyncFetchesImportsAndAsksConditionallyTheNextTime(t *testing.T) {
	address, asked := mirror(t)
	dir := t.TempDir()
	args := []string{"feed", "sync", "kev", "--mirror", "kev=" + address, "--cache", filepath.Join(dir, "cache"), "--db", filepath.Join(dir, "k.db")}
	if out, code := kannuki(t, args...); code != cli.ExitOK || !strings.Contains(out, "kev") {
		t.Fatalf("first sync: exit code %d\n%s", code, out)
	}
	out, code := kannuki(t, append(args, "--json")...)
	if code != cli.ExitOK {
		t.Fatalf("second sync: exit code %d\n%s", code, out)
	}
	var second struct {
		Sync   []struct{ Status string }
		Import []struct{ Status string }
	}
	if err := json.Unmarshal([]byte(out), &second); err != nil {
		t.Fatal(err)
	}
	if len(*asked) != 2 || (*asked)[1] != `"one"` || second.Sync[0].Status != "unchanged" || second.Import[0].Status != "unchanged" {
		t.Errorf("asked %q, second run %+v; want a conditional request and nothing new", *asked, second)
	}
	out, _ = kannuki(t, "show", "CVE-2021-44228", "--db", filepath.Join(dir, "k.db"))
	if !strings.Contains(out, "Log4Shell") {
		t.Errorf("what was synced is not shown:\n%s", out)
	}
}

func TestSyncFailureKeepsWhatWasThereAndSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	gone := httptest.NewServer(http.NotFoundHandler())
	defer gone.Close()
	out, code := kannuki(t, "feed", "sync", "kev", "--mirror", "kev="+gone.URL, "--cache", dir, "--db", filepath.Join(dir, "k.db"))
	if code != cli.ExitError || !strings.Contains(out, "404") {
		t.Errorf("exit code %d, want 1 and the status\n%s", code, out)
	}
}
