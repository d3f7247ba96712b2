//go:build linux

package vm

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// mark is what -test.v=test2json puts before its own lines.
const mark = "\x16"

const guestOutput = mark + "=== RUN   TestGood\nsaid something\n" + mark + "--- PASS: TestGood (0.00s)\n" +
	mark + "=== RUN   TestParent\n" + mark + "=== RUN   TestParent/a/b\n    x_test.go:3: why it failed\n" + mark + "=== NAME  TestParent\n" +
	mark + "--- FAIL: TestParent (0.00s)\n    " + mark + "--- FAIL: TestParent/a/b (0.00s)\n" +
	mark + "=== RUN   TestSkipped\n    x_test.go:9: not today\n" + mark + "--- SKIP: TestSkipped (0.00s)\n" +
	mark + "=== RUN   TestHangs\nkilled here"

func TestAReportKnowsWhatBecameOfEachTest(t *testing.T) {
	r, err := readReport(guestOutput)
	if err != nil {
		t.Fatal(err)
	}
	for test, want := range map[string]struct{ action, output, parent string }{
		"TestGood":       {"pass", "said something", ""},
		"TestParent":     {"fail", "", ""},
		"TestParent/a/b": {"fail", "why it failed", "TestParent"},
		"TestSkipped":    {"skip", "not today", ""},
		"TestHangs":      {"fail", "killed here", ""}, // as test2json sees a binary that ends within a test
	} {
		got := r.tests[test]
		if got == nil || got.action != want.action && (test != "TestHangs" || got.action != "") ||
			!strings.Contains(own(got.output), want.output) || r.parent(test) != want.parent {
			t.Errorf("%s: %+v below %q, want %+v", test, got, r.parent(test), want)
		}
	}
}

// What fails in the guest must fail here: seen from outside, in a process of its own.
func TestAFailureInTheGuestFailsHere(t *testing.T) {
	if output := os.Getenv("KANNUKI_TEST_REPLAY"); output != "" {
		testProgram{}.report(t, Result{Output: output, ExitCode: 2})
		return
	}
	good := mark + "=== RUN   TestGood\n" + mark + "--- PASS: TestGood (0.00s)\n" + mark + "PASS\n"
	for name, c := range map[string]struct {
		output string
		want   []string
	}{
		"a failed test": {guestOutput, []string{"/TestGood", "--- FAIL: TestAFailureInTheGuestFailsHere/TestParent/a/b",
			"why it failed", "--- SKIP: TestAFailureInTheGuestFailsHere/TestSkipped", "--- FAIL: TestAFailureInTheGuestFailsHere/TestHangs"}},
		"a binary that ends badly": {good, []string{"no test failed in the guest, but"}},
		"no test at all":           {"PASS\n", []string{"ran no test"}},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAFailureInTheGuestFailsHere$", "-test.v")
		cmd.Env = append(os.Environ(), "KANNUKI_TEST_REPLAY="+c.output)
		said, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("%s: passed here:\n%s", name, said)
		}
		for _, want := range c.want {
			if !bytes.Contains(said, []byte(want)) {
				t.Errorf("%s: nothing says %q:\n%s", name, want, said)
			}
		}
	}
}
