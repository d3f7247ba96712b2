//go:build linux && amd64

package main

import (
	"encoding/json"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func requestOf(do [][]string) string {
	b, _ := json.Marshal(Step{Do: do}) // strings always encode
	return string(b)
}

// execveat replaces this process by an open file.
func execveat(fd int, args, env []string) error {
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envp, err := syscall.SlicePtrFromStrings(env)
	if err != nil {
		return err
	}
	var empty byte
	_, _, errno := unix.Syscall6(unix.SYS_EXECVEAT, uintptr(fd), uintptr(unsafe.Pointer(&empty)),
		uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envp[0])), unix.AT_EMPTY_PATH, 0)
	return errno
}
