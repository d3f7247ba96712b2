package spool

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"iter"
	"strconv"

	"github.com/kannuki/kannuki/event"
)

// A record is one line: the checksum of what follows it, the event's number, the
// length of its JSON, all in hexadecimal, and the JSON, which holds no line feed.
//
//	1a2b3c4d 00000000002a 00013f {"at":…}
//
// The length leads past a damaged line feed, the line feed past a damaged length, and
// the numbers tell how many events lay in between.
const (
	sumDigits    = 8
	numberDigits = 12
	lengthDigits = 6
	numberAt     = sumDigits + 1
	lengthAt     = numberAt + numberDigits + 1
	headerSize   = lengthAt + lengthDigits + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendRecord adds the record of e to buf.
func appendRecord(buf []byte, number uint64, e event.Event) ([]byte, error) {
	out := bytes.NewBuffer(buf)
	out.Write(make([]byte, headerSize))
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return buf, fmt.Errorf("spool: event of %s (%s): %w", e.Op, e.Path, err)
	}
	line := out.Bytes()
	start := len(buf)
	if len(line)-start > MaxRecord {
		return buf, fmt.Errorf("spool: event of %s takes %d bytes, %d are allowed", e.Op, len(line)-start, MaxRecord)
	}
	header := line[start : start+headerSize]
	length := len(line) - start - headerSize - 1
	putHex(header[numberAt:], number, numberDigits)
	putHex(header[lengthAt:], uint64(length), lengthDigits)
	sum := crc32.Checksum(line[start+numberAt:len(line)-1], castagnoli)
	putHex(header, uint64(sum), sumDigits)
	return line, nil
}

// putHex writes n as digits hexadecimal digits and a space.
func putHex(to []byte, n uint64, digits int) {
	const hexDigits = "0123456789abcdef"
	for i := digits - 1; i >= 0; i-- {
		to[i] = hexDigits[n&15]
		n >>= 4
	}
	to[digits] = ' '
}

// record is one stretch of a segment: a record, or bytes that are none.
type record struct {
	start, end int
	seq        uint64
	json       []byte
	damaged    bool
}

// records walks through a segment, stretch by stretch, without gap or overlap. Of
// damaged bytes it makes one stretch up to the next record that can be read.
func records(data []byte) iter.Seq[record] {
	return func(yield func(record) bool) {
		bad := -1
		for at := 0; at < len(data); {
			r, ok := recordAt(data, at)
			if !ok {
				if bad < 0 {
					bad = at
				}
				at = nextLine(data, at)
				continue
			}
			if bad >= 0 && !yield(record{start: bad, end: at, damaged: true}) {
				return
			}
			bad = -1
			if !yield(r) {
				return
			}
			at = r.end
		}
		if bad >= 0 {
			yield(record{start: bad, end: len(data), damaged: true})
		}
	}
}

func nextLine(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}

// recordAt reads the record that starts at at. The byte after its JSON is taken for
// the line feed, whatever it has become; where it is missing the record was torn.
func recordAt(data []byte, at int) (record, bool) {
	if len(data)-at < headerSize {
		return record{}, false
	}
	header := data[at : at+headerSize]
	var raw [4]byte
	if _, err := hex.Decode(raw[:], header[:sumDigits]); err != nil {
		return record{}, false
	}
	number, err1 := strconv.ParseUint(string(header[numberAt:numberAt+numberDigits]), 16, 64)
	length, err2 := strconv.ParseUint(string(header[lengthAt:lengthAt+lengthDigits]), 16, 32)
	end := at + headerSize + int(length) + 1
	if err1 != nil || err2 != nil || length > MaxRecord || end > len(data) {
		return record{}, false
	}
	sum := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
	if crc32.Checksum(data[at+numberAt:end-1], castagnoli) != sum {
		return record{}, false
	}
	return record{start: at, end: end, seq: number, json: data[at+headerSize : end-1]}, true
}

// lines is how many records a damaged end held: its lines, the last one perhaps torn.
func lines(data []byte) uint64 {
	n := uint64(bytes.Count(data, []byte("\n")))
	if data[len(data)-1] != '\n' {
		n++
	}
	return n
}
