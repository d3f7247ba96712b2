package services

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// tables are the socket tables of a network namespace that we read.
var tables = []string{"tcp", "tcp6", "udp", "udp6"}

// socket is one that accepts traffic.
type socket struct {
	host.Listener
	claimed bool
}

// sockets are those of all network namespaces, by inode; inode 0 is the kernel's own.
type sockets map[uint64][]*socket

// netOf reads the socket tables of the network namespace pid is in, unless they
// have been read for another process.
func (r *reader) netOf(pid int) {
	space, err := os.Readlink(r.path(pid, "ns/net"))
	if err != nil {
		if pid != os.Getpid() {
			return // without permission our own namespace's tables are all there is
		}
		space = "own"
	}
	if slices.Contains(r.spaces, space) {
		return
	}
	r.spaces = append(r.spaces, space)
	for _, table := range tables {
		file, err := os.Open(r.path(pid, "net/"+table))
		if err != nil {
			continue // a kernel without IPv6 has no such table
		}
		r.sockets.read(file, table)
		file.Close()
	}
}

// read adds the accepting sockets of one table (proc_net(5), proc_pid_net(5)).
func (s sockets) read(in io.Reader, protocol string) {
	lines := bufio.NewScanner(in)
	lines.Scan() // headings
	for lines.Scan() {
		if inode, l, ok := parseSocket(lines.Text(), protocol); ok {
			s[inode] = append(s[inode], &socket{Listener: l})
		}
	}
}

// Socket states, as the kernel's tcp_states.h numbers them.
const (
	stateClose  = "07" // a UDP socket that is bound and has no peer
	stateListen = "0A"
)

// parseSocket reads one line; ok is false for sockets that accept nothing.
func parseSocket(line, protocol string) (inode uint64, l host.Listener, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return 0, l, false
	}
	local, remote, state := f[1], f[2], f[3]
	udp := strings.HasPrefix(protocol, "udp")
	if udp && (state != stateClose || !strings.HasSuffix(remote, ":0000")) || !udp && state != stateListen {
		return 0, l, false
	}
	addr, port, ok := parseAddress(local)
	if !ok || port == 0 {
		return 0, l, false
	}
	inode, err := strconv.ParseUint(f[9], 10, 64)
	if err != nil {
		return 0, l, false
	}
	return inode, host.Listener{Protocol: protocol, Address: addr.String(), Port: port}, true
}

// parseAddress reads "0100007F:0050": 32-bit words of the address in the byte order
// of this machine, then the port.
func parseAddress(s string) (addr netip.Addr, port int, ok bool) {
	text, portText, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(text)
	if !ok || err != nil || len(raw)%4 != 0 {
		return addr, 0, false
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok = netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(portText, 16, 16)
	return addr, int(p), ok && err == nil
}

// listeners are the accepting sockets among the descriptors of pid.
func (r *reader) listeners(pid int) ([]host.Listener, error) {
	if len(r.sockets) == 0 {
		return nil, nil
	}
	dir, err := os.Open(r.path(pid, "fd"))
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	var out []host.Listener
	for _, name := range names {
		target, err := os.Readlink(r.path(pid, "fd/"+name))
		if err != nil {
			continue // closed since
		}
		for _, s := range r.sockets[socketInode(target)] {
			s.claimed = true
			out = append(out, s.Listener)
		}
	}
	slices.SortFunc(out, compareListeners)
	return slices.Compact(out), err
}

func compareListeners(a, b host.Listener) int {
	return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Address, b.Address))
}

// noSocket is no inode: 0 is that of the kernel's sockets.
const noSocket = ^uint64(0)

func socketInode(link string) uint64 {
	text, ok := strings.CutPrefix(link, "socket:[")
	if !ok {
		return noSocket
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
	if err != nil || inode == 0 {
		return noSocket
	}
	return inode
}

// unclaimed names the accepting sockets no process was found for.
func (s sockets) unclaimed() []string {
	var lost []host.Listener
	for _, list := range s {
		for _, sock := range list {
			if !sock.claimed {
				lost = append(lost, sock.Listener)
			}
		}
	}
	slices.SortFunc(lost, compareListeners)
	lost = slices.Compact(lost)
	var out []string
	for _, l := range lost {
		out = append(out, fmt.Sprintf("%s %s", l.Protocol, netip.AddrPortFrom(netip.MustParseAddr(l.Address), uint16(l.Port))))
	}
	return out
}
