package feed

import (
	"io"

	"github.com/kannuki/kannuki/feed/cve5"
	"github.com/kannuki/kannuki/feed/epss"
	"github.com/kannuki/kannuki/feed/jvn"
	"github.com/kannuki/kannuki/feed/kev"
	"github.com/kannuki/kannuki/feed/msrc"
	"github.com/kannuki/kannuki/feed/native"
	"github.com/kannuki/kannuki/feed/nvd"
	"github.com/kannuki/kannuki/feed/osv"
	"github.com/kannuki/kannuki/feed/redhat"
	"github.com/kannuki/kannuki/vuln"
)

// hooks take what a decoder finds in one document.
type hooks struct {
	record func(vuln.Record) error
	score  func(vuln.EPSS) error
	reject func(offset int64, id, reason string) error
	note   func(what string, n int)
}

// decoder reads documents of one format.
type decoder struct {
	source string // vuln.Reject.Source of what it rejects
	decode func(name string, r io.Reader, h hooks) error
}

// plainDecode is the signature that the children share.
type plainDecode func(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error

func records(source string, decode plainDecode) decoder {
	return decoder{source, func(_ string, r io.Reader, h hooks) error { return decode(r, h.record, h.reject) }}
}

// decoders is the table of formats. A format without an entry is recognised and left alone.
func decoders() map[Format]decoder {
	return map[Format]decoder{
		OSV: {"osv", func(_ string, r io.Reader, h hooks) error {
			return osv.DecodeNoting(r, h.record, h.reject, h.note)
		}},
		NVD11:   records(nvd.Source, nvd.Decode),
		NVD20:   records(nvd.Source, nvd.Decode),
		KEVJSON: records(kev.Source, kev.Decode),
		KEVCSV:  records(kev.Source, kev.Decode),
		EPSSCSV: {epss.Source, func(name string, r io.Reader, h hooks) error {
			return epss.DecodeNamed(name, r, h.score, h.reject)
		}},
		CVE5:   records(cve5.Source, cve5.Decode),
		CVRF:   records("msrc", msrc.Decode),
		RedHat: records("redhat", redhat.Decode),
		JVNRSS: records("jvn", jvn.DecodeRSS),
		VULDEF: records("jvn", jvn.DecodeVULDEF),
		Native: records(native.Source, native.Decode),
	}
}
