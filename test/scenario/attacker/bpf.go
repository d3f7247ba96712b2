//go:build linux && amd64

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bpfOperations load programs of their own and take others'. The names "configs" and
// "keep_ftrace" are those of the guard; what stands in for it has them too.
var bpfOperations = map[string]operation{
	"bpf-map":     {1, false, func(_ *doer, a []string) error { return ofOwn(func() (int, error) { return newMap("attacked") }, a[0]) }},
	"bpf-program": {1, false, func(_ *doer, a []string) error { return ofOwn(newProgram, a[0]) }},
	"bpf-filter":  {1, false, func(_ *doer, a []string) error { return filter(a[0]) }},
	"bpf-pin":     {1, false, func(_ *doer, a []string) error { return pinnedMap(a[0]) }},
	"bpf-ids":     {1, false, func(_ *doer, a []string) error { return ids(a[0]) }},
	"bpf-entry":   {3, false, func(_ *doer, a []string) error { return entry(a[0], a[1], a[2]) }},
	"bpf-take":    {2, false, func(_ *doer, a []string) error { return take(a[0], a[1]) }},
	"bpf-detach":  {1, false, func(_ *doer, a []string) error { return detach(a[0]) }},
	"bpf-link":    {3, false, func(_ *doer, a []string) error { return link(a[0], a[1], a[2]) }},
}

// bpf is the system call. request is a struct of the call's own, 0 where it ends early.
func bpf(command uintptr, request *[16]uint64) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_BPF, command, uintptr(unsafe.Pointer(request)), unsafe.Sizeof(*request))
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// pinning keeps memory in place whose address stands in a request.
func pinning[T any](pin *runtime.Pinner, p *T) uint64 {
	pin.Pin(p)
	return uint64(uintptr(unsafe.Pointer(p)))
}

func pair(low, high uint32) uint64 { return uint64(low) | uint64(high)<<32 }

// newMap makes a map with one element: of 1 it says 1. The kernel keeps 15 bytes of the
// name.
func newMap(name string) (int, error) {
	request := [16]uint64{pair(unix.BPF_MAP_TYPE_HASH, 8), pair(8, 4)}
	copy((*[16]byte)(unsafe.Pointer(&request[3]))[4:], name[:min(len(name), 15)]) // map_name follows numa_node
	fd, err := bpf(unix.BPF_MAP_CREATE, &request)
	if err != nil {
		return -1, err
	}
	var pin runtime.Pinner
	defer pin.Unpin()
	one := uint64(1)
	at := pinning(&pin, &one)
	if _, err := bpf(unix.BPF_MAP_UPDATE_ELEM, &[16]uint64{uint64(fd), at, at}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// allow is the program "return 1", and what a filter needs to know to be one.
var allow = [2]uint64{0x00000001_000000b7, 0x95}

// newProgram loads a program for a control group's sysctl that lets everything pass.
func newProgram() (int, error) { return load(unix.BPF_PROG_TYPE_CGROUP_SYSCTL, "keep_ftrace") }

func load(kind uint32, name string) (int, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	code, license := allow, [4]byte{'G', 'P', 'L'}
	request := [16]uint64{pair(kind, uint32(len(code))), pinning(&pin, &code), pinning(&pin, &license)}
	copy((*[16]byte)(unsafe.Pointer(&request[6]))[:], name)
	return bpf(unix.BPF_PROG_LOAD, &request)
}

// ofOwn makes something and leaves in a file what the kernel says of it.
func ofOwn(make func() (int, error), path string) error {
	fd, err := make()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return copyFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd), path)
}

// filter puts a program before a socket of one's own: it cuts what comes to a byte.
func filter(path string) error {
	program, err := load(unix.BPF_PROG_TYPE_SOCKET_FILTER, "filter")
	if err != nil {
		return err
	}
	defer unix.Close(program)
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	if err := unix.SetsockoptInt(ends[1], unix.SOL_SOCKET, unix.SO_ATTACH_BPF, program); err != nil {
		return err
	}
	if _, err := unix.Write(ends[0], []byte("whole")); err != nil {
		return err
	}
	b := make([]byte, 16)
	n, err := unix.Read(ends[1], b)
	if err != nil {
		return err
	}
	return mark(path, "came through: %s", b[:n])
}

// objectAt is a request with a path first: BPF_OBJ_PIN and BPF_OBJ_GET.
func objectAt(command uintptr, path string, fd int) (int, error) {
	name := append([]byte(path), 0)
	var pin runtime.Pinner
	defer pin.Unpin()
	request := [16]uint64{pinning(&pin, &name[0]), uint64(fd)}
	return bpf(command, &request)
}

