// Package jsonout writes JSON that people read too: indented, without escaping what is
// safe outside HTML, and an empty list as [] whatever way it is empty.
package jsonout

import (
	"encoding/json"
	"io"
	"reflect"
)

// Write writes v to w.
func Write(w io.Writer, v any) error {
	if r := reflect.ValueOf(v); r.Kind() == reflect.Slice && r.IsNil() {
		v = []struct{}{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
