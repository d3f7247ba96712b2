package triage

import (
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
)

// endOfLife is when the publisher's free security support for a release ends (for
// Debian: LTS; for RHEL and its rebuilds: maintenance support). After it, records
// stop coming: silence is not safety. Source: the publishers' life-cycle pages.
var endOfLife = map[string]map[string]string{
	"debian":    {"8": "2020-06-30", "9": "2022-06-30", "10": "2024-06-30", "11": "2026-08-31", "12": "2028-06-30", "13": "2030-06-30"},
	"ubuntu":    {"16.04": "2021-04-30", "18.04": "2023-05-31", "20.04": "2025-05-31", "22.04": "2027-06-01", "24.04": "2029-05-31", "24.10": "2025-07-10"},
	"rhel":      {"6": "2020-11-30", "7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"almalinux": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"rocky":     {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
	"alpine":    {"3.16": "2024-05-23", "3.17": "2024-11-22", "3.18": "2025-05-09", "3.19": "2025-11-01", "3.20": "2026-04-01", "3.21": "2026-11-01", "3.22": "2027-05-01"},
	"centos":    {"6": "2020-11-30", "7": "2024-06-30", "8": "2021-12-31"},
}

// EndOfLife is the day from which a release gets no more free security updates;
// false when we do not know it.
func EndOfLife(os host.OS) (time.Time, bool) {
	releases := endOfLife[os.ID]
	major, _, _ := strings.Cut(os.VersionID, ".")
	for _, release := range []string{os.VersionID, minorOf(os.VersionID), major} {
		if day, ok := releases[release]; ok {
			// The day itself is still supported.
			end, err := time.Parse(time.DateOnly, day)
			return end.AddDate(0, 0, 1), err == nil
		}
	}
	return time.Time{}, false
}
