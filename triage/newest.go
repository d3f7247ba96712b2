package triage

import "github.com/kannuki/kannuki/triage/version"

// Newest is the latest of versions in the order of the ecosystem ("Debian:12"); false
// where that order is unknown, one of them is no version, or there are none.
func Newest(ecosystem string, versions []string) (string, bool) {
	order, known := version.OrderOf(ecosystem)
	if !known || len(versions) == 0 {
		return "", false
	}
	newest := versions[0]
	for _, v := range versions {
		c, err := version.Compare(order, newest, v)
		if err != nil {
			return "", false
		}
		if c < 0 {
			newest = v
		}
	}
	return newest, true
}
