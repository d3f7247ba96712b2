package report

import (
	"slices"
	"strings"

	packageurl "github.com/package-url/packageurl-go"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage"
)

// rpmSystems are the os-release ids whose packages are RPMs.
var rpmSystems = []string{"rhel", "rocky", "almalinux", "centos", "fedora", "ol", "amzn", "sles", "opensuse-leap", "suse"}

// packageURL names a finding's source package on h. What is not a package of a system
// we know the type of (Windows, components of an SBOM) is of type generic.
func packageURL(h host.Host, f triage.Finding) string {
	distro := packageurl.Qualifier{Key: "distro", Value: h.OS.ID + "-" + h.OS.VersionID}
	version := f.SourceVersion
	var qualifiers packageurl.Qualifiers
	kind, namespace := packageurl.TypeGeneric, ""
	family := append([]string{h.OS.ID}, h.OS.IDLike...)
	switch {
	case slices.Contains(family, "debian") || slices.Contains(family, "ubuntu"):
		kind, namespace = packageurl.TypeDebian, h.OS.ID
		qualifiers = packageurl.Qualifiers{{Key: "arch", Value: "source"}, distro}
	case slices.Contains(family, "alpine"):
		kind, namespace = packageurl.TypeApk, h.OS.ID
		qualifiers = packageurl.Qualifiers{distro}
	case slices.ContainsFunc(family, func(id string) bool { return slices.Contains(rpmSystems, id) }):
		kind, namespace = packageurl.TypeRPM, strings.Replace(h.OS.ID, "rhel", "redhat", 1)
		qualifiers = packageurl.Qualifiers{{Key: "arch", Value: "src"}, distro}
		// An rpm purl has the epoch as a qualifier, not in the version.
		if epoch, rest, ok := strings.Cut(version, ":"); ok {
			version = rest
			qualifiers = append(qualifiers, packageurl.Qualifier{Key: "epoch", Value: epoch})
		}
	}
	return packageurl.NewPackageURL(kind, namespace, f.SourcePackage, version, qualifiers, "").ToString()
}

// proven tells whether a finding may be called "not affected" to programs: only where
// the exploit's goal is refused at its first step and a drill that passed stands
// behind it (TRIAGE.md section 4).
func proven(f triage.Finding) bool {
	return f.Coverage == triage.Prevented && f.Stages != nil && f.Stages.Effect == triage.Prevented && f.Stages.Proven
}

// investigated tells whether nobody has yet said that the package is affected: every
// record that matched is still being looked into by its publisher.
func investigated(f triage.Finding) bool {
	return len(f.Matches) > 0 && !slices.ContainsFunc(f.Matches, func(m triage.Match) bool { return m.Status != "under_investigation" })
}

// advisoryURL is a page about id.
func advisoryURL(id string) string {
	if strings.HasPrefix(id, "CVE-") {
		return "https://www.cve.org/CVERecord?id=" + id
	}
	return "https://osv.dev/vulnerability/" + id
}
