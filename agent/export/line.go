package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

// patience bounds one connect or write where the caller set no deadline.
const patience = 10 * time.Second

// line is the connection to a syslog receiver. It is opened anew when it broke.
type line struct {
	network, addr string // network: unix, udp, tcp
	conn          net.Conn
}

// open connects unless there is a connection that still stands.
func (l *line) open(ctx context.Context) error {
	if l.conn != nil && !l.datagrams() && hungUp(l.conn) {
		l.close()
	}
	if l.conn != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if l.network != "unix" {
		l.conn, err = (&net.Dialer{}).DialContext(ctx, l.network, l.addr)
		return err
	}
	// A local socket is what its receiver made it; datagrams are the custom.
	if l.conn, err = (&net.Dialer{}).DialContext(ctx, "unixgram", l.addr); errors.Is(err, syscall.EPROTOTYPE) {
		l.conn, err = (&net.Dialer{}).DialContext(ctx, "unix", l.addr)
	}
	return err
}

func (l *line) close() {
	if l.conn != nil {
		l.conn.Close()
	}
	l.conn = nil
}

// datagrams tells whether each message goes as one.
func (l *line) datagrams() bool {
	network := l.conn.RemoteAddr().Network()
	return network == "udp" || network == "unixgram"
}

// send writes one message: a datagram; over TCP with its length before it (octet
// counting, RFC 6587 section 3.4.1); over a local stream with a line feed after it, as
// receivers there expect. A message holds no line feed.
func (l *line) send(ctx context.Context, message string) error {
	switch {
	case l.datagrams():
	case l.network == "tcp":
		message = strconv.Itoa(len(message)) + " " + message
	default:
		message += "\n"
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	deadline, _ := ctx.Deadline()
	if err := l.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	// Without a deadline of its own a cancelled ctx has to end the write as well.
	stop := context.AfterFunc(ctx, func() { l.conn.SetWriteDeadline(deadline.Add(-2 * patience)) })
	defer stop()
	_, err := l.conn.Write([]byte(message))
	if errors.Is(err, os.ErrDeadlineExceeded) { // which of the two ended it first is chance
		return fmt.Errorf("%w: %w", cmp.Or(ctx.Err(), context.DeadlineExceeded), err)
	}
	return err
}

// hungUp tells whether the receiver has closed the connection. The first write after
// that would succeed, and what it wrote be gone.
func hungUp(conn net.Conn) bool {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	c, err := raw.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = c.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n <= 0 && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return gone || err != nil
}
