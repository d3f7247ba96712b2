package triage

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage/version"
	"github.com/kannuki/kannuki/vuln"
)

// unit is one source package of one version in one release, with the binary packages
// built from it that are installed together: what is matched once for a whole fleet.
type unit struct {
	ecosystems    []string
	kind          string // "dpkg", "rpm", "apk", "component"
	source        string
	sourceVersion string
	module        string // stream: "nodejs:18"
	// build tells units of one source version apart: of an RPM module itself, its build
	// "8060020220523160029.ad008a3a"; of Windows, the updates installed.
	build    string
	cpe      string
	binaries []binary

	packages []string // names of binaries, shared by the findings
	hits     []hit
	problem  []NotJudged // statements that could not be evaluated
	groups   map[situation]*group
}

// binary is one installed binary package of a unit.
type binary struct{ name, version, arch string }

// hit is one vulnerability that concerns a unit.
type hit struct {
	id      string
	fixed   string // highest fix the matches name; empty when none names one
	matches []Match
	*described
}

// described is the digest behind hits of one vulnerability.
type described struct {
	*Digest
	host uint32 // the last host it was found on, as Engine.hosts counts: what is new to one
}

// order is the version order u's ecosystem uses. What no distribution speaks of is
// compared as dpkg compares, which agrees with upstream numbers on digits, dots and letters.
func (u *unit) order() version.Order {
	if len(u.ecosystems) == 0 {
		return version.Dpkg
	}
	order, _ := version.OrderOf(u.ecosystems[0])
	return order
}

// names are the binary package names, sorted.
func (u *unit) names() []string {
	out := make([]string, len(u.binaries))
	for i, b := range u.binaries {
		out[i] = b.name
	}
	return slices.Compact(out)
}

// appendKey appends what makes two units the same unit.
func (u *unit) appendKey(key []byte) []byte {
	for _, e := range u.ecosystems {
		key = append(append(key, e...), 1)
	}
	for _, s := range [...]string{u.kind, u.source, u.sourceVersion, u.module, u.build, u.cpe} {
		key = append(append(key, s...), 0)
	}
	for _, b := range u.binaries {
		key = append(append(key, b.name...), 2)
		if u.kind != "dpkg" || b.version != u.sourceVersion {
			key = append(key, b.version...)
		}
		key = append(append(key, 2), b.arch...)
		key = append(key, 3)
	}
	return key
}

// unitList is the memory of the units of one host.
type unitList struct {
	units    []unit
	binaries []binary // units hold parts of it
}

// of groups installed packages into units, sorted by source and version. They are
// valid until the next call.
func (l *unitList) of(ecosystems []string, packages []host.Package) []unit {
	packages = unsigned(packages)
	l.units = slices.Grow(l.units[:0], len(packages))
	l.binaries = slices.Grow(l.binaries[:0], len(packages))
	units, all := l.units, l.binaries
	var last *host.Package
	for _, i := range sorted(packages) {
		p := &packages[i]
		if last == nil || !p.SameUnit(last) {
			units = append(units, newUnit(ecosystems, p))
		}
		last = p
		all = append(all, binary{p.Name, p.Version, p.Arch})
		u := &units[len(units)-1]
		first := len(all) - len(u.binaries) - 1
		u.binaries = all[first:len(all):len(all)]
	}
	return units
}

// sorted are the indices of packages in the order of their units. The packages stay
// where they are: moving them costs more than all the matching.
func sorted(packages []host.Package) []int32 {
	indices := make([]int32, len(packages))
	for i := range indices {
		indices[i] = int32(i)
	}
	order := func(i, j int32) int { return host.ComparePackages(&packages[i], &packages[j]) }
	if !slices.IsSortedFunc(indices, order) {
		slices.SortFunc(indices, order)
	}
	return indices
}

