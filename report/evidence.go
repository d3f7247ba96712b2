package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// EvidenceJSON writes the chain with every reason in p's language.
func EvidenceJSON(w io.Writer, ev control.Evidence, p lang.Printer) error {
	ev.Findings = Spoken(triage.Scan{Findings: ev.Findings}, p).Findings
	for i := range ev.Verification.Blind {
		ev.Verification.Blind[i].Text = ReasonText(p, ev.Verification.Blind[i].Reason)
	}
	return JSON(w, ev)
}

// Evidence writes the one chain from the news about a vulnerability to the proof that a
// host is free of it, each link with where it comes from: news, match, types, coverage
// with its drills, decision row, deadline, patch, verification.
func Evidence(w io.Writer, ev control.Evidence, p lang.Printer, layout Page) error {
	pg := newPage(w, p, layout)
	pg.Sides(bold, p.T("evidence.title", ev.ID, hostName(ev.Host)), p.DateTime(ev.At))
	pg.evidenceNews(ev.News)
	for i, f := range sorted(ev.Findings) {
		if len(ev.Findings) > 1 {
			pg.Line(plain, "")
			pg.Line(bold, p.T("evidence.finding", i+1, len(ev.Findings), f.SourcePackage, f.SourceVersion))
		}
		pg.evidenceOf(ev, f)
	}
	if len(ev.Findings) == 0 {
		pg.link("match")
		pg.Text(2, p.T("evidence.no-finding", hostName(ev.Host)))
	}
	pg.verification(ev)
	return pg.Err()
}

// link begins one link of the chain.
func (p *page) link(name string) { p.Heading(p.T("evidence.link." + name)) }

func (p *page) evidenceNews(n control.Announcement) {
	p.link("news")
	title, marked := p.native(vuln.Value[string]{Value: n.TitleJA}, vuln.Value[string]{Value: n.Title})
	if title.Value != "" {
		p.Text(2, title.Value+marked)
	}
	if n.Rejected {
		p.Text(2, "!! "+p.T("show.rejected"))
	}
	if !n.Published.IsZero() {
		p.Text(2, p.T("evidence.published", n.Published))
	}
	var sources []string
	for _, r := range n.Records {
		if !slices.Contains(sources, r.Source) {
			sources = append(sources, r.Source)
		}
	}
	p.Text(2, p.T("evidence.records", len(n.Records), p.List(sources)))
	if n.KEV != nil {
		p.Text(2, ReasonText(p.Printer, triage.Reason{Code: triage.CodeExploitKEV, Args: []string{n.KEV.Added.Format(time.DateOnly)}}))
	}
	for _, c := range n.Changes {
		said := p.change(c)
		if said == "" {
			said = p.T("evidence.change", p.word("change.", string(c.Kind)), c.Source)
		}
		p.Item(2, "- ", p.T("evidence.changed", c.At, said))
	}
}

// evidenceOf is the chain of one finding, from its match to its patch.
func (p *page) evidenceOf(ev control.Evidence, f triage.Finding) {
	p.link("match")
	p.Text(2, p.T("evidence.package", f.SourcePackage, f.SourceVersion, p.Folded(f.Packages, shownHosts)))
	p.reasonsOf(f, "match")
	p.link("types")
	p.reasonsOf(f, "type")
	p.reasonsOf(f, "exploitation", "exposure")
	p.link("coverage")
	p.evidenceCoverage(ev, f)
	p.link("decision")
	p.reasonsOf(f, "decision")
	p.link("deadline")
	p.evidenceDeadline(ev, f)
	p.link("patch")
	p.Text(2, ActionText(p.Printer, ev.Host, f))
	for _, r := range f.Advice {
		p.Item(2, "- ", ReasonText(p.Printer, r))
	}
}

// reasonsOf lists the reasons of some steps, each in a line of its own.
func (p *page) reasonsOf(f triage.Finding, steps ...string) {
	for _, r := range f.Reasons {
		drilled := r.Code == triage.CodeControl || r.Code == triage.CodeGap // in the table of drills
		if slices.Contains(steps, r.Step) && !drilled {
			p.Item(2, "- ", ReasonText(p.Printer, r))
		}
	}
}

