package report

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/control"
	"github.com/kannuki/kannuki/feed"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/triage"
	"github.com/kannuki/kannuki/vuln"
)

// keysOf adds the JSON keys a type can be written with: those of nested types too
// where deep is set, else only its own.
func keysOf(t reflect.Type, deep bool, seen map[reflect.Type]bool, keys map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		keysOf(t.Elem(), deep, seen, keys)
		return
	case reflect.Struct:
	default:
		return
	}
	if seen[t] || t == reflect.TypeFor[time.Time]() {
		return
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case f.Anonymous && name == "":
			keysOf(f.Type, deep, seen, keys)
			continue
		}
		keys[name] = true
		if deep {
			keysOf(f.Type, deep, seen, keys)
		}
	}
}

// sections splits the page by its headings.
func sections(t *testing.T) (page string, byHeading map[string]string) {
	t.Helper()
	data, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	byHeading = map[string]string{}
	heading := ""
	for _, line := range strings.Split(string(data), "\n") {
		if h := strings.TrimLeft(line, "#"); h != line && strings.HasPrefix(h, " ") {
			heading = strings.TrimSpace(h)
		}
		byHeading[heading] += line + "\n"
	}
	return string(data), byHeading
}

func TestEveryKeyThatIsWrittenIsDocumented(t *testing.T) {
	page, byHeading := sections(t)
	for heading, typ := range map[string]reflect.Type{
		"Scan":           reflect.TypeFor[triage.Scan](),
		"Finding":        reflect.TypeFor[triage.Finding](),
		"Reason":         reflect.TypeFor[triage.Reason](),
		"Totals":         reflect.TypeFor[triage.Totals](),
		"Protection":     reflect.TypeFor[host.Protection](),
		"Inventory":      reflect.TypeFor[host.Inventory](),
		"Host":           reflect.TypeFor[host.Host](),
		"Vulnerability":  reflect.TypeFor[vuln.Vulnerability](),
		"Record":         reflect.TypeFor[vuln.Record](),
		"News":           reflect.TypeFor[control.News](),
		"Type table":     reflect.TypeFor[triage.TypeTable](),
		"Coverage table": reflect.TypeFor[triage.CoverageTable](),
		"What-if":        reflect.TypeFor[control.WhatIf](),
		"Evidence":       reflect.TypeFor[control.Evidence](),
		"Feeds":          reflect.TypeFor[feed.SourceStatus](),
		"Rejects":        reflect.TypeFor[feed.Reject](),
		"Outcomes":       reflect.TypeFor[feed.Outcome](),
	} {
		if byHeading[heading] == "" {
			t.Errorf("docs/formats.md has no section %q", heading)
			continue
		}
		for _, where := range []struct {
			deep bool
			name string
			text string
		}{{false, "section " + heading, byHeading[heading]}, {true, "page", page}} {
			keys := map[string]bool{}
			keysOf(typ, where.deep, map[reflect.Type]bool{}, keys)
			if len(keys) == 0 {
				t.Errorf("%s: found no keys at all", heading)
			}
			for k := range keys {
				if !strings.Contains(where.text, "`"+k+"`") {
					t.Errorf("docs/formats.md, %s: key `%s` of %v is not named", where.name, k, typ)
				}
			}
		}
	}
}

func TestEveryDocumentedVocabularyIsComplete(t *testing.T) {
	_, byHeading := sections(t)
	for _, typ := range vuln.Types {
		if !strings.Contains(byHeading["Finding"], "`"+string(typ)+"`") {
			t.Errorf("type %s is not named under Finding", typ)
		}
	}
	for _, name := range triage.TableNames {
		table, err := triage.BuiltinTable(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range table.Actions {
			if !strings.Contains(byHeading["Finding"], "`"+string(a.Action)+"`") {
				t.Errorf("decision %s is not named under Finding", a.Action)
			}
		}
	}
}
