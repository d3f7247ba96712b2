package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// The part of SARIF 2.1.0 (OASIS) this report fills.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Language    string            `json:"language"`
		ColumnKind  string            `json:"columnKind"`
		Automation  sarifAutomation   `json:"automationDetails"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string              `json:"id"`
		Short      sarifText           `json:"shortDescription"`
		HelpURI    string              `json:"helpUri"`
		Properties sarifRuleProperties `json:"properties"`
	}
	sarifRuleProperties struct {
		Tags     []string `json:"tags"`
		Severity string   `json:"security-severity,omitempty"` // CVSS base score, as code hosts read it
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifInvocation struct {
		Successful bool   `json:"executionSuccessful"`
		EndTime    string `json:"endTimeUtc"`
	}
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID       string                `json:"ruleId"`
		RuleIndex    int                   `json:"ruleIndex"`
		Kind         string                `json:"kind"`
		Level        string                `json:"level"`
		Message      sarifText             `json:"message"`
		Locations    []sarifLocation       `json:"locations"`
		Fingerprints map[string]string     `json:"partialFingerprints"`
		Properties   sarifResultProperties `json:"properties"`
	}
	sarifLocation struct {
		Logical []sarifLogical `json:"logicalLocations"`
	}
	sarifLogical struct {
		Name      string `json:"name"`
		Qualified string `json:"fullyQualifiedName"`
		Kind      string `json:"kind"`
	}
	sarifResultProperties struct {
		Decision     triage.Action `json:"decision"`
		Deadline     string        `json:"deadline,omitempty"`
		Exploitation string        `json:"exploitation"`
		Exposure     string        `json:"exposure"`
		Coverage     triage.Effect `json:"coverage"`
		Fixed        string        `json:"fixedVersion,omitempty"`
		KEV          bool          `json:"kev"`
		Reasons      []string      `json:"reasons"`
	}
)

// Tool is the program that made a document.
type Tool struct{ Version string }

const homepage = "https://github.com/kannuki/kannuki"

// SARIF writes the scan as a SARIF 2.1.0 log: a rule per vulnerability, a result per
// finding, the level by decision, the place a package URL. Texts are in p's language.
func SARIF(w io.Writer, scan triage.Scan, p lang.Printer, tool Tool) error {
	scan = Spoken(scan, p)
	run := sarifRun{
		Tool:        sarifTool{sarifDriver{Name: "kannuki", Version: tool.Version, InformationURI: homepage, Rules: []sarifRule{}}},
		Invocations: []sarifInvocation{{Successful: true, EndTime: scan.At.UTC().Format(time.RFC3339)}},
		Language:    p.Language(),
		ColumnKind:  "unicodeCodePoints",
		Automation:  sarifAutomation{ID: "kannuki/" + hostName(scan.Host)},
		Results:     []sarifResult{},
	}
	index := map[string]int{}
	for _, f := range scan.Findings {
		i, ok := index[f.ID]
		if !ok {
			i = len(run.Tool.Driver.Rules)
			index[f.ID] = i
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRuleOf(f))
		}
		run.Results = append(run.Results, sarifResultOf(scan, f, i, p))
	}
	return JSON(w, sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifRuleOf(f triage.Finding) sarifRule {
	properties := sarifRuleProperties{Tags: []string{"security", "vulnerability"}}
	for _, t := range f.Types {
		properties.Tags = append(properties.Tags, string(t))
	}
	if f.Score > 0 {
		properties.Severity = strconv.FormatFloat(f.Score, 'f', 1, 64)
	}
	return sarifRule{ID: f.ID, Short: sarifText{cmp.Or(f.Title, f.ID)}, HelpURI: advisoryURL(f.ID), Properties: properties}
}

func sarifResultOf(scan triage.Scan, f triage.Finding, rule int, p lang.Printer) sarifResult {
	// The fingerprint leaves the version out: a finding stays the same one until it is gone.
	sum := sha256.Sum256([]byte(strings.Join([]string{cmp.Or(scan.Host.ID, scan.Host.Name), f.ID, f.SourcePackage}, "\x00")))
	properties := sarifResultProperties{Decision: f.Decision, Exploitation: f.Exploitation, Exposure: f.Exposure,
		Coverage: f.Coverage, Fixed: f.FixedVersion, KEV: f.KEV, Reasons: []string{}}
	if f.Deadline != nil {
		properties.Deadline = f.Deadline.UTC().Format(time.RFC3339)
	}
	for _, r := range f.Reasons {
		properties.Reasons = append(properties.Reasons, r.Text)
	}
	return sarifResult{
		RuleID: f.ID, RuleIndex: rule, Kind: "fail", Level: sarifLevel(f.Decision),
		Message:      sarifText{ActionText(p, scan.Host, f)},
		Locations:    []sarifLocation{{[]sarifLogical{{Name: f.SourcePackage, Qualified: packageURL(scan.Host, f), Kind: "package"}}}},
		Fingerprints: map[string]string{"kannukiFinding/v1": hex.EncodeToString(sum[:])},
		Properties:   properties,
	}
}

func sarifLevel(a triage.Action) string {
	switch u := urgency(a); {
	case u >= 2:
		return "error"
	case u == 1:
		return "warning"
	}
	return "note"
}

// ActionText says in a sentence what to do about a finding, by when, and on whose
// decision.
func ActionText(p lang.Printer, h host.Host, f triage.Finding) string {
	pg := newPage(io.Discard, p, Page{})
	action := p.T("action.no-fix", f.SourcePackage, f.SourceVersion)
	switch {
	case f.State == "reboot-needed":
		action = p.T("action.reboot", f.SourcePackage, hostName(h))
	case f.State == "restart-needed":
		action = p.T("action.restart", f.SourcePackage, hostName(h))
	case f.FixedVersion != "":
		action = p.T("action.update", f.SourcePackage, f.SourceVersion, f.FixedVersion)
	}
	if f.Deadline == nil {
		return action + p.T("action.decision", pg.decision(f.Decision))
	}
	return action + p.T("action.decision-by", pg.decision(f.Decision), p.Date(*f.Deadline))
}
