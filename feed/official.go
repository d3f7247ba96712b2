package feed

import (
	"net/url"
	"strings"
	"time"
)

// OfficialSource is a publisher's own address of one feed, and how it is kept current.
type OfficialSource struct {
	Name string // as given to Sync: "osv/debian", "kev", "msrc"
	// Base is the address everything of this source lies below; it ends in a slash.
	// SyncOptions.Base puts a mirror in its place.
	Base string
	What string // one line for a list of sources

	files  []string // fixed files below Base; their place in the cache is the same
	index  string   // the list plan starts from, where it does not lie below Base
	plan   plan     // how to find the files; nil: they are fixed
	accept string   // the Accept header, where the publisher needs one
	pace   pace     // how many requests the publisher allows
	keyed  pace     // the same with an API key; zero: the publisher knows no keys
	// refusal is a status the publisher uses for "too many requests" besides 429.
	refusal int
}

// pace is a number of requests in any span of time.
type pace struct {
	requests int
	span     time.Duration
}

// Official lists the sources Sync knows. Each is its publisher's own
// server; nothing is fetched from anywhere else unless the publisher redirects.
func Official() []OfficialSource {
	list := []OfficialSource{
		{Name: "kev", Base: "https://www.cisa.gov/sites/default/files/feeds/", What: "CISA Known Exploited Vulnerabilities",
			files: []string{"known_exploited_vulnerabilities.json"}},
		{Name: "epss", Base: "https://epss.empiricalsecurity.com/", What: "FIRST EPSS scores of today",
			files: []string{"epss_scores-current.csv.gz"}},
		{Name: "cve5", Base: "https://github.com/CVEProject/cvelistV5/releases/download/", What: "CVE records: one full list, then daily changes", plan: planCVE5},
		{Name: "vulnrichment", Base: "https://github.com/cisagov/vulnrichment/archive/refs/heads/", What: "CISA ADP: SSVC, CVSS and CWE for CVE records",
			files: []string{"develop.zip"}},
		{Name: "nvd", Base: "https://nvd.nist.gov/feeds/json/cve/2.0/", What: "NVD, yearly files with checksums", plan: planNVDYears},
		{Name: "nvd-api", Base: "https://services.nvd.nist.gov/rest/json/", What: "NVD, its API: everything once, then what changed", plan: planNVDPages,
			pace: pace{5, 30 * time.Second}, keyed: pace{50, 30 * time.Second}, refusal: 403},
		{Name: "msrc", Base: "https://api.msrc.microsoft.com/cvrf/v3.0/", What: "Microsoft security updates, the documents that changed", plan: planMSRC,
			accept: "application/xml", pace: pace{10, 10 * time.Second}},
		{Name: "redhat", Base: "https://access.redhat.com/hydra/rest/securitydata/", What: "Red Hat Security Data API, the CVEs that changed", plan: planRedHat,
			index: "https://security.access.redhat.com/data/csaf/v2/vex/changes.csv", pace: pace{10, 5 * time.Second}},
		{Name: "jvn", Base: "https://jvndb.jvn.jp/ja/", What: "JVN iPedia in Japanese, yearly files with checksums", plan: planJVN},
	}
	for _, e := range []string{"Debian", "Ubuntu", "AlmaLinux", "Rocky Linux", "Red Hat", "Alpine", "SUSE", "openSUSE"} {
		list = append(list, OfficialSource{
			Name: "osv/" + osvName(e), Base: "https://storage.googleapis.com/osv-vulnerabilities/" + url.PathEscape(e) + "/",
			What: "OSV records for " + e, files: []string{"all.zip"},
		})
	}
	return list
}

// osvName is how vuln.Record.Source spells an ecosystem.
func osvName(ecosystem string) string {
	if ecosystem == "Rocky Linux" {
		return "rocky"
	}
	return strings.ReplaceAll(strings.ToLower(ecosystem), " ", "")
}
