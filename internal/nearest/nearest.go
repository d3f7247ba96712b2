// Package nearest finds the word an administrator probably meant: what "did you mean"
// needs. It compares by bytes and never fails.
package nearest

import "strings"

// longest bounds how much of a word is compared: nobody misspells more.
const longest = 64

// Word is the one of words with the fewest letters to change, whatever the case of s;
// the first of equals. It is empty only where words is.
func Word(s string, words []string) string {
	best, least := "", -1
	for _, w := range words {
		if d := Distance(strings.ToLower(s), strings.ToLower(w)); least < 0 || d < least {
			best, least = w, d
		}
	}
	return best
}

// Distance counts the insertions, deletions and replacements that turn a into b
// (Levenshtein), in bytes, over at most the first 64 of each.
func Distance(a, b string) int {
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
