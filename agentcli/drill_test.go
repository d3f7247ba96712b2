package agentcli_test

import (
	"testing"

	"github.com/kannuki/kannuki/drill"
	"github.com/kannuki/kannuki/lang"
)

func TestEveryStepAndReasonOfADrillIsSaidInEveryLanguage(t *testing.T) {
	english := lang.New(lang.Languages[0])
	for _, s := range drill.Steps() {
		key := "drill.step." + s.Name
		if said := english.T(key); said != s.Does {
			t.Errorf("%s says %q, the step %q", key, said, s.Does)
		}
	}
	for _, code := range []string{drill.NotHere, drill.Observes, drill.NotInForce, drill.Allowed, drill.GapHere, drill.Otherwise, drill.NoEvent, drill.OtherEvent,
		drill.NotRefused, drill.OnlyTold, drill.Failed} {
		key := "drill.why." + code
		if said := english.T(key); said != drill.Sentence(code) || said == "" {
			t.Errorf("%s says %q, the code %q", key, said, drill.Sentence(code))
		}
	}
	for _, v := range []drill.Verdict{drill.Refused, drill.CameOff, drill.Observed, drill.Unproven, drill.Skipped} {
		if key := "drill.verdict." + string(v); !english.Has(key) {
			t.Errorf("there is no %s", key)
		}
	}
}
