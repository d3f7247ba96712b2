package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeTime is a clock that only sleeping moves.
type fakeTime struct {
	t     time.Time
	slept []time.Duration
}

func (f *fakeTime) now() time.Time { return f.t }

func (f *fakeTime) sleep(ctx context.Context, d time.Duration) error {
	f.t = f.t.Add(d)
	f.slept = append(f.slept, d)
	return ctx.Err()
}

// publisher is a server on loopback that stands in for a source, and the cache.
type publisher struct {
	*httptest.Server
	t    *testing.T
	dir  string
	time *fakeTime
	opt  SyncOptions
}

func newPublisher(t *testing.T, source string, h http.HandlerFunc) *publisher {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	clock := &fakeTime{t: time.Date(2030, 6, 15, 12, 30, 0, 0, time.UTC)}
	p := &publisher{Server: srv, t: t, dir: t.TempDir(), time: clock}
	p.opt = SyncOptions{Client: srv.Client(), Now: clock.now, Sleep: clock.sleep, Version: "test",
		Base: map[string]*url.URL{source: p.base(source)}}
	return p
}

func (p *publisher) base(string) *url.URL {
	u, err := url.Parse(p.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	return u
}

// sync runs Sync for one source.
func (p *publisher) sync(source string) SyncOutcome {
	p.t.Helper()
	outs, err := Sync(context.Background(), []string{source}, p.dir, p.opt)
	if err != nil || len(outs) != 1 {
		p.t.Fatalf("Sync = %v, %v", outs, err)
	}
	return outs[0]
}

// want checks an outcome's status, and that the cache holds exactly files.
func (p *publisher) want(out SyncOutcome, status Status, files map[string]string) {
	p.t.Helper()
	if out.Status != status {
		p.t.Fatalf("status %q (%s); want %q", out.Status, out.Err, status)
	}
	var got []string
	for _, path := range out.Files {
		name := filepath.Base(path)
		got = append(got, name)
		b, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		if want, ok := files[name]; ok && string(b) != want {
			p.t.Errorf("%s holds %d bytes %.40q; want %d bytes %.40q", name, len(b), b, len(want), want)
		}
	}
	for name := range files {
		if !slices.Contains(got, name) {
			p.t.Errorf("%s is missing; there are %v", name, got)
		}
	}
	if len(got) != len(files) {
		p.t.Errorf("files %v; want %d", got, len(files))
	}
}

const kevName = "known_exploited_vulnerabilities.json"

// serveFile answers like a static file server with ETag, conditions and ranges.
func serveFile(w http.ResponseWriter, r *http.Request, etag, content string) {
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(content))
}

func TestSyncTakesAFileOnceAndAsksOnlyForChangesAfter(t *testing.T) {
	content, etag, agents, status := "one", `"1"`, []string{}, 0
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		rec := httptest.NewRecorder()
		serveFile(rec, r, etag, content)
		status = rec.Code
		serveFile(w, r, etag, content)
	})
	p.want(p.sync("kev"), Updated, map[string]string{kevName: "one"})
	p.want(p.sync("kev"), Unchanged, map[string]string{kevName: "one"})
	if status != http.StatusNotModified {
		t.Errorf("second answer was %d; want 304", status)
	}
	content, etag = "two!", `"2"`
	out := p.sync("kev")
	p.want(out, Updated, map[string]string{kevName: "two!"})
	if len(out.Changed) != 1 || out.Bytes != 4 || out.Requests != 1 {
		t.Errorf("outcome %+v; want one changed file of 4 bytes by one request", out)
	}
	if agents[0] != "kannuki/test" {
		t.Errorf("User-Agent %q", agents[0])
	}
	// A file that somebody removed is fetched again, whatever the state says.
	if err := os.Remove(out.Files[0]); err != nil {
		t.Fatal(err)
	}
	p.want(p.sync("kev"), Updated, map[string]string{kevName: "two!"})
}

// cutter serves content under etag but cuts the connection after cut bytes, once.
type cutter struct {
	content, etag string
	cut           int
	ranges        []string
}

