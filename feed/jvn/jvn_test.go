package jvn

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

type decoder func(io.Reader, func(vuln.Record) error, func(int64, string, string) error) error

func decode(d decoder, doc string) (records []vuln.Record, rejects []string, err error) {
	err = d(strings.NewReader(doc), func(r vuln.Record) error {
		records = append(records, r)
		return nil
	}, func(offset int64, id, reason string) error {
		rejects = append(rejects, fmt.Sprintf("%d|%s|%s", offset, id, reason))
		return nil
	})
	return records, rejects, err
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeRSSKeepsJapaneseTextAndCVEs(t *testing.T) {
	records, rejects, err := decode(DecodeRSS, fixture(t, "list.rdf"))
	if err != nil {
		t.Fatal(err)
	}
	want := []vuln.Record{{
		Source: "jvn", ID: "JVNDB-2030-000001", Vulnerabilities: []string{"CVE-2030-0001", "CVE-2030-0002"},
		Published: time.Date(2030, 1, 5, 3, 2, 0, 0, time.UTC), Modified: time.Date(2030, 11, 3, 3, 2, 30, 0, time.UTC),
		Texts: []vuln.Text{{Lang: "ja", Title: "錠前デーモンにおける権限昇格の脆弱性", Details: "錠前デーモンには、外から外せる問題があります。\n\n発見者: 試験 太郎"}},
		Severities: []vuln.Severity{
			{Source: "jvn", Version: "2.0", Vector: "AV:N/AC:M/Au:S/C:P/I:P/A:P", Score: 6},
			{Source: "jvn", Version: "3.0", Vector: "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Score: 7.8},
		},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-269", Source: "jvn"}, {CWE: "NVD-CWE-noinfo", Source: "jvn"}},
		References: []vuln.Reference{
			{URL: "https://jvndb.jvn.jp/ja/contents/2030/JVNDB-2030-000001.html", Kind: "ADVISORY"},
			{URL: "https://jvn.example/1", Kind: "ADVISORY"},
			{URL: "https://cve.example/CVE-2030-0001", Kind: "WEB"}, {URL: "https://cve.example/CVE-2030-0002", Kind: "WEB"},
			{URL: "https://nvd.example/CVE-2030-0003", Kind: "WEB"},
		},
		Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: `cpe:2.3:a:latch:latchd:2.1:*:*:*:*:*:*:*`, Vulnerable: true}}}}}},
	}, {
		Source: "jvn", ID: "JVNDB-2030-000002", Vulnerabilities: []string{"CVE-2030-0004"},
		Published: time.Date(2030, 1, 6, 15, 0, 0, 0, time.UTC), Modified: time.Date(2030, 1, 6, 15, 0, 0, 0, time.UTC),
		Texts:      []vuln.Text{{Lang: "ja", Title: "古い形式の項目"}},
		Severities: []vuln.Severity{{Source: "jvn", Version: "2.0", Vector: "AV:N/AC:H/Au:N/C:N/I:N/A:C", Score: 5.4}},
		References: []vuln.Reference{
			{URL: "https://jvndb.jvn.jp/ja/contents/2030/JVNDB-2030-000002.html", Kind: "ADVISORY"}, {URL: "https://nvd.example/CVE-2030-0004", Kind: "WEB"},
		},
		Configurations: []vuln.Configuration{{Nodes: []vuln.Node{{Matches: []vuln.CPEMatch{{CPE: `cpe:2.3:o:latch:hinge_firmware:1.0:*:*:*:*:*:*:*`, Vulnerable: true}}}}}},
	}, {
		Source: "jvn", ID: "JVNDB-2030-000005", Vulnerabilities: []string{"JVNDB-2030-000005"},
		Texts:      []vuln.Text{{Lang: "ja", Title: "CVE のない項目"}},
		References: []vuln.Reference{{URL: "https://jvndb.jvn.jp/ja/contents/2030/JVNDB-2030-000005.html", Kind: "ADVISORY"}},
	}}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	if len(rejects) != 2 || !strings.Contains(rejects[0], "no identifier") || !strings.Contains(rejects[1], "|JVNDB-2030-000004|date of publication") {
		t.Errorf("rejects = %q; want the item without number and the one with a broken date", rejects)
	}
}

