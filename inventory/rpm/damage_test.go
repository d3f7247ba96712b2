package rpm

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// packageHeader writes a package header as the database holds it. files pads it, so
// that it needs more than one page.
func packageHeader(name, version string, files int) []byte {
	be := binary.BigEndian
	var index, data []byte
	add := func(tag, kind, count int, value []byte) {
		for kind == typeInt32 && len(data)%4 != 0 {
			data = append(data, 0)
		}
		for _, n := range []int{tag, kind, len(data), count} {
			index = be.AppendUint32(index, uint32(n))
		}
		data = append(data, value...)
	}
	text := func(s string) []byte { return append([]byte(s), 0) }
	add(tagName, typeString, 1, text(name))
	add(tagVersion, typeString, 1, text(version))
	add(tagRelease, typeString, 1, text("1"))
	add(tagEpoch, typeInt32, 1, be.AppendUint32(nil, 7))
	add(tagSourceRPM, typeString, 1, text(name+"-src-"+version+"-1.src.rpm"))
	var names, numbers []byte
	for i := range files {
		names = append(names, text(fmt.Sprintf("file-%d-%s", i, strings.Repeat("x", 20)))...)
		numbers = be.AppendUint32(numbers, 0)
	}
	add(tagDirName, typeStringArray, 1, text("/usr/bin/"))
	add(tagBaseName, typeStringArray, files, names)
	add(tagDirNumber, typeInt32, files, numbers)
	out := be.AppendUint32(nil, uint32(len(index)/16))
	out = be.AppendUint32(out, uint32(len(data)))
	return append(append(out, index...), data...)
}

// sqliteDatabase writes a database of pages of 4096 bytes: the schema, an interior
// page, and for each header a leaf with its overflow pages.
func sqliteDatabase(headers ...[]byte) []byte {
	const size = 4096
	be := binary.BigEndian
	number := func(n int) []byte {
		return []byte{byte(n>>21) | 0x80, byte(n>>14) | 0x80, byte(n>>7) | 0x80, byte(n & 0x7f)}
	}
	leaf := func(page []byte, skip, row int, record []byte, next func() uint32) {
		cell := append(number(len(record)), number(row)...)
		local := (&sqliteFile{usable: size}).local(len(record))
		cell = append(cell, record[:local]...)
		if local < len(record) {
			cell = be.AppendUint32(cell, next())
		}
		at := size - len(cell)
		copy(page[at:], cell)
		page[skip] = sqliteLeaf
		be.PutUint16(page[skip+3:], 1)
		be.PutUint16(page[skip+8:], uint16(at))
	}
	schema, interior := make([]byte, size), make([]byte, size)
	copy(schema, sqliteMagic)
	be.PutUint16(schema[16:], size)
	leaf(schema, 100, 1, []byte("\x06\x17\x1d\x1d\x01\x0dtablePackagesPackages\x02"), nil)
	out := append(schema, interior...)
	for i, h := range headers {
		page := make([]byte, size)
		out = append(out, page...)
		at := len(out) - size
		record := append(append([]byte{6, 0}, number(2*len(h)+12)...), h...)
		rest := record[(&sqliteFile{usable: size}).local(len(record)):]
		first := uint32(len(out)/size + 1)
		for len(rest) > 0 {
			p := make([]byte, size)
			rest = rest[copy(p[4:], rest):]
			if len(rest) > 0 {
				be.PutUint32(p, uint32(len(out)/size+2))
			}
			out = append(out, p...)
		}
		leaf(out[at:at+size], 0, i+1, record, func() uint32 { return first })
		if i == len(headers)-1 {
			be.PutUint32(out[size+8:], uint32(at/size+1))
			continue
		}
		be.PutUint16(out[size+12+2*i:], uint16(size-8*(i+1)))
		be.PutUint32(out[2*size-8*(i+1):], uint32(at/size+1))
		out[2*size-8*(i+1)+4] = byte(i + 1)
	}
	out[size] = sqliteInterior
	be.PutUint16(out[size+3:], uint16(len(headers)-1))
	return out
}

