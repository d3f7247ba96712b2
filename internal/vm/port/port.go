// Package port is the language that the host and the program inside a test machine
// speak over one virtio-serial port: frames of a kind, a request number and a body.
// It promises that a frame is whole or an error, and that no announced length makes
// a reader allocate more than MaxBody.
package port

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Name is the virtio-serial port's name, by which the guest finds it in
// /sys/class/virtio-ports.
const Name = "kannuki.agent"

// MaxBody bounds a frame's body, in bytes. Longer data goes in several frames.
const MaxBody = 64 << 10

// Kind says what a frame's body holds.
type Kind byte

// The host sends Hello, Exec, Signal, Push, Data, Pull and PowerOff; the guest sends
// Hello, Stdout, Stderr, Data and Done. Every request but Signal is answered by
// exactly one Done, after whatever data it has.
const (
	Hello    Kind = 'H' // Greeting
	Exec     Kind = 'X' // Command
	Signal   Kind = 'K' // one byte, the signal number, for the command of that ID
	Push     Kind = 'P' // File; Data frames follow, an empty one ends it
	Pull     Kind = 'G' // File (only Path is read); Data frames come back
	Data     Kind = 'D' // raw bytes of a file
	Stdout   Kind = 'o' // raw bytes of a command's standard output
	Stderr   Kind = 'e' // raw bytes of a command's standard error
	Done     Kind = 'x' // Outcome
	PowerOff Kind = 'Q' // empty: end the machine
)

// Greeting proves to each side who the other is: the token of this boot.
type Greeting struct {
	Token  string
	Kernel string // the guest's `uname -r`; empty from the host
	Clock  int64  // from the host: set the guest's clock to this many seconds since 1970; 0 leaves it
}

// Command is a program to run in the guest.
type Command struct {
	Args  []string // Args[0] is looked up on the guest's PATH unless it has a slash
	Env   []string // added to the agent's own small environment
	Dir   string   // working directory; empty is /
	User  string   // name in the guest's /etc/passwd; empty is root
	Login bool     // a login session's audit id: /proc/self/loginuid is set to the user
	Merge bool     // standard error goes where standard output goes, in order
	Stdin []byte   // at most MaxBody with the rest
}

// File is a file to write into the guest, or to read from it.
type File struct {
	Path string
	Mode uint32 // permission bits, with setuid and the like
	User string // owner; empty is root
}

// Outcome ends a request.
type Outcome struct {
	Code   int    // a command's exit status; 128+n where signal n ended it
	Signal string // the signal's name, if one ended the command
	Error  string // the request could not be done at all
}

// Frame is one message. ID joins a request with all that answers it.
type Frame struct {
	Kind Kind
	ID   uint32
	Body []byte
}

const header = 4 + 1 + 4 + 4 // magic, kind, ID, length of the body

var magic = [4]byte{0xa5, 'k', 'n', 'k'}

// Write sends a frame in one call of w.Write, so that writers need one lock only.
func Write(w io.Writer, f Frame) error {
	if len(f.Body) > MaxBody {
		return fmt.Errorf("frame %c has %d bytes, more than %d", f.Kind, len(f.Body), MaxBody)
	}
	buf := make([]byte, header, header+len(f.Body))
	copy(buf, magic[:])
	buf[4] = byte(f.Kind)
	binary.BigEndian.PutUint32(buf[5:], f.ID)
	binary.BigEndian.PutUint32(buf[9:], uint32(len(f.Body)))
	_, err := w.Write(append(buf, f.Body...))
	return err
}

// WriteJSON sends a frame whose body is v as JSON.
func WriteJSON(w io.Writer, kind Kind, id uint32, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return Write(w, Frame{Kind: kind, ID: id, Body: body})
}

// Read takes the next frame. io.EOF means that the stream ended between frames.
func Read(r io.Reader) (Frame, error) {
	var head [header]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	if [4]byte(head[:4]) != magic {
		return Frame{}, fmt.Errorf("not a frame: starts with % x", head[:4])
	}
	n := binary.BigEndian.Uint32(head[9:])
	if n > MaxBody {
		return Frame{}, fmt.Errorf("frame %q announces %d bytes, more than %d", head[4], n, MaxBody)
	}
	f := Frame{Kind: Kind(head[4]), ID: binary.BigEndian.Uint32(head[5:]), Body: make([]byte, n)}
	if _, err := io.ReadFull(r, f.Body); err != nil {
		return Frame{}, fmt.Errorf("frame %q cut short: %w", head[4], err)
	}
	return f, nil
}

// Into decodes a JSON body.
func (f Frame) Into(v any) error {
	if err := json.Unmarshal(f.Body, v); err != nil {
		return fmt.Errorf("frame %q: %w", byte(f.Kind), err)
	}
	return nil
}
