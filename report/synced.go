package report

import (
	"fmt"
	"io"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/lang"
)

// Synced tells what became of every source of a feed sync: a line each, and under it
// what went wrong or is worth knowing.
func Synced(w io.Writer, outcomes []feed.SyncOutcome, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Line(bold, p.T("synced.title"))
	for _, o := range outcomes {
		s := plain
		if o.Status == feed.Failed {
			s = red
		}
		pg.Line(s, fmt.Sprintf("  %s %s %s", lang.Pad(p.T("synced."+string(o.Status)), 10), lang.Pad(o.Source, 16),
			p.T("synced.files", len(o.Changed), size(o.Bytes))))
		for _, note := range append(o.Notes, o.Err) {
			if note != "" {
				pg.Text(4, note)
			}
		}
	}
	return pg.Err()
}

// size is a number of bytes as people read it.
func size(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
}
