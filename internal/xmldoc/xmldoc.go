// Package xmldoc reads one XML document child by child without holding it. It
// promises that a document is accepted only whole: exactly one root element, closed,
// with nothing but white space, comments and processing instructions around it.
// Document type declarations are ignored and no entity but XML's own five and the
// numeric ones is ever expanded.
package xmldoc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Document is an XML document being read.
type Document struct {
	// Root is the root element's name and attributes.
	Root xml.StartElement
	dec  *xml.Decoder
	open bool // a child was returned by Next and neither decoded nor skipped yet
	done bool
}

// Open reads as far as the root element.
func Open(r io.Reader) (*Document, error) {
	d := &Document{dec: xml.NewDecoder(r)}
	for {
		tok, err := d.dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("byte %d: no XML root element: the file is empty or not XML", d.dec.InputOffset())
		}
		if err != nil {
			return nil, d.broken(err)
		}
		if root, ok := tok.(xml.StartElement); ok {
			d.Root = root.Copy()
			return d, nil
		}
		if err := d.onlySpace(tok, "before"); err != nil {
			return nil, err
		}
	}
}

// Child is one element below the root.
type Child struct {
	xml.StartElement
	Offset int64 // byte at which its start tag begins, or a little before
}

// Next returns the next child of the root. io.EOF means that the root was closed and
// nothing follows it; any other error means the document is broken.
func (d *Document) Next() (Child, error) {
	if d.open {
		if err := d.Skip(); err != nil {
			return Child{}, err
		}
	}
	for !d.done {
		offset := d.dec.InputOffset()
		tok, err := d.dec.Token()
		if err != nil {
			return Child{}, d.broken(err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			d.open = true
			return Child{tok.Copy(), offset}, nil
		case xml.EndElement:
			d.done = true
		}
	}
	return Child{}, d.tail()
}

// Decode fills v, a struct with xml tags, from the child that Next returned.
func (d *Document) Decode(c Child, v any) error {
	d.open = false
	if err := d.dec.DecodeElement(v, &c.StartElement); err != nil {
		return d.broken(err)
	}
	return nil
}

// Skip passes over the child that Next returned.
func (d *Document) Skip() error {
	d.open = false
	if err := d.dec.Skip(); err != nil {
		return d.broken(err)
	}
	return nil
}

// tail reads to the end of the input, which may hold nothing of substance.
func (d *Document) tail() error {
	for {
		tok, err := d.dec.Token()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		if err != nil {
			return d.broken(err)
		}
		if start, ok := tok.(xml.StartElement); ok {
			return fmt.Errorf("byte %d: element <%s> after the root element was closed", d.dec.InputOffset(), start.Name.Local)
		}
		if err := d.onlySpace(tok, "after"); err != nil {
			return err
		}
	}
}

func (d *Document) onlySpace(tok xml.Token, where string) error {
	text, ok := tok.(xml.CharData)
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if ok && len(bytes.TrimSpace(text)) > 0 {
		return fmt.Errorf("byte %d: text %s the root element", d.dec.InputOffset(), where)
	}
	return nil
}

func (d *Document) broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isUnexpectedEOF(err) {
		return fmt.Errorf("byte %d: the document ends before its root element is closed: %w", d.dec.InputOffset(), io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("byte %d: %w", d.dec.InputOffset(), err)
}

// isUnexpectedEOF recognises the decoder's own end-of-input error, which wraps nothing.
func isUnexpectedEOF(err error) bool {
	var syntax *xml.SyntaxError
	return errors.As(err, &syntax) && syntax.Msg == "unexpected EOF"
}
