// Package apk reads the database of Alpine's package manager: what is installed,
// and which package owns a path. A record that cannot be understood is listed as
// unread and does not touch its neighbours.
package apk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// Paths are the places of the database below a root, older systems first; apk 3
// systems with a merged /usr keep it in the second.
var Paths = []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"}

// Database is the content of an installed file.
type Database struct {
	Packages []host.Package
	Unread   []host.Unread
	data     []byte
}

// Read reads the database below root; nil when there is none.
func Read(root *rootfs.FS) (*Database, error) {
	for _, path := range Paths {
		data, err := root.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return Parse(data, root.Show(path)), nil
	}
	return nil, nil
}

// Parse reads records of one-letter fields ("P:musl"), separated by empty lines.
// name is the file, for messages.
func Parse(data []byte, name string) *Database {
	db := &Database{data: data}
	records(data, func(line int, fields [256]string, fault error) {
		why := fault
		switch {
		case why != nil:
		case fields['P'] == "":
			why = host.NewFault("no-field", "P: (package name)")
		case fields['V'] == "":
			why = host.NewFault("no-field", "V: (version)")
		}
		if why != nil {
			what := fmt.Sprintf("%s:%d", name, line)
			if fields['P'] != "" {
				what += " " + fields['P']
			}
			db.Unread = append(db.Unread, host.NotRead(what, why))
			return
		}
		db.Packages = append(db.Packages, pack(fields))
	})
	return db
}

func pack(fields [256]string) host.Package {
	p := host.Package{
		Name: fields['P'], Version: fields['V'], Arch: fields['A'], Kind: "apk",
		Source: fields['o'], SourceVersion: fields['V'],
	}
	if p.Source == "" {
		p.Source = p.Name
	}
	return p
}

// records calls each for every record with its first line number, its fields and
// what is wrong with it. File entries (F, R, M, a, Z) repeat and are passed over.
func records(data []byte, each func(line int, fields [256]string, fault error)) {
	var fields [256]string
	number, start, fault := 0, 0, error(nil)
	end := func() {
		if start > 0 {
			each(start, fields, fault)
		}
		fields, start, fault = [256]string{}, 0, nil
	}
	for len(data) > 0 {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		number++
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			end()
			continue
		}
		if start == 0 {
			start = number
		}
		if len(line) < 2 || line[1] != ':' {
			if fault == nil {
				fault = host.NewFault("not-letter", number)
			}
			continue
		}
		switch key := line[0]; key {
		case 'P', 'V', 'A', 'o':
			if fields[key] != "" && fault == nil {
				fault = host.NewFault("twice", number, string(key)+":")
			}
			fields[key] = string(line[2:])
		}
	}
	end()
}

// Claim tells index which packages own the paths it asks for: F: names a folder,
// every R: after it a file in it.
func (db *Database) Claim(index *owner.Index) {
	byName := make(map[string]*host.Package, len(db.Packages))
	for i := range db.Packages {
		byName[db.Packages[i].Name] = &db.Packages[i]
	}
	var p *host.Package
	path := make([]byte, 0, 256)
	folder := 0
	for data := db.data; len(data) > 0; {
		var line []byte
		line, data, _ = bytes.Cut(data, []byte{'\n'})
		if len(line) < 2 || line[1] != ':' {
			p = nil
			continue
		}
		switch line[0] {
		case 'P':
			p = byName[string(line[2:])]
		case 'F':
			path = append(append(append(path[:0], '/'), line[2:]...), '/')
			if len(line) == 2 {
				path = path[:1] // files in the root folder itself
			}
			folder = len(path)
		case 'R':
			if p != nil && folder > 0 {
				path = append(path[:folder], line[2:]...)
				index.Claim(path, p)
			}
		}
	}
}
