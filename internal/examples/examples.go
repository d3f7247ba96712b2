// Package examples reads the examples of help pages, for tests that run them. It
// promises the words a shell would make of them as far as our pages go: spaces and
// double quotes. Where a result is sent to a file is left out.
package examples

import "strings"

// Of are the words of each example of an English help page, the program's name first.
func Of(page string) (commands [][]string) {
	_, rest, _ := strings.Cut(page, "\nExamples:\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	for line := range strings.Lines(rest) {
		line, _, _ = strings.Cut(line, " > ")
		line, _, _ = strings.Cut(line, " >> ")
		commands = append(commands, words(line))
	}
	return commands
}

// words splits at spaces outside double quotes.
func words(s string) (words []string) {
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
