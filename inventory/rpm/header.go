package rpm

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/kannuki/kannuki/host"
)

// header is what we need of a package header.
type header struct {
	name, version, release, arch string
	vendor, sourceRPM, module    string
	epoch                        uint32
	files                        fileList
}

// The tags we read and the types of their data (RPM's documentation, "Package format v4").
const (
	tagName      = 1000
	tagVersion   = 1001
	tagRelease   = 1002
	tagEpoch     = 1003
	tagVendor    = 1011
	tagArch      = 1022
	tagSourceRPM = 1044
	tagDirNumber = 1116
	tagBaseName  = 1117
	tagDirName   = 1118
	tagModule    = 5096

	typeInt32       = 4
	typeString      = 6
	typeStringArray = 8
)

// maxEntries is RPM's own bound on the tags of one header.
const maxEntries = 0xffff

// entry is one tag of the index: where its data stands.
type entry struct{ tag, kind, offset, count uint32 }

// parseHeader reads a header as the database holds it: the number of index entries
// and the length of the data, then the entries of 16 bytes, then the data, all
// big-endian.
func parseHeader(blob []byte) (header, error) {
	var h header
	be := binary.BigEndian
	if len(blob) < 8 {
		return h, host.NewFault("header-short", len(blob))
	}
	entries, length := be.Uint32(blob), be.Uint32(blob[4:])
	if entries > maxEntries || uint64(len(blob)) < 8+16*uint64(entries)+uint64(length) {
		return h, host.NewFault("header-size", entries, length, len(blob))
	}
	index, data := blob[8:8+16*entries], blob[8+16*entries:][:length]
	for ; len(index) > 0; index = index[16:] {
		e := entry{be.Uint32(index), be.Uint32(index[4:]), be.Uint32(index[8:]), be.Uint32(index[12:])}
		if err := h.take(e, data); err != nil {
			return h, err
		}
	}
	return h, nil
}

// take reads the data of one tag, if it is one of ours.
func (h *header) take(e entry, data []byte) error {
	var text *string
	switch e.tag {
	case tagName:
		text = &h.name
	case tagVersion:
		text = &h.version
	case tagRelease:
		text = &h.release
	case tagArch:
		text = &h.arch
	case tagVendor:
		text = &h.vendor
	case tagSourceRPM:
		text = &h.sourceRPM
	case tagModule:
		text = &h.module
	case tagEpoch:
		value, err := e.int32s(data)
		if err == nil && len(value) >= 4 {
			h.epoch = binary.BigEndian.Uint32(value)
		}
		return err
	case tagDirNumber:
		value, err := e.int32s(data)
		h.files.numbers = bytes.Clone(value)
		return err
	case tagBaseName:
		value, err := e.strings(data)
		h.files.names = bytes.Clone(value)
		return err
	case tagDirName:
		value, err := e.strings(data)
		for ; len(value) > 0; value = value[bytes.IndexByte(value, 0)+1:] {
			h.files.folders = append(h.files.folders, string(value[:bytes.IndexByte(value, 0)]))
		}
		return err
	default:
		return nil
	}
	value, err := e.strings(data)
	if err == nil && len(value) > 0 {
		*text = string(value[:bytes.IndexByte(value, 0)])
		if *text == "(none)" {
			*text = ""
		}
	}
	return err
}

// int32s returns the bytes of e's numbers.
func (e entry) int32s(data []byte) ([]byte, error) {
	if e.kind != typeInt32 || e.count > math.MaxInt32 || uint64(e.offset)+4*uint64(e.count) > uint64(len(data)) {
		return nil, host.NewFault("header-numbers", e.tag)
	}
	return data[e.offset:][:4*e.count], nil
}

// strings returns the bytes of e's strings, each ended by a zero byte.
func (e entry) strings(data []byte) ([]byte, error) {
	if e.kind == typeString {
		e.count = 1
	}
	if e.kind != typeString && e.kind != typeStringArray || uint64(e.offset) > uint64(len(data)) {
		return nil, host.NewFault("header-text", e.tag)
	}
	rest, end := data[e.offset:], 0
	for range e.count {
		n := bytes.IndexByte(rest[end:], 0)
		if n < 0 {
			return nil, host.NewFault("header-endless", e.tag)
		}
		end += n + 1
	}
	return rest[:end], nil
}
