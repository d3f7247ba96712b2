// Package version orders package versions the way each package manager does, and
// tells whether a version lies in a vulnerability's ranges. Its orders are total:
// reflexive, antisymmetric and transitive. Comparing allocates nothing. What a
// manager would refuse as a version is an Error that says where it is wrong, never
// a guess: a wrong order would call a vulnerable package safe.
package version

import (
	"fmt"
	"strings"
)

// Order names a version order.
type Order uint8

// The orders. The zero value is no order.
const (
	_ Order = iota
	// Dpkg is Debian Policy 5.6.12 as dpkg's C code executes it.
	Dpkg
	// RPM is rpm's epoch:version-release order, with "~" before and "^" after the
	// version they follow. A missing epoch is 0. A missing release sorts before every
	// release, as in rpm.vercmp: only that keeps the order total (rpm's dependency
	// check, where a missing release equals any, is not one).
	RPM
	// APK is apk-tools' order; a missing "-r" sorts before "-r0".
	APK
	// Semver is Semantic Versioning 2.0.0; a leading "v" and missing minor or patch
	// numbers are tolerated, build metadata is ignored.
	Semver
)

// String is the order's name in messages.
func (o Order) String() string {
	switch o {
	case Dpkg:
		return "dpkg"
	case RPM:
		return "rpm"
	case APK:
		return "apk"
	case Semver:
		return "semver"
	}
	return fmt.Sprintf("order %d", uint8(o))
}

// Error says why a version is not one, and where.
type Error struct {
	Order   Order
	Version string
	Offset  int // byte in Version, from 0
	Why     string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s version %q: %s at byte %d", e.Order, e.Version, e.Why, e.Offset)
}

// families lists which ecosystems of OSV's vocabulary use which order. A name
// stands for itself and for what begins with it and a blank ("SUSE Linux …").
var families = []struct {
	order Order
	names []string
}{
	{Dpkg, []string{"Debian", "Ubuntu", "Raspbian", "Echo"}},
	{RPM, []string{"AlmaLinux", "Rocky Linux", "Red Hat", "SUSE", "openSUSE", "Fedora", "CentOS", "Oracle", "Amazon",
		"openEuler", "Photon OS", "Mageia", "Azure Linux"}},
	{APK, []string{"Alpine", "Wolfi", "Chainguard", "Alpaquita", "BellSoft Hardened Containers", "MinimOS"}},
	{Semver, []string{"Go", "npm", "crates.io", "Hex"}},
}

// OrderOf is the version order of an OSV ecosystem, with or without its release
// ("Debian:12", "Rocky Linux:9"); false when none of the orders is known to be its own.
func OrderOf(ecosystem string) (Order, bool) {
	name, _, _ := strings.Cut(ecosystem, ":")
	for _, f := range families {
		for _, n := range f.names {
			if rest, ok := strings.CutPrefix(name, n); ok && (rest == "" || rest[0] == ' ') {
				return f.order, true
			}
		}
	}
	return 0, false
}

// Compare is negative when a is before b, zero when the manager holds them equal,
// positive when a is after b. The error is an *Error about the first invalid one.
func Compare(order Order, a, b string) (int, error) {
	var x, y key
	if err := x.parse(order, a); err != nil {
		return 0, err
	}
	if err := y.parse(order, b); err != nil {
		return 0, err
	}
	return x.compare(&y), nil
}

// key is a version cut into its parts; every part is a piece of the original string.
type key struct {
	order    Order
	epoch    string // digits without leading zeroes: "" is 0
	upstream string
	revision string // Debian revision, rpm release, semver pre-release
	revised  bool   // a revision was written, be it empty
}

// parse fills an empty k from s.
func (k *key) parse(order Order, s string) error {
	var at int
	var why string
	k.order = order
	switch order {
	case Dpkg:
		at, why = k.parseDpkg(s)
	case RPM:
		at, why = k.parseRPM(s)
	case APK:
		at, why = k.parseAPK(s)
	case Semver:
		at, why = k.parseSemver(s)
	default:
		why = "no such version order"
	}
	if why != "" {
		return &Error{Order: order, Version: s, Offset: at, Why: why}
	}
	return nil
}

// compare wants two keys of the same order.
func (k *key) compare(other *key) int {
	switch k.order {
	case Dpkg:
		if c := compareDigits(k.epoch, other.epoch); c != 0 {
			return c
		}
		if c := compareDpkg(k.upstream, other.upstream); c != 0 {
			return c
		}
		return compareDpkg(k.revision, other.revision)
	case RPM:
		if c := compareDigits(k.epoch, other.epoch); c != 0 {
			return c
		}
		if c := compareRPM(k.upstream, other.upstream); c != 0 {
			return c
		}
		if k.revised != other.revised {
			return signIf(k.revised)
		}
		return compareRPM(k.revision, other.revision)
	case APK:
		return compareAPK(k.upstream, other.upstream)
	default:
		return compareSemver(k, other)
	}
}

// compareDigits orders decimal numbers of any length; leading zeroes do not count.
func compareDigits(a, b string) int {
	a, b = trimZeroes(a), trimZeroes(b)
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func trimZeroes(s string) string {
	for len(s) > 0 && s[0] == '0' {
		s = s[1:]
	}
	return s
}

// digits is how many digits s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// signIf is +1 where positive holds, else -1.
func signIf(positive bool) int {
	if positive {
		return 1
	}
	return -1
}
