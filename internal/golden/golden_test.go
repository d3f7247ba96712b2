package golden

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// told is a test that is told of failures and goes on.
type told struct {
	testing.TB
	said string
}

func (t *told) Helper()                        {}
func (t *told) Errorf(format string, a ...any) { t.said += fmt.Sprintf(format, a...) }
func (t *told) Fatalf(format string, a ...any) { t.said += fmt.Sprintf(format, a...); panic(t) }

// said is what Check says of got.
func said(got string) (text string) {
	var t told
	defer func() {
		if recover() != nil {
			text = t.said
		}
	}()
	Check(&t, "page.golden", got)
	return t.said
}

func TestADifferenceIsToldByItsFirstLine(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("testdata", 0o700); err != nil {
		t.Fatal(err)
	}
	if s := said("a\n"); !strings.Contains(s, "page.golden: no such file") || !strings.Contains(s, "-update") {
		t.Errorf("of a file that is not there: %q", s)
	}
	if err := os.WriteFile("testdata/page.golden", []byte("a\nb\nc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		"a\nb\nc\n":    "",
		"a\nx\ny\n":    "line 2:\nwant \"b\"\n got \"x\"",
		"a\nb\n":       "line 3:\nwant \"c\"\n got \"\"",
		"a":            "line 2:\nwant \"b\"\n got the end",
		"a\nb\nc\n\n":  "line 5:\nwant the end\n got \"\"",
		"a\nb\nc\nd\n": "line 4:\nwant \"\"\n got \"d\"",
	} {
		if s := said(got); want == "" && s != "" || !strings.Contains(s, want) {
			t.Errorf("of %q: %q, want %q", got, s, want)
		}
	}
}

func TestAFileIsWrittenWhereThatIsAsked(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("testdata", 0o700); err != nil {
		t.Fatal(err)
	}
	*update = true
	defer func() { *update = false }()
	if s := said("a\n"); s != "" {
		t.Error(s)
	}
	if text, err := os.ReadFile("testdata/page.golden"); string(text) != "a\n" {
		t.Errorf("%q, %v", text, err)
	}
}
