package nvd

import (
	"fmt"
	"strings"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

// item20 is one entry of vulnerabilities.
type item20 struct {
	CVE struct {
		ID           string   `json:"id"`
		Published    string   `json:"published"`
		Modified     string   `json:"lastModified"`
		Status       string   `json:"vulnStatus"`
		Descriptions []text   `json:"descriptions"`
		Metrics      metrics  `json:"metrics"`
		Weaknesses   []weak20 `json:"weaknesses"`

		Configurations []struct {
			Operator string   `json:"operator"`
			Negate   bool     `json:"negate"`
			Nodes    []node20 `json:"nodes"`
		} `json:"configurations"`
		References []struct {
			URL  string   `json:"url"`
			Tags []string `json:"tags"`
		} `json:"references"`

		KEVAdded  string `json:"cisaExploitAdd"`
		KEVDue    string `json:"cisaActionDue"`
		KEVAction string `json:"cisaRequiredAction"`
		KEVName   string `json:"cisaVulnerabilityName"`
	} `json:"cve"`
}

type metrics struct {
	V40  []metric `json:"cvssMetricV40"`
	V31  []metric `json:"cvssMetricV31"`
	V30  []metric `json:"cvssMetricV30"`
	V2   []metric `json:"cvssMetricV2"`
	SSVC []struct {
		Source string `json:"source"`
		Data   struct {
			Timestamp string `json:"timestamp"`
			Options   []struct {
				Exploitation string `json:"exploitation"`
				Automatable  string `json:"automatable"`
				Impact       string `json:"technicalImpact"`
			} `json:"options"`
		} `json:"ssvcData"`
	} `json:"ssvcV203"`
}

type metric struct {
	Source string `json:"source"`
	Data   cvss   `json:"cvssData"`
	Word   string `json:"baseSeverity"` // for CVSS 2 it stands here
}

type weak20 struct {
	Source      string `json:"source"`
	Description []text `json:"description"`
}

type node20 struct {
	Operator string  `json:"operator"`
	Negate   bool    `json:"negate"`
	Matches  []match `json:"cpeMatch"`
}

func (it *item20) id() string { return it.CVE.ID }

func (it *item20) record() (vuln.Record, error) {
	c := &it.CVE
	r, err := newRecord(c.ID, c.Published, c.Modified)
	if err != nil {
		return r, err
	}
	describe(&r, c.Descriptions)
	r.Rejected = r.Rejected || c.Status == "Rejected"
	for _, list := range [][]metric{c.Metrics.V31, c.Metrics.V30, c.Metrics.V40, c.Metrics.V2} {
		for _, m := range list {
			if m.Data.Vector != "" {
				r.Severities = append(r.Severities, m.Data.words(who(m.Source), m.Word))
			}
		}
	}
	for _, w := range c.Weaknesses {
		for _, d := range w.Description {
			if d.Lang == "en" {
				weak(&r, d.Value, who(w.Source))
			}
		}
	}
	for _, ref := range c.References {
		refer(&r, ref.URL, ref.Tags)
	}
	it.configure(&r)
	it.assess(&r)
	return r, it.exploited(&r)
}

// who names who scored: NVD itself, CISA as an ADP, or else the CNA.
func who(source string) string {
	switch source {
	case nist:
		return Source
	case cisaADP:
		return adpLabel
	}
	return "cna"
}

// configure flattens the configurations: AND over nodes stays one configuration,
// OR over nodes becomes one each.
func (it *item20) configure(r *vuln.Record) {
	for _, c := range it.CVE.Configurations {
		if c.Negate {
			continue // it says what is not affected, and names nothing that is
		}
		var all []vuln.Node
		for _, n := range c.Nodes {
			nodes := nodesOf(n.Matches, n.Operator, n.Negate)
			if c.Operator == "AND" {
				all = append(all, nodes...)
			} else if nodes != nil {
				r.Configurations = append(r.Configurations, vuln.Configuration{Nodes: nodes})
			}
		}
		if all != nil {
			r.Configurations = append(r.Configurations, vuln.Configuration{Nodes: all})
		}
	}
}

// assess takes CISA's SSVC values.
func (it *item20) assess(r *vuln.Record) {
	for _, s := range it.CVE.Metrics.SSVC {
		if s.Source != cisaADP {
			continue
		}
		out := vuln.SSVC{Source: adpLabel}
		for _, o := range s.Data.Options {
			out.Exploitation += strings.ToLower(o.Exploitation)
			out.Automatable += strings.ToLower(o.Automatable)
			out.Impact += strings.ToLower(o.Impact)
		}
		// A time we cannot read leaves the values standing: they matter more.
		out.At, _ = parseTime("timestamp", s.Data.Timestamp)
		if r.SSVC == nil || out.At.After(r.SSVC.At) {
			r.SSVC = &out
		}
	}
}

// exploited takes the KEV fields that NVD copies from CISA's catalogue.
func (it *item20) exploited(r *vuln.Record) error {
	c := &it.CVE
	if c.KEVAdded == "" {
		return nil
	}
	added, err := time.Parse(time.DateOnly, c.KEVAdded)
	if err != nil {
		return fmt.Errorf("cisaExploitAdd: %q is no date", c.KEVAdded)
	}
	kev := vuln.KEV{Added: added, Action: c.KEVAction, Name: c.KEVName}
	if c.KEVDue != "" {
		if kev.Due, err = time.Parse(time.DateOnly, c.KEVDue); err != nil {
			return fmt.Errorf("cisaActionDue: %q is no date", c.KEVDue)
		}
	}
	r.KEV = &kev
	return nil
}
