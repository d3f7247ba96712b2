package osv

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// home is where identifiers of one prefix come from.
type home struct {
	prefix, name string
	// advisory: a notice about several vulnerabilities, whose CVE ids may stand under
	// "related" too. For other records a related id is another vulnerability.
	advisory bool
}

// homes maps id prefixes to the database that gives them out. The longest match
// counts, so that openSUSE- does not need to stand before others.
var homes = []home{
	{"DSA-", "debian", true}, {"DLA-", "debian", true}, {"DTSA-", "debian", true}, {"DEBIAN-CVE-", "debian", false},
	{"USN-", "ubuntu", true}, {"LSN-", "ubuntu", true}, {"UBUNTU-CVE-", "ubuntu", false},
	{"ALPINE-CVE-", "alpine", false},
	{"ALSA-", "almalinux", true}, {"ALBA-", "almalinux", true}, {"ALEA-", "almalinux", true},
	{"RLSA-", "rocky", true}, {"RXSA-", "rocky", true}, {"RLBA-", "rocky", true}, {"RLEA-", "rocky", true},
	{"RHSA-", "redhat", true}, {"RHBA-", "redhat", true}, {"RHEA-", "redhat", true},
	{"SUSE-", "suse", true}, {"openSUSE-", "suse", true},
	{"ELSA-", "oracle", true}, {"ELBA-", "oracle", true}, {"ELEA-", "oracle", true},
	{"ALAS", "amazon", true}, {"OESA-", "openeuler", true}, {"MGASA-", "mageia", true}, {"MGAA-", "mageia", true},
	{"CGA-", "chainguard", true}, {"MINI-", "minimos", true}, {"AZL-", "azure-linux", true},
	{"BELL-", "bellsoft", true}, {"ECHO-", "echo", true}, {"CLEANSTART-", "cleanstart", true},
	{"GHSA-", "github", false}, {"GO-", "go", false}, {"PYSEC-", "pypi", false}, {"RUSTSEC-", "crates.io", false},
	{"RSEC-", "cran", false}, {"HSEC-", "haskell", false}, {"BIT-", "bitnami", false}, {"MAL-", "malicious-packages", false},
	{"OSV-", "oss-fuzz", false}, {"CURL-", "curl", false}, {"PSF-", "psf", false}, {"ASB-A-", "android", false},
	{"PUB-A-", "android", false}, {"A-", "android", false},
}

func homeOf(id string) (home, bool) {
	var best home
	for _, h := range homes {
		if len(h.prefix) > len(best.prefix) && strings.HasPrefix(id, h.prefix) {
			best = h
		}
	}
	return best, best.prefix != ""
}

// source names the database the record is at home in: by its id's prefix. A plain
// CVE id has several exporters. Debian's puts Alpine's packages (and commits) into its
// own records; of all others the first ecosystem counts, so that a vendor who rebuilds
// packages of many distributions does not pass for Debian. A record of commits only is
// "osv/git".
func (d *document) source() string {
	if h, ok := homeOf(d.ID); ok {
		return "osv/" + h.name
	}
	first, debian, others := "", false, false
	for i := range d.Affected {
		p := d.Affected[i].Package
		if p == nil || p.Ecosystem == "" {
			continue
		}
		name := familyName(p.Ecosystem)
		first = cmp.Or(first, name)
		debian = debian || name == "debian"
		others = others || name != "debian" && name != "alpine"
	}
	switch {
	case debian && !others:
		return "osv/debian"
	case first != "":
		return "osv/" + first
	case len(d.Affected) > 0:
		return "osv/git"
	}
	return "osv"
}

// familyName is an ecosystem without its release, as a source is called.
func familyName(ecosystem string) string {
	family, _, _ := strings.Cut(ecosystem, ":")
	switch name := strings.ReplaceAll(strings.ToLower(family), " ", "-"); name {
	case "rocky-linux":
		return "rocky"
	case "red-hat":
		return "redhat"
	case "opensuse":
		return "suse"
	default:
		return name
	}
}

// vulnerabilities are the CVE ids the record is about, else its own id.
func (d *document) vulnerabilities() []string {
	if cve := cveOf(d.ID); cve != "" {
		return []string{cve}
	}
	lists := [][]string{d.Aliases, d.Upstream}
	if h, ok := homeOf(d.ID); ok && h.advisory {
		lists = append(lists, d.Related)
	}
	var out []string
	seen := map[string]bool{}
	for _, id := range slices.Concat(lists...) {
		if cve := cveOf(id); cve != "" && !seen[cve] {
			seen[cve] = true
			out = append(out, cve)
		}
	}
	if out == nil {
		return []string{d.ID}
	}
	return out
}

// cveOf is the CVE id that id is, or names behind a distribution's prefix
// (UBUNTU-CVE-2024-1); "" for others.
func cveOf(id string) string {
	if vuln.IsCVE(id) {
		return id
	}
	for _, prefix := range []string{"UBUNTU-", "DEBIAN-", "ALPINE-"} {
		if cve, ok := strings.CutPrefix(id, prefix); ok && vuln.IsCVE(cve) {
			return cve
		}
	}
	return ""
}

// releaseOf is the ecosystem without what stands behind the release: Red Hat adds
// the repository, "Red Hat:enterprise_linux:9::appstream".
func releaseOf(ecosystem string) string {
	release, _, _ := strings.Cut(ecosystem, "::")
	return release
}

// modular tells whether a fix was built in an RPM module: rpm's dist tag says so.
func modular(ranges []vuln.Range) bool {
	return slices.ContainsFunc(ranges, func(r vuln.Range) bool {
		return slices.ContainsFunc(r.Events, func(e vuln.Event) bool { return strings.Contains(e.Fixed, ".module") })
	})
}

// moduleStream is a module stream as advisories write it: "nodejs:18", "idm:DL1".
var moduleStream = regexp.MustCompile(`^[a-z0-9][\w.+-]*:[\w.+-]+$`)

// streams are the module streams an advisory's title names, space-separated: the
// records of AlmaLinux and Rocky Linux say it nowhere else ("Important: virt:rhel and
// virt-devel:rhel security update").
func streams(title string) string {
	var out []string
	for word := range strings.FieldsSeq(title) {
		word, _, _ = strings.Cut(strings.TrimRight(word, ","), "/") // "httpd:2.4/mod_http2": one package of it
		if moduleStream.MatchString(word) && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

// qualifier is one qualifier of a package URL.
func qualifier(purl, name string) string {
	_, query, ok := strings.Cut(purl, "?")
	if !ok {
		return ""
	}
	query, _, _ = strings.Cut(query, "#")
	for pair := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			if plain, err := url.QueryUnescape(value); err == nil {
				return plain
			}
			return value
		}
	}
	return ""
}
