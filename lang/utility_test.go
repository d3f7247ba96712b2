package lang

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/policyfile"
)

// The English of a reason is written in the built-in policy, beside its names; the
// catalogue holds a copy, so that another language can tell when it is that one.
func TestEveryReasonOfTheBuiltInUtilitiesIsSaidInEveryLanguage(t *testing.T) {
	p, err := policyfile.Builtin(policyfile.Default)
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "agent.utility."
	for _, l := range Languages {
		messages := catalogue(l)
		groups := map[string]bool{}
		for _, u := range p.Utilities.Refuse {
			key := prefix + strings.TrimPrefix(u.ID, "utility:")
			groups[key] = true
			got, ok := messages[key]
			switch {
			case !ok:
				t.Errorf("%s.utility.json lacks %q: %q", l, key, u.Why)
			case l == "en" && got != u.Why:
				t.Errorf("en.utility.json says %q for %s, the policy says %q", got, u.ID, u.Why)
			}
		}
		for key := range messages {
			if strings.HasPrefix(key, prefix) && !groups[key] {
				t.Errorf("%s.utility.json: the policy has no %s any more", l, key)
			}
		}
	}
}
