package report

import (
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/lang"
)

// FeedStatus writes what the store holds of each source and how old it is at now.
func FeedStatus(w io.Writer, sources []feed.SourceStatus, now time.Time, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Line(bold, p.T("feeds.heading"))
	if len(sources) == 0 {
		pg.Text(2, p.T("morning.feeds.none"))
		return pg.Err()
	}
	t := table{Indent: 2, Columns: []column{{}, {Head: p.T("head.source"), Flex: true}, {Head: p.T("head.records"), Right: true},
		{Head: p.T("head.rejected"), Right: true}, {Head: p.T("head.newest"), Flex: true}, {Head: p.T("head.imported"), Flex: true}}}
	rejected, stale := 0, false
	for _, s := range sortedFeeds(sources) {
		style, sign, newestText := plain, " ", p.T("feeds.undated")
		if !s.Newest.IsZero() {
			newestText = p.Age(now.Sub(s.Newest))
		}
		if old(s, now) {
			style, sign, stale = amber, "!", true
		}
		rejected += s.Rejected
		t.Add(style, sign, s.Source, p.Number(s.Records), p.Number(s.Rejected), newestText, p.Age(now.Sub(s.Imported)))
	}
	pg.Table(&t)
	if stale {
		pg.Item(2, "! ", p.T("feeds.stale"))
	}
	if rejected > 0 {
		pg.Text(2, p.T("feeds.rejected", rejected))
	}
	return pg.Err()
}

// Rejects writes every record that could not be taken: where it stands and why.
func Rejects(w io.Writer, rejects []feed.Reject, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Line(bold, p.T("rejects.heading", len(rejects)))
	for _, r := range rejects {
		at := r.Path
		if r.Entry != "" {
			at += " > " + r.Entry
		}
		if r.Offset > 0 {
			at += p.T("rejects.byte", strconv.FormatInt(r.Offset, 10))
		}
		pg.Flow(2, notEmpty(r.Source, r.ID, at), " / ")
		pg.Text(4, r.Reason)
	}
	return pg.Err()
}

// Outcomes writes what became of each file of an import, and the totals.
func Outcomes(w io.Writer, outcomes []feed.Outcome, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	perStatus := map[feed.Status]int{}
	records, rejected := 0, 0
	for _, o := range outcomes {
		perStatus[o.Status]++
		records += o.Records
		rejected += o.Rejected
		pg.outcome(o)
	}
	if len(outcomes) == 0 {
		pg.Text(0, p.T("import.nothing"))
		return pg.Err()
	}
	var counts []string
	for _, s := range []feed.Status{feed.Imported, feed.Unchanged, feed.LeftAlone, feed.Failed} {
		if perStatus[s] > 0 {
			counts = append(counts, p.T("import.count", pg.word("import.status.", string(s)), perStatus[s]))
		}
	}
	pg.Line(plain, "")
	pg.Text(0, p.T("import.totals", len(outcomes), pg.List(counts), records, rejected))
	if rejected > 0 {
		pg.Text(0, p.T("feeds.rejected", rejected))
	}
	return pg.Err()
}

func (p *page) outcome(o feed.Outcome) {
	style, sign := plain, "+"
	switch o.Status {
	case feed.Unchanged:
		style, sign = faint, "="
	case feed.LeftAlone:
		style, sign = faint, "-"
	case feed.Failed:
		style, sign = red, "!"
	}
	words := []string{p.word("import.status.", string(o.Status))}
	if o.Records > 0 || o.Status == feed.Imported {
		words = append(words, p.T("import.records", o.Records))
	}
	if o.Rejected > 0 {
		words = append(words, p.T("import.rejected", o.Rejected))
	}
	said := p.List(words)
	p.Sides(style, sign+" "+lang.CutStart(lang.Clean(o.File.Path), p.Width()-lang.Width(said)-3), said)
	var formats []string
	for _, f := range slices.Sorted(maps.Keys(o.Formats)) {
		formats = append(formats, p.T("import.format", string(f), o.Formats[f]))
	}
	if len(formats) > 0 {
		p.Text(4, p.List(formats))
	}
	for _, why := range slices.Sorted(maps.Keys(o.Left)) {
		p.Item(4, p.T("import.left", o.Left[why]), why)
	}
	if o.Err != "" {
		p.Text(4, strings.TrimSpace(o.Err))
	}
}
