package cyclonedx

import (
	"cmp"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/kannuki/kannuki/host"
)

// systemNames translates what SBOM makers call a system into os-release's ID.
var systemNames = map[string]string{
	"redhat": "rhel", "red hat": "rhel", "red hat enterprise linux": "rhel",
	"alma": "almalinux", "alma linux": "almalinux", "rocky linux": "rocky", "rockylinux": "rocky",
	"oracle": "ol", "oracle linux": "ol", "amazon": "amzn", "amazon linux": "amzn",
	"debian gnu/linux": "debian", "alpine linux": "alpine", "alpine": "alpine",
	"suse linux enterprise server": "sles", "opensuse leap": "opensuse-leap", "opensuse.leap": "opensuse-leap",
}

func systemID(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	return cmp.Or(systemNames[name], name)
}

// system takes an operating-system component; the first one counts.
func (r *reader) system(c *cdx.Component) {
	props := properties(c)
	if r.inv.Host.OS.ID != "" {
		r.skipped["operating-system after the first"]++
		return
	}
	id := systemID(cmp.Or(props.one(propOSID, "syft:distro:id"), c.Name))
	os := host.OS{
		ID:        id,
		VersionID: releaseOf(id, cmp.Or(props.one("syft:distro:versionID"), c.Version)),
		Codename:  props.one(propCodename, "syft:distro:versionCodename"),
		Name:      cmp.Or(c.Description, props.one("syft:distro:prettyName")),
		CPE:       c.CPE,
		IDLike:    props[propIDLike],
		Channels:  props[propChannel],
	}
	os.LTS = isLTS(os)
	r.inv.Host.OS = os
	r.windows(props)
}

// windows restores the update state our own bills carry.
func (r *reader) windows(props bag) {
	product := props.one(propWindowsProduct)
	if product == "" && r.inv.Host.OS.ID != "windows" {
		return
	}
	r.inv.Windows = &host.Windows{
		Product: cmp.Or(product, r.inv.Host.OS.Name), Core: props.one(propWindowsCore) == "true",
		Build: props.one(propWindowsBuild), KBs: append([]string{}, props[propWindowsKB]...),
	}
}

// isLTS knows Ubuntu's rule: the April releases of even years get long-term support.
func isLTS(os host.OS) bool {
	year, month, ok := strings.Cut(os.VersionID, ".")
	return os.ID == "ubuntu" && ok && len(year) == 2 && (year[1]-'0')%2 == 0 && strings.HasPrefix(month, "04")
}

// releaseOf cuts a version to what os-release's VERSION_ID has: Debian names point
// releases nowhere there.
func releaseOf(id, version string) string {
	if id == "debian" {
		version, _, _ = strings.Cut(version, ".")
	}
	return version
}

// systems settles which system the bill is about (where no component says so, the
// one most packages name) and gives packages of another system its ecosystem.
func (r *reader) systems() {
	os := &r.inv.Host.OS
	if os.ID == "" {
		os.ID, os.VersionID = splitDistro(mostCommon(r.distros))
		os.LTS = isLTS(*os)
	}
	for i, d := range r.distros {
		p := &r.inv.Packages[i]
		id, version := splitDistro(d)
		if p.Ecosystem != "" || version == "" || id == os.ID && (version == os.VersionID || sameRelease(id, version, os.VersionID)) {
			continue
		}
		p.Ecosystem = ecosystemOf(id, version)
	}
}

// mostCommon prefers distros with a release, then the more frequent, then the first by name.
func mostCommon(distros []string) string {
	counts := map[string]int{}
	for _, d := range distros {
		if _, version := splitDistro(d); version != "" {
			counts[d]++
		}
	}
	names := make([]string, 0, len(counts))
	for d := range counts {
		names = append(names, d)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// splitDistro reads a purl's distro: "debian-12.5", "opensuse-leap-15.6", "debian".
func splitDistro(d string) (id, version string) {
	i := strings.LastIndexByte(d, '-')
	if i < 0 || i+1 >= len(d) || d[i+1] < '0' || d[i+1] > '9' {
		return systemID(d), ""
	}
	id = systemID(d[:i])
	return id, releaseOf(id, d[i+1:])
}

// sameRelease tells whether two versions name one release: SBOM makers write
// "almalinux-9" as well as "almalinux-9.3".
func sameRelease(id, a, b string) bool {
	switch id {
	case "rhel", "almalinux", "rocky", "ol", "centos", "fedora", "amzn":
		majorA, _, _ := strings.Cut(a, ".")
		majorB, _, _ := strings.Cut(b, ".")
		return majorA == majorB
	case "alpine":
		return firstTwo(a) == firstTwo(b)
	}
	return false
}

func firstTwo(v string) string {
	parts := strings.SplitN(v, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// ecosystemOf is OSV's word for a release; empty where there is none we know.
func ecosystemOf(id, version string) string {
	major, _, _ := strings.Cut(version, ".")
	switch id {
	case "debian":
		return "Debian:" + major
	case "ubuntu":
		if isLTS(host.OS{ID: id, VersionID: version}) {
			return "Ubuntu:" + version + ":LTS"
		}
		return "Ubuntu:" + version
	case "almalinux":
		return "AlmaLinux:" + major
	case "rocky":
		return "Rocky Linux:" + major
	case "rhel":
		return "Red Hat:enterprise_linux:" + major
	case "alpine":
		return "Alpine:v" + firstTwo(version)
	}
	return ""
}
