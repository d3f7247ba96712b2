package report

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// CycloneDX writes the scan as a CycloneDX 1.6 VEX: the host as the subject, its
// source packages that have findings as components, and per finding an analysis.
// "not_affected" is said only of what is prevented with proof; everything else is
// "exploitable", or "in_triage" while every publisher is still looking. The same scan
// gives the same bytes.
func CycloneDX(w io.Writer, scan triage.Scan, p lang.Printer, tool Tool) error {
	scan = Spoken(scan, p)
	bom := cyclonedx.NewBOM()
	bom.SerialNumber = serial(scan)
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: scan.At.UTC().Format(time.RFC3339),
		Tools:     &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: "kannuki", Version: tool.Version}}},
		Component: &cyclonedx.Component{BOMRef: hostIRI(scan.Host), Type: cyclonedx.ComponentTypeOS,
			Name: hostName(scan.Host), Version: scan.Host.OS.VersionID, Description: osName(scan.Host.OS)},
	}
	var components []cyclonedx.Component
	vulnerabilities := []cyclonedx.Vulnerability{}
	for _, f := range scan.Findings {
		ref := packageURL(scan.Host, f)
		if !slices.ContainsFunc(components, func(c cyclonedx.Component) bool { return c.BOMRef == ref }) {
			components = append(components, cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: f.SourcePackage, Version: f.SourceVersion, PackageURL: ref})
		}
		vulnerabilities = append(vulnerabilities, cyclonedxVulnerability(scan, f, ref, p))
	}
	slices.SortFunc(components, func(a, b cyclonedx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	components = present(components)
	bom.Components, bom.Vulnerabilities = &components, &vulnerabilities
	e := cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON)
	e.SetPretty(true)
	if err := e.EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return fmt.Errorf("CycloneDX document: %w", err)
	}
	return nil
}

// serial is a UUID (RFC 9562 version 8: of our own making) of the host and the time,
// so that the same scan has the same one.
func serial(scan triage.Scan) string {
	sum := sha256.Sum256([]byte(cmp.Or(scan.Host.ID, scan.Host.Name) + "\x00" + scan.At.UTC().Format(time.RFC3339Nano)))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func cyclonedxVulnerability(scan triage.Scan, f triage.Finding, ref string, p lang.Printer) cyclonedx.Vulnerability {
	v := cyclonedx.Vulnerability{
		BOMRef: f.ID + "/" + ref, ID: f.ID, Source: &cyclonedx.Source{URL: advisoryURL(f.ID)},
		Description: f.Title, Recommendation: ActionText(p, scan.Host, f),
		Affects: &[]cyclonedx.Affects{{Ref: ref}},
		Analysis: &cyclonedx.VulnerabilityAnalysis{
			State: cyclonedx.IASExploitable, Response: responses(f), Detail: coverageText(p, f),
		},
		Properties: &[]cyclonedx.Property{
			{Name: "kannuki:decision", Value: string(f.Decision)},
			{Name: "kannuki:exposure", Value: f.Exposure},
			{Name: "kannuki:coverage", Value: string(f.Coverage)},
		},
	}
	if f.Severity != "" || f.Score > 0 {
		score := f.Score
		v.Ratings = &[]cyclonedx.VulnerabilityRating{{Score: &score, Severity: severityWord(score), Method: scoringMethod(f.Severity), Vector: f.Severity}}
	}
	switch {
	case proven(f):
		v.Analysis.State = cyclonedx.IASNotAffected
		v.Analysis.Justification = justification(f)
		v.Analysis.Detail = p.T("vex.while-in-force", coverageText(p, f))
	case investigated(f):
		v.Analysis.State = cyclonedx.IASInTriage
	}
	return v
}

// justification tells how a proven prevention works: where only the kernel control
// stands behind it, the surface the exploit needs was taken away beforehand (a
// mitigating control); else the attempt itself is refused while it runs.
func justification(f triage.Finding) cyclonedx.ImpactAnalysisJustification {
	if len(f.Stages.Controls) > 0 && !slices.ContainsFunc(f.Stages.Controls, func(c host.Control) bool { return c != host.KernelCtl }) {
		return cyclonedx.IAJProtectedByMitigatingControl
	}
	return cyclonedx.IAJProtectedAtRuntime
}

// responses are what the vendor offers: an update, or the word that there will be none.
func responses(f triage.Finding) *[]cyclonedx.ImpactAnalysisResponse {
	switch {
	case f.FixedVersion != "":
		return &[]cyclonedx.ImpactAnalysisResponse{cyclonedx.IARUpdate}
	case slices.ContainsFunc(f.Matches, func(m triage.Match) bool { return m.Status == "will_not_fix" }):
		return &[]cyclonedx.ImpactAnalysisResponse{cyclonedx.IARWillNotFix}
	}
	return nil
}

// severityWord is the qualitative scale of the CVSS 3.1 specification, section 5.
func severityWord(score float64) cyclonedx.Severity {
	switch {
	case score >= 9:
		return cyclonedx.SeverityCritical
	case score >= 7:
		return cyclonedx.SeverityHigh
	case score >= 4:
		return cyclonedx.SeverityMedium
	case score > 0:
		return cyclonedx.SeverityLow
	}
	return cyclonedx.SeverityNone
}

func scoringMethod(vector string) cyclonedx.ScoringMethod {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		return cyclonedx.ScoringMethodCVSSv4
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		return cyclonedx.ScoringMethodCVSSv31
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		return cyclonedx.ScoringMethodCVSSv3
	case strings.HasPrefix(vector, "AV:"):
		return cyclonedx.ScoringMethodCVSSv2
	}
	return cyclonedx.ScoringMethodOther
}
