package feed

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// files serves a changing set of files by path and remembers what was asked for.
type files struct {
	content map[string]string
	asked   []string
}

func (f *files) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	f.asked = append(f.asked, path)
	content, ok := f.content[path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	serveFile(w, r, `"`+sum(content)+`"`, content)
}

// take returns what was asked for since the last call.
func (f *files) take() []string {
	asked := f.asked
	f.asked = nil
	return asked
}

func TestJVNFilesAreCheckedAgainstTheirChecksums(t *testing.T) {
	list := func(y, latest string) string {
		return fmt.Sprintf(`[{"url":"u","filename":"jvndb_2029.rdf","sha256":%q,"size":%d},
			{"filename":"jvndb.rdf","sha256":%q,"size":%d}, {"filename":"myjvn_product_202911.rdf","sha256":"x","size":1}, {"filename":"../jvndb_2028.rdf"}]`,
			strings.ToUpper(sum(y)), len(y), sum(latest), len(latest))
	}
	f := &files{content: map[string]string{"feed/checksum.txt": list("year", "new"), "rss/years/jvndb_2029.rdf": "year", "rss/jvndb.rdf": "new"}}
	p := newPublisher(t, "jvn", f.serve)
	p.want(p.sync("jvn"), Updated, map[string]string{"jvndb_2029.rdf": "year", "jvndb_latest.rdf": "new"})
	f.take()
	p.want(p.sync("jvn"), Unchanged, map[string]string{"jvndb_2029.rdf": "year", "jvndb_latest.rdf": "new"})
	if asked := f.take(); !slices.Equal(asked, []string{"feed/checksum.txt"}) {
		t.Errorf("asked for %v; want the checksums only", asked)
	}
	// What comes is not what the checksum says: of the same length, so only the sum can tell.
	f.content["feed/checksum.txt"] = list("YEAR", "new")
	f.content["rss/years/jvndb_2029.rdf"] = "yeah"
	out := p.sync("jvn")
	p.want(out, Failed, map[string]string{"jvndb_2029.rdf": "year", "jvndb_latest.rdf": "new"})
	if !strings.Contains(out.Err, sum("YEAR")) && !strings.Contains(out.Err, strings.ToUpper(sum("YEAR"))) {
		t.Errorf("error %q; want both checksums", out.Err)
	}
	f.content["rss/years/jvndb_2029.rdf"] = "YEAR"
	p.want(p.sync("jvn"), Updated, map[string]string{"jvndb_2029.rdf": "YEAR", "jvndb_latest.rdf": "new"})
}

func TestASizeThePublisherNamesIsHeldAgainstTheFile(t *testing.T) {
	f := &files{content: map[string]string{
		"feed/checksum.txt":        fmt.Sprintf(`[{"filename":"jvndb_2029.rdf","sha256":%q,"size":5}]`, sum("year")),
		"rss/years/jvndb_2029.rdf": "year",
	}}
	p := newPublisher(t, "jvn", f.serve)
	out := p.sync("jvn")
	p.want(out, Failed, map[string]string{})
	if !strings.Contains(out.Err, "4 bytes came, 5 were announced") {
		t.Errorf("error %q; want both sizes", out.Err)
	}
}

func TestTheStoragesOwnHashIsHeldAgainstTheFile(t *testing.T) {
	hash := "crc32c=AAAAAA==,md5=XrY7u+Ae7tCTyyK7j1rNww==" // md5 of "hello world"
	p := newPublisher(t, "osv/debian", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Goog-Hash", hash)
		serveFile(w, r, `"1"`, "hello world")
	})
	p.want(p.sync("osv/debian"), Updated, map[string]string{"all.zip": "hello world"})
	if filepath.Base(filepath.Dir(p.sync("osv/debian").Files[0])) != "debian" {
		t.Error("the cache folder is not osv/debian")
	}
	p.dir, hash = t.TempDir(), "md5=AAAAAAAAAAAAAAAAAAAAAA=="
	out := p.sync("osv/debian")
	p.want(out, Failed, map[string]string{})
	if !strings.Contains(out.Err, "MD5") {
		t.Errorf("error %q", out.Err)
	}
}

