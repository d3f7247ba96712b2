package redhat

import (
	"regexp"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// statuses are Red Hat's fix states in the words of vuln.Affected.Status. "Affected"
// waits for a fix: it is decided by its open range.
var statuses = map[string]string{
	"Affected":             "",
	"Not affected":         "not_affected",
	"Will not fix":         "will_not_fix",
	"Fix deferred":         "deferred",
	"Out of support scope": "end_of_life",
	"Under investigation":  "under_investigation",
}

// key tells entries apart; BaseOS and AppStream give the same one twice.
type key struct{ ecosystem, name, module, fixed, status string }

// affected joins releases and states. Where a release names a fix, what a state says
// about the same package of the same product is older or about another edition, and
// does not count.
func (e entry) affected() []vuln.Affected {
	var out []vuln.Affected
	seen := map[key]bool{}
	fixed := map[key]bool{}
	add := func(a vuln.Affected, k key) {
		if !seen[k] {
			seen[k] = true
			out = append(out, a)
		}
	}
	for _, r := range e.Releases {
		p, ok := parsePackage(r.Package)
		if !ok || r.CPE == "" {
			continue
		}
		a := p.affected(ecosystem(r.CPE), r.Impact)
		a.Ranges = []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {Fixed: p.version}}}}
		fixed[key{ecosystem: a.Ecosystem, name: a.Package, module: a.Module}] = true
		add(a, key{a.Ecosystem, a.Package, a.Module, p.version, ""})
	}
	for _, s := range e.States {
		p, ok := parseName(s.Package)
		if !ok || s.CPE == "" {
			continue
		}
		a := p.affected(ecosystem(s.CPE), s.Impact)
		if fixed[key{ecosystem: a.Ecosystem, name: a.Package, module: a.Module}] {
			continue
		}
		status, known := statuses[s.State]
		if !known {
			status = "under_investigation" // a word we do not know decides nothing
		}
		a.Status = status
		if status != "not_affected" {
			a.Ranges = []vuln.Range{{Events: []vuln.Event{{Introduced: "0"}}}}
		}
		add(a, key{a.Ecosystem, a.Package, a.Module, "", status})
	}
	return out
}

// pkg is a package as the API writes it, taken apart.
type pkg struct {
	name, version, module string
	source                bool // an RPM source package
}

func (p pkg) affected(ecosystem, impact string) vuln.Affected {
	return vuln.Affected{Ecosystem: ecosystem, Package: p.name, SourcePackage: p.source, Module: p.module, Urgency: impact}
}

var (
	moduleBuild = regexp.MustCompile(`^([^/:\s]+:[^/:\s]+)-(\d{10,})\.[0-9a-f]{6,}$`)
	nevr        = regexp.MustCompile(`^([^/:\s]+)-(\d+):([^/:\s-]+-[^/:\s-]+)$`)
	nvr         = regexp.MustCompile(`^([^/:\s]+)-(v?\d[^/:\s-]*-\d[^/:\s-]*)$`)
	image       = regexp.MustCompile(`^([^:\s]+):([^:/\s]+)$`)
)

// parsePackage reads the four forms of affected_release's package: a module build
// "nodejs:18-8090020240301110609.a75119d5", an RPM "openssh-0:8.7p1-38.el9_4.1", an RPM
// or image without epoch "rhcos-413.92.202407091321-0", an image "quay/quay-rhel8:v3.6.0-62".
// ok is false where no version is given.
func parsePackage(s string) (p pkg, ok bool) {
	s = strings.TrimSpace(s)
	if m := moduleBuild.FindStringSubmatch(s); m != nil {
		return pkg{name: m[1], module: m[1], version: m[2]}, true
	}
	if m := nevr.FindStringSubmatch(s); m != nil {
		version := m[3]
		if m[2] != "0" {
			version = m[2] + ":" + version
		}
		return pkg{name: m[1], version: version, source: true}, true
	}
	if m := nvr.FindStringSubmatch(s); m != nil {
		return pkg{name: m[1], version: m[2], source: !strings.HasSuffix(m[1], "-container")}, true
	}
	if m := image.FindStringSubmatch(s); m != nil {
		return pkg{name: m[1], version: m[2]}, true
	}
	return pkg{}, false
}

// parseName reads package_state's package: "openssh", in a module "nodejs:18/nodejs",
// an image or a Maven artefact "openshift4/ose-cli".
func parseName(s string) (p pkg, ok bool) {
	s = strings.TrimSpace(s)
	stream, name, inside := strings.Cut(s, "/")
	switch {
	case s == "":
		return pkg{}, false
	case inside && strings.Contains(stream, ":"):
		return pkg{name: name, module: stream, source: true}, name != ""
	case strings.Contains(s, ":") && !inside: // a stream without a package
		return pkg{name: s, module: s}, true
	}
	return pkg{name: s, source: !inside}, true
}

// rhel are the products that are Red Hat Enterprise Linux itself; all others are layered.
var rhel = regexp.MustCompile(`^(?:enterprise_linux|enterprise_linux_eus|rhel_(?:eus|aus|tus|e4s|els|eus_long_life|mission_critical))$`)

// ecosystem turns a CPE 2.2 URI into OSV's manner of speaking: see the package comment.
func ecosystem(cpe string) string {
	tail := strings.TrimPrefix(strings.TrimSpace(cpe), "cpe:/")
	if _, rest, ok := strings.Cut(tail, ":"); ok { // part: a, o, h or nothing
		tail = rest
	}
	tail = strings.TrimPrefix(tail, "redhat:")
	parts := strings.Split(tail, ":")
	if !rhel.MatchString(parts[0]) {
		return "Red Hat:" + strings.TrimRight(tail, ":")
	}
	out := "Red Hat:" + parts[0]
	if len(parts) > 1 && parts[1] != "" {
		out += ":" + mainRelease(parts[0], parts[1])
	}
	if edition := parts[len(parts)-1]; len(parts) > 3 && strings.HasPrefix(edition, "hypervisor") {
		out += "::" + edition
	}
	return out
}

// mainRelease is the major release of the main stream: its fixes hold for every minor
// release, and only the channels are bound to one. 2.1 was a major release.
func mainRelease(product, release string) string {
	major, _, minor := strings.Cut(release, ".")
	if product != "enterprise_linux" || !minor || release == "2.1" {
		return release
	}
	return major
}
