package inventory

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/osrelease"
	"github.com/kannuki/kannuki/inventory/services"
)

// system names the host and its operating system.
func (c *collector) system(context.Context) error {
	h := &c.inv.Host
	h.OS = c.osRelease()
	h.OS.Channels = c.channels(h.OS.ID)
	h.Name = c.name()
	h.Arch = c.arch()
	h.ID = c.machineID()
	if c.live {
		addresses, err := addresses()
		if err != nil {
			c.unread("network addresses", err)
		}
		h.Addresses = addresses
	}
	return nil
}

func (c *collector) osRelease() host.OS {
	for _, path := range osrelease.Paths {
		data, err := c.root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var system host.OS
			if system, err = osrelease.Parse(data); err == nil {
				return system
			}
		}
		c.unread(c.root.Show(path), err)
	}
	c.unread("operating system", host.NewFault("no-os-release", strings.Join(shown(c.root, osrelease.Paths), ", ")))
	return host.OS{}
}

// name is the host name; an image without one is called after its folder.
func (c *collector) name() string {
	if c.live {
		if name, err := os.Hostname(); err == nil {
			return name
		}
	}
	data, _ := c.root.ReadFile("etc/hostname")
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return filepath.Base(c.root.Dir())
}

// idSpace makes our host ids differ from everybody else's: machine-id(5) asks not
// to show the machine id itself, and to derive an application's own by a keyed hash.
const idSpace = "kannuki host id 1"

// machineID derives the host's id. Where there is no machine id (an image that was
// never booted) it is empty, and the name has to tell hosts apart.
func (c *collector) machineID() string {
	for _, path := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		data, err := c.root.ReadFile(path)
		if id := strings.TrimSpace(string(data)); err == nil && len(id) == 32 {
			mac := hmac.New(sha256.New, []byte(id))
			mac.Write([]byte(idSpace))
			return hex.EncodeToString(mac.Sum(nil)[:16])
		}
	}
	return ""
}

// goArch translates the package managers' names of architectures into Go's.
var goArch = map[string]string{
	"amd64": "amd64", "x86_64": "amd64", "x86_64_v2": "amd64",
	"arm64": "arm64", "aarch64": "arm64",
	"i386": "386", "i486": "386", "i586": "386", "i686": "386", "x86": "386",
	"armhf": "arm", "armel": "arm", "armv7": "arm", "armv7hl": "arm",
	"ppc64el": "ppc64le", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64",
	"mips64el": "mips64le", "loong64": "loong64", "loongarch64": "loong64",
}

// arch is the architecture most packages are built for: a program of another
// architecture (us) may be looking at the root.
func (c *collector) arch() string {
	counts := map[string]int{}
	best := ""
	for _, p := range c.inv.Packages {
		if a := goArch[p.Arch]; a != "" {
			counts[a]++
			if counts[a] > counts[best] || counts[a] == counts[best] && a < best {
				best = a
			}
		}
	}
	if best == "" && c.live {
		return runtime.GOARCH
	}
	return best
}

// addresses of all interfaces but loopback, without those every interface has by itself (link-local).
func addresses() ([]string, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	out := []string{}
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() && !n.IP.IsLinkLocalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// channels are the support subscriptions in force that have records of their own.
func (c *collector) channels(id string) []string {
	switch id {
	case "rhel":
		return c.redHatChannels()
	case "ubuntu":
		return c.ubuntuPro()
	}
	return nil
}

// redHatChannels looks at the names of the enabled repositories:
// "rhel-9-for-x86_64-baseos-eus-rpms" is a repository of the channel eus.
func (c *collector) redHatChannels() []string {
	const dir = "etc/yum.repos.d"
	entries, err := c.root.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.unread(c.root.Show(dir), err)
	}
	var out []string
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".repo") {
			continue
		}
		data, err := c.root.ReadFile(dir + "/" + e.Name())
		if err != nil {
			c.unread(c.root.Show(dir+"/"+e.Name()), err)
			continue
		}
		for _, repo := range enabledRepos(data) {
			for _, word := range strings.Split(repo, "-") {
				if slices.Contains([]string{"eus", "aus", "e4s", "tus"}, word) {
					out = append(out, word)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// enabledRepos lists the sections of a .repo file that are in force (dnf.conf(5):
// "enabled" is true unless it says otherwise).
func enabledRepos(data []byte) []string {
	var out []string
	section, on := "", true
	end := func() {
		if section != "" && on {
			out = append(out, section)
		}
	}
	for line := range bytes.Lines(data) {
		text := strings.TrimSpace(string(line))
		if name, ok := strings.CutPrefix(text, "["); ok {
			end()
			section, on = strings.TrimSuffix(name, "]"), true
			continue
		}
		key, value, _ := strings.Cut(text, "=")
		if strings.TrimSpace(key) == "enabled" {
			value = strings.ToLower(strings.TrimSpace(value))
			on = slices.Contains([]string{"1", "yes", "true", "on"}, value)
		}
	}
	end()
	return out
}

// ubuntuPro reads the state the pro client leaves: attached, and an Expanded
// Security Maintenance service enabled.
func (c *collector) ubuntuPro() []string {
	const path = "var/lib/ubuntu-advantage/status.json"
	data, err := c.root.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var status struct {
		Attached bool `json:"attached"`
		Services []struct{ Name, Status string }
	}
	if err == nil {
		err = json.Unmarshal(data, &status)
	}
	if err != nil {
		c.unread(c.root.Show(path), host.NewFault("pro-unknown", err))
		return nil
	}
	for _, s := range status.Services {
		if status.Attached && strings.HasPrefix(s.Name, "esm-") && s.Status == "enabled" {
			return []string{"pro"}
		}
	}
	return nil
}

// users maps user ids to names.
func (c *collector) users() map[string]string {
	users := map[string]string{}
	data, err := c.root.ReadFile("etc/passwd")
	if err != nil {
		c.unread(c.root.Show("etc/passwd"), err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		f := strings.SplitN(lines.Text(), ":", 4)
		if len(f) == 4 && users[f[2]] == "" {
			users[f[2]] = f[0]
		}
	}
	return users
}

// uname returns the running kernel's release and version, empty for a mounted root.
func (c *collector) uname() (release, version string) {
	if !c.live {
		return "", ""
	}
	return c.sysctl("osrelease"), c.sysctl("version")
}

func (c *collector) sysctl(name string) string {
	path := services.Proc + "/sys/kernel/" + name
	data, err := os.ReadFile(path)
	if err != nil {
		c.unread(path, err)
	}
	return strings.TrimSpace(string(data))
}
