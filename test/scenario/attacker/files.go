//go:build linux && amd64

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openat2 writes a text through the newest way to open a file.
func openat2(path, text string) error {
	fd, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{Flags: unix.O_WRONLY | unix.O_CLOEXEC})
	if err != nil {
		return err
	}
	return writeAndClose(fd, text)
}

// sendfile lets the kernel carry one file's content into another.
func sendfile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = unix.Sendfile(int(out.Fd()), int(in.Fd()), nil, 1<<20)
	return err
}

// mapCopy reads a file by mapping it.
func mapCopy(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	m, err := unix.Mmap(int(in.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(m) }()
	return os.WriteFile(to, m, 0o644)
}

// uringCopy reads a file's beginning through io_uring.
func uringCopy(from, to string) error {
	p := cString(from)
	fd, err := uring(uringRequest{op: uringOpen, fd: unix.AT_FDCWD, address: uint64(address(p)), flags: unix.O_RDONLY})
	runtime.KeepAlive(p)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	n, err := uring(uringRequest{op: uringGet, fd: int32(fd), address: uint64(address(b)), length: uint32(len(b))})
	if err != nil {
		return err
	}
	return os.WriteFile(to, b[:n], 0o644)
}

// part copies some bytes from the middle of a file or device.
func part(path, offset, length, mark string) error {
	at, err := strconv.ParseInt(offset, 0, 64)
	if err != nil {
		return err
	}
	return withNumber(length, func(n uint32) error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		b := make([]byte, n)
		got, err := unix.Pread(fd, b, at)
		if err != nil {
			return err
		}
		return os.WriteFile(mark, b[:got], 0o644)
	})
}

// putAt writes into the middle of a file or device.
func putAt(path, offset, text string) error {
	at, err := strconv.ParseInt(offset, 0, 64)
	if err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, []byte(text), at); err != nil {
		return err
	}
	return unix.Fsync(fd)
}

// device makes another name for the device that like is.
func device(path, like string) error {
	var there unix.Stat_t
	if err := unix.Stat(like, &there); err != nil {
		return err
	}
	return unix.Mknod(path, there.Mode&unix.S_IFMT|0o600, int(there.Rdev))
}

// modeMade makes an empty file that has its permission bits from the beginning.
func modeMade(mode, path string) error {
	return withNumber(mode, func(n uint32) error {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, n)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}

// capability gives a program CAP_SETUID, as setcap does: struct vfs_cap_data of
// linux/capability.h, revision 2, effective.
func capability(path string) error {
	const revision2, effective = 0x02000000, 1
	data := make([]byte, 20)
	binary.LittleEndian.PutUint32(data, revision2|effective)
	binary.LittleEndian.PutUint32(data[4:], 1<<unix.CAP_SETUID)
	return unix.Setxattr(path, "security.capability", data, 0)
}

// list leaves the names of a directory in a file.
func list(dir, mark string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var names strings.Builder
	for _, e := range entries {
		fmt.Fprintln(&names, e.Name())
	}
	return os.WriteFile(mark, []byte(names.String()), 0o644)
}

// follow leaves what a symbolic link says in a file.
func follow(path, mark string) error {
	text, err := os.Readlink(path)
	if err != nil {
		return err
	}
	return os.WriteFile(mark, []byte(text+"\n"), 0o644)
}