func (c *cutter) serve(w http.ResponseWriter, r *http.Request) {
	c.ranges = append(c.ranges, r.Header.Get("Range")+" "+r.Header.Get("If-Range"))
	if c.cut == 0 {
		serveFile(w, r, c.etag, c.content)
		return
	}
	w.Header().Set("ETag", c.etag)
	w.Header().Set("Content-Length", fmt.Sprint(len(c.content)))
	_, _ = w.Write([]byte(c.content[:c.cut]))
	c.cut = 0
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func TestSyncResumesWhereTheConnectionWasCut(t *testing.T) {
	c := &cutter{content: strings.Repeat("kannuki ", 100_000), etag: `"v1"`, cut: 300_000}
	p := newPublisher(t, "kev", c.serve)
	out := p.sync("kev")
	p.want(out, Updated, map[string]string{kevName: c.content})
	if len(c.ranges) != 2 || c.ranges[1] != `bytes=300000- "v1"` || out.Bytes != int64(len(c.content)) {
		t.Errorf("ranges %q, %d bytes; want to go on at 300000 and no byte twice", c.ranges, out.Bytes)
	}
}

func TestSyncResumesInTheNextRun(t *testing.T) {
	c := &cutter{content: strings.Repeat("x", 500_000), etag: `"v1"`, cut: 200_000}
	p := newPublisher(t, "kev", c.serve)
	p.opt.Attempts = 1
	out := p.sync("kev")
	p.want(out, Failed, map[string]string{})
	if !strings.Contains(out.Err, "200000 bytes") || !strings.Contains(out.Err, p.URL) {
		t.Errorf("error %q; want the address and how far it came", out.Err)
	}
	p.want(p.sync("kev"), Updated, map[string]string{kevName: c.content})
	if c.ranges[1] != `bytes=200000- "v1"` {
		t.Errorf("second run asked %q", c.ranges[1])
	}
	left, _ := filepath.Glob(filepath.Join(p.dir, "kev", ".*.part*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

const childEnv = "KANNUKI_TEST_SYNC" // "<address> <folder>" makes this test binary a Sync

// TestSyncSurvivesBeingKilled kills a Sync in another process in the middle of a file.
func TestSyncSurvivesBeingKilled(t *testing.T) {
	if addr, dir, ok := strings.Cut(os.Getenv(childEnv), " "); ok {
		u, err := url.Parse(addr)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Sync(context.Background(), []string{"kev"}, dir, SyncOptions{Client: &http.Client{Transport: &http.Transport{}},
			Now: time.Now, Base: map[string]*url.URL{"kev": u}})
		t.Fatalf("not killed: %v", err)
	}
	content := strings.Repeat("kannuki ", 100_000)
	half, held := len(content)/2, make(chan struct{})
	arrived := make(chan struct{})
	c := &cutter{content: content, etag: `"v1"`}
	first := true
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		if !first {
			c.serve(w, r)
			return
		}
		first = false
		w.Header().Set("ETag", c.etag)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write([]byte(content[:half]))
		_ = http.NewResponseController(w).Flush()
		close(arrived)
		<-held
	})
	child := exec.Command(os.Args[0], "-test.run=^TestSyncSurvivesBeingKilled$")
	child.Env = append(os.Environ(), childEnv+"="+p.URL+" "+p.dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	part := filepath.Join(p.dir, "kev", "."+kevName+".part")
	for range 500 { // until some of it is written
		if info, err := os.Stat(part); err == nil && info.Size() > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	close(held)
	if _, err := os.Stat(filepath.Join(p.dir, "kev", kevName)); err == nil {
		t.Fatal("a file that is not whole stands in the cache")
	}
	p.want(p.sync("kev"), Updated, map[string]string{kevName: content})
	if len(c.ranges) != 1 || !strings.HasPrefix(c.ranges[0], "bytes=") {
		t.Errorf("the next run asked %q; want it to go on", c.ranges)
	}
}

func TestSyncStartsAgainWhenTheFileChangedMeanwhile(t *testing.T) {
	c := &cutter{content: strings.Repeat("a", 400_000), etag: `"v1"`, cut: 100_000}
	p := newPublisher(t, "kev", c.serve)
	p.opt.Attempts = 1
	p.sync("kev")
	c.content, c.etag = strings.Repeat("b", 50_000), `"v2"`
	p.want(p.sync("kev"), Updated, map[string]string{kevName: c.content})
}

func TestSyncStartsAgainWhenTheRangeIsWrong(t *testing.T) {
	content := strings.Repeat("a", 400_000)
	c := &cutter{content: content, etag: `"v1"`, cut: 100_000}
	bad := []int{http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable}
	for _, code := range bad {
		lied := false
		c.cut = 100_000
		p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" || lied {
				c.serve(w, r)
				return
			}
			lied = true
			// As many bytes as are missing, but others.
			w.Header().Set("Content-Range", "bytes 7-300006/400000")
			w.WriteHeader(code)
			_, _ = w.Write(bytes.Repeat([]byte("z"), 300_000))
		})
		p.want(p.sync("kev"), Updated, map[string]string{kevName: content})
		if !lied {
			t.Errorf("%d: nothing was resumed", code)
		}
	}
}

func TestSyncRefusesATruncatedBodyAndKeepsTheOldFile(t *testing.T) {
	content, short := "good", false
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		if short {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("too short"))
			return
		}
		serveFile(w, r, `"1"`, content)
	})
	p.sync("kev")
	short = true
	p.opt.Attempts = 2
	out := p.sync("kev")
	p.want(out, Failed, map[string]string{kevName: "good"})
	if !strings.Contains(out.Err, "gave up after 2 attempts") {
		t.Errorf("error %q", out.Err)
	}
}

