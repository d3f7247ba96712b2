package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// mountsEvery is how often a changed mount table is told at most: a container that
// starts changes it many times.
const mountsEvery = time.Second

// watchMounts tells changed whenever the table of mounted file systems has, until ctx ends.
// The guard refuses mounting over its places; of other mounts, which move what a policy
// names too, its programs tell nothing. Where the table cannot be watched that is
// logged, and nothing is told.
func (p proc) watchMounts(ctx context.Context, log *slog.Logger, changed chan<- struct{}) {
	// Not os.Open: Go's own poller would take the answers meant for us.
	table, err := syscall.Open(filepath.Join(string(p), "self", "mountinfo"), syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		log.Warn("mounts are not watched: places are resolved again when something else moves them", "error", err)
		return
	}
	// The pipe ends waiting: its other end is closed when ctx ends.
	ends, end, err := os.Pipe()
	if err != nil {
		syscall.Close(table)
		log.Warn("mounts are not watched: places are resolved again when something else moves them", "error", err)
		return
	}
	stop := context.AfterFunc(ctx, func() { end.Close() })
	go func() {
		defer end.Close()
		defer stop()
		defer ends.Close()
		defer syscall.Close(table)
		if err := tellMounts(ctx, table, int(ends.Fd()), changed); err != nil && ctx.Err() == nil {
			log.Warn("mounts are not watched any more", "error", err)
		}
	}()
}

// tellMounts waits as proc_pid_mountinfo(5) says: a change is an exceptional condition
// of the open file, which one answer of epoll(7) takes away.
func tellMounts(ctx context.Context, table, ends int, changed chan<- struct{}) error {
	poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer syscall.Close(poll)
	for fd, events := range map[int]uint32{table: syscall.EPOLLPRI | syscall.EPOLLERR, ends: syscall.EPOLLHUP} {
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)}); err != nil {
			return fmt.Errorf("watching file %d: %w", fd, os.NewSyscallError("epoll_ctl", err))
		}
	}
	for {
		_, err := syscall.EpollWait(poll, make([]syscall.EpollEvent, 2), -1)
		if ctx.Err() != nil {
			return nil
		}
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return os.NewSyscallError("epoll_wait", err)
		}
		tell(changed)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(mountsEvery):
		}
	}
}
