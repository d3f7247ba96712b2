//go:build linux && amd64

package main

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Numbers of 32-bit system calls, and what open(2) takes there.
const (
	sys32Write  = 4
	sys32Open   = 5
	sys32Close  = 6
	sys32Link   = 9
	sys32Unlink = 10
	sys32Exec   = 11
	sys32Chmod  = 15
	sys32Rename = 38
)

// int80 enters the kernel the way 32-bit programs do.
func int80(number, a, b, c uintptr) uintptr

// low is memory with addresses of 32 bits.
type low struct {
	all  []byte
	used int
}

func newLow() (*low, error) {
	m, err := unix.Mmap(-1, 0, 64<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_32BIT)
	return &low{all: m}, err
}

func (l *low) free() { _ = unix.Munmap(l.all) }

// text puts a string there and returns its address.
func (l *low) text(s string) uintptr { return l.put(append([]byte(s), 0)) }

func (l *low) put(b []byte) uintptr {
	at := address(l.all) + uintptr(l.used)
	copy(l.all[l.used:], b)
	l.used += (len(b) + 7) &^ 7
	return at
}

// result is a system call's number or its error.
func result(r uintptr) (int, error) {
	if n := int(int32(r)); n < 0 && n > -4096 {
		return -1, unix.Errno(-n)
	}
	return int(int32(r)), nil
}

// call32 calls with one or two paths and a number after the first.
func call32(number uintptr, path, second string, n uint32) error {
	l, err := newLow()
	if err != nil {
		return err
	}
	defer l.free()
	arg := uintptr(n)
	if second != "" {
		arg = l.text(second)
	}
	_, err = result(int80(number, l.text(path), arg, 0))
	return err
}

func write32(path, text string) error {
	l, err := newLow()
	if err != nil {
		return err
	}
	defer l.free()
	fd, err := result(int80(sys32Open, l.text(path), unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, 0o644))
	if err != nil {
		return err
	}
	defer int80(sys32Close, uintptr(fd), 0, 0)
	_, err = result(int80(sys32Write, uintptr(fd), l.text(text), uintptr(len(text))))
	return err
}

// exec32 replaces this process through the 32-bit execve.
func exec32(args []string) error {
	l, err := newLow()
	if err != nil {
		return err
	}
	var argv []byte
	for _, a := range args {
		argv = binary.LittleEndian.AppendUint32(argv, uint32(l.text(a)))
	}
	argv = append(argv, 0, 0, 0, 0)
	_, err = result(int80(sys32Exec, l.text(args[0]), l.put(argv), l.put(make([]byte, 4))))
	return err
}
