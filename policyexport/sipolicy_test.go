package policyexport_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/internal/realdata"
)

// shape is what Microsoft's schema (cipolicy.xsd) says of one element, as far as we
// write it. order: its children stand in the order given; otherwise in any.
type shape struct {
	attributes map[string]*regexp.Regexp
	required   []string
	children   []child
	order      bool
	text       *regexp.Regexp // nil: no text
}

type child struct {
	name     string
	min, max int
}

var (
	anyText = regexp.MustCompile(`(?s)^.*$`)
	guidOf  = regexp.MustCompile(`^\{[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}\}$`)
	version = regexp.MustCompile(`^[0-9]*.[0-9]*.[0-9]*.[0-9]*$`)
	hexes   = regexp.MustCompile(`^([0-9a-fA-F]{2})*$`)
	number  = regexp.MustCompile(`^[0-9]+$`)
	option  = regexp.MustCompile(`^(Enabled:(UMCI|Boot Menu Protection|Intelligent Security Graph Authorization|Invalidate EAs on Reboot|` +
		`Developer Mode Dynamic Code Trust|Allow Supplemental Policies|Revoked Expired As Unsigned|Audit Mode|Inherit Default Policy|` +
		`Unsigned System Integrity Policy|Dynamic Code Security|Boot Audit On Failure|Advanced Boot Options Menu|Secure Setting Policy|` +
		`Managed Installer|Update Policy No Reboot|Conditional Windows Lockdown Policy)|Required:(WHQL|EV Signers|Enforce Store Applications)|` +
		`Disabled:(Runtime FilePath Rule Protection|Flight Signing|Script Enforcement))$`)
)

func id(kinds string) *regexp.Regexp {
	return regexp.MustCompile(`^ID_(` + kinds + `)_[A-Z][_A-Z0-9]*$`)
}

func attributes(pairs ...any) map[string]*regexp.Regexp {
	out := map[string]*regexp.Regexp{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i].(string)] = pairs[i+1].(*regexp.Regexp)
	}
	return out
}

func fileRule(kind string) shape {
	return shape{required: []string{"ID"}, attributes: attributes("ID", id(kind), "FriendlyName", anyText, "FileName", anyText,
		"MinimumFileVersion", version, "MaximumFileVersion", version, "FilePath", anyText)}
}

const many = 10_000_000

// shapes of the elements by the path of their parents: "Value" is two things.
var shapes = map[string]shape{
	"SiPolicy": {attributes: attributes("PolicyType", regexp.MustCompile(`^(Base|Supplemental) Policy$`)), children: []child{
		{"VersionEx", 1, 1}, {"PlatformID", 1, 1}, {"PolicyID", 0, 1}, {"BasePolicyID", 0, 1}, {"Rules", 1, 1}, {"EKUs", 0, 1}, {"FileRules", 0, 1},
		{"Signers", 0, 1}, {"SigningScenarios", 0, 1}, {"UpdatePolicySigners", 0, 1}, {"CiSigners", 0, 1}, {"HvciOptions", 0, 1}, {"Settings", 0, 1}}},
	"VersionEx": {text: version}, "PlatformID": {text: guidOf}, "PolicyID": {text: guidOf}, "BasePolicyID": {text: guidOf}, "HvciOptions": {text: number},
	"Rules": {children: []child{{"Rule", 0, 65535}}}, "Rule": {children: []child{{"Option", 1, 1}}}, "Option": {text: option},
	"EKUs": {children: []child{{"EKU", 0, 255 * 255}}}, "EKU": {attributes: attributes("ID", id("EKU"), "Value", hexes, "FriendlyName", anyText), required: []string{"ID"}},
	"FileRules": {children: []child{{"Allow", 0, many}, {"Deny", 0, many}}}, "Allow": fileRule("ALLOW"), "Deny": fileRule("DENY"),
	"Signers": {children: []child{{"Signer", 0, many}}},
	"Signer": {attributes: attributes("ID", id("SIGNER"), "Name", anyText), required: []string{"ID", "Name"},
		children: []child{{"CertRoot", 1, 1}, {"CertEKU", 0, 255}}, order: true},
	"CertRoot":         {attributes: attributes("Type", regexp.MustCompile(`^(TBS|Wellknown)$`), "Value", hexes), required: []string{"Type", "Value"}},
	"CertEKU":          {attributes: attributes("ID", id("EKU")), required: []string{"ID"}},
	"SigningScenarios": {children: []child{{"SigningScenario", 0, 255}}},
	"SigningScenario": {attributes: attributes("ID", id("SIGNINGSCENARIO"), "FriendlyName", anyText, "Value", regexp.MustCompile(`^([01]?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])$`)),
		required: []string{"ID", "Value"}, children: []child{{"ProductSigners", 1, 1}}, order: true},
	"ProductSigners": {children: []child{{"AllowedSigners", 0, 1}, {"FileRulesRef", 0, 1}}},
	"AllowedSigners": {children: []child{{"AllowedSigner", 1, many}}}, "AllowedSigner": {attributes: attributes("SignerId", id("SIGNER")), required: []string{"SignerId"}},
	"FileRulesRef": {children: []child{{"FileRuleRef", 1, many}}}, "FileRuleRef": {attributes: attributes("RuleID", id("ALLOW|DENY"))},
	"UpdatePolicySigners": {}, "CiSigners": {},
	"Settings": {children: []child{{"Setting", 0, 65535}}},
	"Setting": {attributes: attributes("Provider", anyText, "Key", anyText, "ValueName", anyText), required: []string{"Provider", "Key", "ValueName"},
		children: []child{{"Value", 1, 1}}, order: true},
	"Value": {children: []child{{"String", 1, 1}}, order: true}, "String": {text: anyText},
}

