//go:build linux

package vm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// series are the kernels to test on: the newest package of each that apt offers. To
// add one, add a line (and its suite to the machine's apt sources).
var series = []struct {
	name    string
	pattern string // of the package's name
}{
	{"6.1", `^linux-image-6\.1\.0-\d+-cloud-amd64$`},     // bookworm
	{"6.12", `^linux-image-6\.12\.[\w.+]+-cloud-amd64$`}, // bookworm's security suite
}

// Matrix names the kernels that every kernel test runs on.
func Matrix() []string {
	var names []string
	for _, s := range series {
		names = append(names, s.name)
	}
	return names
}

// Linux is one kernel of the matrix, unpacked from its Debian package.
type Linux struct {
	Series  string // "6.1"
	Package string // "linux-image-6.1.0-56-cloud-amd64"
	Version string // the package's version
	dir     string
}

// Kernel returns the newest kernel of a series, downloaded where it is missing. A
// kernel that cannot be had skips the test.
func Kernel(t testing.TB, name string) *Linux {
	t.Helper()
	requireHost(t)
	k, err := findKernel(name)
	if err != nil {
		unavailable(t, err)
	}
	return k
}

// Release is what `uname -r` says.
func (k *Linux) Release() string {
	return strings.TrimPrefix(k.Package, "linux-image-")
}

// Image is the path of the bootable kernel on the host.
func (k *Linux) Image() string { return filepath.Join(k.dir, "boot", "vmlinuz-"+k.Release()) }

// LSM is the kernel's own list of security modules, the default of lsm=.
func (k *Linux) LSM() (string, error) { return k.option("CONFIG_LSM") }

// WithBPF is the default list of security modules, in which Debian's kernels have bpf.
func (k *Linux) WithBPF(t testing.TB) string {
	t.Helper()
	list, err := k.LSM()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Split(list, ","), "bpf") {
		list += ",bpf"
	}
	return list
}

// WithoutBPF is the default list without bpf: BPF LSM programs attach and never fire.
func (k *Linux) WithoutBPF(t testing.TB) string {
	t.Helper()
	words := strings.Split(k.WithBPF(t), ",")
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "bpf" }), ",")
}

// option reads one line of the kernel's build configuration.
func (k *Linux) option(name string) (string, error) {
	file := filepath.Join(k.dir, "boot", "config-"+k.Release())
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(content)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.Trim(strings.TrimSpace(value), `"`), nil
		}
	}
	return "", fmt.Errorf("%s: no %s", file, name)
}

// findKernel asks apt once per process and series.
func findKernel(name string) (*Linux, error) {
	find, ok := finders[name]
	if !ok {
		return nil, fmt.Errorf("kernel %q is not in the matrix %v", name, Matrix())
	}
	return find()
}

var finders = func() map[string]func() (*Linux, error) {
	m := map[string]func() (*Linux, error){}
	for _, s := range series {
		m[s.name] = sync.OnceValues(func() (*Linux, error) { return obtain(s.name, s.pattern) })
	}
	return m
}()

// obtain finds the newest package and unpacks it, after a refresh of apt's lists where
// they are empty or name what the archive no longer has. Without an archive the newest
// kernel unpacked earlier serves.
func obtain(name, pattern string) (*Linux, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	k, err := download(cache, name, pattern)
	if err != nil && os.Geteuid() == 0 {
		k, err = refreshed(cache, name, pattern)
	}
	if err == nil {
		return k, nil
	}
	if old := unpacked(cache, name); old != nil {
		return old, nil
	}
	return nil, fmt.Errorf("kernel %s: %w", name, err)
}

// refreshed tries again with new lists. One process at a time: apt's own lock makes the
// others fail instead of wait.
func refreshed(cache, name, pattern string) (*Linux, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(cache, "apt.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if k, err := download(cache, name, pattern); err == nil {
		return k, nil // somebody else has refreshed them
	}
	if _, err := output("apt-get", "update", "-q"); err != nil {
		return nil, err
	}
	return download(cache, name, pattern)
}

func download(cache, name, pattern string) (*Linux, error) {
	pkg, version, err := newest(pattern)
	if err != nil {
		return nil, err
	}
	dir, err := keep(cache, filepath.Join("kernel", name, pkg+"_"+version), func(dir string) error {
		return unpack(dir, pkg, version)
	})
	return &Linux{Series: name, Package: pkg, Version: version, dir: dir}, err
}

// unpacked returns the newest kernel of a series that is in the cache.
func unpacked(cache, name string) *Linux {
	dirs, _ := filepath.Glob(filepath.Join(cache, "kernel", name, "*_*"))
	var best *Linux
	for _, dir := range dirs {
		pkg, version, _ := strings.Cut(filepath.Base(dir), "_")
		if info, err := os.Stat(dir); err != nil || !info.IsDir() || filepath.Ext(dir) == ".building" {
			continue
		}
		if best == nil || newer(version, best.Version) {
			best = &Linux{Series: name, Package: pkg, Version: version, dir: dir}
		}
	}
	return best
}

// newest asks apt for the package of the highest version among names of a pattern.
func newest(pattern string) (pkg, version string, err error) {
	names, err := output("apt-cache", "pkgnames", "linux-image-")
	if err != nil {
		return "", "", err
	}
	want := regexp.MustCompile(pattern)
	var found []string
	for name := range strings.FieldsSeq(names) {
		if want.MatchString(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return "", "", fmt.Errorf("apt offers no package %s (lists empty? run apt-get update)", pattern)
	}
	shown, err := output("apt-cache", append([]string{"show", "--no-all-versions"}, found...)...)
	if err != nil {
		return "", "", err
	}
	for name, v := range versions(shown) {
		if version == "" || newer(v, version) {
			pkg, version = name, v
		}
	}
	if version == "" {
		return "", "", errors.New("apt-cache show tells no version of " + strings.Join(found, ", "))
	}
	return pkg, version, nil
}

// versions reads Package and Version of each paragraph.
func versions(shown string) map[string]string {
	out := map[string]string{}
	var name string
	lines := bufio.NewScanner(strings.NewReader(shown))
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		switch key {
		case "Package":
			name = value
		case "Version":
			out[name] = value
		}
	}
	return out
}

func newer(a, b string) bool {
	return exec.Command("dpkg", "--compare-versions", a, "gt", b).Run() == nil
}

// unpack downloads one package through apt, which checks its signature and hash.
func unpack(dir, pkg, version string) error {
	get := exec.Command("apt-get", "download", "-q", pkg+"="+version)
	get.Dir = dir
	if out, err := get.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get download %s=%s: %w\n%s", pkg, version, err, out)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return fmt.Errorf("apt-get download left %d packages", len(debs))
	}
	if _, err := output("dpkg-deb", "-x", debs[0], dir); err != nil {
		return err
	}
	return os.Remove(debs[0])
}

// output runs a program of the host and returns what it printed.
func output(name string, args ...string) (string, error) {
	var out, said bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, said.Bytes())
	}
	return out.String(), nil
}
