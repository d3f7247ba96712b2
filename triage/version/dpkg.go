package version

import (
	"math"
	"strconv"
	"strings"
)

// maxEpoch is the largest epoch dpkg takes: C's INT_MAX.
var maxEpoch = strconv.Itoa(math.MaxInt32)

// parseDpkg cuts [epoch:]upstream[-revision]. It refuses what dpkg refuses and is
// lenient where dpkg only warns: an upstream version that begins with no digit,
// and characters policy does not allow.
func (k *key) parseDpkg(s string) (at int, why string) {
	begin, end := 0, len(s)
	for begin < end && isBlank(s[begin]) {
		begin++
	}
	for end > begin && isBlank(s[end-1]) {
		end--
	}
	if begin == end {
		return 0, "version is empty"
	}
	// One pass finds the first colon, the last hyphen and what may not be there.
	colon, hyphen := -1, -1
	for i := begin; i < end; i++ {
		switch s[i] {
		case ':':
			if colon < 0 {
				colon, hyphen = i, -1
			}
		case '-':
			hyphen = i
		case ' ', '\t':
			return i, "blank inside the version"
		case 0:
			return i, "NUL inside the version"
		}
	}
	if colon >= 0 {
		if k.epoch, at, why = dpkgEpoch(s[begin:colon]); why != "" {
			return begin + at, why
		}
		if begin = colon + 1; begin == end {
			return colon, "nothing after the epoch's colon"
		}
	}
	k.upstream = s[begin:end]
	if hyphen >= 0 {
		k.upstream, k.revision, k.revised = s[begin:hyphen], s[hyphen+1:end], true
		if k.revision == "" {
			return hyphen, "nothing after the revision's hyphen"
		}
		if k.upstream == "" {
			return begin, "no upstream version before the revision"
		}
	}
	return 0, ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// dpkgEpoch reads a number as strtol does: a sign is allowed, a negative number is not.
func dpkgEpoch(s string) (epoch string, at int, why string) {
	negative := strings.HasPrefix(s, "-")
	if negative || strings.HasPrefix(s, "+") {
		at = 1
	}
	if s[at:] == "" {
		return "", 0, "epoch is empty"
	}
	if n := digits(s[at:]); at+n != len(s) {
		return "", at + n, "epoch is not a number"
	}
	epoch = trimZeroes(s[at:])
	if negative && epoch != "" {
		return "", 0, "epoch is negative"
	}
	if compareDigits(epoch, maxEpoch) > 0 {
		return "", 0, "epoch is above 2147483647"
	}
	return epoch, 0, ""
}

// dpkgRank orders what is not a digit: "~" before the end, the end (and a number,
// which ends the non-digit part) before letters, letters before everything else.
// Bytes above 127 are negative in dpkg's C and so come before other punctuation.
var dpkgRank = func() (rank [256]int16) {
	for c := range rank {
		b := byte(c)
		switch {
		case b == '~':
			rank[c] = -1
		case isDigit(b) || b == 0:
			rank[c] = 0
		case isLetter(b):
			rank[c] = int16(b)
		case b < 128:
			rank[c] = int16(b) + 256
		default:
			rank[c] = int16(b)
		}
	}
	return rank
}()

// compareDpkg compares one part (upstream or revision): in turn the longest prefix
// without digits, then the number behind it, until something differs.
func compareDpkg(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	for i > 0 && isDigit(a[i-1]) { // what differs may be inside a number: compare all of it
		i--
	}
	j := i
	for i < len(a) || j < len(b) {
		for (i < len(a) && !isDigit(a[i])) || (j < len(b) && !isDigit(b[j])) {
			var x, y int16
			if i < len(a) {
				x = dpkgRank[a[i]]
			}
			if j < len(b) {
				y = dpkgRank[b[j]]
			}
			if x != y {
				return int(x - y)
			}
			i++
			j++
		}
		for i < len(a) && a[i] == '0' {
			i++
		}
		for j < len(b) && b[j] == '0' {
			j++
		}
		first := 0
		for i < len(a) && j < len(b) && isDigit(a[i]) && isDigit(b[j]) {
			if first == 0 {
				first = int(a[i]) - int(b[j])
			}
			i++
			j++
		}
		switch {
		case i < len(a) && isDigit(a[i]): // the longer number is the greater
			return 1
		case j < len(b) && isDigit(b[j]):
			return -1
		case first != 0:
			return first
		}
	}
	return 0
}
