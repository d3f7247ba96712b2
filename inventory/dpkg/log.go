package dpkg

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// logPath is dpkg's log; logrotate keeps older ones as dpkg.log.1, dpkg.log.2.gz, ….
const (
	logDir  = "var/log"
	logName = "dpkg.log"
)

// History is what dpkg's logs tell of upgrades, oldest first.
type History struct {
	since    time.Time // the first entry of the oldest log
	upgrades []upgrade
}

// upgrade is one package replaced by another version of it.
type upgrade struct {
	at        time.Time
	name, old string // name as "libssl3:amd64"
}

// ReadHistory reads the logs below root. zone is the machine's time zone: dpkg
// writes local time. No log at all is an empty history.
func ReadHistory(root *rootfs.FS, zone *time.Location) (*History, []host.Unread) {
	h := &History{}
	var unread []host.Unread
	entries, err := root.ReadDir(logDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = append(unread, host.NotRead(root.Show(logDir), err))
	}
	for _, e := range entries {
		if e.Name() != logName && !strings.HasPrefix(e.Name(), logName+".") {
			continue
		}
		if err := h.readFile(root, logDir+"/"+e.Name(), zone); err != nil {
			unread = append(unread, host.NotRead(root.Show(logDir+"/"+e.Name()), err))
		}
	}
	slices.SortStableFunc(h.upgrades, func(a, b upgrade) int { return a.at.Compare(b.at) })
	return h, unread
}

func (h *History) readFile(root *rootfs.FS, name string, zone *time.Location) error {
	file, err := root.OpenFile(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var in io.Reader = file
	if strings.HasSuffix(name, ".gz") {
		if in, err = gzip.NewReader(file); err != nil {
			return err
		}
	}
	return h.read(io.LimitReader(in, rootfs.MaxFile), zone)
}

// read takes the lines "2026-11-02 06:25:01 upgrade libssl3:amd64 3.0.11-1 3.0.13-1".
func (h *History) read(in io.Reader, zone *time.Location) error {
	lines := bufio.NewScanner(in)
	first := true
	for lines.Scan() {
		line := lines.Text()
		if !first && !strings.Contains(line, " upgrade ") {
			continue // most lines: the clock need not be read
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		at, err := time.ParseInLocation(time.DateTime, f[0]+" "+f[1], zone)
		if err != nil {
			return host.NewFault("not-dpkg-log", err)
		}
		if first && (h.since.IsZero() || at.Before(h.since)) {
			h.since = at
		}
		first = false
		if f[2] == "upgrade" && len(f) >= 6 {
			h.upgrades = append(h.upgrades, upgrade{at: at, name: f[3], old: f[4]})
		}
	}
	return lines.Err()
}

// VersionAt is the version of p that was installed at that moment, as far as the
// logs tell: what the first upgrade since then replaced. Empty where the logs begin
// later, or know of no upgrade since.
func (h *History) VersionAt(p *host.Package, at time.Time) string {
	if h.since.IsZero() || h.since.After(at) {
		return ""
	}
	for _, u := range h.upgrades {
		name, arch, _ := strings.Cut(u.name, ":")
		if u.at.After(at) && name == p.Name && (arch == "" || arch == p.Arch || p.Arch == "all") {
			return u.old
		}
	}
	return ""
}
