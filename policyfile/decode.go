package policyfile

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/policy"
	"go.yaml.in/yaml/v3"
)

// place is a place in the file.
type place struct{ line, column int }

func at(n *yaml.Node) place { return place{max(n.Line, 1), max(n.Column, 1)} }

// decoder fills a policy from YAML nodes by the types of package policy. It takes no
// anchors, aliases, merge keys or tags: a policy is read by people under pressure,
// and what a line says must stand on it.
type decoder struct {
	file     string
	places   map[string]place  // by key path, list elements by index
	aliases  map[string]string // "list[id]" of a rule to "list[0]"
	mistakes []*Mistake
}

func (d *decoder) mistake(p place, path, message, hint string) {
	d.mistakes = append(d.mistakes, &Mistake{File: d.file, Line: p.line, Column: p.column, Path: path, Message: message, Hint: hint})
}

func (d *decoder) top(n *yaml.Node, p *policy.Policy) {
	d.value("", n, reflect.ValueOf(p).Elem())
}

func (d *decoder) value(path string, n *yaml.Node, v reflect.Value) {
	d.places[path] = at(n)
	if d.fancy(path, n) {
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		d.time(path, n, v)
	case v.Kind() == reflect.Struct:
		d.fields(path, n, v)
	case v.Kind() == reflect.Map:
		d.words(path, n, v)
	case v.Kind() == reflect.Slice:
		d.list(path, n, v)
	default:
		d.scalar(path, n, v)
	}
}

// fancy refuses what YAML offers beyond maps, lists and words.
func (d *decoder) fancy(path string, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.mistake(at(n), path, "anchors and aliases (& and *) are not read", "write the value here, or quote the text")
	case n.Style&yaml.TaggedStyle != 0:
		d.mistake(at(n), path, fmt.Sprintf("the tag %s is not read", n.Tag), "take it out, or quote the text")
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
		d.mistake(at(n), path, "has no value", "give it one, or take the key out")
	default:
		return false
	}
	return true
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a group of keys"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the switch " + n.Value
	case "!!timestamp":
		return "the date " + n.Value
	}
	return "the text " + strconv.Quote(n.Value)
}

func (d *decoder) expected(path string, n *yaml.Node, what, hint string) {
	d.mistake(at(n), path, fmt.Sprintf("should be %s and is %s", what, describe(n)), hint)
}

// fields decodes a group of keys.
func (d *decoder) fields(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.expected(path, n, "a group of keys", "")
		return
	}
	known := fieldsOf(v)
	d.eachKey(path, n, func(here string, key, value *yaml.Node) {
		field, ok := known[key.Value]
		if !ok {
			d.unknown(path, key, known)
			return
		}
		d.value(here, value, field)
		d.places[here] = at(value)
	})
}

func (d *decoder) unknown(path string, key *yaml.Node, known map[string]reflect.Value) {
	var words []string
	for w := range known {
		words = append(words, w)
	}
	hint := "the keys here are " + strings.Join(sorted(words), ", ")
	if near := policy.Nearest(key.Value, sorted(words)); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.mistake(at(key), path, fmt.Sprintf("unknown key %q", key.Value), hint)
}

// eachKey calls each for every key that is plain text and stands there once.
func (d *decoder) eachKey(path string, n *yaml.Node, each func(here string, key, value *yaml.Node)) {
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge" {
			d.mistake(at(key), path, "merge keys (<<) are not read", `start from a built-in policy with "base:"`)
			continue
		}
		if d.fancy(path, key) {
			continue
		}
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			d.expected(path, key, "a key", "")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			d.mistake(at(key), path, fmt.Sprintf("key %q stands here twice", key.Value), fmt.Sprintf("the first is on line %d; join the two", line))
			continue
		}
		seen[key.Value] = key.Line
		here := key.Value
		if path != "" {
			here = path + "." + key.Value
		}
		each(here, key, value)
	}
}

// fieldsOf are the settable fields of a struct by their YAML keys, embedded ones too.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			for key, field := range fieldsOf(v.Field(i)) {
				out[key] = field
			}
			continue
		}
		out[policy.FieldTag(f).Key] = v.Field(i)
	}
	return out
}

// words decodes a map of words to words.
func (d *decoder) words(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		d.expected(path, n, "a group of keys", "")
		return
	}
	out := reflect.MakeMap(v.Type())
	d.eachKey(path, n, func(here string, key, value *yaml.Node) {
		word := reflect.New(v.Type().Elem()).Elem()
		d.value(here, value, word)
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), word)
	})
	if out.Len() > 0 {
		v.Set(out)
	}
}

// list decodes a list; rules can afterwards be found by their id as well.
func (d *decoder) list(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.expected(path, n, "a list", "put a hyphen before each entry, or brackets around them")
		return
	}
	if len(n.Content) == 0 {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, e := range n.Content {
		here := fmt.Sprintf("%s[%d]", path, i)
		d.value(here, e, v.Index(i))
		d.byID(path, here, v.Index(i))
	}
}

func (d *decoder) byID(path, here string, rule reflect.Value) {
	if rule.Kind() != reflect.Struct {
		return
	}
	id := rule.FieldByName("ID")
	if !id.IsValid() {
		return
	}
	name := id.String()
	if name == "" {
		name = policy.DefaultID(rule.Interface())
	}
	d.aliases[path+"["+name+"]"] = here
}

func (d *decoder) scalar(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.expected(path, n, kindName(v.Kind()), "")
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n.ShortTag() != "!!str" {
			d.expected(path, n, "text", "put quotes around it")
			return
		}
		v.SetString(n.Value)
	case reflect.Int:
		number, err := strconv.Atoi(n.Value)
		if n.ShortTag() != "!!int" || err != nil {
			d.expected(path, n, "a whole number", "")
			return
		}
		v.SetInt(int64(number))
	case reflect.Bool:
		if n.ShortTag() != "!!bool" || n.Value != "true" && n.Value != "false" {
			d.expected(path, n, "true or false", "")
			return
		}
		v.SetBool(n.Value == "true")
	}
}

func kindName(k reflect.Kind) string {
	switch k {
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

// time takes RFC 3339 only: a date without a time or a zone ends at nobody knows when.
func (d *decoder) time(path string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		d.expected(path, n, "a time", "write it like 2026-12-01T06:00:00Z")
		return
	}
	t, err := time.Parse(time.RFC3339, n.Value)
	if err != nil || t.Year() < 2000 || t.Year() > 2999 {
		hint := "write it like 2026-12-01T06:00:00Z"
		if day, err := time.Parse(time.DateOnly, n.Value); err == nil {
			hint = fmt.Sprintf("did you mean %q?", day.Format(time.RFC3339))
		}
		d.expected(path, n, "a time with its zone", hint)
		return
	}
	v.Set(reflect.ValueOf(t.UTC()))
}
