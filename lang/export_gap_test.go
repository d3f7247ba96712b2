package lang

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/policyexport"
)

// The English of a gap is written in policyexport, beside its code; the catalogue holds
// a copy, as of reasons. This test keeps them one.
func TestEveryGapOfAnExportIsSaidInEveryLanguage(t *testing.T) {
	for _, l := range Languages {
		messages := catalogue(l)
		for code, english := range policyexport.GapCodes {
			got, ok := messages[code]
			switch {
			case !ok:
				t.Errorf(`%s.windows.json lacks %q: %q`, l, code, english)
			case l == "en" && got != english:
				t.Errorf("en.windows.json says %q for %s, policyexport says %q", got, code, english)
			}
		}
		for key := range messages {
			if strings.HasPrefix(key, "export.") && !strings.HasPrefix(key, "export.head.") && policyexport.GapCodes[key] == "" {
				t.Errorf("%s.windows.json: policyexport has no gap %q any more", l, key)
			}
		}
	}
}
