// Command generate writes docs/policy.schema.json and the generated part of
// docs/policy.md. It is run by go generate from policyfile, and by nothing else.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/kannuki/kannuki/policyfile/schema"
)

func main() {
	root := ".."
	files, err := schema.Files(root)
	if err != nil {
		log.Fatalf("generate: %v", err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), text, 0o644); err != nil {
			log.Fatalf("generate: %v", err)
		}
	}
}
