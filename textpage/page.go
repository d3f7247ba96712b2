// Package textpage lays out text for a terminal: lines, wrapped text, tables and bars in
// the reader's language. It promises that no line is wider than the page, that no
// meaning rests on colour alone, and that text from outside cannot command the terminal.
package textpage

import (
	"io"
	"strings"

	"github.com/kannuki/kannuki/lang"
)

// Layout says how a text page is laid out. The zero value is 80 cells without colour.
type Layout struct {
	Width int // cells; 0 is 80, anything below 60 is 60
	Color bool
}

const (
	defaultWidth = 80
	minWidth     = 60
)

// Cells is the width the layout gives.
func (l Layout) Cells() int {
	if l.Width == 0 {
		return defaultWidth
	}
	return max(l.Width, minWidth)
}

// Style is an SGR sequence; it only ever underlines what words already say.
type Style string

// The styles.
const (
	Plain Style = ""
	Bold  Style = "1"
	Red   Style = "1;31"
	Amber Style = "33"
	Green Style = "32"
	Faint Style = "2"
)

// Page writes lines of text and keeps the first error.
type Page struct {
	lang.Printer
	w     io.Writer
	err   error
	width int
	color bool
}

// New starts a page on w in p's language.
func New(w io.Writer, p lang.Printer, layout Layout) *Page {
	return &Page{Printer: p, w: w, width: layout.Cells(), color: layout.Color}
}

// Width is the page's width in cells.
func (p *Page) Width() int { return p.width }

// Err is the first error of writing.
func (p *Page) Err() error { return p.err }

// Line writes one line, cut to the width. s is made safe to print first.
func (p *Page) Line(s Style, text string) {
	if p.err != nil {
		return
	}
	text = strings.TrimRight(lang.Cut(lang.Clean(text), p.width), " ")
	if p.color && s != Plain && text != "" {
		text = "\x1b[" + string(s) + "m" + text + "\x1b[0m"
	}
	_, p.err = io.WriteString(p.w, text+"\n")
}

// Text writes s wrapped to the width, every line indented.
func (p *Page) Text(indent int, s string) {
	for _, l := range lang.Wrap(lang.Clean(s), p.width-indent) {
		p.Line(Plain, strings.Repeat(" ", indent)+l)
	}
}

// Item writes s wrapped behind a label; following lines stand under the first's text.
func (p *Page) Item(indent int, label, s string) {
	label = strings.Repeat(" ", indent) + label
	room := p.width - lang.Width(label)
	if room < p.width/3 { // a label that leaves no room stands alone
		p.Line(Plain, label)
		p.Text(indent+2, s)
		return
	}
	for i, l := range lang.Wrap(lang.Clean(s), room) {
		if i > 0 {
			label = strings.Repeat(" ", lang.Width(label))
		}
		p.Line(Plain, label+l)
	}
}

// Flow writes items with separators between them, breaking lines between items where
// it can and inside one only where it must.
func (p *Page) Flow(indent int, items []string, separator string) {
	room := p.width - indent
	line := ""
	for i, item := range items {
		item = lang.Clean(item)
		if i < len(items)-1 {
			item += separator
		}
		if line != "" && lang.Width(line)+lang.Width(strings.TrimRight(item, " ")) > room {
			p.Text(indent, line)
			line = ""
		}
		line += item
	}
	if line != "" {
		p.Text(indent, line)
	}
}

// Heading starts a section: an empty line and the heading.
func (p *Page) Heading(s string) {
	p.Line(Plain, "")
	p.Line(Bold, s)
}

// Sides writes one line with left and right at the two margins.
func (p *Page) Sides(s Style, left, right string) {
	room := p.width - lang.Width(right) - 1
	p.Line(s, lang.Pad(lang.Cut(lang.Clean(left), room), room)+" "+right)
}

// List joins items the way the language lists things.
func (p *Page) List(items []string) string { return strings.Join(items, p.T("list.separator")) }

// Folded is the first n of items and how many more there are.
func (p *Page) Folded(items []string, n int) string {
	if len(items) <= n {
		return p.List(items)
	}
	return p.List(items[:n]) + p.T("list.more", len(items)-n)
}
