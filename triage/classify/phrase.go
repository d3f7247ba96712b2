package classify

import "strings"

// phrase is one text rule, the regular expression
//
//	head\w*\W+(?:\w+\W+){0,gap}word …
//
// in a form that is fast to look for: find a head, then walk words. Word characters
// are ASCII letters, digits and the underscore, as in Go's and the page's
// expressions. A phrase without steps is its head alone.
type phrase struct {
	// need must stand somewhere in the text; it saves walking from frequent heads.
	need string
	// heads are alternatives, lower case.
	heads []string
	// start: the head starts a word (\b before it); else it may be any part of one.
	start bool
	// whole: the head ends a word (\b, or \W+ where steps follow); else \w* follows.
	whole bool
	steps []step
	// refuse tells by the words found (and the one before them) that they mean
	// something else; the search then goes on.
	refuse func(words string) bool
}

// step skips up to gap words and then wants one that begins with any of words, and,
// where whole, is that word.
type step struct {
	gap   int
	words []string
	whole bool
}

// find returns the first place (by heads, then by position) where the phrase stands,
// in whole words.
func (p *phrase) find(text string) (span string, ok bool) {
	if p.need != "" && !strings.Contains(text, p.need) {
		return "", false
	}
	for _, head := range p.heads {
		for from := 0; ; {
			i := strings.Index(text[from:], head)
			if i < 0 {
				break
			}
			i += from
			from = i + 1
			if p.start && i > 0 && isWord(text[i-1]) {
				continue
			}
			if end, ok := p.match(text, i, i+len(head)); ok {
				return text[wordStart(text, i):wordEnd(text, end)], true
			}
			if !p.whole && len(p.steps) > 0 {
				from = wordEnd(text, from) // a head further on in this word has the same next word
			}
		}
	}
	return "", false
}

// match checks what follows a head that stands at text[start:end].
func (p *phrase) match(text string, start, end int) (int, bool) {
	if p.whole && end < len(text) && isWord(text[end]) {
		return 0, false
	}
	if len(p.steps) == 0 {
		return end, !p.refused(text, start, end)
	}
	next, ok := nextWord(text, end)
	if !ok {
		return 0, false
	}
	return p.walk(text, start, next, p.steps)
}

// walk tries every way to place the steps, nearest words first. pos is the start of a word.
func (p *phrase) walk(text string, start, pos int, steps []step) (int, bool) {
	s := &steps[0]
	for skipped := 0; ; skipped++ {
		for _, w := range s.words {
			if !strings.HasPrefix(text[pos:], w) {
				continue
			}
			end := pos + len(w)
			if s.whole && end < len(text) && isWord(text[end]) {
				continue
			}
			if len(steps) == 1 {
				if !p.refused(text, start, end) {
					return end, true
				}
				continue
			}
			if next, ok := nextWord(text, end); ok {
				if end, ok := p.walk(text, start, next, steps[1:]); ok {
					return end, true
				}
			}
		}
		next, ok := nextWord(text, pos)
		if !ok || skipped == s.gap {
			return 0, false
		}
		pos = next
	}
}

func (p *phrase) refused(text string, start, end int) bool {
	return p.refuse != nil && p.refuse(text[wordBefore(text, start):end])
}

// nextWord skips the rest of the word at pos and what is between it and the next.
// It fails where no word follows.
func nextWord(text string, pos int) (int, bool) {
	pos = wordEnd(text, pos)
	for pos < len(text) && !isWord(text[pos]) {
		pos++
	}
	return pos, pos < len(text)
}

func wordEnd(text string, pos int) int {
	for pos < len(text) && isWord(text[pos]) {
		pos++
	}
	return pos
}

// wordBefore returns where the word before pos starts, or pos where there is none.
func wordBefore(text string, pos int) int {
	i := pos
	for i > 0 && !isWord(text[i-1]) {
		i--
	}
	return wordStart(text, i)
}

func wordStart(text string, pos int) int {
	for pos > 0 && isWord(text[pos-1]) {
		pos--
	}
	return pos
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_' || 'A' <= c && c <= 'Z'
}
