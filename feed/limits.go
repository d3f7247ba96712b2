package feed

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// limits bound what one feed file may make us do. A feed comes from the network or
// from a stick; it must not be able to fill memory or keep us busy for hours.
type limits struct {
	// unpacked: bytes that all decompressors together may give for one file. The
	// largest archive we know, every CVE 5 record, unpacks to some 3 GiB.
	unpacked int64
	// member: bytes of one member or document. The largest we know is below 300 MiB.
	member int64
	// ratio: unpacked bytes per byte on disk, looked at beyond ratioFrom. Feeds of
	// very repetitive JSON reach 30:1; bombs reach 1,000:1 per layer.
	ratio, ratioFrom int64
	// members of all archives of one file; one per CVE and advisory, several times over.
	members int64
	// archives within archives. Real collections hold archives of archives.
	depth int
	// layers of compression one directly in another; .tar.gz.zst is odd, more is hostile.
	layers int
	// inner: bytes of a zip inside another archive, which must be held in memory to be read.
	inner int64
	// held: weight of the records that one archive member may make wait until it is
	// known to be sound. Beyond it they go on to the store, and if the member then turns
	// out to be broken the whole file fails.
	held int
}

func defaultLimits() limits {
	return limits{
		unpacked: 8 << 30, member: 1 << 30, ratio: 1000, ratioFrom: 100 << 20,
		members: 2_000_000, depth: 3, layers: 2, inner: 256 << 20, held: 50_000 * recordWeight,
	}
}

// Weights of what waits: an EPSS row is some hundred bytes, a record some kilobytes.
const (
	recordWeight = 16
	scoreWeight  = 1
)

// errBomb marks what breaks a bound: the whole file is refused, not only a member.
var errBomb = errors.New("refused")

// budget counts what one file has been unpacked to. It is shared by all workers.
type budget struct {
	limits
	onDisk   int64
	bytes    atomic.Int64
	entries  atomic.Int64
	refused  atomic.Bool  // a bound is broken, whatever a decoder makes of that error
	position atomic.Int64 // bytes on disk read so far, for progress
}

// entry counts one archive member.
func (b *budget) entry() error {
	if b.entries.Add(1) > b.members {
		return b.refuse("more than %d archive members", b.members)
	}
	return nil
}

// refuse ends the reading of the whole file.
func (b *budget) refuse(format string, args ...any) error {
	b.refused.Store(true)
	return fmt.Errorf("%w: %s", errBomb, fmt.Sprintf(format, args...))
}

func (b *budget) spend(n int) error {
	total := b.bytes.Add(int64(n))
	if total > b.unpacked {
		return b.refuse("it unpacks to more than %d bytes", b.unpacked)
	}
	if total > b.ratioFrom && total > b.ratio*b.onDisk {
		return b.refuse("%d bytes unpack to more than %d, over %d:1", b.onDisk, total, b.ratio)
	}
	return nil
}

// spending counts what comes out of a decompressor.
type spending struct {
	r io.Reader
	b *budget
}

func (s *spending) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if over := s.b.spend(n); over != nil {
		return n, over
	}
	return n, err
}

// single bounds one document or archive member.
type single struct {
	r io.Reader
	b *budget
	n int64
}

func (s *single) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if s.n += int64(n); s.n > s.b.member {
		return n, s.b.refuse("one member or document is larger than %d bytes", s.b.member)
	}
	return n, err
}