// writeAheadLog writes a log that replaces one page in a committed transaction.
func writeAheadLog(number uint32, page []byte, pages int) []byte {
	be := binary.BigEndian
	head := be.AppendUint32(nil, 0x377f0683)
	for _, n := range []uint32{3007000, uint32(len(page)), 0, 11, 22} {
		head = be.AppendUint32(head, n)
	}
	sum := checksum(be, [2]uint32{}, head)
	out := be.AppendUint32(be.AppendUint32(head, sum[0]), sum[1])
	frame := be.AppendUint32(be.AppendUint32(nil, number), uint32(pages))
	sum = checksum(be, checksum(be, sum, frame), page)
	for _, n := range []uint32{11, 22, sum[0], sum[1]} {
		frame = be.AppendUint32(frame, n)
	}
	return append(append(out, frame...), page...)
}

// ndbDatabase writes Packages.db of one slot page.
func ndbDatabase(headers ...[]byte) []byte {
	le := binary.LittleEndian
	out := make([]byte, ndbPage)
	copy(out, ndbMagic)
	le.PutUint32(out[12:], 1)
	for i := 2; i < ndbPage/ndbSlot; i++ {
		copy(out[i*ndbSlot:], "Slot")
	}
	for i, h := range headers {
		slot := out[(i+2)*ndbSlot:]
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32(len(out)/ndbSlot))
		blob := append([]byte("BlbS"), make([]byte, 12)...)
		le.PutUint32(blob[4:], uint32(i+1))
		le.PutUint32(blob[12:], uint32(len(h)))
		blob = append(blob, h...)
		out = append(out, append(blob, make([]byte, ndbSlot-len(blob)%ndbSlot)...)...)
	}
	return out
}

// bdbDatabase writes a hash of one page, the headers on overflow pages behind it.
func bdbDatabase(order binary.ByteOrder, headers ...[]byte) []byte {
	const size = 4096
	page := func(kind byte) []byte { p := make([]byte, size); p[25] = kind; return p }
	meta, hash := page(8), page(bdbHash)
	out := append(meta, hash...)
	end := size
	put := func(i int, item []byte) {
		end -= len(item)
		copy(out[size+end:], item)
		order.PutUint16(out[size+bdbPageHeader+2*i:], uint16(end))
	}
	for i, h := range headers {
		item := make([]byte, 12)
		item[0] = bdbOffPage
		order.PutUint32(item[4:], uint32(len(out)/size))
		order.PutUint32(item[8:], uint32(len(h)))
		put(2*i, []byte{bdbInline, 0, 0, 0, byte(i)})
		put(2*i+1, item)
		for len(h) > 0 {
			p := page(bdbOverflow)
			n := copy(p[bdbPageHeader:], h)
			h = h[n:]
			order.PutUint16(p[22:], uint16(n))
			if len(h) > 0 {
				order.PutUint32(p[16:], uint32(len(out)/size+1))
			}
			out = append(out, p...)
		}
	}
	order.PutUint16(out[size+20:], uint16(2*len(headers)))
	order.PutUint32(out[12:], bdbHashMagic)
	order.PutUint32(out[20:], size)
	order.PutUint32(out[32:], uint32(len(out)/size-1))
	return out
}

func TestAllFormsAreRead(t *testing.T) {
	headers := [][]byte{packageHeader("a", "1", 3), packageHeader("b", "2", 900), packageHeader("gpg-pubkey", "3", 0)}
	for name, data := range map[string][]byte{
		"sqlite": sqliteDatabase(headers...), "ndb": ndbDatabase(headers...), "bdb": bdbDatabase(binary.LittleEndian, headers...), "bdb big-endian": bdbDatabase(binary.BigEndian, headers...),
	} {
		db, err := parse(bytes.NewReader(data), int64(len(data)), nil, name)
		if err != nil || len(db.Unread) > 0 || len(db.Packages) != 2 || db.Packages[1].Name != "b" {
			t.Errorf("%s: database %+v, %v", name, db, err)
		}
	}
}

func TestOneUnreadablePackageDoesNotHideTheOthers(t *testing.T) {
	bad := packageHeader("bad", "1", 1)
	binary.BigEndian.PutUint32(bad[8+8:], 1<<30) // its name stands outside it
	data := ndbDatabase(packageHeader("a", "1", 0), bad, packageHeader("", "1", 0), packageHeader("b", "1", 0))
	db, err := parse(bytes.NewReader(data), int64(len(data)), nil, "Packages.db")
	if err != nil || len(db.Packages) != 2 || len(db.Unread) != 2 || !strings.Contains(db.Unread[0].What, "Packages.db #2") {
		t.Fatalf("packages %v, unread %v, %v", db.Packages, db.Unread, err)
	}
}

