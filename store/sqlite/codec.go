package sqlite

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/kannuki/kannuki/vuln"
)

// Bodies are JSON; a long one is compressed; the statement that distributions make by
// the hundred thousand has a form of its own. The first byte tells which.
const (
	plain      = 'j'
	compressed = 'z'
	usual      = 'u' // a source package is affected before a version: see packUsual
	// worthCompressing is the length from which zstd pays for its header.
	worthCompressing = 512
)

// codec packs and unpacks bodies; safe for use by several goroutines.
type codec struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

var sharedCodec = sync.OnceValue(func() codec {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<17))
	if err != nil {
		panic(err) // the options are constants
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		panic(err)
	}
	return codec{enc, dec}
})

func pack(text []byte) []byte {
	if len(text) < worthCompressing {
		return append([]byte{plain}, text...)
	}
	return sharedCodec().enc.EncodeAll(text, []byte{compressed})
}

// unpack decodes a body into v.
func unpack(body []byte, v any) error {
	if len(body) == 0 {
		return fmt.Errorf("empty body")
	}
	text := body[1:]
	switch body[0] {
	case plain:
	case compressed:
		var err error
		if text, err = sharedCodec().dec.DecodeAll(text, nil); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown body kind %q", body[0])
	}
	return json.Unmarshal(text, v)
}

// packUsual writes "source package, from the beginning, before the fix" as the fixed
// version, a NUL and the urgency; false where a says anything else.
func packUsual(a vuln.Affected) ([]byte, bool) {
	if len(a.Ranges) != 1 || len(a.Ranges[0].Events) != 2 {
		return nil, false
	}
	fix, urgency := a.Ranges[0].Events[1].Fixed, a.Urgency
	if fix == "" || strings.ContainsRune(fix, 0) {
		return nil, false
	}
	if again := usualAffected(fix, urgency); !reflect.DeepEqual(a, again) {
		return nil, false
	}
	return slices.Concat([]byte{usual}, []byte(fix), []byte{0}, []byte(urgency)), true
}

func usualAffected(fix, urgency string) vuln.Affected {
	return vuln.Affected{SourcePackage: true, Urgency: urgency, Ranges: []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: fix}}}}}
}

// unpackAffected decodes the body of a statement about a package.
func unpackAffected(body []byte, a *vuln.Affected) error {
	if len(body) == 0 || body[0] != usual {
		return unpack(body, a)
	}
	fix, urgency, ok := strings.Cut(string(body[1:]), "\x00")
	if !ok {
		return fmt.Errorf("a short statement without its end")
	}
	*a = usualAffected(fix, urgency)
	return nil
}

// statement is one row of the table of that name, before it has a record id.
type statement struct {
	kind, name string
	body       []byte
}

// Kinds of statements that are not an ecosystem.
const (
	kindProduct = "product" // vuln.Product, by its name
	kindCPE     = "cpe"     // nothing but the name "vendor:product" of a vulnerable CPE
)

// split takes apart what a record says about packages and products from the rest.
func split(r vuln.Record) (head []byte, statements []statement, err error) {
	for i := range r.Affected {
		a := r.Affected[i]
		kind, name := a.Ecosystem, a.Package
		a.Ecosystem, a.Package = "", ""
		body, ok := packUsual(a)
		if !ok {
			text, err := json.Marshal(a)
			if err != nil {
				return nil, nil, err
			}
			body = pack(text)
		}
		statements = append(statements, statement{kind, name, body})
	}
	for i := range r.Products {
		p := r.Products[i]
		name := p.Name
		p.Name = ""
		body, err := json.Marshal(p)
		if err != nil {
			return nil, nil, err
		}
		statements = append(statements, statement{kindProduct, name, pack(body)})
	}
	for _, name := range vulnerableProducts(r.Configurations) {
		statements = append(statements, statement{kindCPE, name, []byte{plain}})
	}
	r.Affected, r.Products = nil, nil
	head, err = json.Marshal(r)
	return head, statements, err
}

// vulnerableProducts lists the distinct "vendor:product" of the CPEs marked
// vulnerable, in order of appearance.
func vulnerableProducts(configs []vuln.Configuration) []string {
	var names []string
	seen := map[string]bool{}
	for _, c := range configs {
		for _, n := range c.Nodes {
			for _, m := range n.Matches {
				name := vuln.CPEProduct(m.CPE)
				if m.Vulnerable && !n.Negate && name != "" && !seen[name] {
					seen[name] = true
					names = append(names, name)
				}
			}
		}
	}
	return names
}

// join puts a statement back into its record.
func join(r *vuln.Record, s statement) error {
	switch s.kind {
	case kindCPE:
		return nil
	case kindProduct:
		var p vuln.Product
		if err := unpack(s.body, &p); err != nil {
			return err
		}
		p.Name = s.name
		r.Products = append(r.Products, p)
	default:
		var a vuln.Affected
		if err := unpackAffected(s.body, &a); err != nil {
			return err
		}
		a.Ecosystem, a.Package = s.kind, s.name
		r.Affected = append(r.Affected, a)
	}
	return nil
}

// Times are stored as Unix milliseconds; 0 is "no time".
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func unstamp(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
