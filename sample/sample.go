// Package sample carries the built-in sample: some 130 well-known vulnerabilities
// described in words written for kannuki, and three hosts to hold them against, so
// that the first run shows a real report before any feed was fetched. It states
// public facts (identifiers, versions, scores, dates) and promises that every record
// reads in English and Japanese; it is no feed: it is not complete and does not age well.
package sample

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"

	"github.com/kannuki/kannuki/host"
)

//go:embed records.jsonl
var records []byte

//go:embed hosts/*.json
var hosts embed.FS

// Records returns the records as a file of kannuki's own format: a header line, then
// one vuln.Record as JSON per line. The caller may change what it gets.
func Records() []byte { return bytes.Clone(records) }

// Hosts returns the inventories, by file name: a Debian 12 web server, an AlmaLinux 9
// database server and a Windows Server 2019. Each call decodes them anew, so the
// caller may change what it gets.
func Hosts() ([]host.Inventory, error) {
	entries, err := hosts.ReadDir("hosts")
	if err != nil {
		return nil, fmt.Errorf("sample: %w", err)
	}
	out := make([]host.Inventory, 0, len(entries))
	for _, e := range entries {
		text, err := hosts.ReadFile("hosts/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("sample: %w", err)
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		var inv host.Inventory
		if err := dec.Decode(&inv); err != nil {
			return nil, fmt.Errorf("sample: hosts/%s: %w", e.Name(), err)
		}
		out = append(out, inv)
	}
	return out, nil
}
