//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/test/scenario"
)

// What a file asks for that nobody can do would only be found out in a machine.
func TestEveryOperationOfTheFilesIsKnown(t *testing.T) {
	files, err := filepath.Glob("../*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files: %v", err)
	}
	asked := map[string]bool{"alone": true, "within": true, "elsewhere": true, "directory": true, "orphan": true}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := scenario.Parse(name, f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range scenario.Instances(blocks) {
			if i.ID != "" {
				known(t, i, asked)
			}
			for script := range strings.Lines(i.Approach(false) + "\n" + i.Look()) {
				for rest := script; ; {
					_, after, found := strings.Cut(rest, "attacker do ")
					if !found {
						break
					}
					asked[strings.Fields(after)[0]], rest = true, after
				}
			}
		}
	}
	for name := range operations {
		if !asked[name] {
			t.Errorf("no file asks for %s", name)
		}
	}
}

func known(t *testing.T, i scenario.Instance, asked map[string]bool) {
	t.Helper()
	all, err := i.Operations()
	if err != nil {
		t.Fatalf("%s:%d: %v", i.File, i.Line, err)
	}
	for _, words := range all {
		name := strings.TrimPrefix(words[0], "-")
		asked[name] = true
		op, ok := operations[name]
		if !ok && name != "alone" {
			t.Errorf("%s:%d: there is no operation %q", i.File, i.Line, name)
			continue
		}
		if args := len(words) - 1; args < op.least || !op.more && args > op.least {
			t.Errorf("%s:%d: %s takes %d arguments, not %d", i.File, i.Line, name, op.least, args)
		}
	}
}
