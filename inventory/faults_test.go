package inventory_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/host"
)

// A code nobody knows would be said as a code, and one that nobody uses in words for nothing.
func TestEveryFaultOfACollectorHasWordsForAllItsArguments(t *testing.T) {
	known := host.FaultCodes()
	used := map[string]bool{"denied": true, "missing": true, "error": true} // host.NotRead
	call := regexp.MustCompile(`host\.NewFault\((?:"([a-z-]+)"|fault)((?:, [^\n]*)?)\)`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range call.FindAllStringSubmatch(string(source), -1) {
			codes := []string{m[1]}
			if m[1] == "" { // osrelease: of two codes
				codes = []string{"after-quote", "open-quote"}
			}
			for _, code := range codes {
				used[code] = true
				if known[code] == "" {
					t.Errorf("%s: there is no fault %q", path, code)
				}
				if asked := strings.Contains(known[code], "{0}"); asked != (m[2] != "") {
					t.Errorf("%s: %q has arguments: %v; its words want some: %v", path, code, m[2] != "", asked)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for code := range known {
		if !used[code] {
			t.Errorf("no collector has a fault %q any more", code)
		}
	}
}

func TestAFaultIsSaidWithItsArguments(t *testing.T) {
	for want, f := range map[string]host.Fault{
		"line 3 gives P: a second time":     host.NewFault("twice", 3, "P:"),
		"not a regular file":                host.NewFault("irregular"),
		"line {1} is longer than {0} bytes": host.NewFault("long-line", "{1}", "{0}"),
		"unheard-of 1":                      host.NewFault("unheard-of", 1),
	} {
		if f.Error() != want {
			t.Errorf("%+v: %q, want %q", f, f.Error(), want)
		}
	}
	_, err := os.ReadFile(filepath.Join(t.TempDir(), "none"))
	if u := host.NotRead("/x", err); u.Code != "missing" || len(u.Args) != 1 || u.Why != "it is not there: "+err.Error() {
		t.Errorf("%+v", u)
	}
	if u := host.NotRead("/x", &fs.PathError{Op: "open", Path: "/x", Err: host.NewFault("irregular")}); u.Code != "irregular" || u.Why != "not a regular file" {
		t.Errorf("%+v", u)
	}
	if u := host.NotRead("/x", strconv.ErrSyntax); u.Code != "error" || u.Why != strconv.ErrSyntax.Error() {
		t.Errorf("%+v", u)
	}
}
