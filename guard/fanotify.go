package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// gate is one fanotify group: who starts a program on one of its file systems waits
// until it is answered. A gate that is closed lets everybody pass, waiting or not.
//
// Nothing may hold up the answers, because the whole host waits for them. So every
// question has an end (longest), the reader itself asks nothing of any file system, and
// this process starts no program while a gate is open: between fork and exec Go's
// scheduler stands still, and the exec would wait for an answer that it has to give.
type gate struct {
	// judge says whether a process may start the program behind fd.
	judge func(pid, fd int) bool
	// otherwise is the answer where there is none in time.
	otherwise func() bool

	self int
	busy chan struct{} // holds one for each question under way
	late atomic.Uint64 // refused without having been judged
	wake int           // an eventfd that ends the reader
	read chan struct{} // closed when the reader has ended

	mu     sync.RWMutex // held for writing by close alone
	fd     int
	closed bool
}

const (
	longest = 2 * time.Second // a question is under way
	most    = 64              // questions under way at once
)

// Events: what is asked about, and what only the canary is asked with.
const (
	launching = unix.FAN_OPEN_EXEC_PERM
	opening   = unix.FAN_OPEN_PERM
)

func openGate(judge func(pid, fd int) bool, otherwise func() bool) (*gate, error) {
	// Without a bound on the queue, because what finds no room there is let through. A
	// file may make whoever opens it wait (leases, pipes): so its descriptor does not.
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS,
		unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE|unix.O_NONBLOCK|unix.O_NOATIME)
	if err != nil {
		return nil, os.NewSyscallError("fanotify_init", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("eventfd", err), unix.Close(fd))
	}
	g := &gate{judge: judge, otherwise: otherwise, self: os.Getpid(), busy: make(chan struct{}, most), wake: wake, read: make(chan struct{}), fd: fd}
	go g.readAll()
	return g, nil
}

// watch asks about the file system that path lies on, from now on.
func (g *gate) watch(path string, events uint64) error {
	err := unix.FanotifyMark(g.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, events, unix.AT_FDCWD, path)
	return os.NewSyscallError("fanotify_mark", err)
}

// pass asks no more about one file, wherever it is moved, until forget.
func (g *gate) pass(fd int) error {
	return unix.FanotifyMark(g.fd, unix.FAN_MARK_ADD|unix.FAN_MARK_IGNORED_MASK, launching, fd, "")
}

// forget asks about every file again.
func (g *gate) forget() error {
	err := unix.FanotifyMark(g.fd, unix.FAN_MARK_FLUSH, 0, unix.AT_FDCWD, "/")
	return os.NewSyscallError("fanotify_mark", err)
}

// readAll hands on questions until the gate is closed. It waits by itself, not by Go's
// poller: a read that fails for one file must not hide the questions behind it.
func (g *gate) readAll() {
	defer close(g.read)
	room := make([]byte, 4096)
	for {
		ready := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}, {Fd: int32(g.wake), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if ready[1].Revents != 0 {
			return
		}
		n, err := unix.Read(g.fd, room)
		if err != nil {
			if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				g.late.Add(1) // the file could not be opened for us; the kernel has refused it
			}
			continue
		}
		for rest := room[:n]; len(rest) >= unix.FAN_EVENT_METADATA_LEN; {
			var m unix.FanotifyEventMetadata
			if _, err := binary.Decode(rest, binary.NativeEndian, &m); err != nil || m.Event_len < unix.FAN_EVENT_METADATA_LEN || int(m.Event_len) > len(rest) {
				break
			}
			rest = rest[m.Event_len:]
			g.take(&m)
		}
	}
}

// take has one question answered.
func (g *gate) take(m *unix.FanotifyEventMetadata) {
	fd, pid := int(m.Fd), int(m.Pid)
	switch {
	case fd < 0:
		return
	case m.Mask&opening != 0: // the canary, which lies where nobody else gets
		g.answer(fd, false)
		unix.Close(fd)
		return
	case pid == g.self:
		g.answer(fd, true)
		unix.Close(fd)
		return
	}
	full := time.NewTimer(longest)
	defer full.Stop()
	select {
	case g.busy <- struct{}{}:
		go g.consider(pid, fd)
	case <-full.C:
		g.giveUp(fd)
		unix.Close(fd)
	}
}

// consider judges one question, and answers it in time.
func (g *gate) consider(pid, fd int) {
	var once sync.Once
	tooLong := time.AfterFunc(longest, func() { once.Do(func() { g.giveUp(fd) }) })
	may := g.judge(pid, fd)
	tooLong.Stop()
	once.Do(func() { g.answer(fd, may) })
	unix.Close(fd) // not earlier: its number would be another question's
	<-g.busy
}

// giveUp answers what could not be judged in time.
func (g *gate) giveUp(fd int) {
	may := g.otherwise()
	if !may {
		g.late.Add(1)
	}
	g.answer(fd, may)
}

func (g *gate) answer(fd int, may bool) {
	r := unix.FanotifyResponse{Fd: int32(fd), Response: unix.FAN_DENY}
	if may {
		r.Response = unix.FAN_ALLOW
	}
	text, err := binary.Append(nil, binary.NativeEndian, r)
	if err != nil {
		return // no number has another size
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.closed {
		// Who asked may have been killed meanwhile: there is nothing to answer then.
		_, _ = unix.Write(g.fd, text)
	}
}

// close lets everybody pass. Where a file system holds up the reader it is the end of
// this process that does.
func (g *gate) close() error {
	g.mu.RLock()
	closed := g.closed
	g.mu.RUnlock()
	if closed {
		return nil
	}
	if _, err := unix.Write(g.wake, binary.NativeEndian.AppendUint64(nil, 1)); err != nil {
		return os.NewSyscallError("write", err)
	}
	select {
	case <-g.read:
	case <-time.After(longest):
		return errors.New("guard: a file system does not answer: what starts on it waits until the agent has ended")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return errors.Join(unix.Close(g.fd), unix.Close(g.wake))
}

// canary is a file system of our own, which nobody else has: opening its file is refused
// as long as the gate is heard and answers.
type canary struct{ dir int }

func (g *gate) newCanary() (*canary, error) {
	context, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	dir, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	fd, err := unix.Openat(dir, "canary", unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("openat", err), unix.Close(dir))
	}
	if err := errors.Join(unix.Close(fd), g.watch(fmt.Sprintf("/proc/self/fd/%d", dir), opening)); err != nil {
		return nil, errors.Join(err, unix.Close(dir))
	}
	return &canary{dir}, nil
}

// heard asks for a refusal and expects it.
func (c *canary) heard() error {
	if c == nil {
		return errors.New("closed")
	}
	fd, err := unix.Openat(c.dir, "canary", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	if !errors.Is(err, unix.EPERM) {
		return errors.New("asked about, but what is refused happens all the same")
	}
	return nil
}

func (c *canary) close() error { return unix.Close(c.dir) }
