package feed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/vuln"
)

func TestEveryFormatIsRecognisedByItsContentInEveryPacking(t *testing.T) {
	long := zstd.WithWindowSize(128 << 20)
	for format, doc := range plainDocs {
		for packing, data := range map[string]string{
			"plain": doc, "after a byte order mark": "\xef\xbb\xbf" + doc, "gz": gzOf(t, doc), "zst": zstOf(t, doc), "zst long": zstOf(t, doc, long),
			"gz in zst": zstOf(t, gzOf(t, doc)), "zip": zipOf(t, file{"a", doc}), "tar": tarOf(t, file{"a", doc}),
			"tar.gz": gzOf(t, tarOf(t, file{"a", doc})), "tar.zst": zstOf(t, tarOf(t, file{"a", doc})), "zip in gz": gzOf(t, zipOf(t, file{"a", doc})),
			"zip in tar": tarOf(t, file{"z", zipOf(t, file{"a", doc})}), "gz in zip": zipOf(t, file{"a.gz", gzOf(t, doc)}),
		} {
			m, out := load(t, "nothing.bin", data, nil)
			if out.Status != Imported || out.Formats[format] != 1 || out.Records != 1 || out.Rejected != 0 || len(m.records)+len(m.scores) != 1 {
				t.Errorf("%s as %s: %+v, %d kept", format, packing, out, len(m.records)+len(m.scores))
			}
		}
	}
}

func TestFileCutOffIsNeverCommitted(t *testing.T) {
	type cutCase struct{ name, data string }
	var cases []cutCase
	for format, doc := range plainDocs {
		cases = append(cases, cutCase{string(format), strings.TrimRight(doc, "\n")})
	}
	// Of CSV and JSON lines the end of the last line belongs to the file.
	cases = append(cases, cutCase{"csv with its last newline", kevCSV}, cutCase{"lines with their last newline", nativeDoc})
	docs := []file{{"a.json", osvDoc("CVE-2031-10001")}, {"b.json", nvdDoc(20)}, {"c.txt", strings.Repeat("text ", 300)}}
	cases = append(cases,
		cutCase{"gz", gzOf(t, nvdDoc(20))}, cutCase{"zst", zstOf(t, nvdDoc(20))}, cutCase{"zip", zipOf(t, docs...)}, cutCase{"tar", tarOf(t, docs...)},
		cutCase{"tar.gz", gzOf(t, tarOf(t, docs...))}, cutCase{"tar.zst", zstOf(t, tarOf(t, docs...))}, cutCase{"zip.gz", gzOf(t, zipOf(t, docs...))},
		cutCase{"epss gz between rows", gzOf(t, epssDoc)})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cuts := map[int]bool{0: true, 1: true, len(c.data) - 1: true, len(c.data) - 2: true, len(c.data) - 512: true}
			for i := range 24 {
				cuts[len(c.data)*i/24] = true
			}
			for cut := range cuts {
				if cut < 0 || (strings.HasSuffix(c.name, "csv") || c.name == "csv with its last newline") && cut > 0 && c.data[cut-1] == '\n' {
					continue // between two lines of a bare CSV nothing tells
				}
				m, out := load(t, "x", c.data[:cut], nil)
				if m.commits != 0 || out.Status == Imported || len(m.records)+len(m.scores) != 0 {
					t.Errorf("cut at %d of %d: %+v", cut, len(c.data), out)
				}
				if out.Status == Failed && !strings.Contains(out.Err, out.File.Path) {
					t.Errorf("cut at %d: the error does not name the file: %s", cut, out.Err)
				}
			}
		})
	}
}

