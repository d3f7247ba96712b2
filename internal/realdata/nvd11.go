package realdata

import (
	"encoding/json"
	"iter"
	"testing"
)

// NVD11Item is one vulnerability of NVD's JSON 1.1, as far as tests count: read apart
// from package feed, so that they do not share its mistakes.
type NVD11Item struct {
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
	Configurations struct{ Nodes []NVD11Node }
	Impact         struct {
		V3 struct {
			CVSS struct{ VectorString string } `json:"cvssV3"`
		} `json:"baseMetricV3"`
		V2 struct {
			CVSS struct{ VectorString string } `json:"cvssV2"`
		} `json:"baseMetricV2"`
	}
	PublishedDate string // "2019-01-08T21:29Z"
}

// NVD11Node is a node of the products that are vulnerable.
type NVD11Node struct {
	Children []NVD11Node
	Match    []struct {
		Vulnerable bool
		CPE        string `json:"cpe23Uri"`
	} `json:"cpe_match"`
}

// Weaknesses are the CWE identifiers, NVD's own words for none among them.
func (it *NVD11Item) Weaknesses() (ids []string) {
	for _, p := range it.CVE.ProblemType.Data {
		for _, d := range p.Description {
			ids = append(ids, d.Value)
		}
	}
	return ids
}

// Vectors are the CVSS vectors there are, version 3 before version 2.
func (it *NVD11Item) Vectors() (vectors []string) {
	for _, v := range []string{it.Impact.V3.CVSS.VectorString, it.Impact.V2.CVSS.VectorString} {
		if v != "" {
			vectors = append(vectors, v)
		}
	}
	return vectors
}

// NVD11 reads the feeds of these years, or "recent", one after another.
func NVD11(t testing.TB, years ...string) iter.Seq[*NVD11Item] {
	return func(yield func(*NVD11Item) bool) {
		for _, year := range years {
			name := "nvd/nvdcve-1.1-" + year + ".json.gz"
			d := json.NewDecoder(Open(t, name))
			for {
				word, err := d.Token()
				if err != nil {
					t.Fatalf("%s: before CVE_Items: %v", name, err)
				}
				if word == "CVE_Items" {
					break
				}
			}
			if _, err := d.Token(); err != nil { // the list begins
				t.Fatalf("%s: %v", name, err)
			}
			for d.More() {
				var item NVD11Item
				if err := d.Decode(&item); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if !yield(&item) {
					return
				}
			}
		}
	}
}
