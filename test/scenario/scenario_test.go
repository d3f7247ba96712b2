//go:build linux

package scenario_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/test/scenario"
)

// readAll reads every scenario file of a pattern.
func readAll(t *testing.T, pattern string) []scenario.Instance {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario files %s: %v", pattern, err)
	}
	var all []scenario.Instance
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
		all = append(all, scenario.Instances(blocks)...)
	}
	return all
}

func TestEveryScenarioFileCanBeRead(t *testing.T) {
	names := map[string]bool{}
	for _, i := range readAll(t, "*.txt") {
		if names[i.N] {
			t.Errorf("%s:%d: two steps are called %s", i.File, i.Line, i.N)
		}
		names[i.N] = true
		if i.ID == "" {
			continue
		}
		if _, err := i.Operations(); err != nil {
			t.Errorf("%s:%d: %v", i.File, i.Line, err)
		}
	}
}

// Every step of GUARD.md section 4 but G60: it takes a kernel with a bug that those of
// the matrix do not have.
func TestEveryAttackOfTheSpecificationHasAScenario(t *testing.T) {
	have := map[string]bool{}
	for _, i := range readAll(t, "*.txt") {
		have[i.ID] = true
	}
	for n := range 62 {
		if id := fmt.Sprintf("G%02d", n+1); id != "G60" && !have[id] {
			t.Errorf("%s has no scenario", id)
		}
	}
}

// Forty is the least that was asked for; each is refused to contained root.
func TestTheGuardIsAttackedInFortyWaysAtLeast(t *testing.T) {
	ways := 0
	for _, i := range readAll(t, "self.txt") {
		if i.Actor == scenario.Root && i.Refuses() {
			ways++
		}
	}
	if ways < 40 {
		t.Errorf("contained root attacks the guard in %d ways, want at least 40", ways)
	}
}

func TestWhatAFileMustNotSay(t *testing.T) {
	const good = "attack G01 T1105 x\n\tdo run x\n\tshows true\n\trefused root by launch\n"
	if _, err := scenario.Parse("f", strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"atack G01 T1 x\n":                                 "f:1: \"atack\" is neither attack nor work",
		"\tdo x\n":                                         "before the first",
		good + "\tdid x\n":                                 "f:5: unknown word \"did\"",
		good + "\tvary sideways\n":                         "unknown way \"sideways\"",
		good + "\tvary deep 0\n":                           "unknown way",
		good + "\trefused nobody by launch\n":              "unknown actor \"nobody\"",
		good + "\trefused root by magic\n":                 "unknown control \"magic\"",
		good + "\trefused root\n":                          "by which control",
		good + "\tworks root\n":                            "root is refused and works",
		good + "\tdo run 'x\n":                             "the quote ' is not closed",
		good + "work y\n\tdo x\n\tshows y\n":               "f:5: y: work needs to say who",
		good + "\tdo\n":                                    "nothing after it",
		"attack G01 T1 x\n\tdo run x\n":                    "nothing shows",
		"work y\n\tas root\n\tdo x\n\tshows y\n\tundo z\n": "are for attacks",
	} {
		if _, err := scenario.Parse("f", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error with %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("attack G01 T1105 x\n\tvary plain, deep 9\n\tdo run 'a b'\n\tshows true\n\trefused root by launch, write\n\tworks visitor\n")
	f.Add("work x\n\tas alice\n\tdo true\n\tshows true\n\trefused write /etc/x\n")
	f.Fuzz(func(t *testing.T, text string) {
		blocks, err := scenario.Parse("f", strings.NewReader(text))
		if err != nil {
			return
		}
		for _, i := range scenario.Instances(blocks) {
			if i.ID == "" {
				continue
			}
			if _, err := i.Operations(); err != nil {
				t.Errorf("%q parsed, but: %v", text, err)
			}
		}
	})
}
