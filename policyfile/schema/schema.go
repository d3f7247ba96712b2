// Package schema writes the published descriptions of the policy language from the Go
// types that are the language: a JSON Schema for editors and a reference for people.
// It runs at go generate only; the comments on the types are the texts.
package schema

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kannuki/kannuki/policy"
)

// Docs are the comments of package policy, by "Type" and "Type.Field".
type Docs map[string]string

// ReadDocs reads the comments of the package's types from its folder.
func ReadDocs(dir string) (Docs, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no Go files of package policy in %s (%w)", dir, os.ErrNotExist)
	}
	docs := Docs{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("reading comments: %w", err)
		}
		for _, d := range tree.Decls {
			if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				docs.types(g)
			}
		}
	}
	return docs, nil
}

func (d Docs) types(g *ast.GenDecl) {
	for _, s := range g.Specs {
		t := s.(*ast.TypeSpec)
		doc := t.Doc
		if doc == nil {
			doc = g.Doc
		}
		d[t.Name.Name] = oneLine(doc)
		structure, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range structure.Fields.List {
			for _, name := range f.Names {
				d[t.Name.Name+"."+name.Name] = oneLine(f.Doc)
			}
		}
	}
}

func oneLine(g *ast.CommentGroup) string {
	return strings.Join(strings.Fields(g.Text()), " ")
}

// JSON returns the JSON Schema (draft 2020-12) of a policy file.
func JSON(docs Docs) ([]byte, error) {
	s := schemer{docs: docs, defs: map[string]any{}}
	root := s.object(reflect.TypeFor[policy.Policy]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "kannuki policy"
	root["anyOf"] = []any{map[string]any{"required": []string{"mode"}}, map[string]any{"required": []string{"base"}}}
	root["$defs"] = s.defs
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

type schemer struct {
	docs Docs
	defs map[string]any
}

// object describes a struct, embedded ones included.
func (s *schemer) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties, "description": s.docs[t.Name()]}
	for _, f := range Fields(t) {
		properties[f.Tag.Key] = s.field(f)
		if f.Tag.Required {
			required = append(required, f.Tag.Key)
		}
	}
	if len(required) > 0 {
		out["required"] = required
	}
	if one := oneOf(t); len(one) > 0 {
		var cases []any
		for _, key := range one {
			cases = append(cases, map[string]any{"required": []string{key}})
		}
		out["oneOf"] = cases
	}
	return out
}

// oneOf are the keys of which exactly one is given.
func oneOf(t reflect.Type) []string {
	if t == reflect.TypeFor[policy.Who]() || t == reflect.TypeFor[policy.Place]() {
		var keys []string
		for _, f := range Fields(t) {
			keys = append(keys, f.Tag.Key)
		}
		return keys
	}
	for i := range t.NumField() {
		if t.Field(i).Anonymous {
			return oneOf(t.Field(i).Type)
		}
	}
	return nil
}

// Field is one key of the language.
type Field struct {
	Tag   policy.Tag
	Owner reflect.Type // the struct that declares it
	reflect.StructField
}

// Fields are the keys of t in their order.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			out = append(out, Fields(f.Type)...)
			continue
		}
		out = append(out, Field{policy.FieldTag(f), t, f})
	}
	return out
}

func (s *schemer) field(f Field) map[string]any {
	out := s.value(f.Type, f.Tag)
	switch {
	case f.Tag.Key == "version":
		out = map[string]any{"const": policy.Version}
	case f.Tag.Required && out["type"] == "string" && out["pattern"] == nil && out["enum"] == nil:
		out["minLength"] = 1
	case f.Tag.Required && out["type"] == "array":
		out["minItems"] = 1
	}
	if doc := s.docs[f.Owner.Name()+"."+f.Name]; doc != "" {
		out["description"] = doc
	}
	return out
}

func (s *schemer) value(t reflect.Type, tag policy.Tag) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Struct:
		if s.defs[t.Name()] == nil {
			s.defs[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	case t.Kind() == reflect.Slice:
		out := map[string]any{"type": "array", "items": s.value(t.Elem(), tag)}
		if t.Elem().Kind() == reflect.String {
			out["uniqueItems"] = true
		}
		return out
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "propertyNames": s.value(t.Key(), policy.Tag{}), "additionalProperties": s.value(t.Elem(), policy.Tag{})}
	case t.Kind() == reflect.Int && tag.Form == "port":
		return map[string]any{"type": "integer", "minimum": 1, "maximum": 65535}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	}
	return text(t, tag)
}

func text(t reflect.Type, tag policy.Tag) map[string]any {
	out := map[string]any{"type": "string"}
	if words := policy.Values(t); words != nil {
		out["enum"] = words
	} else if tag.Form != "" {
		out["pattern"] = policy.Forms()[tag.Form].Pattern
	}
	return out
}

