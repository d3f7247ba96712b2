package report

import (
	"io"
	"slices"

	"github.com/kannuki/kannuki/internal/jsonout"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// JSON writes v as indented JSON. A nil slice is written as an empty list.
func JSON(w io.Writer, v any) error {
	return jsonout.Write(w, v)
}

// ScanJSON writes a scan as docs/formats.md describes it: findings most urgent first,
// every reason with its text in p's language, no list null.
func ScanJSON(w io.Writer, scan triage.Scan, p lang.Printer) error {
	return JSON(w, Spoken(scan, p))
}

// Spoken is a copy of scan in printing order, with reasons in words and every list
// and map present. scan itself is not changed.
func Spoken(scan triage.Scan, p lang.Printer) triage.Scan {
	scan.Findings = sorted(scan.Findings)
	if scan.Findings == nil {
		scan.Findings = []triage.Finding{}
	}
	for i := range scan.Findings {
		f := &scan.Findings[i]
		f.Packages = present(f.Packages)
		f.Types = present(f.Types)
		f.Reasons = present(spokenReasons(p, f.Reasons))
		f.Advice = spokenReasons(p, f.Advice)
		if f.Stages != nil {
			c := *f.Stages
			c.Reasons, c.Limits = spokenReasons(p, c.Reasons), spokenReasons(p, c.Limits)
			f.Stages = &c
		}
	}
	scan.NotJudged = present(slices.Clone(scan.NotJudged))
	for i := range scan.NotJudged {
		scan.NotJudged[i].Text = ReasonText(p, scan.NotJudged[i].Reason)
	}
	if scan.Totals.Decisions == nil {
		scan.Totals.Decisions = map[triage.Action]int{}
	}
	if scan.Totals.Types == nil {
		scan.Totals.Types = map[vuln.Type]int{}
	}
	return scan
}

func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func spokenReasons(p lang.Printer, reasons []triage.Reason) []triage.Reason {
	list := slices.Clone(reasons)
	for i := range list {
		list[i].Text = ReasonText(p, list[i])
	}
	return list
}