func TestSyncBoundsTheSizeOfAFile(t *testing.T) {
	for _, announced := range []bool{true, false} {
		p := newPublisher(t, "kev", func(w http.ResponseWriter, _ *http.Request) {
			if announced {
				w.Header().Set("Content-Length", "2000")
			}
			for range 20 {
				_, _ = w.Write(bytes.Repeat([]byte("x"), 100))
				_ = http.NewResponseController(w).Flush()
			}
		})
		p.opt.MaxBytes = 1000
		out := p.sync("kev")
		p.want(out, Failed, map[string]string{})
		if !strings.Contains(out.Err, "larger than the bound of 1000 bytes") || out.Requests != 1 {
			t.Errorf("announced %v: %q after %d requests", announced, out.Err, out.Requests)
		}
	}
}

func TestSyncWaitsAsLongAsThePublisherAsks(t *testing.T) {
	n := 0
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		switch n++; n {
		case 1:
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.Header().Set("Retry-After", time.Date(2030, 6, 15, 12, 31, 17, 0, time.UTC).Format(http.TimeFormat))
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3, 4:
			w.WriteHeader(http.StatusBadGateway)
		default:
			serveFile(w, r, `"1"`, "here")
		}
	})
	p.want(p.sync("kev"), Updated, map[string]string{kevName: "here"})
	if len(p.time.slept) != 4 || p.time.slept[0] != 17*time.Second || p.time.slept[1] != time.Minute {
		t.Fatalf("slept %v; want 17s, 1m and two back-offs", p.time.slept)
	}
	for i, base := range []time.Duration{2 * time.Second, 4 * time.Second} {
		if d := p.time.slept[2+i]; d < base/2 || d > base*3/2 {
			t.Errorf("back-off %d was %v; want %v give or take a half", i, d, base)
		}
	}
}

func TestSyncDoesNotWaitForHours(t *testing.T) {
	p := newPublisher(t, "kev", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	out := p.sync("kev")
	p.want(out, Failed, map[string]string{})
	if len(p.time.slept) != 0 || !strings.Contains(out.Err, "2h0m0s") {
		t.Errorf("slept %v, error %q; want none and the two hours named", p.time.slept, out.Err)
	}
}

func TestSyncErrorsNameSourceAddressStatusAndWayOut(t *testing.T) {
	for code, hint := range map[int]string{404: "a mirror", 403: "access was refused", 407: "the proxy wants", 500: "run sync again later"} {
		p := newPublisher(t, "kev", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		out := p.sync("kev")
		for _, want := range []string{"kev: GET " + p.URL + "/" + kevName, fmt.Sprint(code), hint} {
			if !strings.Contains(out.Err, want) {
				t.Errorf("%d: error %q; want %q in it", code, out.Err, want)
			}
		}
	}
}

func TestSyncGivesUpOnASilentConnection(t *testing.T) {
	silent := make(chan struct{})
	p := newPublisher(t, "kev", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("begun"))
		_ = http.NewResponseController(w).Flush()
		<-silent
	})
	p.opt.stall, p.opt.Attempts = 50*time.Millisecond, 1
	out := p.sync("kev")
	close(silent)
	p.want(out, Failed, map[string]string{})
	if !strings.Contains(out.Err, "after 5 bytes: no byte came for too long") {
		t.Errorf("error %q; want how far it came and that nothing came", out.Err)
	}
}

func TestSyncStopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := newPublisher(t, "kev", func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := Sync(ctx, []string{"kev", "epss"}, p.dir, p.opt); err != context.Canceled {
		t.Errorf("error %v; want context.Canceled", err)
	}
	if len(p.time.slept) > 1 {
		t.Errorf("slept %v after the end", p.time.slept)
	}
}

func TestAFailingSourceDoesNotStopTheOthers(t *testing.T) {
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, kevName) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		serveFile(w, r, `"1"`, "scores")
	})
	p.opt.Base["epss"] = p.base("epss")
	outs, err := Sync(context.Background(), []string{"kev", "epss"}, p.dir, p.opt)
	if err != nil || len(outs) != 2 || outs[0].Status != Failed || outs[1].Status != Updated {
		t.Errorf("outcomes %+v, %v; want one failed, one updated", outs, err)
	}
}

func TestUnknownSourcesAreNamedWithTheKnownOnes(t *testing.T) {
	p := newPublisher(t, "kev", nil)
	for _, names := range [][]string{{"kevv"}, {"kev", ""}} {
		_, err := Sync(context.Background(), names, p.dir, p.opt)
		if err == nil || !strings.Contains(err.Error(), "osv/debian") {
			t.Errorf("%q: error %v", names, err)
		}
	}
	p.opt.Base["osv"] = p.base("kev")
	if _, err := Sync(context.Background(), nil, p.dir, p.opt); err == nil || !strings.Contains(err.Error(), `"osv"`) {
		t.Errorf("address for an unknown source: %v", err)
	}
}

func TestTwoSyncsDoNotShareAFolder(t *testing.T) {
	var p *publisher
	p = newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		if _, err := Sync(context.Background(), []string{"kev"}, p.dir, p.opt); err == nil || !strings.Contains(err.Error(), "another feed sync") {
			t.Errorf("second Sync: %v", err)
		}
		serveFile(w, r, `"1"`, "x")
	})
	p.want(p.sync("kev"), Updated, map[string]string{kevName: "x"})
}

func TestSyncGoesThroughTheClientsProxy(t *testing.T) {
	var asked []string
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		serveFile(w, r, `"1"`, "by proxy")
	})
	proxy := p.base("")
	p.opt.Client = &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	p.opt.Base["kev"] = &url.URL{Scheme: "http", Host: "feeds.invalid", Path: "/cisa"}
	p.want(p.sync("kev"), Updated, map[string]string{kevName: "by proxy"})
	if len(asked) != 1 || asked[0] != "http://feeds.invalid/cisa/"+kevName {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

func TestADamagedStateIsNamed(t *testing.T) {
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, `"1"`, "x") })
	p.sync("kev")
	if err := os.WriteFile(filepath.Join(p.dir, "kev", stateName), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := p.sync("kev"); out.Status != Failed || !strings.Contains(out.Err, "delete it") {
		t.Errorf("outcome %+v; want the damaged file named", out)
	}
}

func TestProgressGrowsToTheTotal(t *testing.T) {
	content := strings.Repeat("x", 1<<20)
	p := newPublisher(t, "kev", func(w http.ResponseWriter, r *http.Request) { serveFile(w, r, `"1"`, content) })
	var last, total int64
	p.opt.Progress = func(done, all int64, name string) {
		if done < last || name != kevName {
			t.Errorf("progress %d of %d of %s after %d", done, all, name, last)
		}
		last, total = done, all
	}
	p.sync("kev")
	if last != int64(len(content)) || total != last {
		t.Errorf("progress ended at %d of %d; want %d", last, total, len(content))
	}
}

func TestOfficialSourcesAreWellFormed(t *testing.T) {
	names := map[string]bool{}
	for _, s := range Official() {
		u, err := url.Parse(s.Base)
		if err != nil || u.Scheme != "https" || !strings.HasSuffix(s.Base, "/") {
			t.Errorf("%s: base %q, %v; want an https address that ends in a slash", s.Name, s.Base, err)
		}
		if names[s.Name] || s.What == "" || (s.plan == nil) == (len(s.files) == 0) {
			t.Errorf("%s is given twice, undescribed, or has both or neither of files and plan", s.Name)
		}
		names[s.Name] = true
	}
	for _, want := range []string{"osv/debian", "osv/ubuntu", "osv/almalinux", "osv/rocky", "osv/redhat", "osv/alpine", "osv/suse", "osv/opensuse"} {
		if !names[want] {
			t.Errorf("%s is missing", want)
		}
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}
