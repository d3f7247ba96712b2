package nvd

import "github.com/kannuki/kannuki/vuln"

// item11 is one entry of CVE_Items.
type item11 struct {
	CVE struct {
		Meta struct {
			ID string `json:"ID"`
		} `json:"CVE_data_meta"`
		Problem struct {
			Data []struct {
				Description []text `json:"description"`
			} `json:"problemtype_data"`
		} `json:"problemtype"`
		References struct {
			Data []struct {
				URL  string   `json:"url"`
				Tags []string `json:"tags"`
			} `json:"reference_data"`
		} `json:"references"`
		Description struct {
			Data []text `json:"description_data"`
		} `json:"description"`
	} `json:"cve"`
	Configurations struct {
		Nodes []node11 `json:"nodes"`
	} `json:"configurations"`
	Impact struct {
		V2 struct {
			CVSS cvss `json:"cvssV2"`
		} `json:"baseMetricV2"`
		V3 struct {
			CVSS cvss `json:"cvssV3"`
		} `json:"baseMetricV3"`
	} `json:"impact"`
	Published string `json:"publishedDate"`
	Modified  string `json:"lastModifiedDate"`
}

type node11 struct {
	Operator string   `json:"operator"`
	Negate   bool     `json:"negate"`
	Children []node11 `json:"children"`
	Matches  []match  `json:"cpe_match"`
}

func (it *item11) id() string { return it.CVE.Meta.ID }

func (it *item11) record() (vuln.Record, error) {
	r, err := newRecord(it.id(), it.Published, it.Modified)
	if err != nil {
		return r, err
	}
	describe(&r, it.CVE.Description.Data)
	for _, p := range it.CVE.Problem.Data {
		for _, d := range p.Description {
			weak(&r, d.Value, Source) // 1.1 does not say who gave it
		}
	}
	for _, c := range []cvss{it.Impact.V3.CVSS, it.Impact.V2.CVSS} {
		if c.Vector != "" {
			r.Severities = append(r.Severities, c.words(Source, ""))
		}
	}
	for _, ref := range it.CVE.References.Data {
		refer(&r, ref.URL, ref.Tags)
	}
	// Nodes of the top level are alternatives: a configuration each.
	for i := range it.Configurations.Nodes {
		for _, nodes := range it.Configurations.Nodes[i].alternatives() {
			r.Configurations = append(r.Configurations, vuln.Configuration{Nodes: nodes})
		}
	}
	return r, nil
}

// maxAlternatives bounds what nested OR and AND multiply to; real feeds nest one
// level and give one alternative.
const maxAlternatives = 4096

// alternatives writes a node as alternatives of which each is a list of nodes that
// must all hold: AND joins every alternative of its children, OR collects them.
func (n *node11) alternatives() [][]vuln.Node {
	own := nodesOf(n.Matches, n.Operator, n.Negate)
	if len(n.Children) == 0 {
		if own == nil {
			return nil
		}
		return [][]vuln.Node{own}
	}
	if n.Operator != "AND" {
		var out [][]vuln.Node
		if own != nil {
			out = append(out, own)
		}
		for i := range n.Children {
			out = append(out, n.Children[i].alternatives()...)
		}
		return out
	}
	out := [][]vuln.Node{own}
	for i := range n.Children {
		options := n.Children[i].alternatives()
		if len(options) == 0 || len(out)*len(options) > maxAlternatives {
			continue // fewer conditions: it may say affected once too often, never too seldom
		}
		joined := make([][]vuln.Node, 0, len(out)*len(options))
		for _, left := range out {
			for _, right := range options {
				joined = append(joined, append(left[:len(left):len(left)], right...))
			}
		}
		out = joined
	}
	if len(out) == 1 && len(out[0]) == 0 {
		return nil
	}
	return out
}

// cvss is a vector with its base score, of any CVSS version.
type cvss struct {
	Version string  `json:"version"`
	Vector  string  `json:"vectorString"`
	Score   float64 `json:"baseScore"`
	Word    string  `json:"baseSeverity"`
}

func (c *cvss) words(source, word string) vuln.Severity {
	if c.Word != "" {
		word = c.Word
	}
	return vuln.Severity{Source: source, Version: c.Version, Vector: c.Vector, Score: c.Score, Word: word}
}
