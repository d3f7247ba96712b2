package agent

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
)

// keys adds the JSON keys a value of t is written with, those of nested types too.
func keys(t reflect.Type, into map[string]bool) {
	if k := t.Kind(); k == reflect.Pointer || k == reflect.Slice {
		keys(t.Elem(), into)
		return
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			into[name] = true
		}
		keys(f.Type, into)
	}
}

func TestEveryKeyTheAgentWritesIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for heading, typ := range map[string]reflect.Type{
		"Agent status": reflect.TypeFor[Status](), "Event": reflect.TypeFor[event.Event](), "Agent change": reflect.TypeFor[Changed](),
		"Checked policy": reflect.TypeFor[Checked](), "Explanation": reflect.TypeFor[Explained](), "Drill": reflect.TypeFor[DrillReport](),
	} {
		section := regexp.MustCompile(`(?ms)^##+ ` + heading + `$(.*?)(^##|\z)`).FindSubmatch(page)
		if section == nil {
			t.Errorf("docs/formats.md has no section %q", heading)
			continue
		}
		text := string(section[1])
		if heading == "Agent change" || heading == "Drill" { // which refer to others
			text = string(page)
		}
		found := map[string]bool{}
		keys(typ, found)
		if len(found) < 4 {
			t.Errorf("%s: only the keys %v", heading, found)
		}
		for k := range found {
			if !strings.Contains(text, "`"+k+"`") {
				t.Errorf("docs/formats.md, %s: key `%s` is not named", heading, k)
			}
		}
	}
}

func TestEveryFileTheAgentKeepsIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{lastGoodFile, modesFile, pendingFile, protectionFile, inventoryFile, grantsFile, bootFile, unlockFile, tokensFile, proofsFile, drillFile, eventsDir + "/"} {
		if !strings.Contains(string(page), "| `"+name+"` |") {
			t.Errorf("docs/formats.md does not say what %s is", name)
		}
	}
}