type node struct {
	name       string
	attributes map[string]string
	children   []*node
	text       string
}

func parseXML(text string) (*node, error) {
	dec := xml.NewDecoder(strings.NewReader(text))
	root := &node{}
	stack := []*node{root}
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		top := stack[len(stack)-1]
		switch t := token.(type) {
		case xml.StartElement:
			n := &node{name: t.Name.Local, attributes: map[string]string{}}
			if t.Name.Space != "urn:schemas-microsoft-com:sipolicy" {
				return nil, fmt.Errorf("%s is in the namespace %q", n.name, t.Name.Space)
			}
			for _, a := range t.Attr {
				if a.Name.Local != "xmlns" {
					n.attributes[a.Name.Local] = a.Value
				}
			}
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 || root.children[0].name != "SiPolicy" {
		return nil, fmt.Errorf("the root is no SiPolicy")
	}
	return root.children[0], nil
}

// check holds an element against its shape.
func (n *node) check() error {
	s, known := shapes[n.name]
	if !known {
		return fmt.Errorf("element %s", n.name)
	}
	for name, value := range n.attributes {
		if s.attributes[name] == nil || !s.attributes[name].MatchString(value) {
			return fmt.Errorf("%s: attribute %s=%q", n.name, name, value)
		}
	}
	for _, name := range s.required {
		if _, ok := n.attributes[name]; !ok {
			return fmt.Errorf("%s: no attribute %s", n.name, name)
		}
	}
	if s.text == nil && strings.TrimSpace(n.text) != "" || s.text != nil && !s.text.MatchString(n.text) {
		return fmt.Errorf("%s: text %q", n.name, n.text)
	}
	return n.checkChildren(s)
}

func (n *node) checkChildren(s shape) error {
	last := 0
	count := map[string]int{}
	for _, c := range n.children {
		at := slices.IndexFunc(s.children, func(x child) bool { return x.name == c.name })
		if at < 0 || s.order && at < last {
			return fmt.Errorf("%s: child %s", n.name, c.name)
		}
		last = at
		count[c.name]++
		if err := c.check(); err != nil {
			return err
		}
	}
	for _, c := range s.children {
		if count[c.name] < c.min || count[c.name] > c.max {
			return fmt.Errorf("%s: %d times %s", n.name, count[c.name], c.name)
		}
	}
	return nil
}

// references checks what a schema cannot say: identifiers are there once, and what is
// referred to is there.
func (n *node) references() error {
	defined, used := map[string]int{}, map[string]bool{}
	var walk func(*node)
	walk = func(x *node) {
		for _, name := range []string{"ID"} {
			if v := x.attributes[name]; v != "" && x.name != "CertEKU" {
				defined[v]++
			}
		}
		for _, name := range []string{"SignerId", "RuleID"} {
			if v := x.attributes[name]; v != "" {
				used[v] = true
			}
		}
		if x.name == "CertEKU" {
			used[x.attributes["ID"]] = true
		}
		for _, c := range x.children {
			walk(c)
		}
	}
	walk(n)
	for v, times := range defined {
		if times > 1 {
			return fmt.Errorf("%s is defined %d times", v, times)
		}
		if !used[v] && !strings.HasPrefix(v, "ID_SIGNINGSCENARIO_") {
			return fmt.Errorf("%s is used nowhere", v)
		}
	}
	for v := range used {
		if defined[v] == 0 {
			return fmt.Errorf("%s is not defined", v)
		}
	}
	return nil
}

func checkSiPolicy(text string) error {
	n, err := parseXML(text)
	if err != nil {
		return err
	}
	return n.check()
}

// schema is Microsoft's own, which every Windows has and this repository has not: it is
// read from $KANNUKI_SIPOLICY_XSD or the folder of real data. libxml2 takes "\$" in a
// pattern for a mistake, so it reads a copy with "$".
func schema(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KANNUKI_SIPOLICY_XSD")
	if path == "" {
		path = realdata.Path(t, "schemas/cipolicy.xsd")
	}
	if _, err := exec.LookPath("xmllint"); err != nil {
		t.Skipf("SKIPPED: no xmllint: %v", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "cipolicy.xsd")
	if err := os.WriteFile(copied, []byte(strings.ReplaceAll(string(text), `\$`, `$`)), 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// lint asks xmllint; "" where it finds nothing.
func lint(t *testing.T, xsd, text string) string {
	t.Helper()
	cmd := exec.Command("xmllint", "--noout", "--schema", xsd, "-")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return string(out)
}
