package msrc

import (
	"regexp"
	"strings"
)

// The elements of a CVRF 1.1 document as Microsoft fills them. Everything is read as
// text: a value of an unexpected form concerns one record, not the document.

type publisher struct {
	Contact   string `xml:"ContactDetails"`
	Authority string `xml:"IssuingAuthority"`
}

type tracking struct {
	Initial string `xml:"InitialReleaseDate"`
}

type productTree struct {
	Products []fullName `xml:"FullProductName"`
	Branches []branch   `xml:"Branch"`
}

type branch struct {
	Type     string     `xml:"Type,attr"`
	Name     string     `xml:"Name,attr"`
	Products []fullName `xml:"FullProductName"`
	Branches []branch   `xml:"Branch"`
}

type fullName struct {
	ID   string `xml:"ProductID,attr"`
	Name string `xml:",chardata"`
}

type vulnerability struct {
	Title        string        `xml:"Title"`
	Notes        []note        `xml:"Notes>Note"`
	ID           string        `xml:"CVE"`
	CWEs         []cwe         `xml:"CWE"`
	Statuses     []status      `xml:"ProductStatuses>Status"`
	Threats      []threat      `xml:"Threats>Threat"`
	Scores       []scoreSet    `xml:"CVSSScoreSets>ScoreSet"`
	Remediations []remediation `xml:"Remediations>Remediation"`
	Revisions    []revision    `xml:"RevisionHistory>Revision"`
}

type note struct {
	Type  string `xml:"Type,attr"`
	Title string `xml:"Title,attr"`
	Text  string `xml:",chardata"`
}

type cwe struct {
	ID string `xml:"ID,attr"`
}

type status struct {
	Type     string   `xml:"Type,attr"`
	Products []string `xml:"ProductID"`
}

type threat struct {
	Type        string   `xml:"Type,attr"`
	Description string   `xml:"Description"`
	Products    []string `xml:"ProductID"`
}

type scoreSet struct {
	Base     string   `xml:"BaseScore"`
	Vector   string   `xml:"Vector"`
	Products []string `xml:"ProductID"`
}

type remediation struct {
	Type        string   `xml:"Type,attr"`
	Description string   `xml:"Description"`
	URL         string   `xml:"URL"`
	Supersedes  string   `xml:"Supercedence"` // the publisher's spelling
	Restart     string   `xml:"RestartRequired"`
	SubType     string   `xml:"SubType"`
	Build       string   `xml:"FixedBuild"`
	Products    []string `xml:"ProductID"`
}

type revision struct {
	Date string `xml:"Date"`
}

// product is one entry of the product tree.
type product struct {
	name, family string
	system       bool // an operating system itself, not software on one
	none         bool // "None available": a place holder that names nothing
}

// collect fills products from the whole tree; a product may stand both in a family
// and beside the branches, and the family is what we want to keep.
func (t productTree) collect(products map[string]product) {
	collectNames(t.Products, "", products)
	for _, b := range t.Branches {
		b.collect("", products)
	}
}

func (b branch) collect(family string, products map[string]product) {
	if b.Type == "Product Family" {
		family = b.Name
	}
	collectNames(b.Products, family, products)
	for _, inner := range b.Branches {
		inner.collect(family, products)
	}
}

func collectNames(names []fullName, family string, products map[string]product) {
	for _, n := range names {
		p := product{name: strings.Join(strings.Fields(n.Name), " "), family: family}
		p.system = isSystem(p.name)
		p.none = strings.HasPrefix(p.name, "None ")
		if old, seen := products[n.ID]; seen && family == "" {
			p.family = old.family
		}
		products[n.ID] = p
	}
}

// Windows itself: a client by its version, a server by its year or version. Families
// do not tell: "Windows" also holds HLK and the Admin Center, "ESU" also Exchange and
// Internet Explorer 9. What runs on Windows has its own name before "on Windows …".
var (
	windowsClient = regexp.MustCompile(`^(?:Microsoft )?Windows (?:RT(?: 8\.1)?|XP|Vista|2000|7|8(?:\.1)?|1\d)(?:,? (?i:version|for|service pack|edition|x64|32-bit|\().*)?$`)
	windowsServer = regexp.MustCompile(`^(?:Microsoft )?Windows Server,? (?i:version )?\d{4}\b`)
	microsoftOS   = regexp.MustCompile(`^(?:CBL Mariner|Azure Linux) \d`)
	onAnother     = regexp.MustCompile(` on |\bHLK\b`)
)

// isSystem tells whether name is an operating system rather than software on one.
func isSystem(name string) bool {
	if onAnother.MatchString(name) {
		return false
	}
	return windowsClient.MatchString(name) || windowsServer.MatchString(name) || microsoftOS.MatchString(name)
}