func pinnedMap(path string) error {
	fd, err := newMap(strings.ReplaceAll(strings.TrimPrefix(filepath.Base(path), "map_"), "-", "_"))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	_, err = objectAt(unix.BPF_OBJ_PIN, path, fd)
	return err
}

// kindOf is what can be asked for by number.
type kindOf struct{ next, open uintptr }

var (
	mapsByNumber     = kindOf{unix.BPF_MAP_GET_NEXT_ID, unix.BPF_MAP_GET_FD_BY_ID}
	programsByNumber = kindOf{unix.BPF_PROG_GET_NEXT_ID, unix.BPF_PROG_GET_FD_BY_ID}
	linksByNumber    = kindOf{unix.BPF_LINK_GET_NEXT_ID, unix.BPF_LINK_GET_FD_BY_ID}
)

// numbers are all of a kind that there are.
func (k kindOf) numbers() ([]uint32, error) {
	var all []uint32
	for last := uint64(0); ; {
		request := [16]uint64{last}
		_, err := bpf(k.next, &request)
		if errors.Is(err, unix.ENOENT) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		last = request[0] >> 32
		all = append(all, uint32(last))
	}
}

// ids leaves the numbers of all maps, programs and links.
func ids(path string) error {
	var text strings.Builder
	for name, k := range map[string]kindOf{"maps": mapsByNumber, "programs": programsByNumber, "links": linksByNumber} {
		all, err := k.numbers()
		if err != nil {
			return err
		}
		fmt.Fprintln(&text, name, all)
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// find opens the newest of a kind that is meant, and says why none is.
func (k kindOf) find(meant func(fd int) bool) (int, error) {
	all, err := k.numbers()
	if err != nil {
		return -1, err
	}
	refused := error(unix.ENOENT)
	for _, number := range slices.Backward(all) {
		request := [16]uint64{uint64(number)}
		fd, err := bpf(k.open, &request)
		if err != nil {
			refused = fmt.Errorf("number %d: %w", number, err)
			continue
		}
		if meant(fd) {
			return fd, nil
		}
		unix.Close(fd)
	}
	return -1, refused
}

// info is what BPF_OBJ_GET_INFO_BY_FD says.
func info(fd int) [40]uint64 {
	var pin runtime.Pinner
	defer pin.Unpin()
	var said [40]uint64
	request := [16]uint64{pair(uint32(fd), uint32(unsafe.Sizeof(said))), pinning(&pin, &said)}
	_, _ = bpf(unix.BPF_OBJ_GET_INFO_BY_FD, &request)
	return said
}

// called tells whether a map's or program's name, at its place of the information, is
// what is looked for.
func called(at int, name string) func(fd int) bool {
	return func(fd int) bool {
		said := info(fd)
		there := (*[16]byte)(unsafe.Pointer(&said[at]))
		return string(bytes.TrimRight(there[:], "\x00")) == name
	}
}

// Where names stand in struct bpf_map_info and bpf_prog_info, in words of eight bytes.
const (
	mapName     = 3
	programName = 8
)

// entry gets a map, by its pin or its number, and changes what it holds: "zero" writes
// over an element, "delete" takes it away, "freeze" keeps the agent from writing, "read"
// only reads.
func entry(way, how, path string) error {
	fd, err := -1, error(nil)
	if way == "number" {
		fd, err = mapsByNumber.find(called(mapName, "configs"))
	} else {
		fd, err = objectAt(unix.BPF_OBJ_GET, firstOf(way), 0)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if how == "freeze" {
		if _, err := bpf(unix.BPF_MAP_FREEZE, &[16]uint64{uint64(fd)}); err != nil {
			return err
		}
		return copyFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd), path)
	}
	return change(fd, how, path)
}

// change does something to the first element, and leaves in a file what it was and is.
func change(fd int, how, path string) error {
	said := info(fd)
	key, value := make([]byte, uint32(said[1])), make([]byte, said[1]>>32)
	var pin runtime.Pinner
	defer pin.Unpin()
	first := &[16]uint64{uint64(fd), 0, pinning(&pin, &key[0])}
	if _, err := bpf(unix.BPF_MAP_GET_NEXT_KEY, first); err != nil {
		return fmt.Errorf("the first key: %w", err)
	}
	element := &[16]uint64{uint64(fd), first[2], pinning(&pin, &value[0])}
	if _, err := bpf(unix.BPF_MAP_LOOKUP_ELEM, element); err != nil {
		return fmt.Errorf("its element: %w", err)
	}
	was := slices.Clone(value)
	clear(value)
	var err error
	switch how {
	case "zero":
		_, err = bpf(unix.BPF_MAP_UPDATE_ELEM, element)
	case "delete":
		_, err = bpf(unix.BPF_MAP_DELETE_ELEM, &[16]uint64{uint64(fd), first[2]})
	case "read":
	default:
		err = fmt.Errorf("there is no %q", how)
	}
	if err != nil {
		return err
	}
	if _, err := bpf(unix.BPF_MAP_LOOKUP_ELEM, element); errors.Is(err, unix.ENOENT) {
		return mark(path, "was %x, is gone", was)
	}
	return mark(path, "was %x, is %x", was, value)
}

// take opens the guard's program, or its link, by number, and leaves what the kernel
// says of it.
func take(what, path string) error {
	var fd int
	var err error
	switch what {
	case "program":
		fd, err = programsByNumber.find(called(programName, "keep_ftrace"))
	case "link":
		fd, err = linksByNumber.find(isSysctl)
	default:
		err = fmt.Errorf("there is no %q", what)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return copyFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd), path)
}

