package feed

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdWindow is the largest window accepted: what `zstd --long=27` writes.
const zstdWindow = 128 << 20

// unpacker reads documents, and what is packed in them, for one top-level file.
type unpacker struct {
	*budget
	decoders map[Format]decoder
}

// document is one stream of bytes and where it stands.
type document struct {
	entry    string // names inside archives, joined by "!/"; "" for the file itself
	name     string // the innermost name, for what only a name says
	r        io.Reader
	archives int // we are inside of so many
	layers   int // of compression around it, since the last archive
}

// read reads one document: a feed goes to its decoder, an archive is opened, the
// rest is counted as left alone. An error says that the document itself is broken.
func (u *unpacker) read(o *output, d document) error {
	head, r, err := u.peek(d.r)
	if err != nil {
		return err
	}
	d.r = r
	switch kind := packing(head); kind {
	case zipped:
		return u.innerZip(o, d)
	case tarred:
		return u.eachTar(d, func(m document, _ int64) error { return u.member(o, m) })
	case plain:
		if _, small := d.r.(*bytes.Buffer); !small {
			d.r = &single{r: d.r, b: u.budget}
		}
		return u.decode(o, d, head)
	default:
		return u.unpack(d, kind, func(inner document) error { return u.read(o, inner) })
	}
}

// peek looks at the beginning of r, without making a big buffer for what is small.
func (u *unpacker) peek(r io.Reader) ([]byte, io.Reader, error) {
	if b, ok := r.(*bytes.Buffer); ok {
		return b.Bytes()[:min(b.Len(), sniffLen)], b, nil
	}
	br := bufio.NewReaderSize(r, sniffLen)
	head, err := br.Peek(sniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	return head, br, nil
}

// decode hands a document to the decoder of its format.
func (u *unpacker) decode(o *output, d document, head []byte) error {
	format, why := sniff(head)
	dec, known := u.decoders[format]
	if !known {
		if why == "" {
			why = string(format) + ": not read yet"
		}
		o.leave(why, 1)
		return nil
	}
	if bytes.HasPrefix(head, []byte(byteOrderMark)) {
		if _, err := io.CopyN(io.Discard, d.r, int64(len(byteOrderMark))); err != nil {
			return err
		}
	}
	// The decoder works for some time on what it has buffered; the output's context
	// stops it at the latest when it hands over.
	notes := map[string]int{}
	err := dec.decode(d.name, d.r, o.hooks(d.entry, dec.source, notes))
	if err == nil {
		_, err = io.Copy(io.Discard, d.r) // the checksum stands behind the last byte
	}
	if err != nil {
		return &broken{format, dec.source, err}
	}
	o.read(format)
	for what, n := range notes {
		o.leave(what, n)
	}
	return nil
}

// member reads one member of an archive. A broken one is rejected as a whole, and
// the others stand; what breaks a bound or stops the import is returned.
func (u *unpacker) member(o *output, d document) error {
	if err := u.entry(); err != nil {
		return err
	}
	m := o.mark()
	err := u.read(o, d)
	if err == nil {
		return nil
	}
	if u.refused.Load() || o.ctx.Err() != nil {
		return err
	}
	if late := o.cancel(m); late != nil {
		return fmt.Errorf("%s: %w (nothing of the file was taken: %w)", d.entry, err, late)
	}
	source := ""
	var b *broken
	if errors.As(err, &b) {
		source = b.source
	}
	return o.reject(Reject{Entry: d.entry, Offset: offsetOf(err), Source: source, Reason: err.Error()})
}

// unpack opens one layer of compression and hands what is in it to then. What
// stands behind the end of the inner document is read too: it may be damaged.
func (u *unpacker) unpack(d document, kind container, then func(document) error) error {
	if d.layers++; d.layers > u.layers {
		return fmt.Errorf("%s: more than %d layers of compression in one another", kind, u.layers)
	}
	var r io.Reader
	switch kind {
	case gzMade:
		gz, err := gzip.NewReader(d.r)
		if err != nil {
			return damaged(kind, err)
		}
		r = gz
	case zsMade:
		zs, err := zstd.NewReader(d.r, zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return damaged(kind, err)
		}
		defer zs.Close()
		r = zs
	case bzMade:
		r = bzip2.NewReader(d.r)
	}
	watched := &watch{r: r}
	inner := document{d.entry, d.name, u.counted(watched), d.archives, d.layers}
	err := then(inner)
	if watched.err == nil && !u.refused.Load() {
		if _, rest := io.Copy(io.Discard, inner.r); err == nil {
			err = rest
		}
	}
	if watched.err != nil && !u.refused.Load() {
		return damaged(kind, watched.err) // the layer broke; what that did inside is a consequence
	}
	return err
}

// counted counts unpacked bytes of a stream.
func (u *unpacker) counted(r io.Reader) io.Reader { return &spending{r: r, b: u.budget} }

// watch remembers what a container's reader broke with.
type watch struct {
	r   io.Reader
	err error
}

func (w *watch) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// damaged says what is wrong with a container in words that help.
func damaged(kind container, err error) error {
	switch {
	case errors.Is(err, errBomb):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: cut off: fetch it again (%w)", kind, err)
	case errors.Is(err, zip.ErrFormat):
		return fmt.Errorf("%s: no central directory, so it is cut off or no zip: fetch it again (%w)", kind, err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%s: its window is larger than %d MiB: compress it with --long=27 or less (%w)", kind, zstdWindow>>20, err)
	}
	return fmt.Errorf("%s: damaged: fetch it again (%w)", kind, err)
}

// eachTar calls each for every regular file of a tar.
func (u *unpacker) eachTar(d document, each func(m document, size int64) error) error {
	if d.archives++; d.archives > u.depth {
		return fmt.Errorf("tar: more than %d archives in one another", u.depth)
	}
	end := &trailer{r: d.r}
	watched := &watch{r: end}
	t := tar.NewReader(watched)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) && end.zero() {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return damaged(tarred, err) // io.EOF too: a tar ends with blocks of zeros
		}
		if h.Typeflag != tar.TypeReg {
			continue // directories; links and devices are nothing to read
		}
		m, err := d.inside(h.Name, t)
		if err != nil {
			m.r = errReader{err}
		}
		if err := each(m, h.Size); err != nil {
			return err
		}
		if watched.err != nil {
			return damaged(tarred, watched.err)
		}
	}
}

