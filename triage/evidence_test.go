package triage

import (
	"slices"
	"testing"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

func TestExploitationIsTheStrongestThatSomebodyKnows(t *testing.T) {
	kev := &vuln.KEV{Added: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)}
	said := func(level string) *vuln.SSVC { return &vuln.SSVC{Source: "cisa-adp", Exploitation: level} }
	const exploit = "https://example.org/poc"
	for _, c := range []struct {
		name   string
		digest Digest
		want   string
		code   string
		args   []string
	}{
		{"KEV beats everything", Digest{KEV: kev, SSVC: said(NotExploited), Exploit: exploit}, Active, CodeExploitKEV, []string{"2026-01-02"}},
		{"KEV is named before the coordinator", Digest{KEV: kev, SSVC: said(Active)}, Active, CodeExploitKEV, []string{"2026-01-02"}},
		{"the coordinator's active beats a public exploit", Digest{SSVC: said(Active), Exploit: exploit}, Active, CodeExploitSSVC, []string{"cisa-adp", Active}},
		{"the coordinator's poc is named before a public exploit", Digest{SSVC: said(PoC), Exploit: exploit}, PoC, CodeExploitSSVC, []string{"cisa-adp", PoC}},
		{"a public exploit beats the coordinator's none", Digest{SSVC: said(NotExploited), Exploit: exploit}, PoC, CodeExploitPublic, []string{exploit}},
		{"a public exploit alone", Digest{Exploit: exploit}, PoC, CodeExploitPublic, []string{exploit}},
		{"the coordinator's none", Digest{SSVC: said(NotExploited)}, NotExploited, CodeExploitSSVC, []string{"cisa-adp", NotExploited}},
		{"a coordinator who left it open", Digest{SSVC: said("")}, "", CodeExploitUnknown, nil},
		{"a prediction proves nothing", Digest{EPSS: 0.99}, "", CodeExploitUnknown, nil},
		{"nobody", Digest{}, "", CodeExploitUnknown, nil},
	} {
		level, why := exploitation(&c.digest)
		if level != c.want || why.Step != "exploitation" || why.Code != c.code || !slices.Equal(why.Args, c.args) {
			t.Errorf("%s: %q by %s %q, want %q by %s %q", c.name, level, why.Code, why.Args, c.want, c.code, c.args)
		}
	}
}

func TestUnknownExploitationIsSaidAndTakenAsNone(t *testing.T) {
	f := single(t, scan(t, web(), about("CVE-1", "Debian:12", "demo", "")))
	if f.Exploitation != NotExploited || !slices.ContainsFunc(f.Reasons, func(r Reason) bool { return r.Code == CodeExploitUnknown }) ||
		!slices.ContainsFunc(f.Reasons, func(r Reason) bool {
			return r.Code == CodeInputUnknown && slices.Equal(r.Args, []string{"exploitation", NotExploited})
		}) {
		t.Errorf("%s: %v", f.Exploitation, f.Reasons)
	}
}

func TestAutomatableAndImpactComeFromTheCoordinatorElseFromTheVector(t *testing.T) {
	for _, c := range []struct {
		name, vector        string
		ssvc                *vuln.SSVC
		automatable, impact string
	}{
		{"nothing is known", "", nil, "", ""},
		{"3.1, the worst", remoteAll, nil, "yes", "total"},
		{"3.1, needs an account", "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", nil, "no", "total"},
		{"3.1, needs a victim", "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", nil, "no", "total"},
		{"3.0, needs luck", "CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:N", nil, "no", "total"},
		{"3.1, local", localAll, nil, "no", "total"},
		{"3.1, neighbourhood", "CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", nil, "no", "partial"},
		{"3.1, only read", remoteRead, nil, "yes", "partial"},
		{"3.1, only stopped", remoteStop, nil, "yes", "partial"},
		{"2.0, the worst", oldAll, nil, "yes", "total"},
		{"2.0, in parentheses", "(" + oldAll + ")", nil, "yes", "total"},
		{"2.0, partial", "AV:N/AC:L/Au:N/C:P/I:P/A:P", nil, "yes", "partial"},
		{"2.0, needs a login", "AV:N/AC:L/Au:S/C:C/I:C/A:C", nil, "no", "total"},
		{"2.0, medium complexity", "AV:N/AC:M/Au:N/C:C/I:C/A:C", nil, "no", "total"},
		{"4.0, the worst", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", nil, "yes", "total"},
		{"4.0, requirements on the target", "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", nil, "no", "total"},
		{"4.0, somebody has to take part", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:P/VC:H/VI:L/VA:H/SC:N/SI:N/SA:N", nil, "no", "partial"},
		{"4.0, only later systems", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:H/SI:H/SA:H", nil, "yes", "partial"},
		{"4.0 says it itself: yes", "CVSS:4.0/AV:N/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/AU:Y", nil, "yes", "total"},
		{"4.0 says it itself: no", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/AU:N", nil, "no", "total"},
		{"4.0 leaves it open", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/AU:X", nil, "yes", "total"},
		{"the coordinator beats the vector", remoteAll, &vuln.SSVC{Automatable: "no", Impact: "partial"}, "no", "partial"},
		{"what the coordinator leaves open the vector tells", remoteAll, &vuln.SSVC{Impact: "partial"}, "yes", "partial"},
		{"the coordinator alone", "", &vuln.SSVC{Automatable: "yes", Impact: "total"}, "yes", "total"},
	} {
		d := &Digest{Severity: vuln.Severity{Vector: c.vector}, SSVC: c.ssvc}
		if a, i := automatable(d), technicalImpact(d); a != c.automatable || i != c.impact {
			t.Errorf("%s: automatable %q, impact %q; want %q, %q", c.name, a, i, c.automatable, c.impact)
		}
	}
}
