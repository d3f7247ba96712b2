package triage

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/vuln"
)

// unit is one source package of one version in one release, with the binary packages
// built from it that are installed together: what is matched once for a whole fleet.
type unit struct {
	ecosystems    []string
	kind          string // "dpkg", "rpm", "apk", "component"
	source        string
	sourceVersion string
	module        string
	cpe           string
	binaries      []binary

	hits    []hit
	problem []NotJudged // statements that could not be evaluated
	groups  map[situation]*group
}

// binary is one installed binary package of a unit.
type binary struct{ name, version, arch string }

// hit is one vulnerability that concerns a unit.
type hit struct {
	id      string
	fixed   string // highest fix named by the matches; empty when one of them has none
	matches []Match
	digest  *Digest
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
	for _, s := range []string{u.kind, u.source, u.sourceVersion, u.module, u.cpe} {
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

// unitsOf groups installed packages into units, sorted by source and version.
func unitsOf(ecosystems []string, packages []host.Package) []unit {
	packages = unsigned(packages)
	units := make([]unit, 0, len(packages))
	all := make([]binary, 0, len(packages)) // never grows: units hold parts of it
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

// applies tells whether a statement can concern a unit at all: architecture and
// module stream qualify it. Records of modular RPMs that name no stream are held
// against packages of any stream with the same first version number: streams of one
// package differ there, and a false alarm is better than silence.
func (u *unit) applies(a *vuln.Affected, version string) bool {
	if a.Status == "not_affected" {
		return false
	}
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