// moduleUnits are the RPM modules installed, each as a unit of its own: Red Hat names
// the fixed build of a module, not of the packages in it. A label without a build
// ("nodejs:18" alone) names no version to compare.
func moduleUnits(ecosystems []string, packages []host.Package) []unit {
	var units []unit
	for i := range packages {
		p := &packages[i]
		if p.Module == "" {
			continue
		}
		label := strings.Split(p.Module, ":")
		if len(label) < 4 {
			continue
		}
		m := newUnit(ecosystems, p)
		m.build = label[2] + "." + label[3]
		m.source, m.sourceVersion = m.module, m.build
		at := slices.IndexFunc(units, func(u unit) bool {
			return u.source == m.source && u.build == m.build && slices.Equal(u.ecosystems, m.ecosystems)
		})
		if at < 0 {
			at = len(units)
			units = append(units, m)
		}
		units[at].binaries = append(units[at].binaries, binary{p.Name, p.Version, p.Arch})
	}
	for i := range units {
		slices.SortFunc(units[i].binaries, func(a, b binary) int {
			return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.arch, b.arch), strings.Compare(a.version, b.version))
		})
	}
	return units
}

func newUnit(ecosystems []string, p *host.Package) unit {
	u := unit{ecosystems: ecosystems, kind: p.Kind, source: p.Source, sourceVersion: p.SourceVersion,
		module: stream(p.Module), cpe: p.CPE}
	switch {
	case p.Ecosystem != "":
		u.ecosystems = []string{p.Ecosystem}
	case p.Kind == "component":
		u.ecosystems = nil // no distribution speaks of it
	}
	return u
}

// stream cuts rpm's modularity label "nodejs:18:8060020…:…" to "nodejs:18".
func stream(label string) string {
	if label == "" {
		return ""
	}
	parts := strings.SplitN(label, ":", 3)
	return strings.Join(parts[:min(2, len(parts))], ":")
}

// modular tells whether an RPM version was built in a module.
func modular(version string) bool { return strings.Contains(version, ".module") }

// applies tells whether a statement speaks about a unit at all: architecture and
// module stream qualify it. Records of modular RPMs that name no stream are held
// against packages of any stream with the same first version number: streams of one
// package differ there, and a false alarm is better than silence.
func (u *unit) applies(a *vuln.Affected, version string) bool {
	if len(a.Arches) > 0 && !slices.ContainsFunc(u.binaries, func(b binary) bool {
		return b.arch == "" || b.arch == "noarch" || slices.Contains(a.Arches, b.arch)
	}) {
		return false
	}
	if u.kind != "rpm" {
		return true
	}
	fix := firstFix(a.Ranges)
	if a.Module == "" && !modular(fix) {
		return u.module == "" && !modular(version)
	}
	if a.Module != "" && u.module != "" {
		return slices.Contains(strings.Fields(a.Module), u.module)
	}
	return modular(version) && leading(version) == leading(fix)
}

func firstFix(ranges []vuln.Range) string {
	for _, r := range ranges {
		for _, e := range r.Events {
			if e.Fixed != "" {
				return e.Fixed
			}
		}
	}
	return ""
}

// leading is the first number of a version, without its epoch.
func leading(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	return strings.TrimRight(version[:strings.IndexFunc(version+".", func(r rune) bool { return r < '0' || r > '9' })], ".")
}

// unsigned gives signed kernel images the source that records speak of. Debian and
// Ubuntu build them from wrapper sources ("linux-signed-amd64", "linux-signed-hwe-6.5")
// whose versions are not the kernel's; the image's own version is.
func unsigned(packages []host.Package) []host.Package {
	wrapped := func(p host.Package) bool {
		return p.Kind == "dpkg" && strings.HasPrefix(p.Source, "linux-signed")
	}
	if !slices.ContainsFunc(packages, wrapped) {
		return packages
	}
	out := slices.Clone(packages)
	for i := range out {
		if !wrapped(out[i]) {
			continue
		}
		rest := strings.TrimPrefix(out[i].Source, "linux-signed")
		if rest == "-amd64" || rest == "-arm64" || rest == "-i386" {
			rest = ""
		}
		out[i].Source, out[i].SourceVersion = "linux"+rest, out[i].Version
	}
	return out
}
