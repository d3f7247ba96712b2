//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socketOperations ask for protocols that a service has no use for.
var socketOperations = map[string]operation{
	"family":  {4, false, func(_ *doer, a []string) error { return family(a[0], a[1], a[2], a[3]) }},
	"option":  {1, false, func(_ *doer, a []string) error { return option(a[0]) }},
	"hash":    {2, false, func(_ *doer, a []string) error { return hash(a[0], a[1]) }},
	"capture": {3, false, func(_ *doer, a []string) error { return capture(a[0], a[1], a[2]) }},
	"forge":   {3, false, func(_ *doer, a []string) error { return forge(a[0], a[1], a[2]) }},

	"addresses":    {1, false, func(_ *doer, a []string) error { return addresses(a[0]) }},
	"route-change": {2, false, func(_ *doer, a []string) error { return routeChange(a[0], a[1]) }},
	"families":     {1, false, func(_ *doer, a []string) error { return families(a[0]) }},
	"audit":        {2, false, func(_ *doer, a []string) error { return auditing(a[0], a[1]) }},
	"xfrm-flush":   {0, false, func(*doer, []string) error { return xfrmFlush() }},
	"nft":          {2, false, func(_ *doer, a []string) error { return nft(a[0], a[1]) }},
}

var socketFamilies = map[string]int{"inet": unix.AF_INET, "inet6": unix.AF_INET6, "netlink": unix.AF_NETLINK, "alg": unix.AF_ALG,
	"packet": unix.AF_PACKET, "vsock": unix.AF_VSOCK, "key": unix.AF_KEY, "tipc": unix.AF_TIPC, "smc": unix.AF_SMC, "kcm": unix.AF_KCM, "xdp": unix.AF_XDP}

var socketTypes = map[string]int{"stream": unix.SOCK_STREAM, "dgram": unix.SOCK_DGRAM, "raw": unix.SOCK_RAW, "seqpacket": unix.SOCK_SEQPACKET}

// family opens a socket and leaves in a file what the kernel says that it is.
func family(name, kind, protocol, path string) error {
	domain, ok := socketFamilies[name]
	if !ok {
		return fmt.Errorf("there is no socket family %q", name)
	}
	typ, ok := socketTypes[kind]
	if !ok {
		return fmt.Errorf("there is no socket type %q", kind)
	}
	return withNumber(protocol, func(n uint32) error {
		fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC, int(n))
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		is, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil {
			return err
		}
		if is != domain {
			return fmt.Errorf("the socket is of family %d", is)
		}
		return mark(path, "%s", name)
	})
}

// iptablesInfo is IPT_SO_GET_INFO of linux/netfilter_ipv4/ip_tables.h, and the size of
// what it fills in.
const (
	iptablesInfo     = 64
	iptablesInfoSize = 84
)

// option asks the old packet filter about its table, which loads it.
func option(path string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := make([]byte, iptablesInfoSize)
	copy(b, "filter")
	if err := getsockopt(fd, unix.SOL_IP, iptablesInfo, b); err != nil {
		return err
	}
	return mark(path, "table %s", bytes.TrimRight(b[:32], "\x00"))
}

// hash has the kernel compute SHA-256.
func hash(text, path string) error {
	fd, err := unix.Socket(unix.AF_ALG, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrALG{Type: "hash", Name: "sha256"}); err != nil {
		return err
	}
	one, err := accept(fd)
	if err != nil {
		return err
	}
	defer unix.Close(one)
	if _, err := unix.Write(one, []byte(text)); err != nil {
		return err
	}
	sum := make([]byte, 32)
	if _, err := unix.Read(one, sum); err != nil {
		return err
	}
	return mark(path, "%s", hex.EncodeToString(sum))
}

// capture listens to what others send over loopback: an announcement of our own, sent
// by an ordinary socket.
func capture(how, text, path string) error {
	var fd int
	var err error
	switch how {
	case "packet":
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, networkOrder(unix.ETH_P_ALL))
	case "cooked":
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, networkOrder(unix.ETH_P_ALL))
	case "raw":
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	case "raw6":
		fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	default:
		err = fmt.Errorf("there is no capture %q", how)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	to := "127.0.0.1:9"
	if how == "raw6" {
		to = "[::1]:9"
	}
	c, err := net.Dial("udp", to)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	return awaited(fd, text, path)
}

// awaited reads packets until one holds a text, and leaves it in a file.
func awaited(fd int, text, path string) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 200000}); err != nil {
		return err
	}
	b := make([]byte, 2048)
	for range 50 {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return err
		}
		if bytes.Contains(b[:n], []byte(text)) {
			return mark(path, "heard %s", text)
		}
	}
	return errors.New("nothing of it was heard")
}

// networkOrder is a number of 16 bits as protocols have it.
func networkOrder(n int) int { return n>>8&0xff | n&0xff<<8 }

// forge sends a datagram from an address that is not the sender's, to whoever listens
// on a port: here the step itself.
func forge(from, text, path string) error {
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	source := net.ParseIP(from).To4()
	port := l.LocalAddr().(*net.UDPAddr).Port
	packet := append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}, source...)
	packet = append(packet, 127, 0, 0, 1, 0, 7, byte(port>>8), byte(port), 0, byte(8+len(text)), 0, 0)
	if err := unix.Sendto(fd, append(packet, text...), 0, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return err
	}
	if err := l.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	b := make([]byte, 2048)
	n, sender, err := l.ReadFrom(b)
	if err != nil {
		return err
	}
	return os.WriteFile(path, fmt.Appendf(nil, "%s from %s\n", b[:n], sender), 0o644)
}

// addresses leaves those of the host in a file, as any program may ask for them.
func addresses(path string) error {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return err
	}
	return mark(path, "%v", all)
}
