// Package stream reads big documents piece by piece, so that memory stays bounded
// by one record and not by the file, and says at which byte a document broke. It
// never takes a document that was cut off, or that goes on after its end, for a
// whole one.
package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

const (
	// MaxValue bounds one value (one record) in bytes. The largest real records are
	// some 10 MB; without a bound one endless string would fill memory.
	MaxValue = 64 << 20
	// maxDepth bounds nesting of what is skipped, as encoding/json bounds what it decodes.
	maxDepth = 10_000
)

// Error says at which byte of the (decompressed) document reading broke.
type Error struct {
	At  int64
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %v", e.At, e.Err) }

// Unwrap gives the reason without the place.
func (e *Error) Unwrap() error { return e.Err }

// Offset is the byte, for callers that know this type only by its method.
func (e *Error) Offset() int64 { return e.At }

// Errorf makes an Error from a format.
func Errorf(at int64, format string, args ...any) error {
	return &Error{At: at, Err: fmt.Errorf(format, args...)}
}

var (
	errCut   = errors.New("the document is cut off here")
	errLarge = fmt.Errorf("one value is larger than %d MiB", MaxValue>>20)
)

// ReadAll reads a document of one record whole, at most MaxValue bytes of it. What a
// *bytes.Buffer holds is not copied: it is good until the buffer is used again.
func ReadAll(r io.Reader) ([]byte, error) {
	if b, ok := r.(*bytes.Buffer); ok && b.Len() <= MaxValue {
		return b.Next(b.Len()), nil
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxValue+1))
	if err != nil {
		return nil, &Error{int64(len(data)), err}
	}
	if len(data) > MaxValue {
		return nil, &Error{MaxValue, errLarge}
	}
	return data, nil
}

// Mismatch tells whether err only says that a value has another shape than
// expected: the document is sound and reading can go on behind the value.
func Mismatch(err error) bool {
	var shape *json.UnmarshalTypeError
	return errors.As(err, &shape)
}

// Unmarshal decodes data, one whole document that is an object, into v. Its errors
// are *Error unless they are a Mismatch.
func Unmarshal(data []byte, v any) error {
	if text := bytes.TrimLeft(data, " \t\r\n"); len(text) > 0 && text[0] != '{' {
		return Errorf(int64(len(data)-len(text)), "expected an object, found %.10q", text)
	}
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	switch {
	case err == nil || Mismatch(err):
		return err
	case errors.As(err, &syntax) && syntax.Offset >= int64(len(data)) && syntax.Error() == "unexpected end of JSON input":
		return &Error{int64(len(data)), errCut}
	case errors.As(err, &syntax):
		return &Error{syntax.Offset, err}
	}
	return &Error{0, err}
}

// Decoder walks one JSON document. It is handed to the functions that Object and
// Array call; each of these must consume exactly one value.
type Decoder struct {
	json *json.Decoder
	in   *bounded
}

// bounded lets through no more than the value being read may hold.
type bounded struct {
	r     io.Reader
	read  int64
	until int64
	err   error // what the underlying reader broke with
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.read > b.until {
		b.err = errLarge
		return 0, errLarge
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// Object reads one JSON document that is an object, and calls member for every key.
// It returns an *Error when the document is broken, cut off, or goes on after its end.
func Object(r io.Reader, member func(d *Decoder, key string) error) error {
	in := &bounded{r: r}
	d := &Decoder{json: json.NewDecoder(in), in: in}
	d.allow()
	if err := d.object(member); err != nil {
		return err
	}
	d.allow()
	at := d.Offset()
	switch _, err := d.json.Token(); {
	case err == io.EOF && in.err == nil:
		return nil
	case err == nil:
		return Errorf(at, "the document goes on after its end")
	default:
		return d.broken(err)
	}
}

func (d *Decoder) object(member func(d *Decoder, key string) error) error {
	if err := d.open('{', "an object"); err != nil {
		return err
	}
	for d.json.More() {
		d.allow()
		token, err := d.json.Token()
		if err != nil {
			return d.broken(err)
		}
		key, _ := token.(string)
		if err := member(d, key); err != nil {
			return err
		}
	}
	return d.close()
}

// Array reads a value that is a list, and calls element where each element begins.
func (d *Decoder) Array(element func(d *Decoder) error) error {
	if err := d.open('[', "a list"); err != nil {
		return err
	}
	for d.json.More() {
		if err := element(d); err != nil {
			return err
		}
	}
	return d.close()
}

// Value decodes the next value into v. A Mismatch leaves the decoder behind the
// value, with what could be decoded in v.
func (d *Decoder) Value(v any) error {
	d.allow()
	err := d.json.Decode(v)
	if err == nil || Mismatch(err) {
		return err
	}
	return d.broken(err)
}

// Skip passes over the next value without keeping it.
func (d *Decoder) Skip() error {
	for depth := 0; ; {
		d.allow()
		token, err := d.json.Token()
		if err != nil {
			return d.broken(err)
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxDepth {
			return Errorf(d.Offset(), "nested deeper than %d levels", maxDepth)
		}
	}
}

// Offset is the byte behind what was consumed so far.
func (d *Decoder) Offset() int64 { return d.json.InputOffset() }

func (d *Decoder) allow() { d.in.until = d.json.InputOffset() + MaxValue }

func (d *Decoder) open(want json.Delim, name string) error {
	d.allow()
	at := d.Offset()
	token, err := d.json.Token()
	if err != nil {
		return d.broken(err)
	}
	if token != want {
		return Errorf(at, "expected %s, found %v", name, token)
	}
	return nil
}

func (d *Decoder) close() error {
	d.allow()
	if _, err := d.json.Token(); err != nil {
		return d.broken(err)
	}
	return nil
}

// broken turns an error of encoding/json into one with a place. What the reader
// below broke with (a checksum, a bound) is the better reason, if it did.
func (d *Decoder) broken(err error) error {
	switch {
	case d.in.err != nil:
		return &Error{d.in.read, d.in.err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{d.in.read, errCut}
	}
	return &Error{d.Offset(), err}
}

// Tail remembers the last byte that came through R, and how many there were. A
// text file whose last line has no end was cut off.
type Tail struct {
	R    io.Reader
	N    int64
	Last byte
}

func (t *Tail) Read(p []byte) (int, error) {
	n, err := t.R.Read(p)
	if n > 0 {
		t.N += int64(n)
		t.Last = p[n-1]
	}
	return n, err
}
