package version

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// generatePairs makes pairs that are near each other: unrelated versions are
// decided by their first number and test little.
func generatePairs(r *rand.Rand, n int, one func(*rand.Rand) string) [][2]string {
	pairs := make([][2]string, n)
	for i := range pairs {
		a := one(r)
		b := a
		switch r.IntN(8) {
		case 0, 1:
			b = one(r)
		default:
			for range 1 + r.IntN(3) {
				b = mutate(r, b)
			}
		}
		if r.IntN(2) == 0 {
			a, b = b, a
		}
		pairs[i] = [2]string{a, b}
	}
	return pairs
}

// pieces are what one version has more than another.
var pieces = []string{"~", "~~", "+", ".", "-", ":", "^", "0", "00", "1", "9", "10", "a", "z", "A", "rc1", "~rc1", "~beta2", "+b1", "+b12",
	"+dfsg", "+dfsg1", "~bpo12+1", "+deb12u1", "+deb12u10", "-0+deb11u2", "ubuntu0.1", ".el9", ".el9_2.1", "^git1", "~pre", "_", "é", "p1",
	"-r1", "build2", "~exp1", "+really", "1:", "0:", " ", "%", ".0", ".00"}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// mutate changes one place: insert, drop, repeat or replace.
func mutate(r *rand.Rand, s string) string {
	i := r.IntN(len(s) + 1)
	switch r.IntN(6) {
	case 0, 1:
		return s[:i] + pick(r, pieces) + s[i:]
	case 2:
		return s + pick(r, pieces)
	case 3:
		if i < len(s) {
			return s[:i] + s[i+1:]
		}
	case 4:
		if i < len(s) && isDigit(s[i]) {
			return s[:i] + strconv.Itoa(r.IntN(120)) + s[i+1:]
		}
	case 5:
		return s[:i] + "0" + s[i:]
	}
	return s
}

func dotted(r *rand.Rand) string {
	var b strings.Builder
	for i := range 1 + r.IntN(4) {
		if i > 0 {
			b.WriteByte('.')
		}
		switch r.IntN(6) {
		case 0:
			b.WriteString("0" + strconv.Itoa(r.IntN(100)))
		case 1:
			b.WriteString(strconv.Itoa(r.IntN(40_000_000)))
		default:
			b.WriteString(strconv.Itoa(r.IntN(30)))
		}
	}
	return b.String()
}

// dpkgVersion is a version as Debian and Ubuntu archives have them, sometimes one no archive would take.
func dpkgVersion(r *rand.Rand) string {
	var b strings.Builder
	switch r.IntN(12) {
	case 0, 1:
		b.WriteString(strconv.Itoa(r.IntN(4)) + ":")
	case 2:
		b.WriteString(pick(r, []string{"00:", "01:", "2147483647:", "2147483648:", ":", "x:", "+1:"}))
	}
	b.WriteString(dotted(r))
	for range r.IntN(3) {
		b.WriteString(pick(r, []string{"a", "b1", "p2", "~rc1", "~beta2", "+dfsg", "+dfsg1", "+git20230101.abcdef", "~git2", "-1", "+ds", ".orig", "~"}))
	}
	if r.IntN(5) > 0 {
		b.WriteString("-" + dotted(r))
		for range r.IntN(3) {
			b.WriteString(pick(r, []string{"+b1", "+b10", "~bpo11+1", "~bpo12+2", "+deb12u1", "+deb12u11", "+deb11u3", "ubuntu1", "ubuntu0.22.04.1",
				"build1", ".1", "~exp1", "+rpi1", "~"}))
		}
	}
	return b.String()
}

func rpmVersion(r *rand.Rand) string {
	var b strings.Builder
	switch r.IntN(10) {
	case 0, 1:
		b.WriteString(strconv.Itoa(r.IntN(40)) + ":")
	case 2:
		b.WriteString(pick(r, []string{"00:", "01:", "a:", "4294967295:"}))
	}
	b.WriteString(dotted(r))
	for range r.IntN(3) {
		b.WriteString(pick(r, []string{"a", "rc1", "~rc1", "^20230101git", "^", "~", "P1", "_p1", "+1", "^git1", "~~", "alpha"}))
	}
	if r.IntN(6) > 0 {
		b.WriteString("-" + dotted(r))
		b.WriteString(pick(r, []string{"", ".el9", ".el9_4", ".el8_10.2", ".fc40", ".amzn2023", ".module+el8.9.0+1+abc", "^", "~1", ".lp155.2.1"}))
	}
	return b.String()
}

func apkVersion(r *rand.Rand) string {
	s := dotted(r)
	if r.IntN(4) == 0 {
		s += pick(r, []string{"a", "b", "z"})
	}
	for range r.IntN(3) {
		s += pick(r, []string{"_alpha", "_beta2", "_pre1", "_rc1", "_rc10", "_git20230101", "_p1", "_p", "_svn3", "_cvs", "_hg1"})
	}
	if r.IntN(8) == 0 {
		s += "~" + pick(r, []string{"abc", "0f", "12"})
	}
	if r.IntN(4) > 0 {
		s += "-r" + strconv.Itoa(r.IntN(12))
	}
	return s
}

func semverVersion(r *rand.Rand) string {
	s := pick(r, []string{"", "v"}) + strconv.Itoa(r.IntN(3))
	for range r.IntN(3) {
		s += "." + strconv.Itoa(r.IntN(12))
	}
	if r.IntN(2) == 0 {
		s += "-" + pick(r, []string{"alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1", "0", "1", "x-y", "alpha.1.0"})
	}
	if r.IntN(4) == 0 {
		s += "+" + pick(r, []string{"build.1", "5", "a-b"})
	}
	return s
}