// isSysctl tells whether a link holds a program to a control group's sysctl: struct
// bpf_link_info has its type first, and the group and how it is attached at 16.
func isSysctl(fd int) bool {
	said := info(fd)
	return uint32(said[0]) == unix.BPF_LINK_TYPE_CGROUP && uint32(said[3]) == unix.BPF_CGROUP_SYSCTL
}

// link gets the guard's link, by a pin or its number, and lets it hold nothing, or
// another program.
func link(way, how, path string) error {
	fd, err := -1, error(nil)
	if way == "number" {
		fd, err = linksByNumber.find(isSysctl)
	} else {
		fd, err = pinnedLink(way)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	was, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return err
	}
	switch how {
	case "detach":
		_, err = bpf(unix.BPF_LINK_DETACH, &[16]uint64{uint64(fd)})
	case "replace":
		var own int
		if own, err = newProgram(); err != nil {
			return err
		}
		defer unix.Close(own)
		_, err = bpf(unix.BPF_LINK_UPDATE, &[16]uint64{pair(uint32(fd), uint32(own))})
	default:
		err = fmt.Errorf("there is no %q", how)
	}
	if err != nil {
		return err
	}
	is, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return err
	}
	return mark(path, "was\n%s\nis\n%s", was, is)
}

// pinnedLink opens the pin among many that is the link.
func pinnedLink(pattern string) (int, error) {
	all, err := filepath.Glob(pattern)
	if err != nil {
		return -1, err
	}
	for _, at := range all {
		fd, err := objectAt(unix.BPF_OBJ_GET, at, 0)
		if err != nil {
			return -1, fmt.Errorf("%s: %w", at, err)
		}
		if isSysctl(fd) {
			return fd, nil
		}
		unix.Close(fd)
	}
	return -1, errors.New("there is no pin of a link: " + pattern + ", " + strconv.Itoa(len(all)) + " files")
}

const allGroups = "/sys/fs/cgroup"

// attach puts a program before what a control group's processes write into sysctls.
func attach(group string, program int) error {
	at, err := unix.Open(group, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(at)
	_, err = bpf(unix.BPF_PROG_ATTACH, &[16]uint64{pair(uint32(at), uint32(program)), pair(unix.BPF_CGROUP_SYSCTL, unix.BPF_F_ALLOW_MULTI)})
	return err
}

// attached are the numbers of such programs.
func attached(at int) ([]uint32, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	var all [64]uint32
	request := [16]uint64{pair(uint32(at), unix.BPF_CGROUP_SYSCTL), 0, pinning(&pin, &all), uint64(len(all))}
	if _, err := bpf(unix.BPF_PROG_QUERY, &request); err != nil {
		return nil, fmt.Errorf("what is attached: %w", err)
	}
	return all[:uint32(request[3])], nil
}

// detach takes the guard's program away from the uppermost control group, and leaves in
// a file how many were there and are.
func detach(path string) error {
	were, are, err := detachAll()
	if err != nil {
		return err
	}
	return mark(path, "were %d, are %d", were, are)
}

func detachAll() (were, are int, err error) {
	at, err := unix.Open(allGroups, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(at)
	was, err := attached(at)
	if err != nil {
		return 0, 0, err
	}
	for _, number := range was {
		program, err := bpf(programsByNumber.open, &[16]uint64{uint64(number)})
		if err != nil {
			return 0, 0, fmt.Errorf("program %d: %w", number, err)
		}
		_, err = bpf(unix.BPF_PROG_DETACH, &[16]uint64{pair(uint32(at), uint32(program)), unix.BPF_CGROUP_SYSCTL})
		unix.Close(program)
		if err != nil {
			return 0, 0, err
		}
	}
	is, err := attached(at)
	return len(was), len(is), err
}
