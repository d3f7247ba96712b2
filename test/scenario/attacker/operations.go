//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// operation is one thing the service can do.
type operation struct {
	least int  // how many arguments it takes
	more  bool // and any number after these
	do    func(d *doer, a []string) error
}

// operations by the names that scenario files use; doc.go of test/scenario lists them.
var operations = together(fileOperations, programOperations, processOperations, kernelOperations, mountOperations, socketOperations, bpfOperations, deputyOperations)

func together(all ...map[string]operation) map[string]operation {
	one := map[string]operation{}
	for _, m := range all {
		maps.Copy(one, m)
	}
	return one
}

// fileOperations change files, in all the ways there are.
var fileOperations = map[string]operation{
	"write":     {2, false, func(_ *doer, a []string) error { return put(a[0], a[1], unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC) }},
	"append":    {2, false, func(_ *doer, a []string) error { return put(a[0], a[1], unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND) }},
	"patch":     {2, false, func(_ *doer, a []string) error { return put(a[0], a[1], unix.O_RDWR) }},
	"reopen":    {2, false, func(_ *doer, a []string) error { return reopen(a[0], a[1]) }},
	"tmpfile":   {3, false, func(_ *doer, a []string) error { return tmpfile(a[0], a[1], a[2]) }},
	"copy":      {2, false, func(_ *doer, a []string) error { return copyFile(a[0], a[1]) }},
	"truncate":  {1, false, func(_ *doer, a []string) error { return os.Truncate(a[0], 0) }},
	"unlink":    {1, false, func(_ *doer, a []string) error { return unix.Unlink(a[0]) }},
	"rmdir":     {1, false, func(_ *doer, a []string) error { return unix.Rmdir(a[0]) }},
	"remove":    {1, false, func(_ *doer, a []string) error { return os.RemoveAll(a[0]) }},
	"mkdir":     {1, false, func(_ *doer, a []string) error { return unix.Mkdir(a[0], 0o755) }},
	"directory": {2, false, func(_ *doer, a []string) error { return directory(a[0], a[1]) }},
	"fifo":      {1, false, func(_ *doer, a []string) error { return unix.Mkfifo(a[0], 0o644) }},
	"socket":    {1, false, func(d *doer, a []string) error { return d.listen("unix", a[0]) }},
	"listen":    {1, false, func(d *doer, a []string) error { return d.listen("tcp", a[0]) }},
	"rename":    {2, false, func(_ *doer, a []string) error { return unix.Rename(a[0], a[1]) }},
	"exchange": {2, false, func(_ *doer, a []string) error {
		return unix.Renameat2(unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1], unix.RENAME_EXCHANGE)
	}},
	"link":    {2, false, func(_ *doer, a []string) error { return unix.Link(a[0], a[1]) }},
	"symlink": {2, false, func(_ *doer, a []string) error { return unix.Symlink(a[0], a[1]) }},
	"chmod": {2, false, func(_ *doer, a []string) error {
		return withNumber(a[0], func(n uint32) error { return unix.Chmod(a[1], n) })
	}},
	"fchmod": {2, false, func(_ *doer, a []string) error { return onOpen(a[1], a[0], unix.Fchmod) }},
	"chown": {2, false, func(_ *doer, a []string) error {
		return withNumber(a[0], func(n uint32) error { return unix.Chown(a[1], int(n), int(n)) })
	}},
	"fchown": {2, false, func(_ *doer, a []string) error {
		return onOpen(a[1], a[0], func(fd int, n uint32) error { return unix.Fchown(fd, int(n), int(n)) })
	}},
	"setxattr":  {3, false, func(_ *doer, a []string) error { return unix.Setxattr(a[0], a[1], []byte(a[2]), 0) }},
	"immutable": {2, false, func(_ *doer, a []string) error { return immutable(a[0], a[1] == "on") }},
	"map":       {2, false, func(_ *doer, a []string) error { return mapped(a[0], a[1], false) }},
	"protect":   {2, false, func(_ *doer, a []string) error { return mapped(a[0], a[1], true) }},

	"openat2":    {2, false, func(_ *doer, a []string) error { return openat2(a[0], a[1]) }},
	"sendfile":   {2, false, func(_ *doer, a []string) error { return sendfile(a[0], a[1]) }},
	"map-copy":   {2, false, func(_ *doer, a []string) error { return mapCopy(a[0], a[1]) }},
	"uring-copy": {2, false, func(_ *doer, a []string) error { return uringCopy(a[0], a[1]) }},
	"part":       {4, false, func(_ *doer, a []string) error { return part(a[0], a[1], a[2], a[3]) }},
	"put-at":     {3, false, func(_ *doer, a []string) error { return putAt(a[0], a[1], a[2]) }},
	"device":     {2, false, func(_ *doer, a []string) error { return device(a[0], a[1]) }},
	"mode-made":  {2, false, func(_ *doer, a []string) error { return modeMade(a[0], a[1]) }},
	"capability": {1, false, func(_ *doer, a []string) error { return capability(a[0]) }},
	"list":       {2, false, func(_ *doer, a []string) error { return list(a[0], a[1]) }},
	"follow":     {2, false, func(_ *doer, a []string) error { return follow(a[0], a[1]) }},

	"i386-write":  {2, false, func(_ *doer, a []string) error { return write32(a[0], a[1]) }},
	"i386-unlink": {1, false, func(_ *doer, a []string) error { return call32(sys32Unlink, a[0], "", 0) }},
	"i386-rename": {2, false, func(_ *doer, a []string) error { return call32(sys32Rename, a[0], a[1], 0) }},
	"i386-link":   {2, false, func(_ *doer, a []string) error { return call32(sys32Link, a[0], a[1], 0) }},
	"i386-chmod": {2, false, func(_ *doer, a []string) error {
		return withNumber(a[0], func(n uint32) error { return call32(sys32Chmod, a[1], "", n) })
	}},

	"uring-write":   {2, false, func(_ *doer, a []string) error { return uringWrite(a[0], a[1]) }},
	"uring-unlink":  {1, false, func(_ *doer, a []string) error { return uringPaths(uringUnlink, a[0], "") }},
	"uring-rename":  {2, false, func(_ *doer, a []string) error { return uringPaths(uringRename, a[0], a[1]) }},
	"uring-link":    {2, false, func(_ *doer, a []string) error { return uringPaths(uringLink, a[0], a[1]) }},
	"uring-symlink": {2, false, func(_ *doer, a []string) error { return uringPaths(uringSymlink, a[0], a[1]) }},
	"uring-mkdir":   {1, false, func(_ *doer, a []string) error { return uringPaths(uringMkdir, a[0], "") }},
}

