package cve5

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// product is one entry of "affected".
type product struct {
	CPEs     []string       `json:"cpes"`
	Default  string         `json:"defaultStatus"`
	Versions []versionRange `json:"versions"`
}

type versionRange struct {
	Version  string `json:"version"`
	Status   string `json:"status"`
	Kind     string `json:"versionType"`
	Below    string `json:"lessThan"`
	UpTo     string `json:"lessThanOrEqual"`
	Switches []any  `json:"changes"`
}

// configuration says in CPE terms what the entry says, where that is sound. The
// CPE gives the product only: some CNAs (Microsoft) put the fixed version into it.
// Versions come from "versions". An entry is left out where its meaning hangs on an
// order we do not know or on exceptions: everything affected by default, versions
// that are commits or prose, status changes within a range, two ranges without a
// lower bound (branches that would swallow each other's fixed versions).
func (p *product) configuration() (vuln.Configuration, bool) {
	none := vuln.Configuration{}
	if len(p.CPEs) == 0 || p.Default == "affected" {
		return none, false
	}
	ranges, sound := p.affectedRanges()
	if !sound {
		return none, false
	}
	var node vuln.Node
	for _, cpe := range p.CPEs {
		name, ok := anyVersion(cpe)
		if !ok {
			continue
		}
		for _, m := range ranges {
			m.CPE, m.Vulnerable = name, true
			if !slices.Contains(node.Matches, m) {
				node.Matches = append(node.Matches, m)
			}
		}
	}
	if node.Matches == nil {
		return none, false
	}
	return vuln.Configuration{Nodes: []vuln.Node{node}}, true
}

// affectedRanges are the affected versions as bounds of CPE matches without a CPE.
func (p *product) affectedRanges() (ranges []vuln.CPEMatch, sound bool) {
	unbounded := 0
	for _, v := range p.Versions {
		if v.Status != "affected" {
			continue
		}
		m, ok := v.bounds()
		if !ok {
			return nil, false
		}
		if m.StartIncluding == "" {
			unbounded++
		}
		ranges = append(ranges, m)
	}
	if unbounded > 1 {
		return nil, false
	}
	// A version said to be unaffected is no exception where it is the one that ends a range.
	for _, v := range p.Versions {
		if v.Status == "unaffected" && !slices.ContainsFunc(ranges, func(m vuln.CPEMatch) bool { return m.EndExcluding == v.Version }) {
			return nil, false
		}
	}
	return ranges, len(ranges) > 0
}

func (v *versionRange) bounds() (vuln.CPEMatch, bool) {
	var m vuln.CPEMatch
	if len(v.Switches) > 0 || (v.Below != "" && v.UpTo != "") || !ordered(v.Kind) {
		return m, false
	}
	if v.Below == "" && v.UpTo == "" {
		m.StartIncluding, m.EndIncluding = v.Version, v.Version
		return m, plainVersion(v.Version) && v.Version != "0"
	}
	switch v.Version {
	case "", "0", "0.0", "0.0.0", "*", "unspecified", "n/a":
	default:
		m.StartIncluding = v.Version
		if !plainVersion(v.Version) {
			return m, false
		}
	}
	m.EndExcluding, m.EndIncluding = v.Below, v.UpTo
	return m, plainVersion(v.Below + v.UpTo)
}

// ordered: version kinds that the general comparison of dotted versions fits.
func ordered(kind string) bool {
	switch kind {
	case "", "custom", "semver", "maven", "python":
		return true
	}
	return false
}

// plainVersion tells a version from prose ("all versions prior to 2.1") and patterns ("2.*").
func plainVersion(s string) bool {
	rest := strings.TrimPrefix(s, "v")
	if rest == "" || len(rest) > 64 || rest[0] < '0' || rest[0] > '9' {
		return false
	}
	return !strings.ContainsFunc(rest, func(r rune) bool {
		letter := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && !strings.ContainsRune("._-+~:", r)
	})
}

// anyVersion is a CPE 2.3 name with version and update open.
func anyVersion(cpe string) (string, bool) {
	fields := vuln.CPEFields(cpe)
	if len(fields) != 13 || fields[3] == "*" || fields[4] == "*" {
		return "", false
	}
	fields[5], fields[6] = "*", "*"
	return strings.Join(fields, ":"), true
}

// applicability is one entry of "cpeApplicability", which has NVD's shape.
type applicability struct {
	Operator string `json:"operator"`
	Negate   bool   `json:"negate"`
	Nodes    []struct {
		Operator string `json:"operator"`
		Negate   bool   `json:"negate"`
		Matches  []struct {
			Vulnerable     bool   `json:"vulnerable"`
			Criteria       string `json:"criteria"`
			StartIncluding string `json:"versionStartIncluding"`
			StartExcluding string `json:"versionStartExcluding"`
			EndIncluding   string `json:"versionEndIncluding"`
			EndExcluding   string `json:"versionEndExcluding"`
		} `json:"cpeMatch"`
	} `json:"nodes"`
}

// configurations flattens the entry: AND over nodes is one configuration, OR is one
// per node. A negated entry says what is not affected and names nothing that is.
func (a *applicability) configurations() []vuln.Configuration {
	if a.Negate {
		return nil
	}
	var out []vuln.Configuration
	var all []vuln.Node
	for _, n := range a.Nodes {
		node := vuln.Node{Negate: n.Negate}
		for _, m := range n.Matches {
			node.Matches = append(node.Matches, vuln.CPEMatch{
				CPE: m.Criteria, Vulnerable: m.Vulnerable, StartIncluding: m.StartIncluding,
				StartExcluding: m.StartExcluding, EndIncluding: m.EndIncluding, EndExcluding: m.EndExcluding,
			})
		}
		nodes := []vuln.Node{node}
		if n.Operator == "AND" && !n.Negate {
			nodes = nil
			for _, m := range node.Matches {
				nodes = append(nodes, vuln.Node{Matches: []vuln.CPEMatch{m}})
			}
		}
		switch {
		case len(node.Matches) == 0:
		case a.Operator == "AND":
			all = append(all, nodes...)
		default:
			out = append(out, vuln.Configuration{Nodes: nodes})
		}
	}
	if all != nil {
		out = append(out, vuln.Configuration{Nodes: all})
	}
	return out
}
