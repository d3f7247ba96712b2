package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/event"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// numbered is an event that can be told from others: its count is n.
func numbered(n int) event.Event {
	return event.Event{At: noon.Add(time.Duration(n) * time.Second), Kind: event.Refused, Control: "launch", Op: "exec", Count: n,
		Path: "/tmp/名前\n\x01 " + strings.Repeat("x", n%90), Space: "user", Rule: "user-space",
		Actor: event.Actor{PID: 100 + n, Comm: "nginx", UID: 33, LoginUID: -1, Contained: true}}
}

func open(t *testing.T, dir string, max int64) *Spool {
	t.Helper()
	s, err := Open(dir, max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fill(t *testing.T, s *Spool, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := s.Append(numbered(n)); err != nil {
			t.Fatal(err)
		}
	}
}

// read returns the numbers of the events, and the warnings.
func read(t *testing.T, s *Spool, since time.Time) (got []int, warnings []error) {
	t.Helper()
	for e, err := range s.Since(since) {
		if err != nil {
			warnings = append(warnings, err)
			continue
		}
		if diff := cmp.Diff(numbered(e.Count), e); diff != "" {
			t.Fatalf("event %d came back changed: %s", e.Count, diff)
		}
		got = append(got, e.Count)
	}
	return got, warnings
}

func sequence(from, to int) []int {
	var out []int
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

func TestEventsComeBackInOrderAlsoAfterReopening(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir, MinBound)
	fill(t, s, 1, 50)
	s.Close()
	s = open(t, dir, MinBound)
	fill(t, s, 51, 60)
	got, warnings := read(t, s, time.Time{})
	if !slices.Equal(got, sequence(1, 60)) || len(warnings) > 0 || s.Lost() != 0 {
		t.Errorf("got %v, %v, lost %d", got, warnings, s.Lost())
	}
	if got, _ := read(t, s, noon.Add(55*time.Second)); !slices.Equal(got, sequence(55, 60)) {
		t.Errorf("since the 55th: %v", got)
	}
}

func TestOnlyRootsOwnEyes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, MinBound)
	fill(t, s, 1, 1)
	for path, want := range map[string]os.FileMode{dir: 0o700, s.last().path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestTheBoundHoldsAndWhatGoesIsCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, MinBound)
	const n = 5000
	for i := 1; i <= n; i++ {
		fill(t, s, i, i)
		if i%97 == 0 {
			if size := onDisk(t, dir); size > MinBound {
				t.Fatalf("%d bytes on disk after %d events; the bound is %d", size, i, MinBound)
			}
		}
	}
	got, _ := read(t, s, time.Time{})
	lost := s.Lost()
	if lost == 0 || int(lost)+len(got) != n || !slices.Equal(got, sequence(n-len(got)+1, n)) {
		t.Errorf("%d read, %d lost of %d; oldest %d", len(got), lost, n, got[0])
	}
	s.Close()
	if s = open(t, dir, MinBound); s.Lost() != lost {
		t.Errorf("lost %d before reopening and %d after", lost, s.Lost())
	}
}

func TestALowerBoundAtOpenMakesRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 4*MinBound)
	fill(t, s, 1, 3500)
	s.Close()
	s = open(t, dir, MinBound)
	got, _ := read(t, s, time.Time{})
	if size := onDisk(t, dir); size > MinBound || int(s.Lost())+len(got) != 3500 || len(got) == 0 {
		t.Errorf("%d bytes, %d read, %d lost", size, len(got), s.Lost())
	}
}

func onDisk(t *testing.T, dir string) (size int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	return size
}

// damaged describes one way a file came to harm.
type damaged struct {
	cut    bool
	offset int
	flip   byte
}

// TestDamageCostsOnlyWhatItHits damages a spool of several segments at every kind of
// place: each event before and after the damage is still there, and each that is not
// is counted.
func TestDamageCostsOnlyWhatItHits(t *testing.T) {
	const n = 600
	master := t.TempDir()
	s := open(t, master, MinBound)
	fill(t, s, 1, n)
	segments := s.segments
	s.Close()
	if len(segments) < 3 {
		t.Fatalf("%d segments; the test wants several", len(segments))
	}
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range 150 {
		which := random.IntN(len(segments))
		d := damaged{cut: random.IntN(3) == 0, offset: random.IntN(int(segments[which].size)), flip: byte(1 + random.IntN(255))}
		t.Run(fmt.Sprintf("seed %d/%d segment %d %+v", seed, i, which, d), func(t *testing.T) { checkDamage(t, segments, which, d, n) })
	}
}

