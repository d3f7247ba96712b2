package main

import (
	"archive/zip"
	"cmp"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory"
)

const dpkgStatus = "/var/lib/dpkg/status"

// peers measures other scanners on this machine's packages and the same records, as
// whole processes. One that is not installed or does not run says why in its row.
func (b bench) peers() {
	for _, p := range []struct {
		name, bar string
		run       func(program string) (cost, int, error)
	}{
		{"debsecan", "peer", b.debsecan},
		{"osv-scanner", "peer", b.osvScanner},
	} {
		program, err := find(p.name)
		if err != nil {
			fmt.Printf("%-42s %v\n", p.name, err)
			continue
		}
		cost, found, err := p.run(program)
		if err != nil {
			fmt.Printf("%-42s does not run here: %v\n", p.name, err)
			continue
		}
		cost.row(p.name+" of this machine, whole process", fmt.Sprintf("the same, %d CVEs found", found), p.bar)
	}
}

// find looks where scripts/peers installs, then on the PATH.
func find(name string) (string, error) {
	if path, err := filepath.Abs(filepath.Join(".cache/peers", name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", errors.New("not installed (scripts/peers installs it where it can)")
	}
	return path, nil
}

// osvScanner reads dpkg's status and the zip as osv.dev exports it. Its database folder
// has another name in older versions; both are laid out.
func (b bench) osvScanner(program string) (cost, int, error) {
	data, err := filepath.Abs(b.data)
	if err != nil {
		return cost{}, 0, err
	}
	for _, layout := range []string{"osv-scalibr", "osv-scanner"} {
		dir := filepath.Join(b.dir, "osv", layout, "Debian")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return cost{}, 0, err
		}
		if err := os.Symlink(filepath.Join(data, "osv/Debian/all.zip"), filepath.Join(dir, "all.zip")); err != nil {
			return cost{}, 0, err
		}
	}
	c, out, err := child(b.ctx, []int{1}, program, "scan", "source", "--offline", "--local-db-path", filepath.Join(b.dir, "osv"),
		"--lockfile", "dpkg-status:"+dpkgStatus, "--format", "json")
	if err != nil {
		return c, 0, err
	}
	var report struct {
		Results []struct {
			Packages []struct {
				Vulnerabilities []struct {
					ID string `json:"id"`
				} `json:"vulnerabilities"`
			} `json:"packages"`
		} `json:"results"`
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return c, 0, err
	}
	ids := map[string]bool{}
	for _, r := range report.Results {
		for _, p := range r.Packages {
			for _, v := range p.Vulnerabilities {
				ids[v.ID] = true
			}
		}
	}
	return c, len(ids), nil
}

// debsecan reads a list made from the same records, over a file address.
func (b bench) debsecan(program string) (cost, int, error) {
	inv, err := inventory.Collect(b.ctx, inventory.Options{Now: time.Now})
	if err != nil {
		return cost{}, 0, err
	}
	if inv.Host.OS.ID != "debian" {
		return cost{}, 0, fmt.Errorf("this is %s, it knows Debian only", cmp.Or(inv.Host.OS.Name, inv.Host.OS.ID))
	}
	suite := cmp.Or(inv.Host.OS.Codename, "suite")
	if err := b.debsecanList(filepath.Join(b.dir, suite), inv.Host.OS); err != nil {
		return cost{}, 0, err
	}
	c, out, err := child(b.ctx, nil, program, "--source", "file://"+b.dir, "--suite", suite, "--status", dpkgStatus, "--format", "simple",
		"--config", os.DevNull, "--whitelist", filepath.Join(b.dir, "no-whitelist"))
	if err != nil {
		return c, 0, err
	}
	ids := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if id, _, ok := strings.Cut(line, " "); ok {
			ids[id] = true
		}
	}
	return c, len(ids), nil
}

// entry is what debsecan's list needs of an OSV record.
type entry struct {
	ID        string   `json:"id"`
	Withdrawn string   `json:"withdrawn"`
	Aliases   []string `json:"aliases"`
	Upstream  []string `json:"upstream"`
	Related   []string `json:"related"`
	Affected  []struct {
		Package struct{ Ecosystem, Name string } `json:"package"`
		Ranges  []struct {
			Events []struct{ Fixed string } `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

// debsecanList writes the records of one release as debsecan reads them: a version
// line, the vulnerabilities, a blank line, and for each package the number of its
// vulnerability, flags, the fixed version and others; compressed by zlib.
func (b bench) debsecanList(path string, system host.OS) error {
	archive, err := zip.OpenReader(filepath.Join(b.data, "osv/Debian/all.zip"))
	if err != nil {
		return err
	}
	defer archive.Close()
	var names, packages []string
	for _, f := range archive.File {
		e, err := readEntry(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if e.Withdrawn != "" {
			continue
		}
		for _, id := range e.vulnerabilities() {
			for _, a := range e.Affected {
				if a.Package.Ecosystem != "Debian:"+system.VersionID {
					continue
				}
				fixed := ""
				for _, r := range a.Ranges {
					for _, v := range r.Events {
						fixed = cmp.Or(v.Fixed, fixed)
					}
				}
				packages = append(packages, fmt.Sprintf("%s,%d,S  %s,%s,", a.Package.Name, len(names), flag(fixed), fixed))
				names = append(names, id+",,")
			}
		}
	}
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	w := zlib.NewWriter(out)
	_, err = io.WriteString(w, "VERSION 1\n"+strings.Join(names, "\n")+"\n\n"+strings.Join(packages, "\n")+"\n\n")
	return errors.Join(err, w.Close(), out.Close())
}

func flag(fixed string) string {
	if fixed != "" {
		return "F"
	}
	return " "
}

func readEntry(f *zip.File) (entry, error) {
	in, err := f.Open()
	if err != nil {
		return entry{}, err
	}
	defer in.Close()
	var e entry
	return e, json.NewDecoder(in).Decode(&e)
}

// vulnerabilities are the CVEs a record is about: itself, or those an advisory names.
func (e entry) vulnerabilities() []string {
	if strings.HasPrefix(e.ID, "CVE-") {
		return []string{e.ID}
	}
	list := slices.Concat(e.Aliases, e.Upstream, e.Related)
	list = slices.DeleteFunc(list, func(id string) bool { return !strings.HasPrefix(id, "CVE-") })
	slices.Sort(list)
	return slices.Compact(list)
}
