package kannuki_test

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Nothing may attach to the kernel that the tests run on. A test that attaches stands
// in a file with the build tag guest, which no ordinary go test compiles; and where
// somebody compiles it all the same, its package's TestMain is guest.Main, which ends
// the program outside a test machine (internal/vm). These rules are about test files,
// which the rules of arch_rules_test.go leave out.

const (
	guestTag     = "guest"
	guestPackage = module + "/internal/vm/guest"
)

// attaching are the doors to the kernel: by package, the names that load or attach
// something there; no names means all of the package.
var attaching = map[string][]string{
	module + "/guard":               {"Open", "OpenReduced", "openGate"},
	module + "/guard/bpf":           {"LoadGuardObjects"},
	"github.com/cilium/ebpf/link":   nil,
	"github.com/cilium/ebpf/rlimit": nil,
	"github.com/cilium/ebpf": {"NewCollection", "NewCollectionWithOptions", "LoadCollection", "LoadAndAssign",
		"NewProgram", "NewProgramWithOptions", "NewMap", "NewMapWithOptions", "LoadPinnedProgram", "LoadPinnedMap"},
	"golang.org/x/sys/unix": {"FanotifyInit", "FanotifyMark", "SYS_FANOTIFY_INIT", "SYS_FANOTIFY_MARK", "SYS_BPF"},
	"syscall":               {"SYS_FANOTIFY_INIT", "SYS_FANOTIFY_MARK"},
}

// attachingMethods attach whatever package's value they are called on.
var attachingMethods = []string{"LoadAndAssign"}

// testFile is a test file as far as these rules look at it.
type testFile struct {
	at   string // its path below the module root
	file *ast.File
	fset *token.FileSet
}

func TestOnlyGuestTestsAttach(t *testing.T) {
	files := testFiles(t, ".")
	for _, broken := range append(attachesElsewhere(files), unguardedPackages(files)...) {
		t.Error(broken)
	}
	if !slices.ContainsFunc(files, func(f testFile) bool { return guestOnly(f.file) }) {
		t.Error("there is no guest test: the rule looks in the wrong place, or the tag has another name now")
	}
}

func testFiles(t *testing.T, root string) []testFile {
	t.Helper()
	fset := token.NewFileSet()
	var files []testFile
	err := filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipDir(root, at, d.Name())
		}
		if !strings.HasSuffix(at, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, at, nil, parser.ParseComments|parser.SkipObjectResolution)
		files = append(files, testFile{filepath.ToSlash(at), f, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// attachesElsewhere finds uses of the attaching doors in files without the tag.
func attachesElsewhere(files []testFile) []string {
	var out []string
	for _, f := range files {
		if guestOnly(f.file) {
			continue
		}
		for _, use := range f.attaches() {
			out = append(out, fmt.Sprintf("%s: it would run on the kernel of whoever tests; put it in a file with //go:build %s", use, guestTag))
		}
	}
	return out
}

// unguardedPackages finds folders with guest tests whose TestMain is not guest.Main.
func unguardedPackages(files []testFile) []string {
	guarded := map[string]bool{}
	for _, f := range files {
		if guestOnly(f.file) {
			guarded[path.Dir(f.at)] = guarded[path.Dir(f.at)] || f.entersThroughGuest()
		}
	}
	var out []string
	for _, dir := range slices.Sorted(maps.Keys(guarded)) {
		if !guarded[dir] {
			out = append(out, fmt.Sprintf("%s has tests with the tag %s, but no TestMain with that tag that calls guest.Main: on a host they would run", dir, guestTag))
		}
	}
	return out
}

// guestOnly tells whether a file is compiled only with the tag.
func guestOnly(f *ast.File) bool {
	for _, group := range f.Comments {
		for _, c := range group.List {
			if c.Pos() > f.Package || !constraint.IsGoBuild(c.Text) {
				continue
			}
			if expr, err := constraint.Parse(c.Text); err == nil {
				return needsGuest(expr)
			}
		}
	}
	return false
}

func needsGuest(e constraint.Expr) bool {
	switch e := e.(type) {
	case *constraint.TagExpr:
		return e.Tag == guestTag
	case *constraint.AndExpr:
		return needsGuest(e.X) || needsGuest(e.Y)
	case *constraint.OrExpr:
		return needsGuest(e.X) && needsGuest(e.Y)
	}
	return false
}

// names maps the local names of a file's imports to their paths.
func (f testFile) names() map[string]string {
	names := map[string]string{}
	for _, spec := range f.file.Imports {
		to, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(to)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = to
	}
	return names
}

// attaches lists what a file does through the attaching doors, each with its place.
func (f testFile) attaches() []string {
	names := f.names()
	inside := attaching[module+"/"+path.Dir(f.at)] // names that need no package here
	if strings.HasSuffix(f.file.Name.Name, "_test") {
		inside = nil
	}
	if to := names["."]; to != "" {
		inside = append(slices.Clone(inside), attaching[to]...)
	}
	var out []string
	found := func(n ast.Node, what string) {
		out = append(out, fmt.Sprintf("%s: %s", f.fset.Position(n.Pos()), what))
	}
	for _, spec := range f.file.Imports {
		to, _ := strconv.Unquote(spec.Path.Value)
		if list, is := attaching[to]; is && list == nil {
			found(spec, "imports "+to)
		}
	}
	ast.Inspect(f.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			id, _ := n.X.(*ast.Ident)
			if id != nil && slices.Contains(attaching[names[id.Name]], n.Sel.Name) || slices.Contains(attachingMethods, n.Sel.Name) {
				found(n, "uses "+n.Sel.Name)
			}
			if id != nil {
				return false // neither half is a bare name
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && slices.Contains(inside, id.Name) {
				found(n, "calls "+id.Name)
			}
		}
		return true
	})
	return out
}

// entersThroughGuest tells whether a file has a TestMain that calls guest.Main.
func (f testFile) entersThroughGuest() bool {
	names := f.names()
	for _, d := range f.file.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || fn.Name.Name != "TestMain" {
			continue
		}
		calls := false
		ast.Inspect(fn, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Main" {
				id, _ := sel.X.(*ast.Ident)
				calls = calls || id != nil && names[id.Name] == guestPackage
			}
			return true
		})
		return calls
	}
	return false
}