func TestDamagedContainerFailsTheWholeFile(t *testing.T) {
	docs := []file{{"a.json", osvDoc("CVE-2031-10001")}, {"b.json", osvDoc("CVE-2031-10002")}}
	stored := tarOf(t, docs...)
	for name, data := range map[string]string{
		"gz checksum":   flip(gzOf(t, stored), -6),
		"zst checksum":  flip(zstOf(t, stored), -2),
		"zip checksum":  zipWithWrongSum(t, docs...),
		"tar header":    flip(stored, 1024+3),
		"gz then noise": gzOf(t, stored) + "noise",
	} {
		m, out := load(t, "x", data, nil)
		if out.Status != Failed || m.commits != 0 || out.Err == "" {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

// flip changes one bit of a byte; a negative place counts from the end.
func flip(data string, at int) string {
	b := []byte(data)
	if at < 0 {
		at += len(b)
	}
	b[at] ^= 1
	return string(b)
}

// zipWithWrongSum damages the checksum of the last member in the directory.
func zipWithWrongSum(t *testing.T, files ...file) string {
	data := zipOf(t, files...)
	at := strings.LastIndex(data, "PK\x01\x02")
	return flip(data, at+16)
}

func TestBrokenMemberIsRejectedAndTheOthersStand(t *testing.T) {
	good := file{"good.json", osvDoc("CVE-2031-10001")}
	innerTar := tarOf(t, file{"one.json", osvDoc("CVE-2031-20001")}, file{"two.json", osvDoc("CVE-2031-20002")})
	for _, c := range []struct {
		name   string
		member file
		source string
		reason string
	}{
		{"a whole feed that is cut off", file{"nvd.json", nvdDoc(700)[:50000]}, "nvd", "cut off"},
		{"a whole feed whose count differs", file{"nvd.json", strings.Replace(nvdDoc(700), `"700"`, `"701"`, 1)}, "nvd", "but 700 items came"},
		{"one record that is cut off", file{"o.json", osvDoc("CVE-2031-30001")[:150]}, "osv", "cut off"},
		{"a compressed feed that is cut off", file{"n.gz", gzOf(t, nvdDoc(700))[:600]}, "", "gz: cut off"},
		{"an inner archive with a wrong checksum", file{"t.tgz", flip(gzOf(t, innerTar), -6)}, "", "gz: damaged"},
		{"an inner archive that is cut off", file{"t.tar", innerTar[:len(innerTar)-1024]}, "", "tar: cut off"},
		{"an inner zip without its directory", file{"z.zip", zipOf(t, file{"one.json", osvDoc("CVE-2031-20001")})[:100]}, "", "no central directory"},
		{"XML that defines an entity", file{"b.xml", strings.Replace(strings.Replace(cvrfDoc, "<cvrf:cvrfdoc",
			`<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b "&a;&a;">]><cvrf:cvrfdoc`, 1), "Lantern fire", "&b;", 1)}, "msrc", "entity"},
	} {
		for packing, data := range map[string]string{
			"tar.zst": zstOf(t, tarOf(t, good, c.member, file{"last.json", osvDoc("CVE-2031-10009")})),
			"zip":     zipOf(t, good, c.member, file{"last.json", osvDoc("CVE-2031-10009")}),
		} {
			m, out := load(t, "bag", data, nil)
			if out.Status != Imported || out.Records != 2 || len(m.records) != 2 || out.Rejected != 1 || len(m.rejects) != 1 {
				t.Errorf("%s in %s: %+v, kept %d records, rejects %+v", c.name, packing, out, len(m.records), m.rejects)
				continue
			}
			r := m.rejects[0]
			if r.Entry != c.member.name || r.Source != c.source || !strings.Contains(r.Reason, c.reason) || r.Path != out.File.Path {
				t.Errorf("%s in %s: %+v, want entry %q, source %q, reason %q", c.name, packing, r, c.member.name, c.source, c.reason)
			}
			if out.Formats[OSV] != 2 || len(out.Formats) != 1 {
				t.Errorf("%s in %s: formats %v count what was not taken", c.name, packing, out.Formats)
			}
		}
	}
}

func TestMemberTooBigToHoldBackFailsTheFileWhenItTurnsOutBroken(t *testing.T) {
	small := func(l *limits) { l.held = 100 * recordWeight }
	bag := func(nvd string) string { return zipOf(t, file{"nvd.json", nvd}, file{"o.json", osvDoc("DSA-9001-1")}) }
	if m, out := load(t, "bag", bag(nvdDoc(5000)), small); out.Status != Imported || len(m.records) != 5001 {
		t.Errorf("sound: %+v, kept %d records", out, len(m.records))
	}
	broken := strings.Replace(nvdDoc(5000), `"5000"`, `"5001"`, 1)
	if m, out := load(t, "bag", bag(broken), small); out.Status != Failed || m.commits != 0 || !strings.Contains(out.Err, "but 5000 items came") {
		t.Errorf("broken: %+v", out)
	}
}

func TestArchivesInArchivesAreReadToTheBound(t *testing.T) {
	doc := file{"d.json", osvDoc("CVE-2031-10001")}
	three := zstOf(t, tarOf(t, file{"b.tar.gz", gzOf(t, tarOf(t, file{"c.zip", zipOf(t, doc)}))}))
	m, out := load(t, "three.tar.zst", three, nil)
	if out.Status != Imported || len(m.records) != 1 || out.Rejected != 0 {
		t.Errorf("three archives: %+v", out)
	}
	m, out = load(t, "four.tar", tarOf(t, file{"a.tar.zst", three}, doc), nil)
	if out.Status != Imported || len(m.records) != 1 || len(m.rejects) != 1 || !strings.Contains(m.rejects[0].Reason, "more than 3 archives") {
		t.Errorf("four archives: %+v, rejects %+v", out, m.rejects)
	}
	if want := "a.tar.zst!/b.tar.gz!/c.zip"; len(m.rejects) == 1 && m.rejects[0].Entry != want {
		t.Errorf("rejected %q, want %q", m.rejects[0].Entry, want)
	}
	if _, out := load(t, "x.gz", gzOf(t, gzOf(t, gzOf(t, nvdDoc(1)))), nil); out.Status != Failed || !strings.Contains(out.Err, "layers of compression") {
		t.Errorf("gz in gz in gz: %+v", out)
	}
}

func TestBombsAreRefused(t *testing.T) {
	zeros := strings.Repeat("\x00", 110<<20)
	docs := make([]file, 50)
	for i := range docs {
		docs[i] = file{cveID(i) + ".json", osvDoc(cveID(i))}
	}
	for _, c := range []struct {
		name, data string
		adjust     func(*limits)
		want       string
	}{
		{"ratio of a gz", gzOf(t, zeros), nil, "over 1000:1"},
		{"ratio of a zip member nobody would read", zipOf(t, file{"zeros", zeros}), nil, "over 1000:1"},
		{"ratio inside a tar of sound documents", zstOf(t, tarOf(t, append(docs, file{"zeros.gz", gzOf(t, zeros)})...)), nil, "over 1000:1"},
		{"bytes in all", gzOf(t, tarOf(t, docs...)), func(l *limits) { l.unpacked = 20000 }, "unpacks to more than 20000 bytes"},
		{"bytes of one document", gzOf(t, nvdDoc(100)), func(l *limits) { l.member = 5000 }, "larger than 5000 bytes"},
		{"bytes of one plain document", nvdDoc(100), func(l *limits) { l.member = 5000 }, "larger than 5000 bytes"},
		{"members of a tar", tarOf(t, docs...), func(l *limits) { l.members = 49 }, "more than 49 archive members"},
		{"members of a zip", zipOf(t, docs...), func(l *limits) { l.members = 49 }, "more than 49 archive members"},
		{"members of archives together", tarOf(t, file{"a.zip", zipOf(t, docs[:25]...)}, file{"b.zip", zipOf(t, docs[25:]...)}),
			func(l *limits) { l.members = 49 }, "more than 49 archive members"},
	} {
		m, out := load(t, "bomb", c.data, c.adjust)
		if out.Status != Failed || m.commits != 0 || !strings.Contains(out.Err, c.want) || !strings.Contains(out.Err, "refused") {
			t.Errorf("%s: %+v, want %q", c.name, out, c.want)
		}
	}
}

func TestZipInsideSomethingIsHeldInMemoryOnlyToTheBound(t *testing.T) {
	big := zipOf(t, file{"a.json", osvDoc("CVE-2031-10001")})
	m, out := load(t, "x.tar", tarOf(t, file{"big.zip", big}, file{"b.json", osvDoc("CVE-2031-10002")}), func(l *limits) { l.inner = int64(len(big)) - 1 })
	if out.Status != Imported || len(m.records) != 1 || len(m.rejects) != 1 || !strings.Contains(m.rejects[0].Reason, "unpack the outer archive first") {
		t.Errorf("%+v, rejects %+v", out, m.rejects)
	}
}

func TestZipMemberLargerThanItsDirectorySaysIsRefused(t *testing.T) {
	data := zipOf(t, file{"a.json", osvDoc("CVE-2031-10001")})
	at := strings.LastIndex(data, "PK\x01\x02")
	lie := []byte(data)
	lie[at+24], lie[at+25] = 10, 0 // uncompressed size
	if m, out := load(t, "x.zip", string(lie), nil); out.Status != Failed || m.commits != 0 || !strings.Contains(out.Err, "directory") {
		t.Errorf("%+v", out)
	}
}

func TestMemberNamesThatLeadOutOfTheArchiveAreRefused(t *testing.T) {
	doc := osvDoc("CVE-2031-10001")
	for _, name := range []string{"/etc/x.json", "../x.json", "a/../../x.json", "a/..", `..\x.json`, `\x.json`, `C:\x.json`, `c:x.json`} {
		for packing, data := range map[string]string{
			"tar": tarOf(t, file{name, doc}, file{"ok..json", osvDoc("CVE-2031-10002")}),
			"zip": zipOf(t, file{name, doc}, file{"ok..json", osvDoc("CVE-2031-10002")}),
		} {
			m, out := load(t, "x", data, nil)
			if out.Status != Imported || len(m.records) != 1 || len(m.rejects) != 1 || !strings.HasSuffix(m.rejects[0].Reason, "refused") {
				t.Errorf("%q in %s: %+v, rejects %+v", name, packing, out, m.rejects)
			}
		}
	}
}

func TestWhatIsNoFeedIsLeftAloneWithAReason(t *testing.T) {
	m, out := load(t, "notes.tar", tarOf(t, file{"a.html", "<!DOCTYPE html><html></html>"}, file{"b.yml", "key: value\n"}, file{"c", ""}), nil)
	if out.Status != LeftAlone || m.commits != 0 || len(out.Left) != 3 || out.Left["HTML page"] != 1 || out.Left["YAML"] != 1 || out.Left["empty"] != 1 {
		t.Errorf("%+v", out)
	}
	m, out = load(t, "mixed.tar", tarOf(t, file{"a.html", "<html>"}, file{"b", osvDoc("CVE-2031-10001")}), nil)
	if out.Status != Imported || len(m.records) != 1 || out.Left["HTML page"] != 1 {
		t.Errorf("%+v", out)
	}
}

func TestFolderIsWalkedInOrderAndNotLeft(t *testing.T) {
	root, outside := t.TempDir(), write(t, "outside.json", osvDoc("CVE-2031-90001"))
	put := func(name, data string) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put("b.json", osvDoc("CVE-2031-10002"))
	put("a/z.json", osvDoc("CVE-2031-10001"))
	put("broken.json", osvDoc("CVE-2031-10003")[:150])
	put(".hidden", osvDoc("CVE-2031-10004"))
	put(".git/x.json", osvDoc("CVE-2031-10005"))
	if err := errors.Join(os.Symlink(outside, filepath.Join(root, "link.json")), os.Symlink(filepath.Dir(outside), filepath.Join(root, "linkdir")),
		syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600)); err != nil {
		t.Fatal(err)
	}
	m := newMemory()
	link := filepath.Join(t.TempDir(), "root") // a folder given by a link is followed
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	outs, err := Import(context.Background(), []string{link, filepath.Join(root, "nowhere")}, m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outs {
		got = append(got, strings.TrimPrefix(strings.TrimPrefix(o.File.Path, link), root)+" "+string(o.Status))
	}
	want := []string{"/.git left", "/.hidden left", "/a/z.json imported", "/b.json imported", "/broken.json failed",
		"/link.json left", "/linkdir left", "/pipe left", "/nowhere failed"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(m.records) != 2 {
		t.Errorf("kept %d records, want 2", len(m.records))
	}
}

func TestUnchangedFileIsNotReadAgain(t *testing.T) {
	m := newMemory()
	path := write(t, "x.json", osvDoc("CVE-2031-10001"))
	for i, want := range []Status{Imported, Unchanged} {
		outs, err := Import(context.Background(), []string{path}, m, Options{})
		if err != nil || len(outs) != 1 || outs[0].Status != want || len(outs[0].File.SHA256) != 64 {
			t.Errorf("time %d: %+v, %v; want %s", i, outs, err, want)
		}
	}
}

func TestRecordsComeInTheOrderOfTheFile(t *testing.T) {
	var docs []file
	for i := range 3000 {
		docs = append(docs, file{cveID(i), osvDoc(cveID(i))})
	}
	docs = slices.Insert(docs, 1500, file{"big", nvdDoc(60000)}) // larger than what is read into memory
	for packing, data := range map[string]string{"zip": zipOf(t, docs...), "tar": tarOf(t, docs...)} {
		m, next := newMemory(), 0
		m.countOnly = true
		m.onRecord = func(r vuln.Record) error {
			if r.Source == "osv/debian" {
				if r.ID != cveID(next) {
					t.Fatalf("%s: got %s, want %s", packing, r.ID, cveID(next))
				}
				next++
			}
			return nil
		}
		if _, err := Import(context.Background(), []string{write(t, "x", data)}, m, Options{}); err != nil || next != 3000 {
			t.Errorf("%s: %d records in order, %v", packing, next, err)
		}
	}
}

func TestCancelRollsBackAndEndsSoon(t *testing.T) {
	var docs []file
	for i := range 5000 {
		docs = append(docs, file{cveID(i), osvDoc(cveID(i))})
	}
	before := runtime.NumGoroutine()
	for packing, data := range map[string]string{"zip": zipOf(t, docs...), "tar.gz": gzOf(t, tarOf(t, docs...)), "one document": nvdDoc(20000)} {
		ctx, cancel := context.WithCancel(context.Background())
		m, seen := newMemory(), 0
		m.onRecord = func(vuln.Record) error {
			if seen++; seen == 10 {
				cancel()
			}
			return nil
		}
		outs, err := Import(ctx, []string{write(t, "x", data), write(t, "y", data)}, m, Options{})
		if !errors.Is(err, context.Canceled) || len(outs) != 0 || m.commits != 0 || m.rollbacks != 1 {
			t.Errorf("%s: %v, %+v, %d commits, %d rollbacks", packing, err, outs, m.commits, m.rollbacks)
		}
		if seen > 2000 {
			t.Errorf("%s: %d records after the end was asked for", packing, seen-10)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}

func TestFailureOfTheSinkStopsTheImport(t *testing.T) {
	full := errors.New("disk full")
	m := newMemory()
	m.onRecord = func(r vuln.Record) error {
		if r.ID == cveID(3) {
			return full
		}
		return nil
	}
	first, second := write(t, "a.json", osvDoc("DSA-9001-1")), write(t, "b.json", nvdDoc(5000))
	outs, err := Import(context.Background(), []string{first, second, first}, m, Options{})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), second) || len(outs) != 1 || m.commits != 1 || m.rollbacks != 1 {
		t.Errorf("%v, %d outcomes, %d commits, %d rollbacks", err, len(outs), m.commits, m.rollbacks)
	}
}

func TestFileThatGrowsWhileItIsReadIsNotTaken(t *testing.T) {
	path := write(t, "x.json", osvDoc("CVE-2031-10001"))
	m := newMemory()
	m.onRecord = func(vuln.Record) error {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString("\n")
		return errors.Join(err, f.Close())
	}
	outs, err := Import(context.Background(), []string{path}, m, Options{})
	if err != nil || outs[0].Status != Failed || m.commits != 0 || !strings.Contains(outs[0].Err, "changed while it was read") {
		t.Errorf("%+v, %v", outs, err)
	}
}

func TestProgressGoesFromNothingToAllBytes(t *testing.T) {
	var docs []file
	for i := range 2000 {
		docs = append(docs, file{cveID(i), osvDoc(cveID(i))})
	}
	paths := []string{write(t, "a.zip", zipOf(t, docs...)), write(t, "b.tar.gz", gzOf(t, tarOf(t, docs...))), write(t, "c.txt", "text")}
	total := int64(0)
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	last, calls := int64(0), 0
	_, err := Import(context.Background(), paths, newMemory(), Options{Progress: func(done, of int64, name string) {
		if calls++; done < last || done > of || of != total || !slices.Contains(paths, name) {
			t.Errorf("progress %d of %d for %s after %d, total %d", done, of, name, last, total)
		}
		last = done
	}})
	if err != nil || last != total || calls < 6 {
		t.Errorf("%v, ended at %d of %d after %d calls", err, last, total, calls)
	}
}