func TestDamagedDatabasesAreErrors(t *testing.T) {
	sqlite := sqliteDatabase(packageHeader("a", "1", 500), packageHeader("b", "1", 5))
	ndb := ndbDatabase(packageHeader("a", "1", 500))
	bdb := bdbDatabase(binary.LittleEndian, packageHeader("a", "1", 500))
	set := func(data []byte, at int, b ...byte) []byte { data = bytes.Clone(data); copy(data[at:], b); return data }
	for name, data := range map[string][]byte{
		"empty": nil, "other": []byte(strings.Repeat("other", 200)), "sqlite cut off": sqlite[:len(sqlite)/2], "sqlite head only": sqlite[:100],
		"sqlite page size": set(sqlite, 16, 0, 3), "sqlite root is no table": set(sqlite, 100, 9),
		"ndb cut off": ndb[:len(ndb)-200], "ndb slots cut off": ndb[:300], "ndb slot": set(ndb, 64, 'X'), "ndb version": set(ndb, 4, 9),
		"bdb cut off": bdb[:len(bdb)-1], "bdb page size": set(bdb, 20, 3), "bdb encrypted": set(bdb, 24, 1), "bdb item": set(bdb, 4096+26, 1, 0),
		"bdb chain": set(bdb, 2*4096+25, 2),
	} {
		db, err := parse(bytes.NewReader(data), int64(len(data)), nil, name)
		if err == nil {
			t.Errorf("%s: no error, database %+v", name, db)
		}
	}
}

// TestDamageNeverCrashes flips bytes: an error or other packages may come of it, never a panic.
func TestDamageNeverCrashes(t *testing.T) {
	headers := [][]byte{packageHeader("a", "1", 3), packageHeader("b", "2", 400), packageHeader("c", "2", 40)}
	sqlite := sqliteDatabase(headers...)
	log := writeAheadLog(2, sqlite[4096:8192], len(sqlite)/4096)
	r := rand.New(rand.NewPCG(1, 2))
	for name, data := range map[string][]byte{"sqlite": sqlite, "ndb": ndbDatabase(headers...), "bdb": bdbDatabase(binary.LittleEndian, headers...)} {
		failed := 0
		for range 400 {
			d, l := bytes.Clone(data), bytes.Clone(log)
			for range 1 + r.IntN(30) {
				d[r.IntN(min(len(d), 12<<10))] = byte(r.IntN(256))
				l[r.IntN(len(l))] = byte(r.IntN(256))
			}
			copy(d, data[:16]) // stay in its form
			if _, err := parse(bytes.NewReader(d), int64(len(d)), l, name); err != nil {
				failed++
			}
		}
		if failed == 0 {
			t.Errorf("%s: no damage was ever noticed; is the test damaging anything?", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	sqlite := sqliteDatabase(packageHeader("a", "1", 3), packageHeader("b", "1", 300))
	f.Add(sqlite, writeAheadLog(2, sqlite[4096:8192], len(sqlite)/4096))
	f.Add(ndbDatabase(packageHeader("a", "1", 3)), []byte{})
	f.Add(bdbDatabase(binary.LittleEndian, packageHeader("a", "1", 300)), []byte{})
	f.Fuzz(func(t *testing.T, data, log []byte) {
		db, err := parse(bytes.NewReader(data), int64(len(data)), log, "fuzz")
		if (db == nil) == (err == nil) {
			t.Fatalf("neither a database nor an error, or both: %v %v", db, err)
		}
		if err != nil {
			return
		}
		for _, p := range db.Packages {
			if p.Name == "" || p.Version == "" || p.Source == "" {
				t.Fatalf("incomplete package %+v", p)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(packageHeader("a", "1", 5))
	f.Fuzz(func(t *testing.T, blob []byte) {
		if _, err := parseHeader(blob); err != nil && err.Error() == "" {
			t.Fatal("an error that says nothing")
		}
	})
}
