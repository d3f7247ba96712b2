package rpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// SQLite's file format, as its documentation "Database File Format" gives it: the
// one table we need is a B-tree of pages, read here without a database engine.
const (
	sqliteMagic    = "SQLite format 3\x00"
	sqliteInterior = 0x05
	sqliteLeaf     = 0x0d
	maxTreeDepth   = 20 // a table of 2^64 rows is less deep
)

// sqliteFile is one open database with its write-ahead log.
type sqliteFile struct {
	r       io.ReaderAt
	size    int64 // bytes
	page    int
	usable  int               // of a page
	log     map[uint32][]byte // newer pages
	visited map[uint32]bool   // B-tree pages: a page met twice is damage
}

// readSQLite reads the table Packages of rpmdb.sqlite.
func readSQLite(r io.ReaderAt, size int64, log []byte, each visit) error {
	f := sqliteFile{r: r, size: size}
	var logSize int64
	if f.log, logSize = committedPages(log); len(f.log) > 0 {
		f.size = max(size, logSize)
	}
	head := make([]byte, 100)
	if _, err := r.ReadAt(head, 0); err != nil {
		return cutOff(err)
	}
	f.page = int(binary.BigEndian.Uint16(head[16:]))
	if f.page == 1 {
		f.page = 65536
	}
	f.usable = f.page - int(head[20])
	if f.page < 512 || f.page&(f.page-1) != 0 || f.usable < 480 {
		return fmt.Errorf("damaged: a page of %d bytes, %d of them usable", f.page, f.usable)
	}
	for _, p := range f.log {
		if len(p) != f.page {
			return errors.New("damaged: the write-ahead log has pages of another size")
		}
	}
	root, err := f.table("Packages")
	if err != nil {
		return err
	}
	return f.rows(root, func(record []byte) error {
		columns, err := columnsOf(record)
		if err != nil {
			return err
		}
		for _, c := range columns {
			if c.isBlob {
				return each(c.data)
			}
		}
		return errors.New("damaged: a package without a header")
	})
}

// table finds the root page of a table in the schema, which is itself a table on page 1:
// type, name, table name, root page, SQL.
func (f *sqliteFile) table(name string) (root uint32, err error) {
	err = f.rows(1, func(record []byte) error {
		c, err := columnsOf(record)
		if err != nil {
			return err
		}
		if len(c) >= 4 && string(c[0].data) == "table" && string(c[1].data) == name {
			root = uint32(c[3].number)
		}
		return nil
	})
	if err == nil && root == 0 {
		err = fmt.Errorf("no table %s in it", name)
	}
	return root, err
}

// rows hands on every record of a table.
func (f *sqliteFile) rows(root uint32, each func(record []byte) error) error {
	f.visited = map[uint32]bool{}
	return f.tree(root, 0, each)
}

// tree walks one page and those below it.
func (f *sqliteFile) tree(number uint32, depth int, each func([]byte) error) error {
	if f.visited[number] || depth > maxTreeDepth {
		return fmt.Errorf("damaged: page %d is reached twice", number)
	}
	f.visited[number] = true
	page, err := f.read(number)
	if err != nil {
		return err
	}
	head := page
	if number == 1 {
		head = page[100:] // the file's own header comes first
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	index := head[8:]
	if kind == sqliteInterior {
		index = head[12:]
	}
	if kind != sqliteInterior && kind != sqliteLeaf || 2*cells > len(index) {
		return fmt.Errorf("damaged: page %d is no page of a table", number)
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(index[2*i:]))
		if at+4 > f.usable {
			return fmt.Errorf("damaged: cell %d of page %d stands outside it", i, number)
		}
		cell := page[at:f.usable]
		if kind == sqliteInterior {
			err = f.tree(binary.BigEndian.Uint32(cell), depth+1, each)
		} else if cell, err = f.payload(cell); err == nil {
			err = each(cell)
		}
		if err != nil {
			return err
		}
	}
	if kind == sqliteInterior {
		return f.tree(binary.BigEndian.Uint32(head[8:]), depth+1, each)
	}
	return nil
}

