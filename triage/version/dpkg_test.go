package version

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dpkgOracle is a C program around libdpkg's own comparison. It reads pairs, one
// version a line, and prints <, =, > or ! (dpkg refuses one of them) for each.
const dpkgOracle = `
#define LIBDPKG_VOLATILE_API
#include <stdio.h>
#include <string.h>
#include <dpkg/dpkg.h>
#include <dpkg/dpkg-db.h>
#include <dpkg/error.h>
#include <dpkg/version.h>
static char a[1<<16], b[1<<16];
static int read_version(struct dpkg_version *v, char *s) {
	struct dpkg_error err = DPKG_ERROR_INIT;
	s[strcspn(s, "\n")] = 0;
	return parseversion(v, s, &err) < 0 && err.type != DPKG_MSG_WARN;
}
int main(void) {
	struct dpkg_version x, y;
	while (fgets(a, sizeof a, stdin) && fgets(b, sizeof b, stdin)) {
		int bad = read_version(&x, a);
		bad |= read_version(&y, b);
		int c = bad ? 0 : dpkg_version_compare(&x, &y);
		putchar(bad ? '!' : c < 0 ? '<' : c > 0 ? '>' : '=');
	}
	return 0;
}
`

// buildOracle compiles the oracle, or returns "" where libdpkg-dev or a C compiler is missing.
func buildOracle(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "oracle.c"), filepath.Join(dir, "oracle")
	if err := os.WriteFile(source, []byte(dpkgOracle), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("cc", "-O1", "-o", program, source, "-ldpkg", "-lmd").CombinedOutput()
	if err != nil {
		t.Logf("NOT COMPARED with libdpkg (install libdpkg-dev, libmd-dev and a C compiler): %v\n%s", err, out)
		return ""
	}
	return program
}

// sign is how Compare's answer reads in the oracles' alphabet.
func sign(c int, err error) byte {
	switch {
	case err != nil:
		return '!'
	case c < 0:
		return '<'
	case c > 0:
		return '>'
	}
	return '='
}

func lines(pairs [][2]string) *bytes.Buffer {
	var b bytes.Buffer
	for _, p := range pairs {
		b.WriteString(p[0] + "\n" + p[1] + "\n")
	}
	return &b
}

// checkPairs compares our answers with an oracle's and demands that the pairs were worth it.
func checkPairs(t *testing.T, order Order, pairs [][2]string, answers []byte) {
	t.Helper()
	if len(answers) != len(pairs) {
		t.Fatalf("the oracle answered %d of %d pairs", len(answers), len(pairs))
	}
	seen, wrong := map[byte]int{}, 0
	for i, p := range pairs {
		seen[answers[i]]++
		if got := sign(Compare(order, p[0], p[1])); got != answers[i] {
			if wrong++; wrong <= 20 {
				t.Errorf("%q ? %q: got %c, want %c", p[0], p[1], got, answers[i])
			}
		}
	}
	t.Logf("%d pairs, %d wrong: %d <, %d =, %d >, %d refused", len(pairs), wrong, seen['<'], seen['='], seen['>'], seen['!'])
	if seen['<'] < len(pairs)/5 || seen['>'] < len(pairs)/5 || seen['='] < len(pairs)/50 {
		t.Errorf("the generator is lopsided: %v", seen)
	}
}

func TestDpkgOrderAgreesWithLibdpkg(t *testing.T) {
	oracle := buildOracle(t)
	if oracle == "" {
		t.Skip("no libdpkg to compare with; TestDpkgOrderAgreesWithTheDpkgCommand covers fewer pairs")
	}
	pairs := generatePairs(rand.New(rand.NewPCG(1, 2)), 160_000, dpkgVersion)
	cmd := exec.Command(oracle)
	cmd.Stdin = lines(pairs)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	checkPairs(t, Dpkg, pairs, out)
	if n := bytes.Count(out, []byte("!")); n < 500 {
		t.Errorf("only %d pairs with a version dpkg refuses", n)
	}
}

// compareLoop asks the real command, one process a pair; dpkg's 2 is "bad syntax".
const compareLoop = `while IFS= read -r a && IFS= read -r b; do
	dpkg --compare-versions "$a" lt "$b" 2>/dev/null
	case $? in
	0) printf '<';;
	2) printf '!';;
	*) if dpkg --compare-versions "$a" eq "$b" 2>/dev/null; then printf '='; else printf '>'; fi;;
	esac
done`

func TestDpkgOrderAgreesWithTheDpkgCommand(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("NOT COMPARED with the dpkg command: it is not installed here")
	}
	if testing.Short() {
		t.Skip("a process for every pair")
	}
	all := generatePairs(rand.New(rand.NewPCG(3, 4)), 1_200, dpkgVersion)
	var pairs [][2]string
	for _, p := range all { // the command takes "-1" for an option, and "" for no version
		if !strings.HasPrefix(p[0], "-") && !strings.HasPrefix(p[1], "-") && p[0] != "" && p[1] != "" {
			pairs = append(pairs, p)
		}
	}
	cmd := exec.Command("sh", "-c", compareLoop)
	cmd.Stdin = lines(pairs)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	checkPairs(t, Dpkg, pairs, out)
}

func TestVersionsAManagerRefusesAreErrorsThatNameThePlace(t *testing.T) {
	for _, c := range []struct {
		order   Order
		version string
		offset  int
		why     string
	}{
		{Dpkg, "", 0, "empty"},
		{Dpkg, "  ", 0, "empty"},
		{Dpkg, "1 2", 1, "blank"},
		{Dpkg, ":1", 0, "epoch is empty"},
		{Dpkg, "1:", 1, "nothing after the epoch"},
		{Dpkg, "1x:2", 1, "not a number"},
		{Dpkg, "-1:2", 0, "negative"},
		{Dpkg, "2147483648:1", 0, "above"},
		{Dpkg, "1.2-", 3, "hyphen"},
		{Dpkg, "1:-2", 2, "no upstream"},
		{RPM, "", 0, "empty"},
		{APK, "", 0, "number is missing"},
		{APK, "1.2_gamma", 3, "unknown suffix"},
		{APK, "1.2-r", 5, "number is missing"},
		{APK, "1.2-1", 3, "unexpected"},
		{APK, "1.", 2, "number is missing"},
		{APK, "1.2~", 3, "hash is empty"},
		{APK, "1a1", 2, "unexpected"},
		{Semver, "", 0, "number is missing"},
		{Semver, "1.2.3.4", 5, "unexpected"},
		{Semver, "1.0.0-a..b", 8, "pre-release"},
		{Semver, "1.0.0-", 6, "pre-release"},
		{Semver, "1.0.0+a_b", 7, "build"},
		{0, "1", 0, "no such"},
	} {
		_, err := Compare(c.order, c.version, "1")
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s %q: got %v, want an *Error", c.order, c.version, err)
			continue
		}
		if e.Offset != c.offset || !strings.Contains(e.Why, c.why) || !strings.Contains(e.Error(), c.order.String()) {
			t.Errorf("%s %q: got %v (offset %d), want %q at %d", c.order, c.version, e, e.Offset, c.why, c.offset)
		}
	}
}

func TestDpkgIsLenientWhereDpkgOnlyWarns(t *testing.T) {
	for _, p := range [][2]string{{"1.0_1", "1.0_2"}, {"abc", "abd"}, {"1.0-1_2", "1.0-1_3"}, {"+1:2", "1:3"}, {" 1 ", "2"}} {
		if c, err := Compare(Dpkg, p[0], p[1]); c >= 0 || err != nil {
			t.Errorf("%q %q: %d, %v", p[0], p[1], c, err)
		}
	}
}
