package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
	"github.com/kannuki/kannuki/policyfile/schema"
	"go.yaml.in/yaml/v3"
)

var root = filepath.Join("..", "..")

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := schema.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the types say (%v); run: go generate ./policyfile", name, err)
		}
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	docs, err := schema.ReadDocs(filepath.Join(root, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(reflect.Type)
	walk = func(s reflect.Type) {
		for _, f := range schema.Fields(s) {
			if docs[f.Owner.Name()+"."+f.Name] == "" {
				t.Errorf("%s.%s has no comment", f.Owner.Name(), f.Name)
			}
			seen++
			e := f.Type
			if e.Kind() == reflect.Slice {
				e = e.Elem()
			}
			if e.Kind() == reflect.Struct && e != reflect.TypeFor[time.Time]() {
				walk(e)
			}
		}
	}
	walk(reflect.TypeFor[policy.Policy]())
	if seen < 100 {
		t.Fatalf("only %d keys walked", seen)
	}
}

const head = "version: 1\nname: web\nbase: standard\n"

// samples are judged by the schema and by the parser, which have to agree. What only
// meaning tells (contradictions, roles that do not exist) the schema cannot know.
var samples = []struct {
	text string
	ok   bool
}{
	{head, true},
	{head + "mode: observe\ncontrols: {launch: enforce}\n", true},
	{head + "spaces: {system: [{path: /srv/a, seal: sealed, writers: [{unit: a.service}], why: w}]}\n", true},
	{head + "spaces: {user: [{path: /var/www/x, names: [in], why: w}]}\n", true},
	{head + "spaces: {private: [{path: ~/.x}, {file: /etc/x}]}\n", true},
	{head + "grants: [{id: a, to: {user: aiko}, launch: [~/x], expires: 2026-12-01T06:00:00Z, reason: r, owner: o}]\n", true},
	{head + "deputies: {refuse: [{name: x, ports: [80]}]}\n", true},
	{head + "containment: {listeners: on, edges: [{from: {unit: a.service}, to: /usr/bin/x, setuid: true, why: w}]}\n", true},
	{head + "self: {confirm: 1h30m, longest_grant: 7d, token: on}\n", true},
	{head + "self: {token: on, keys: [{name: ops, key: 'kannuki-key1:" + strings.Repeat("A", 43) + "'}]}\n", true},
	{head + "without: ['system:/opt']\n", true},
	{head + "spaces: {system: [{path: /srv/...x/..y/.z, seal: sealed}]}\n", true},

	{"name: web\nbase: standard\n", false},
	{"version: 1\nbase: standard\n", false},
	{"version: 1\nname: web\n", false},
	{"version: 2\nname: web\nbase: standard\n", false},
	{head + "extra: 1\n", false},
	{head + "mode: on\n", false},
	{head + "controls: {lunch: enforce}\n", false},
	{head + "controls: {launch: on}\n", false},
	{head + "spaces: []\n", false},
	{head + "spaces: {system: [{path: srv, seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/../a, seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/./a, seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a/, seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: '/srv/*', seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a, seal: open}]}\n", false},
	{head + "spaces: {system: [{seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a, file: /srv/b, seal: sealed}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a, seal: sealed, writers: [{}]}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a, seal: sealed, writers: [{unit: a}]}]}\n", false},
	{head + "spaces: {system: [{path: /srv/a, seal: sealed, writers: [{unit: a.service, user: b}]}]}\n", false},
	{head + "spaces: {user: [{path: ~/x, why: w}]}\n", false},
	{head + "spaces: {user: [{path: /var/www/x}]}\n", false},
	{head + "grants: [{id: a, to: {user: aiko}, launch: [/x], reason: r, owner: o}]\n", false},
	{head + "grants: [{id: a, launch: [/x], expires: 2026-12-01T06:00:00Z, reason: r, owner: o}]\n", false},
	{head + "grants: [{id: a, to: {user: aiko}, launch: [/x], expires: 2026-12-01, reason: r, owner: o}]\n", false},
	{head + "grants: [{id: a, to: {user: aiko}, launch: [/x, /x], expires: 2026-12-01T06:00:00Z, reason: r, owner: o}]\n", false},
	{head + "grants: [{id: a, to: {user: aiko}, launch: [/x], expires: 2026-12-01T06:00:00Z, reason: '', owner: o}]\n", false},
	{head + "deputies: {refuse: [{name: x, ports: [0]}]}\n", false},
	{head + "deputies: {refuse: [{name: x, ports: ['80']}]}\n", false},
	{head + "self: {confirm: 10 minutes}\n", false},
	{head + "self: {confirm: 30m1h}\n", false},
	{head + "self: {token: true}\n", false},
	{head + "self: {keys: [{name: ops, key: 'kannuki-key1:" + strings.Repeat("B", 43) + "'}]}\n", false},
	{head + "self: {keys: [{key: 'kannuki-key1:" + strings.Repeat("A", 43) + "'}]}\n", false},
	{head + "roles: [{role: a, who: [], why: w}]\n", false},
	{head + "kernel: {refuse: [{surface: userns2}]}\n", false},
	{head + "trusted: [{file: /home/a, sha256: abc, to: [{user: a}], why: w}]\n", false},
	{head + "containment: {edges: [{from: {unit: a.service}, to: /usr/bin/x, setuid: 'yes', why: w}]}\n", false},
}

func TestSchemaAndParserAgree(t *testing.T) {
	s := load(t)
	for _, sample := range samples {
		_, err := policyfile.Parse(strings.NewReader(sample.text), "p.yaml")
		var value any
		var node yaml.Node
		if err := yaml.Unmarshal([]byte(sample.text), &node); err != nil {
			t.Fatal(err)
		}
		value = plain(&node)
		problem := s.check(s, value)
		if (err == nil) != sample.ok {
			t.Errorf("parser: %v, want ok=%v\n%s", err, sample.ok, sample.text)
		}
		if (problem == "") != sample.ok {
			t.Errorf("schema: %q, want ok=%v\n%s", problem, sample.ok, sample.text)
		}
	}
}

func TestBuiltinsMeetTheSchema(t *testing.T) {
	s := load(t)
	for _, name := range policyfile.BuiltinNames() {
		p, err := policyfile.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := policyfile.BuiltinText(name)
		for _, text := range []string{text, policyfile.Format(p)} {
			var node yaml.Node
			if err := yaml.Unmarshal([]byte(text), &node); err != nil {
				t.Fatal(err)
			}
			if problem := s.check(s, plain(&node)); problem != "" {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}

// plain is a node as JSON has it: a time stays the text it was written as.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.DocumentNode:
		return plain(n.Content[0])
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, e := range n.Content {
			out = append(out, plain(e))
		}
		return out
	}
	var v any
	if n.ShortTag() == "!!timestamp" || n.Decode(&v) != nil {
		return n.Value
	}
	if i, ok := v.(int); ok {
		return float64(i)
	}
	return v
}

// node is the part of JSON Schema the generator writes, and load refuses any other, so
// that this check overlooks no keyword.
type node map[string]any

var keywords = []string{"$schema", "$defs", "$ref", "title", "description", "type", "properties", "required", "additionalProperties", "propertyNames",
	"enum", "const", "pattern", "format", "items", "minItems", "uniqueItems", "minLength", "minimum", "maximum", "oneOf", "anyOf"}

func load(t *testing.T) node {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "policy.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s node
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	var walk func(node)
	walk = func(n node) {
		for key, v := range n {
			if !slices.Contains(keywords, key) {
				t.Fatalf("keyword %q is not known to this test", key)
			}
			switch key {
			case "properties", "$defs":
				for _, e := range v.(map[string]any) {
					walk(e.(map[string]any))
				}
			case "items", "propertyNames":
				walk(v.(map[string]any))
			}
		}
	}
	walk(s)
	return s
}

// check returns what is wrong with v, or "".
func (n node) check(root node, v any) string {
	if ref, ok := n["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		if problem := node(root["$defs"].(map[string]any)[name].(map[string]any)).check(root, v); problem != "" {
			return problem
		}
	}
	if want, ok := n["const"]; ok && want != v {
		return fmt.Sprintf("%v is not %v", v, want)
	}
	if words, ok := n["enum"].([]any); ok && !slices.Contains(words, v) {
		return fmt.Sprintf("%v is none of %v", v, words)
	}
	if kind, ok := n["type"].(string); ok && kind != kindOf(v) {
		return fmt.Sprintf("%v is no %s", v, kind)
	}
	switch v := v.(type) {
	case string:
		return n.text(v)
	case float64:
		if low, ok := n["minimum"].(float64); ok && (v < low || v > n["maximum"].(float64)) {
			return fmt.Sprint(v, " is out of range")
		}
	case []any:
		return n.list(root, v)
	case map[string]any:
		return n.object(root, v)
	}
	return ""
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case float64:
		return "integer"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	}
	return "null"
}

