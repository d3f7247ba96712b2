//go:build linux && amd64

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
)

// manager is systemd on the bus.
const (
	managerName  = "org.freedesktop.systemd1"
	managerPath  = "/org/freedesktop/systemd1"
	managerFaces = "org.freedesktop.systemd1.Manager"
)

// bus asks systemd for something over a socket: its own private one, or a bus, where
// who comes has to say hello first.
func bus(socket, method string, args []string) error {
	c, err := dial(socket)
	if err != nil {
		return err
	}
	defer c.Close()
	in := bufio.NewReader(c)
	if err := introduce(c, in); err != nil {
		return err
	}
	destination := ""
	if strings.HasSuffix(socket, "bus_socket") || strings.HasSuffix(socket, "/bus") {
		destination = managerName
		hello := call{"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", nil}
		if err := hello.ask(c, in, 1); err != nil {
			return err
		}
	}
	signature, body, err := arguments(method, args)
	if err != nil {
		return err
	}
	return call{destination, managerPath, managerFaces, method, signature, body}.ask(c, in, 2)
}

// introduce is the beginning of the protocol: who asks is who the socket says he is.
func introduce(c net.Conn, in *bufio.Reader) error {
	if _, err := fmt.Fprintf(c, "\x00AUTH EXTERNAL %s\r\n", hex.EncodeToString([]byte(strconv.Itoa(os.Getuid())))); err != nil {
		return err
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "OK") {
		return fmt.Errorf("the bus says %q", line)
	}
	_, err = io.WriteString(c, "BEGIN\r\n")
	return err
}

// marshalled is a message as it grows: values stand where their size divides.
type marshalled struct{ bytes.Buffer }

func (m *marshalled) align(n int) {
	for m.Len()%n != 0 {
		m.WriteByte(0)
	}
}

func (m *marshalled) number(n uint32) {
	m.align(4)
	m.Write(binary.LittleEndian.AppendUint32(nil, n))
}

func (m *marshalled) text(s string) {
	m.number(uint32(len(s)))
	m.WriteString(s + "\x00")
}

func (m *marshalled) signature(s string) {
	m.WriteByte(byte(len(s)))
	m.WriteString(s + "\x00")
}

// array holds what each writes, whose first element stands where n divides.
func (m *marshalled) array(n int, each func()) {
	m.number(0)
	at := m.Len() - 4
	m.align(n)
	from := m.Len()
	each()
	binary.LittleEndian.PutUint32(m.Bytes()[at:], uint32(m.Len()-from))
}

func (m *marshalled) texts(all []string) {
	m.array(4, func() {
		for _, s := range all {
			m.text(s)
		}
	})
}

// property is a name with a value of some type.
func (m *marshalled) property(name, signature string, value func()) {
	m.align(8)
	m.text(name)
	m.signature(signature)
	value()
}

// arguments of those of systemd's methods that attacks need.
func arguments(method string, a []string) (signature string, body []byte, err error) {
	least := map[string]int{"StartTransientUnit": 2, "StartUnit": 1, "StopUnit": 1, "KillUnit": 1, "FreezeUnit": 1, "SetUnitProperties": 1,
		"MaskUnitFiles": 1, "DisableUnitFiles": 1, "LinkUnitFiles": 1, "SetEnvironment": 1}
	n, known := least[method]
	if !known || len(a) < n {
		return "", nil, fmt.Errorf("%s with %d arguments is not known here", method, len(a))
	}
	var m marshalled
	switch method {
	case "StartTransientUnit":
		return "ssa(sv)a(sa(sv))", transient(a[0], a[1:]), nil
	case "StartUnit", "StopUnit":
		m.text(a[0])
		m.text("replace")
		return "ss", m.Bytes(), nil
	case "KillUnit":
		m.text(a[0])
		m.text("all")
		m.number(9)
		return "ssi", m.Bytes(), nil
	case "FreezeUnit":
		m.text(a[0])
		return "s", m.Bytes(), nil
	case "SetUnitProperties": // until the next start, a single task
		m.text(a[0])
		m.number(1)
		m.array(8, func() {
			m.property("TasksMax", "t", func() { m.align(8); m.Write(binary.LittleEndian.AppendUint64(nil, 1)) })
		})
		return "sba(sv)", m.Bytes(), nil
	case "MaskUnitFiles", "LinkUnitFiles": // until the next start, by force
		m.texts(a)
		m.number(1)
		m.number(1)
		return "asbb", m.Bytes(), nil
	case "DisableUnitFiles":
		m.texts(a)
		m.number(0)
		return "asb", m.Bytes(), nil
	}
	m.texts(a) // SetEnvironment
	return "as", m.Bytes(), nil
}

// transient describes a service that starts one program.
func transient(name string, command []string) []byte {
	var m marshalled
	m.text(name)
	m.text("fail")
	m.array(8, func() {
		m.property("ExecStart", "a(sasb)", func() {
			m.array(8, func() {
				m.align(8)
				m.text(command[0])
				m.texts(command)
				m.number(0)
			})
		})
	})
	m.array(8, func() {})
	return m.Bytes()
}

// call is a method of an object, with its arguments.
type call struct {
	destination, path, face, method, signature string
	body                                       []byte
}

// Of the D-Bus specification: message types and fields of a header.
const (
	methodCall, methodReturn, methodError = 1, 2, 3

	fieldPath, fieldFace, fieldMember, fieldReply, fieldDestination, fieldSignature = 1, 2, 3, 5, 6, 8
)

func (k call) message(serial uint32) []byte {
	var m marshalled
	m.Write([]byte{'l', methodCall, 0, 1})
	m.number(uint32(len(k.body)))
	m.number(serial)
	m.array(8, func() {
		for _, f := range []struct {
			field      byte
			kind, text string
		}{{fieldPath, "o", k.path}, {fieldFace, "s", k.face}, {fieldMember, "s", k.method}, {fieldDestination, "s", k.destination}, {fieldSignature, "g", k.signature}} {
			if f.text == "" {
				continue
			}
			m.align(8)
			m.WriteByte(f.field)
			m.signature(f.kind)
			if f.kind == "g" {
				m.signature(f.text)
			} else {
				m.text(f.text)
			}
		}
	})
	m.align(8)
	return append(m.Bytes(), k.body...)
}

// ask sends it and waits for its answer.
func (k call) ask(c net.Conn, in *bufio.Reader, serial uint32) error {
	if _, err := c.Write(k.message(serial)); err != nil {
		return err
	}
	for {
		head := make([]byte, 16)
		if _, err := io.ReadFull(in, head); err != nil {
			return err
		}
		fields := binary.LittleEndian.Uint32(head[12:])
		rest := make([]byte, int(fields+7)&^7+int(binary.LittleEndian.Uint32(head[4:])))
		if _, err := io.ReadFull(in, rest); err != nil {
			return err
		}
		if !isReply(rest[:fields], serial) {
			continue // a signal, or the bus saying who we are
		}
		switch head[1] {
		case methodReturn:
			return nil
		case methodError:
			return errors.New("refused: " + strings.ToValidUTF8(string(rest), "."))
		}
	}
}

// isReply looks for the field that says which call is answered: it stands where 8
// divides, with its type before its value.
func isReply(fields []byte, serial uint32) bool {
	for at := 0; at+8 <= len(fields); at += 8 {
		if fields[at] == fieldReply && bytes.Equal(fields[at+1:at+4], []byte{1, 'u', 0}) {
			return binary.LittleEndian.Uint32(fields[at+4:]) == serial
		}
	}
	return false
}
