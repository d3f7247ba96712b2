package lang

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestWidthCountsTerminalCells(t *testing.T) {
	for s, want := range map[string]int{
		"": 0, "abc": 3, "日本語": 6, "ｶﾅ": 2, "ＡＢ": 4, "e\u0301": 1, "か\u3099": 2, "a\u200bb": 2, "…": 1, "→": 1, "한글": 4, "\u1100\u1161": 2, "🔥": 2,
	} {
		if got := Width(s); got != want {
			t.Errorf("Width(%q) = %d, want %d", s, got, want)
		}
	}
}

func TestCutNeverBreaksACharacter(t *testing.T) {
	for _, c := range []struct {
		s     string
		cells int
		want  string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
		{"e\u0301e\u0301e\u0301", 2, "e\u0301…"}, {"日本", 1, "…"}, {"日本", 0, ""}, {"", 0, ""},
	} {
		if got := Cut(c.s, c.cells); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.s, c.cells, got, c.want)
		}
	}
}

func TestCutStartKeepsTheEnd(t *testing.T) {
	for _, c := range []struct {
		s     string
		cells int
		want  string
	}{
		{"/var/a.json", 11, "/var/a.json"}, {"/var/a.json", 7, "…a.json"}, {"日本語", 5, "…本語"}, {"日本語", 4, "…語"}, {"e\u0301e\u0301", 1, "…"}, {"abc", 0, ""},
	} {
		if got := CutStart(c.s, c.cells); got != c.want {
			t.Errorf("CutStart(%q, %d) = %q, want %q", c.s, c.cells, got, c.want)
		}
	}
}

func TestWrapBreaksEnglishAtWordsAndJapaneseByKinsoku(t *testing.T) {
	for _, c := range []struct {
		s     string
		cells int
		want  []string
	}{
		{"one two three", 7, []string{"one two", "three"}},
		{"one  two\nthree", 20, []string{"one two", "three"}},
		{"", 5, []string{""}},
		{"unbreakable", 4, []string{"unbr", "eaka", "ble"}},
		{"更新してください。", 16, []string{"更新してくださ", "い。"}},
		{"これは「例」です", 8, []string{"これは", "「例」で", "す"}},
		{"opensslを更新", 8, []string{"opensslを"[:7], "を更新"}},
		{"カード", 4, []string{"カー", "ド"}},
	} {
		if diff := cmp.Diff(c.want, Wrap(c.s, c.cells)); diff != "" {
			t.Errorf("Wrap(%q, %d):\n%s", c.s, c.cells, diff)
		}
	}
}

func TestCleanLeavesNothingATerminalObeys(t *testing.T) {
	got := Clean("a\x1b[31mb\nc\u202ed\x07\xff\u009b1m")
	if strings.ContainsAny(got, "\x1b\n\x07\u202e\u009b") || !utf8.ValidString(got) {
		t.Errorf("Clean left %q", got)
	}
	if want := "日本 か\u3099"; Clean(want) != want {
		t.Errorf("Clean changed %q to %q", want, Clean(want))
	}
}

// FuzzWrap: no line is too wide, none begins with what kinsoku forbids unless it had to
// be broken, and nothing but blanks is lost.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{"one two three", "更新してください。", "a、b。c", "「「「「「", "e\u0301 か\u3099\u3099", "long-word-without-end日本", "\u0301", "\xff\xfe"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, cells int) {
		if cells > 500 || len(s) > 2000 {
			t.Skip()
		}
		s = Clean(s)
		lines := Wrap(s, cells)
		for _, l := range lines {
			if Width(l) > max(cells, 2) {
				t.Errorf("line %q is %d cells, more than %d", l, Width(l), cells)
			}
		}
		if got, want := strings.ReplaceAll(strings.Join(lines, ""), " ", ""), strings.ReplaceAll(s, " ", ""); got != want {
			t.Errorf("text became %q, was %q", got, want)
		}
		if c := CutStart(s, cells); Width(c) > max(cells, 0) || !utf8.ValidString(c) {
			t.Errorf("CutStart(%q, %d) = %q", s, cells, c)
		}
		if c := Cut(s, cells); Width(c) > max(cells, 0) || !utf8.ValidString(c) {
			t.Errorf("Cut(%q, %d) = %q", s, cells, c)
		}
	})
}
