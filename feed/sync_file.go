package feed

import (
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/kannuki/kannuki/internal/durable"
)

// expected is what the publisher says of a file elsewhere than in its own header.
type expected struct {
	size     int64                   // bytes; 0: not said
	sha256   string                  // hex; empty: not said
	unpacked bool                    // sha256 is of what is inside the gzip file
	version  string                  // the publisher's mark of this version; kept in the state
	check    func(r io.Reader) error // looks at the content before it is taken
	// always: this version is known to be new, so the old one's marks are not shown.
	always bool
}

// file brings one file of the cache up to date and tells whether it changed.
func (s *syncer) file(ctx context.Context, name, addr string, want expected) (changed bool, err error) {
	d := &download{syncer: s, name: name, addr: addr, want: want, path: filepath.Join(s.folder, name),
		part: filepath.Join(s.folder, "."+name+".part")}
	if err := s.attempts(ctx, func() error { return d.try(ctx) }); err != nil {
		return false, err
	}
	if !d.changed {
		return false, nil
	}
	s.out.Changed = append(s.out.Changed, d.path)
	// Many small files are written down with the source; each alone would cost the
	// square of their number.
	if len(s.state.Files) < 200 || len(s.out.Changed)%100 == 0 {
		return true, s.state.save(s.folder)
	}
	return true, nil
}

// fresh tells whether the file in the cache is the version the publisher names.
func (s *syncer) fresh(name, addr, version string) bool {
	st, ok := s.state.Files[name]
	info, err := os.Stat(filepath.Join(s.folder, name))
	return ok && err == nil && st.URL == addr && st.Version == version && st.Size == info.Size()
}

// download is one file on its way. What has come so far lies in part, and beside it
// the version it belongs to, so that a later attempt or run can go on.
type download struct {
	*syncer
	name, addr, path, part string
	want                   expected
	changed                bool
}

// resumeFrom is the size in bytes from which it pays to go on where one was.
const resumeFrom = 64 << 10

// partial is the version of the file that part is the beginning of.
type partial struct {
	URL       string `json:"url"`
	Validator string `json:"validator"` // a strong ETag, else Last-Modified
	Total     int64  `json:"total"`     // -1: not known
}

// try makes one request.
func (d *download) try(ctx context.Context) error {
	ctx, incoming, done := d.watch(ctx)
	defer done()
	req, err := d.request(ctx, d.addr)
	if err != nil {
		return err
	}
	// Whole bytes, not an encoding of the moment: lengths and ranges must fit together.
	req.Header.Set("Accept-Encoding", "identity")
	begun, offset := d.resumable()
	if offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
		req.Header.Set("If-Range", begun.Validator)
	} else {
		d.conditional(req)
	}
	resp, err := d.do(req)
	if err != nil {
		return err
	}
	switch {
	case resp.StatusCode == http.StatusNotModified && offset == 0 && d.known(req):
		return resp.Body.Close()
	case resp.StatusCode == http.StatusOK:
		offset = 0
		begun = partial{URL: d.addr, Validator: validator(resp.Header), Total: resp.ContentLength}
	case resp.StatusCode == http.StatusPartialContent && offset > 0:
		if total, ok := continues(resp.Header.Get("Content-Range"), offset); !ok || total >= 0 && begun.Total >= 0 && total != begun.Total {
			_ = resp.Body.Close()
			return d.restart("the answer does not continue what is here")
		}
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && offset > 0:
		_ = resp.Body.Close()
		return d.restart("the file has become shorter")
	default:
		return d.refused(resp)
	}
	defer resp.Body.Close()
	incoming.Reader = resp.Body
	return d.receive(incoming, resp.Header, begun, offset)
}

// resumable finds what an earlier attempt left, and the version it belongs to.
func (d *download) resumable() (begun partial, offset int64) {
	b, err := os.ReadFile(d.part + ".json")
	if err != nil || json.Unmarshal(b, &begun) != nil || begun.URL != d.addr || begun.Validator == "" {
		return partial{}, 0
	}
	info, err := os.Stat(d.part)
	if err != nil || begun.Total >= 0 && info.Size() >= begun.Total {
		return partial{}, 0
	}
	return begun, info.Size()
}

func (d *download) drop() {
	_ = os.Remove(d.part)
	_ = os.Remove(d.part + ".json")
}

func (d *download) restart(why string) error {
	d.drop()
	return &retryable{err: fmt.Errorf("GET %s: %s: starting again", d.addr, why)}
}

// conditional asks for the file only if it is another version than ours.
func (d *download) conditional(req *http.Request) {
	st := d.state.Files[d.name]
	if d.want.always || !d.fresh(d.name, d.addr, st.Version) {
		return
	}
	if st.ETag != "" {
		req.Header.Set("If-None-Match", st.ETag)
	}
	if st.LastModified != "" {
		req.Header.Set("If-Modified-Since", st.LastModified)
	}
}

func (d *download) known(req *http.Request) bool {
	return req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != ""
}

