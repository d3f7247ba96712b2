//go:build linux

package vm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/kannuki/kannuki/internal/vm/port"
)

// link is the host's end of the port: it numbers requests and hands each answer to
// whoever asked.
type link struct {
	file   *os.File
	writes sync.Mutex

	mu    sync.Mutex
	last  uint32
	calls map[uint32]*call
	err   error // why no more frames will come
}

// call is one request under way.
type call struct {
	id    uint32
	data  func(port.Frame) // Stdout, Stderr and Data; may be nil
	final chan port.Frame  // Done or Hello, kept for whoever waits
	lost  chan struct{}    // closed when the link has broken
	link  *link
}

func newLink(file *os.File) *link {
	l := &link{file: file, calls: map[uint32]*call{}}
	go l.read()
	return l
}

func (l *link) read() {
	in := bufio.NewReaderSize(l.file, port.MaxBody)
	for {
		f, err := port.Read(in)
		if err != nil {
			l.broke(err)
			return
		}
		l.mu.Lock()
		c := l.calls[f.ID]
		if f.Kind == port.Done || f.Kind == port.Hello {
			delete(l.calls, f.ID)
		}
		l.mu.Unlock()
		switch {
		case c == nil: // of a request that was given up
		case f.Kind == port.Done || f.Kind == port.Hello:
			c.final <- f
		case c.data != nil:
			c.data(f)
		}
	}
}

func (l *link) broke(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = fmt.Errorf("the machine's port: %w", err)
	for id, c := range l.calls {
		close(c.lost)
		delete(l.calls, id)
	}
}

// begin sends a request; its answers go to data until the final one, for wait.
func (l *link) begin(kind port.Kind, body any, data func(port.Frame)) (*call, error) {
	c := &call{data: data, final: make(chan port.Frame, 1), lost: make(chan struct{}), link: l}
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return nil, l.err
	}
	l.last++
	c.id = l.last
	l.calls[c.id] = c
	l.mu.Unlock()
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return c, l.send(port.Frame{Kind: kind, ID: c.id, Body: encoded})
}

// wait returns the final answer, or why there is none.
func (c *call) wait(ctx context.Context, gone <-chan struct{}) (port.Frame, error) {
	select {
	case f := <-c.final:
		return f, nil
	case <-ctx.Done():
		return port.Frame{}, ctx.Err()
	case <-c.lost:
	case <-gone:
	}
	select { // the answer may have come just before the end
	case f := <-c.final:
		return f, nil
	default:
		return port.Frame{}, errors.New("the machine has ended")
	}
}

// call sends a request and waits for its answer.
func (l *link) call(ctx context.Context, gone <-chan struct{}, kind port.Kind, body any) (port.Frame, error) {
	c, err := l.begin(kind, body, nil)
	if err != nil {
		return port.Frame{}, err
	}
	return c.wait(ctx, gone)
}

// sendTimeout is how long a guest may leave a frame unread: longer, and it hangs.
const sendTimeout = time.Minute

func (l *link) send(f port.Frame) error {
	l.writes.Lock()
	defer l.writes.Unlock()
	if err := l.file.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	if err := port.Write(l.file, f); err != nil {
		l.file.Close() // half a frame may have gone: nothing after it would be understood
		return fmt.Errorf("the machine's port: %w", err)
	}
	return nil
}

func (l *link) close() { l.file.Close() }
