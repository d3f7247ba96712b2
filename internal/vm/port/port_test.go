package port_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/vm/port"
)

func TestFramesComeBackAsTheyWereWritten(t *testing.T) {
	var b bytes.Buffer
	want := []port.Frame{
		{Kind: port.PowerOff, Body: []byte{}},
		{Kind: port.Data, ID: 1<<32 - 1, Body: bytes.Repeat([]byte{0xa5, 'k', 'n', 'k'}, port.MaxBody/4)},
		{Kind: port.Done, ID: 7, Body: []byte(`{"Code":3}`)},
	}
	for _, f := range want {
		if err := port.Write(&b, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range want {
		got, err := port.Read(&b)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("got kind %c, id %d, %d bytes, %v; want kind %c, id %d, %d bytes", got.Kind, got.ID, len(got.Body), err, f.Kind, f.ID, len(f.Body))
		}
	}
	if _, err := port.Read(&b); !errors.Is(err, io.EOF) {
		t.Fatalf("after the last frame: %v, want EOF", err)
	}
}

func TestBadFramesAreErrors(t *testing.T) {
	good := func(body string) string {
		var b bytes.Buffer
		if err := port.Write(&b, port.Frame{Kind: port.Data, Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ in, want string }{
		"another language": {"GET / HTTP/1.1\r\n", "not a frame"},
		"cut body":         {good("hello")[:15], "cut short"},
		"huge":             {good("")[:9] + "\xff\xff\xff\xff", "announces"},
	} {
		if _, err := port.Read(strings.NewReader(c.in)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if err := port.Write(io.Discard, port.Frame{Body: make([]byte, port.MaxBody+1)}); err == nil {
		t.Error("a body that no reader accepts was written")
	}
}

func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	_ = port.WriteJSON(&b, port.Exec, 2, port.Command{Args: []string{"id"}})
	f.Add(b.Bytes())
	f.Add([]byte("\xa5knkD\x00\x00\x00\x01\x00\x00\x00\x02ab"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			before := r.Len()
			got, err := port.Read(r)
			if err != nil {
				return
			}
			var out bytes.Buffer
			if err := port.Write(&out, got); err != nil || !bytes.Equal(out.Bytes(), in[len(in)-before:len(in)-r.Len()]) {
				t.Fatalf("read and written again: %x, %v", out.Bytes(), err)
			}
		}
	})
}
