// Package cyclonedx reads and writes an inventory as a CycloneDX JSON bill of
// materials. Reading understands what common SBOM makers write about operating
// system packages (purl, source package, epoch, release); writing is deterministic,
// and reading what was written gives the same packages (their purl added) and system. A bill says what
// is installed, never what runs.
package cyclonedx

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/package-url/packageurl-go"

	"github.com/kannuki/kannuki/host"
)

// Parse reads a CycloneDX JSON document. name is the file, for messages and for a
// bill that does not name its subject. A component that cannot be understood is in
// Unread; only a document that is no bill at all is an error.
func Parse(data []byte, name string) (host.Inventory, error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return host.Inventory{}, fmt.Errorf("%s: not a CycloneDX bill of materials: %w", name, err)
	}
	r := reader{inv: host.Inventory{Origin: "file", Packages: []host.Package{}}, skipped: map[string]int{}}
	r.metadata(bom.Metadata)
	r.components(bom.Components)
	r.systems()
	r.inv.Host.Name = cmp.Or(r.inv.Host.Name, name)
	for kind, n := range r.skipped {
		r.inv.Unread = append(r.inv.Unread, host.NotRead(kind, host.NewFault("no-software", n)))
	}
	slices.SortStableFunc(r.inv.Unread, func(a, b host.Unread) int { return cmp.Compare(a.What, b.What) })
	return r.inv, nil
}

// reader collects one bill.
type reader struct {
	inv     host.Inventory
	distros []string // of each package: the distro its purl names, "" where it names none
	skipped map[string]int
}

func (r *reader) metadata(m *cdx.Metadata) {
	if m == nil {
		return
	}
	if at, err := time.Parse(time.RFC3339, m.Timestamp); err == nil {
		r.inv.Collected = at.UTC()
	}
	if c := m.Component; c != nil {
		r.inv.Host.Name = c.Name
		props := properties(c)
		r.inv.Host.ID = props.one(propHostID)
		r.inv.Host.Arch = props.one(propHostArch)
		r.inv.Host.Importance = props.one(propImportance)
		r.inv.Host.Labels = props[propLabel]
		r.inv.Host.Addresses = props[propAddress]
		if c.Type == cdx.ComponentTypeOS {
			r.system(c)
		}
		r.components(c.Components)
	}
}

func (r *reader) components(list *[]cdx.Component) {
	if list == nil {
		return
	}
	for i := range *list {
		c := &(*list)[i]
		switch c.Type {
		case cdx.ComponentTypeOS:
			r.system(c)
		case cdx.ComponentTypeFile, cdx.ComponentTypeData, cdx.ComponentTypeCryptographicAsset, cdx.ComponentTypeMachineLearningModel:
			r.skipped[string(c.Type)]++
		default:
			r.component(c)
		}
		r.components(c.Components)
	}
}

// component takes one piece of software.
func (r *reader) component(c *cdx.Component) {
	p, distro, err := packageOf(c)
	if err != nil {
		r.inv.Unread = append(r.inv.Unread, host.NotRead(cmp.Or(c.PackageURL, c.Name, c.BOMRef, "?"), err))
		return
	}
	r.inv.Packages = append(r.inv.Packages, p)
	r.distros = append(r.distros, distro)
}

// kinds are the purl types of package managers we have records for.
var kinds = map[string]string{"deb": "dpkg", "rpm": "rpm", "apk": "apk"}

