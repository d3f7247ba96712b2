package feed

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// file is one archive member.
type file struct{ name, data string }

func zipOf(t testing.TB, files ...file) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, f := range files {
		m, err := w.Create(f.name)
		if err == nil {
			_, err = m.Write([]byte(f.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func tarOf(t testing.TB, files ...file) string {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: 0o644, Size: int64(len(f.data))})
		if err == nil {
			_, err = w.Write([]byte(f.data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func gzOf(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func zstOf(t testing.TB, data string, opts ...zstd.EOption) string {
	t.Helper()
	var buf bytes.Buffer
	w, err := zstd.NewWriter(&buf, opts...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func osvDoc(id string) string {
	return `{"schema_version":"1.6.0","id":"` + id + `","modified":"2031-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"Debian:12","name":"lantern"},` +
		`"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2-3"}]}]}]}`
}

func cveID(n int) string { return fmt.Sprintf("CVE-2031-%d", 10000+n) }

// nvdDoc is a feed 1.1 file of n items.
func nvdDoc(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = `{"cve":{"CVE_data_meta":{"ID":"` + cveID(i) + `"}},"publishedDate":"2031-01-02T03:04Z","lastModifiedDate":"2031-01-02T03:04Z"}`
	}
	return fmt.Sprintf(`{"CVE_data_type":"CVE","CVE_data_numberOfCVEs":"%d","CVE_Items":[%s]}`, n, strings.Join(items, ","))
}

const (
	nvd20Doc = `{"resultsPerPage":1,"startIndex":0,"totalResults":1,"format":"NVD_CVE","version":"2.0","vulnerabilities":[{"cve":{"id":"CVE-2031-10001",` +
		`"published":"2031-01-02T03:04:05.000","lastModified":"2031-01-02T03:04:05.000","descriptions":[{"lang":"en","value":"A lantern."}]}}]}`
	cve5Doc = `{"dataType":"CVE_RECORD","cveMetadata":{"cveId":"CVE-2031-10001","state":"PUBLISHED"},"containers":{"cna":{"title":"Lantern"}}}`
	kevDoc  = `{"title":"T","catalogVersion":"2031.01.02","count":1,"vulnerabilities":[{"cveID":"CVE-2031-10001","vulnerabilityName":"Lantern","dateAdded":"2031-01-02"}]}`
	kevCSV  = "cveID,vendorProject,product,vulnerabilityName,dateAdded\nCVE-2031-10001,Acme,Lantern,Lantern,2031-01-02\n"
	epssDoc = "#model_version:v1,score_date:2031-01-02T00:00:00+0000\ncve,epss,percentile\nCVE-2031-10001,0.5,0.25\n"

	nativeDoc = `{"kannuki":"records","version":1,"records":1}` + "\n" + `{"source":"sample","id":"X-1"}` + "\n"
	redhatDoc = `{"threat_severity":"Important","public_date":"2031-01-02T00:00:00Z","bugzilla":{"description":"lantern: fire","id":"1","url":"https://example.org/1"},` +
		`"details":["A lantern."],"name":"CVE-2031-10001"}`
	cvrfDoc = `<?xml version="1.0" encoding="utf-8"?>
<cvrf:cvrfdoc xmlns:cvrf="http://www.icasi.org/CVRF/schema/cvrf/1.1" xmlns:vuln="http://www.icasi.org/CVRF/schema/vuln/1.1" xmlns:prod="http://www.icasi.org/CVRF/schema/prod/1.1">
<cvrf:DocumentTitle>January 2031 Security Updates</cvrf:DocumentTitle>
<cvrf:DocumentPublisher Type="Vendor"><cvrf:IssuingAuthority>The Microsoft Security Response Center (MSRC)</cvrf:IssuingAuthority></cvrf:DocumentPublisher>
<cvrf:DocumentTracking><cvrf:Identification><cvrf:ID>2031-Jan</cvrf:ID></cvrf:Identification><cvrf:InitialReleaseDate>2031-01-02T00:00:00Z</cvrf:InitialReleaseDate><cvrf:CurrentReleaseDate>2031-01-02T00:00:00Z</cvrf:CurrentReleaseDate></cvrf:DocumentTracking>
<prod:ProductTree><prod:FullProductName ProductID="1">Lantern Server</prod:FullProductName></prod:ProductTree>
<vuln:Vulnerability Ordinal="1"><vuln:Title>Lantern fire</vuln:Title><vuln:CVE>CVE-2031-10001</vuln:CVE>
<vuln:ProductStatuses><vuln:Status Type="Known Affected"><vuln:ProductID>1</vuln:ProductID></vuln:Status></vuln:ProductStatuses></vuln:Vulnerability>
</cvrf:cvrfdoc>
`
	rssDoc = `<?xml version="1.0" encoding="UTF-8"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:sec="http://jvn.jp/rss/mod_sec/3.0/" xml:lang="ja">
<channel rdf:about="https://example.org/rss"><title>list</title></channel>
<item rdf:about="https://example.org/JVNDB-2031-000001"><title>提灯の火災</title><link>https://example.org/JVNDB-2031-000001</link><description>提灯が燃える。</description>
<sec:identifier>JVNDB-2031-000001</sec:identifier><sec:references source="CVE" id="CVE-2031-10001">https://example.org</sec:references>
<dc:date>2031-01-02T12:00:00+09:00</dc:date><dcterms:issued>2031-01-02T12:00:00+09:00</dcterms:issued><dcterms:modified>2031-01-02T12:00:00+09:00</dcterms:modified></item>
</rdf:RDF>
`
	vuldefDoc = `<?xml version="1.0" encoding="UTF-8"?>
<VULDEF-Document version="3.2" xmlns="http://jvn.jp/vuldef/"><Vulinfo><VulinfoID>JVNDB-2031-000001</VulinfoID><VulinfoData><Title>提灯の火災</Title>
<VulinfoDescription><Overview>提灯が燃える。</Overview></VulinfoDescription>
<Related><RelatedItem type="advisory"><Name>Common Vulnerabilities and Exposures (CVE)</Name><VulinfoID>CVE-2031-10001</VulinfoID><URL>https://example.org</URL></RelatedItem></Related>
<DateFirstPublished>2031-01-02T12:00:00+09:00</DateFirstPublished><DateLastUpdated>2031-01-02T12:00:00+09:00</DateLastUpdated><DatePublic>2031-01-02T12:00:00+09:00</DatePublic></VulinfoData></Vulinfo></VULDEF-Document>
`
)

// plainDocs is one sound document of every format, that gives one record or score.
var plainDocs = map[Format]string{
	OSV: osvDoc("CVE-2031-10001"), NVD11: nvdDoc(1), NVD20: nvd20Doc, CVE5: cve5Doc, KEVJSON: kevDoc, KEVCSV: kevCSV,
	EPSSCSV: epssDoc, CVRF: cvrfDoc, RedHat: redhatDoc, JVNRSS: rssDoc, VULDEF: vuldefDoc, Native: nativeDoc,
}

func write(t testing.TB, name, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// load imports one file of these bytes into a new memory, within limits.
func load(t testing.TB, name, data string, adjust func(*limits)) (*memory, Outcome) {
	t.Helper()
	m := newMemory()
	im := importer{sink: m, limits: defaultLimits(), decoders: decoders()}
	if adjust != nil {
		adjust(&im.limits)
	}
	outs, err := im.run(context.Background(), []string{write(t, name, data)})
	if err != nil {
		t.Fatal(err)
	}
	if len(outs) != 1 || m.begins != m.commits+m.rollbacks {
		t.Fatalf("%d outcomes, %d batches of which %d committed and %d rolled back", len(outs), m.begins, m.commits, m.rollbacks)
	}
	return m, outs[0]
}
