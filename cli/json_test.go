package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/cli"
)

// asJSON are the arguments with which every command that prints something prints
// JSON, and a key its answer must have: of the object, or of its first element.
var asJSON = map[string]struct {
	args []string
	key  string
}{
	"scan":            {[]string{"--sample-host", "web1.example.com", "--json"}, "findings"},
	"new":             {[]string{"--json"}, "items"},
	"show":            {[]string{"CVE-2024-6387", "--json"}, "records"},
	"report types":    {[]string{"--product", "lantern", "--year", "2026", "--format", "json"}, "rows"},
	"inventory":       {[]string{"--sample-host", "web1.example.com", "--json"}, "packages"},
	"feed import":     {[]string{"feed.json", "--json"}, "status"},
	"feed status":     {[]string{"--json"}, "newest"},
	"evidence":        {[]string{"CVE-2024-6387", "--host", "web1.example.com", "--json"}, "verification"},
	"what-if":         {[]string{"--without", "launch", "--json"}, "moves"},
	"report coverage": {[]string{"--product", "lantern", "--year", "2026", "--format", "json"}, "rows"},
	"policy export":   {[]string{"standard", "--target", "appcontrol", "--format", "json"}, "gaps"},
	"token key":       {nil, ""}, // token.txtar: it makes a key once
	"token sign":      {[]string{"--key", "ops.key", "--host", "h1", "--may", "unlock", "--json"}, "token"},
	"token show":      {[]string{"ops.key", "--json"}, "id"},
	"feed sync":       {nil, ""}, // TestSyncFetchesImportsAndAsksConditionallyTheNextTime
}

const oneNVDItem = `{"CVE_data_type":"CVE","CVE_data_numberOfCVEs":"2","CVE_Items":[{"cve":{"CVE_data_meta":{"ID":"CVE-2026-10001"},
"description":{"description_data":[{"lang":"en","value":"A lantern falls."}]}},"configurations":{"nodes":[{"operator":"OR","cpe_match":[
{"vulnerable":true,"cpe23Uri":"cpe:2.3:a:acme:lantern:1.0:*:*:*:*:*:*:*"}]}]},"publishedDate":"2026-02-19T00:00Z","lastModifiedDate":"2026-11-20T00:00Z"},
{"cve":{"CVE_data_meta":{"ID":"nothing"}}}]}`

func TestEveryCommandThatListsHasJSONThatParses(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.WriteFile("feed.json", []byte(oneNVDItem), 0o600); err != nil {
		t.Fatal(err)
	}
	db := []string{"--db", filepath.Join(dir, "k.db")}
	if _, code := kannuki(t, append([]string{"scan", "--sample-host", "web1.example.com"}, db...)...); code != cli.ExitOK { // the sample goes first
		t.Fatalf("scan: exit code %d", code)
	}
	if _, code := kannuki(t, append([]string{"feed", "import", "feed.json"}, db...)...); code != cli.ExitOK {
		t.Fatalf("import: exit code %d", code)
	}
	if _, code := kannuki(t, "token", "key", "ops"); code != cli.ExitOK {
		t.Fatalf("token key: exit code %d", code)
	}
	for _, c := range cli.Commands(cli.Env{Getenv: func(string) string { return "" }}) {
		name := strings.Join(c.Path, " ")
		if !c.Leaf {
			continue
		}
		want, ok := asJSON[name]
		if !ok || !c.JSON {
			t.Errorf("%s: --json %t, tried here %t; every command that lists something has it and is tried", name, c.JSON, ok)
			continue
		}
		if want.key == "" {
			continue
		}
		for _, l := range []string{"en", "ja"} {
			out, code := kannuki(t, append(append(append(c.Path[:len(c.Path):len(c.Path)], want.args...), "--lang", l), db...)...)
			if code != cli.ExitOK || !hasKey(t, out, want.key) {
				t.Errorf("%s --lang %s: exit code %d, no key %q in:\n%.400s", name, l, code, want.key, out)
			}
		}
	}
	out, code := kannuki(t, append([]string{"feed", "status", "--rejects", "--json"}, db...)...)
	if code != cli.ExitOK || !hasKey(t, out, "reason") {
		t.Errorf("feed status --rejects --json: exit code %d\n%s", code, out)
	}
}

// hasKey tells whether text is one JSON document, an object with the key or a list
// that begins with one.
func hasKey(t *testing.T, text, key string) bool {
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Errorf("no JSON: %v\n%.400s", err, text)
		return false
	}
	if list, ok := doc.([]any); ok && len(list) > 0 {
		doc = list[0]
	}
	object, _ := doc.(map[string]any)
	_, ok := object[key]
	return ok
}

func TestExchangeFormatsOfScanParse(t *testing.T) {
	db := filepath.Join(t.TempDir(), "k.db")
	for flag, key := range map[string]string{"--sarif": "runs", "--openvex": "statements", "--cyclonedx": "vulnerabilities"} {
		out, code := kannuki(t, "scan", "--sample-host", "web1.example.com", flag, "--db", db)
		if code != cli.ExitOK || !hasKey(t, out, key) {
			t.Errorf("scan %s: exit code %d, no key %q in:\n%.400s", flag, code, key, out)
		}
	}
	out, code := kannuki(t, "inventory", "--sample-host", "web1.example.com", "--cyclonedx")
	if code != cli.ExitOK || !hasKey(t, out, "components") {
		t.Errorf("inventory --cyclonedx: exit code %d\n%.400s", code, out)
	}
}