func TestDecodeVULDEFSaysTheSameAsTheList(t *testing.T) {
	records, rejects, err := decode(DecodeVULDEF, fixture(t, "detail.rdf"))
	if err != nil || len(records) != 1 || len(rejects) != 1 {
		t.Fatalf("records %v, rejects %q, error %v; want one of each", records, rejects, err)
	}
	want := vuln.Record{
		Source: "jvn", ID: "JVNDB-2030-000001", Vulnerabilities: []string{"CVE-2030-0001"},
		Published: time.Date(2030, 1, 5, 3, 2, 15, 0, time.UTC), Modified: time.Date(2030, 1, 6, 3, 2, 15, 0, time.UTC),
		Texts:      []vuln.Text{{Lang: "ja", Title: "錠前デーモンにおける権限昇格の脆弱性", Details: "錠前デーモンには、外から外せる問題があります。"}},
		Severities: []vuln.Severity{{Source: "jvn", Version: "3.0", Vector: "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", Score: 10}},
		Weaknesses: []vuln.Weakness{{CWE: "CWE-269", Source: "jvn"}},
		References: []vuln.Reference{
			{URL: "https://jvndb.jvn.jp/ja/contents/2030/JVNDB-2030-000001.html", Kind: "ADVISORY"},
			{URL: "https://latch.example/news", Kind: "ADVISORY"},
			{URL: "https://cve.example/CVE-2030-0001", Kind: "WEB"}, {URL: "https://nvd.example/CVE-2030-0001", Kind: "WEB"},
		},
	}
	if diff := cmp.Diff(want, records[0]); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestBrokenDocumentIsRefused(t *testing.T) {
	list, detail := fixture(t, "list.rdf"), fixture(t, "detail.rdf")
	for _, c := range []struct {
		name string
		d    decoder
		doc  string
		want string
	}{
		{"empty list", DecodeRSS, "", "no XML root"},
		{"truncated list", DecodeRSS, list[:len(list)*2/3], "ends before"},
		{"unclosed list", DecodeRSS, strings.TrimSuffix(strings.TrimSpace(list), "</rdf:RDF>"), "ends before"},
		{"garbage after the list", DecodeRSS, list + "x", "after the root"},
		{"a detail file as list", DecodeRSS, detail, "root element"},
		{"truncated detail", DecodeVULDEF, detail[:len(detail)*2/3], "ends before"},
		{"a list as detail file", DecodeVULDEF, list, "root element"},
		{"an answer with an error", DecodeVULDEF, strings.Replace(detail, `retCd="0" errCd="" errMsg=""`, `retCd="1" errCd="E2" errMsg="bad parameter"`, 1), "bad parameter"},
	} {
		if _, _, err := decode(c.d, c.doc); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error = %v; want one saying %q", c.name, err, c.want)
		}
	}
}

// FuzzDecode: whatever the bytes, neither decoder panics, and what is emitted can be stored.
func FuzzDecode(f *testing.F) {
	f.Add(fixture(f, "list.rdf"))
	f.Add(fixture(f, "detail.rdf"))
	f.Add(`<RDF><item><identifier>JVNDB-2030-000009</identifier><cpe>cpe:/a:%zz:%00:1:2:3:4</cpe><cpe>cpe:/::::::::</cpe></item></RDF>`)
	f.Fuzz(func(t *testing.T, doc string) {
		for _, d := range []decoder{DecodeRSS, DecodeVULDEF} {
			records, _, _ := decode(d, doc)
			for _, r := range records {
				if r.Source != Source || !jvndbID.MatchString(r.ID) || len(r.Vulnerabilities) == 0 || slices.Contains(r.Vulnerabilities, "") {
					t.Errorf("incomplete record %+v", r)
				}
			}
		}
	})
}