// programOperations start programs and become them.
var programOperations = map[string]operation{
	"env":       {1, false, func(d *doer, a []string) error { d.env = append(d.env, a[0]); return nil }},
	"run":       {1, true, func(d *doer, a []string) error { return d.start(a, "") }},
	"pipe":      {2, true, func(d *doer, a []string) error { return d.start(a[1:], a[0]) }},
	"exec":      {1, true, func(d *doer, a []string) error { return d.become(func() error { return unix.Exec(a[0], a, d.env) }, a) }},
	"execat":    {1, true, func(d *doer, a []string) error { return d.become(func() error { return execAt(a[0], a, d.env) }, a) }},
	"memfd":     {1, true, func(d *doer, a []string) error { return d.memfd(a) }},
	"orphan":    {1, true, func(_ *doer, a []string) error { return orphan(a) }},
	"daemon":    {1, true, func(d *doer, a []string) error { return d.daemon(a) }},
	"race":      {3, true, func(d *doer, a []string) error { return d.race(a[0], a[1], a[2:]) }},
	"sleep":     {1, false, func(_ *doer, a []string) error { return sleep(a[0]) }},
	"i386-exec": {1, true, func(d *doer, a []string) error { return d.become(func() error { return exec32(a) }, a) }},
	"save":      {2, true, func(d *doer, a []string) error { return d.save(a[0], a[1:]) }},
	"bare":      {1, false, func(d *doer, a []string) error { return d.become(func() error { return bare(a[0], d.env) }, a) }},
	"elsewhere": {1, false, func(*doer, []string) error { return errors.New("is only said between operations") }},
	"within":    {1, true, func(*doer, []string) error { return errors.New("is only said between operations") }},
}

// directory makes a directory that may be there, for an owner.
func directory(path, owner string) error {
	if err := os.Mkdir(path, 0o755); err != nil && !os.IsExist(err) {
		return err
	}
	return withNumber(owner, func(n uint32) error { return unix.Chown(path, int(n), int(n)) })
}

// put opens with flags and writes a text.
func put(path, text string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	return writeAndClose(fd, text)
}

func writeAndClose(fd int, text string) error {
	defer unix.Close(fd)
	_, err := unix.Write(fd, []byte(text))
	return err
}

// reopen writes through a descriptor's name in /proc, the path opened without rights.
func reopen(path, text string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return put(fmt.Sprintf("/proc/self/fd/%d", fd), text, unix.O_WRONLY|unix.O_TRUNC)
}

// tmpfile writes a file without a name below dir and gives it one elsewhere.
func tmpfile(dir, path, text string) error {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte(text)); err != nil {
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
}

// copyFile makes an executable copy.
func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

func withNumber(text string, do func(uint32) error) error {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return err
	}
	return do(uint32(n))
}

// onOpen does something to a file opened for reading only.
func onOpen(path, number string, do func(int, uint32) error) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return withNumber(number, func(n uint32) error { return do(fd, n) })
}

// immutableFlag is FS_IMMUTABLE_FL of linux/fs.h.
const immutableFlag = 0x10

// immutable sets or takes away ext4's flag, as chattr does.
func immutable(path string, on bool) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	flags &^= immutableFlag
	if on {
		flags |= immutableFlag
	}
	return unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags)
}

// mapped maps a file executable, at once or after the fact, and then leaves a mark.
func mapped(path, mark string, later bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	protection := unix.PROT_READ | unix.PROT_EXEC
	if later {
		protection = unix.PROT_READ
	}
	m, err := unix.Mmap(int(f.Fd()), 0, 4096, protection, unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Munmap(m) }()
	if later {
		if err := unix.Mprotect(m, unix.PROT_READ|unix.PROT_EXEC); err != nil {
			return err
		}
	}
	return os.WriteFile(mark, nil, 0o644)
}

func (d *doer) listen(network, address string) error {
	l, err := net.Listen(network, address)
	if err == nil {
		d.keep = append(d.keep, l)
	}
	return err
}
