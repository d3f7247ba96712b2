package report

import (
	"fmt"
	"io"
	"net/url"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// OpenVEX writes the scan as an OpenVEX document. The product of every statement is
// the host and the package its subcomponent: what a guard in force prevents here is
// still affected elsewhere. The status is "affected" with what to do, or
// "under_investigation" while every publisher is still looking; "not_affected" only
// for what is prevented with proof; never "fixed", because a fixed package is no
// finding. The same scan gives the same bytes.
func OpenVEX(w io.Writer, scan triage.Scan, p lang.Printer, tool Tool) error {
	scan = Spoken(scan, p)
	at := scan.At.UTC()
	doc := vex.VEX{
		Metadata: vex.Metadata{
			Context: vex.ContextLocator(), Author: "kannuki", AuthorRole: "scanner on " + hostName(scan.Host),
			Timestamp: &at, Version: 1, Tooling: toolName(tool),
		},
		Statements: []vex.Statement{},
	}
	for _, f := range scan.Findings {
		s := vexStatement(scan, f, p)
		if err := s.Validate(); err != nil {
			return fmt.Errorf("OpenVEX statement about %s in %s: %w", f.ID, f.SourcePackage, err)
		}
		doc.Statements = append(doc.Statements, s)
	}
	if _, err := doc.GenerateCanonicalID(); err != nil {
		return fmt.Errorf("OpenVEX document: %w", err)
	}
	return doc.ToJSON(w)
}

func toolName(tool Tool) string {
	if tool.Version == "" {
		return "kannuki"
	}
	return "kannuki/" + tool.Version
}

func vexStatement(scan triage.Scan, f triage.Finding, p lang.Printer) vex.Statement {
	s := vex.Statement{
		Vulnerability: vex.Vulnerability{ID: advisoryURL(f.ID), Name: vex.VulnerabilityID(f.ID), Description: f.Title},
		Products: []vex.Product{{
			Component:     vex.Component{ID: hostIRI(scan.Host)},
			Subcomponents: []vex.Subcomponent{{Component: vex.Component{ID: packageURL(scan.Host, f), Identifiers: map[vex.IdentifierType]string{vex.PURL: packageURL(scan.Host, f)}}}},
		}},
	}
	switch {
	case proven(f):
		s.Status = vex.StatusNotAffected
		s.Justification = vex.InlineMitigationsAlreadyExist
		s.ImpactStatement = coverageText(p, f)
		s.StatusNotes = p.T("vex.while-in-force", ActionText(p, scan.Host, f))
	case investigated(f):
		s.Status = vex.StatusUnderInvestigation
		s.StatusNotes = ActionText(p, scan.Host, f)
	default:
		s.Status = vex.StatusAffected
		s.ActionStatement = ActionText(p, scan.Host, f)
		s.StatusNotes = coverageText(p, f)
	}
	return s
}

// hostIRI names a host in documents for other programs.
func hostIRI(h host.Host) string { return "urn:kannuki:host:" + url.PathEscape(hostName(h)) }

// coverageText is what the guard does about a finding, with its reasons; empty where
// it does nothing.
func coverageText(p lang.Printer, f triage.Finding) string {
	if f.Coverage == "" || f.Coverage == triage.None {
		return ""
	}
	pg := newPage(io.Discard, p, Page{})
	text := p.T("vex.coverage", pg.word("effect.", string(f.Coverage)))
	if f.Stages != nil {
		for _, r := range f.Stages.Reasons {
			text += p.T("sentence.separator") + ReasonText(p, r)
		}
	}
	return text
}
