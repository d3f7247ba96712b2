package policyexport

import (
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The elements of a code integrity policy, in the order in which Microsoft's own
// policies have them (schema urn:schemas-microsoft-com:sipolicy, on every Windows in
// %WINDIR%\schemas\CodeIntegrity\cipolicy.xsd).

type siPolicy struct {
	XMLName    xml.Name     `xml:"urn:schemas-microsoft-com:sipolicy SiPolicy"`
	Type       string       `xml:"PolicyType,attr"`
	Version    string       `xml:"VersionEx"`
	Platform   string       `xml:"PlatformID"`
	Rules      []siOption   `xml:"Rules>Rule"`
	EKUs       []siEKU      `xml:"EKUs>EKU"`
	FileRules  siFileRules  `xml:"FileRules"`
	Signers    []siSigner   `xml:"Signers>Signer"`
	Scenarios  []siScenario `xml:"SigningScenarios>SigningScenario"`
	Updaters   string       `xml:"UpdatePolicySigners"`
	CISigners  string       `xml:"CiSigners"`
	Hypervisor int          `xml:"HvciOptions"`
	Base       string       `xml:"BasePolicyID"`
	ID         string       `xml:"PolicyID"`
	Settings   []siSetting  `xml:"Settings>Setting"`
}

type siOption struct {
	Option string
}

type siEKU struct {
	ID    string `xml:"ID,attr"`
	Name  string `xml:"FriendlyName,attr"`
	Value string `xml:"Value,attr"`
}

type siFileRules struct {
	Allow []siFileRule `xml:"Allow"`
	Deny  []siFileRule `xml:"Deny"`
}

type siFileRule struct {
	ID      string `xml:"ID,attr"`
	Name    string `xml:"FriendlyName,attr"`
	File    string `xml:"FileName,attr,omitempty"`
	Minimum string `xml:"MinimumFileVersion,attr,omitempty"`
	Maximum string `xml:"MaximumFileVersion,attr,omitempty"`
	Path    string `xml:"FilePath,attr,omitempty"`
}

type siSigner struct {
	ID   string `xml:"ID,attr"`
	Name string `xml:"Name,attr"`
	Root struct {
		Type  string `xml:"Type,attr"`
		Value string `xml:"Value,attr"`
	} `xml:"CertRoot"`
	EKU struct {
		ID string `xml:"ID,attr"`
	} `xml:"CertEKU"`
}

type siScenario struct {
	Value   int           `xml:"Value,attr"`
	ID      string        `xml:"ID,attr"`
	Name    string        `xml:"FriendlyName,attr"`
	Signers *siSigned     `xml:"ProductSigners>AllowedSigners"`
	Files   *siReferences `xml:"ProductSigners>FileRulesRef"`
}

type siSigned struct {
	Signers []siSignerRef `xml:"AllowedSigner"`
}

type siSignerRef struct {
	ID string `xml:"SignerId,attr"`
}

type siReferences struct {
	Rules []siRuleRef `xml:"FileRuleRef"`
}

type siRuleRef struct {
	ID string `xml:"RuleID,attr"`
}

type siSetting struct {
	Provider string `xml:"Provider,attr"`
	Key      string `xml:"Key,attr"`
	Name     string `xml:"ValueName,attr"`
	Text     string `xml:"Value>String"`
}

// platform is the PlatformID of every policy for Windows.
const platform = "{2E07F7E4-194C-4D20-B7C9-6F44A6C5A234}"

// The signing scenarios: kernel and user mode.
const (
	kernelMode = 131
	userMode   = 12
)

// usages are what certificates of parts of Windows are for, by object identifier
// (arcs below 1.3.6.1.4.1.311, Microsoft's).
var usages = []struct {
	id, name string
	arcs     []int
}{
	{"WINDOWS", "Windows system component", []int{10, 3, 6}},
	{"WHQL", "driver, tested by the hardware laboratory", []int{10, 3, 5}},
	{"ELAM", "antimalware that starts early", []int{61, 4, 1}},
	{"HAL", "extension of the hardware layer", []int{61, 5, 1}},
	{"RT", "Windows RT component", []int{10, 3, 21}},
	{"DCODEGEN", "code that Windows generates", []int{76, 5, 1}},
	{"AM", "antimalware", []int{76, 11, 1}},
	{"ENCLAVE", "enclave", []int{10, 3, 42}},
}

// roots are the certificates Windows knows by number that its parts chain to.
const (
	rootProduct1997  = "05"
	rootProduct2010  = "06"
	rootStandard2011 = "07"
)

// signers of Windows itself, and of the drivers it takes.
var signers = []struct {
	id, name, root, usage string
	kernel, user          bool
}{
	{"WINDOWS", "Windows", rootProduct2010, "WINDOWS", true, true},
	{"ELAM", "early antimalware", rootProduct2010, "ELAM", true, true},
	{"HAL", "hardware layer", rootProduct2010, "HAL", true, true},
	{"WHQL", "drivers", rootProduct2010, "WHQL", true, true},
	{"WHQL_SHA1", "drivers, older", rootProduct1997, "WHQL", true, true},
	{"RT", "Windows RT", rootProduct2010, "RT", false, true},
	{"DCODEGEN", "generated code", rootProduct2010, "DCODEGEN", false, true},
	{"AM", "antimalware", rootStandard2011, "AM", false, true},
	{"ENCLAVE", "enclaves", rootStandard2011, "ENCLAVE", false, true},
}

// objectIdentifier writes 1.3.6.1.4.1.311 and arcs as a policy has it: DER, but with 01
// for the tag.
func objectIdentifier(arcs []int) string {
	der := []byte{0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37}
	for _, a := range arcs {
		if a > 0x7f {
			der = append(der, byte(a>>7)|0x80)
		}
		der = append(der, byte(a&0x7f))
	}
	return strings.ToUpper(hex.EncodeToString(append([]byte{0x01, byte(len(der))}, der...)))
}

// WriteXML writes the policy as XML that Windows' ConvertFrom-CIPolicy takes. What words
// say and the gaps are a comment at its beginning.
func (c CodeIntegrity) WriteXML(w io.Writer, words Words) error {
	body, err := xml.MarshalIndent(c.document(), "", "  ")
	if err != nil {
		return err
	}
	text := string(body)
	for _, name := range []string{"EKU", "Allow", "Deny", "CertRoot", "CertEKU", "AllowedSigner", "FileRuleRef", "UpdatePolicySigners", "CiSigners"} {
		text = strings.ReplaceAll(text, "></"+name+">", " />")
	}
	_, err = io.WriteString(w, xml.Header+comment(words.remarks(c.Gaps))+text+"\n")
	return err
}

// comment is a comment of XML, in which no two hyphens may stand together.
func comment(lines []string) string {
	var b strings.Builder
	b.WriteString("<!--\n")
	for _, line := range lines {
		b.WriteString("  " + strings.ReplaceAll(strings.ReplaceAll(line, "--", "- -"), "--", "- -") + "\n")
	}
	b.WriteString("-->\n")
	return b.String()
}

func (c CodeIntegrity) document() siPolicy {
	d := siPolicy{Type: "Base Policy", Version: c.Version, Platform: platform, Base: c.ID, ID: c.ID,
		Settings: []siSetting{{"PolicyInfo", "Information", "Name", "kannuki " + c.Policy}, {"PolicyInfo", "Information", "Id", c.Version}}}
	for _, o := range c.Options {
		d.Rules = append(d.Rules, siOption{o})
	}
	for _, u := range usages {
		d.EKUs = append(d.EKUs, siEKU{"ID_EKU_" + u.id, u.name, objectIdentifier(u.arcs)})
	}
	for _, s := range signers {
		x := siSigner{ID: "ID_SIGNER_" + s.id, Name: s.name}
		x.Root.Type, x.Root.Value, x.EKU.ID = "Wellknown", s.root, "ID_EKU_"+s.usage
		d.Signers = append(d.Signers, x)
	}
	kernel := siScenario{Value: kernelMode, ID: "ID_SIGNINGSCENARIO_DRIVERS", Name: "drivers"}
	user := siScenario{Value: userMode, ID: "ID_SIGNINGSCENARIO_PROGRAMS", Name: "programs, libraries and scripts", Signers: allowed(false), Files: &siReferences{}}
	if c.Drivers {
		kernel.Signers = allowed(true)
	} else {
		d.FileRules.Allow = append(d.FileRules.Allow, siFileRule{ID: "ID_ALLOW_DRIVERS", Name: "every driver", File: "*"})
		kernel.Files = &siReferences{[]siRuleRef{{"ID_ALLOW_DRIVERS"}}}
	}
	c.fileRules(&d.FileRules, user.Files)
	if len(user.Files.Rules) == 0 {
		user.Files = nil
	}
	d.Scenarios = []siScenario{kernel, user}
	return d
}

// fileRules adds the rules for programs, and that they are for user mode.
func (c CodeIntegrity) fileRules(rules *siFileRules, refs *siReferences) {
	for i, p := range c.Paths {
		rule := siFileRule{Name: named(p.Rules), Path: p.Path}
		if p.Allow {
			rule.ID = "ID_ALLOW_PATH_" + strconv.Itoa(i+1)
			rules.Allow = append(rules.Allow, rule)
		} else {
			rule.ID = "ID_DENY_PATH_" + strconv.Itoa(i+1)
			rules.Deny = append(rules.Deny, rule)
		}
		refs.Rules = append(refs.Rules, siRuleRef{rule.ID})
	}
	for _, f := range c.Denied {
		id := "ID_DENY_" + strings.ToUpper(strings.NewReplacer(".", "_").Replace(f.File))
		rules.Deny = append(rules.Deny, siFileRule{ID: ruleID(id), Name: named(f.Rules), File: f.File, Minimum: "0.0.0.0", Maximum: "65535.65535.65535.65535"})
		refs.Rules = append(refs.Rules, siRuleRef{ruleID(id)})
	}
}

// ruleID keeps the letters an identifier may have.
func ruleID(id string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, id)
}

// named is how a rule is called in Windows' event log: by the policy's ids.
func named(ids []string) string {
	switch {
	case len(ids) == 0:
		return "kannuki: service accounts may write here"
	case len(ids) > 3:
		return fmt.Sprintf("kannuki %s and %d more", strings.Join(ids[:3], ", "), len(ids)-3)
	}
	return "kannuki " + strings.Join(ids, ", ")
}

func allowed(kernel bool) *siSigned {
	out := &siSigned{}
	for _, s := range signers {
		if kernel && s.kernel || !kernel && s.user {
			out.Signers = append(out.Signers, siSignerRef{"ID_SIGNER_" + s.id})
		}
	}
	return out
}
