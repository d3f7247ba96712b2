package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// collect walks text and returns the elements of its list "items" and skips the rest.
func collect(r io.Reader) (items []int, mismatches int, err error) {
	err = Object(r, func(d *Decoder, key string) error {
		if key != "items" {
			return d.Skip()
		}
		return d.Array(func(d *Decoder) error {
			var n int
			err := d.Value(&n)
			if Mismatch(err) {
				mismatches++
				return nil
			}
			items = append(items, n)
			return err
		})
	})
	return items, mismatches, err
}

func TestObjectHandsOverElementsAndGoesOnAfterOneOfAnotherShape(t *testing.T) {
	items, mismatches, err := collect(strings.NewReader(`{"a":{"items":[9]},"items":[1,"x",{"y":[]},2],"b":null}` + "\n "))
	if err != nil || len(items) != 2 || items[1] != 2 || mismatches != 2 {
		t.Errorf("items %v, %d mismatches, %v", items, mismatches, err)
	}
}

func TestDocumentCutAnywhereIsAnErrorWithItsPlace(t *testing.T) {
	const whole = `{"n": 3, "skipped": {"a": [1, {"b": "c\"}"}]}, "items": [1, 22, 333]}`
	for cut := range len(whole) {
		_, _, err := collect(iotest.OneByteReader(strings.NewReader(whole[:cut])))
		var at *Error
		if !errors.As(err, &at) || at.At != int64(cut) {
			t.Errorf("cut at %d: got %v, want an error at that byte", cut, err)
		}
	}
}

func TestBrokenDocumentsAreErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"goes on after its end", `{"items":[]} {"items":[1]}`, "goes on after its end"},
		{"a list", `[1]`, "expected an object"},
		{"items are no list", `{"items":{}}`, "expected a list"},
		{"no comma", `{"items":[1 2]}`, "comma"},
		{"nothing", ``, "cut off"},
		{"endless nesting", `{"x":` + strings.Repeat("[", maxDepth+10), "nested deeper"},
	} {
		if _, _, err := collect(strings.NewReader(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// endless gives a byte for ever, after a head.
type endless struct {
	head io.Reader
	fill byte
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.head.Read(p); err == nil {
		return n, nil
	}
	for i := range p {
		p[i] = e.fill
	}
	return len(p), nil
}

func TestOneEndlessValueEndsAtTheBound(t *testing.T) {
	for name, head := range map[string]string{"skipped": `{"x":"`, "decoded": `{"items":["`, "key": `{"`} {
		if _, _, err := collect(&endless{strings.NewReader(head), 'a'}); !errors.Is(err, errLarge) {
			t.Errorf("%s: got %v, want %v", name, err, errLarge)
		}
	}
	if _, err := ReadAll(&endless{strings.NewReader(""), ' '}); !errors.Is(err, errLarge) {
		t.Errorf("ReadAll: got %v, want %v", err, errLarge)
	}
}

func TestReasonOfTheReaderBelowIsKept(t *testing.T) {
	reason := errors.New("checksum differs")
	r := io.MultiReader(strings.NewReader(`{"items":[1,2`), iotest.ErrReader(reason))
	if _, _, err := collect(r); !errors.Is(err, reason) {
		t.Errorf("got %v, want it to wrap %v", err, reason)
	}
}

func TestUnmarshalNamesTheByteOfASyntaxErrorAndOfACut(t *testing.T) {
	var v struct{ A int }
	for text, at := range map[string]int64{`{"A": 1`: 7, `{"A": x}`: 7, `{} {}`: 4, ` [1]`: 1, `77`: 0} {
		err := Unmarshal([]byte(text), &v)
		var place *Error
		if !errors.As(err, &place) || place.At != at {
			t.Errorf("%s: got %v, want an error at byte %d", text, err, at)
		}
	}
	if err := Unmarshal([]byte(`{"A": "x"}`), &v); !Mismatch(err) {
		t.Errorf("another shape: got %v, want a mismatch", err)
	}
}

// Object must accept exactly the objects that encoding/json holds valid.
func FuzzObject(f *testing.F) {
	for _, s := range []string{`{"items":[1,2]}`, `{}`, `{"a":[{}],"items":[]} `, `{"items":[1,]}`, `{"a"`, `[]`, `{"a":1}x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, err := collect(bytes.NewReader(data))
		if err == nil && !json.Valid(data) {
			t.Errorf("accepted %q, which is no JSON document", data)
		}
		if trimmed := bytes.TrimSpace(data); err != nil && json.Valid(data) && trimmed[0] == '{' && !strings.Contains(err.Error(), "expected a list") {
			t.Errorf("%q: %v, but it is a JSON object", data, err)
		}
	})
}
