//go:build linux

package vm

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/kannuki/kannuki/internal/vm/guest"
)

// portModules carry the conversation with the host; diskModules a root on a disk.
var (
	portModules = []string{"virtio_pci", "virtio_console"}
	diskModules = []string{"virtio_pci", "virtio_console", "virtio_blk", "ext4"}
)

// accounts of the small machine: root, the usual unprivileged service, and a person.
const (
	passwd = "root:x:0:0:root:/root:/bin/sh\n" +
		"www-data:x:33:33:www-data:/var/www:/bin/sh\n" +
		"alice:x:1000:1000:alice:/home/alice:/bin/sh\n" +
		"nobody:x:65534:65534:nobody:/nonexistent:/bin/sh\n"
	group = "root:x:0:\nshadow:x:42:\nwww-data:x:33:\nalice:x:1000:\nnogroup:x:65534:\n"
)

// initramfs is our init with the modules it is to load.
func initramfs(k *Linux, modules []string) ([]byte, error) {
	program, err := guestd()
	if err != nil {
		return nil, err
	}
	load, err := k.modules(modules...)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	a := newArchive(&out)
	a.file(guest.InitComm, 0o755, program)
	a.char("/dev/console", 5, 1)
	var list strings.Builder
	for _, m := range load {
		content, err := moduleContent(m.path)
		if err != nil {
			return nil, err
		}
		a.file("/lib/modules/"+m.name+".ko", 0o644, content)
		fmt.Fprintf(&list, "/lib/modules/%s.ko\n", m.name)
	}
	a.file("/lib/modules/load", 0o644, []byte(list.String()))
	return out.Bytes(), a.close()
}

// smallSystem adds the small machine's userland: busybox, accounts, empty folders and
// the caller's files.
func smallSystem(files map[string]string) ([]byte, error) {
	var out bytes.Buffer
	a := newArchive(&out)
	if err := addBusybox(a); err != nil {
		return nil, err
	}
	a.file("/etc/passwd", 0o644, []byte(passwd))
	a.file("/etc/group", 0o644, []byte(group))
	a.file("/etc/hosts", 0o644, []byte("127.0.0.1 localhost kannuki-guest\n"))
	for _, dir := range []string{"/root", "/home/alice", "/var/www", "/var/tmp", "/mnt", "/tmp", "/usr/bin", "/usr/lib", "/opt", "/boot"} {
		a.dir(dir)
	}
	for _, to := range slices.Sorted(maps.Keys(files)) {
		a.hostPath(to, files[to])
	}
	return out.Bytes(), a.close()
}

// addBusybox takes the host's static busybox with a link for each of its commands.
func addBusybox(a *archive) error {
	from, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := static(from); err != nil {
		return err
	}
	applets, err := output(from, "--list")
	if err != nil {
		return err
	}
	a.hostPath("/bin/busybox", from)
	for name := range strings.FieldsSeq(applets) {
		if name != "busybox" {
			a.symlink("/bin/"+name, "busybox")
		}
	}
	return nil
}

// static says why a program cannot run in a machine that has no libraries.
func static(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not static (package busybox-static has one that is)", program)
		}
	}
	return nil
}

// guestd builds the program that runs inside, once per process.
var guestd = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "kannuki-guestd-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "guestd")
	if err := goBuild(bin, "build", path.Join(ourModule, "internal/vm/guestd")); err != nil {
		return nil, err
	}
	return os.ReadFile(bin)
})

const ourModule = "github.com/kannuki/kannuki"

// goBuild runs `go build` or `go test -c` for the guest: static, and the same bytes
// from the same sources.
func goBuild(bin, verb string, args ...string) error {
	words := append(strings.Fields(verb), "-trimpath", "-buildvcs=false", "-o", bin)
	cmd := exec.Command(goTool(), append(words, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err), errors.New(string(out)))
	}
	return nil
}

// goTool is the go command the Makefile has chosen, or the one on the PATH.
func goTool() string {
	if tool := os.Getenv("GO"); tool != "" {
		return tool
	}
	return "go"
}
