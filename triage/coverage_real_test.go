package triage

import (
	"archive/zip"
	"encoding/json"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
	"github.com/kannuki/kannuki/triage/classify"
	"github.com/kannuki/kannuki/vuln"
)

// TestReferenceVerdictsHoldForTheTypesOfRealRecords: the verdicts, with types and
// vector as they come from what Debian's records say, not as a test wrote them.
func TestReferenceVerdictsHoldForTheTypesOfRealRecords(t *testing.T) {
	archive, err := zip.OpenReader(realdata.Path(t, "osv/Debian/all.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	checked := 0
	for _, c := range reference {
		in, err := archive.Open(c.id + ".json")
		if err != nil {
			t.Logf("%s: no record of %s here", c.name, c.id)
			continue
		}
		var record struct {
			Details  string
			Severity []struct{ Type, Score string }
		}
		err = json.NewDecoder(in).Decode(&record)
		in.Close()
		if err != nil {
			t.Fatalf("%s: %v", c.id, err)
		}
		input := classify.Input{Details: record.Details}
		for _, s := range record.Severity {
			input.Severities = append(input.Severities, vuln.Severity{Source: "osv/debian", Version: "3.1", Vector: s.Score})
		}
		var severity vuln.Severity
		if len(input.Severities) > 0 {
			severity = input.Severities[0]
		}
		typings := classify.Full(input)
		c.component.Vulnerability = c.id
		if got := Cover(c.component, typings, severity, guarded(running...), morning); got.Effect != c.full {
			t.Errorf("%s: %s, want %s: %v, %s: %v", c.name, got.Effect, c.full, typings, severity.Vector, got.Reasons)
		}
		checked++
	}
	if checked < 12 {
		t.Errorf("only %d of the reference verdicts have a record", checked)
	}
}
