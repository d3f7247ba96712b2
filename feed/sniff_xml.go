package feed

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// sniffXML recognises an XML document by its outermost element. No entity is ever
// expanded here: the decoder stops at the first one it does not know.
func sniffXML(text []byte) (Format, string) {
	lower := bytes.ToLower(text[:min(len(text), 512)])
	if bytes.HasPrefix(lower, []byte("<!doctype html")) || bytes.HasPrefix(lower, []byte("<html")) {
		return "", "HTML page"
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	d.Strict = false
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // names are ASCII
	for {
		token, err := d.RawToken()
		if err != nil {
			return "", "text (starts like XML, has no element)"
		}
		if root, ok := token.(xml.StartElement); ok {
			return xmlRoot(root, text)
		}
	}
}

// xmlRoot names what a document with this outermost element is.
func xmlRoot(root xml.StartElement, text []byte) (Format, string) {
	switch root.Name.Local {
	case "cvrfdoc":
		// Other publishers use CVRF too; only Microsoft's carries what we read from it.
		if bytes.Contains(text[:min(len(text), 16<<10)], []byte("Microsoft Security Response Center")) {
			return CVRF, ""
		}
		return "", "CVRF that is not Microsoft's: not read"
	case "VULDEF-Document":
		return VULDEF, ""
	case "RDF":
		for _, a := range root.Attr {
			if strings.Contains(a.Value, "jvn.jp/rss") {
				return JVNRSS, ""
			}
		}
		return "", "RDF: no feed format recognised"
	case "oval_definitions":
		return "", "OVAL: not read yet"
	case "Weakness_Catalog":
		return "", "CWE catalogue: not a feed"
	case "updates", "updateinfo":
		return "", "updateinfo: not read yet"
	case "repomd":
		return "", "repository index: not a feed"
	case "html", "HTML", "head", "body", "pre", "script", "div":
		return "", "HTML page"
	}
	return "", fmt.Sprintf("no feed format recognised (XML <%s>)", root.Name.Local)
}
