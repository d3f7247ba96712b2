package rpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Berkeley DB's hash format, as in db_page.h of Berkeley DB 4 and 5: a metadata page,
// then pages of key and value pairs; a long value stands in a chain of overflow pages.
const (
	bdbHashMagic    = 0x061561
	bdbPageHeader   = 26
	bdbHashUnsorted = 2 // page types
	bdbOverflow     = 7
	bdbHash         = 13
	bdbInline       = 1 // item types
	bdbOffPage      = 3
)

// bdbOrder tells the byte order of a Berkeley DB hash by its magic number, nil when it is none.
func bdbOrder(head []byte) binary.ByteOrder {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if len(head) >= 72 && order.Uint32(head[12:]) == bdbHashMagic {
			return order
		}
	}
	return nil
}

// bdbFile is one open database.
type bdbFile struct {
	r     io.ReaderAt
	size  int64
	order binary.ByteOrder
	page  int64 // size of a page
	last  int64 // number of the last page
}

// readBDB reads Packages.
func readBDB(r io.ReaderAt, size int64, each visit) error {
	head := make([]byte, 72)
	if _, err := r.ReadAt(head, 0); err != nil {
		return cutOff(err)
	}
	f := bdbFile{r: r, size: size, order: bdbOrder(head)}
	f.page, f.last = int64(f.order.Uint32(head[20:])), int64(f.order.Uint32(head[32:]))
	if f.page < 512 || f.page > 64<<10 || f.page&(f.page-1) != 0 {
		return fmt.Errorf("damaged: a page of %d bytes", f.page)
	}
	if head[24] != 0 {
		return errors.New("the database is encrypted")
	}
	if (f.last+1)*f.page > size {
		return fmt.Errorf("the file is cut off: %d pages of %d bytes are announced, it has %d bytes", f.last+1, f.page, size)
	}
	page := make([]byte, f.page)
	for n := int64(1); n <= f.last; n++ {
		if _, err := r.ReadAt(page, n*f.page); err != nil {
			return cutOff(err)
		}
		if kind := page[25]; kind != bdbHash && kind != bdbHashUnsorted {
			continue
		}
		if err := f.pairs(page, each); err != nil {
			return fmt.Errorf("page %d: %w", n, err)
		}
	}
	return nil
}

// pairs hands on the values of one hash page. Items fill the page from its end, in
// the order of the index: each ends where the one before it begins.
func (f *bdbFile) pairs(page []byte, each visit) error {
	items := int(f.order.Uint16(page[20:]))
	if bdbPageHeader+2*items > len(page) {
		return fmt.Errorf("damaged: %d items do not fit a page", items)
	}
	end := len(page)
	for i := range items {
		start := int(f.order.Uint16(page[bdbPageHeader+2*i:]))
		if start < bdbPageHeader+2*items || start >= end {
			return fmt.Errorf("damaged: item %d stands outside the page", i)
		}
		item := page[start:end]
		end = start
		if i%2 == 0 {
			continue // a key
		}
		blob, err := f.value(item)
		if err != nil {
			return err
		}
		if len(blob) <= 8 {
			continue // RPM's counter of packages, kept among them
		}
		if err := each(blob); err != nil {
			return err
		}
	}
	return nil
}

func (f *bdbFile) value(item []byte) ([]byte, error) {
	switch {
	case item[0] == bdbInline:
		return item[1:], nil
	case item[0] == bdbOffPage && len(item) >= 12:
		return f.chain(int64(f.order.Uint32(item[4:])), int64(f.order.Uint32(item[8:])))
	}
	return nil, fmt.Errorf("damaged: an item of type %d", item[0])
}

// chain joins the overflow pages of one value.
func (f *bdbFile) chain(number, length int64) ([]byte, error) {
	if length > f.size || length > maxHeader {
		return nil, fmt.Errorf("damaged: a value of %d bytes is longer than the file", length)
	}
	blob := make([]byte, 0, length)
	page := make([]byte, f.page)
	for number != 0 && int64(len(blob)) < length {
		if number > f.last {
			return nil, fmt.Errorf("damaged: overflow page %d does not exist", number)
		}
		if _, err := f.r.ReadAt(page, number*f.page); err != nil {
			return nil, cutOff(err)
		}
		used := int64(f.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || used == 0 || bdbPageHeader+used > f.page {
			return nil, fmt.Errorf("damaged: page %d is no overflow page", number)
		}
		blob = append(blob, page[bdbPageHeader:bdbPageHeader+used]...)
		number = int64(f.order.Uint32(page[16:]))
	}
	if int64(len(blob)) != length {
		return nil, fmt.Errorf("damaged: a value of %d bytes has %d", length, len(blob))
	}
	return blob, nil
}
