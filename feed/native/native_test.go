package native

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/kannuki/kannuki/vuln"
)

func decode(text string) (records []vuln.Record, rejects []string, err error) {
	err = Decode(strings.NewReader(text),
		func(r vuln.Record) error { records = append(records, r); return nil },
		func(_ int64, id, reason string) error { rejects = append(rejects, id+": "+reason); return nil })
	return records, rejects, err
}

const head = `{"kannuki":"records","version":1}` + "\n"

func sample() []vuln.Record {
	return []vuln.Record{{
		Source: "sample", ID: "CVE-2031-10001", Vulnerabilities: []string{"CVE-2031-10001"},
		Published:  time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC),
		Texts:      []vuln.Text{{Lang: "ja", Title: "提灯 <燃える>", Details: "芯が & 残る"}},
		Severities: []vuln.Severity{{Source: "sample", Version: "3.1", Vector: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8}},
		Affected:   []vuln.Affected{{Ecosystem: "Debian:12", Package: "lantern", SourcePackage: true, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: "1.2"}}}}}},
		Products:   []vuln.Product{{ID: "1", Name: "Lantern Server", Fixes: []vuln.Fix{{KB: "5000001", Supersedes: []string{"4999999"}}}}},
		KEV:        &vuln.KEV{Added: time.Date(2031, 1, 3, 0, 0, 0, 0, time.UTC), Ransomware: true},
	}, {
		Source: "osv/debian", ID: "DSA-9001-1", Vulnerabilities: []string{"CVE-2031-10001", "CVE-2031-10002"}, Withdrawn: time.Date(2031, 2, 2, 0, 0, 0, 0, time.UTC),
	}}
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	var file bytes.Buffer
	if err := Encode(&file, sample()); err != nil {
		t.Fatal(err)
	}
	got, rejects, err := decode(file.String())
	if err != nil || len(rejects) > 0 {
		t.Fatal(rejects, err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Error(diff)
	}
}

func TestFileWrittenHereCutAnywhereIsAnError(t *testing.T) {
	var file bytes.Buffer
	if err := Encode(&file, sample()); err != nil {
		t.Fatal(err)
	}
	for cut := range file.Len() {
		if _, _, err := decode(file.String()[:cut]); err == nil {
			t.Fatalf("cut at %d of %d: no error", cut, file.Len())
		}
	}
}

func TestRecordWrittenByHandIsAboutItsOwnID(t *testing.T) {
	got, rejects, err := decode(head + "\n" + `{"source":"sample","id":"X-1","modified":"2031-01-02T03:00:00+09:00"}` + "\n")
	want := []vuln.Record{{Source: "sample", ID: "X-1", Vulnerabilities: []string{"X-1"}, Modified: time.Date(2031, 1, 1, 18, 0, 0, 0, time.UTC)}}
	if err != nil || len(rejects) > 0 {
		t.Fatal(rejects, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnusableLinesAreRejectedAndTheOthersStand(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{`{"source":"sample"}`, ": no id"},
		{`{"id":"X-1"}`, `X-1: source ""`},
		{`{"id":"X-1","source":"Sample"}`, `X-1: source "Sample"`},
		{`{"id":"X-1","source":"sample","severty":[]}`, `json: unknown field "severty"`},
		{`{"id":"X-1","source":"sample"} {}`, "more than one value in the line"},
		{`{"id":"X-1",`, "unexpected EOF"},
	} {
		records, rejects, err := decode(head + c.line + "\n" + `{"source":"sample","id":"X-2"}` + "\n")
		if err != nil || len(records) != 1 || len(rejects) != 1 || !strings.Contains(rejects[0], c.want) {
			t.Errorf("%s: %d records, rejects %q, %v; want one of each, %q", c.line, len(records), rejects, err, c.want)
		}
	}
}

func TestBrokenFilesAreErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "cut off"},
		{`{"kannuki":"records","version":2}` + "\n", "format version 2; this kannuki reads version 1"},
		{`{"kannuki":"rows","version":1}` + "\n", "header: expected"},
		{`{"kannuki":"records","version":1,"recrods":1}` + "\n", "unknown field"},
		{`{"kannuki":"records","version":1,"records":2}` + "\n" + `{"source":"sample","id":"X-2"}` + "\n", "says 2 records, but 1 came"},
		{head + `{"source":"sample","id":"X-2"}`, "last line has no end"},
	} {
		if _, _, err := decode(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	var file bytes.Buffer
	if err := Encode(&file, sample()); err != nil {
		f.Fatal(err)
	}
	f.Add(file.String())
	f.Add(head + `{"source":"sample","id":"X-1"}` + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		records, _, err := decode(text)
		if err != nil || len(records) == 0 {
			return
		}
		var again bytes.Buffer
		if err := Encode(&again, records); err != nil {
			t.Skip(err) // a year outside of RFC 3339
		}
		back, rejects, err := decode(again.String())
		if err != nil || len(rejects) > 0 {
			t.Fatalf("%v %v from what was written: %s", rejects, err, again.String())
		}
		if diff := cmp.Diff(records, back, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}
