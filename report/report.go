// Package report renders what triage, feeds and inventories found, for people and for
// programs: text pages in the administrator's language, and JSON, SARIF, OpenVEX and
// CycloneDX. Every function is pure: it takes values, the time included, and writes to
// an io.Writer; the same values give the same bytes. It promises that no line of a
// page is wider than asked for, that no meaning rests on colour alone, and that text
// from outside cannot command the terminal.
package report

import (
	"io"

	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/textpage"
)

// Page says how a text page is laid out. The zero value is 80 cells without colour.
type Page = textpage.Layout

// What every page here is made of.
type (
	table  = textpage.Table
	column = textpage.Column
	style  = textpage.Style
)

const (
	plain = textpage.Plain
	bold  = textpage.Bold
	red   = textpage.Red
	amber = textpage.Amber
	faint = textpage.Faint
)

// page is a text page that also knows the words of triage.
type page struct{ *textpage.Page }

func newPage(w io.Writer, p lang.Printer, layout Page) *page {
	return &page{textpage.New(w, p, layout)}
}
