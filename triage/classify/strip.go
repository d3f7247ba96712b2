package classify

import (
	"bytes"
	"strings"
)

// apart stands between a title and the description: a new sentence, behind more
// words than any gap skips, so that no phrase begins in one and ends in the other.
const apart = ".\n\n" + "x x x x x x x x x x x x.\n\n"

// prepare lower-cases a title and a description and blanks what must not be read:
// kernel traces, sentences that only list other identifiers or preconditions,
// negated clauses, and symbols of source code.
func prepare(title, details string) string {
	text := details
	if title != "" {
		text = title + apart + details
	}
	text = strings.ToLower(text)
	var b []byte
	edit := func() []byte {
		if b == nil {
			b = []byte(text)
		}
		return b
	}
	if hasTrace(text) {
		cutTrace(edit())
	}
	for i := range clauses {
		if c := &clauses[i]; strings.Contains(text, c.anchor) {
			c.cut(edit())
		}
	}
	if hasSymbol(text) {
		maskSymbols(edit())
	}
	if b == nil {
		return text
	}
	return string(b)
}

// blank overwrites b with what no rule can read, nor read across: one-letter words,
// more than any gap skips.
func blank(b []byte) {
	for i := range b {
		b[i] = "_ "[i%2]
	}
}

// clause is a piece of boilerplate or a negation: where its anchor stands, text is
// blanked from there (or from the start of the sentence) to the end of the clause
// (or of the sentence).
type clause struct {
	anchor string
	// sentence: the whole sentence goes; else from the anchor on.
	sentence bool
	// clauseOnly: stop where the negation stops, at ", but" and its like.
	clauseOnly bool
	// anchorOnly: nothing but the anchor goes.
	anchorOnly bool
	// then: the word after the anchor must begin with one of these; none: any.
	then []string
	// with: the sentence must also hold one of these; none: always.
	with []string
	// about: the text as cut so far must hold one of these; none: no matter.
	about []string
	// notAbout: it must not hold this; "": no matter.
	notAbout string
}

var (
	// attackerVerbs are what an attacker is said to be unable to do.
	attackerVerbs = words("execut", "gain", "obtain", "elevat", "escalat", "run ", "read", "access", "bypass", "inject", "crash", "disclos")
	// preconditions are the words of a sentence about what an attacker must already have.
	preconditions = words("must ", "have to", "need to", "needs to", "requires", "would require", "first ")
	// msElevation is how Microsoft opens the text of an elevation of privilege.
	msElevation = words("elevation of privilege vulnerability exist", "elevation of privilege exist")
)