// packageOf translates a component; distro is what its purl says of the system.
func packageOf(c *cdx.Component) (p host.Package, distro string, err error) {
	if c.Name == "" {
		return p, "", host.NewFault("component-no-name")
	}
	p = host.Package{Name: c.Name, Version: c.Version, Kind: "component", CPE: c.CPE, PURL: c.PackageURL}
	var u packageurl.PackageURL
	if c.PackageURL != "" {
		if u, err = packageurl.FromString(c.PackageURL); err != nil {
			return p, "", host.NewFault("bad-purl", err)
		}
		p.Version = cmp.Or(u.Version, p.Version)
	}
	if p.Version == "" {
		return p, "", host.NewFault("component-no-version")
	}
	props := properties(c)
	p.Ecosystem = props.one(propEcosystem)
	kind, managed := kinds[u.Type]
	if !managed {
		p.Name = fullName(c.Group, c.Name, u.Type)
		p.Source, p.SourceVersion = cmp.Or(props.one(propSource), p.Name), cmp.Or(props.one(propSourceVersion), p.Version)
		return p, "", nil
	}
	q := u.Qualifiers.Map()
	p.Kind, p.PURL = kind, c.PackageURL
	p.Arch = q["arch"]
	p.Version = withEpoch(q["epoch"], p.Version)
	p.Vendor = cmp.Or(c.Publisher, supplier(c))
	p.Module = props.one(propModule, "aquasecurity:trivy:Modularitylabel", "syft:metadata:modularityLabel")
	source(&p, q["upstream"], props)
	distro = q["distro"]
	if distro == "" && u.Namespace != "" {
		distro = u.Namespace
	}
	return p, strings.ToLower(distro), nil
}

func supplier(c *cdx.Component) string {
	if c.Supplier == nil {
		return ""
	}
	return c.Supplier.Name
}

// fullName is the name OSV's ecosystems use for a package with a group.
func fullName(group, name, purlType string) string {
	switch {
	case group == "" || strings.HasPrefix(name, group):
		return name
	case purlType == packageurl.TypeMaven:
		return group + ":" + name
	}
	return group + "/" + name
}

func withEpoch(epoch, version string) string {
	if epoch == "" || epoch == "0" || strings.Contains(version, ":") {
		return version
	}
	return epoch + ":" + version
}

// source fills in the source package: from our own properties, from Trivy's, or from
// the purl's upstream ("name", "name@version", "name-version-release.src.rpm").
func source(p *host.Package, upstream string, props bag) {
	p.Source, p.SourceVersion = p.Name, p.Version
	epoch, _, hasEpoch := strings.Cut(p.Version, ":")
	if !hasEpoch {
		epoch = ""
	}
	switch name, version, versioned := strings.Cut(upstream, "@"); {
	case strings.HasSuffix(upstream, ".src.rpm"):
		s := strings.TrimSuffix(upstream, ".src.rpm")
		release := strings.LastIndexByte(s, '-')
		if v := strings.LastIndexByte(s[:max(release, 0)], '-'); v > 0 {
			p.Source, p.SourceVersion = s[:v], withEpoch(epoch, s[v+1:])
		}
	case versioned:
		p.Source, p.SourceVersion = name, version
	case upstream != "":
		p.Source = upstream
	}
	if name := props.one("aquasecurity:trivy:SrcName"); name != "" {
		p.Source = name
		if v := props.one("aquasecurity:trivy:SrcVersion"); v != "" {
			if rel := props.one("aquasecurity:trivy:SrcRelease"); rel != "" {
				v += "-" + rel
			}
			p.SourceVersion = withEpoch(props.one("aquasecurity:trivy:SrcEpoch"), v)
		}
	}
	p.Source = cmp.Or(props.one(propSource), p.Source)
	p.SourceVersion = cmp.Or(props.one(propSourceVersion), p.SourceVersion)
}

// bag holds a component's properties; a name may repeat.
type bag map[string][]string

func properties(c *cdx.Component) bag {
	b := bag{}
	if c.Properties != nil {
		for _, p := range *c.Properties {
			b[p.Name] = append(b[p.Name], p.Value)
		}
	}
	return b
}

// one returns the first value of the first name that has one.
func (b bag) one(names ...string) string {
	for _, n := range names {
		if v := b[n]; len(v) > 0 && v[0] != "" {
			return v[0]
		}
	}
	return ""
}
