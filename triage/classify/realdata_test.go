package classify

import (
	"encoding/json"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/vuln"
)

// named is one real input with its identifier.
type named struct {
	id string
	Input
}

// realInputs reads the texts, weaknesses and vectors of all real NVD and
// vulnrichment records, by small readers of its own: the tests must not share
// the importer's mistakes.
func realInputs(t testing.TB) iter.Seq[named] {
	return func(yield func(named) bool) {
		for item := range realdata.NVD11(t, "2017", "2018", "2019", "2025", "recent") {
			if !yield(nvdInput(item)) {
				return
			}
		}
		for name, file := range realdata.Members(t, "vulnrichment/vulnrichment-2024-10-24.tar.zst") {
			if strings.HasSuffix(name, ".json") && strings.Contains(name, "CVE-") && !yield(cveInput(t, name, file)) {
				return
			}
		}
	}
}

func nvdInput(item *realdata.NVD11Item) named {
	in := named{id: item.CVE.Meta.ID}
	for _, d := range item.CVE.Description.Data {
		if d.Lang == "en" {
			in.Details += d.Value
		}
	}
	for _, cwe := range item.Weaknesses() {
		in.Weaknesses = append(in.Weaknesses, vuln.Weakness{CWE: cwe, Source: "nvd"})
	}
	for _, v := range item.Vectors() {
		in.Severities = append(in.Severities, vuln.Severity{Source: "nvd", Vector: v})
	}
	return in
}

type cveContainer struct {
	Title        string
	Descriptions []struct{ Lang, Value string }
	ProblemTypes []struct {
		Descriptions []struct{ CweID, Description string }
	}
	Metrics []map[string]json.RawMessage
}

func (c *cveContainer) addTo(in *Input, source string) {
	for _, p := range c.ProblemTypes {
		for _, d := range p.Descriptions {
			if d.CweID != "" {
				in.Weaknesses = append(in.Weaknesses, vuln.Weakness{CWE: d.CweID, Source: source})
			}
		}
	}
	for _, m := range c.Metrics {
		for _, version := range []string{"cvssV3_1", "cvssV3_0", "cvssV4_0", "cvssV2_0"} {
			var v struct{ VectorString string }
			if json.Unmarshal(m[version], &v) == nil && v.VectorString != "" {
				in.Severities = append(in.Severities, vuln.Severity{Source: source, Vector: v.VectorString})
			}
		}
	}
}

func cveInput(t testing.TB, name string, file io.Reader) named {
	var rec struct {
		Meta struct {
			ID    string `json:"cveId"`
			State string
		} `json:"cveMetadata"`
		Containers struct {
			CNA cveContainer
			ADP []cveContainer
		}
	}
	if err := json.NewDecoder(file).Decode(&rec); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	in := named{id: rec.Meta.ID, Input: Input{Title: rec.Containers.CNA.Title, Rejected: rec.Meta.State == "REJECTED"}}
	for _, d := range rec.Containers.CNA.Descriptions {
		if strings.HasPrefix(d.Lang, "en") && in.Details == "" {
			in.Details = d.Value
		}
	}
	rec.Containers.CNA.addTo(&in.Input, "cna")
	for _, a := range rec.Containers.ADP {
		a.addTo(&in.Input, "cisa-adp")
	}
	return in
}