var clauses = []clause{
	// Microsoft's list of sister ids, and MITRE's.
	{anchor: "unique from cve-", sentence: true},
	{anchor: "different vulnerability than"},
	{anchor: "different issue than"},
	// What the attacker must have before, or gets only with another bug's help.
	{anchor: "to exploit this vulnerability", sentence: true, with: preconditions},
	{anchor: "to exploit the vulnerability", sentence: true, with: preconditions},
	{anchor: "in conjunction with other vulnerabilities"},
	{anchor: "in conjunction with another vulnerability"},
	{anchor: "in conjunction with one or more vulnerabilities"},
	{anchor: "in combination with other vulnerabilities"},
	{anchor: "attacker uses it in combination", sentence: true},
	{anchor: "in combination with another vulnerability"},
	// What Microsoft says of every elevation of privilege: whoever gains the kernel or
	// another account runs code there. It is the privilege that is gained, not execution.
	{anchor: "run arbitrary code", anchorOnly: true, about: msElevation, notAbout: "remote code execution"},
	{anchor: "execute arbitrary code", anchorOnly: true, about: msElevation, notAbout: "remote code execution"},
	{anchor: "execute code", anchorOnly: true, about: msElevation, notAbout: "remote code execution"},
	{anchor: "execute elevated code", anchorOnly: true, about: msElevation, notAbout: "remote code execution"},
	{anchor: "execute commands", anchorOnly: true, about: msElevation, notAbout: "remote code execution"},
	// What a stated consequence explains: an elevation out of a sandbox, what leaked
	// addresses would be good for, the crash in which something was found.
	{anchor: " sandbox", anchorOnly: true, about: words("elevation of privilege vulnerability"), notAbout: "security feature bypass"},
	{anchor: "bypass", anchorOnly: true, with: words("aslr"), about: words("information disclosure vulnerability")},
	{anchor: " crash", anchorOnly: true, about: words("elevation of privilege vulnerability", "remote code execution vulnerability", "information disclosure vulnerability"), notAbout: "denial of service"},
	// What the bug does not do.
	{anchor: " not allow", clauseOnly: true},
	{anchor: "n't allow", clauseOnly: true},
	{anchor: " not itself allow", clauseOnly: true},
	{anchor: " not by itself allow", clauseOnly: true},
	{anchor: " not directly allow", clauseOnly: true},
	{anchor: " not permit", clauseOnly: true},
	{anchor: " not lead to", clauseOnly: true},
	{anchor: " not result in", clauseOnly: true},
	{anchor: " not be used to", clauseOnly: true},
	{anchor: "cannot be used to", clauseOnly: true},
	{anchor: "cannot be exploited to", clauseOnly: true},
	{anchor: " not be exploited to", clauseOnly: true},
	{anchor: "cannot ", clauseOnly: true, then: attackerVerbs},
	{anchor: " not able to ", clauseOnly: true, then: attackerVerbs},
	{anchor: "unable to ", clauseOnly: true, then: attackerVerbs},
	{anchor: "not possible to ", clauseOnly: true, then: attackerVerbs},
	{anchor: "not vulnerable to", clauseOnly: true},
	{anchor: "ms-dos", anchorOnly: true}, // a system, not an attack
}

// clauseEnds are where a negation stops inside its sentence.
var clauseEnds = []string{", but", " but ", "; ", ", which", ", allowing", ", however", ", leading", ", resulting", ", thus", ", thereby", ", so ", ", causing", " unless "}

func (c *clause) fits(b []byte) bool {
	return holdsAny(b, c.about) && (c.notAbout == "" || !bytes.Contains(b, []byte(c.notAbout)))
}

func (c *clause) cut(b []byte) {
	if !c.fits(b) {
		return
	}
	anchor := []byte(c.anchor)
	for from := 0; ; {
		i := bytes.Index(b[from:], anchor)
		if i < 0 {
			return
		}
		i += from
		from = i + len(anchor)
		if !startsAny(b[from:], c.then) {
			continue
		}
		begin, end := sentence(b, i)
		if !holdsAny(b[begin:end], c.with) {
			continue
		}
		switch {
		case c.sentence:
			blank(b[begin:end])
		case c.clauseOnly:
			blank(b[i:clauseEnd(b, from, end)])
		case c.anchorOnly:
			blank(b[i:from])
		default:
			blank(b[i:end])
		}
	}
}

// sentence returns the bounds of the sentence around b[at]: it ends at a full stop
// followed by white space, at an empty line or at the end.
func sentence(b []byte, at int) (begin, end int) {
	for begin = at; begin > 0; begin-- {
		if isBreak(b, begin-1) {
			break
		}
	}
	for end = at; end < len(b); end++ {
		if isBreak(b, end) {
			return begin, end
		}
	}
	return begin, end
}

func isBreak(b []byte, i int) bool {
	if b[i] == '.' {
		if i >= 2 && b[i-2] == '.' { // "e.g. a flaw"
			return false
		}
		return i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == '\n' || b[i+1] == '\r')
	}
	return b[i] == '\n' && i+1 < len(b) && b[i+1] == '\n'
}

func clauseEnd(b []byte, from, end int) int {
	for _, e := range clauseEnds {
		if i := bytes.Index(b[from:end], []byte(e)); i >= 0 {
			end = from + i
		}
	}
	return end
}

func startsAny(b []byte, prefixes []string) bool {
	for _, p := range prefixes {
		if bytes.HasPrefix(b, []byte(p)) {
			return true
		}
	}
	return len(prefixes) == 0
}

func holdsAny(b []byte, parts []string) bool {
	for _, p := range parts {
		if bytes.Contains(b, []byte(p)) {
			return true
		}
	}
	return len(parts) == 0
}
