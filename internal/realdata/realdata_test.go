package realdata_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/internal/realdata"
)

// folder is a data folder with these files, packed as their names say.
func folder(t *testing.T, files map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("KANNUKI_DATA", dir)
	for name, content := range files {
		var packed bytes.Buffer
		var w io.WriteCloser
		switch filepath.Ext(name) {
		case ".gz":
			w = gzip.NewWriter(&packed)
		case ".zst":
			w, _ = zstd.NewWriter(&packed) // no option that could be wrong
		default:
			packed.Write(content)
		}
		if w != nil {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFilesAreUnpackedAsTheyAreNamed(t *testing.T) {
	folder(t, map[string][]byte{"a/x.json": []byte("plain"), "a/x.json.gz": []byte("gzip"), "a/x.xml.zst": []byte("zstd")})
	for name, want := range map[string]string{"a/x.json": "plain", "a/x.json.gz": "gzip", "a/x.xml.zst": "zstd"} {
		if got, err := io.ReadAll(realdata.Open(t, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestMembersAreTheFilesOfAnArchive(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []tar.Header{{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o700}, {Name: "d/a.json", Size: 1, Mode: 0o600}, {Name: "d/link", Typeflag: tar.TypeSymlink, Linkname: "a.json"},
		{Name: "d/b.json", Size: 1, Mode: 0o600}, {Name: "d/c.json", Size: 1, Mode: 0o600}} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	folder(t, map[string][]byte{"x.tar.zst": archive.Bytes()})
	var names []string
	for name, r := range realdata.Members(t, "x.tar.zst") {
		if content, err := io.ReadAll(r); err != nil || string(content) != "x" {
			t.Errorf("%s: %q, %v", name, content, err)
		}
		if names = append(names, name); len(names) == 2 {
			break
		}
	}
	if !slices.Equal(names, []string{"d/a.json", "d/b.json"}) {
		t.Errorf("%q", names)
	}
}

func TestItemsOfNVDAreReadOneByOne(t *testing.T) {
	folder(t, map[string][]byte{
		"nvd/nvdcve-1.1-2019.json.gz": []byte(`{"CVE_data_type": "CVE", "CVE_Items": [
			{"cve": {"CVE_data_meta": {"ID": "CVE-2019-1"}, "problemtype": {"problemtype_data": [{"description": [{"value": "CWE-79"}, {"value": "CWE-20"}]}]}},
			 "impact": {"baseMetricV3": {"cvssV3": {"vectorString": "three"}}, "baseMetricV2": {"cvssV2": {"vectorString": "two"}}}},
			{"cve": {"CVE_data_meta": {"ID": "CVE-2019-2"}}, "impact": {"baseMetricV2": {"cvssV2": {"vectorString": "two"}}}}]}`),
		"nvd/nvdcve-1.1-recent.json.gz": []byte(`{"CVE_Items": [{"cve": {"CVE_data_meta": {"ID": "CVE-2025-3"}}}]}`)})
	var got [][]string
	for item := range realdata.NVD11(t, "2019", "recent") {
		got = append(got, slices.Concat([]string{item.CVE.Meta.ID}, item.Weaknesses(), item.Vectors()))
	}
	want := [][]string{{"CVE-2019-1", "CWE-79", "CWE-20", "three", "two"}, {"CVE-2019-2", "two"}, {"CVE-2025-3"}}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%q, want %q", got, want)
	}
}
