package feed

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/kannuki/kannuki/vuln"
)

// chunk is what a worker hands over in one go.
type chunk struct {
	records []vuln.Record
	scores  []vuln.EPSS
	rejects []Reject
	tallies []tally
	err     error // the whole file fails
}

// tally counts a document read (format) or something left alone (why).
type tally struct {
	format Format
	why    string
	n      int
}

// output collects what comes out of one top-level document or archive member. It
// holds it back until the member is known to be sound, so that a broken one leaves
// nothing behind.
type output struct {
	ctx  context.Context
	to   chan<- chunk
	path string
	// hold: wait for flush. Otherwise hand over as it comes: a failure fails the file anyway.
	hold  bool
	bound int // weight that may be held

	chunk
	weight  int
	flushes int
}

// mark is a place in the output to which cancel can go back.
type mark struct{ records, scores, rejects, tallies, weight, flushes int }

func (o *output) mark() mark {
	return mark{len(o.records), len(o.scores), len(o.rejects), len(o.tallies), o.weight, o.flushes}
}

// errHandedOver: what was to be taken back has gone on to the store already.
var errHandedOver = errors.New("it is too big to be held back until its end is seen")

// cancel takes back everything since m.
func (o *output) cancel(m mark) error {
	if m.flushes != o.flushes {
		return errHandedOver
	}
	clear(o.records[m.records:])
	o.records, o.scores, o.weight = o.records[:m.records], o.scores[:m.scores], m.weight
	o.rejects, o.tallies = o.rejects[:m.rejects], o.tallies[:m.tallies]
	return nil
}

// streamed is how much is handed over at once where nothing is held back.
const streamed = 256 * recordWeight

func (o *output) add(weight int) error {
	o.weight += weight
	if o.weight >= o.bound || (!o.hold && o.weight >= streamed) {
		return o.flush()
	}
	return nil
}

// flush hands over what is there.
func (o *output) flush() error {
	if err := o.ctx.Err(); err != nil {
		return err
	}
	if len(o.records)+len(o.scores)+len(o.rejects)+len(o.tallies) == 0 {
		return nil
	}
	c := o.chunk
	o.chunk, o.weight = chunk{}, 0
	o.flushes++
	return send(o.ctx, o.to, c)
}

func send(ctx context.Context, to chan<- chunk, c chunk) error {
	select {
	case to <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave counts something left alone.
func (o *output) leave(why string, n int) { o.tallies = append(o.tallies, tally{why: why, n: n}) }

// read counts a document of a format.
func (o *output) read(f Format) { o.tallies = append(o.tallies, tally{format: f, n: 1}) }

func (o *output) reject(r Reject) error {
	r.Path = o.path
	r.ID, r.Reason = short(r.ID, 200), short(r.Reason, 1000)
	o.rejects = append(o.rejects, r)
	return o.add(scoreWeight)
}

// short bounds a text that a feed file made up.
func short(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// hooks are the functions a decoder of the document called entry reports to. What
// it notes is kept in notes until the document is known to be sound.
func (o *output) hooks(entry, source string, notes map[string]int) hooks {
	return hooks{
		record: func(r vuln.Record) error {
			o.records = append(o.records, r)
			return o.add(recordWeight)
		},
		score: func(e vuln.EPSS) error {
			o.scores = append(o.scores, e)
			return o.add(scoreWeight)
		},
		reject: func(offset int64, id, reason string) error {
			return o.reject(Reject{Entry: entry, Offset: offset, Source: source, ID: id, Reason: reason})
		},
		note: func(what string, n int) { notes[what] += n },
	}
}

// broken says why a document was not taken, with its format.
type broken struct {
	format Format
	source string
	err    error
}

func (b *broken) Error() string { return fmt.Sprintf("%s: %v", b.format, b.err) }
func (b *broken) Unwrap() error { return b.err }

// offsetOf is the byte an error names, where it names one.
func offsetOf(err error) int64 {
	var at interface{ Offset() int64 }
	if errors.As(err, &at) {
		return at.Offset()
	}
	return 0
}
