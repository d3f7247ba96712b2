package inventory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/internal/nearest"
	"github.com/kannuki/kannuki/inventory/cyclonedx"
)

// WriteJSON writes inv as our own JSON: two-space indents, packages and processes in
// a fixed order, so that two inventories can be compared with diff.
func WriteJSON(w io.Writer, inv host.Inventory) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(ordered(inv))
}

// WriteCycloneDX writes what is installed as a CycloneDX 1.6 JSON bill of materials.
// What runs (processes, the kernel) has no place in one.
func WriteCycloneDX(w io.Writer, inv host.Inventory) error {
	return cyclonedx.Write(w, ordered(inv))
}

func ordered(inv host.Inventory) host.Inventory {
	inv.Packages = slices.Clone(inv.Packages)
	if inv.Packages == nil {
		inv.Packages = []host.Package{}
	}
	sortPackages(inv.Packages)
	inv.Processes = slices.Clone(inv.Processes)
	slices.SortStableFunc(inv.Processes, func(a, b host.Process) int { return cmp.Compare(a.PID, b.PID) })
	return inv
}

// decodeOwn reads our own JSON. An unknown key is an error: a misspelt one would
// otherwise be a fact silently missing.
func decodeOwn(text []byte, name, hostName string) (host.Inventory, error) {
	var inv host.Inventory
	if err := checkKeys(text, reflect.TypeOf(inv), name, "inventory"); err != nil {
		return inv, err
	}
	if err := json.Unmarshal(text, &inv); err != nil {
		return host.Inventory{}, located(err, text, name)
	}
	if err := complete(&inv, name); err != nil {
		return host.Inventory{}, err
	}
	inv.Origin = cmp.Or(inv.Origin, "file")
	inv.Host.Name = cmp.Or(inv.Host.Name, hostName)
	return inv, nil
}

// kinds are the values of host.Package.Kind.
var kinds = []string{"dpkg", "rpm", "apk", "component"}

// complete fills in what may be left out and refuses what cannot be judged.
func complete(inv *host.Inventory, name string) error {
	if inv.Packages == nil && inv.Windows == nil {
		return fmt.Errorf("%s: neither \"packages\" nor \"windows\": nothing to judge", name)
	}
	if inv.Packages == nil {
		inv.Packages = []host.Package{}
	}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		place := fmt.Sprintf("%s: packages[%d]", name, i)
		switch {
		case p.Name == "":
			return fmt.Errorf("%s: no \"name\"", place)
		case p.Version == "":
			return fmt.Errorf("%s (%s): no \"version\"", place, p.Name)
		case !slices.Contains(kinds, p.Kind):
			return fmt.Errorf("%s (%s): \"kind\" is %q; it must be one of %s", place, p.Name, p.Kind, strings.Join(kinds, ", "))
		}
		p.Source = cmp.Or(p.Source, p.Name)
		p.SourceVersion = cmp.Or(p.SourceVersion, p.Version)
	}
	return nil
}

// checkKeys walks the document beside the type it will be decoded into.
func checkKeys(text []byte, t reflect.Type, name, what string) error {
	c := keyChecker{dec: json.NewDecoder(bytes.NewReader(text)), text: text, name: name, what: what}
	if err := c.value(t, ""); err != nil {
		return err
	}
	if _, err := c.dec.Token(); err != io.EOF {
		return fmt.Errorf("%s:%s: text after the end of the %s", name, position(text, c.dec.InputOffset()), what)
	}
	return nil
}

type keyChecker struct {
	dec   *json.Decoder
	text  []byte
	name  string
	what  string // is checked: "inventory"
	depth int
}

// maxDepth is more nesting than an inventory has, and less than a stack bears.
const maxDepth = 32

// value checks the next value against t; nil accepts anything.
func (c *keyChecker) value(t reflect.Type, path string) error {
	token, err := c.dec.Token()
	if err != nil {
		return located(err, c.text, c.name)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if c.depth++; c.depth > maxDepth {
		return fmt.Errorf("%s:%s: nested deeper than %d levels", c.name, position(c.text, c.dec.InputOffset()), maxDepth)
	}
	defer func() { c.depth-- }()
	for i := 0; c.dec.More(); i++ {
		var err error
		if delim == '{' {
			err = c.member(t, path)
		} else {
			var elem reflect.Type
			if t != nil && t.Kind() == reflect.Slice {
				elem = t.Elem()
			}
			err = c.value(elem, fmt.Sprintf("%s[%d]", path, i))
		}
		if err != nil {
			return err
		}
	}
	_, err = c.dec.Token() // the closing bracket
	return located(err, c.text, c.name)
}

// member checks one key and its value.
func (c *keyChecker) member(t reflect.Type, path string) error {
	token, err := c.dec.Token()
	if err != nil {
		return located(err, c.text, c.name)
	}
	key, _ := token.(string)
	at := strings.TrimPrefix(path+"."+key, ".")
	if t == nil || t.Kind() != reflect.Struct {
		return c.value(nil, at)
	}
	fields := fieldsOf(t)
	field, known := fields[key]
	if !known {
		return fmt.Errorf("%s:%s: unknown key %q in %s; did you mean %q?", c.name, position(c.text, c.dec.InputOffset()-int64(len(key))-2),
			key, cmp.Or(path, "the "+c.what), nearest.Word(key, slices.Sorted(maps.Keys(fields))))
	}
	return c.value(field, at)
}

// fieldsOf are the JSON keys of a struct. One that decodes itself (time.Time) has none.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag != "" && tag != "-" {
			fields[tag] = f.Type
		}
	}
	return fields
}

// located puts file, line and column before a JSON error.
func located(err error, text []byte, name string) error {
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%s: %w", name, position(text, syntax.Offset), err)
	case errors.As(err, &kind):
		return fmt.Errorf("%s:%s: %s must be a %s, not a %s", name, position(text, kind.Offset), kind.Field, kind.Type, kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s:%s: the file ends in the middle", name, position(text, int64(len(text))))
	}
	return fmt.Errorf("%s: %w", name, err)
}

// position is "line:column" of a byte, both counted from 1.
func position(text []byte, offset int64) string {
	before := text[:min(max(offset, 0), int64(len(text)))]
	line := bytes.Count(before, []byte{'\n'}) + 1
	return fmt.Sprintf("%d:%d", line, len(before)-bytes.LastIndexByte(before, '\n'))
}
