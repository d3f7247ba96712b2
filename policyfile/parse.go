// Package policyfile is how a policy is written: strict YAML in, canonical YAML out,
// and the built-in policies that come with the program. What a policy means is
// package policy's; this package promises that nothing is read that was not written,
// and that every mistake is reported at once, each with its place and its way out.
package policyfile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/policy"
	"go.yaml.in/yaml/v3"
)

// maxSize bounds a policy file in bytes; the largest built-in has a thirtieth of it.
const maxSize = 1 << 20

// Mistake is one thing wrong with a policy file.
type Mistake struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1
	Path    string `json:"path"`   // of keys, "spaces.system[3].seal"
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"` // the way out
}

// Error is "policy.yaml:12:5: spaces.system[3].seal: … ; did you mean …".
func (m *Mistake) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column,
		strings.TrimPrefix(policy.Problem{Path: m.Path, Message: m.Message, Hint: m.Hint}.String(), ": "))
}

// Mistakes returns the mistakes inside an error of Parse, in the order of the file.
func Mistakes(err error) []*Mistake {
	var out []*Mistake
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			out = append(out, Mistakes(e)...)
		}
		return out
	}
	if m := (*Mistake)(nil); errors.As(err, &m) {
		out = append(out, m)
	}
	return out
}

// Parse reads one policy; name is how errors call the file. The result is joined with
// its base, every rule has its id, and it is fit to be applied (policy.Validate finds
// nothing). Otherwise the error joins every *Mistake and the policy is empty.
func Parse(r io.Reader, name string) (policy.Policy, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return policy.Policy{}, fmt.Errorf("reading policy %s: %w", name, err)
	}
	d := decoder{file: name, places: map[string]place{}, aliases: map[string]string{}}
	p := d.read(text)
	if len(d.mistakes) == 0 {
		d.problems(p.WellFormed())
		p.Fill()
		p = d.join(p)
	}
	if len(d.mistakes) > 0 {
		return policy.Policy{}, d.err()
	}
	return p, nil
}

func (d *decoder) err() error {
	slices.SortStableFunc(d.mistakes, func(a, b *Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, len(d.mistakes))
	for i, m := range d.mistakes {
		errs[i] = m
	}
	return errors.Join(errs...)
}

// read decodes the text as it stands; what is wrong is in d.mistakes.
func (d *decoder) read(text []byte) policy.Policy {
	var p policy.Policy
	if len(text) > maxSize {
		d.mistake(place{1, 1}, "", "is larger than 1 MiB", "a policy names places, it does not list files")
		return p
	}
	root, ok := d.document(text)
	if ok {
		d.top(root, &p)
	}
	return p
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)

// document returns the one document of the text.
func (d *decoder) document(text []byte) (*yaml.Node, bool) {
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	err := decoder.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		d.mistake(place{1, 1}, "", "is empty", `the shortest policy is "version: 1", a "name:" and "base: standard"`)
		return nil, false
	case err != nil:
		d.syntax(err)
		return nil, false
	}
	if err := decoder.Decode(&second); err == nil {
		d.mistake(at(&second), "", "a second document starts here", "one file is one policy")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil, false
	}
	return doc.Content[0], true
}

func (d *decoder) syntax(err error) {
	m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	line, _ := strconv.Atoi(m[1])
	d.mistake(place{max(line, 1), 1}, "", "is not YAML: "+m[2], "check indentation and quotes on this line and the one before")
}

// problems places what package policy found.
func (d *decoder) problems(list []policy.Problem) {
	wrong := map[int]bool{}
	for _, m := range d.mistakes {
		wrong[m.Line] = true
	}
	for _, p := range list {
		where := d.find(p.Path)
		// What is written wrongly means nothing either: one mistake is reported once.
		if !wrong[where.line] {
			d.mistake(where, p.Path, p.Message, p.Hint)
		}
	}
}

// find returns where path stands in the file, or the nearest thing around it; a rule
// of the base stands where the base is named.
func (d *decoder) find(path string) place {
	for i := range len(path) {
		if here, ok := d.aliases[path[:i+1]]; ok && path[i] == ']' {
			path = here + path[i+1:]
			break
		}
	}
	for at := path; at != ""; at = parent(at) {
		if where, ok := d.places[at]; ok {
			if strings.HasSuffix(at, "]") || at == path {
				return where
			}
			if base, ok := d.places["base"]; ok {
				return base
			}
			return where
		}
	}
	if base, ok := d.places["base"]; ok && path != "version" && path != "name" {
		return base
	}
	return place{1, 1}
}

// parent cuts the last key or index off a path; an id in brackets may hold dots.
func parent(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[:strings.LastIndex(path, "[")]
	}
	i := strings.LastIndexAny(path, ".]")
	switch {
	case i < 0:
		return ""
	case path[i] == ']':
		return path[:i+1]
	}
	return path[:i]
}

// join puts p onto its base and checks what the two mean together.
func (d *decoder) join(p policy.Policy) policy.Policy {
	if p.Base != "" {
		base, err := Builtin(p.Base)
		if unknown := (*UnknownBuiltin)(nil); errors.As(err, &unknown) {
			d.mistake(d.find("base"), "base", fmt.Sprintf("there is no built-in policy %q", p.Base), unknown.hint())
			return p
		} else if err != nil {
			d.mistake(d.find("base"), "base", err.Error(), "")
			return p
		}
		d.without(p, base)
		p = p.Over(base)
	} else if len(p.Without) > 0 {
		d.mistake(d.find("without"), "without", "there is no base to leave something out of", "name a base, or take this out")
		p.Without = nil
	}
	d.problems(p.Sound())
	return p
}

func (d *decoder) without(p, base policy.Policy) {
	var ids []string
	for _, r := range base.Rules() {
		ids = append(ids, r.ID)
	}
	for i, id := range p.Without {
		if !slices.Contains(ids, id) {
			at := fmt.Sprintf("without[%d]", i)
			hint := ""
			if near := policy.Nearest(id, ids); near != "" {
				hint = fmt.Sprintf("did you mean %q?", near)
			}
			d.mistake(d.find(at), at, fmt.Sprintf("the base %s has no rule %q", p.Base, id), hint)
		}
	}
}
