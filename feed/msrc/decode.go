// Package msrc reads Microsoft's security updates: the monthly CVRF 1.1 documents of
// the MSRC update guide. It promises one record per identifier and document, with
// every product the document calls affected, the update that fixes it and what
// Microsoft says an attacker gains; a vulnerability it cannot read is rejected with
// its place, and a document that is not whole is refused.
//
// A record's ID is the vulnerability's own (CVE-… or ADV…), without the document's
// name. In the 43 documents of 2018, 2019, 2025 and 2026 three of 10,318 identifiers
// stand in two documents and say the same in both, byte for byte, so the later import
// loses nothing. One stands twice in the same document, with an older and a newer
// text; those are united here, the newer one first.
package msrc

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kannuki/kannuki/internal/xmldoc"
	"github.com/kannuki/kannuki/vuln"
)

// Source is the vuln.Record.Source of every record.
const Source = "msrc"

// Decode reads one CVRF document from r. Records are emitted at the end, in the
// document's order: only then are all products known and is the document known to be
// whole. An error is final and names the byte.
func Decode(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	doc, err := xmldoc.Open(r)
	if err != nil {
		return err
	}
	if doc.Root.Name.Local != "cvrfdoc" {
		return fmt.Errorf("root element <%s>: a CVRF document starts with <cvrfdoc>", doc.Root.Name.Local)
	}
	d := document{products: map[string]product{}, index: map[string]int{}, reject: reject}
	for {
		child, err := doc.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := d.child(doc, child); err != nil {
			return err
		}
	}
	if !d.microsoft {
		return errors.New("this CVRF document does not name the Microsoft Security Response Center as its publisher")
	}
	return d.emit(emit)
}

// document is what has been read of one CVRF document.
type document struct {
	microsoft bool
	released  string // the document's initial release
	products  map[string]product
	items     []item
	index     map[string]int // identifier → place in items
	reject    func(offset int64, id, reason string) error
}

// item is a vulnerability of the document; united with its later mentions.
type item struct {
	offset int64
	body   vulnerability
	more   []vulnerability
}

func (d *document) child(doc *xmldoc.Document, c xmldoc.Child) error {
	switch c.Name.Local {
	case "DocumentPublisher":
		var p publisher
		if err := doc.Decode(c, &p); err != nil {
			return err
		}
		d.microsoft = strings.Contains(strings.ToLower(p.Contact+" "+p.Authority), "microsoft")
	case "DocumentTracking":
		var t tracking
		if err := doc.Decode(c, &t); err != nil {
			return err
		}
		d.released = t.Initial
	case "ProductTree":
		var t productTree
		if err := doc.Decode(c, &t); err != nil {
			return err
		}
		t.collect(d.products)
	case "Vulnerability":
		var v vulnerability
		if err := doc.Decode(c, &v); err != nil {
			return err
		}
		return d.add(c.Offset, v)
	}
	return nil
}

// add keeps v, or rejects it where it has no usable identifier.
func (d *document) add(offset int64, v vulnerability) error {
	id := strings.TrimSpace(v.ID)
	if !vuln.IsCVE(id) && !isAdvisory(id) {
		return d.reject(offset, id, "no CVE or ADV identifier in <CVE>")
	}
	v.ID = id
	if i, seen := d.index[id]; seen {
		d.items[i].more = append(d.items[i].more, v)
		return nil
	}
	d.index[id] = len(d.items)
	d.items = append(d.items, item{offset: offset, body: v})
	return nil
}

func isAdvisory(id string) bool {
	digits, ok := strings.CutPrefix(id, "ADV")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

func (d *document) emit(emit func(vuln.Record) error) error {
	for _, it := range d.items {
		rec, err := it.record(d)
		if err != nil {
			if err := d.reject(it.offset, it.body.ID, err.Error()); err != nil {
				return err
			}
			continue
		}
		if err := emit(rec); err != nil {
			return err
		}
	}
	return nil
}

// record builds the record of one identifier from all its mentions.
func (it item) record(d *document) (vuln.Record, error) {
	rec, err := it.body.record(d)
	if err != nil {
		return rec, err
	}
	for _, v := range it.more {
		other, err := v.record(d)
		if err != nil {
			return rec, err
		}
		rec = unite(rec, other)
	}
	return rec, nil
}