// Markdown returns the reference: every group of keys, the words and the forms.
func Markdown(docs Docs) string {
	m := referee{docs: docs}
	m.group("", reflect.TypeFor[policy.Policy]())
	m.shared()
	m.vocabulary()
	return m.String()
}

type referee struct {
	strings.Builder
	docs Docs
	done []reflect.Type
}

func (m *referee) group(at string, t reflect.Type) {
	title := "`" + at + "`"
	if at == "" {
		title = "The file"
	}
	fmt.Fprintf(m, "### %s\n\n%s\n\n| key | value | meaning |\n|---|---|---|\n", title, plain(m.docs[t.Name()], t.Name()))
	for _, f := range Fields(t) {
		key := "`" + f.Tag.Key + "`"
		if f.Tag.Required {
			key = "**" + key + "**"
		}
		fmt.Fprintf(m, "| %s | %s | %s |\n", key, kind(f.Type, f.Tag), cell(m.docs[f.Owner.Name()+"."+f.Name]))
	}
	m.WriteString("\n")
	for _, f := range Fields(t) {
		below := strings.TrimPrefix(at+"."+f.Tag.Key, ".")
		switch e := f.Type; {
		case e.Kind() == reflect.Struct && e != reflect.TypeFor[time.Time]() && !m.met(e):
			m.group(below, e)
		case e.Kind() == reflect.Slice && e.Elem().Kind() == reflect.Struct && !m.met(e.Elem()):
			m.group(below+"[]", e.Elem())
		}
	}
}

// met tells whether t has its own place in the reference.
func (m *referee) met(t reflect.Type) bool {
	if t == reflect.TypeFor[policy.Who]() || slices.Contains(m.done, t) {
		return true
	}
	m.done = append(m.done, t)
	return false
}

func (m *referee) shared() {
	t := reflect.TypeFor[policy.Who]()
	fmt.Fprintf(m, "### who\n\n%s\n\n| key | value | meaning |\n|---|---|---|\n", plain(m.docs["Who"], "Who"))
	for _, f := range Fields(t) {
		fmt.Fprintf(m, "| `%s` | %s | %s |\n", f.Tag.Key, kind(f.Type, f.Tag), cell(m.docs["Who."+f.Name]))
	}
	m.WriteString("\n")
}

func (m *referee) vocabulary() {
	for _, w := range []struct {
		title string
		t     reflect.Type
	}{
		{"mode", reflect.TypeFor[policy.Mode]()}, {"seal", reflect.TypeFor[policy.Seal]()}, {"profile", reflect.TypeFor[policy.Profile]()},
		{"control", reflect.TypeFor[policy.Policy]().Field(fieldIndex("Controls")).Type.Key()}, {"surface", reflect.TypeFor[policy.Surface]()},
	} {
		fmt.Fprintf(m, "### %s\n\n| word | meaning |\n|---|---|\n", w.title)
		for _, word := range policy.Values(w.t) {
			fmt.Fprintf(m, "| `%s` | %s |\n", word, cell(policy.Meaning(w.t, word)))
		}
		m.WriteString("\n")
	}
	m.WriteString("### Forms of text\n\n| form | is | example |\n|---|---|---|\n")
	forms := policy.Forms()
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(m, "| %s | %s | `%s` |\n", name, cell(forms[name].About), forms[name].Example)
	}
}

func fieldIndex(name string) int {
	f, _ := reflect.TypeFor[policy.Policy]().FieldByName(name)
	return f.Index[0]
}

// kind names a value's type to people.
func kind(t reflect.Type, tag policy.Tag) string {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[policy.Who]():
		return "[who](#who)"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != reflect.TypeFor[policy.Who]():
		return "list of rules"
	case t.Kind() == reflect.Slice:
		return "list of " + kind(t.Elem(), tag)
	case t.Kind() == reflect.Struct:
		return "keys"
	case t.Kind() == reflect.Map:
		return "control: mode"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case policy.Values(t) != nil && len(policy.Values(t)) < 5:
		return "`" + strings.Join(policy.Values(t), "`, `") + "`"
	case policy.Values(t) != nil:
		return "[" + strings.ToLower(t.Name()) + "](#" + strings.ToLower(t.Name()) + ")"
	case tag.Form != "":
		return tag.Form
	case t.Kind() == reflect.Int:
		return "number"
	}
	return "text"
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// plain leaves the name of the Go type out of its comment: "Edge lets one …" says
// "Lets one …" under a heading that names the key.
func plain(doc, name string) string {
	rest := strings.TrimPrefix(strings.TrimPrefix(doc, name+" "), "is ")
	return strings.ToUpper(rest[:min(1, len(rest))]) + rest[min(1, len(rest)):]
}
