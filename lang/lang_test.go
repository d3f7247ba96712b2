package lang

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/vuln"
)

func TestEveryMessageExistsInEveryLanguage(t *testing.T) {
	want := slices.Sorted(maps.Keys(catalogue("en")))
	for _, l := range Languages[1:] {
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(catalogue(l)))); diff != "" {
			t.Errorf("keys of en.json (-) and %s.json (+) differ:\n%s", l, diff)
		}
	}
}

func TestNoMessageIsEmpty(t *testing.T) {
	for _, l := range Languages {
		for key, template := range catalogue(l) {
			if strings.TrimSpace(template) == "" {
				t.Errorf("%s.json: %q is empty", l, key)
			}
		}
	}
}

func TestNoKeyIsWrittenTwice(t *testing.T) {
	for _, l := range Languages {
		parts, err := fs.Glob(files, l+"*.json")
		if err != nil || len(parts) == 0 {
			t.Fatalf("%s: %v, %v", l, parts, err)
		}
		seen := map[string]string{}
		for _, part := range parts {
			data, err := files.ReadFile(part)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^  "([^"]+)": `).FindAllStringSubmatch(string(data), -1) {
				if seen[m[1]] != "" {
					t.Errorf("%q is in %s and again in %s", m[1], seen[m[1]], part)
				}
				seen[m[1]] = part
			}
		}
		if got := len(catalogue(l)); got != len(seen) {
			t.Errorf("%s: %d keys, but %d lines have one: write each on a line of its own, indented by two", l, got, len(seen))
		}
	}
}

var placeholders = regexp.MustCompile(`\{(\d+)(?:\|[^{}]*)?\}`)

// arguments are the argument numbers a template uses.
func arguments(template string) []string {
	seen := map[string]bool{}
	for _, m := range placeholders.FindAllStringSubmatch(template, -1) {
		seen[m[1]] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestEveryMessageUsesTheSameArgumentsInEveryLanguage(t *testing.T) {
	english := catalogue("en")
	for _, l := range Languages[1:] {
		for key, template := range catalogue(l) {
			if diff := cmp.Diff(arguments(english[key]), arguments(template)); diff != "" {
				t.Errorf("%q: arguments in en.json (-) and %s.json (+) differ:\n%s", key, l, diff)
			}
		}
	}
}

func TestBracesAreOnlyPlaceholders(t *testing.T) {
	for _, l := range Languages {
		for key, template := range catalogue(l) {
			if rest := placeholders.ReplaceAllString(template, ""); strings.ContainsAny(rest, "{}") {
				t.Errorf("%s.json: %q has a brace that is no placeholder: %q", l, key, template)
			}
		}
	}
}

func TestJapaneseUsesFullWidthPunctuation(t *testing.T) {
	halfWidth := regexp.MustCompile(`\p{Han}[,.:;!?()]|\p{Hiragana}[,.:;!?()]|\p{Katakana}[,.:;!?()]|[(]\p{Han}`)
	for key, template := range catalogue("ja") {
		if m := halfWidth.FindString(template); m != "" {
			t.Errorf("ja.json: %q has half-width punctuation at %q", key, m)
		}
	}
}

func TestEveryTypeHasLabelMeaningAndHeads(t *testing.T) {
	for _, l := range Languages {
		p := New(l)
		for _, typ := range vuln.Types {
			for _, kind := range []string{"label", "meaning", "short", "head"} {
				if key := "type." + kind + "." + string(typ); !p.Has(key) {
					t.Errorf("%s.json: %q is missing", l, key)
				}
			}
			for _, row := range strings.Split(p.T("type.head."+string(typ)), "\n") {
				if w := Width(row); w > 3 {
					t.Errorf("%s.json: head %q of %s is %d cells wide; 13 of them fit into 80 only at 3", l, row, typ, w)
				}
			}
		}
	}
}

// TestEveryKeyTheFacesUseExists reads the Go source of the faces for T("…") calls:
// whole keys must exist, and a literal that something is appended to must begin one.
func TestEveryKeyTheFacesUseExists(t *testing.T) {
	messages := catalogue("en")
	found := 0
	for _, dir := range []string{"../agentcli", "../cli", "../command", "../report", "../textpage"} {
		for _, use := range keysUsed(t, dir) {
			found++
			if use.prefix {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(messages)), func(k string) bool { return strings.HasPrefix(k, use.key) }) {
					t.Errorf("%s: no message begins with %q", use.at, use.key)
				}
			} else if _, ok := messages[use.key]; !ok {
				t.Errorf("%s: no message %q in lang/en*.json", use.at, use.key)
			}
		}
	}
	if found == 0 {
		t.Error("found no T(…) call at all: the scan looks for the wrong thing")
	}
}

