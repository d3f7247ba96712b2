package kannuki_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kannuki/kannuki"

const (
	maxFileLines = 500
	maxFuncLines = 60
)

// watched are the selectors environmentEntersOnce asks about.
var watched = []string{
	"os.Args", "os.Exit", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv",
	"time.Now", "time.Since", "time.Until",
}

// load parses every Go file below root, for all platforms and build tags.
func load(t *testing.T, root string) graph {
	t.Helper()
	g := graph{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(root, path, d.Name())
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		at := filepath.ToSlash(filepath.Dir(path))
		if g[at] == nil {
			g[at] = &pkg{path: at}
		}
		g[at].add(fset, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// skipDir leaves out what go list leaves out: hidden folders, testdata, other modules.
func skipDir(root, path, name string) error {
	if path == root {
		return nil
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	if err == nil || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "node_modules" {
		return fs.SkipDir
	}
	return nil
}

// add takes one file into its package.
func (p *pkg) add(fset *token.FileSet, f *ast.File) {
	if f.Doc != nil {
		p.comments++
	}
	file := fset.File(f.FileStart)
	p.lines += file.LineCount()
	generated := ast.IsGenerated(f)
	if n := file.LineCount(); n > maxFileLines && !generated {
		p.smells = append(p.smells, fmt.Sprintf("%s: %d lines", file.Name(), n))
	}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		rel, own := strings.CutPrefix(path, module+"/")
		p.imports = append(p.imports, imported{rel, own})
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		if fn.Name.Name == "init" && fn.Recv == nil {
			p.inits = append(p.inits, fset.Position(fn.Pos()).String())
		}
		lines := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
		if lines > maxFuncLines && !generated {
			p.smells = append(p.smells, fmt.Sprintf("%s: func %s has %d lines", fset.Position(fn.Pos()), fn.Name.Name, lines))
		}
	}
	p.calls = append(p.calls, watchedIn(fset, f)...)
}

// watchedIn finds the watched selectors of a file, through whatever name it imports
// their package by.
func watchedIn(fset *token.FileSet, f *ast.File) []string {
	names := map[string]string{} // local name → package
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		if path == "os" || path == "time" {
			name := path
			if spec.Name != nil {
				name = spec.Name.Name
			}
			names[name] = path
		}
	}
	var out []string
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && names[id.Name] != "" {
			full := names[id.Name] + "." + sel.Sel.Name
			if slices.Contains(watched, full) {
				out = append(out, fmt.Sprintf("%s at %s", full, fset.Position(sel.Pos())))
			}
		}
		return true
	})
	return out
}

// What follows builds small graphs for TestRulesCatchViolations.

func of(nodes ...*pkg) graph {
	g := graph{}
	for _, n := range nodes {
		g[n.path] = n
	}
	return g
}

func node(path string, with ...func(*pkg)) *pkg {
	p := &pkg{path: path, comments: 1}
	for _, w := range with {
		w(p)
	}
	return p
}

func own(path string) func(*pkg) {
	return func(p *pkg) { p.imports = append(p.imports, imported{path: path, own: true}) }
}

func lib(path string) func(*pkg) {
	return func(p *pkg) { p.imports = append(p.imports, imported{path: path}) }
}

func calls(names ...string) func(*pkg) { return func(p *pkg) { p.calls = names } }
func inits() func(*pkg)                { return func(p *pkg) { p.inits = []string{"x.go:1"} } }
func comments(n int) func(*pkg)        { return func(p *pkg) { p.comments = n } }
func lines(n int) func(*pkg)           { return func(p *pkg) { p.lines = n } }
