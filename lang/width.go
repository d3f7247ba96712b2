package lang

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

// Width is how many terminal cells s takes: two for East Asian wide and full-width
// characters, none for combining and other invisible ones, one for the rest (the
// ambiguous ones too).
func Width(s string) int {
	cells := 0
	for _, r := range s {
		cells += runeWidth(r)
	}
	return cells
}

func runeWidth(r rune) int {
	if r >= 0x20 && r < 0x7f {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc) || (r >= 0x1160 && r <= 0x11ff) {
		return 0 // combining, formatting, control; conjoining Hangul vowels and finals
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Clean makes text from outside safe to print on one line: line breaks and tabs become
// spaces; control characters (a terminal would obey them), direction overrides (they
// let text lie about its order) and invalid bytes become the replacement character.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Bidi_Control, r):
			return utf8.RuneError
		}
		return r
	}, s)
}

// Pad fills s with spaces on the right to cells; longer text stays.
func Pad(s string, cells int) string { return s + strings.Repeat(" ", max(0, cells-Width(s))) }

// PadLeft fills s with spaces on the left to cells; longer text stays.
func PadLeft(s string, cells int) string { return strings.Repeat(" ", max(0, cells-Width(s))) + s }

// Cut shortens s to at most cells, ending it with "…" where something was cut. It
// never cuts a wide character in half nor takes a combining mark from its letter.
func Cut(s string, cells int) string {
	if Width(s) <= cells {
		return s
	}
	if cells < 1 {
		return ""
	}
	head, _ := split(s, cells-1)
	return head + "…"
}

// CutStart shortens s to at most cells by cutting its beginning, as suits paths.
func CutStart(s string, cells int) string {
	if Width(s) <= cells {
		return s
	}
	if cells < 1 {
		return ""
	}
	over := Width(s) - (cells - 1)
	for over > 0 {
		n, w := character(s)
		s, over = s[n:], over-w
	}
	return "…" + s
}

// split divides s after the last whole character that fits into cells.
func split(s string, cells int) (head, tail string) {
	used, end := 0, 0
	for end < len(s) {
		n, w := character(s[end:])
		if used+w > cells {
			break
		}
		used += w
		end += n
	}
	return s[:end], s[end:]
}

// character is the byte length and width of the first rune of s with everything of no
// width that follows it.
func character(s string) (bytes, cells int) {
	r, n := utf8.DecodeRuneInString(s)
	cells = runeWidth(r)
	for n < len(s) {
		next, size := utf8.DecodeRuneInString(s[n:])
		if runeWidth(next) > 0 {
			break
		}
		n += size
	}
	return n, cells
}

// Characters that may not begin a Japanese line, and those that may not end one
// (the strict half of kinsoku shori).
const (
	noStart = "、。，．・：；？！）］｝」』】〕〉》ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ゛゜…‥％,.;:!?)]}"
	noEnd   = "（［｛「『【〔〈《([{"
)

// Wrap breaks s into lines of at most cells: between words, and between Japanese
// characters where kinsoku allows it. A line break in s stays one. A word longer than
// a line is broken anywhere rather than exceeding it; cells below 2 count as 2.
func Wrap(s string, cells int) []string {
	cells = max(cells, 2)
	var lines []string
	for _, paragraph := range strings.Split(s, "\n") {
		lines = append(lines, wrapParagraph(paragraph, cells)...)
	}
	return lines
}

func wrapParagraph(s string, cells int) []string {
	var lines []string
	line, used := "", 0
	for _, a := range atoms(s) {
		gap := 0
		if a.spaced && line != "" {
			gap = 1
		}
		w := Width(a.text)
		if line != "" && used+gap+w > cells {
			lines, line, used, gap = append(lines, line), "", 0, 0
		}
		for w > cells { // only ever at the start of a line
			head, tail := split(a.text, cells)
			lines = append(lines, head)
			a.text, w = tail, Width(tail)
		}
		line += strings.Repeat(" ", gap) + a.text
		used += gap + w
	}
	return append(lines, line)
}

// atom is a piece of text that is not broken, and whether a space comes before it.
type atom struct {
	text   string
	spaced bool
}

func atoms(s string) []atom {
	var list []atom
	var last rune // first rune of the previous character; 0 at a word's start
	spaced := false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == ' ' || r == '\t' {
			spaced, last = true, 0
			i += size
			continue
		}
		n, _ := character(s[i:])
		if last != 0 && !mayBreak(last, r) {
			list[len(list)-1].text += s[i : i+n]
		} else {
			list = append(list, atom{s[i : i+n], spaced})
		}
		spaced, last = false, r
		i += n
	}
	return list
}

// mayBreak tells whether a line may end after a and begin with b, two neighbours
// without a space between them.
func mayBreak(a, b rune) bool {
	if runeWidth(a) < 2 && runeWidth(b) < 2 {
		return false
	}
	return !strings.ContainsRune(noStart, b) && !strings.ContainsRune(noEnd, a)
}