type keyUse struct {
	key, at string
	prefix  bool
}

func keysUsed(t *testing.T, dir string) []keyUse {
	var uses []keyUse
	files := token.NewFileSet()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return nil // being edited: the compiler will say so
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			if sel, ok := call.Fun.(*ast.SelectorExpr); !ok || !slices.Contains([]string{"T", "word"}, sel.Sel.Name) {
				return true
			} else if key, prefix, ok := literal(call.Args[0]); ok {
				uses = append(uses, keyUse{key, files.Position(call.Pos()).String(), prefix || sel.Sel.Name == "word"})
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return uses
}

// literal is the string an expression is, or begins with.
func literal(e ast.Expr) (s string, prefix, ok bool) {
	switch v := e.(type) {
	case *ast.BasicLit:
		if v.Kind != token.STRING {
			return "", false, false
		}
		s, err := strconv.Unquote(v.Value)
		return s, false, err == nil
	case *ast.BinaryExpr:
		s, _, ok := literal(v.X)
		return s, true, ok
	}
	return "", false, false
}

func TestLocaleChoosesTheLanguage(t *testing.T) {
	for tag, want := range map[string]string{
		"ja": "ja", "ja_JP.UTF-8": "ja", "ja-JP": "ja", "JA_jp.eucJP": "ja", "ja_JP@x": "ja",
		"en": "en", "en_US.UTF-8": "en", "C": "en", "C.UTF-8": "en", "POSIX": "en", "": "en", "de_DE": "en", "jam": "en",
	} {
		if got := New(tag).Language(); got != want {
			t.Errorf("New(%q) speaks %q, want %q", tag, got, want)
		}
	}
}

func TestArgumentsAreWrittenTheLanguagesWay(t *testing.T) {
	p := New("en")
	day := time.Date(2026, 11, 3, 7, 5, 0, 0, time.UTC)
	for _, c := range []struct {
		template string
		args     []any
		want     string
	}{
		{"{0} {0|package|packages}", []any{1}, "1 package"},
		{"{0} {0|package|packages}", []any{12345}, "12,345 packages"},
		{"{1} before {0}", []any{"a", "b"}, "b before a"},
		{"{0} {1}", []any{"2019"}, "2019 {1}"},
		{"no end {0", []any{1}, "no end {0"},
		{"not } a {0} {x}", []any{1}, "not } a {0} {x}"},
		{"{0}", []any{day}, "2026-11-03"},
		{"{0}", []any{0.5}, "0.5"},
	} {
		if got := p.fill(c.template, c.args); got != c.want {
			t.Errorf("%q with %v = %q, want %q", c.template, c.args, got, c.want)
		}
	}
	if got := New("ja").Date(day); got != "2026年11月3日" {
		t.Errorf("Japanese date = %q", got)
	}
	if got := p.Date(time.Time{}); got != "" {
		t.Errorf("zero date = %q, want nothing", got)
	}
	if got := p.T("no.such.key", 1); got != "no.such.key" {
		t.Errorf("unknown key = %q", got)
	}
	if got := p.Percent(0.41); got != "41.0%" {
		t.Errorf("Percent = %q", got)
	}
}

func TestAgeIsSaidInWords(t *testing.T) {
	p := New("en")
	for d, want := range map[time.Duration]string{
		-2 * time.Hour: "in the future (check this host's clock)", -time.Minute: "just now", 30 * time.Second: "just now",
		time.Minute: "1 minute ago", 90 * time.Minute: "1 hour ago", 47 * time.Hour: "47 hours ago", 72 * time.Hour: "3 days ago",
		61 * 24 * time.Hour: "2 months ago", 3 * 366 * 24 * time.Hour: "3 years ago",
	} {
		if got := p.Age(d); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
}
