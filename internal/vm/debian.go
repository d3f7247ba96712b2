//go:build linux

package vm

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/internal/vm/port"
)

// suite is the Debian release of the server.
const suite = "bookworm"

//go:embed debian/packages
var packageList string

//go:embed debian/customize
var customize string

const (
	diskSize = "6G" // sparse: what the packages need is written, and room for a scenario
	diskName = "root.qcow2"
	snapshot = "booted"
)

// packages are the names of the list, without the reasons.
func packages(list string) []string {
	var names []string
	for line := range strings.Lines(list) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); name != "" && name != "#" {
			names = append(names, name)
		}
	}
	return names
}

// debianDisk returns the server's disk, installed from packages where it is missing or
// its recipe has changed.
func debianDisk() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	names := packages(packageList)
	recipe := sha256.New()
	for _, s := range Matrix() {
		k, err := findKernel(s)
		if err != nil {
			return "", err
		}
		names = append(names, k.Package)
		fmt.Fprintln(recipe, k.Package, k.Version)
	}
	fmt.Fprintln(recipe, suite, diskSize, packageList, customize)
	dir, err := keep(cache, filepath.Join("debian", key(recipe.Sum(nil))), func(dir string) error {
		return install(dir, names)
	})
	return filepath.Join(dir, diskName), err
}

func key(sum []byte) string { return hex.EncodeToString(sum[:10]) }

// install makes the disk in dir. mmdebstrap needs root, or a kernel that lets others
// have namespaces.
func install(dir string, names []string) error {
	hook := filepath.Join(dir, "customize")
	raw := filepath.Join(dir, "root.raw")
	if err := os.WriteFile(hook, []byte(customize), 0o755); err != nil {
		return err
	}
	// Without root mmdebstrap works as a user of its own, who has to write this one file.
	if err := os.WriteFile(raw, nil, 0o600); err != nil {
		return err
	}
	if err := os.Chmod(raw, 0o666); err != nil {
		return err
	}
	sources, err := aptSources()
	if err != nil {
		return err
	}
	args := []string{"--mode=auto", "--variant=minbase", "--format=null", "--include=" + strings.Join(names, ","),
		fmt.Sprintf("--customize-hook=%s \"$1\" %s %s", hook, raw, diskSize), suite, "/dev/null"}
	cmd := exec.Command("mmdebstrap", append(args, sources...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	// Asked to end, mmdebstrap takes its temporary root away.
	if err := tied(cmd, syscall.SIGTERM, func(error) {}); err != nil {
		return fmt.Errorf("mmdebstrap: %w\n%s", err, tail(said.String(), 30))
	}
	if _, err := output("qemu-img", "convert", "-O", "qcow2", raw, filepath.Join(dir, diskName)); err != nil {
		return err
	}
	return os.Remove(raw)
}

// aptSources are the host's own sources of our suite, so that its mirror serves here
// too. Without any mmdebstrap takes Debian's.
func aptSources() ([]string, error) {
	said, err := output("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages", "Origin: Debian")
	if err != nil {
		return nil, err
	}
	var lines []string
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[1] == suite || strings.HasPrefix(fields[1], suite+"-")) {
			lines = append(lines, "deb "+strings.Join(fields, " "))
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines), nil
}

// booted is a server that has come up and was kept in that state.
type booted struct {
	disk string // with the snapshot
	boot boot   // how to start QEMU on a copy of it
}

// bootOnce returns the server of a configuration, booted now or earlier.
func (c Config) bootOnce(ctx context.Context, disk string) (booted, error) {
	cache, err := cacheDir()
	if err != nil {
		return booted{}, err
	}
	b, err := c.debianBoot()
	if err != nil {
		return booted{}, err
	}
	name, err := stateKey(disk, b)
	if err != nil {
		return booted{}, err
	}
	dir, err := keep(cache, filepath.Join("booted", name), func(dir string) error {
		return bootAndSave(ctx, dir, disk, b)
	})
	if err != nil {
		return booted{}, err
	}
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	b.token = string(token)
	return booted{disk: filepath.Join(dir, diskName), boot: b}, err
}

// debianBoot is the boot of the server, without its disk and token.
func (c Config) debianBoot() (boot, error) {
	if c.Kernel == nil {
		return boot{}, fmt.Errorf("vm.Config needs a Kernel; use vm.Kernel(t, series)")
	}
	base, err := initramfs(c.Kernel, append(diskModules[:len(diskModules):len(diskModules)], c.Modules...))
	if err != nil {
		return boot{}, err
	}
	b := boot{
		kernel: c.Kernel, initrd: [][]byte{base}, memory: c.Memory, cpus: c.CPUs, icount: c.ICount,
		// What QEMU has translated of a program is of use to the next process only where that
		// has it at the same address: with addresses at random "sh -c grep" took eight times
		// as long.
		cmdline: append([]string{"kannuki.root=/dev/vda", "norandmaps"}, c.cmdline()...),
	}
	if b.memory == 0 {
		b.memory = 1024
	}
	if b.cpus == 0 {
		b.cpus = 2
	}
	return b, nil
}

// onDisk adds the disk. Its writes need not survive the host: the machine is thrown away.
func (b boot) onDisk(disk string, more ...string) boot {
	b.extra = append([]string{"-drive", "file=" + disk + ",if=virtio,format=qcow2,cache=unsafe,discard=unmap"}, more...)
	return b
}

// stateKey names all that a saved state depends on.
func stateKey(disk string, b boot) (string, error) {
	version, err := qemuVersion()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	b.token = ""
	fmt.Fprintln(sum, disk, version, b.onDisk("").args("", ""))
	for _, part := range b.initrd {
		sum.Write(part)
	}
	return key(sum.Sum(nil)), nil
}

var qemuVersion = sync.OnceValues(func() (string, error) { return output(qemu, "--version") })

// bootAndSave boots the server on a disk of its own above the installed one, waits until
// systemd has started everything, and keeps memory and disk as they are then.
func bootAndSave(ctx context.Context, dir, base string, b boot) error {
	b.token, b.clock = newToken(), time.Now().Unix()
	disk := filepath.Join(dir, diskName)
	if _, err := output("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, disk); err != nil {
		return err
	}
	m, err := launch(ctx, b.onDisk(disk))
	if err != nil {
		return err
	}
	defer m.close()
	if err := m.settle(ctx); err != nil {
		return fmt.Errorf("%w\nconsole:\n%s", err, tail(m.console(), 40))
	}
	if err := m.monitor.human("savevm " + snapshot); err != nil {
		return err
	}
	if _, err := m.monitor.command("quit", nil); err != nil {
		return err
	}
	select {
	case <-m.gone:
	case <-ctx.Done():
		return ctx.Err()
	}
	return os.WriteFile(filepath.Join(dir, "token"), []byte(b.token), 0o600)
}

// settle waits until systemd has nothing left to start.
func (m *machine) settle(ctx context.Context) error {
	for {
		r, err := m.exec(ctx, port.Command{Args: []string{"systemctl", "is-system-running", "--wait"}})
		if err != nil {
			return err
		}
		switch state := strings.TrimSpace(r.Stdout); state {
		case "running", "degraded": // what failed is for the tests to see
			_, err := m.exec(ctx, port.Command{Args: []string{"sync"}})
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the server did not come up: %s: %w", strings.TrimSpace(r.Output), ctx.Err())
		case <-time.After(500 * time.Millisecond): // the bus is not there yet
		}
	}
}

// copyFile copies a disk without reading what is not there.
func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copying %s: %w", from, err)
	}
	return out.Close()
}
