// Package osrelease reads os-release(5), the file in which a Linux system says
// what it is. Unknown keys are ignored, as the format demands; a value is never
// interpreted by a shell.
package osrelease

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// Paths are the places of the file, the first that exists counts.
var Paths = []string{"etc/os-release", "usr/lib/os-release"}

// Parse reads the content of an os-release file. ID is "linux" where the file has
// none, as os-release(5) says; VersionID is empty for a rolling or unreleased
// system (Debian sid). A line that is no assignment is an error that names it.
func Parse(data []byte) (host.OS, error) {
	fields, err := assignments(data)
	if err != nil {
		return host.OS{}, err
	}
	os := host.OS{
		ID:        fields["ID"],
		IDLike:    strings.Fields(fields["ID_LIKE"]),
		VersionID: fields["VERSION_ID"],
		Codename:  fields["VERSION_CODENAME"],
		Name:      fields["PRETTY_NAME"],
		CPE:       fields["CPE_NAME"],
		LTS:       fields["ID"] == "ubuntu" && strings.Contains(fields["VERSION"], "LTS"),
	}
	if os.ID == "" {
		os.ID = "linux"
	}
	if os.Name == "" {
		os.Name = strings.TrimSpace(fields["NAME"] + " " + fields["VERSION"])
	}
	if len(os.IDLike) == 0 {
		os.IDLike = nil
	}
	return os, nil
}

// assignments splits the file into its keys and unquoted values; the last
// assignment of a key counts, as in a shell.
func assignments(data []byte) (map[string]string, error) {
	fields := map[string]string{}
	for n, line := range bytes.Split(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok || !isKey(key) {
			return nil, host.NewFault("not-key-value", n+1, strconv.Quote(clip(text)))
		}
		unquoted, fault, at := unquote(value)
		if fault != "" {
			return nil, host.NewFault(fault, n+1, key, strconv.Quote(clip(at)))
		}
		fields[key] = unquoted
	}
	return fields, nil
}

func isKey(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c == '_' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || i > 0 && '0' <= c && c <= '9') {
			return false
		}
	}
	return s != ""
}

// unquote removes shell quotes: none, '…' (taken as it stands) or "…" where a
// backslash protects " $ ` \. A fault has a code and what it is about.
func unquote(s string) (unquoted, fault, at string) {
	if s == "" || s[0] != '"' && s[0] != '\'' {
		return strings.ReplaceAll(s, `\`, ""), "", ""
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			if strings.TrimSpace(s[i+1:]) != "" && !strings.HasPrefix(strings.TrimSpace(s[i+1:]), "#") {
				return "", "after-quote", s[i+1:]
			}
			return b.String(), "", ""
		case s[i] == '\\' && quote == '"' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "open-quote", s
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "…"
	}
	return s
}
