package msrc

import (
	"html"
	"strings"
)

// blockTags end a line; of what they hold nothing else is kept but the text.
var blockTags = map[string]bool{
	"p": true, "br": true, "div": true, "li": true, "ul": true, "ol": true, "tr": true, "table": true, "pre": true,
	"h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "blockquote": true,
}

// plainText reduces the HTML of a note to text: tags are dropped, blocks become lines,
// character references are decoded, runs of white space become one space. A "<" that
// starts no tag is kept as it is, and so are the lines of a text without markup.
func plainText(s string) string {
	if strings.Contains(s, "</") || strings.Contains(s, "<br") {
		s = strings.ReplaceAll(s, "\n", " ")
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		name, length := tagAt(s)
		switch {
		case length == 0:
			b.WriteByte('<')
			length = 1
		case blockTags[name]:
			b.WriteByte('\n')
		case name == "td" || name == "th":
			b.WriteByte(' ')
		}
		s = s[length:]
	}
	b.WriteString(s)
	return tidyLines(html.UnescapeString(b.String()))
}

// tagAt reads the tag or comment s begins with: its lower-case name and its length in
// bytes, 0 where "<" begins none.
func tagAt(s string) (string, int) {
	if strings.HasPrefix(s, "<!--") {
		if end := strings.Index(s, "-->"); end >= 0 {
			return "", end + len("-->")
		}
		return "", 0
	}
	name := strings.TrimPrefix(s[1:], "/")
	n := 0
	for n < len(name) && isNameByte(name[n]) {
		n++
	}
	end := strings.IndexByte(s, '>')
	if n == 0 || end < 0 {
		return "", 0
	}
	return strings.ToLower(name[:n]), end + 1
}

func isNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// tidyLines joins the words of every line by one space and drops empty lines.
func tidyLines(s string) string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			lines = append(lines, strings.Join(words, " "))
		}
	}
	return strings.Join(lines, "\n")
}