func gz(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestNVDYearsAreFetchedWhenTheirMetaChanges(t *testing.T) {
	f := &files{content: map[string]string{}}
	put := func(part, content string) {
		packed := gz(t, content)
		f.content["nvdcve-2.0-"+part+".json.gz"] = packed
		f.content["nvdcve-2.0-"+part+".meta"] = fmt.Sprintf("lastModifiedDate:2030-01-01T00:00:00-05:00\r\nsize:%d\r\nzipSize:1\r\ngzSize:%d\r\nsha256:%s\r\n",
			len(content), len(packed), strings.ToUpper(sum(content)))
	}
	want := map[string]string{}
	for year := 2002; year < 2030; year++ { // that of the current year is not there yet
		put(strconv.Itoa(year), fmt.Sprintf("year %d", year))
		want[fmt.Sprintf("nvdcve-2.0-%d.json.gz", year)] = f.content[fmt.Sprintf("nvdcve-2.0-%d.json.gz", year)]
	}
	put("modified", "m1")
	want["nvdcve-2.0-modified.json.gz"] = f.content["nvdcve-2.0-modified.json.gz"]
	p := newPublisher(t, "nvd", f.serve)
	out := p.sync("nvd")
	p.want(out, Updated, want)
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "2030") {
		t.Errorf("notes %q; want that 2030 is not published yet", out.Notes)
	}
	if last := filepath.Base(out.Files[len(out.Files)-1]); last != "nvdcve-2.0-modified.json.gz" {
		t.Errorf("last file is %s; changes must be imported after the years", last)
	}
	put("modified", "m2")
	want["nvdcve-2.0-modified.json.gz"] = f.content["nvdcve-2.0-modified.json.gz"]
	out = p.sync("nvd")
	p.want(out, Updated, want)
	if len(out.Changed) != 1 {
		t.Errorf("changed %v; want one file", out.Changed)
	}
	put("2029", "year 2029, again")
	f.content["nvdcve-2.0-2029.json.gz"] = gz(t, "year 2029, forge") // as long, packed too, but another
	out = p.sync("nvd")
	p.want(out, Failed, want)
	if !strings.Contains(out.Err, "checksum") && !strings.Contains(out.Err, "announced") {
		t.Errorf("error %q", out.Err)
	}
}

// nvdServer answers like the API: pages of what was modified in the window.
type nvdServer struct {
	total   int
	queries []string
	keys    []string
	at      []time.Time
	clock   *fakeTime
	cheat   func(start int) int
}

func (n *nvdServer) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	n.queries = append(n.queries, q.Get("startIndex")+" "+q.Get("lastModStartDate")+" "+q.Get("lastModEndDate"))
	n.keys = append(n.keys, r.Header.Get("apiKey"))
	n.at = append(n.at, n.clock.t)
	start, _ := strconv.Atoi(q.Get("startIndex"))
	per, _ := strconv.Atoi(q.Get("resultsPerPage"))
	count := max(0, min(per, n.total-start))
	if n.cheat != nil {
		start = n.cheat(start)
	}
	fmt.Fprintf(w, `{"resultsPerPage":%d,"startIndex":%d,"totalResults":%d,"vulnerabilities":[%s]}`,
		count, start, n.total, strings.TrimSuffix(strings.Repeat("{},", count), ","))
}

func newNVD(t *testing.T, total int) (*publisher, *nvdServer) {
	n := &nvdServer{total: total}
	p := newPublisher(t, "nvd-api", n.serve)
	n.clock = p.time
	return p, n
}

func TestNVDPagesReadEverythingThenWindowsOfChanges(t *testing.T) {
	p, n := newNVD(t, 4500)
	out := p.sync("nvd-api")
	if out.Status != Updated || len(out.Files) != 3 || !slices.Equal(n.queries, []string{"0  ", "2000  ", "4000  "}) {
		t.Fatalf("%s, files %v, queries %q; want three pages", out.Err, out.Files, n.queries)
	}
	n.queries, n.total = nil, 1
	p.time.t = p.time.t.AddDate(0, 0, 200) // more than one window ago
	out = p.sync("nvd-api")
	want := []string{
		"0 2030-06-15T12:20:00.000+00:00 2030-10-13T12:20:00.000+00:00",
		"0 2030-10-13T12:10:00.000+00:00 2031-01-01T12:30:00.000+00:00",
	}
	if out.Status != Updated || !slices.Equal(n.queries, want) {
		t.Errorf("%s, queries %q; want %q", out.Err, n.queries, want)
	}
	// Nothing changed: no file of nothing.
	before := len(out.Files)
	n.total = 0
	p.time.t = p.time.t.Add(time.Hour)
	out = p.sync("nvd-api")
	if out.Status != Unchanged || len(out.Files) != before {
		t.Errorf("%s %s, files %v; want unchanged", out.Status, out.Err, out.Files)
	}
}

func TestNVDRequestsKeepThePublishersPace(t *testing.T) {
	for key, limit := range map[string]int{"": 5, "secret": 50} {
		p, n := newNVD(t, 2000*60)
		p.opt.NVDKey = key
		if out := p.sync("nvd-api"); out.Status != Updated || out.Requests != 60 {
			t.Fatalf("%+v", out)
		}
		for i := limit; i < len(n.at); i++ {
			if d := n.at[i].Sub(n.at[i-limit]); d < 30*time.Second {
				t.Fatalf("key %q: requests %d to %d within %v", key, i-limit, i, d)
			}
		}
		if all := n.at[59].Sub(n.at[0]); key == "" && all > 6*time.Minute || key != "" && all > time.Minute {
			t.Errorf("key %q: 60 requests took %v: slower than need be", key, all)
		}
		if n.keys[0] != key || n.keys[59] != key {
			t.Errorf("key sent %q; want %q", n.keys[0], key)
		}
	}
}