func checkDamage(t *testing.T, segments []*segment, which int, d damaged, n int) {
	dir := t.TempDir()
	var hit, from, to int // the event the damage is in; the events of the segment
	for i, g := range segments {
		data, err := os.ReadFile(g.path)
		if err != nil {
			t.Fatal(err)
		}
		if i == which {
			from, to = int(g.first), n
			if i+1 < len(segments) {
				to = int(segments[i+1].first) - 1
			}
			hit = from + strings.Count(string(data[:d.offset]), "\n")
			if d.cut {
				data = data[:d.offset]
			} else {
				data[d.offset] ^= d.flip
			}
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(g.path)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir, MinBound)
	got, _ := read(t, s, time.Time{})
	want := append(sequence(1, from-1), sequence(to+1, n)...)
	if d.cut {
		want = append(want, sequence(from, hit-1)...)
	} else {
		want = append(want, slices.DeleteFunc(sequence(from, to), func(x int) bool { return x == hit })...)
	}
	var absent []int
	for _, x := range want {
		if _, ok := slices.BinarySearch(got, x); !ok {
			absent = append(absent, x)
		}
	}
	if len(absent) > 0 || !slices.IsSorted(got) {
		t.Fatalf("damage in event %d cost %v", hit, absent)
	}
	// What was cut off the very end left no trace but the record torn in two.
	if cutEnd := d.cut && which == len(segments)-1; !cutEnd && int(s.Lost()) != n-len(got) || cutEnd && s.Lost() > 1 {
		t.Errorf("%d read of %d, lost says %d", len(got), n, s.Lost())
	}
	lost := s.Lost()
	fill(t, s, n+1, n+20)
	s.Close()
	s = open(t, dir, MinBound)
	again, _ := read(t, s, time.Time{})
	if !slices.Equal(again, append(got, sequence(n+1, n+20)...)) || s.Lost() != lost {
		t.Errorf("after 20 more and reopening: %d read, lost %d; before %d and %d", len(again), s.Lost(), len(got), lost)
	}
}

func TestDamageIsToldWithItsPlace(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, MinBound)
	fill(t, s, 1, 10)
	file, size := s.last().path, s.last().size
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[size/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	got, warnings := read(t, s, time.Time{})
	var d *Damage
	if len(got) != 9 || len(warnings) != 1 || !errors.As(warnings[0], &d) || d.File != file || d.Offset > size/2 || d.Offset+d.Bytes <= size/2 || s.Lost() != 1 {
		t.Errorf("%d read, %v, lost %d", len(got), warnings, s.Lost())
	}
	s.Close()
	if s = open(t, dir, MinBound); len(s.Damage()) != 1 || s.Lost() != 1 {
		t.Errorf("reopened: %v, lost %d", s.Damage(), s.Lost())
	}
}

func TestASegmentSomebodyDeletedIsCounted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, MinBound)
	fill(t, s, 1, 600)
	gone := s.segments[1]
	held := s.segments[2].first - gone.first
	s.Close()
	if err := os.Remove(gone.path); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, MinBound)
	if got, _ := read(t, s, time.Time{}); s.Lost() != held || len(got) != 600-int(held) {
		t.Errorf("%d read, lost %d; the segment held %d", len(got), s.Lost(), held)
	}
}

func TestReadingGoesOnWhileAppending(t *testing.T) {
	s := open(t, t.TempDir(), MinBound)
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		readers.Go(func() {
			for {
				last := 0
				for e, err := range s.Since(time.Time{}) {
					if err != nil || last > 0 && e.Count <= last {
						t.Errorf("after %d: %d, %v", last, e.Count, err)
						return
					}
					last = e.Count
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	fill(t, s, 1, 4000)
	close(done)
	readers.Wait()
}

func TestAReaderMayStopAndAppendInBetween(t *testing.T) {
	s := open(t, t.TempDir(), MinBound)
	fill(t, s, 1, 5)
	for e := range s.Since(time.Time{}) {
		if e.Count == 3 {
			break
		}
		fill(t, s, 5+e.Count, 5+e.Count)
	}
	if got, _ := read(t, s, time.Time{}); !slices.Equal(got, sequence(1, 7)) {
		t.Errorf("got %v", got)
	}
}

func TestWrongUseIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, MinBound)
	if _, err := Open(dir, MinBound); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("a second Open: %v", err)
	}
	if _, err := Open(t.TempDir(), MinBound-1); err == nil || !strings.Contains(err.Error(), "at least 262144") {
		t.Errorf("a small bound: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, MinBound); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file in place of the directory: %v", err)
	}
	big := numbered(1)
	big.Path = strings.Repeat("p", MaxRecord)
	if err := s.Append(big); err == nil || !strings.Contains(err.Error(), "65536 are allowed") || s.Lost() != 1 {
		t.Errorf("an oversized event: %v, lost %d", err, s.Lost())
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := s.Append(numbered(1)); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes.txt", "1.events", "zz.events", "0000000000000000.events"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, segmentName(1)), 0o700); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, MinBound)
	if err := s.Append(numbered(1)); err == nil {
		t.Error("a directory stands where the first segment belongs, and nothing was said")
	}
	fill(t, s, 2, 3)
	if got, _ := read(t, s, time.Time{}); !slices.Equal(got, []int{2, 3}) || s.Lost() != 1 {
		t.Errorf("got %v, lost %d", got, s.Lost())
	}
}

func FuzzRecords(f *testing.F) {
	var seed []byte
	for n := range 3 {
		seed, _ = appendRecord(seed, uint64(n+1), numbered(n))
	}
	f.Add(seed)
	f.Add(seed[3:])
	f.Add([]byte("\n\n00000000 000000000001 000000 \n"))
	whole, err := appendRecord(nil, 99, numbered(99))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		at := 0
		for r := range records(data) {
			if r.start != at || r.end <= r.start || r.end > len(data) {
				t.Fatalf("stretch %d–%d after %d of %d", r.start, r.end, at, len(data))
			}
			at = r.end
		}
		if at != len(data) {
			t.Fatalf("%d of %d bytes walked", at, len(data))
		}
		// Whatever comes before, a whole record on a line of its own is found.
		var last record
		for r := range records(append(append(data[:len(data):len(data)], '\n'), whole...)) {
			last = r
		}
		if last.damaged || last.seq != 99 {
			t.Fatalf("the record after the damage was not found: %+v", last)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(b.TempDir(), 64<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	e := numbered(45)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Append(e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(s.buf)), "bytes/event")
}

func BenchmarkSince(b *testing.B) {
	s, err := Open(b.TempDir(), 64<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for n := range 10_000 {
		if err := s.Append(numbered(n)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for range s.Since(time.Time{}) {
			n++
		}
		if n != 10_000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(10_000*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