// errReader is a member that may not be read.
type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

// trailer tells whether the last bytes that came were two blocks of zeros, as at a
// tar's end. archive/tar also takes a tar for whole that stops behind any member.
type trailer struct {
	r     io.Reader
	zeros int64
}

func (t *trailer) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	k := n
	for k > 0 && p[k-1] == 0 {
		k--
	}
	if k > 0 {
		t.zeros = 0
	}
	t.zeros += int64(n - k)
	return n, err
}

func (t *trailer) zero() bool { return t.zeros >= 2*512 }

// inside is the document of an archive member. Its name is refused if it points out
// of the archive: we write no member to disk, but who ships such a name means harm.
func (d document) inside(name string, r io.Reader) (document, error) {
	m := document{entry: name, name: path.Base(name), r: r, archives: d.archives}
	if d.entry != "" {
		m.entry = d.entry + "!/" + name
	}
	clean := strings.ReplaceAll(name, `\`, "/")
	switch {
	case strings.HasPrefix(clean, "/"), len(clean) > 1 && clean[1] == ':':
		return m, errors.New("the member's name is an absolute path: refused")
	case strings.ContainsRune(clean, 0):
		return m, errors.New("the member's name holds a zero byte: refused")
	}
	for part := range strings.SplitSeq(clean, "/") {
		if part == ".." {
			return m, errors.New("the member's name leads out of the archive (..): refused")
		}
	}
	return m, nil
}

// innerZip reads a zip that is a stream, from memory: a zip begins at its end.
func (u *unpacker) innerZip(o *output, d document) error {
	z, err := u.loadZip(&d)
	if err != nil {
		return err
	}
	var scratch bytes.Buffer
	for _, f := range z.File {
		if err := u.zipMember(o, d, f, &scratch); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) loadZip(d *document) (*zip.Reader, error) {
	if d.archives++; d.archives > u.depth {
		return nil, fmt.Errorf("zip: more than %d archives in one another", u.depth)
	}
	data, err := io.ReadAll(io.LimitReader(d.r, u.inner+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > u.inner {
		return nil, fmt.Errorf("zip: larger than %d MiB inside something else: unpack the outer archive first", u.inner>>20)
	}
	return u.openZip(bytes.NewReader(data), int64(len(data)))
}

func (u *unpacker) openZip(r io.ReaderAt, size int64) (*zip.Reader, error) {
	z, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, damaged(zipped, err)
	}
	if int64(len(z.File)) > u.members {
		return nil, u.refuse("more than %d archive members", u.members)
	}
	pool := &inflaters{}
	z.RegisterDecompressor(zip.Deflate, pool.open)
	return z, nil
}

// inflaters are used again from member to member: a new one for each would cost
// more than what most members hold.
type inflaters struct{ free sync.Pool }

func (p *inflaters) open(r io.Reader) io.ReadCloser {
	if f, ok := p.free.Get().(io.ReadCloser); ok {
		if f.(flate.Resetter).Reset(r, nil) == nil {
			return &inflater{f, p}
		}
	}
	return &inflater{flate.NewReader(r), p}
}

type inflater struct {
	io.ReadCloser
	from *inflaters
}

// Close gives the inflater back; it must not be used afterwards.
func (i *inflater) Close() error {
	err := i.ReadCloser.Close()
	i.from.free.Put(i.ReadCloser)
	i.ReadCloser = closed{}
	return err
}

type closed struct{}

func (closed) Read([]byte) (int, error) { return 0, os.ErrClosed }
func (closed) Close() error             { return nil }

// smallMember is what is read into memory before it is looked at.
const smallMember = 8 << 20

// zipMember reads one member of a zip. d is the zip itself. An error of the zip
// (a checksum, data cut off) is returned; an error in the member is its reject.
func (u *unpacker) zipMember(o *output, d document, f *zip.File, scratch *bytes.Buffer) error {
	if strings.HasSuffix(f.Name, "/") || f.Mode().IsDir() {
		return nil
	}
	m, err := d.inside(f.Name, nil)
	switch {
	case err != nil:
		m.r = errReader{err}
		return u.member(o, m)
	case !f.Mode().IsRegular():
		return nil // a link: nothing to read
	case f.Flags&1 != 0:
		o.leave("encrypted archive member", 1)
		return nil
	case f.Method != zip.Deflate && f.Method != zip.Store:
		o.leave(fmt.Sprintf("archive member compressed by method %d: not read", f.Method), 1)
		return nil
	}
	rc, err := f.Open()
	if err != nil {
		return damaged(zipped, fmt.Errorf("%s: %w", m.entry, err))
	}
	defer rc.Close()
	w := &watch{r: rc}
	m.r = u.counted(w)
	if f.UncompressedSize64 <= smallMember {
		scratch.Reset()
		// One byte more than the directory says: a member that gives it is a lie.
		switch n, err := scratch.ReadFrom(io.LimitReader(m.r, int64(f.UncompressedSize64)+1)); {
		case err != nil:
			return zipBroken(m.entry, err)
		case uint64(n) != f.UncompressedSize64:
			return zipBroken(m.entry, fmt.Errorf("more bytes than the %d that the directory says", f.UncompressedSize64))
		}
		m.r = scratch
	}
	if err := u.member(o, m); err != nil {
		return err
	}
	if w.err == nil { // whatever its content: is the member as it was packed?
		if _, err := io.Copy(io.Discard, m.r); err != nil && w.err == nil {
			return err
		}
	}
	if w.err != nil {
		return zipBroken(m.entry, w.err)
	}
	return nil
}

func zipBroken(entry string, err error) error {
	if errors.Is(err, errBomb) {
		return err
	}
	return damaged(zipped, fmt.Errorf("member %s: %w", entry, err))
}
