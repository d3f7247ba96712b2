package jvn

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/kannuki/kannuki/internal/xmldoc"
	"github.com/kannuki/kannuki/vuln"
)

// vulinfo is one entry of a VULDEF 3 document.
type vulinfo struct {
	ID   string `xml:"VulinfoID"`
	Data struct {
		Title    string `xml:"Title"`
		Overview string `xml:"VulinfoDescription>Overview"`
		Products []struct {
			CPEs []string `xml:"Cpe"`
		} `xml:"Affected>AffectedItem"`
		Scores []struct {
			Version string `xml:"version,attr"`
			Base    string `xml:"Base"`
			Vector  string `xml:"Vector"`
		} `xml:"Impact>Cvss"`
		Related []struct {
			Type string `xml:"type,attr"`
			Name string `xml:"Name"`
			ID   string `xml:"VulinfoID"`
			URL  string `xml:"URL"`
		} `xml:"Related>RelatedItem"`
		First  string `xml:"DateFirstPublished"`
		Last   string `xml:"DateLastUpdated"`
		Public string `xml:"DatePublic"`
	} `xml:"VulinfoData"`
}

// DecodeVULDEF reads one VULDEF document (jvndb_detail_2022.rdf, or what MyJVN's
// getVulnDetailInfo answers). An answer that reports an error is an error.
func DecodeVULDEF(r io.Reader, emit func(vuln.Record) error, reject func(offset int64, id, reason string) error) error {
	rcv := &receiver{emit: emit, reject: reject}
	return children(r, "VULDEF-Document", rcv, func(doc *xmldoc.Document, c xmldoc.Child) error {
		switch c.Name.Local {
		case "Vulinfo":
			var v vulinfo
			if err := doc.Decode(c, &v); err != nil {
				return err
			}
			return rcv.take(c.Offset, v.entry())
		case "Status":
			return statusError(c)
		}
		return nil
	})
}

// statusError reads the answer's return code; 0 is success.
func statusError(c xmldoc.Child) error {
	attr := map[string]string{}
	for _, a := range c.Attr {
		attr[a.Name.Local] = a.Value
	}
	if code := attr["retCd"]; code != "" && code != "0" {
		return fmt.Errorf("byte %d: MyJVN answered with error %s %s: %s", c.Offset, code, attr["errCd"], attr["errMsg"])
	}
	return nil
}

func (v vulinfo) entry() entry {
	e := entry{
		id: strings.TrimSpace(v.ID), title: v.Data.Title, details: v.Data.Overview,
		published: cmp.Or(v.Data.First, v.Data.Public), updated: cmp.Or(v.Data.Last, v.Data.First),
	}
	for _, p := range v.Data.Products {
		e.cpes = append(e.cpes, p.CPEs...)
	}
	for _, s := range v.Data.Scores {
		e.scores = append(e.scores, score{s.Version, s.Base, s.Vector})
	}
	for _, r := range v.Data.Related {
		e.references = append(e.references, reference{source: sourceOf(r.Name), id: strings.TrimSpace(r.ID), url: r.URL, kind: relatedKind(r.Type, r.Name)})
	}
	return e
}

// sourceOf shortens the two names JVNRSS abbreviates too.
func sourceOf(name string) string {
	switch {
	case strings.Contains(name, "(CVE)"):
		return "CVE"
	case strings.Contains(name, "(NVD)"):
		return "NVD"
	}
	return name
}

func relatedKind(kind, name string) string {
	if kind == "vendor" {
		return "ADVISORY"
	}
	return kindOf(name)
}
