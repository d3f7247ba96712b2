package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/lang"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares got with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./report -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); if it should, write it with: go test ./report -update\n%s", path, diff)
	}
}

// pageCase is one text page with its ordinary and its worst content.
type pageCase struct {
	name         string
	usual, nasty func(w io.Writer, p lang.Printer, layout Page) error
}

func render(t *testing.T, f func(io.Writer, lang.Printer, Page) error, language string, layout Page) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b, lang.New(language), layout); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPagesReadAsWritten(t *testing.T) {
	for _, c := range pages {
		for _, l := range lang.Languages {
			t.Run(c.name+"/"+l, func(t *testing.T) { golden(t, c.name+"."+l, render(t, c.usual, l, Page{})) })
		}
	}
}

func TestNoLineIsWiderThanThePage(t *testing.T) {
	for _, c := range pages {
		for _, l := range lang.Languages {
			for _, width := range []int{0, 1, 60, 61, 73, 80, 120, 200} {
				layout := Page{Width: width}
				for _, f := range []func(io.Writer, lang.Printer, Page) error{c.usual, c.nasty} {
					for _, line := range strings.Split(string(render(t, f, l, layout)), "\n") {
						if w := lang.Width(line); w > layout.Cells() {
							t.Errorf("%s in %s at %d: %d cells: %q", c.name, l, width, w, line)
						}
					}
				}
			}
		}
	}
}

func TestTextFromOutsideCannotCommandTheTerminal(t *testing.T) {
	for _, c := range pages {
		for _, l := range lang.Languages {
			out := string(render(t, c.nasty, l, Page{}))
			if !utf8.ValidString(out) {
				t.Errorf("%s in %s is not valid UTF-8", c.name, l)
			}
			for _, r := range out {
				if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
					t.Errorf("%s in %s contains %U", c.name, l, r)
					break
				}
			}
		}
	}
}

func TestColourAddsNoWords(t *testing.T) {
	strip := strings.NewReplacer("\x1b[1m", "", "\x1b[1;31m", "", "\x1b[33m", "", "\x1b[2m", "", "\x1b[0m", "")
	for _, c := range pages {
		coloured := string(render(t, c.usual, "en", Page{Color: true}))
		if !strings.Contains(coloured, "\x1b[") {
			t.Errorf("%s has no colour at all", c.name)
		}
		if diff := cmp.Diff(string(render(t, c.usual, "en", Page{})), strip.Replace(coloured)); diff != "" {
			t.Errorf("%s: without its colours the page differs:\n%s", c.name, diff)
		}
	}
}

// brokenWriter fails after n writes, as a closed pipe does.
type brokenWriter struct{ n int }

func (b *brokenWriter) Write(data []byte) (int, error) {
	if b.n--; b.n < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(data), nil
}

func TestAWriteErrorIsReported(t *testing.T) {
	for _, c := range pages {
		if err := c.usual(&brokenWriter{2}, lang.New("en"), Page{}); err != io.ErrClosedPipe {
			t.Errorf("%s: error %v, want %v", c.name, err, io.ErrClosedPipe)
		}
	}
}