// read returns one page, from the log where it is newer there. Pages count from 1.
func (f *sqliteFile) read(number uint32) ([]byte, error) {
	if p := f.log[number]; p != nil {
		return p, nil
	}
	at := (int64(number) - 1) * int64(f.page)
	if number == 0 || at+int64(f.page) > f.size {
		return nil, fmt.Errorf("damaged or cut off: page %d does not exist", number)
	}
	page := make([]byte, f.page)
	_, err := f.r.ReadAt(page, at)
	return page, cutOff(err)
}

// payload returns the record of a leaf cell: its length, the row number, and as much
// of it as the page holds; the rest is in a chain of overflow pages.
func (f *sqliteFile) payload(cell []byte) ([]byte, error) {
	total, n := varint(cell)
	_, m := varint(cell[n:])
	cell = cell[n+m:]
	if n == 0 || m == 0 || total > uint64(f.size) || total > maxHeader {
		return nil, fmt.Errorf("damaged: a record of %d bytes is longer than the file", total)
	}
	local := f.local(int(total))
	if local > len(cell) {
		return nil, errors.New("damaged: a record stands outside its page")
	}
	if local == int(total) {
		return cell[:local], nil
	}
	if local+4 > len(cell) {
		return nil, errors.New("damaged: a record without the rest of it")
	}
	record := append(make([]byte, 0, total), cell[:local]...)
	for next := binary.BigEndian.Uint32(cell[local:]); len(record) < int(total); {
		page, err := f.read(next)
		if err != nil {
			return nil, err
		}
		record = append(record, page[4:min(f.usable, 4+int(total)-len(record))]...)
		next = binary.BigEndian.Uint32(page)
	}
	return record, nil
}

// local is how many bytes of a record of that length stay on a leaf page (section
// 1.6 of the format, "Cell payload overflow").
func (f *sqliteFile) local(total int) int {
	most := f.usable - 35
	if total <= most {
		return total
	}
	least := (f.usable-12)*32/255 - 23
	if k := least + (total-least)%(f.usable-4); k <= most {
		return k
	}
	return least
}

// column is one value of a record.
type column struct {
	number int64
	data   []byte
	isBlob bool
}

// columnsOf splits a record: the length of its head, a type for each column, the values.
func columnsOf(record []byte) ([]column, error) {
	broken := errors.New("damaged: a record that does not fit its own description")
	length, n := varint(record)
	if n == 0 || length < uint64(n) || length > uint64(len(record)) {
		return nil, broken
	}
	types, values := record[n:length], record[length:]
	var out []column
	for len(types) > 0 {
		kind, n := varint(types)
		if n == 0 {
			return nil, broken
		}
		types = types[n:]
		size := sizeOf(kind)
		if size > uint64(len(values)) {
			return nil, broken
		}
		c := column{data: values[:size], isBlob: kind >= 12 && kind%2 == 0}
		if kind >= 1 && kind <= 6 {
			for _, b := range c.data {
				c.number = c.number<<8 | int64(b)
			}
		}
		out = append(out, c)
		values = values[size:]
	}
	return out, nil
}

// sizeOf is the length of a value of a serial type, in bytes.
func sizeOf(kind uint64) uint64 {
	switch {
	case kind >= 12:
		return (kind - 12) / 2
	case kind <= 4:
		return kind
	case kind == 5:
		return 6
	case kind <= 7:
		return 8
	}
	return 0 // the constants 0 and 1, and two types that are not in use
}

// varint reads SQLite's variable-length number; n is 0 when b ends within it.
func varint(b []byte) (value uint64, n int) {
	for i := range 9 {
		if i >= len(b) {
			return 0, 0
		}
		if i == 8 {
			return value<<8 | uint64(b[i]), 9
		}
		value = value<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
