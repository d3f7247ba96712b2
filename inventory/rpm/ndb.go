package rpm

import (
	"encoding/binary"
	"fmt"
	"io"
)

// ndb is RPM's own "new database", as SUSE uses it. All numbers are little-endian.
const (
	ndbMagic    = "RpmP"
	ndbPage     = 4096
	ndbSlot     = 16
	ndbMaxPages = 2048 // of slots: half a million packages
)

// maxHeader is the largest package header we take, in bytes; RPM's own bound.
const maxHeader = 256 << 20

// readNDB reads Packages.db: a page of slots or several, each slot telling in which
// 16-byte block a header begins.
func readNDB(r io.ReaderAt, size int64, each visit) error {
	le := binary.LittleEndian
	head := make([]byte, 2*ndbSlot)
	if _, err := r.ReadAt(head, 0); err != nil {
		return cutOff(err)
	}
	version, pages := le.Uint32(head[4:]), le.Uint32(head[12:])
	if version != 0 || pages == 0 || pages > ndbMaxPages {
		return fmt.Errorf("ndb version %d with %d slot pages is not understood", version, pages)
	}
	slots := make([]byte, int(pages)*ndbPage-len(head))
	if _, err := r.ReadAt(slots, int64(len(head))); err != nil {
		return cutOff(err)
	}
	for ; len(slots) > 0; slots = slots[ndbSlot:] {
		if string(slots[:4]) != "Slot" {
			return fmt.Errorf("damaged: a slot does not begin with its mark")
		}
		number, block := le.Uint32(slots[4:]), le.Uint32(slots[8:])
		if number == 0 {
			continue
		}
		blob, err := ndbBlob(r, size, number, int64(block)*ndbSlot)
		if err != nil {
			return err
		}
		if err := each(blob); err != nil {
			return err
		}
	}
	return nil
}

func ndbBlob(r io.ReaderAt, size int64, number uint32, at int64) ([]byte, error) {
	head := make([]byte, 16)
	if _, err := r.ReadAt(head, at); err != nil {
		return nil, cutOff(err)
	}
	length := int64(binary.LittleEndian.Uint32(head[12:]))
	if string(head[:4]) != "BlbS" || binary.LittleEndian.Uint32(head[4:]) != number {
		return nil, fmt.Errorf("damaged: package %d is not at byte %d", number, at)
	}
	if length > maxHeader || at+16+length > size {
		return nil, fmt.Errorf("damaged: package %d of %d bytes is longer than the file", number, length)
	}
	blob := make([]byte, length)
	_, err := r.ReadAt(blob, at+16)
	return blob, cutOff(err)
}

// cutOff says what the end of the file in the middle of something means.
func cutOff(err error) error {
	if err == io.EOF {
		return fmt.Errorf("the file is cut off")
	}
	return err
}
