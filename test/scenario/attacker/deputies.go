//go:build linux && amd64

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// deputyOperations ask others to do what a service may not do itself. Addresses: a
// socket's path, "@" and its abstract name, or an IP address with its port.
var deputyOperations = map[string]operation{
	"talk":        {2, false, func(_ *doer, a []string) error { return talk(a[0], a[1]) }},
	"banner":      {2, false, func(_ *doer, a []string) error { return banner(a[0], a[1]) }},
	"banner-of":   {3, false, func(_ *doer, a []string) error { return bannerOf(a[0], a[1], a[2]) }},
	"flood":       {3, false, func(_ *doer, a []string) error { return flood(a[0], a[1], a[2]) }},
	"banner-fast": {2, false, func(_ *doer, a []string) error { return bannerFast(a[0], a[1]) }},
	"banner-ring": {2, false, func(_ *doer, a []string) error { return bannerRing(a[0], a[1]) }},
	"bus":         {2, true, func(_ *doer, a []string) error { return bus(a[0], a[1], a[2:]) }},
	"impersonate": {2, false, func(_ *doer, a []string) error { return impersonate(a[0], a[1]) }},
}

const answerWithin = 5 * time.Second

func dial(address string) (net.Conn, error) {
	network := "tcp"
	if address[0] == '/' || address[0] == '@' {
		network = "unix"
	}
	c, err := net.DialTimeout(network, address, answerWithin)
	if err != nil {
		return nil, err
	}
	return c, c.SetDeadline(time.Now().Add(answerWithin))
}

// talk says a line to a daemon and waits for its answer.
func talk(address, text string) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := fmt.Fprintf(c, "%s\r\n\r\n", text); err != nil {
		return err
	}
	_, err = bufio.NewReader(c).ReadString('\n')
	return err
}

// banner leaves in a file what a daemon says first.
func banner(address, path string) error {
	return bannerOf(address, "", path)
}

// bannerOf is banner, after a line that asks for it.
func bannerOf(address, text, path string) error {
	c, err := dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if text != "" {
		if _, err := fmt.Fprintf(c, "%s\r\n\r\n", text); err != nil {
			return err
		}
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(line), 0o644)
}

// flood sends many datagrams, and leaves in a file how many went.
func flood(address, count, path string) error {
	return withNumber(count, func(n uint32) error {
		c, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		went := 0
		for range n {
			_, err := c.Write([]byte("flood"))
			if err == nil || errors.Is(err, unix.ECONNREFUSED) { // nobody listens there, which an earlier one has found out
				went++
			}
		}
		return mark(path, "%d", went)
	})
}

// bannerFast is banner for TCP, without connect(2): the first data makes the connection.
func bannerFast(address, path string) error {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, []byte("SSH-2.0-none\r\n"), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return err
	}
	return firstWords(fd, path)
}

// firstWords leaves in a file what comes from a connection first.
func firstWords(fd int, path string) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}); err != nil {
		return err
	}
	b := make([]byte, 256)
	n, err := unix.Read(fd, b)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b[:n], 0o644)
}

// bannerRing is banner for TCP with a connection that io_uring makes.
func bannerRing(address, path string) error {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := uringConnect(fd, to.Port, [4]byte(to.IP.To4())); err != nil {
		return err
	}
	return firstWords(fd, path)
}

// impersonate answers at a daemon's socket in its place, and leaves in a file what
// somebody who asks there is told.
func impersonate(path, answers string) error {
	if err := os.Remove(path); err != nil {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	defer l.Close()
	told := make(chan error)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.WriteString(c, "all is well\n")
			c.Close()
		}
		told <- err
	}()
	if err := banner(path, answers); err != nil {
		return err
	}
	return <-told
}

// deputy stands in for a daemon such as docker's: on each of its addresses it does
// what it is asked, which is to make the file named after "touch=".
func deputy(addresses []string) error {
	failed := make(chan error)
	for _, a := range addresses {
		if a[0] == '/' {
			_ = os.Remove(a)
		}
		l, err := net.Listen("unix", a)
		if err != nil {
			return err
		}
		if a[0] == '/' {
			if err := os.Chmod(a, 0o666); err != nil {
				return err
			}
		}
		go func() { failed <- attend(l) }()
	}
	return <-failed
}

func attend(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		if err := oblige(c); err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, "deputy:", err)
		}
		c.Close()
	}
}

func oblige(c net.Conn) error {
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return err
	}
	if _, file, ok := strings.Cut(line, "touch="); ok {
		if err := os.WriteFile(strings.Fields(file)[0], nil, 0o644); err != nil {
			return err
		}
	}
	_, err = io.WriteString(c, "HTTP/1.1 201 Created\r\n\r\n")
	return err
}
