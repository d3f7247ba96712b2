package vuln

import "strings"

// CPEProduct returns "vendor:product" of a CPE 2.3 string, lower case and with its
// escapes as they stand ("cpe:2.3:o:microsoft:windows_server_2019:…" gives
// "microsoft:windows_server_2019"), or "" where cpe is not one.
func CPEProduct(cpe string) string {
	fields := CPEFields(cpe)
	if len(fields) < 5 {
		return ""
	}
	return strings.ToLower(fields[3] + ":" + fields[4])
}

// CPEFields splits a CPE 2.3 string at its unescaped colons: "cpe", "2.3", part,
// vendor, product, version, … It returns nil where cpe is not one.
func CPEFields(cpe string) []string {
	if !strings.HasPrefix(cpe, "cpe:2.3:") {
		return nil
	}
	fields := make([]string, 0, 13)
	start := 0
	for i := 0; i < len(cpe); i++ {
		switch cpe[i] {
		case '\\':
			i++
		case ':':
			fields = append(fields, cpe[start:i])
			start = i + 1
		}
	}
	return append(fields, cpe[min(start, len(cpe)):])
}
