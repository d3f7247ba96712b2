package version

import "strings"

// parseSemver keeps major.minor.patch in upstream and the pre-release in revision.
func (k *key) parseSemver(s string) (at int, why string) {
	at = len(s) - len(strings.TrimPrefix(s, "v"))
	for part := 0; ; part++ {
		n := digits(s[at:])
		if n == 0 {
			return at, "a number is missing"
		}
		at += n
		if part == 2 || at == len(s) || s[at] != '.' {
			break
		}
		at++
	}
	k.upstream = strings.TrimPrefix(s[:at], "v")
	rest := s[at:]
	if rest == "" {
		return 0, ""
	}
	if rest[0] != '-' && rest[0] != '+' {
		return at, "unexpected character"
	}
	pre, build, built := strings.Cut(rest, "+")
	if pre != "" {
		k.revision, k.revised = pre[1:], true
		if i := badIdentifiers(k.revision); i >= 0 {
			return at + 1 + i, "bad pre-release identifier"
		}
	}
	if built {
		if i := badIdentifiers(build); i >= 0 {
			return at + len(pre) + 1 + i, "bad build identifier"
		}
	}
	return 0, ""
}

// badIdentifiers is where the dot-separated identifiers go wrong, or -1.
func badIdentifiers(s string) int {
	empty := true
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && empty:
			return i
		case c == '.':
			empty = true
		case isDigit(c) || isLetter(c) || c == '-':
			empty = false
		default:
			return i
		}
	}
	if empty {
		return len(s)
	}
	return -1
}

func compareSemver(a, b *key) int {
	x, y := a.upstream, b.upstream
	for x != "" || y != "" {
		var m, n string
		m, x, _ = strings.Cut(x, ".")
		n, y, _ = strings.Cut(y, ".")
		if c := compareDigits(m, n); c != 0 {
			return c
		}
	}
	if a.revised != b.revised { // a pre-release is before its release
		return signIf(b.revised)
	}
	return comparePreRelease(a.revision, b.revision)
}

// comparePreRelease: identifier by identifier, numbers by value and before words,
// and where all are equal the longer list is the later.
func comparePreRelease(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		p, q := digits(x) == len(x), digits(y) == len(y)
		c := 0
		switch {
		case p && q:
			c = compareDigits(x, y)
		case p != q:
			return signIf(q)
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}
