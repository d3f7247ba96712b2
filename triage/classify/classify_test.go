package classify

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/vuln"
)

func typesOf(list []vuln.Typing) []vuln.Type {
	var out []vuln.Type
	for _, t := range list {
		out = append(out, t.Type)
	}
	return out
}

func cwes(source string, ids ...string) []vuln.Weakness {
	var out []vuln.Weakness
	for _, id := range ids {
		out = append(out, vuln.Weakness{CWE: id, Source: source})
	}
	return out
}

func cvss(vector string) []vuln.Severity {
	return []vuln.Severity{{Source: "cna", Vector: vector}}
}

const (
	remoteTotal = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
	localTotal  = "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"
	remoteCrash = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"
	localRead   = "CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:N"
	oddVector   = "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:L/I:L/A:N"
)

// The traps of TRIAGE.md section 1 that a typing can fall into (4, 6 and 7 are the
// table's, in package triage).

func TestWhatABugWouldNotAllowIsNoTypeOfFull(t *testing.T) {
	for _, c := range []struct {
		text string
		want []vuln.Type
	}{
		{"The vulnerability would not allow an attacker to execute code or to elevate user rights directly, but it could cause the system to stop responding.", []vuln.Type{vuln.DoS}},
		{"Note that the vulnerability would not allow an attacker to execute code or gain privileges directly. It leaks nothing.", nil},
		{"An attacker cannot execute arbitrary code; the daemon will crash.", []vuln.Type{vuln.DoS}},
		{"This issue does not lead to code execution, but discloses sensitive information.", []vuln.Type{vuln.Info}},
		{"The parser does not allow for long names, which lets attackers execute arbitrary code.", []vuln.Type{vuln.Exec}},
		{"The server does not check input, so an attacker may execute arbitrary code.", []vuln.Type{vuln.Exec}},
		{"To exploit this vulnerability, an attacker must first gain privileges on the host. It causes a denial of service.", []vuln.Type{vuln.DoS}},
		{"An elevation of privilege vulnerability exists in the driver. An attacker could run arbitrary code in kernel mode.", []vuln.Type{vuln.Priv}},
		{"An elevation of privilege vulnerability exists in the driver. It also allows remote code execution: run arbitrary code.", []vuln.Type{vuln.Exec, vuln.Priv}},
		{"An elevation of privilege exists in the service. An attacker could run arbitrary code with elevated rights. It could be used in conjunction with one or more vulnerabilities (e.g. a remote code execution vulnerability).", []vuln.Type{vuln.Priv}},
		{"An elevation of privilege exists in the driver. To exploit the vulnerability, an attacker would require code execution on the host.", []vuln.Type{vuln.Priv}},
		{"A flaw lets users run arbitrary code by elevation of privilege.", []vuln.Type{vuln.Exec, vuln.Priv}},
		{"An attacker can leverage this in conjunction with other vulnerabilities to execute arbitrary code.", nil},
	} {
		if got := typesOf(Full(Input{Details: c.text})); !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

func TestAStatedConsequenceIsNotAddedToByWhatUsuallyFollows(t *testing.T) {
	for _, c := range []struct {
		text   string
		cwe    string
		vector string
		want   []vuln.Type
	}{
		{"A remote code execution vulnerability exists when the parser reads XML.", "CWE-611", "", []vuln.Type{vuln.Exec}},
		{"The parser reads XML.", "CWE-611", "", []vuln.Type{vuln.Info}},
		{"A flaw in a service, aka 'Desktop Remote Code Execution Vulnerability'.", "CWE-287", "", []vuln.Type{vuln.Exec}},
		{"A remote code execution vulnerability exists in the engine.", "CWE-119", localTotal, []vuln.Type{vuln.Exec, vuln.Overflow, vuln.MemCorr}},
		{"A buffer is written past its end.", "CWE-119", localTotal, []vuln.Type{vuln.Overflow, vuln.MemCorr, vuln.Priv}},
		{"Improper access control in a service allows an authorized attacker to elevate privileges locally.", "CWE-284", "", []vuln.Type{vuln.Priv}},
		{"Null pointer dereference in a driver allows an authorized attacker to disclose information locally.", "CWE-476", "", []vuln.Type{vuln.Info}},
		{"Uncontrolled resource consumption allows an unauthorized attacker to deny service over a network.", "", "", []vuln.Type{vuln.DoS}},
		{"An elevation of privilege vulnerability exists when links are made, allowing a sandbox escape.", "", "", []vuln.Type{vuln.Priv}},
		{"A race allows a sandbox escape.", "", "", []vuln.Type{vuln.Bypass}},
		{"An information disclosure vulnerability exists that could lead to a Kernel Address Space Layout Randomization (KASLR) bypass.", "", "", []vuln.Type{vuln.Info}},
		{"A security feature bypass vulnerability exists in the loader: an ASLR bypass.", "", "", []vuln.Type{vuln.Bypass}},
		{"An elevation of privilege vulnerability exists when a process crash is reported.", "", "", []vuln.Type{vuln.Priv}},
		{"An elevation of privilege vulnerability exists in a driver. It also causes a denial of service.", "", "", []vuln.Type{vuln.DoS, vuln.Priv}},
	} {
		in := Input{Details: c.text, Weaknesses: cwes("nvd", c.cwe), Severities: cvss(c.vector)}
		if got := typesOf(Full(in)); !slices.Equal(got, c.want) {
			t.Errorf("%q with %s %s: %v, want %v", c.text, c.cwe, c.vector, got, c.want)
		}
	}
	// The vendor's impact is a statement too, and counts beside another one.
	in := Input{Details: "A denial of service vulnerability exists in a driver.", Impacts: []vuln.Impact{{Word: "Elevation of Privilege", Source: "msrc"}}}
	if got := typesOf(Full(in)); !slices.Equal(got, []vuln.Type{vuln.DoS, vuln.Priv}) {
		t.Errorf("with the vendor's other word: %v", got)
	}
}

func TestQueriesAndScriptsAreExecOnlyInTheCompatibleSet(t *testing.T) {
	for _, text := range []string{
		"An attacker may execute arbitrary SQL commands.",
		"Lets remote users execute arbitrary SQL via the id parameter.",
		"Lets attackers execute arbitrary JavaScript code in the page.",
		"JavaScript code execution is possible.",
	} {
		in := Input{Details: text}
		if !slices.Contains(CVEDetails(in), vuln.Exec) {
			t.Errorf("%q: the compatible set has no exec", text)
		}
		if got := typesOf(Full(in)); slices.Contains(got, vuln.Exec) {
			t.Errorf("%q: full has exec", text)
		}
	}
	// An injection's vector is the query's, also where a broad weakness may mean exec.
	in := Input{Details: "SQL injection in the login form.", Weaknesses: cwes("cna", "CWE-74", "CWE-89"), Severities: cvss(remoteTotal)}
	if got := typesOf(Full(in)); !slices.Equal(got, []vuln.Type{vuln.SQLi}) {
		t.Errorf("full of an SQL injection: %v", got)
	}
	// Real code execution beside it still counts.
	in.Details = "SQL injection in the login form allows to execute arbitrary SQL. It leads to remote code execution."
	if got := typesOf(Full(in)); !slices.Equal(got, []vuln.Type{vuln.Exec, vuln.SQLi}) {
		t.Errorf("full of an SQL injection with code execution: %v", got)
	}
}

func TestTitleInTheTextCountsAndTheListOfIdsDoesNot(t *testing.T) {
	in := Input{Details: "A flaw exists in the widget driver, aka 'Widget Information Disclosure Vulnerability'. " +
		"This CVE ID is unique from CVE-2019-0001 (Denial of Service), CVE-2019-0002."}
	if got := typesOf(Full(in)); !slices.Equal(got, []vuln.Type{vuln.Info}) {
		t.Errorf("types %v, want info alone", got)
	}
	in.Details = strings.ReplaceAll(in.Details, "'", "\"")
	if got := typesOf(Full(in)); !slices.Equal(got, []vuln.Type{vuln.Info}) {
		t.Errorf("types %v with double quotes, want info alone", got)
	}
	if got := typesOf(Full(Input{Title: "Widget Elevation of Privilege Vulnerability"})); !slices.Equal(got, []vuln.Type{vuln.Priv}) {
		t.Errorf("types %v of a record's title, want priv", got)
	}
}

func TestSymbolsOfAKernelTraceAreNoTypes(t *testing.T) {
	const head = "In the Linux kernel, the following has been resolved:\n\nnet: widget: take the lock\n\nThe counter was read without it.\n\n"
	for name, c := range map[string]struct {
		text string
		want []vuln.Type
	}{
		"frames with offsets": {head + "[   41.664251] Call trace:\n[   41.766695]  check_overflow+0x67/0x878\n[   41.7] crash+0x2c/0x40 [bypass]\n", nil},
		"frames of syzbot":    {head + "Call Trace:\n stack_overflow kernel/overflow.c:88 [inline]\n crash lib/x.c:106\n </TASK>\n", nil},
		"a log's lines":       {head + "[  607.400437] widget: overflow, hang, crash\n", nil},
		"registers":           {head + "RIP: 0010:bypass+0x1/0x2\nCode: 48 89 denial of service\n", nil},
		"no line breaks":      {"widget: take the lock. Call Trace: check overflow+0x1/0x2 crash crash+0x4/0x9 [w] Take it.", nil},
		"a symbol in a line":  {"Use check_add_overflow() and bypass() there, see overflow.h and w->overflow.", nil},
		"what people wrote":   {head + "It ends in an integer overflow.\n\nCall Trace:\n crash+0x1/0x2\n\nThe machine may crash later.\n", []vuln.Type{vuln.DoS, vuln.Overflow}},
		"what UBSAN says":     {head + "UBSAN: signed-integer-overflow in crash+0x12/0x40\n", []vuln.Type{vuln.Overflow}},
		"before a trace":      {"A heap overflow. Call Trace: crash+0x1/0x2", []vuln.Type{vuln.Overflow}},
	} {
		if got := typesOf(Full(Input{Details: c.text})); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestRejectedRecordsHaveNoTypes(t *testing.T) {
	for _, in := range []Input{
		{Details: "Buffer overflow.", Rejected: true},
		{Details: "** REJECT ** DO NOT USE. Was a buffer overflow."},
		{Details: " Rejected reason: duplicate of a buffer overflow."},
	} {
		if got := Full(in); got != nil {
			t.Errorf("full of %q: %v", in.Details, got)
		}
		if got := CVEDetails(in); got != nil {
			t.Errorf("compatible types of %q: %v", in.Details, got)
		}
	}
}

func TestCompatibleSetKnowsOnlyItsOwnWordsAndWeaknesses(t *testing.T) {
	for _, c := range []struct {
		in   Input
		want []vuln.Type
	}{
		{Input{Details: "A DoS. A denial-of-service. Elevation of privilege. Privilege escalation. Path traversal. CRLF injection."}, nil},
		{Input{Details: "A denial of service."}, []vuln.Type{vuln.DoS}},
		{Input{Details: "Odd.", Weaknesses: cwes("nvd", "CWE-119", "CWE-89", "CWE-79", "CWE-22", "CWE-200")},
			[]vuln.Type{vuln.Overflow, vuln.SQLi, vuln.XSS, vuln.Traversal, vuln.Info}},
		{Input{Details: "Odd.", Weaknesses: cwes("nvd", "CWE-352", "CWE-120", "CWE-416", "NVD-CWE-Other")}, nil},
		{Input{Details: "Odd.", Severities: cvss(remoteTotal), Impacts: []vuln.Impact{{Word: "Remote Code Execution"}}}, nil},
		{Input{Title: "Widget XSS"}, []vuln.Type{vuln.XSS}},
		{Input{Title: "Widget XSS", Details: "An injection."}, nil},
		{Input{Details: "Would not allow to execute code."}, []vuln.Type{vuln.Exec}},
		{Input{Details: "Gains admin rights by CSRF through inclusion of a profile."}, []vuln.Type{vuln.Priv, vuln.CSRF, vuln.Inclusion}},
	} {
		if got := CVEDetails(c.in); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.in, got, c.want)
		}
	}
}

func TestEveryTypingOfFullSaysSourceConfidenceAndEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		in   Input
		want []vuln.Typing
	}{
		"text": {Input{Details: "Lets attackers execute arbitrary code."},
			[]vuln.Typing{{Type: vuln.Exec, Source: "text", Confidence: "high", Why: `"execute arbitrary code"`}}},
		"a weakness": {Input{Details: "Odd.", Weaknesses: cwes("nvd", "CWE-352")},
			[]vuln.Typing{{Type: vuln.CSRF, Source: "cwe", Confidence: "high", Why: "CWE-352 (nvd)"}}},
		"CISA's weakness": {Input{Details: "Odd.", Weaknesses: cwes("cisa-adp", "CWE-352 Cross-Site")},
			[]vuln.Typing{{Type: vuln.CSRF, Source: "adp", Confidence: "high", Why: "CWE-352 Cross-Site (cisa-adp)"}}},
		"vendor": {Input{Title: "Odd", Impacts: []vuln.Impact{{Word: "Security Feature Bypass", Source: "msrc"}, {Word: "Spoofing"}}},
			[]vuln.Typing{{Type: vuln.Bypass, Source: "vendor", Confidence: "high", Why: "Security Feature Bypass (msrc)"}}},
		"strong evidence replaces weak": {Input{Details: "Inclusion of a profile.", Weaknesses: cwes("nvd", "CWE-98")},
			[]vuln.Typing{{Type: vuln.Exec, Source: "cwe", Confidence: "high", Why: "CWE-98 (nvd)"}, {Type: vuln.Inclusion, Source: "cwe", Confidence: "high", Why: "CWE-98 (nvd)"}}},
		"a weakness the text supports": {Input{Details: "A race makes the kernel panic.", Weaknesses: cwes("cna", "CWE-667")},
			[]vuln.Typing{{Type: vuln.DoS, Source: "cwe", Confidence: "low", Why: `CWE-667 (cna) and "panic"`}}},
		"a weakness the vector supports": {Input{Details: "A race.", Weaknesses: cwes("cna", "CWE-667"), Severities: cvss(remoteCrash)},
			[]vuln.Typing{{Type: vuln.DoS, Source: "cwe", Confidence: "low", Why: "CWE-667 (cna) and " + remoteCrash + " (cna)"}}},
		"a weakness nothing supports": {Input{Details: "A race.", Weaknesses: cwes("cna", "CWE-667"), Severities: cvss(oddVector)}, nil},
		"link following where it is local": {Input{Details: "A flaw.", Weaknesses: cwes("nvd", "CWE-59"), Severities: cvss(localRead)},
			[]vuln.Typing{{Type: vuln.Priv, Source: "cwe", Confidence: "low", Why: "CWE-59 (nvd) and " + localRead + " (cna)"}}},
		"link following from afar": {Input{Details: "A flaw.", Weaknesses: cwes("nvd", "CWE-59"), Severities: cvss(oddVector)}, nil},
	} {
		if diff := cmp.Diff(c.want, Full(c.in)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestVectorSpeaksWhereNothingElseDidOrMemoryIsUnsafe(t *testing.T) {
	for _, c := range []struct {
		name, vector string
		cwes         []string
		text         string
		want         []vuln.Type
		confidence   string // of the first
	}{
		{"availability alone", remoteCrash, nil, "A flaw.", []vuln.Type{vuln.DoS}, "high"},
		{"confidentiality alone", localRead, nil, "A flaw.", []vuln.Type{vuln.Info}, "high"},
		{"local total", localTotal, nil, "A flaw.", []vuln.Type{vuln.Priv}, "high"},
		{"local total with a victim's help", "CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", nil, "A flaw.", []vuln.Type{vuln.Priv}, "low"},
		{"remote total", remoteTotal, nil, "A flaw.", []vuln.Type{vuln.Exec}, "low"},
		{"remote total, version 4", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", nil, "A flaw.", []vuln.Type{vuln.Exec}, "low"},
		{"remote total, version 2", "AV:N/AC:L/Au:N/C:C/I:C/A:C", nil, "A flaw.", []vuln.Type{vuln.Exec}, "low"},
		{"remote partial, version 2", "AV:N/AC:L/Au:N/C:P/I:N/A:N", nil, "A flaw.", []vuln.Type{vuln.Info}, "high"},
		{"with temporal metrics", remoteCrash + "/E:P/RL:O/RC:C", nil, "A flaw.", []vuln.Type{vuln.DoS}, "high"},
		{"nothing clear", oddVector, nil, "A flaw.", nil, ""},
		{"an unreadable vector", "CVSS:3.1/AV:N/AC", nil, "A flaw.", nil, ""},
		{"the text spoke", remoteCrash, nil, "An XSS.", []vuln.Type{vuln.XSS}, "high"},
		{"memory, remote", remoteTotal, []string{"CWE-416"}, "A flaw.", []vuln.Type{vuln.Exec, vuln.MemCorr}, "low"},
		{"memory, local", localTotal, []string{"CWE-416"}, "A flaw.", []vuln.Type{vuln.MemCorr, vuln.Priv}, "high"},
		{"memory, crash only", remoteCrash, []string{"CWE-416"}, "A flaw.", []vuln.Type{vuln.DoS, vuln.MemCorr}, "high"},
		{"memory, read only", localRead, []string{"CWE-416"}, "A flaw.", []vuln.Type{vuln.MemCorr, vuln.Info}, "high"},
		{"memory, local without integrity", "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:N/A:H", []string{"CWE-416"}, "A flaw.", []vuln.Type{vuln.MemCorr}, "high"},
	} {
		got := Full(Input{Details: c.text, Weaknesses: cwes("nvd", c.cwes...), Severities: cvss(c.vector)})
		if !slices.Equal(typesOf(got), c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		} else if len(got) > 0 && got[0].Confidence != c.confidence {
			t.Errorf("%s: confidence %s, want %s", c.name, got[0].Confidence, c.confidence)
		}
	}
}

func TestWordsBeyondTheCompatibleSet(t *testing.T) {
	for text, want := range map[string]vuln.Type{
		"A denial-of-service.": vuln.DoS, "A DoS.": vuln.DoS, "The server will stop responding.": vuln.DoS, "It crashes.": vuln.DoS, "It may hang.": vuln.DoS, "An infinite loop.": vuln.DoS,
		"An elevation of privilege.": vuln.Priv, "Local privilege escalation.": vuln.Priv, "A user may escalate their privileges.": vuln.Priv,
		"An information disclosure.": vuln.Info, "An information leak.": vuln.Info, "Lets users read arbitrary files.": vuln.Info, "It reads arbitrary kernel memory.": vuln.Info,
		"A path traversal.": vuln.Traversal, "A Zip Slip.": vuln.Traversal,
		"A security feature bypass.": vuln.Bypass, "A sandbox escape.": vuln.Bypass, "A guest may escape from the sandbox.": vuln.Bypass,
		"A CRLF injection.": vuln.Splitting, "An OS command injection.": vuln.Exec, "A remote code execution.": vuln.Exec,
		"Unsafe deserialization may lead to running code.": vuln.Exec,
	} {
		if got := typesOf(Full(Input{Details: text})); !slices.Equal(got, []vuln.Type{want}) {
			t.Errorf("%q: %v, want %s alone", text, got, want)
		}
	}
	for _, text := range []string{"It changes the exchange.", "Runs on MS-DOS.", "Protects against administrators.", "Runs with elevated privileges.", "Deserialization of data.", "A sandbox."} {
		if got := Full(Input{Details: text}); got != nil {
			t.Errorf("%q: %v, want none", text, got)
		}
	}
}

func TestTagsAreSpoofingAndTampering(t *testing.T) {
	in := Input{Impacts: []vuln.Impact{{Word: "Tampering"}, {Word: "Spoofing"}, {Word: "spoofing"}, {Word: "Denial of Service"}}}
	if got, want := Tags(in), []string{"spoofing", "tampering"}; !slices.Equal(got, want) {
		t.Errorf("tags %v, want %v", got, want)
	}
}

// TestWeaknessTableIsThePages checks single ids of every row of TRIAGE.md 1b.3,
// range ends among them, as (always, if agreed) sets.
func TestWeaknessTableIsThePages(t *testing.T) {
	for n, want := range map[int][2][]vuln.Type{
		369: {{vuln.DoS}, nil}, 1333: {{vuln.DoS}, nil}, 476: {{vuln.DoS}, nil}, 20: {nil, {vuln.DoS}}, 125: {nil, {vuln.DoS, vuln.Info}},
		404: {nil, {vuln.DoS, vuln.MemCorr}}, 77: {{vuln.Exec}, nil}, 98: {{vuln.Exec, vuln.Inclusion}, nil}, 502: {{vuln.Exec}, nil}, 427: {nil, {vuln.Exec, vuln.Priv}},
		119: {{vuln.Overflow}, {vuln.MemCorr}}, 787: {{vuln.Overflow}, {vuln.MemCorr}}, 129: {nil, {vuln.Overflow}}, 416: {{vuln.MemCorr}, nil}, 362: {nil, {vuln.MemCorr, vuln.Priv}},
		89: {{vuln.SQLi}, nil}, 943: {nil, {vuln.SQLi}}, 79: {{vuln.XSS}, nil}, 692: {nil, {vuln.XSS}}, 22: {{vuln.Traversal}, nil}, 29: {{vuln.Traversal}, nil}, 30: {nil, nil}, 34: {nil, nil},
		35: {{vuln.Traversal}, nil}, 40: {{vuln.Traversal}, nil}, 73: {nil, {vuln.Traversal}}, 113: {{vuln.Splitting}, nil}, 93: {nil, {vuln.Splitting}},
		302: {{vuln.Bypass}, nil}, 307: {{vuln.Bypass}, nil}, 863: {{vuln.Bypass}, nil}, 798: {nil, {vuln.Bypass}}, 200: {{vuln.Info}, nil}, 204: {{vuln.Info}, nil}, 205: {nil, nil},
		215: {{vuln.Info}, nil}, 527: {{vuln.Info}, nil}, 922: {{vuln.Info}, nil}, 918: {nil, {vuln.Info}}, 250: {{vuln.Priv}, nil}, 265: {{vuln.Priv}, nil}, 274: {{vuln.Priv}, nil},
		264: {nil, {vuln.Priv}}, 59: {nil, {vuln.Priv}}, 352: {{vuln.CSRF}, nil}, 829: {nil, {vuln.Exec, vuln.Inclusion}}, 16: {nil, nil}, 19: {nil, nil}, 601: {nil, nil}, 1021: {nil, nil}, 0: {nil, nil},
	} {
		got := [2][]vuln.Type{weaknesses[n].always.types(), weaknesses[n].ifAgree.types()}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("CWE-%d: (-want +got)\n%s", n, diff)
		}
	}
	for cwe, want := range map[string]int{"CWE-79": 79, "cwe-79: XSS": 79, "NVD-CWE-Other": 0, "NVD-CWE-noinfo": 0, "CWE-": 0, "": 0, "CWE-99999999999": 999999} {
		if got := number(cwe); got != want {
			t.Errorf("number(%q) = %d, want %d", cwe, got, want)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add("Widget", "A heap overflow.\n\nCall Trace:\n crash+0x1/0x2\n", "CWE-787", "Remote Code Execution", remoteTotal)
	f.Add("", "would not allow an attacker to execute code, but", "CWE-59", "Spoofing", "AV:L/AC:L/Au:N/C:C/I:C/A:C")
	f.Add("x", "** REJECT ** unique from CVE-", "NVD-CWE-Other", "", "CVSS:4.0/AV:N")
	for _, e := range edges {
		f.Add("", e, "CWE-20", "", localRead)
	}
	f.Fuzz(func(t *testing.T, title, details, cwe, impact, vector string) {
		in := Input{Title: title, Details: details, Weaknesses: cwes("cisa-adp", cwe), Impacts: []vuln.Impact{{Word: impact}}, Severities: cvss(vector)}
		got := Full(in)
		if diff := cmp.Diff(got, Full(in)); diff != "" {
			t.Errorf("two answers to the same question:\n%s", diff)
		}
		last := -1
		for _, typing := range got {
			i := slices.Index(vuln.Types, typing.Type)
			if i <= last {
				t.Errorf("type %q is unknown, repeated or out of table order in %v", typing.Type, got)
			}
			last = i
			if typing.Why == "" || !slices.Contains([]string{high, low}, typing.Confidence) ||
				!slices.Contains([]string{fromText, fromCWE, fromADP, fromVendor, fromCVSS}, typing.Source) {
				t.Errorf("typing without source, confidence or evidence: %+v", typing)
			}
		}
		if compatible := CVEDetails(in); !slices.Equal(compatible, typesOf(CVEDetailsTypings(in))) {
			t.Errorf("CVEDetails and its typings differ: %v", compatible)
		}
	})
}

func BenchmarkFull(b *testing.B) {
	var list []named
	size := 0
	for in := range realInputs(b) {
		list = append(list, in)
		size += len(in.Details)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Full(list[i%len(list)].Input)
	}
	b.ReportMetric(float64(size)/float64(len(list)), "bytes/text")
}

func BenchmarkCVEDetails(b *testing.B) {
	var list []named
	for in := range realInputs(b) {
		list = append(list, in)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		CVEDetails(list[i%len(list)].Input)
	}
}
