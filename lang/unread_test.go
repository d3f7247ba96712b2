package lang

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/host"
)

// The English of a fault is written in host, beside its code; the catalogue holds a copy.
func TestWhyACollectorCouldNotReadSomethingIsSaidInEveryLanguage(t *testing.T) {
	faults := host.FaultCodes()
	for _, l := range Languages {
		messages := catalogue(l)
		for code, english := range faults {
			switch got, ok := messages["unread."+code]; {
			case !ok:
				t.Errorf(`%s.unread.json lacks "unread.%s": %q`, l, code, english)
			case l == "en" && got != english:
				t.Errorf("en.unread.json says %q for %s, host says %q", got, code, english)
			}
		}
		for key := range messages {
			if code, ok := strings.CutPrefix(key, "unread."); ok && faults[code] == "" {
				t.Errorf("%s.unread.json: there is no fault %q any more", l, code)
			}
		}
	}
}
