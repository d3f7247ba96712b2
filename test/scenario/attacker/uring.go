//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Operations of io_uring (include/uapi/linux/io_uring.h).
const (
	uringReach   = 16
	uringOpen    = 18
	uringGet     = 22
	uringPut     = 23
	uringRename  = 35
	uringUnlink  = 36
	uringMkdir   = 37
	uringSymlink = 38
	uringLink    = 39
)

// uringParams is struct io_uring_params.
type uringParams struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wq uint32
	_                                                    [3]uint32
	sq                                                   [10]uint32 // head tail mask entries flags dropped array …
	cq                                                   [10]uint32 // head tail mask entries overflow cqes …
}

// request is struct io_uring_sqe as far as it is used here.
type uringRequest struct {
	op      byte
	fd      int32
	off     uint64 // or a second address
	address uint64
	length  uint32
	flags   uint32
}

func (r uringRequest) encode(b []byte) {
	clear(b[:64])
	b[0] = r.op
	binary.LittleEndian.PutUint32(b[4:], uint32(r.fd))
	binary.LittleEndian.PutUint64(b[8:], r.off)
	binary.LittleEndian.PutUint64(b[16:], r.address)
	binary.LittleEndian.PutUint32(b[24:], r.length)
	binary.LittleEndian.PutUint32(b[28:], r.flags)
}

// uring submits one request on a ring of its own and returns its result.
func uring(r uringRequest) (int, error) {
	var p uringParams
	ring, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 2, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return -1, fmt.Errorf("io_uring_setup: %w", errno)
	}
	fd := int(ring)
	defer unix.Close(fd)
	const sqOffset, cqOffset, entriesOffset = 0, 0x8000000, 0x10000000
	sq, err := uringMap(fd, sqOffset, p.sq[6]+p.sqEntries*4)
	if err != nil {
		return -1, err
	}
	cq, err := uringMap(fd, cqOffset, p.cq[5]+p.cqEntries*16)
	if err != nil {
		return -1, err
	}
	entries, err := uringMap(fd, entriesOffset, p.sqEntries*64)
	if err != nil {
		return -1, err
	}
	r.encode(entries)
	binary.LittleEndian.PutUint32(sq[p.sq[6]:], 0)
	tail := sq[p.sq[1]:]
	binary.LittleEndian.PutUint32(tail, binary.LittleEndian.Uint32(tail)+1)
	const getEvents = 1
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, ring, 1, 1, getEvents, 0, 0); errno != 0 {
		return -1, fmt.Errorf("io_uring_enter: %w", errno)
	}
	done := int32(binary.LittleEndian.Uint32(cq[p.cq[5]+8:]))
	if done < 0 {
		return -1, unix.Errno(-done)
	}
	return int(done), nil
}

func uringMap(fd int, offset int64, size uint32) ([]byte, error) {
	return unix.Mmap(fd, offset, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

func uringWrite(path, text string) error {
	p := cString(path)
	fd, err := uring(uringRequest{op: uringOpen, fd: unix.AT_FDCWD, address: uint64(address(p)), length: 0o644, flags: unix.O_WRONLY | unix.O_CREAT | unix.O_TRUNC})
	runtime.KeepAlive(p)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := []byte(text)
	_, err = uring(uringRequest{op: uringPut, fd: int32(fd), address: uint64(address(b)), length: uint32(len(b))})
	runtime.KeepAlive(b)
	return err
}

// uringConnect connects a socket to an IPv4 address: struct sockaddr_in.
func uringConnect(fd, port int, ip [4]byte) error {
	to := append([]byte{unix.AF_INET, 0, byte(port >> 8), byte(port)}, append(ip[:], make([]byte, 8)...)...)
	_, err := uring(uringRequest{op: uringReach, fd: int32(fd), address: uint64(address(to)), off: uint64(len(to))})
	runtime.KeepAlive(to)
	return err
}

// uringPaths does what takes one path or two.
func uringPaths(op byte, first, second string) error {
	a, b := cString(first), cString(second)
	r := uringRequest{op: op, fd: unix.AT_FDCWD, address: uint64(address(a))}
	switch op {
	case uringMkdir:
		r.length = 0o755
	case uringRename, uringLink:
		here := int32(unix.AT_FDCWD)
		r.length, r.off = uint32(here), uint64(address(b))
	case uringSymlink:
		r.off = uint64(address(b))
	}
	_, err := uring(r)
	runtime.KeepAlive(a)
	runtime.KeepAlive(b)
	return err
}

func cString(s string) []byte { return append([]byte(s), 0) }

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(&b[0])) }
