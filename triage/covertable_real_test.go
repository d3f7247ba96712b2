package triage_test

import (
	"slices"
	"testing"

	"github.com/kannuki/kannuki/triage"
)

// The figures TRIAGE.md section 2 holds against the article, by both typing rules: what
// one gets by adding overlapping columns, and what the distinct vulnerabilities say.
func TestRealCoverageOfWindowsServersIsTheReferenceSideBySide(t *testing.T) {
	vulns := realNVD(t)
	at := day("2026-11-23T07:00:00Z")
	total := func(product, rules string, from int) triage.CoverageRow {
		q := triage.CoverageQuestion{TypeQuestion: triage.TypeQuestion{Product: product, Rules: rules, Source: "nvd", From: from, To: 2019},
			Protection: triage.FullProtection(at), Now: at}
		table, err := triage.BuildCoverageTable(q, slices.Values(vulns))
		if err != nil {
			t.Fatal(err)
		}
		return table.Total()
	}
	for _, c := range []struct {
		product        string
		from, distinct int
		sum, byRules   float64 // cvedetails types: overlapping columns, distinct
		full           float64 // full types: distinct, give or take one
	}{
		{"Windows Server 2019", 2019, 434, 65.0, 41.0, 71},
		{"Windows Server 2019", 2018, 488, 62.3, 40.4, 70},
		{"Windows Server 2016", 2019, 444, 64.4, 40.5, 71},
		{"Windows Server 2016", 2018, 687, 54.7, 38.4, 68},
		{"Windows Server 2012", 2019, 315, 73.0, 44.4, 67},
		{"Windows Server 2012", 2018, 479, 59.3, 39.2, 62},
	} {
		r := total(c.product, triage.CVEDetailsRules, c.from)
		if r.Distinct != c.distinct || r.OverlappingSumPercent != c.sum || r.DistinctPercent != c.byRules {
			t.Errorf("%s from %d, cvedetails types: %d, sum %.1f %%, distinct %.1f %%; want %d, %.1f %%, %.1f %%",
				c.product, c.from, r.Distinct, r.OverlappingSumPercent, r.DistinctPercent, c.distinct, c.sum, c.byRules)
		}
		r = total(c.product, triage.FullRules, c.from)
		if r.Distinct != c.distinct || r.DistinctPercent < c.full-1 || r.DistinctPercent > c.full+1 {
			t.Errorf("%s from %d, full types: %d, distinct %.1f %%; want %d, about %.0f %%", c.product, c.from, r.Distinct, r.DistinctPercent, c.distinct, c.full)
		}
		each := r.Each[triage.Prevented] + r.Each[triage.Contained]
		if each >= r.Covered() || each < r.Covered()*2/3 {
			t.Errorf("%s from %d: judged one by one %d, by type %d", c.product, c.from, each, r.Covered())
		}
	}
}
