// Package rpm reads the database of the RPM package manager in the three forms it
// has had (SQLite, ndb, Berkeley DB): what is installed, and which package owns a
// path. It reads the files themselves, so it needs neither librpm nor a database
// driver, takes no lock, writes nothing beside them, and a damaged or hostile file
// ends in an error, never in a crash. One unreadable package is listed as unread
// and does not hide the others.
package rpm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

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

func read(root *rootfs.FS, name string) (*Database, error) {
	file, err := root.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// RPM keeps its last transaction in the log while it runs or when it was killed.
	log, err := root.ReadFile(name + "-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parse(file, info.Size(), log, root.Show(name))
}

// visit takes one package header; its error ends the reading.
type visit func(header []byte) error

// source hands every package header of a database to each, and stops at an error.
type source func(r io.ReaderAt, size int64, each visit) error

// parse reads a database of any form, told by its first bytes. log is SQLite's
// write-ahead log, if there is one; name is the file, for messages.
func parse(r io.ReaderAt, size int64, log []byte, name string) (*Database, error) {
	head := make([]byte, 512)
	if n, err := r.ReadAt(head, 0); err != nil && (err != io.EOF || n < 32) {
		return nil, fmt.Errorf("the file is cut off: %d bytes", n)
	}
	var read source
	switch {
	case bytes.HasPrefix(head, []byte(sqliteMagic)):
		read = func(r io.ReaderAt, size int64, each visit) error { return readSQLite(r, size, log, each) }
	case bytes.HasPrefix(head, []byte(ndbMagic)):
		read = readNDB
	case bdbOrder(head) != nil:
		read = readBDB
	default:
		return nil, errors.New("neither SQLite, ndb nor a Berkeley DB hash: not a database RPM writes")
	}
	db := &Database{}
	number, total := 0, int64(0)
	err := read(r, size, func(header []byte) error {
		number++
		// Headers do not overlap in an honest file; in a hostile one they could keep us busy for days.
		if total += int64(len(header)); total > size+int64(len(log)) {
			return errors.New("damaged: its packages are larger than the file")
		}
		if err := db.add(header); err != nil {
			db.Unread = append(db.Unread, host.NotRead(name+" #"+strconv.Itoa(number), err))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// add takes one package; keys of signers are stored as packages and are none.
func (db *Database) add(blob []byte) error {
	h, err := parseHeader(blob)
	if err != nil {
		return err
	}
	if h.name == "gpg-pubkey" {
		return nil
	}
	if h.name == "" || h.version == "" || h.release == "" {
		return host.NewFault("header-no-name", strconv.Quote(h.name))
	}
	p := host.Package{
		Name: h.name, Version: withEpoch(h.epoch, h.version+"-"+h.release), Arch: h.arch,
		Kind: "rpm", Vendor: h.vendor, Module: h.module,
	}
	p.Source, p.SourceVersion = p.Name, p.Version
	if source, version, ok := splitSource(h.sourceRPM); ok {
		// The file name has no epoch. It is the binary's but for the rare package that sets its own.
		p.Source, p.SourceVersion = source, withEpoch(h.epoch, version)
	}
	db.Packages = append(db.Packages, p)
	db.files = append(db.files, h.files)
	return nil
}

// withEpoch writes "epoch:version-release", without an epoch of 0 as RPM prints it.
func withEpoch(epoch uint32, verrel string) string {
	if epoch > 0 {
		return strconv.FormatUint(uint64(epoch), 10) + ":" + verrel
	}
	return verrel
}

// splitSource reads "bind-9.16.23-11.el9.src.rpm" (or ".nosrc.rpm").
func splitSource(file string) (name, verrel string, ok bool) {
	s, isRPM := strings.CutSuffix(file, ".rpm")
	s = strings.TrimSuffix(strings.TrimSuffix(s, ".src"), ".nosrc")
	release := strings.LastIndexByte(s, '-')
	if !isRPM || release < 1 {
		return "", "", false
	}
	v := strings.LastIndexByte(s[:release], '-')
	if v < 1 {
		return "", "", false
	}
	return s[:v], s[v+1:], true
}

// fileList holds the files of one package as RPM stores them: base names, each with
// the number of its folder.
type fileList struct {
	folders []string
	numbers []byte // big-endian 32-bit, one for each base name
	names   []byte // each ended by a zero byte
}

// Claim tells index which packages own the paths it asks for.
func (db *Database) Claim(index *owner.Index) {
	full := make([]byte, 0, 256)
	for i, list := range db.files {
		names, numbers := list.names, list.numbers
		for len(numbers) >= 4 && len(names) > 0 {
			var name []byte
			name, names, _ = bytes.Cut(names, []byte{0})
			folder := binary.BigEndian.Uint32(numbers)
			numbers = numbers[4:]
			if int64(folder) < int64(len(list.folders)) {
				full = append(append(full[:0], list.folders[folder]...), name...)
				index.Claim(full, &db.Packages[i])
			}
		}
	}
}
