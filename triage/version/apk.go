package version

import (
	"cmp"
	"strings"
)

// apkToken is the kind of one part of an Alpine version, in the order they may
// follow each other: number{.number}[letter]{_suffix[number]}[~hash][-rN].
type apkToken uint8

const (
	apkFirst apkToken = iota
	apkNumber
	apkLetter
	apkSuffix
	apkSuffixNumber
	apkHash
	apkRevision
	apkEnd
)

// apkSuffixes in their order; those before "" mark what comes before the release.
var apkSuffixes = []string{"alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"}

const apkRelease = 4 // the place of "" in apkSuffixes

// apkScan walks an Alpine version part by part.
type apkScan struct {
	rest   string
	token  apkToken
	value  string
	suffix int // place in apkSuffixes, for apkSuffix
}

func (k *key) parseAPK(s string) (at int, why string) {
	scan, why := apkStart(s)
	for why == "" && scan.token != apkEnd {
		why = scan.next()
	}
	if why != "" {
		return len(s) - len(scan.rest), why
	}
	k.upstream = s
	return 0, ""
}

func apkStart(s string) (apkScan, string) {
	scan := apkScan{rest: s, token: apkFirst}
	return scan, scan.number()
}

// number takes the digits at the head as the current part.
func (s *apkScan) number() string {
	n := digits(s.rest)
	s.value, s.rest = s.rest[:n], s.rest[n:]
	if n == 0 {
		return "a number is missing"
	}
	return ""
}

// next moves to the next part; it returns what is wrong, or "".
func (s *apkScan) next() string {
	if s.rest == "" {
		s.token, s.value = apkEnd, ""
		return ""
	}
	c, before := s.rest[0], s.token
	switch {
	case c == '.' && before <= apkNumber:
		s.token, s.rest = apkNumber, s.rest[1:]
		return s.number()
	case isDigit(c) && before == apkSuffix:
		s.token = apkSuffixNumber
		return s.number()
	case c >= 'a' && c <= 'z' && before <= apkNumber:
		s.token, s.value, s.rest = apkLetter, s.rest[:1], s.rest[1:]
		return ""
	case c == '_' && before <= apkSuffixNumber:
		return s.suffixName()
	case c == '~' && before < apkHash:
		return s.hash()
	case c == '-' && before < apkRevision && strings.HasPrefix(s.rest, "-r"):
		s.token, s.rest = apkRevision, s.rest[2:]
		return s.number()
	}
	return "unexpected character"
}

func (s *apkScan) suffixName() string {
	n := 1
	for n < len(s.rest) && s.rest[n] >= 'a' && s.rest[n] <= 'z' {
		n++
	}
	for i, name := range apkSuffixes {
		if name != "" && name == s.rest[1:n] {
			s.token, s.suffix, s.value, s.rest = apkSuffix, i, name, s.rest[n:]
			return ""
		}
	}
	return "unknown suffix"
}

func (s *apkScan) hash() string {
	n := 1
	for n < len(s.rest) && (isDigit(s.rest[n]) || s.rest[n] >= 'a' && s.rest[n] <= 'f') {
		n++
	}
	if n == 1 {
		return "the commit hash is empty"
	}
	s.token, s.value, s.rest = apkHash, s.rest[1:n], s.rest[n:]
	return ""
}

// compareAPK wants two valid versions. The first part that differs decides. Where
// the kinds differ, a pre-release suffix is the lesser, and else the kind that may
// stand earlier is the greater: more numbers beat a letter, a letter beats the end.
func compareAPK(a, b string) int {
	x, _ := apkStart(a)
	y, _ := apkStart(b)
	for x.token == y.token && x.token != apkEnd {
		if c := x.compare(&y); c != 0 {
			return c
		}
		x.next()
		y.next()
	}
	switch {
	case x.token == y.token:
		return 0
	case x.token == apkSuffix && x.suffix < apkRelease:
		return -1
	case y.token == apkSuffix && y.suffix < apkRelease:
		return 1
	}
	return cmp.Compare(y.token, x.token)
}

// compare compares two parts of one kind.
func (s *apkScan) compare(o *apkScan) int {
	switch s.token {
	case apkSuffix:
		return cmp.Compare(s.suffix, o.suffix)
	case apkLetter, apkHash:
		return strings.Compare(s.value, o.value)
	case apkNumber:
		// A leading zero makes it a fraction: 1.01 is before 1.1 (Gentoo's rule).
		if s.value[0] == '0' || o.value[0] == '0' {
			return strings.Compare(s.value, o.value)
		}
	}
	return compareDigits(s.value, o.value)
}
