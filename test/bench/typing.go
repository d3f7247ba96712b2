package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// labels are MSRC's impacts that name a type: what Microsoft itself says of a bug.
var labels = map[string]vuln.Type{
	"Remote Code Execution":   vuln.Exec,
	"Elevation of Privilege":  vuln.Priv,
	"Information Disclosure":  vuln.Info,
	"Denial of Service":       vuln.DoS,
	"Security Feature Bypass": vuln.Bypass,
}

// labelled are the types there is a label for, in the order they are printed.
var labelled = []vuln.Type{vuln.Exec, vuln.Priv, vuln.Info, vuln.DoS, vuln.Bypass}

// score counts how often a type is given and meant.
type score struct{ both, given, meant int }

func (s score) precision() float64 { return share(s.both, s.given) }
func (s score) recall() float64    { return share(s.both, s.meant) }

func share(n, all int) float64 {
	if all == 0 {
		return 1
	}
	return float64(n) / float64(all)
}

// typingResult is the typing of some Windows vulnerabilities against Microsoft's word.
type typingResult struct {
	CVEs   int
	Scores map[vuln.Type]score
	Wrong  []string // "CVE-…: gives exec, means priv", for whoever looks into it
}

// collector is a feed.Sink that keeps records in memory.
type collector map[string][]vuln.Record

func (c collector) Begin(context.Context, feed.File) (feed.Batch, error) { return c, nil }
func (c collector) Record(r vuln.Record) error {
	for _, id := range r.Vulnerabilities {
		c[id] = append(c[id], r)
	}
	if len(r.Vulnerabilities) == 0 {
		c[r.ID] = append(c[r.ID], r)
	}
	return nil
}
func (collector) EPSS(vuln.EPSS) error     { return nil }
func (collector) Reject(feed.Reject) error { return nil }
func (collector) Commit() error            { return nil }
func (collector) Rollback() error          { return nil }

// typingYears are the years of which both Microsoft's documents and NVD's feed are there.
var typingYears = []string{"2018", "2019", "2025"}

// windowsRecords reads what Microsoft and NVD say of a year, by vulnerability.
func windowsRecords(ctx context.Context, data, year string) (collector, error) {
	documents, err := filepath.Glob(filepath.Join(data, "msrc-cvrf", year+"-*.xml.zst"))
	if err != nil || len(documents) == 0 {
		return nil, fmt.Errorf("no MSRC documents of %s in %s", year, data)
	}
	records := collector{}
	paths := append(documents, filepath.Join(data, "nvd", "nvdcve-1.1-"+year+".json.gz"))
	_, err = feed.Import(ctx, paths, records, feed.Options{})
	return records, err
}

// score types the Windows vulnerabilities among records by the full rules, with the
// vendor's impact switched off, and holds that against this impact.
func (r *typingResult) score(records collector, types func([]vuln.Record) []vuln.Typing) {
	if r.Scores == nil {
		r.Scores = map[vuln.Type]score{}
	}
	for id, list := range records {
		meant := impacts(list)
		if len(meant) == 0 || !slices.ContainsFunc(list, func(r vuln.Record) bool { return r.Source == "nvd" }) {
			continue
		}
		r.CVEs++
		var given []vuln.Type
		for _, t := range types(list) {
			given = append(given, t.Type)
		}
		for _, t := range labelled {
			s := r.Scores[t]
			g, m := slices.Contains(given, t), slices.Contains(meant, t)
			s.given, s.meant, s.both = s.given+one(g), s.meant+one(m), s.both+one(g && m)
			r.Scores[t] = s
			if g != m {
				r.Wrong = append(r.Wrong, fmt.Sprintf("%s: gives %v, means %v", id, given, meant))
			}
		}
	}
	slices.Sort(r.Wrong)
	r.Wrong = slices.Compact(r.Wrong)
}

// inputs are what a typing may read: NVD alone, where the vendor's words stand at most
// as MITRE took them over, and everything the sources say but the impact.
var inputs = []struct {
	name  string
	types func([]vuln.Record) []vuln.Typing
}{
	{"NVD's text, CWE and CVSS", nvdTypes},
	{"all texts, CWE and CVSS", mergedTypes},
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// impacts are the types Microsoft names for Windows itself.
func impacts(list []vuln.Record) []vuln.Type {
	var out []vuln.Type
	for _, r := range list {
		if r.Source != "msrc" {
			continue
		}
		for _, i := range r.Impacts {
			t, ok := labels[i.Word]
			windows := slices.ContainsFunc(r.Products, func(p vuln.Product) bool {
				return !p.Component && strings.HasPrefix(p.Name, "Windows") && (len(i.Products) == 0 || slices.Contains(i.Products, p.ID))
			})
			if ok && windows && !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// nvdTypes are read from what NVD says; NVD knows no impacts.
func nvdTypes(list []vuln.Record) []vuln.Typing {
	return triage.TypesOf(vuln.Vulnerability{Records: list}, triage.FullRules, "nvd")
}

// mergedTypes are a digest's, but for the impact.
func mergedTypes(list []vuln.Record) []vuln.Typing {
	v := vuln.Merge(list[0].ID, list)
	v.Impacts = nil
	return triage.TypesOf(v, triage.FullRules, "")
}

// typings prints precision and recall per type, year by year and over all.
func (b bench) typings() error {
	fmt.Printf("\ntyping by the %s rules against MSRC's impact on Windows, the vendor's impact switched off: precision/recall, bar 0.95/0.95\n%-44s", triage.FullRules, "")
	for _, t := range labelled {
		fmt.Printf(" %11s", t)
	}
	fmt.Println()
	pooled := make([]typingResult, len(inputs))
	for _, year := range typingYears {
		records, err := windowsRecords(b.ctx, b.data, year)
		if err != nil {
			return err
		}
		for i, in := range inputs {
			var one typingResult
			one.score(records, in.types)
			pooled[i].score(records, in.types)
			one.row(year + " " + in.name)
		}
	}
	for i, in := range inputs {
		pooled[i].row("all  " + in.name)
	}
	return nil
}

func (r *typingResult) row(name string) {
	fmt.Printf("%-44s", fmt.Sprintf("  %s, %d CVEs", name, r.CVEs))
	for _, t := range labelled {
		fmt.Printf(" %.3f/%.3f", r.Scores[t].precision(), r.Scores[t].recall())
	}
	fmt.Println()
}
