package lang

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/triage"
)

// The English of a reason is written in triage, beside its code; the catalogue holds a
// copy so that a program without triage can say it. This test keeps them one.
func TestEveryReasonOfTriageIsSaidInEveryLanguage(t *testing.T) {
	for _, l := range Languages {
		messages := catalogue(l)
		for code, english := range triage.ReasonCodes {
			got, ok := messages["reason."+code]
			switch {
			case !ok:
				t.Errorf(`%s.reason.json lacks "reason.%s": %q`, l, code, english)
			case l == "en" && got != english:
				t.Errorf("en.reason.json says %q for %s, triage says %q", got, code, english)
			}
		}
		for key := range messages {
			if code, ok := strings.CutPrefix(key, "reason."); ok && triage.ReasonCodes[code] == "" {
				t.Errorf("%s.reason.json: triage has no reason %q any more", l, code)
			}
		}
	}
}
