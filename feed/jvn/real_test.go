package jvn

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

func TestRealSamplesAreReadWithoutReject(t *testing.T) {
	f, err := os.Open(realdata.Path(t, "samples/vuls-data-update-fetch-fixtures.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	seen := map[string]vuln.Record{}
	files := 0
	for archive := tar.NewReader(z); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if base := path.Base(h.Name); strings.HasPrefix(base, "jvndb") && strings.HasSuffix(base, ".rdf") {
			files++
			readSample(t, h.Name, archive, seen)
		}
	}
	t.Logf("%d files, %d entries", files, len(seen))
	if files != 10 || len(seen) < 12 {
		t.Errorf("%d files, %d entries; want 10 and at least 12", files, len(seen))
	}
}

// readSample reads one sample of either form; an entry in two of them has one title.
func readSample(t *testing.T, name string, r io.Reader, seen map[string]vuln.Record) {
	d := DecodeRSS
	if strings.Contains(name, "detail") {
		d = DecodeVULDEF
	}
	err := d(r, func(rec vuln.Record) error {
		if len(rec.Texts) != 1 || rec.Texts[0].Lang != "ja" || rec.Texts[0].Title == "" || rec.Texts[0].Details == "" {
			t.Errorf("%s: %s: texts %+v; want a Japanese title and summary", name, rec.ID, rec.Texts)
		}
		if rec.Published.IsZero() || rec.Modified.Before(rec.Published) || len(rec.Severities) == 0 {
			t.Errorf("%s: %s: dates %v, %v, severities %v", name, rec.ID, rec.Published, rec.Modified, rec.Severities)
		}
		if old, ok := seen[rec.ID]; ok && old.Texts[0].Title != rec.Texts[0].Title {
			t.Errorf("%s: %s differs between samples", name, rec.ID)
		}
		seen[rec.ID] = rec
		return nil
	}, func(offset int64, id, reason string) error {
		t.Errorf("%s: byte %d: %s rejected: %s", name, offset, id, reason)
		return nil
	})
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}
