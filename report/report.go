// Package report renders what triage, feeds and inventories found, for people and for
// programs: text pages in the administrator's language, and JSON, SARIF, OpenVEX and
// CycloneDX. Every function is pure: it takes values, the time included, and writes to
// an io.Writer; the same values give the same bytes. It promises that no line of a
// page is wider than asked for, that no meaning rests on colour alone, and that text
// from outside cannot command the terminal.
package report

import (
	"io"
	"strings"

	"github.com/kannuki/kannuki/lang"
)

// Page says how a text page is laid out. The zero value is 80 cells without colour.
type Page struct {
	Width int // cells; 0 is 80, anything below 60 is 60
	Color bool
}

const (
	defaultWidth = 80
	minWidth     = 60
)

func (p Page) width() int {
	if p.Width == 0 {
		return defaultWidth
	}
	return max(p.Width, minWidth)
}

// style is an SGR sequence; it only ever underlines what words already say.
type style string

const (
	plain style = ""
	bold  style = "1"
	red   style = "1;31"
	amber style = "33"
	faint style = "2"
)

// page writes lines of text and keeps the first error.
type page struct {
	lang.Printer
	w     io.Writer
	err   error
	width int
	color bool
}

func newPage(w io.Writer, p lang.Printer, layout Page) *page {
	return &page{Printer: p, w: w, width: layout.width(), color: layout.Color}
}

// line writes one line, cut to the width. s is made safe to print first.
func (p *page) line(s style, text string) {
	if p.err != nil {
		return
	}
	text = strings.TrimRight(lang.Cut(lang.Clean(text), p.width), " ")
	if p.color && s != plain && text != "" {
		text = "\x1b[" + string(s) + "m" + text + "\x1b[0m"
	}
	_, p.err = io.WriteString(p.w, text+"\n")
}

// text writes s wrapped to the width, every line indented.
func (p *page) text(indent int, s string) {
	for _, l := range lang.Wrap(lang.Clean(s), p.width-indent) {
		p.line(plain, strings.Repeat(" ", indent)+l)
	}
}

// item writes s wrapped behind a label; following lines stand under the first's text.
func (p *page) item(indent int, label, s string) {
	label = strings.Repeat(" ", indent) + label
	room := p.width - lang.Width(label)
	if room < p.width/3 { // a label that leaves no room stands alone
		p.line(plain, label)
		p.text(indent+2, s)
		return
	}
	for i, l := range lang.Wrap(lang.Clean(s), room) {
		if i > 0 {
			label = strings.Repeat(" ", lang.Width(label))
		}
		p.line(plain, label+l)
	}
}

// flow writes items with separators between them, breaking lines between items where
// it can and inside one only where it must.
func (p *page) flow(indent int, items []string, separator string) {
	room := p.width - indent
	line := ""
	for i, item := range items {
		item = lang.Clean(item)
		if i < len(items)-1 {
			item += separator
		}
		if line != "" && lang.Width(line)+lang.Width(strings.TrimRight(item, " ")) > room {
			p.text(indent, line)
			line = ""
		}
		line += item
	}
	if line != "" {
		p.text(indent, line)
	}
}

// heading starts a section: an empty line and the heading.
func (p *page) heading(s string) {
	p.line(plain, "")
	p.line(bold, s)
}

// sides writes one line with left and right at the two margins.
func (p *page) sides(s style, left, right string) {
	room := p.width - lang.Width(right) - 1
	p.line(s, lang.Pad(lang.Cut(lang.Clean(left), room), room)+" "+right)
}

// list joins items the way the language lists things.
func (p *page) list(items []string) string { return strings.Join(items, p.T("list.separator")) }

// folded is the first n of items and how many more there are.
func (p *page) folded(items []string, n int) string {
	if len(items) <= n {
		return p.list(items)
	}
	return p.list(items[:n]) + p.T("list.more", len(items)-n)
}
