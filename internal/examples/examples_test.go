package examples_test

import (
	"reflect"
	"testing"

	"github.com/kannuki/kannuki/internal/examples"
)

func TestExamplesAreReadAsWords(t *testing.T) {
	page := "Shows the table.\n\nUsage:\n  tool show [flags]\n\nExamples:\n" +
		"  tool show \"Windows Server 2019\" --from 2018\n" +
		"  tool show --json > all.json\n" +
		"  tool show >> log\n" +
		"  tool run -- sh -c \"echo hello\"\n" +
		"\nFlags:\n  --json   as JSON\n"
	want := [][]string{{"tool", "show", "Windows Server 2019", "--from", "2018"}, {"tool", "show", "--json"}, {"tool", "show"},
		{"tool", "run", "--", "sh", "-c", "echo hello"}}
	if got := examples.Of(page); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := examples.Of("Usage:\n  tool show\n"); got != nil {
		t.Errorf("%q of a page without examples", got)
	}
}
