// Package rpm reads the database of the RPM package manager in the three forms it
// has had (SQLite, ndb, Berkeley DB): what is installed, and which package owns a
// path. It promises not to touch the database it reads: it works on a private copy,
// because opening one in place could write beside it.
package rpm

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	_ "modernc.org/sqlite" // go-rpmdb asks database/sql for a driver named "sqlite" and brings none

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/inventory/owner"
	"github.com/kannuki/kannuki/inventory/rootfs"
)

// Paths are the places of the database below a root, newest form first.
var Paths = []string{
	"usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite",
	"usr/lib/sysimage/rpm/Packages.db", "var/lib/rpm/Packages.db",
	"usr/lib/sysimage/rpm/Packages", "var/lib/rpm/Packages",
}

// Database is what one database says.
type Database struct {
	Packages []host.Package
	Unread   []host.Unread
	files    []fileList // of Packages, in their order
}

// fileList holds the files of one package as RPM stores them: base names, and for
// each the index of its folder.
type fileList struct {
	folders []string
	indexes []int32
	names   []string
}

// Read reads the database below root; nil when there is none. An empty file is
// passed over, as RPM's own conversion leaves one.
func Read(root *rootfs.FS) (*Database, error) {
	for _, p := range Paths {
		info, err := root.Stat(p)
		if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		db, err := read(root, p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", root.Show(p), err)
		}
		return db, nil
	}
	return nil, nil
}

// read reads one database through a copy.
func read(root *rootfs.FS, name string) (*Database, error) {
	dir, err := os.MkdirTemp("", "kannuki-rpmdb-")
	if err != nil {
		return nil, fmt.Errorf("cannot copy it to read it: %w", err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, path.Base(name))
	if err := copyFile(root, name, copied); err != nil {
		return nil, err
	}
	if err := applyLog(root, name+"-wal", copied); err != nil {
		return nil, err
	}
	db, err := rpmdb.Open(copied)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	list, err := db.ListPackages()
	if err != nil {
		return nil, err
	}
	out := &Database{}
	for _, p := range list {
		out.add(p, root.Show(name))
	}
	return out, nil
}

func copyFile(root *rootfs.FS, from, to string) error {
	in, err := root.OpenFile(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// add takes one package; keys of signers are stored as packages and are none.
func (db *Database) add(p *rpmdb.PackageInfo, name string) {
	if p.Name == "gpg-pubkey" {
		return
	}
	if p.Name == "" || p.Version == "" || p.Release == "" {
		db.Unread = append(db.Unread, host.Unread{What: name + " package " + p.Name, Why: "a package without name, version or release"})
		return
	}
	out := host.Package{
		Name: p.Name, Version: version(p.EpochNum(), p.Version+"-"+p.Release), Arch: p.Arch,
		Kind: "rpm", Vendor: p.Vendor, Module: p.Modularitylabel,
	}
	if source, ver, ok := splitSource(p.SourceRpm); ok {
		// The file name has no epoch. It is the binary's but for the rare package that sets its own.
		out.Source, out.SourceVersion = source, version(p.EpochNum(), ver)
	} else {
		out.Source, out.SourceVersion = out.Name, out.Version
	}
	db.Packages = append(db.Packages, out)
	db.files = append(db.files, fileList{p.DirNames, p.DirIndexes, p.BaseNames})
}

// version writes "epoch:version-release", without an epoch of 0 as RPM prints it.
func version(epoch int, verrel string) string {
	if epoch > 0 {
		return strconv.Itoa(epoch) + ":" + verrel
	}
	return verrel
}

// splitSource reads "bind-9.16.23-11.el9.src.rpm".
func splitSource(file string) (name, verrel string, ok bool) {
	s := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(file, ".rpm"), ".src"), ".nosrc")
	release := strings.LastIndexByte(s, '-')
	if release < 1 || s == file {
		return "", "", false
	}
	v := strings.LastIndexByte(s[:release], '-')
	if v < 1 {
		return "", "", false
	}
	return s[:v], s[v+1:], true
}

// Claim tells index which packages own the paths it asks for.
func (db *Database) Claim(index *owner.Index) {
	full := make([]byte, 0, 256)
	for i, list := range db.files {
		for j, name := range list.names {
			if j >= len(list.indexes) || list.indexes[j] < 0 || int(list.indexes[j]) >= len(list.folders) {
				continue
			}
			full = append(append(full[:0], list.folders[list.indexes[j]]...), name...)
			index.Claim(full, &db.Packages[i])
		}
	}
}
