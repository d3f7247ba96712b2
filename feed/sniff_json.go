package feed

import (
	"bytes"
	"fmt"
	"strings"
)

// sniffJSON recognises an object by its keys, wherever they stand: exporters order
// them as they like. It stops as soon as the keys seen settle it.
func sniffJSON(text []byte) (Format, string) {
	s := jsonScan{text: text, has: map[string]string{}}
	var order []string
	for s.next() {
		name := s.key
		if s.parent != "" {
			name = s.parent + "." + s.key
		} else {
			order = append(order, short(s.key, 40))
		}
		s.has[name] = s.value
		for _, rule := range jsonRules {
			if rule.matches(s.has) {
				return rule.format, rule.why
			}
		}
	}
	if len(order) > 4 {
		order = append(order[:4], "…")
	}
	return "", fmt.Sprintf("no feed format recognised (JSON object with %s)", strings.Join(order, ", "))
}

// sniffList recognises a list by its first object. Of the formats we read only Red
// Hat's comes as lists.
func sniffList(text []byte) (Format, string) {
	first := bytes.TrimLeft(text[1:], " \t\r\n")
	if len(first) == 0 || first[0] != '{' {
		return "", "JSON list: no feed format recognised"
	}
	format, why := sniffJSON(first)
	switch format {
	case RedHat:
		return format, ""
	case "":
		return "", strings.Replace(why, "JSON object with", "JSON list of objects with", 1)
	}
	return "", fmt.Sprintf("list of %s documents: import them one by one or as an archive", format)
}

// jsonRule recognises a kind of JSON object.
type jsonRule struct {
	keys   []string // that must all be there; "a.b" is key b of the object (or first list element) a
	value  string   // of the first key, where not ""
	format Format
	why    string // for what is not read
}

func (r *jsonRule) matches(has map[string]string) bool {
	for i, k := range r.keys {
		v, ok := has[k]
		if !ok || (i == 0 && r.value != "" && v != r.value) {
			return false
		}
	}
	return true
}

// jsonRules are tried in order at every key.
var jsonRules = []jsonRule{
	{keys: []string{"kannuki"}, value: "records", format: Native},
	{keys: []string{"CVE_data_numberOfCVEs"}, format: NVD11},
	{keys: []string{"CVE_Items"}, format: NVD11},
	{keys: []string{"format"}, value: "NVD_CVE", format: NVD20},
	{keys: []string{"format"}, value: "NVD_CPE", why: "NVD CPE dictionary: not a feed of vulnerabilities"},
	{keys: []string{"format"}, value: "NVD_CPEMatchString", why: "NVD CPE matches: not a feed of vulnerabilities"},
	{keys: []string{"format"}, value: "NVD_CVEHistory", why: "NVD change history: not read"},
	{keys: []string{"resultsPerPage", "vulnerabilities.cve"}, format: NVD20},
	{keys: []string{"dataType"}, value: "CVE_RECORD", format: CVE5},
	{keys: []string{"containers", "cveMetadata"}, format: CVE5},
	{keys: []string{"data_type"}, value: "CVE", why: "CVE JSON 4: not read, take CVE JSON 5"},
	{keys: []string{"catalogVersion", "vulnerabilities"}, format: KEVJSON},
	{keys: []string{"catalogVersion", "count"}, format: KEVJSON},
	{keys: []string{"document.csaf_version"}, why: "CSAF: not read yet"},
	{keys: []string{"bomFormat"}, why: "CycloneDX: not a feed"},
	{keys: []string{"spdxVersion"}, why: "SPDX: not a feed"},
	{keys: []string{"@context", "statements"}, why: "OpenVEX: not read yet"},
	{keys: []string{"$schema", "properties"}, why: "JSON schema"},
	{keys: []string{"type"}, value: "bundle", why: "STIX bundle: not read"},
	{keys: []string{"id", "modified", "schema_version"}, format: OSV},
	{keys: []string{"id", "modified", "affected"}, format: OSV},
	{keys: []string{"id", "modified", "withdrawn"}, format: OSV},
	{keys: []string{"affected.package", "affected.ranges"}, format: OSV},
	{keys: []string{"CVE", "severity", "public_date"}, why: "Red Hat CVE summaries: they name no products, import the full records"},
	{keys: []string{"affected_release.advisory"}, format: RedHat},
	{keys: []string{"package_state.fix_state"}, format: RedHat},
	{keys: []string{"bugzilla", "threat_severity"}, format: RedHat},
	{keys: []string{"public_date", "bugzilla"}, format: RedHat},
	{keys: []string{"threat_severity", "public_date"}, format: RedHat},
}

// jsonScan walks the keys of an object that may be cut off anywhere: those of the
// object itself, and those of the objects (or of the first object of the lists)
// directly in it. It checks no more syntax than it needs; the decoders do that.
type jsonScan struct {
	text []byte
	at   int
	// open are the brackets open at this place.
	open []byte
	// top is the key of the outermost object that we are inside of.
	top string
	// first is whether no element of the list under top has ended yet.
	first bool

	parent, key, value string
	has                map[string]string
}

// next finds the next key at the first or second level.
func (s *jsonScan) next() bool {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case '{', '[':
			s.open = append(s.open, c)
			if len(s.open) == 2 {
				s.first = true
			}
			s.at++
		case '}', ']':
			if len(s.open) > 0 {
				s.open = s.open[:len(s.open)-1]
			}
			if len(s.open) == 0 {
				return false
			}
			if len(s.open) == 2 {
				s.first = false
			}
			s.at++
		case '"':
			text, ok := s.str()
			if !ok {
				return false
			}
			if s.isKey() && s.take(text) {
				return true
			}
		default:
			s.at++
		}
	}
	return false
}

// str reads the string at the place and steps behind it.
func (s *jsonScan) str() ([]byte, bool) {
	start := s.at + 1
	for i := start; ; {
		j := bytes.IndexByte(s.text[i:], '"')
		if j < 0 {
			return nil, false
		}
		end := i + j
		slashes := 0
		for k := end - 1; k >= start && s.text[k] == '\\'; k-- {
			slashes++
		}
		if slashes%2 == 0 {
			s.at = end + 1
			return s.text[start:end], true
		}
		i = end + 1
	}
}

// isKey tells whether a colon follows the string just read.
func (s *jsonScan) isKey() bool {
	for i := s.at; i < len(s.text); i++ {
		switch s.text[i] {
		case ' ', '\t', '\r', '\n':
		case ':':
			s.at = i + 1
			return true
		default:
			return false
		}
	}
	return false
}

// take keeps the key where it stands at a level we look at.
func (s *jsonScan) take(key []byte) bool {
	switch {
	case len(s.open) == 1:
		s.top, s.parent, s.key = string(key), "", string(key)
	case len(s.open) == 2 && s.open[1] == '{', len(s.open) == 3 && s.open[1] == '[' && s.open[2] == '{' && s.first:
		s.parent, s.key = s.top, string(key)
	default:
		return false
	}
	s.value = s.peek()
	return true
}

// peek is the value behind the key, where it is a short string.
func (s *jsonScan) peek() string {
	rest := bytes.TrimLeft(s.text[s.at:], " \t\r\n")
	if len(rest) < 2 || rest[0] != '"' {
		return ""
	}
	end := bytes.IndexByte(rest[1:min(len(rest), 64)], '"')
	if end < 0 {
		return ""
	}
	return string(rest[1 : 1+end])
}