// validator is what If-Range may compare: a weak ETag may not.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// continues reads "bytes 100-199/200"; total is -1 where it is "*".
func continues(contentRange string, offset int64) (total int64, ok bool) {
	var first, last int64
	if n, _ := fmt.Sscanf(contentRange, "bytes %d-%d/%d", &first, &last, &total); n == 3 {
		return total, first == offset && last < total
	}
	if n, _ := fmt.Sscanf(contentRange, "bytes %d-%d/*", &first, &last); n == 2 {
		return -1, first == offset
	}
	return 0, false
}

// receive writes the body behind the first offset bytes of part, and puts the file in
// place if it is whole and right.
func (d *download) receive(body io.Reader, h http.Header, begun partial, offset int64) error {
	if begun.Total > d.opt.MaxBytes {
		return d.tooBig()
	}
	if offset == 0 {
		if err := d.begin(begun); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(d.part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	size, err := d.copy(f, body, begun.Total, offset)
	if err != nil {
		// What is here must be on disk before a later run builds on its length.
		_ = f.Sync()
		_ = f.Close()
		return err
	}
	if err := d.verify(f, size, begun.Total, h); err != nil {
		_ = f.Close()
		d.drop()
		return err
	}
	err = durable.Settle(f, d.path)
	d.drop()
	if err != nil {
		return err
	}
	d.changed = true
	d.state.Files[d.name] = fileState{URL: d.addr, ETag: h.Get("ETag"), LastModified: h.Get("Last-Modified"), Size: size, Version: d.want.version}
	return nil
}

// begin removes what there was of another version and notes which one comes now. A
// small file is not worth going on with.
func (d *download) begin(begun partial) error {
	d.drop()
	if begun.Validator == "" || begun.Total >= 0 && begun.Total < resumeFrom {
		return nil
	}
	note, err := json.Marshal(begun)
	if err != nil {
		return err
	}
	return durable.Replace(d.part+".json", note, 0o644)
}

func (d *download) tooBig() error {
	d.drop()
	return fmt.Errorf("GET %s: larger than the bound of %d bytes: check the address of this source, or raise the bound", d.addr, d.opt.MaxBytes)
}

// copy appends body to f at offset; it gives the size f has then.
func (d *download) copy(f *os.File, body io.Reader, total, offset int64) (int64, error) {
	size, err := f.Seek(offset, io.SeekStart)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, 128<<10)
	d.opt.Progress(size, total, d.name)
	for {
		n, readErr := body.Read(buf)
		if _, err := f.Write(buf[:n]); err != nil {
			return size, fmt.Errorf("%s: %w", d.part, err)
		}
		size += int64(n)
		d.out.Bytes += int64(n)
		if size > d.opt.MaxBytes {
			return size, d.tooBig()
		}
		if n > 0 {
			d.opt.Progress(size, total, d.name)
		}
		if errors.Is(readErr, io.EOF) {
			return size, nil
		}
		if readErr != nil {
			return size, &retryable{err: fmt.Errorf("GET %s: the connection ended after %d bytes: %w", d.addr, size, readErr)}
		}
	}
}

// verify holds the bytes against everything the publisher says about them.
func (d *download) verify(f *os.File, size, total int64, h http.Header) error {
	for _, want := range []int64{total, d.want.size} {
		if want > 0 && size != want {
			return &retryable{err: fmt.Errorf("GET %s: %d bytes came, %d were announced", d.addr, size, want)}
		}
	}
	if d.want.sha256 != "" {
		got, err := d.digest(f)
		if err != nil {
			return err
		}
		if !strings.EqualFold(got, d.want.sha256) {
			return fmt.Errorf("GET %s: the SHA-256 is %s, the publisher's checksum is %s: the file was not taken and the one before stays; run sync again, it may be changing just now", d.addr, got, d.want.sha256)
		}
	}
	if err := d.googleHash(f, h); err != nil || d.want.check == nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := d.want.check(f); err != nil {
		return fmt.Errorf("GET %s: %w", d.addr, err)
	}
	return nil
}

// digest is the SHA-256 of the file, or of what is inside it.
func (d *download) digest(f *os.File) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	var r io.Reader = f
	if d.want.unpacked {
		z, err := gzip.NewReader(f)
		if err != nil {
			return "", fmt.Errorf("GET %s: not gzip: %w", d.addr, err)
		}
		r = io.LimitReader(z, 8*d.opt.MaxBytes)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, r); err != nil {
		return "", fmt.Errorf("GET %s: damaged: %w", d.addr, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// googleHash checks the MD5 that Google's storage, where OSV lies, sends along. It is
// against damage, not against forgery; that is what TLS is for.
func (d *download) googleHash(f *os.File, h http.Header) error {
	var want string
	for _, v := range h.Values("X-Goog-Hash") {
		for part := range strings.SplitSeq(v, ",") {
			if sum, ok := strings.CutPrefix(strings.TrimSpace(part), "md5="); ok {
				want = sum
			}
		}
	}
	if want == "" {
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sum := md5.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != want {
		return &retryable{err: fmt.Errorf("GET %s: the MD5 is %s, the publisher's is %s", d.addr, got, want)}
	}
	return nil
}
