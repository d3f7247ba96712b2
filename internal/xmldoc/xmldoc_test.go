package xmldoc

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// children reads a whole document and returns the names below its root.
func children(s string) ([]string, error) {
	d, err := Open(strings.NewReader(s))
	if err != nil {
		return nil, err
	}
	var names []string
	for {
		c, err := d.Next()
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return names, err
		}
		names = append(names, c.Name.Local)
	}
}

func TestOnlyAWholeDocumentIsAccepted(t *testing.T) {
	for _, c := range []struct{ name, doc, wantErr string }{
		{"whole", "\ufeff<?xml version='1.0'?><!-- c --><r><a>1</a><b/></r>\n<!-- end -->", ""},
		{"empty", "", "no XML root"},
		{"no xml", "hello", "before the root"},
		{"cut inside a child", "<r><a>1</a><b>", "ends before its root"},
		{"cut between children", "<r><a>1</a>", "ends before its root"},
		{"wrong end tag", "<r><a></b></r>", "closed by"},
		{"text after", "<r><a/></r>junk", "after the root"},
		{"second root", "<r><a/></r><r/>", "after the root element was closed"},
		{"unknown entity", "<!DOCTYPE r [<!ENTITY x 'y'>]><r><a>&x;</a></r>", "entity"},
	} {
		t.Run(c.name, func(t *testing.T) {
			names, err := children(c.doc)
			if c.wantErr == "" {
				if err != nil || strings.Join(names, " ") != "a b" {
					t.Fatalf("children = %v, %v; want a and b", names, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.wantErr) || !strings.Contains(err.Error(), "byte ") {
				t.Fatalf("error = %v; want one with a byte offset that says %q", err, c.wantErr)
			}
		})
	}
}

func TestDecodedChildDoesNotDisturbTheNext(t *testing.T) {
	d, err := Open(strings.NewReader("<r><a><x>1</x></a><b>2</b></r>"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := d.Next()
	if err != nil {
		t.Fatal(err)
	}
	var v struct {
		X string `xml:"x"`
	}
	if err := d.Decode(c, &v); err != nil || v.X != "1" {
		t.Fatalf("decoded %+v, %v; want x = 1", v, err)
	}
	if c, err = d.Next(); err != nil || c.Name.Local != "b" || c.Offset != 18 {
		t.Fatalf("next = %v at %d, %v; want b at 18", c.Name.Local, c.Offset, err)
	}
}
