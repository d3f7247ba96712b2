package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// unitDirs are where administrators put units. A timer that is made there may start
// updaters, which the guard learns when it resolves its policy again. What packages
// bring elsewhere comes with an update, which is noted by itself.
var unitDirs = []string{"/etc/systemd/system", "/usr/local/lib/systemd/system"}

// watchDirs tells changed whenever names in dirs, or what they hold, have changed, at
// most once a second, until ctx ends. Directories that are not there are not watched.
func watchDirs(ctx context.Context, log *slog.Logger, dirs []string, changed chan<- struct{}) {
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		log.Warn("new timers are learned when something else changes", "error", os.NewSyscallError("inotify_init1", err))
		return
	}
	const changes = syscall.IN_CREATE | syscall.IN_MOVED_TO | syscall.IN_MOVED_FROM | syscall.IN_DELETE | syscall.IN_CLOSE_WRITE
	for _, dir := range dirs {
		if _, err := syscall.InotifyAddWatch(fd, dir, changes); err != nil && !errors.Is(err, fs.ErrNotExist) {
			log.Warn("new timers are learned when something else changes", "directory", dir, "error", os.NewSyscallError("inotify_add_watch", err))
		}
	}
	told := os.NewFile(uintptr(fd), "inotify")
	stop := context.AfterFunc(ctx, func() { told.Close() })
	go func() {
		defer stop()
		defer told.Close()
		buffer := make([]byte, 4096)
		for {
			if _, err := told.Read(buffer); err != nil {
				return // closed: ctx has ended
			}
			tell(changed)
			select {
			case <-ctx.Done():
				return
			case <-time.After(mountsEvery):
			}
		}
	}()
}

// tell leaves a message that is not there yet.
func tell(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}
