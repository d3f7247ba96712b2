package policyfile

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/policy"
)

// width is where Format breaks a list into lines.
const width = 100

// Format writes p as canonical YAML: keys in the order of the language, ids only where
// a rule does not go by its own, empty things left out. Parse reads back the same policy.
func Format(p policy.Policy) string {
	var w writer
	w.fields(reflect.ValueOf(p), "")
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) fields(v reflect.Value, indent string) {
	for _, f := range entries(v) {
		switch {
		case f.value.Kind() == reflect.Struct && f.value.Type() != reflect.TypeFor[time.Time]() && !isWho(f.value.Type()):
			fmt.Fprintf(w, "%s%s:\n", indent, f.key)
			w.fields(f.value, indent+"  ")
		case f.value.Kind() == reflect.Map:
			w.words(f.key, f.value, indent)
		case isRules(f.value.Type()):
			fmt.Fprintf(w, "%s%s:\n", indent, f.key)
			for i := range f.value.Len() {
				w.rule(f.value.Index(i), indent+"  ")
			}
		case f.value.Kind() == reflect.Slice:
			w.flow(f.key, f.value, indent)
		default:
			fmt.Fprintf(w, "%s%s: %s\n", indent, f.key, inline(f.value))
		}
	}
}

func (w *writer) rule(v reflect.Value, indent string) {
	var one writer
	one.fields(v, indent+"  ")
	text := one.String()
	if text == "" {
		text = indent + "  {}\n"
	}
	w.WriteString(indent + "- " + strings.TrimPrefix(text, indent+"  "))
}

func (w *writer) words(key string, v reflect.Value, indent string) {
	fmt.Fprintf(w, "%s%s:\n", indent, key)
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		fmt.Fprintf(w, "%s  %s: %s\n", indent, scalar(k.String()), inline(v.MapIndex(k)))
	}
}

// flow writes a list in brackets, over several lines where one is too narrow.
func (w *writer) flow(key string, v reflect.Value, indent string) {
	line := indent + key + ": ["
	for i := range v.Len() {
		item := inline(v.Index(i))
		if i+1 < v.Len() {
			item += ","
		}
		if len(line)+len(item) > width && !strings.HasSuffix(line, "[") {
			w.WriteString(strings.TrimRight(line, " ") + "\n")
			line = indent + "  "
		}
		line += item + " "
	}
	w.WriteString(strings.TrimRight(line, " ") + "]\n")
}

type keyed struct {
	key   string
	value reflect.Value
}

// entries are the fields that say something, in the order of the types.
func entries(v reflect.Value) []keyed {
	var out []keyed
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		switch {
		case f.Anonymous:
			out = append(out, entries(field)...)
		case field.IsZero(), f.Name == "ID" && field.String() == policy.DefaultID(v.Interface()):
		case field.Kind() == reflect.Struct && field.Type() != reflect.TypeFor[time.Time]() && len(entries(field)) == 0:
		default:
			out = append(out, keyed{policy.FieldTag(f).Key, field})
		}
	}
	return out
}

func isWho(t reflect.Type) bool { return t == reflect.TypeFor[policy.Who]() }

func isRules(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && !isWho(t.Elem())
}

func inline(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case policy.Who:
		var parts []string
		for _, e := range entries(v) {
			parts = append(parts, e.key+": "+scalar(e.value.String()))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	switch v.Kind() {
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	return scalar(v.String())
}

var (
	plain    = regexp.MustCompile(`^[A-Za-z/~(][A-Za-z0-9 _./~()'+@%;=>→–-]*$`)
	notPlain = regexp.MustCompile(`(?i)^(null|true|false|yes|no|y|n|~|\.inf|\.nan)$`)
)

// scalar writes text so that it is read back as text: plain where no reader of YAML
// could take it for anything else, quoted otherwise.
func scalar(text string) string {
	if plain.MatchString(text) && !notPlain.MatchString(text) && !strings.HasSuffix(text, " ") && !strings.Contains(text, " #") {
		return text
	}
	return quoted(text)
}

func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
