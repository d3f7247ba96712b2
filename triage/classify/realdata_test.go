package classify

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"iter"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

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
	dir := realdata.Dir(t)
	return func(yield func(named) bool) {
		for _, name := range []string{"2017", "2018", "2019", "2025", "recent"} {
			for in := range nvdInputs(t, dir+"/nvd/nvdcve-1.1-"+name+".json.gz") {
				if !yield(in) {
					return
				}
			}
		}
		for in := range cveInputs(t, dir+"/vulnrichment/vulnrichment-2024-10-24.tar.zst") {
			if !yield(in) {
				return
			}
		}
	}
}

type nvdItem struct {
	CVE struct {
		Meta struct {
			ID string `json:"ID"`
		} `json:"CVE_data_meta"`
		Description struct {
			Data []struct{ Lang, Value string } `json:"description_data"`
		}
		ProblemType struct {
			Data []struct {
				Description []struct{ Value string }
			} `json:"problemtype_data"`
		} `json:"problemtype"`
	}
	Impact struct {
		V3 struct {
			CVSS struct{ VectorString string } `json:"cvssV3"`
		} `json:"baseMetricV3"`
		V2 struct {
			CVSS struct{ VectorString string } `json:"cvssV2"`
		} `json:"baseMetricV2"`
	}
}

func nvdInputs(t testing.TB, path string) iter.Seq[named] {
	return func(yield func(named) bool) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(z)
		for {
			tok, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			if tok == "CVE_Items" {
				break
			}
		}
		d.Token()
		for d.More() {
			var item nvdItem
			if err := d.Decode(&item); err != nil {
				t.Fatal(err)
			}
			if !yield(item.input()) {
				return
			}
		}
	}
}

func (n *nvdItem) input() named {
	in := named{id: n.CVE.Meta.ID}
	for _, d := range n.CVE.Description.Data {
		if d.Lang == "en" {
			in.Details += d.Value
		}
	}
	for _, p := range n.CVE.ProblemType.Data {
		for _, d := range p.Description {
			in.Weaknesses = append(in.Weaknesses, vuln.Weakness{CWE: d.Value, Source: "nvd"})
		}
	}
	for _, v := range []string{n.Impact.V3.CVSS.VectorString, n.Impact.V2.CVSS.VectorString} {
		if v != "" {
			in.Severities = append(in.Severities, vuln.Severity{Source: "nvd", Vector: v})
		}
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

func cveInputs(t testing.TB, path string) iter.Seq[named] {
	return func(yield func(named) bool) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for r := tar.NewReader(z); ; {
			h, err := r.Next()
			if err == io.EOF {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(h.Name, ".json") || !strings.Contains(h.Name, "CVE-") {
				continue
			}
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
			if err := json.NewDecoder(r).Decode(&rec); err != nil {
				t.Fatalf("%s: %v", h.Name, err)
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
			if !yield(in) {
				return
			}
		}
	}
}
