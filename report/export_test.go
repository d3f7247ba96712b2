package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	packageurl "github.com/package-url/packageurl-go"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
	"github.com/kannuki/kannuki/triage"
)

// documents are the formats for programs.
var documents = []struct {
	name  string
	write func(w io.Writer, scan triage.Scan, p lang.Printer) error
}{
	{"scan.json", ScanJSON},
	{"sarif.json", func(w io.Writer, s triage.Scan, p lang.Printer) error { return SARIF(w, s, p, Tool{"1.2.3"}) }},
	{"openvex.json", func(w io.Writer, s triage.Scan, p lang.Printer) error { return OpenVEX(w, s, p, Tool{"1.2.3"}) }},
	{"cyclonedx.json", func(w io.Writer, s triage.Scan, p lang.Printer) error { return CycloneDX(w, s, p, Tool{"1.2.3"}) }},
}

func TestDocumentsReadAsWritten(t *testing.T) {
	for _, d := range documents {
		for _, l := range lang.Languages {
			t.Run(d.name+"/"+l, func(t *testing.T) {
				var b bytes.Buffer
				if err := d.write(&b, smallScan(), lang.New(l)); err != nil {
					t.Fatal(err)
				}
				golden(t, d.name+"."+l, b.Bytes())
			})
		}
	}
}

func TestDocumentsDoNotDependOnTheOrderOfFindings(t *testing.T) {
	reversed := smallScan()
	slices.Reverse(reversed.Findings)
	for _, d := range documents {
		var a, b bytes.Buffer
		if err := d.write(&a, smallScan(), lang.New("en")); err != nil {
			t.Fatal(err)
		}
		if err := d.write(&b, reversed, lang.New("en")); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s depends on the order of findings", d.name)
		}
	}
}

func TestDocumentsOfAnyContentAreJSONWithoutNullLists(t *testing.T) {
	lists := []string{"findings", "not_judged", "packages", "types", "reasons", "results", "rules", "statements", "components", "vulnerabilities", "decisions"}
	for _, scan := range []triage.Scan{{}, smallScan(), nastyScan()} {
		for _, d := range documents {
			var b bytes.Buffer
			if err := d.write(&b, scan, lang.New("ja")); err != nil {
				t.Errorf("%s: %v", d.name, err)
				continue
			}
			var v any
			if err := json.Unmarshal(b.Bytes(), &v); err != nil {
				t.Errorf("%s: %v", d.name, err)
			}
			for path := range nulls(v, "") {
				if key := path[strings.LastIndex(path, ".")+1:]; slices.Contains(lists, key) {
					t.Errorf("%s: %s is null", d.name, path)
				}
			}
		}
	}
}

// nulls yields the paths of null values.
func nulls(v any, path string) map[string]bool {
	found := map[string]bool{}
	switch v := v.(type) {
	case nil:
		found[path] = true
	case []any:
		for i, x := range v {
			for k := range nulls(x, fmt.Sprintf("%s[%d]", path, i)) {
				found[k] = true
			}
		}
	case map[string]any:
		for key, x := range v {
			for k := range nulls(x, path+"."+key) {
				found[k] = true
			}
		}
	}
	return found
}

func TestScanJSONHasTheShapeProgramsRelyOn(t *testing.T) {
	var b bytes.Buffer
	if err := ScanJSON(&b, smallScan(), lang.New("ja")); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Host      struct{ Name string }
		Findings  []map[string]any
		NotJudged []map[string]any `json:"not_judged"`
		Totals    map[string]any
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Host.Name != "web01" || len(got.Findings) != 6 || len(got.NotJudged) != 3 || got.Totals["findings"] != 6.0 {
		t.Errorf("host %q, %d findings, %d not judged, totals %v", got.Host.Name, len(got.Findings), len(got.NotJudged), got.Totals)
	}
	for i, f := range got.Findings {
		for _, key := range []string{"id", "source_package", "source_version", "fixed_version", "packages", "types", "exploitation", "exposure", "decision", "deadline", "coverage", "reasons"} {
			if _, ok := f[key]; !ok {
				t.Errorf("finding %d has no %q", i, key)
			}
		}
		for _, r := range f["reasons"].([]any) {
			if r.(map[string]any)["text"] == "" {
				t.Errorf("finding %d has a reason without text: %v", i, r)
			}
		}
	}
	if strings.Contains(b.String(), `\u003c`) {
		t.Error("HTML characters are escaped: hard to read, and this is no HTML")
	}
}

func TestSpokenLeavesTheScanAsItWas(t *testing.T) {
	scan := smallScan()
	scan.Findings[0].Reasons[0].Text = ""
	before := scan.Findings[0].ID
	Spoken(scan, lang.New("en"))
	if scan.Findings[0].ID != before || scan.Findings[0].Reasons[0].Text != "" {
		t.Error("Spoken changed the scan it was given")
	}
}

