package inventory

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
)

var reported = time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC)

func someProtection() host.Protection {
	proof := &host.Proof{At: reported.Add(-time.Hour), Expires: reported.Add(time.Hour), Generation: 3, Kernel: "6.1", Passed: true, Steps: 4}
	return host.Protection{Generation: 3, Kernel: "6.1", Tier: "bpf-lsm", Reported: reported,
		Controls: []host.ControlStatus{{Control: host.Launch, Mode: host.Enforce, Hooks: 5, Gaps: []string{"one"}, Proof: proof},
			{Control: host.Write, Mode: host.Observe, Hooks: 9}},
		Contained: []string{"nginx", "nginx.service"}, Surfaces: []string{"userns"}, WX: []string{"nginx.service"}}
}

func TestAProtectionIsReadAsTheAgentKeepsIt(t *testing.T) {
	text, err := json.MarshalIndent(someProtection(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadProtection(strings.NewReader(string(text)), "protection.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(someProtection(), got); diff != "" {
		t.Error(diff)
	}
}

func TestAProtectionThatCannotBeRightIsRefusedWithItsPlace(t *testing.T) {
	good, err := json.Marshal(someProtection())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":     {`"hooks":5`, `"hoks":5`, `"hoks"`},
		"an unknown control": {`"launch"`, `"lanch"`, `controls[0].control: "lanch" is not known: did you mean "launch"?`},
		"an unknown mode":    {`"mode":"observe"`, `"mode":"watch"`, `controls[1] (write).mode: "watch" is not known`},
		"a control twice":    {`"control":"write"`, `"control":"launch"`, `the control "launch" is there twice`},
		"a proof without end": {`"expires":"2026-11-23T08:00:00Z"`, `"expires":"2026-11-23T05:00:00Z"`,
			`controls[0] (launch).proof: it needs "at" and, after it, "expires"`},
		"no time":          {`"reported":"2026-11-23T07:00:00Z",`, ``, `no "reported"`},
		"a wrong kind":     {`"generation":3,"kernel":"6.1","tier"`, `"generation":"three","kernel":"6.1","tier"`, "generation"},
		"something behind": {`"wx":["nginx.service"]}`, `"wx":["nginx.service"]} {}`, "after the end"},
		"cut off":          {`"wx":["nginx.service"]}`, ``, "protection.json"},
	} {
		bad := strings.Replace(string(good), c.old, c.new, 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing replaced in %s", name, good)
		}
		if _, err := ReadProtection(strings.NewReader(bad), "protection.json"); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "protection.json") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadProtection(f *testing.F) {
	good, err := json.Marshal(someProtection())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good))
	f.Add(`{}`)
	f.Add(`{"controls":[{"control":"launch","mode":"enforce"}],"reported":"2026-11-23T07:00:00Z"}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadProtection(strings.NewReader(text), "f")
		if err != nil {
			return
		}
		for _, c := range p.Controls {
			if p.Enforced(c.Control) != (c.Mode == host.Enforce) {
				t.Errorf("%s is %s and enforced %v", c.Control, c.Mode, p.Enforced(c.Control))
			}
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ReadProtection(strings.NewReader(string(again)), "again")
		if err != nil {
			t.Fatalf("written and read again: %v\n%s", err, again)
		}
		if third, err := json.Marshal(q); err != nil || string(third) != string(again) {
			t.Errorf("written and read again: %v\n%s\n%s", err, again, third)
		}
	})
}