// evidenceCoverage tells the effect, what of each stage of the attack is refused, and
// which drill stands behind each control.
func (p *page) evidenceCoverage(ev control.Evidence, f triage.Finding) {
	said := []string{p.T("evidence.effect", p.word("effect.", string(cmp.Or(f.Coverage, triage.None)))), p.provenOrNot(f)}
	p.Text(2, strings.Join(notEmpty(said...), p.T("sentence.separator")))
	p.reasonsOf(f, "coverage")
	if f.Stages == nil {
		return
	}
	if len(f.Stages.Stages) > 0 {
		p.Line(plain, "")
		t := table{Indent: 2, Columns: []column{{Head: p.T("evidence.head.stage")}, {Head: p.T("evidence.head.state")}, {Head: p.T("evidence.head.by"), Wrap: true}}}
		for _, s := range f.Stages.Stages {
			t.Add(plain, p.T("stage."+s.Stage), p.T("stage.state."+s.State), p.argument(someControls, strings.Join(controlNames(s.Controls), ", ")))
		}
		p.Table(&t)
	}
	p.drills(ev, f)
	for _, l := range f.Stages.Limits {
		p.Item(2, "! ", ReasonText(p.Printer, l))
	}
}

func (p *page) provenOrNot(f triage.Finding) string {
	switch {
	case f.Stages == nil: // no guard at all, as the reasons say
		return ""
	case f.Coverage == triage.None || f.Coverage == "":
		return p.T("evidence.not-covered")
	case f.Stages.Proven:
		return p.T("evidence.proven")
	}
	return p.T("evidence.unproven")
}

func controlNames(list []host.Control) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = string(c)
	}
	return out
}

// drills are the controls behind the effect, or all of them where there is none, with
// their drills.
func (p *page) drills(ev control.Evidence, f triage.Finding) {
	of := CoverageOf{At: ev.At}
	t := table{Indent: 2, Columns: []column{{Head: p.T("cover.head.control")}, {Head: p.T("cover.head.mode")}, {Head: p.T("cover.head.proof"), Wrap: true}}}
	for _, s := range ev.Protection.Controls {
		if len(f.Stages.Controls) > 0 && !slices.Contains(f.Stages.Controls, s.Control) {
			continue
		}
		t.Add(plain, p.T("control."+string(s.Control)), p.word("cover.mode.", s.Mode), of.proof(ev.Protection, s, p.Printer))
	}
	p.Line(plain, "")
	p.Table(&t)
	p.Line(plain, "")
}

func (p *page) evidenceDeadline(ev control.Evidence, f triage.Finding) {
	zone := ev.At.Location()
	if !f.FirstSeen.IsZero() {
		p.Text(2, p.T("evidence.first-seen", p.DateTime(f.FirstSeen.In(zone))))
	}
	if f.Deadline == nil {
		p.Text(2, p.T("evidence.no-deadline", p.decision(f.Decision)))
	} else {
		p.Text(2, p.T("evidence.deadline", p.DateTime(f.Deadline.In(zone)), p.decision(f.Decision)))
	}
	if f.Unguarded != "" && f.Unguarded != f.Decision {
		p.Text(2, p.T("evidence.unguarded", p.decision(f.Unguarded)))
	}
	if f.Forensics {
		p.Text(2, "!! "+p.T("evidence.forensics"))
	}
}

// verification tells whether the host is free of it, and what every record says about
// what is installed.
func (p *page) verification(ev control.Evidence) {
	p.link("verification")
	v := ev.Verification
	p.Text(2, p.T("evidence.verdict."+v.Verdict, hostName(ev.Host)))
	if !v.Collected.IsZero() {
		p.Text(2, p.T("evidence.collected", p.DateTime(v.Collected.In(ev.At.Location())), p.Age(ev.At.Sub(v.Collected))))
	}
	for _, b := range v.Blind {
		p.Item(2, "! ", ReasonText(p.Printer, b.Reason))
	}
	if len(ev.Heard) > 0 {
		t := table{Indent: 2, Columns: []column{{Head: p.T("head.source")}, {Head: p.T("evidence.head.record"), Flex: true}, {Head: p.T("evidence.head.installed"), Flex: true},
			{Head: p.T("evidence.head.fixed"), Flex: true}, {Head: p.T("evidence.head.says")}}}
		for _, h := range ev.Heard {
			says := p.T("evidence.says.free")
			if h.Affected {
				says = p.T("evidence.says.affected")
			}
			t.Add(plain, h.Source, h.Record, fmt.Sprintf("%s %s", h.Package, h.Version), cmp.Or(h.Fixed, "-"), says)
		}
		p.Table(&t)
	}
	p.Text(2, p.T("evidence.verify"))
}
