package feed

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSniffKnowsFormatsByKeysInAnyOrder(t *testing.T) {
	for _, c := range []struct {
		text string
		want Format
	}{
		{`{"affected":[{"ecosystem_specific":{"binaries":[{"a":"1"}]},"package":{"name":"n"},"ranges":[` + strings.Repeat(`{"x":"\"}"},`, 40000), OSV},
		{`{"affected":[],"aliases":[],"details":"\\","id":"X","modified":"2031"`, OSV},
		{` {"id":"X","modified":"2031","schema_version":"1"}`, OSV},
		{`{"containers":{"cna":{}},"cveMetadata":{"cveId":"x"}}`, CVE5},
		{`{"dataVersion":"5.1","dataType":"CVE_RECORD"`, CVE5},
		{`{"resultsPerPage":2000,"startIndex":0,"vulnerabilities":[{"cve":{"id"`, NVD20},
		{`{"format":"NVD_CVE","version":"2.0"`, NVD20},
		{`{"CVE_Items":[]`, NVD11},
		{`{"title":"x","catalogVersion":"1","count":1`, KEVJSON},
		{"\n" + `{"version":1,"kannuki":"records"}`, Native},
		{`{"affected_release":[{"advisory":"RHSA-1","cpe":"x"}`, RedHat},
		{`[{"bugzilla":{},"public_date":"x"}]`, RedHat},
		{"\"cveID\",\"vendorProject\",\"product\"\n", KEVCSV},
	} {
		if got, why := sniff([]byte(c.text)); got != c.want {
			t.Errorf("%.60s: %q (%s), want %q", c.text, got, why, c.want)
		}
	}
}

func TestSniffSaysWhatAnUnknownDocumentIs(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "empty"}, {" \n", "empty"}, {"\xef\xbb\xbf", "empty"},
		{"<!DOCTYPE HTML>", "HTML page"}, {"<html><body>", "HTML page"}, {"<?xml version='1.0'?><html>", "HTML page"},
		{`<?xml version="1.0"?><oval_definitions xmlns="x">`, "OVAL: not read yet"},
		{`<?xml version="1.0"?><!-- c --><Weakness_Catalog>`, "CWE catalogue: not a feed"},
		{`<cvrfdoc><DocumentPublisher>Another Vendor`, "CVRF that is not Microsoft's: not read"},
		{`<rdf:RDF xmlns:rdf="x">`, "RDF: no feed format recognised"},
		{`<thing/>`, "no feed format recognised (XML <thing>)"},
		{`<!-- only a comment`, "text (starts like XML, has no element)"},
		{`{"document":{"category":"x","csaf_version":"2.0"}}`, "CSAF: not read yet"},
		{`{"CVE":"x","severity":"y","public_date":"z","bugzilla":"1"}`, "Red Hat CVE summaries: they name no products, import the full records"},
		{`{"a":1,"b":{"c":2},"d":[3],"e":4,"f":5}`, "no feed format recognised (JSON object with a, b, d, e, …)"},
		{`[{"id":"SUSE-1","modified":"x"}]`, "no feed format recognised (JSON list of objects with id, modified)"},
		{`[1]`, "JSON list: no feed format recognised"},
		{`[` + osvDoc("X") + `]`, "list of osv documents: import them one by one or as an archive"},
		{"name: x\nvalue: y\n", "YAML"}, {"---\nx", "YAML"}, {"A plain sentence, with: a colon.", "text"}, {"a,b,c\n1,2,3\n", "CSV: no feed format recognised"},
		{"\xfd7zXZ\x00...", "xz archive: not read; unpack it first"}, {"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer: the data itself is not here"},
		{"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09", "no feed format recognised (starts with 00 01 02 03 04 05 06 07)"},
	} {
		if got, why := sniff([]byte(c.text)); got != "" || why != c.want {
			t.Errorf("%.60q: %q, %q; want %q", c.text, got, why, c.want)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, doc := range plainDocs {
		f.Add([]byte(doc))
	}
	f.Add([]byte(`{"a":[{"b":"\\\""}],"c":{"d":[[`))
	f.Fuzz(func(t *testing.T, head []byte) {
		format, why := sniff(head)
		if (format == "") == (why == "") {
			t.Errorf("%q: format %q and reason %q", head, format, why)
		}
	})
}

// Whatever bytes a file has: it is committed or rolled back, within bounds, without a panic.
func FuzzImport(f *testing.F) {
	for _, doc := range plainDocs {
		f.Add([]byte(doc))
	}
	docs := []file{{"a.json", osvDoc("CVE-2031-10001")}, {"../b", kevDoc}, {"c.gz", gzOf(f, epssDoc)}}
	f.Add([]byte(zipOf(f, docs...)))
	f.Add([]byte(tarOf(f, docs...)))
	f.Add([]byte(zstOf(f, tarOf(f, docs...))))
	f.Add([]byte(gzOf(f, zipOf(f, docs...))))
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		m := newMemory()
		l := defaultLimits()
		l.unpacked, l.member, l.inner, l.members = 8<<20, 4<<20, 1<<20, 1000
		outs, err := importer{sink: m, limits: l, decoders: decoders()}.run(context.Background(), []string{path})
		if err != nil || len(outs) != 1 || m.commits+m.rollbacks != 1 {
			t.Fatalf("%+v, %v, %d commits, %d rollbacks", outs, err, m.commits, m.rollbacks)
		}
		out := outs[0]
		if (out.Status == Imported) != (m.commits == 1) || (out.Status == Failed) != (out.Err != "") || out.Rejected < len(m.rejects) {
			t.Errorf("%+v with %d commits", out, m.commits)
		}
		for _, r := range m.records {
			if r.ID == "" || r.Source == "" || len(r.Vulnerabilities) == 0 {
				t.Errorf("unusable record %+v", r)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
			t.Errorf("files were written: %q", left)
		}
	})
}
