package dpkg

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// The places of the file lists below a root.
const (
	infoPath       = "var/lib/dpkg/info"
	diversionsPath = "var/lib/dpkg/diversions"
)

// Claim tells index which of packages own the paths it asks for, from the lists
// that dpkg keeps of every package's files.
func Claim(root *rootfs.FS, packages []host.Package, index *owner.Index) []host.Unread {
	lists, unread := fileLists(root)
	away := readDiversions(root)
	byName := make(map[string]*host.Package, 2*len(packages))
	for i := range packages {
		p := &packages[i]
		if p.Kind == "dpkg" {
			byName[p.Name] = p
			byName[p.Name+":"+p.Arch] = p
		}
	}
	for _, list := range lists {
		if index.Done() {
			break
		}
		p := byName[list.pkg]
		if p == nil {
			continue // removed, its configuration files remain
		}
		data, err := root.ReadFile(list.path)
		if err != nil {
			unread = append(unread, host.NotRead(root.Show(list.path), err))
			continue
		}
		claimLines(data, p, away, index)
	}
	return unread
}

func claimLines(data []byte, p *host.Package, away diversions, index *owner.Index) {
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if len(away) > 0 {
			if d, ok := away[string(line)]; ok && d.by != p.Name {
				line = []byte(d.to)
			}
		}
		index.Claim(line, p)
	}
}

// fileList is one list and the package, with ":arch" or without, it is of.
type fileList struct{ pkg, path string }

func fileLists(root *rootfs.FS) ([]fileList, []host.Unread) {
	var lists []fileList
	var unread []host.Unread
	entries, err := root.ReadDir(infoPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		unread = append(unread, host.NotRead(root.Show(infoPath), err))
	}
	for _, e := range entries {
		if pkg, ok := strings.CutSuffix(e.Name(), ".list"); ok {
			lists = append(lists, fileList{pkg, infoPath + "/" + e.Name()})
		}
	}
	return lists, unread
}

// diversions are the paths dpkg installs elsewhere (dpkg-divert(1)), by the path
// that packages list.
type diversions map[string]diversion

type diversion struct{ to, by string }

// readDiversions reads triples of lines: from, to, the package that diverts (its
// own file stays at "from"; ":" stands for the administrator).
func readDiversions(root *rootfs.FS) diversions {
	data, err := root.ReadFile(diversionsPath)
	if err != nil {
		return nil // usually absent, and without it paths keep their names
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	away := diversions{}
	for ; len(lines) >= 3; lines = lines[3:] {
		away[lines[0]] = diversion{to: lines[1], by: lines[2]}
	}
	return away
}