// The rule must be able to fail, and must leave alone what attaches nothing.
func TestAttachingOutsideGuestTestsIsFound(t *testing.T) {
	const main = "import \"" + guestPackage + "\"\nfunc TestMain(m *testing.M) { guest.Main(m) }\n"
	for _, c := range []struct {
		name, at, source string
		broken           bool
	}{
		{"opens the guard", "agent/run_test.go", "package agent\nimport \"" + module + "/guard\"\nvar g, _ = guard.Open()", true},
		{"under another name", "agent/run_test.go", "package agent\nimport k \"" + module + "/guard\"\nvar open = k.Open", true},
		{"from within", "guard/x_test.go", "package guard\nfunc f() { Open() }", true},
		{"opens the third tier", "agent/run_test.go", "package agent\nimport \"" + module + "/guard\"\nvar g, _ = guard.OpenReduced()", true},
		{"third tier from within", "guard/x_test.go", "package guard\nfunc f() { openGate() }", true},
		{"dot import", "guard/x_test.go", "package guard_test\nimport . \"" + module + "/guard\"\nfunc f() { Open() }", true},
		{"links", "guard/x_test.go", "package guard\nimport _ \"github.com/cilium/ebpf/link\"", true},
		{"loads", "guard/bpf/x_test.go", "package bpf\nfunc f() { spec.LoadAndAssign(nil, nil) }", true},
		{"fanotify", "guard/probe/x_test.go", "package probe\nimport \"golang.org/x/sys/unix\"\nvar n, _ = unix.FanotifyInit(0, 0)", true},
		{"tag beside another way in", "guard/x_test.go", "//go:build guest || linux\n\npackage guard\nfunc f() { Open() }", true},
		{"tag denied", "guard/x_test.go", "//go:build !guest\n\npackage guard\nfunc f() { Open() }", true},
		{"guest test without TestMain", "guard/x_test.go", "//go:build guest\n\npackage guard\nfunc f() { Open() }", true},
		{"guest test with another TestMain", "guard/x_test.go", "//go:build guest\n\npackage guard\nfunc TestMain(m *testing.M) { m.Run() }", true},
		{"guest test", "guard/x_test.go", "//go:build guest && linux\n\npackage guard\n" + main + "func f() { Open() }", false},
		{"reads a collection", "guard/x_test.go", "package guard\nimport \"github.com/cilium/ebpf\"\nvar s, _ = ebpf.LoadCollectionSpec(\"x\")", false},
		{"opens a file", "agent/run_test.go", "package agent\nimport \"os\"\nvar f, _ = os.Open(\"x\")", false},
		{"has an Open of its own", "agent/run_test.go", "package agent\nfunc f() { Open() }", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, c.at, c.source, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files := []testFile{{c.at, f, fset}}
			got := append(attachesElsewhere(files), unguardedPackages(files)...)
			if (len(got) > 0) != c.broken {
				t.Errorf("found %q, want broken = %v", got, c.broken)
			}
		})
	}
}
