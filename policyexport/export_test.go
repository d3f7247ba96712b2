package policyexport_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyexport"
	"github.com/kannuki/kannuki/policyfile"
)

var now = time.Date(2026, 11, 23, 7, 5, 0, 0, time.UTC)

func builtin(t testing.TB, name string) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func parse(t testing.TB, text string) policy.Policy {
	t.Helper()
	p, err := policyfile.Parse(strings.NewReader("version: 1\nname: test\n"+text), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// plain is a policy with nothing but what a test is about.
func plain(p policy.Policy) policy.Policy {
	p.Version, p.Name = 1, "plain"
	p.Fill()
	return p
}

// refusing is a policy that refuses one utility.
func refusing(name string) policy.Policy {
	return plain(policy.Policy{Mode: policy.Enforce, Utilities: policy.Utilities{Refuse: []policy.Utility{{Category: "some", Names: []string{name}}}}})
}

func english(g policyexport.Gap) string {
	text := policyexport.GapCodes[g.Code]
	for i, a := range g.Args {
		text = strings.ReplaceAll(text, fmt.Sprintf("{%d}", i), a)
	}
	return text
}

// words says everything in English, broken in the middle.
func words(head ...string) policyexport.Words {
	return policyexport.Words{Head: head, Gap: english, Wrap: func(s string) []string { return []string{s[:len(s)/2], s[len(s)/2:]} }}
}

func asXML(t testing.TB, c policyexport.CodeIntegrity) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.WriteXML(&b, words("made from "+c.Policy, "-- ---")); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// exports are all kinds of policies with all kinds of options.
func exports(t testing.TB) map[string]policyexport.CodeIntegrity {
	ours := parse(t, `base: standard
controls: {utility: observe, kernel: observe}
spaces:
  system:
    - {path: /srv/shop, seal: sealed, writers: [{unit: shop-deploy.service}], why: our shop}
  user:
    - {path: /srv/shop/tmp, why: what changes}
wx: [{unit: nginx.service}]
trusted: [{file: /srv/tool, sha256: `+strings.Repeat("ab", 32)+`, to: [{unit: tool.service}], why: known}]
grants: [{id: g1, to: {unit: tool.service}, launch: [/srv/x], expires: 2027-01-01T00:00:00Z, reason: a, owner: b}]
`)
	bare := plain(policy.Policy{Mode: policy.Observe, Spaces: policy.Spaces{System: []policy.SystemPath{{Place: policy.Place{Path: "/srv/app"}, Seal: policy.Config}}}})
	opt := policyexport.Options{Now: now}
	placed := policyexport.Options{Now: now, Places: map[string]string{"/srv/shop": `D:\shop`, "/srv/shop/tmp": `D:\shop\tmp`}, NoWriteCheck: true}
	return map[string]policyexport.CodeIntegrity{
		"standard": policyexport.AppControl(builtin(t, "standard"), opt), "strict": policyexport.AppControl(builtin(t, "strict"), opt),
		"observe": policyexport.AppControl(builtin(t, "observe"), policyexport.Options{Now: now, Places: map[string]string{"/var/www": `%OSDRIVE%\inetpub\wwwroot`}}),
		"ours":    policyexport.AppControl(ours, placed), "bare": policyexport.AppControl(bare, opt),
		"placed": policyexport.AppControl(ours, policyexport.Options{Now: now, Places: map[string]string{"/srv/shop": `E:\R&D`, "/opt": `D:\R&D 店舗`}}),
	}
}

func TestEveryExportHasTheShapeOfTheSchema(t *testing.T) {
	for name, c := range exports(t) {
		text := asXML(t, c)
		if err := checkSiPolicy(text); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		n, err := parseXML(text)
		if err == nil {
			err = n.references()
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryExportIsValidByMicrosoftsSchema(t *testing.T) {
	xsd := schema(t)
	for name, c := range exports(t) {
		if said := lint(t, xsd, asXML(t, c)); said != "" {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// The shapes above are our reading of the schema; here they are held against it.
func TestOurReadingOfTheSchemaIsTheSchemas(t *testing.T) {
	xsd := schema(t)
	whole := asXML(t, exports(t)["standard"])
	for _, change := range [][2]string{
		{"<VersionEx>", "<VersionEx>x"}, {"ID_ALLOW_PATH_1", "ID_ALLOW_1"}, {"ID_DENY_", "ID_BLOCK_"}, {"Enabled:UMCI", "Enabled: UMCI"}, {`PolicyType="Base Policy"`, `PolicyType="Base"`},
		{"<PlatformID>{2E", "<PlatformID>{2"}, {`Type="Wellknown"`, `Type="Known"`}, {` Value="131"`, ` Value="256"`}, {` Value="131"`, ""}, {"<HvciOptions>0", "<HvciOptions>no"},
		{"<CiSigners />", "<CiSigners /><CiSigners />"}, {"<Option>Enabled:UMCI</Option>", ""}, {"FilePath=", "Path="}, {`MinimumFileVersion="0.0.0.0"`, `MinimumFileVersion="zero"`},
		{`SignerId="ID_SIGNER_WINDOWS"`, ""}, {"<String>", "<Text>"}, {`Value="010A`, `Value="10A`}, {"urn:schemas-microsoft-com:sipolicy", "urn:schemas-microsoft-com:other"}, {"", ""},
	} {
		text := strings.Replace(strings.Replace(whole, change[0], change[1], 1), "</String>", map[bool]string{true: "</Text>", false: "</String>"}[change[1] == "<Text>"], 1)
		if change[0] != "" && text == whole {
			t.Errorf("%q changed nothing", change)
		}
		ours, theirs := checkSiPolicy(text), lint(t, xsd, text)
		if (ours == nil) != (theirs == "") {
			t.Errorf("%q: our shapes say %v, the schema says %q", change, ours, theirs)
		}
	}
}

// covers tells which rules an export expresses or names in a gap.
func covers(gaps []policyexport.Gap, expressed ...[]string) map[string]bool {
	out := map[string]bool{}
	for _, g := range gaps {
		for _, id := range g.Rules {
			out[id] = true
		}
	}
	for _, ids := range expressed {
		for _, id := range ids {
			out[id] = true
		}
	}
	return out
}

func TestEveryRuleIsExpressedOrNamedInAGap(t *testing.T) {
	for _, name := range policyfile.BuiltinNames() {
		p := builtin(t, name)
		for _, places := range []map[string]string{nil, {"/var/www": `%OSDRIVE%\inetpub\wwwroot`, "/srv": `D:\data`}} {
			opt := policyexport.Options{Now: now, Places: places}
			c := policyexport.AppControl(p, opt)
			var expressed [][]string
			for _, x := range c.Paths {
				expressed = append(expressed, x.Rules)
			}
			for _, x := range c.Denied {
				expressed = append(expressed, x.Rules)
			}
			reduction := policyexport.AttackSurface(p, opt)
			for _, said := range []map[string]bool{covers(c.Gaps, expressed...), covers(reduction.Gaps)} {
				for _, r := range p.Rules() {
					if !said[r.ID] {
						t.Errorf("%s: nothing is said about %s (%s)", name, r.ID, r.List)
					}
				}
				if len(said) != len(p.Rules()) {
					t.Errorf("%s: %d rules named, the policy has %d", name, len(said), len(p.Rules()))
				}
			}
		}
	}
}

func TestEveryGapHasWordsAndEveryWordAGap(t *testing.T) {
	used := map[string]bool{}
	note := func(gaps []policyexport.Gap) {
		for _, g := range gaps {
			used[g.Code] = true
			if text := english(g); text == "" || strings.ContainsAny(text, "{}") {
				t.Errorf("%s with %q says %q", g.Code, g.Args, text)
			}
		}
	}
	for _, c := range exports(t) {
		note(c.Gaps)
	}
	note(policyexport.AttackSurface(builtin(t, "standard"), policyexport.Options{Places: map[string]string{"/srv": `D:\data`}}).Gaps)
	for _, code := range slices.Sorted(maps.Keys(policyexport.GapCodes)) {
		if !used[code] {
			t.Errorf("%s is said by no export of these tests", code)
		}
	}
}

func TestSpacesBecomePathRules(t *testing.T) {
	c := policyexport.AppControl(builtin(t, "standard"), policyexport.Options{Now: now, Places: map[string]string{"/var/www": `%OSDRIVE%\inetpub\wwwroot`}})
	var got []string
	for _, p := range c.Paths {
		got = append(got, fmt.Sprintf("%v %s", p.Allow, p.Path))
	}
	want := []string{`true %WINDIR%\*`, `true %OSDRIVE%\Program Files\*`, `true %OSDRIVE%\Program Files (x86)\*`, `true %OSDRIVE%\inetpub\wwwroot\*`,
		`false %WINDIR%\ServiceProfiles\*`, `false %SYSTEM32%\catroot2\*`, `false %SYSTEM32%\MsDtc\*`}
	if !slices.Equal(got, want) {
		t.Errorf("paths %q, want %q", got, want)
	}
	if slices.Contains(c.Options, "Disabled:Runtime FilePath Rule Protection") || !c.Enforce || slices.Contains(c.Options, "Enabled:Audit Mode") {
		t.Errorf("options %q", c.Options)
	}
	// One wildcard, at the end: Windows Server knows no other.
	for _, p := range c.Paths {
		if strings.Count(p.Path, "*") != 1 || !strings.HasSuffix(p.Path, `\*`) {
			t.Errorf("path %q", p.Path)
		}
	}
}

func TestUtilitiesBecomeProgramsThatAreRefused(t *testing.T) {
	files := func(p policy.Policy) (out []string) {
		for _, d := range policyexport.AppControl(p, policyexport.Options{Now: now}).Denied {
			out = append(out, d.File)
		}
		return out
	}
	if got := files(refusing("gdb")); !slices.Contains(got, "windbg.exe") || slices.Contains(got, "mshta.exe") || len(got) != 8 {
		t.Errorf("debuggers alone: %q", got)
	}
	if got := files(refusing("curl")); len(got) != 0 {
		t.Errorf("nothing of Windows stands for curl: %q", got)
	}
	if got := files(builtin(t, "standard")); len(got) != 39 {
		t.Errorf("standard refuses %d programs: %q", len(got), got)
	}
	for _, needed := range []string{"cmd.exe", "powershell.exe", "cscript.exe", "msiexec.exe", "rundll32.exe", "svchost.exe"} {
		if slices.Contains(files(builtin(t, "strict")), needed) {
			t.Errorf("%s is refused: nobody could administer the server", needed)
		}
	}
}

func TestWhatIsOnlyObservedIsNotRefused(t *testing.T) {
	all := exports(t)
	if c := all["ours"]; !c.Enforce || len(c.Denied) != 0 || c.Drivers {
		t.Errorf("launch enforced, utility and kernel observed: denied %v, drivers %v", c.Denied, c.Drivers)
	}
	if c := all["observe"]; c.Enforce || !slices.Contains(c.Options, "Enabled:Audit Mode") || len(c.Denied) == 0 {
		t.Errorf("observe: enforce %v, options %q", c.Enforce, c.Options)
	}
	if c := all["bare"]; !slices.Contains(c.Options, "Disabled:Script Enforcement") {
		t.Errorf("a policy without interpreters: options %q", c.Options)
	}
	if !strings.Contains(asXML(t, all["ours"]), `<Allow ID="ID_ALLOW_DRIVERS" FriendlyName="every driver" FileName="*" />`) {
		t.Error("a policy that only observes the kernel restricts drivers")
	}
}

// A server whose drivers or own programs are not allowed does not start.
func TestWindowsItselfIsAlwaysAllowed(t *testing.T) {
	for name, c := range exports(t) {
		n, err := parseXML(asXML(t, c))
		if err != nil {
			t.Fatal(err)
		}
		text := asXML(t, c)
		for _, want := range []string{`SigningScenario Value="131"`, `SigningScenario Value="12"`, `Value="010A2B0601040182370A0306"`, `Value="010A2B0601040182370A0305"`, `<CertRoot Type="Wellknown" Value="06" />`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s", name, want)
			}
		}
		if err := n.check(); err != nil {
			t.Error(err)
		}
	}
}

func TestAPolicyKeepsItsIdentityAndGetsALaterVersion(t *testing.T) {
	p := builtin(t, "standard")
	a, b := policyexport.AppControl(p, policyexport.Options{Now: now}), policyexport.AppControl(p, policyexport.Options{Now: now.Add(25 * time.Hour)})
	if a.ID != b.ID || a.Version != "2026.1123.705.0" || b.Version != "2026.1124.805.0" || !regexp.MustCompile(`^\{[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}\}$`).MatchString(a.ID) {
		t.Errorf("ids %s %s, versions %s %s", a.ID, b.ID, a.Version, b.Version)
	}
	if other := policyexport.AppControl(builtin(t, "strict"), policyexport.Options{Now: now}); other.ID == a.ID {
		t.Error("two policies have one identity")
	}
}

func TestPlacesThatAreWrongAreRefused(t *testing.T) {
	p := builtin(t, "standard")
	const apps, asr = "appcontrol", "asr"
	for _, test := range []struct{ target, place, folder, wrong string }{
		{asr, "/srv", `D:\data`, ""}, {apps, "/opt", `%OSDRIVE%\Apps (x86)\日本語`, ""}, {apps, "/opt", `%SYSTEM32%\x`, ""}, {apps, "/var/www", `D:\w`, ""},
		{asr, "/srv/shp", `D:\shop`, "unknown"}, {apps, "/srv", `D:\data`, "unused"}, {asr, "/opt", `D:\data`, "unused"},
		{asr, "/srv", `D:\`, "form"}, {asr, "/srv", `D:`, "form"}, {asr, "/srv", `D:/data`, "form"}, {asr, "/srv", `data`, "form"}, {asr, "/srv", `\\server\share`, "form"},
		{apps, "/opt", `D:\a\*`, "form"}, {apps, "/opt", `D:\a\..\b`, "form"}, {apps, "/opt", `D:\a\`, "form"}, {apps, "/opt", `%TEMP%\a`, "form"}, {apps, "/opt", "D:\\a\nb", "form"},
		{apps, "/opt", `D:\a.`, "form"}, {apps, "/opt", `D:\a `, "form"}, {apps, "/opt", "", "form"},
		{apps, "/opt", `C:\Users`, "reserved"}, {apps, "/opt", `%OSDRIVE%\programdata`, "reserved"}, {asr, "/srv", `C:\Windows\TEMP`, "reserved"},
	} {
		err := policyexport.CheckPlaces(p, test.target, map[string]string{test.place: test.folder})
		var wrong *policyexport.PlaceError
		errors.As(err, &wrong)
		if (wrong == nil) != (test.wrong == "") || wrong != nil && wrong.Wrong != test.wrong {
			t.Errorf("%s %s=%q: %v, want %q", test.target, test.place, test.folder, err, test.wrong)
		}
	}
	if err := policyexport.CheckPlaces(p, apps, map[string]string{"/var/ww": `D:\x`}); err == nil || !strings.Contains(err.Error(), "did you mean /var/www?") {
		t.Errorf("error %v", err)
	}
}

func TestReductionRulesFollowTheModesOfTheirControls(t *testing.T) {
	p := builtin(t, "standard")
	all := policyexport.AttackSurface(p, policyexport.Options{})
	if len(all.Rules) != 11 || all.FolderMode != "" || len(all.Folders) != 0 {
		t.Errorf("%d rules, folders %v", len(all.Rules), all.Folders)
	}
	seen := map[string]bool{}
	for _, r := range all.Rules {
		if seen[r.ID] || r.Mode != "enforce" || !regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`).MatchString(r.ID) {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
	}
	mixed := policyexport.AttackSurface(parse(t, "base: standard\ncontrols: {kernel: observe}\n"), policyexport.Options{Places: map[string]string{"/srv": `D:\it's`}})
	for _, r := range mixed.Rules {
		if want := map[bool]string{true: "observe", false: "enforce"}[r.Control == "kernel"]; r.Mode != want {
			t.Errorf("%s: %s, want %s", r.Name, r.Mode, want)
		}
	}
	var script, profile bytes.Buffer
	if err := errors.Join(mixed.WritePowerShell(&script, words("one\nStop-Computer")), mixed.WriteIntune(&profile, "what it is")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Add-MpPreference -AttackSurfaceReductionRules_Ids 56a863a9-875e-4185-98a7-b882c64b5ce5 -AttackSurfaceReductionRules_Actions AuditMode\n",
		"Add-MpPreference -ControlledFolderAccessProtectedFolders 'D:\\it''s'\n", "Set-MpPreference -EnableControlledFolderAccess Enabled\n"} {
		if !strings.Contains(script.String(), want) {
			t.Errorf("the script has no %q:\n%s", want, script.String())
		}
	}
	for line := range strings.Lines(strings.TrimPrefix(script.String(), "\ufeff")) {
		if !regexp.MustCompile(`^(#.*|Add-MpPreference .*|Set-MpPreference .*|)\n$`).MatchString(line) {
			t.Errorf("line %q is neither a comment nor a setting", line)
		}
	}
	var intune struct {
		OmaSettings []struct{ OmaURI, Value any }
	}
	if err := json.Unmarshal(profile.Bytes(), &intune); err != nil || len(intune.OmaSettings) != 3 || intune.OmaSettings[2].Value != 1.0 ||
		!strings.Contains(intune.OmaSettings[0].Value.(string), "56a863a9-875e-4185-98a7-b882c64b5ce5=2|") {
		t.Errorf("profile %+v, %v", intune, err)
	}
}

func TestTypographicQuotesEndNoString(t *testing.T) {
	p := plain(policy.Policy{Mode: policy.Enforce, Spaces: policy.Spaces{Data: []policy.DataPath{{Place: policy.Place{Path: "/srv"}}}}})
	var b bytes.Buffer
	if err := policyexport.AttackSurface(p, policyexport.Options{Places: map[string]string{"/srv": "D:\\a\u2019; calc; \u2018"}}).WritePowerShell(&b, words()); err != nil {
		t.Fatal(err)
	}
	if want := "'D:\\a\u2019\u2019; calc; \u2018\u2018'\n"; !strings.Contains(b.String(), want) {
		t.Errorf("no %q in\n%s", want, b.String())
	}
}

func FuzzPlaces(f *testing.F) {
	p := builtin(f, "standard")
	for _, s := range []string{`D:\data`, `%OSDRIVE%\a "b" & <c>`, "D:\\\u2019", `D:\--`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, folder string) {
		opt := policyexport.Options{Now: now, Places: map[string]string{"/opt": folder, "/var/www": folder}}
		if policyexport.CheckPlaces(p, "appcontrol", opt.Places) != nil {
			return
		}
		if err := checkSiPolicy(asXML(t, policyexport.AppControl(p, opt))); err != nil {
			t.Fatalf("%q: %v", folder, err)
		}
	})
}
