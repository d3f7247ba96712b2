package triage

import (
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Ecosystems are the OSV ecosystems whose records speak about packages of this
// system, the most specific first: where a support channel (EUS, ESM) has a record
// about a vulnerability and package, the normal release's record does not count.
// Empty when no feed we know covers the system.
func Ecosystems(os host.OS) []string {
	major, _, _ := strings.Cut(os.VersionID, ".")
	switch {
	case os.VersionID == "":
		return nil
	case os.ID == "debian":
		return []string{"Debian:" + major}
	case os.ID == "ubuntu":
		return ubuntuEcosystems(os)
	case os.ID == "almalinux":
		return []string{"AlmaLinux:" + major}
	case os.ID == "rocky":
		return []string{"Rocky Linux:" + major}
	case os.ID == "rhel":
		return redHatEcosystems(os, major)
	case os.ID == "alpine":
		return []string{"Alpine:v" + minorOf(os.VersionID)}
	case os.ID == "opensuse-leap":
		return []string{"openSUSE:Leap " + os.VersionID}
	case os.ID == "sles":
		return []string{suseEcosystem(os.VersionID)}
	}
	return nil
}

func ubuntuEcosystems(os host.OS) []string {
	release := os.VersionID
	if os.LTS {
		release += ":LTS"
	}
	var out []string
	for _, c := range os.Channels {
		if c == "pro" {
			out = append(out, "Ubuntu:Pro:"+release)
		}
	}
	return append(out, "Ubuntu:"+release)
}

func redHatEcosystems(os host.OS, major string) []string {
	var out []string
	for _, c := range os.Channels {
		out = append(out, "Red Hat:rhel_"+c+":"+minorOf(os.VersionID))
	}
	return append(out, "Red Hat:enterprise_linux:"+major)
}

func suseEcosystem(version string) string {
	major, pack, found := strings.Cut(version, ".")
	if !found {
		return "SUSE:Linux Enterprise Server " + major
	}
	return "SUSE:Linux Enterprise Server " + major + " SP" + pack
}

// minorOf cuts a version to its first two numbers: "3.19.1" gives "3.19".
func minorOf(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
