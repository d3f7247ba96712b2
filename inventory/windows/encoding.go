package windows

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"
)

// ErrNoText is the error of Decode for what is no text at all.
var ErrNoText = errors.New("neither UTF-8, UTF-16 nor Shift_JIS text")

// Decode turns what Windows consoles write into UTF-8. PowerShell's > writes UTF-16,
// cmd's > the console's code page (932 in Japanese, 437, 850 or 1252 elsewhere), and
// >> appends the one to a file that began as the other: such a file is read part by
// part.
func Decode(data []byte) (string, error) {
	if rest, ok := bytes.CutPrefix(data, []byte("\xfe\xff")); ok {
		text, err := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().Bytes(rest)
		return checked(string(text), err)
	}
	var b strings.Builder
	for len(data) > 0 {
		narrow, wide, rest := parts(data)
		b.WriteString(decodeNarrow(narrow))
		text, err := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder().Bytes(bytes.TrimPrefix(wide, []byte("\xff\xfe")))
		if err != nil {
			return "", ErrNoText
		}
		b.Write(text)
		data = rest
	}
	return checked(b.String(), nil)
}

// checked refuses what no console writes: control characters other than those that
// lay out text, and what could not be decoded.
func checked(text string, err error) (string, error) {
	if err != nil || strings.ContainsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || r < ' ' && !strings.ContainsRune("\t\n\v\f\r\x1a\x1b", r)
	}) {
		return "", ErrNoText
	}
	return text, nil
}

// parts cuts data into text of one byte per letter, UTF-16 after it, and the rest.
// In UTF-16 every letter of ASCII is followed by a zero byte, which no code page has.
func parts(data []byte) (narrow, wide, rest []byte) {
	start := 0
	if !bytes.HasPrefix(data, []byte("\xff\xfe")) {
		zero := bytes.IndexByte(data, 0)
		if zero < 1 {
			return data, nil, nil
		}
		// Letters before the first one of ASCII have no zero byte: UTF-16 began at the
		// start of that line, unless an odd number of bytes says otherwise.
		start = bytes.LastIndexByte(data[:zero-1], '\n') + 1
		if (zero-1-start)%2 != 0 {
			start = zero - 1
		}
	}
	end := wideEnd(data, start)
	return data[:start], data[start:end], data[end:]
}

// wideEnd is where the UTF-16 that begins at start ends: before a line that is none.
func wideEnd(data []byte, start int) int {
	for at := start; at+1 < len(data); at += 2 {
		if data[at] == '\n' && data[at+1] == 0 && narrowLine(data[at+2:]) {
			return at + 2
		}
	}
	return len(data)
}

// narrowLine tells whether data begins with a line of one byte per letter.
func narrowLine(data []byte) bool {
	end := bytes.IndexByte(data, '\n')
	return end > 0 && data[end-1] == '\r' && bytes.IndexByte(data[:end], 0) < 0
}

// decodeNarrow reads UTF-8 or a code page; line by line where a file has both.
func decodeNarrow(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if utf8.Valid(data) {
		return string(data)
	}
	var b strings.Builder
	for line := range bytes.Lines(data) {
		b.WriteString(decodeLine(line))
	}
	return b.String()
}

func decodeLine(line []byte) string {
	if utf8.Valid(line) {
		return string(line)
	}
	if text, err := japanese.ShiftJIS.NewDecoder().Bytes(line); err == nil && !bytes.ContainsRune(text, utf8.RuneError) {
		return string(text)
	}
	// Western code pages differ in letters only; labels and numbers are the same.
	text, err := charmap.Windows1252.NewDecoder().Bytes(line)
	if err != nil {
		return string(utf8.RuneError)
	}
	return strings.ReplaceAll(string(text), string(utf8.RuneError), "?")
}
