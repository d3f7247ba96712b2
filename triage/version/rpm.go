package version

import "strings"

// parseRPM cuts [epoch:]version[-release] where rpm does: the epoch is the digits
// before a colon, the release is what follows the last hyphen. rpm takes any string
// that is not empty.
func (k *key) parseRPM(s string) (at int, why string) {
	if s == "" {
		return 0, "version is empty"
	}
	if i := strings.IndexByte(s, 0); i >= 0 {
		return i, "NUL inside the version"
	}
	k.upstream = s
	n := digits(s)
	if n < len(s) && s[n] == ':' {
		k.epoch, k.upstream = trimZeroes(s[:n]), s[n+1:]
	}
	if i := strings.LastIndexByte(k.upstream, '-'); i >= 0 {
		k.upstream, k.revision, k.revised = k.upstream[:i], k.upstream[i+1:], true
	}
	return 0, ""
}

// compareRPM compares one part (version or release) segment by segment: runs of
// digits as numbers, runs of letters as text, a number after letters. Other
// characters only separate, but "~" sorts before the end and "^" right after it.
func compareRPM(a, b string) int {
	for {
		a, b = rpmSegments(a), rpmSegments(b)
		if c, both := rpmMarks(a, b); c != 0 {
			return c
		} else if both {
			a, b = a[1:], b[1:]
			continue
		}
		if a == "" || b == "" {
			return len(a) - len(b)
		}
		var n, m int
		number := isDigit(a[0])
		if number {
			n, m = digits(a), digits(b)
		} else {
			n, m = letters(a), letters(b)
		}
		if m == 0 { // b's segment is of the other kind
			return signIf(number)
		}
		c := 0
		if number {
			c = compareDigits(a[:n], b[:m])
		} else {
			c = strings.Compare(a[:n], b[:m])
		}
		if c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
}

// rpmMarks decides by "~" and "^" at the head; both is true where both have the same.
func rpmMarks(a, b string) (c int, both bool) {
	x, y := head(a), head(b)
	switch {
	case x == '~' || y == '~':
		if x == y {
			return 0, true
		}
		return signIf(x != '~'), false
	case x == '^' || y == '^':
		switch {
		case x == y:
			return 0, true
		case x == 0:
			return -1, false
		case y == 0:
			return 1, false
		}
		return signIf(x != '^'), false
	}
	return 0, false
}

// head is the first byte, 0 at the end.
func head(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

// rpmSegments drops what only separates.
func rpmSegments(s string) string {
	for len(s) > 0 && !isDigit(s[0]) && !isLetter(s[0]) && s[0] != '~' && s[0] != '^' {
		s = s[1:]
	}
	return s
}

func letters(s string) int {
	n := 0
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}
