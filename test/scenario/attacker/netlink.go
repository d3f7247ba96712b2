//go:build linux && amd64

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getsockopt is getsockopt(2) into bytes.
func getsockopt(fd, level, name int, b []byte) error {
	size := uint32(len(b))
	return errnoOf(unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&size)), 0))
}

// accept is accept(2) where the kernel gives no address, as AF_ALG does.
func accept(fd int) (int, error) {
	one, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(one), nil
}

// message is one netlink message.
func message(kind, flags uint16, body ...byte) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN, unix.NLMSG_HDRLEN+len(body)+3)
	binary.NativeEndian.PutUint32(b, uint32(unix.NLMSG_HDRLEN+len(body)))
	binary.NativeEndian.PutUint16(b[4:], kind)
	binary.NativeEndian.PutUint16(b[6:], flags|unix.NLM_F_REQUEST)
	return pad(append(b, body...))
}

// attribute is one attribute of a netlink message.
func attribute(kind uint16, content ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.NLA_HDRLEN+len(content)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	return pad(append(b, content...))
}

func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

func zero(text string) []byte { return append([]byte(text), 0) }

// netlink sends messages to a part of the kernel, and returns the content of what it
// answers: up to an acknowledgement or the end of a list, where one asks for that, and
// else one message.
func netlink(protocol int, messages ...[]byte) ([][]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2}); err != nil {
		return nil, err
	}
	if err := unix.Sendto(fd, slices.Concat(messages...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	const hasEnd = unix.NLM_F_ACK | unix.NLM_F_DUMP
	ends := slices.ContainsFunc(messages, func(m []byte) bool { return binary.NativeEndian.Uint16(m[6:])&hasEnd != 0 })
	var answers [][]byte
	for ends || len(answers) == 0 {
		b := make([]byte, 64<<10)
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return nil, err
		}
		for b = b[:n]; len(b) >= unix.NLMSG_HDRLEN; {
			size := int(binary.NativeEndian.Uint32(b))
			kind, body := binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size]
			switch kind {
			case unix.NLMSG_DONE:
				return answers, nil
			case unix.NLMSG_ERROR:
				if errno := -int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return nil, unix.Errno(errno)
				}
				return answers, nil
			}
			answers = append(answers, body)
			b = b[min(len(b), (size+3)&^3):]
		}
	}
	return answers, nil
}

// routeChange makes a network device, or adds an address to loopback.
func routeChange(how, what string) error {
	const change = unix.NLM_F_ACK
	var m []byte
	switch how {
	case "device":
		kind := attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("dummy")...)...)
		name := attribute(unix.IFLA_IFNAME, zero(what)...)
		m = message(unix.RTM_NEWLINK, change|unix.NLM_F_CREATE|unix.NLM_F_EXCL, slices.Concat(make([]byte, unix.SizeofIfInfomsg), name, kind)...)
	case "address":
		loopback := make([]byte, unix.SizeofIfAddrmsg)
		loopback[0], loopback[1] = unix.AF_INET, 32
		binary.NativeEndian.PutUint32(loopback[4:], 1)
		ip := make([]byte, 4)
		if _, err := fmt.Sscanf(what, "%d.%d.%d.%d", &ip[0], &ip[1], &ip[2], &ip[3]); err != nil {
			return err
		}
		m = message(unix.RTM_NEWADDR, change|unix.NLM_F_CREATE, slices.Concat(loopback, attribute(unix.IFA_LOCAL, ip...))...)
	default:
		return fmt.Errorf("there is no change %q", how)
	}
	_, err := netlink(unix.NETLINK_ROUTE, m)
	return err
}

// families asks which generic netlink families there are, and leaves their names.
func families(path string) error {
	answers, err := netlink(unix.NETLINK_GENERIC, message(unix.GENL_ID_CTRL, unix.NLM_F_DUMP, unix.CTRL_CMD_GETFAMILY, 1, 0, 0))
	if err != nil {
		return err
	}
	var names strings.Builder
	for _, a := range answers {
		names.Write(a)
	}
	return mark(path, "%q", names.String())
}

// auditing switches the kernel's audit on or off, or leaves in a file how it is: struct
// audit_status has a mask of what is meant first, and then whether it is on.
func auditing(how, path string) error {
	const enabled = 1
	status := make([]byte, 40)
	switch how {
	case "on", "off":
		status[0] = enabled
		if how == "on" {
			status[4] = 1
		}
		_, err := netlink(unix.NETLINK_AUDIT, message(unix.AUDIT_SET, unix.NLM_F_ACK, status...))
		return err
	}
	answers, err := netlink(unix.NETLINK_AUDIT, message(unix.AUDIT_GET, 0)) // a thread of its own answers, after any acknowledgement
	if err != nil {
		return err
	}
	if len(answers) == 0 || len(answers[0]) < 8 {
		return errors.New("the kernel does not say how its audit is")
	}
	return mark(path, "on %d", answers[0][4])
}

// xfrmFlushPolicy is XFRM_MSG_FLUSHPOLICY of linux/xfrm.h.
const xfrmFlushPolicy = 0x1d

// xfrmFlush takes away what is to be encrypted.
func xfrmFlush() error {
	_, err := netlink(unix.NETLINK_XFRM, message(xfrmFlushPolicy, unix.NLM_F_ACK))
	return err
}

// nft makes a table of the packet filter, takes it away, or tells whether it is there.
func nft(how, table string) error {
	const inet = 1 // NFPROTO_INET
	header := []byte{inet, 0, 0, 0}
	name := attribute(unix.NFTA_TABLE_NAME, zero(table)...)
	do := func(kind, flags uint16) []byte {
		return message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, slices.Concat(header, name)...)
	}
	batch := func(kind uint16) []byte {
		return message(kind, 0, 0, 0, 0, unix.NFNL_SUBSYS_NFTABLES)
	}
	var err error
	switch how {
	case "add":
		_, err = netlink(unix.NETLINK_NETFILTER, batch(unix.NFNL_MSG_BATCH_BEGIN), do(unix.NFT_MSG_NEWTABLE, unix.NLM_F_ACK|unix.NLM_F_CREATE), batch(unix.NFNL_MSG_BATCH_END))
	case "delete":
		_, err = netlink(unix.NETLINK_NETFILTER, batch(unix.NFNL_MSG_BATCH_BEGIN), do(unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK), batch(unix.NFNL_MSG_BATCH_END))
	case "flush": // without a name: every table there is
		all := message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_DELTABLE, unix.NLM_F_ACK, 0, 0, 0, 0)
		_, err = netlink(unix.NETLINK_NETFILTER, batch(unix.NFNL_MSG_BATCH_BEGIN), all, batch(unix.NFNL_MSG_BATCH_END))
	case "has":
		_, err = netlink(unix.NETLINK_NETFILTER, do(unix.NFT_MSG_GETTABLE, unix.NLM_F_ACK))
	default:
		err = errors.New("nft takes add, delete, flush or has")
	}
	return err
}