func TestNVDRefusesAnotherPageThanItAskedFor(t *testing.T) {
	p, n := newNVD(t, 4500)
	n.cheat = func(int) int { return 0 } // always the first page
	out := p.sync("nvd-api")
	if out.Status != Failed || !strings.Contains(out.Err, "not the page that was asked for (2000)") || len(out.Files) != 1 {
		t.Errorf("%+v; want the second page refused", out)
	}
}

func TestNVDWaitsWhenRefusedByItsFirewall(t *testing.T) {
	n := 0
	p := newPublisher(t, "nvd-api", func(w http.ResponseWriter, _ *http.Request) {
		if n++; n < 3 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"resultsPerPage":1,"startIndex":0,"totalResults":1,"vulnerabilities":[{}]}`)
	})
	if out := p.sync("nvd-api"); out.Status != Updated || !slices.Equal(p.time.slept, []time.Duration{30 * time.Second, 30 * time.Second}) {
		t.Errorf("%+v, slept %v; want two waits of 30 s", out, p.time.slept)
	}
}

func TestTheAPIKeyGoesToNVDAlone(t *testing.T) {
	var leaked []string
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked = append(leaked, r.Header.Get("apiKey"))
		fmt.Fprint(w, `{"resultsPerPage":1,"startIndex":0,"totalResults":1,"vulnerabilities":[{}]}`)
	}))
	defer other.Close()
	sent := ""
	p := newPublisher(t, "nvd-api", func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("apiKey")
		http.Redirect(w, r, other.URL, http.StatusFound)
	})
	p.opt.NVDKey = "secret"
	if out := p.sync("nvd-api"); out.Status != Updated {
		t.Fatalf("%+v", out)
	}
	if sent != "secret" || !slices.Equal(leaked, []string{""}) {
		t.Errorf("NVD got %q, the host redirected to got %q; want the key and none", sent, leaked)
	}
	// No other source sends it at all.
	p2 := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		if k := r.Header.Get("apiKey"); k != "" {
			t.Errorf("kev got the key %q", k)
		}
		serveFile(w, r, `"1"`, "x")
	})
	p2.opt.NVDKey = "secret"
	p2.want(p2.sync("kev"), Updated, map[string]string{kevName: "x"})
}

func TestRedirectsAwayFromTLSAreRefused(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, `"1"`, "x") }))
	defer plain.Close()
	srv := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer srv.Close()
	p := newPublisher(t, "kev", nil)
	p.Server = srv
	p.opt.Client = srv.Client()
	p.opt.Base["kev"] = p.base("kev")
	if out := p.sync("kev"); out.Status != Failed || !strings.Contains(out.Err, "redirect refused: from https to http") || out.Requests != 1 {
		t.Errorf("%+v; want the redirect refused at once", out)
	}
}

func TestMSRCFetchesTheDocumentsThatChanged(t *testing.T) {
	f := &files{content: map[string]string{
		"updates":       `{"value":[{"ID":"2030-Jan","CurrentReleaseDate":"2030-01-20T00:00:00Z"},{"ID":"2030-FEB","CurrentReleaseDate":"a"},{"ID":"../x"}]}`,
		"cvrf/2030-Jan": "january", "cvrf/2030-FEB": "february",
	}}
	p := newPublisher(t, "msrc", f.serve)
	out := p.sync("msrc")
	p.want(out, Updated, map[string]string{"2030-01.xml": "january", "2030-02.xml": "february"})
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], `"../x"`) {
		t.Errorf("notes %q", out.Notes)
	}
	f.take()
	f.content["updates"] = strings.Replace(f.content["updates"], "2030-01-20", "2030-03-01", 1)
	f.content["cvrf/2030-Jan"] = "january, revised"
	p.want(p.sync("msrc"), Updated, map[string]string{"2030-01.xml": "january, revised", "2030-02.xml": "february"})
	if asked := f.take(); !slices.Equal(asked, []string{"updates", "cvrf/2030-Jan"}) {
		t.Errorf("asked for %v; want the index and the document that changed", asked)
	}
}

func TestRedHatFetchesTheRecordsThatChanged(t *testing.T) {
	f := &files{content: map[string]string{
		"changes.csv": `"2030/cve-2030-0002.json","2030-06-14T10:00:00+00:00"` + "\n" + `"2029/cve-2029-0001.json","2030-06-01T10:00:00+00:00"` + "\n" +
			`"2030/cve-2030-0404.json","2030-05-30T10:00:00+00:00"` + "\n" + `"2001/cve-2001-0001.json","2024-01-01T00:00:00+00:00"` + "\n",
		"cve/CVE-2030-0002.json": "two", "cve/CVE-2029-0001.json": "one",
	}}
	p := newPublisher(t, "redhat", f.serve)
	out := p.sync("redhat")
	p.want(out, Updated, map[string]string{"CVE-2030-0002.json": "two", "CVE-2029-0001.json": "one"})
	if len(out.Notes) != 2 || !strings.Contains(out.Notes[0], "2030-03-17") || !strings.Contains(out.Notes[1], "1 of 3") {
		t.Errorf("notes %q; want from when, and that one has no record", out.Notes)
	}
	f.take()
	f.content["changes.csv"] = `"2029/cve-2029-0001.json","2030-06-15T11:00:00+00:00"` + "\n" + f.content["changes.csv"]
	f.content["cve/CVE-2029-0001.json"] = "one, fixed"
	p.want(p.sync("redhat"), Updated, map[string]string{"CVE-2030-0002.json": "two", "CVE-2029-0001.json": "one, fixed"})
	if asked := f.take(); !slices.Equal(asked, []string{"changes.csv", "cve/CVE-2029-0001.json"}) {
		t.Errorf("asked for %v", asked)
	}
	f.content["changes.csv"] = "<html>sorry</html>"
	if out := p.sync("redhat"); out.Status != Failed || !strings.Contains(out.Err, "not the list of changes") {
		t.Errorf("%+v", out)
	}
}

func TestCVE5FetchesTheListOnceAndThenEveryDaysChanges(t *testing.T) {
	f := &files{content: map[string]string{ // it is 12:30; the release of 12 o'clock is late
		"cve_2030-06-15_1100Z/2030-06-15_all_CVEs_at_midnight.zip.zip": "all",
		"cve_2030-06-15_1100Z/2030-06-15_delta_CVEs_at_1100Z.zip":      "till 11",
	}}
	p := newPublisher(t, "cve5", f.serve)
	p.want(p.sync("cve5"), Updated, map[string]string{"all.zip": "all", "changes-2030-06-15.zip": "till 11"})
	f.content["cve_2030-06-15_at_end_of_day/2030-06-15_delta_CVEs_at_end_of_day.zip"] = "the 15th"
	f.content["cve_2030-06-16_at_end_of_day/2030-06-16_delta_CVEs_at_end_of_day.zip"] = "the 16th"
	f.content["cve_2030-06-17_1200Z/2030-06-17_delta_CVEs_at_1200Z.zip"] = "till 12"
	p.time.t = p.time.t.AddDate(0, 0, 2)
	want := map[string]string{"all.zip": "all", "changes-2030-06-15.zip": "the 15th", "changes-2030-06-16.zip": "the 16th", "changes-2030-06-17.zip": "till 12"}
	p.want(p.sync("cve5"), Updated, want)
	// Just after midnight the day's changes may not be out: nothing is lost by waiting.
	p.time.t = time.Date(2030, 6, 18, 0, 30, 0, 0, time.UTC)
	p.want(p.sync("cve5"), Unchanged, want)
	// A gap that cannot be closed needs the list again, and the older changes go.
	p.time.t = time.Date(2030, 6, 20, 9, 30, 0, 0, time.UTC)
	f.content["cve_2030-06-20_0900Z/2030-06-20_all_CVEs_at_midnight.zip.zip"] = "all again"
	out := p.sync("cve5")
	p.want(out, Updated, map[string]string{"all.zip": "all again"})
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "2030-06-17") {
		t.Errorf("notes %q", out.Notes)
	}
}

// FuzzIndexes: no list a publisher sends makes its reader panic or name a path.
func FuzzIndexes(f *testing.F) {
	f.Add("gzSize:5\nsha256:" + strings.Repeat("0", 64))
	f.Add(`"2030/cve-2030-0001.json","2030-06-15T11:00:00+00:00"` + "\n")
	f.Add(`"../../cve-2030-0001.json","2030-06-15T11:00:00+00:00"` + "\n")
	f.Fuzz(func(t *testing.T, s string) {
		if want, err := nvdMeta(s); err == nil && len(want.sha256) != 64 {
			t.Errorf("checksum %q", want.sha256)
		}
		list, _, _ := redhatChanges([]byte(s), time.Time{})
		for _, c := range list {
			if strings.ContainsAny(c.id, `/\.`) || !strings.HasPrefix(c.id, "CVE-") {
				t.Errorf("identifier %q", c.id)
			}
		}
	})
}
