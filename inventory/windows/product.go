package windows

import (
	"regexp"
	"strings"
)

var (
	serverYear = regexp.MustCompile(`Windows Server\S* (\d{4})( R2)?`)
	client     = regexp.MustCompile(`Windows (\d+(?:\.\d)?|Vista)\b`)
)

// releases names the releases of Windows 10, 11 and the Server channel by build
// (Microsoft's release information pages).
var releases = map[string]string{
	"10586": "1511", "14393": "1607", "15063": "1703", "16299": "1709", "17134": "1803", "17763": "1809",
	"18362": "1903", "18363": "1909", "19041": "2004", "19042": "20H2", "19043": "21H1", "19044": "21H2", "19045": "22H2",
	"22000": "21H2", "22621": "22H2", "22631": "23H2", "26100": "24H2", "26200": "25H2", "25398": "23H2",
}

// bits is how Microsoft's product names say the architecture.
var bits = map[string]string{"amd64": "x64-based", "arm64": "ARM64-based", "386": "32-bit"}

// productOf turns an edition's name ("Microsoft Windows Server 2019 Standard") into
// the product's in Microsoft's security updates ("Windows Server 2019"). channel is
// true for a Server release without a desktop, which exists only as Server Core.
func productOf(edition, build, servicePack, arch string) (product string, channel bool) {
	edition = strings.NewReplacer("(R)", "", "®", "", "™", "", "(TM)", "").Replace(edition)
	number := ""
	if parts := strings.Split(build, "."); len(parts) > 2 {
		number = parts[2]
	}
	if m := serverYear.FindStringSubmatch(edition); m != nil {
		return serverProduct(m[1]+m[2], number, servicePack, arch)
	}
	if strings.Contains(edition, "Windows Server") && releases[number] != "" {
		return "Windows Server, version " + releases[number], true
	}
	if m := client.FindStringSubmatch(edition); m != nil {
		return clientProduct(m[1], number, servicePack, arch), false
	}
	return strings.TrimSpace(strings.TrimPrefix(edition, "Microsoft ")), false
}

func serverProduct(year, number, servicePack, arch string) (product string, channel bool) {
	product = "Windows Server " + year
	switch {
	case year == "2022" && number == "25398":
		return product + ", 23H2 Edition", true
	case strings.HasPrefix(year, "2008") && bits[arch] != "":
		product += " for " + bits[arch] + " Systems"
		if servicePack != "" {
			product += " Service Pack " + servicePack
		}
	}
	return product, false
}

func clientProduct(version, number, servicePack, arch string) string {
	product := "Windows " + version
	if r := releases[number]; r != "" {
		product += " Version " + r
	}
	if bits[arch] != "" {
		product += " for " + bits[arch] + " Systems"
	}
	if servicePack != "" {
		product += " Service Pack " + servicePack
	}
	return product
}
