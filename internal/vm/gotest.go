//go:build linux

package vm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// GoTest runs a package's tests inside a small machine: those in files with the build
// tag (guest, by our rule) and those without one. Each test there becomes a subtest
// here, passed, failed or skipped as it was inside, with what it printed. The folder's
// testdata is beside the tests, as go test has it. args go to the test binary
// ("-test.run=…"). A test that itself starts machines is skipped inside one.
//
// A binary that runs no test, that ends early, or that fails without saying which test
// failed, is a failure.
func GoTest(t *testing.T, c Config, dir, tag string, args ...string) {
	t.Helper()
	requireHost(t)
	p := buildTests(t, dir, tag)
	c.Dir, c.merge = p.dir, true
	c.Files = withFile(c.Files, p.in(), p.bin)
	if p.data != "" {
		c.Files[path.Join(p.dir, "testdata")] = p.data
	}
	r := Shell(t, c, p.command(c, args)...)
	t.Logf("kernel %s: booted in %.1f s, ran for %.1f s", c.Kernel.Release(), r.Boot.Seconds(), r.Took.Seconds())
	p.report(t, r)
}

// testProgram is a package's tests, built for the guest.
type testProgram struct {
	bin  string // on the host
	data string // the package's testdata on the host, if it has any
	dir  string // the folder in the guest
}

func buildTests(t testing.TB, dir, tag string) testProgram {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	p := testProgram{bin: filepath.Join(t.TempDir(), filepath.Base(dir)+".test"), dir: "/test/" + filepath.Base(dir)}
	if err := goBuild(p.bin, "test -c", "-tags="+tag, dir); err != nil {
		t.Fatal(err)
	}
	if !exists(p.bin) {
		t.Fatalf("%s has no tests", dir)
	}
	if data := filepath.Join(dir, "testdata"); exists(data) {
		p.data = data
	}
	return p
}

// in is the program's path in the guest.
func (p testProgram) in() string { return path.Join(p.dir, filepath.Base(p.bin)) }

func (p testProgram) command(c Config, args []string) []string {
	inner := max(c.timeout()-10*time.Second, time.Second) // its own timeout prints where it hangs
	return append([]string{p.in(), "-test.v=test2json", "-test.paniconexit0", "-test.timeout=" + inner.String()}, args...)
}

// report turns what the program said into subtests of t.
func (p testProgram) report(t *testing.T, r Result) {
	t.Helper()
	said, err := readReport(r.Output)
	if err != nil {
		t.Fatal(err)
	}
	said.replay(t)
	switch {
	case len(said.order) == 0:
		t.Errorf("the guest ran no test (exit status %d):\n%s", r.ExitCode, tail(r.Output, 40))
	case r.ExitCode != 0 && !t.Failed():
		t.Errorf("no test failed in the guest, but its binary ended with exit status %d:\n%s", r.ExitCode, tail(said.outside, 40))
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// withFile is files and one more, in a new map.
func withFile(files map[string]string, to, from string) map[string]string {
	out := maps.Clone(files)
	if out == nil {
		out = map[string]string{}
	}
	out[to] = from
	return out
}

// report is what a test binary said, by test.
type report struct {
	order   []string // in the order they started
	tests   map[string]*outcome
	outside string // what belongs to no test
}

type outcome struct {
	action string // pass, fail, skip; empty where the test never ended
	output string
}

// readReport lets go's own test2json take the binary's output apart.
func readReport(output string) (*report, error) {
	tool := exec.Command(goTool(), "tool", "test2json")
	tool.Stdin = strings.NewReader(output)
	var said bytes.Buffer
	tool.Stderr = &said
	events, err := tool.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool test2json: %w\n%s", err, said.Bytes())
	}
	return parseEvents(bytes.NewReader(events))
}

func parseEvents(in io.Reader) (*report, error) {
	r := &report{tests: map[string]*outcome{}}
	lines := json.NewDecoder(in)
	for lines.More() {
		var e struct{ Action, Test, Output string }
		if err := lines.Decode(&e); err != nil {
			return nil, fmt.Errorf("test2json: %w", err)
		}
		r.add(e.Action, e.Test, e.Output)
	}
	return r, nil
}

func (r *report) add(action, test, output string) {
	if test == "" {
		r.outside += output
		return
	}
	if r.tests[test] == nil {
		r.tests[test] = &outcome{}
		r.order = append(r.order, test)
	}
	switch action {
	case "output":
		r.tests[test].output += output
	case "pass", "fail", "skip":
		r.tests[test].action = action
	}
}

// replay makes each test of the guest a subtest of t, below its own parent.
func (r *report) replay(t *testing.T) {
	children := map[string][]string{}
	for _, test := range r.order {
		parent := r.parent(test)
		children[parent] = append(children[parent], test)
	}
	var play func(t *testing.T, parent string)
	play = func(t *testing.T, parent string) {
		for _, test := range children[parent] {
			t.Run(strings.TrimPrefix(strings.TrimPrefix(test, parent), "/"), func(t *testing.T) {
				play(t, test)
				r.tests[test].tell(t, len(children[test]) > 0)
			})
		}
	}
	play(t, "")
}

// parent is the longest beginning of a test's name that is a test too: a subtest's own
// name may contain slashes.
func (r *report) parent(test string) string {
	for at := strings.LastIndexByte(test, '/'); at > 0; at = strings.LastIndexByte(test[:at], '/') {
		if r.tests[test[:at]] != nil {
			return test[:at]
		}
	}
	return ""
}

func (o *outcome) tell(t *testing.T, hasChildren bool) {
	if text := own(o.output); text != "" {
		t.Log("in the guest:\n" + text)
	}
	switch o.action {
	case "pass":
	case "skip":
		// A test whose subtests have run cannot be skipped here any more; they have said it.
		if hasChildren {
			t.Log("skipped in the guest after its subtests")
			return
		}
		t.SkipNow()
	case "fail":
		t.Fail()
	default:
		t.Error("the test never ended in the guest")
	}
}

// own drops the framing lines, which the host's run of the subtest repeats.
func own(output string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(output, "\n"), func(line string) bool {
		return strings.HasPrefix(line, "=== ") || strings.HasPrefix(strings.TrimLeft(line, " "), "--- ")
	})
	return strings.TrimRight(strings.Join(lines, ""), "\n")
}
