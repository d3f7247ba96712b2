package realdata

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"iter"
	"os"
	"path"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Open opens one file below the data folder until the test ends, unpacked where its name
// ends in .gz or .zst. Where the file is missing the test is skipped.
func Open(t testing.TB, name string) io.Reader {
	t.Helper()
	f, err := os.Open(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	switch path.Ext(name) {
	case ".gz":
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return z
	case ".zst":
		z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(z.Close)
		return z
	}
	return f
}

// Members are the files in a packed tar archive, by name and content, which is read
// before the next one is asked for.
func Members(t testing.TB, archive string) iter.Seq2[string, io.Reader] {
	t.Helper()
	unpacked := Open(t, archive)
	return func(yield func(string, io.Reader) bool) {
		for files := tar.NewReader(unpacked); ; {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", archive, err)
			}
			if h.Typeflag == tar.TypeReg && !yield(h.Name, files) {
				return
			}
		}
	}
}
