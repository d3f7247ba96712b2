package jvn

import (
	"cmp"
	"io"
	"strings"

	"github.com/kannuki/kannuki/internal/xmldoc"
	"github.com/kannuki/kannuki/vuln"
)

// item is one entry of a JVNRSS document, of mod_sec 1 to 3.
type item struct {
	Title       string `xml:"title"`
	Description string `xml:"description"`
	ID          string `xml:"identifier"`
	References  []struct {
		Source string `xml:"source,attr"`
		ID     string `xml:"id,attr"`
		URL    string `xml:",chardata"`
	} `xml:"references"`
	CPEs     []string `xml:"cpe"`
	CPEItems []struct {
		Name string `xml:"name,attr"`
	} `xml:"cpe-item"` // how mod_sec 1 says cpe
	Scores []struct {
		Version string `xml:"version,attr"`
		Type    string `xml:"type,attr"`
		Score   string `xml:"score,attr"`
		Vector  string `xml:"vector,attr"`
	} `xml:"cvss"`
	Date     string `xml:"date"`
	Issued   string `xml:"issued"`
	Modified string `xml:"modified"`
}

// DecodeRSS reads one JVNRSS document (jvndb.rdf, jvndb_new.rdf, jvndb_2022.rdf, …).
func DecodeRSS(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	rcv := &receiver{emit: emit, reject: reject}
	return children(r, "RDF", rcv, func(doc *xmldoc.Document, c xmldoc.Child) error {
		if c.Name.Local != "item" {
			return nil
		}
		var it item
		if err := doc.Decode(c, &it); err != nil {
			return err
		}
		return rcv.take(c.Offset, it.entry())
	})
}

func (it item) entry() entry {
	e := entry{
		id: strings.TrimSpace(it.ID), title: it.Title, details: it.Description,
		published: cmp.Or(it.Issued, it.Date), updated: cmp.Or(it.Modified, it.Date, it.Issued),
		cpes: it.CPEs,
	}
	for _, c := range it.CPEItems {
		e.cpes = append(e.cpes, c.Name)
	}
	for _, s := range it.Scores {
		if s.Type == "" || s.Type == "Base" {
			e.scores = append(e.scores, score{cmp.Or(s.Version, "2.0"), s.Score, s.Vector})
		}
	}
	for _, r := range it.References {
		e.references = append(e.references, reference{source: r.Source, id: strings.TrimSpace(r.ID), url: r.URL, kind: kindOf(r.Source)})
	}
	return e
}

// advisers are the sources whose references are advisories.
var advisers = []string{"JVN", "JPCERT", "CERT", "IPA", "ICS"}

func kindOf(source string) string {
	for _, a := range advisers {
		if strings.HasPrefix(source, a) {
			return "ADVISORY"
		}
	}
	return "WEB"
}
