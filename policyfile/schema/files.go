package schema

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// The marks between which docs/policy.md is generated.
const (
	Begin = "<!-- generated from package policy by go generate ./policyfile: begin -->"
	End   = "<!-- generated: end -->"
)

// Files returns what the generated files should hold now, by path below the module
// root: the schema, and the reference with its hand-written part as it is.
func Files(root string) (map[string][]byte, error) {
	docs, err := ReadDocs(filepath.Join(root, "policy"))
	if err != nil {
		return nil, err
	}
	text, err := JSON(docs)
	if err != nil {
		return nil, err
	}
	reference := filepath.Join("docs", "policy.md")
	page, err := os.ReadFile(filepath.Join(root, reference))
	if err != nil {
		return nil, err
	}
	before, rest, begins := bytes.Cut(page, []byte(Begin))
	_, after, ends := bytes.Cut(rest, []byte(End))
	if !begins || !ends {
		return nil, fmt.Errorf("%s has no generated part: put the lines %q and %q around it", reference, Begin, End)
	}
	body := fmt.Sprintf("%s%s\n\n%s\n%s%s", before, Begin, Markdown(docs), End, after)
	return map[string][]byte{filepath.Join("docs", "policy.schema.json"): text, reference: []byte(body)}, nil
}