// Every combination of effect, proof and publisher's status: "not affected" may be said
// of one only, "fixed" of none.
func TestNotAffectedIsSaidOnlyOfPreventionWithProof(t *testing.T) {
	for _, effect := range []triage.Effect{triage.Prevented, triage.Contained, triage.Limited, triage.None, ""} {
		for _, proof := range []bool{true, false} {
			for _, status := range []string{"", "under_investigation", "will_not_fix"} {
				scan := smallScan()
				f := scan.Findings[0]
				f.Coverage, f.Stages = effect, &triage.Coverage{Effect: effect, Proven: proof, Controls: []host.Control{host.Launch}}
				f.Matches = []triage.Match{{Status: status}}
				scan.Findings = []triage.Finding{f}
				wantVEX, wantBOM := vex.StatusAffected, cyclonedx.IASExploitable
				switch {
				case effect == triage.Prevented && proof:
					wantVEX, wantBOM = vex.StatusNotAffected, cyclonedx.IASNotAffected
				case status == "under_investigation":
					wantVEX, wantBOM = vex.StatusUnderInvestigation, cyclonedx.IASInTriage
				}
				if got := openVEX(t, scan).Statements[0].Status; got != wantVEX {
					t.Errorf("%s, proven %v, %q: OpenVEX says %s, want %s", effect, proof, status, got, wantVEX)
				}
				if got := (*cycloneDX(t, scan).Vulnerabilities)[0].Analysis; got.State != wantBOM || (got.Justification != "") != (wantBOM == cyclonedx.IASNotAffected) {
					t.Errorf("%s, proven %v, %q: CycloneDX says %s because %q, want %s", effect, proof, status, got.State, got.Justification, wantBOM)
				}
			}
		}
	}
}

func openVEX(t *testing.T, scan triage.Scan) *vex.VEX {
	t.Helper()
	var b bytes.Buffer
	if err := OpenVEX(&b, scan, lang.New("en"), Tool{}); err != nil {
		t.Fatal(err)
	}
	doc, err := vex.Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func cycloneDX(t *testing.T, scan triage.Scan) *cyclonedx.BOM {
	t.Helper()
	var b bytes.Buffer
	if err := CycloneDX(&b, scan, lang.New("en"), Tool{}); err != nil {
		t.Fatal(err)
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(&b, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	return &bom
}

func TestOpenVEXBindsAStatementToItsHost(t *testing.T) {
	doc := openVEX(t, smallScan())
	for _, s := range doc.Statements {
		if len(s.Products) != 1 || s.Products[0].ID != "urn:kannuki:host:web01" || len(s.Products[0].Subcomponents) != 1 {
			t.Errorf("%s: products %+v", s.Vulnerability.Name, s.Products)
		}
	}
	other := doc.Matches("CVE-2030-0400", "urn:kannuki:host:web02", nil)
	if len(other) > 0 {
		t.Errorf("a statement about web01 holds for web02: %+v", other)
	}
}

func TestCycloneDXReferencesResolve(t *testing.T) {
	bom := cycloneDX(t, smallScan())
	refs := map[string]int{}
	for _, c := range *bom.Components {
		refs[c.BOMRef]++
	}
	for _, v := range *bom.Vulnerabilities {
		refs[v.BOMRef]++
		for _, a := range *v.Affects {
			if refs[a.Ref] == 0 {
				t.Errorf("%s affects %s, which is no component", v.ID, a.Ref)
			}
		}
	}
	for ref, n := range refs {
		if n > 1 {
			t.Errorf("bom-ref %s is used %d times", ref, n)
		}
	}
}

func TestSARIFRulesAndResultsFitTogether(t *testing.T) {
	var b bytes.Buffer
	if err := SARIF(&b, manyScan(300), lang.New("en"), Tool{}); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) != 300 {
		t.Errorf("%d results for 300 findings", len(run.Results))
	}
	seen, prints := map[string]bool{}, map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		if seen[r.ID] {
			t.Errorf("rule %s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID {
			t.Errorf("result about %s points to rule %d, which is %s", r.RuleID, r.RuleIndex, run.Tool.Driver.Rules[r.RuleIndex].ID)
		}
		if !slices.Contains([]string{"error", "warning", "note"}, r.Level) || r.Message.Text == "" {
			t.Errorf("%s: level %q, message %q", r.RuleID, r.Level, r.Message.Text)
		}
		prints[r.Fingerprints["kannukiFinding/v1"]] = true
	}
	if len(prints) != 300 {
		t.Errorf("300 findings have %d fingerprints", len(prints))
	}
}

func TestPackageURLsFollowTheSystem(t *testing.T) {
	f := triage.Finding{SourcePackage: "openssl", SourceVersion: "1:3.0.7-27.el9"}
	for _, c := range []struct {
		os   host.OS
		want string
	}{
		{host.OS{ID: "debian", VersionID: "12"}, "pkg:deb/debian/openssl@1%3A3.0.7-27.el9?arch=source&distro=debian-12"},
		{host.OS{ID: "linuxmint", VersionID: "22", IDLike: []string{"ubuntu"}}, "pkg:deb/linuxmint/openssl@1%3A3.0.7-27.el9?arch=source&distro=linuxmint-22"},
		{host.OS{ID: "rhel", VersionID: "9.4"}, "pkg:rpm/redhat/openssl@3.0.7-27.el9?arch=src&distro=rhel-9.4&epoch=1"},
		{host.OS{ID: "alpine", VersionID: "3.19.1"}, "pkg:apk/alpine/openssl@1%3A3.0.7-27.el9?distro=alpine-3.19.1"},
		{host.OS{ID: "windows"}, "pkg:generic/openssl@1%3A3.0.7-27.el9"},
	} {
		got := packageURL(host.Host{OS: c.os}, f)
		want, err := packageurl.FromString(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := packageurl.FromString(got); err != nil || parsed.ToString() != want.ToString() {
			t.Errorf("%s: %s (%v), want %s", c.os.ID, got, err, c.want)
		}
	}
}
