package rpm

import "encoding/binary"

const (
	walHeader   = 32
	frameHeader = 24
)

// committedPages reads a SQLite write-ahead log (section 4 of "Database File
// Format"): the newest content of each page up to the last committed frame, and the
// size of the database then, in bytes. A log that is empty, torn at its start or left
// over gives no pages, as for SQLite itself.
func committedPages(log []byte) (map[uint32][]byte, int64) {
	if len(log) < walHeader {
		return nil, 0
	}
	be := binary.BigEndian
	magic, pageSize := be.Uint32(log), int(be.Uint32(log[8:]))
	if magic&^1 != 0x377f0682 || pageSize < 512 || pageSize > 65536 || pageSize&(pageSize-1) != 0 {
		return nil, 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if magic&1 == 1 {
		order = be
	}
	sum := checksum(order, [2]uint32{}, log[:24])
	if sum != [2]uint32{be.Uint32(log[24:]), be.Uint32(log[28:])} {
		return nil, 0
	}
	salt := string(log[16:24])
	committed, pending := map[uint32][]byte{}, map[uint32][]byte{}
	var size int64
	for rest := log[walHeader:]; len(rest) >= frameHeader+pageSize; rest = rest[frameHeader+pageSize:] {
		head, page := rest[:frameHeader], rest[frameHeader:frameHeader+pageSize]
		sum = checksum(order, checksum(order, sum, head[:8]), page)
		number := be.Uint32(head)
		if number == 0 || string(head[8:16]) != salt || sum != [2]uint32{be.Uint32(head[16:]), be.Uint32(head[20:])} {
			break // left over from an older log, or torn: what follows does not count
		}
		pending[number] = page
		if after := be.Uint32(head[4:]); after > 0 {
			for n, p := range pending {
				committed[n] = p
			}
			clear(pending)
			size = int64(after) * int64(pageSize)
		}
	}
	for n := range committed {
		if int64(n)*int64(pageSize) > size {
			delete(committed, n) // the database shrank below it since
		}
	}
	return committed, size
}

// checksum continues SQLite's Fibonacci-weighted sum over data, in pairs of words.
func checksum(order binary.ByteOrder, sum [2]uint32, data []byte) [2]uint32 {
	for i := 0; i+8 <= len(data); i += 8 {
		sum[0] += order.Uint32(data[i:]) + sum[1]
		sum[1] += order.Uint32(data[i+4:]) + sum[0]
	}
	return sum
}