func (n node) text(v string) string {
	if pattern, ok := n["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
		return fmt.Sprintf("%q does not match %s", v, pattern)
	}
	if low, ok := n["minLength"].(float64); ok && utf8.RuneCountInString(v) < int(low) {
		return "text is too short"
	}
	if n["format"] == "date-time" {
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return err.Error()
		}
	}
	return ""
}

func (n node) list(root node, v []any) string {
	if low, ok := n["minItems"].(float64); ok && len(v) < int(low) {
		return "list is too short"
	}
	for i, e := range v {
		if n["uniqueItems"] == true && slices.Contains(v[:i], e) {
			return fmt.Sprintf("%v is there twice", e)
		}
		if problem := node(n["items"].(map[string]any)).check(root, e); problem != "" {
			return fmt.Sprintf("[%d]: %s", i, problem)
		}
	}
	return ""
}

func (n node) object(root node, v map[string]any) string {
	properties, _ := n["properties"].(map[string]any)
	for key, e := range v {
		if names, ok := n["propertyNames"].(map[string]any); ok {
			if problem := node(names).check(root, key); problem != "" {
				return problem
			}
		}
		below, known := properties[key].(map[string]any)
		if more, ok := n["additionalProperties"].(map[string]any); ok && !known {
			below, known = more, true
		}
		if !known && n["additionalProperties"] == false {
			return "unknown key " + key
		}
		if known {
			if problem := node(below).check(root, e); problem != "" {
				return key + ": " + problem
			}
		}
	}
	for _, key := range requiredOf(n) {
		if _, ok := v[key]; !ok {
			return key + " is missing"
		}
	}
	return n.cases(v)
}

func requiredOf(n node) []string {
	var out []string
	list, _ := n["required"].([]any)
	for _, key := range list {
		out = append(out, key.(string))
	}
	return out
}

func (n node) cases(v map[string]any) string {
	for _, word := range []string{"oneOf", "anyOf"} {
		cases, ok := n[word].([]any)
		hits := 0
		for _, c := range cases {
			if !slices.ContainsFunc(requiredOf(c.(map[string]any)), func(key string) bool { _, ok := v[key]; return !ok }) {
				hits++
			}
		}
		if ok && (hits == 0 || word == "oneOf" && hits > 1) {
			return fmt.Sprintf("%d of %s hold", hits, word)
		}
	}
	return ""
}
