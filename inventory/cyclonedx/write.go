package cyclonedx

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"

	"github.com/kannuki/kannuki/host"
)

// The properties of our own bills: what CycloneDX and purl have no field for.
const (
	propHostID         = "kannuki:host:id"
	propHostArch       = "kannuki:host:arch"
	propImportance     = "kannuki:host:importance"
	propLabel          = "kannuki:host:label"
	propAddress        = "kannuki:host:address"
	propOSID           = "kannuki:os:id"
	propIDLike         = "kannuki:os:id_like"
	propCodename       = "kannuki:os:codename"
	propChannel        = "kannuki:os:channel"
	propWindowsProduct = "kannuki:windows:product"
	propWindowsCore    = "kannuki:windows:core"
	propWindowsBuild   = "kannuki:windows:build"
	propWindowsKB      = "kannuki:windows:kb"
	propSource         = "kannuki:package:source"
	propSourceVersion  = "kannuki:package:source_version"
	propModule         = "kannuki:package:module"
	propEcosystem      = "kannuki:package:ecosystem"
)

// Write writes inv as CycloneDX 1.6 JSON. The same inventory gives the same bytes.
func Write(w io.Writer, inv host.Inventory) error {
	components := []cdx.Component{}
	if inv.Host.OS.ID != "" {
		components = append(components, systemComponent(inv))
	}
	refs := map[string]int{}
	for _, p := range inv.Packages {
		c := component(p, inv.Host.OS)
		if refs[c.BOMRef]++; refs[c.BOMRef] > 1 {
			c.BOMRef += "#" + strconv.Itoa(refs[c.BOMRef]) // the same package twice, as multi-version RPMs may be
		}
		components = append(components, c)
	}
	slices.SortStableFunc(components, func(a, b cdx.Component) int { return cmp.Compare(a.BOMRef, b.BOMRef) })
	bom := cdx.BOM{
		BOMFormat: cdx.BOMFormat, SpecVersion: cdx.SpecVersion1_6, Version: 1,
		JSONSchema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
		Metadata:   &cdx.Metadata{Component: subject(inv.Host)},
		Components: &components,
	}
	if !inv.Collected.IsZero() {
		bom.Metadata.Timestamp = inv.Collected.UTC().Format(time.RFC3339Nano)
	}
	serial, err := serialNumber(&bom)
	if err != nil {
		return err
	}
	bom.SerialNumber = serial
	return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).Encode(&bom)
}

// serialNumber is a UUID made from the content (RFC 9562, version 8), so that the
// same content has the same number.
func serialNumber(bom *cdx.BOM) (string, error) {
	sum := sha256.New()
	if err := cdx.NewBOMEncoder(sum, cdx.BOMFileFormatJSON).Encode(bom); err != nil {
		return "", err
	}
	u := sum.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]), nil
}

// subject is the server the bill is about.
func subject(h host.Host) *cdx.Component {
	props := list{}
	props.add(propHostID, h.ID)
	props.add(propHostArch, h.Arch)
	props.add(propImportance, h.Importance)
	props.add(propLabel, h.Labels...)
	props.add(propAddress, h.Addresses...)
	return &cdx.Component{Type: cdx.ComponentTypeDevice, BOMRef: "host", Name: h.Name, Properties: props.get()}
}

func systemComponent(inv host.Inventory) cdx.Component {
	os := inv.Host.OS
	props := list{}
	props.add(propOSID, os.ID)
	props.add(propIDLike, os.IDLike...)
	props.add(propCodename, os.Codename)
	props.add(propChannel, os.Channels...)
	if w := inv.Windows; w != nil {
		props.add(propWindowsProduct, w.Product)
		props.add(propWindowsBuild, w.Build)
		props.add(propWindowsKB, w.KBs...)
		if w.Core {
			props.add(propWindowsCore, "true")
		}
	}
	return cdx.Component{
		Type: cdx.ComponentTypeOS, BOMRef: "os", Name: os.ID, Version: os.VersionID,
		Description: os.Name, CPE: os.CPE, Properties: props.get(),
	}
}

// component describes one package; whatever reading it back would not tell goes
// into properties.
func component(p host.Package, os host.OS) cdx.Component {
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, Name: p.Name, Version: p.Version,
		CPE: p.CPE, PackageURL: cmp.Or(p.PURL, purlOf(p, os)), Publisher: p.Vendor,
	}
	if p.Kind == "component" {
		c.Publisher = ""
	}
	c.BOMRef = cmp.Or(c.PackageURL, p.Name+"@"+p.Version)
	props := list{}
	if back, _, err := packageOf(&c); err == nil {
		if back.Source != p.Source {
			props.add(propSource, p.Source)
		}
		if back.SourceVersion != p.SourceVersion {
			props.add(propSourceVersion, p.SourceVersion)
		}
	}
	props.add(propModule, p.Module)
	props.add(propEcosystem, p.Ecosystem)
	c.Properties = props.get()
	return c
}

var purlTypes = map[string]string{"dpkg": packageurl.TypeDebian, "rpm": packageurl.TypeRPM, "apk": packageurl.TypeApk}

// purlOf writes the package URL other tools understand; empty for a component of no
// package manager.
func purlOf(p host.Package, os host.OS) string {
	kind := purlTypes[p.Kind]
	if kind == "" {
		return ""
	}
	q := map[string]string{}
	version := p.Version
	if p.Kind == "rpm" {
		// purl's rpm type has the epoch as a qualifier.
		if epoch, rest, ok := strings.Cut(version, ":"); ok {
			q["epoch"], version = epoch, rest
		}
	}
	add := func(key, value string) {
		if value != "" {
			q[key] = value
		}
	}
	add("arch", p.Arch)
	add("upstream", upstream(p))
	if os.VersionID != "" {
		add("distro", os.ID+"-"+os.VersionID)
	}
	return packageurl.NewPackageURL(kind, os.ID, p.Name, version, packageurl.QualifiersFromMap(q), "").ToString()
}

func upstream(p host.Package) string {
	switch {
	case p.Source == p.Name && p.SourceVersion == p.Version:
		return ""
	case p.Kind == "rpm":
		_, version, ok := strings.Cut(p.SourceVersion, ":")
		if !ok {
			version = p.SourceVersion
		}
		return p.Source + "-" + version + ".src.rpm"
	case p.SourceVersion == p.Version:
		return p.Source
	}
	return p.Source + "@" + p.SourceVersion
}

// list gathers properties; empty values are left out.
type list []cdx.Property

func (l *list) add(name string, values ...string) {
	for _, v := range values {
		if v != "" {
			*l = append(*l, cdx.Property{Name: name, Value: v})
		}
	}
}

func (l list) get() *[]cdx.Property {
	if len(l) == 0 {
		return nil
	}
	out := []cdx.Property(l)
	return &out
}
