package ruleset

import (
	"path"
	"strings"
)

// letters are option letters as bits.
func letters(s string) (bits uint64) {
	for _, r := range s {
		bits |= 1 << bitOf(byte(r))
	}
	return bits
}

// bitOf is the bit of a letter in Options; 63 for what is none.
func bitOf(letter byte) uint {
	switch {
	case letter >= 'a' && letter <= 'z':
		return uint(letter - 'a')
	case letter >= 'A' && letter <= 'Z':
		return uint(letter-'A') + 26
	case letter == '-':
		return 52
	}
	return 63
}

// opt writes Options down: inline, valued and script letters as in the type, and
// getopt those whose value is the rest of the word or else the next one.
type opt struct{ inline, valued, getopt, attached, script string }

func (o opt) options() Options {
	return Options{Inline: letters(o.inline), Valued: letters(o.valued + o.getopt), Attached: letters(o.attached + o.getopt), Script: letters(o.script)}
}

// byProgram are programs whose options are not those of their language.
var byProgram = map[string]Options{
	"fish":    opt{inline: "c", getopt: "CdofpD"}.options(),
	"csh":     opt{inline: "cs"}.options(),
	"tcsh":    opt{inline: "cs"}.options(),
	"mksh":    opt{inline: "cs", valued: "oT"}.options(),
	"busybox": {Inline: letters("cs"), Valued: letters("o"), Applet: true},
	"toybox":  {Inline: letters("cs"), Valued: letters("o"), Applet: true},
	"pwsh":    {Words: true, Inline: letters("cd"), Valued: letters("y"), Script: letters("ef")}, // -Command, -ExecutionPolicy, -File
	"expect":  opt{inline: "-", getopt: "cD", script: "fb"}.options(),
	"racket":  opt{inline: "-e", getopt: "elp", valued: "ftru", script: "ftru"}.options(),
}

// byLanguage are the options of interpreters, from their manuals. Of a language that is
// not here the first plain word is the script.
//
// Not told from other words: what long options mean (their next word may be a script
// and the one after it too), and mawk's "-W exec FILE".
var byLanguage = map[string]Options{
	// POSIX: no option has its value attached, and several in one word each take a next
	// one. -s reads standard input.
	"shell": opt{inline: "cs", valued: "oO"}.options(),
	// -c and -m end the options; what -m names is a module or ends in .py.
	"python": opt{inline: "cm-", getopt: "WXQ"}.options(),
	"perl":   opt{inline: "eE-", getopt: "eEI", attached: "MmiFDxdVC"}.options(),
	"ruby":   opt{inline: "e-", getopt: "eICXEr", attached: "xFiKTW", script: "r"}.options(),
	"php":    opt{inline: "rRBE-", getopt: "rRBEcdzStygp", script: "fF"}.options(),
	// -p prints what its value is, or that of a later -e.
	"javascript": opt{inline: "ep-", getopt: "eprCI", script: "rI"}.options(),
	// A script runs after -e and -l.
	"lua": opt{inline: "-", getopt: "elj", attached: "O"}.options(),
	"awk": {NoScript: true, Valued: letters("vFieElW"), Attached: letters("vFieElWDdLop"), Script: letters("fiE")},
	"tcl": {Words: true, Valued: letters("g")}, // -encoding
	"r":   opt{inline: "e-", getopt: "egd", script: "f"}.options(),

	"guile": opt{inline: "c", getopt: "eLCxl", script: "sl"}.options(),
	// -cp and -classpath; -jar. The words behind a -jar are the program's own.
	"java":   {Words: true, Valued: letters("ph"), Script: letters("r")},
	"erlang": {Words: true, Valued: letters("az")}, // -pa, -pz
}

// optionsOf are the options of a program by its name without version and its language.
func optionsOf(language, name string) Options {
	if o, ok := byProgram[name]; ok {
		return o
	}
	return byLanguage[language]
}

// MaxScripts is how many words of one command line may be scripts.
const MaxScripts = 6

// ScriptArguments are the words of argv that o's interpreter may run as its script, in
// their order; more tells that there are further ones. Where an option's value is
// attached it is that part of the word. The kernel programs do the same in C; this is
// what they are held to.
func ScriptArguments(o Options, argv []string) (scripts []string, more bool) {
	s := scan{o: o, argv: argv, at: 1, given: o.NoScript}
	for o.Applet && s.at <= len(argv) && isBox(argv[s.at-1]) {
		s.at++
	}
	for s.at < len(argv) && !s.ended {
		word := argv[s.at]
		s.at++
		s.word(word)
	}
	if len(s.found) > MaxScripts {
		return s.found[:MaxScripts], true
	}
	return s.found, false
}

func isBox(argv0 string) bool {
	name := strings.TrimPrefix(path.Base(argv0), "-")
	return strings.HasPrefix(name, "busybox") || strings.HasPrefix(name, "toybox")
}

// scan goes through the words of a command line.
type scan struct {
	o     Options
	argv  []string
	at    int  // the next word
	given bool // the code is here: no plain word is a script
	ended bool
	found []string

	// doubt: the word before was a long option, so this one may be its value and no
	// option at all. Both are followed: it takes no word away from being a script.
	doubt bool
	// once: the next plain word is code of an option or the script; then it is given.
	once bool
}

func (s *scan) word(word string) {
	doubt := s.doubt
	s.doubt = false
	switch {
	case word == "-" || word == "--":
		s.dashes(word, doubt)
	case strings.HasPrefix(word, "--"):
		s.long(word)
	case strings.HasPrefix(word, "-") && s.o.Words:
		s.whole(word)
	case strings.HasPrefix(word, "-"):
		s.bundle(word, doubt)
	case s.given:
		s.ended = true
	case strings.HasPrefix(word, "+"):
		// A shell's "+o errexit"; to others a file called so.
		s.add(word)
		s.maybe()
	default:
		s.add(word)
		s.given, s.ended = s.once, !s.once
	}
}

func (s *scan) add(word string) { s.found = append(s.found, word) }

// dashes end the options, or are standard input. What comes next is taken as it is.
func (s *scan) dashes(word string, doubt bool) {
	input := word == "-" && s.o.Inline&letters("-") != 0
	if !input && s.at < len(s.argv) && !s.given {
		s.add(s.argv[s.at])
	}
	s.ended = !doubt
}

// long is an option in a whole word. Which of them have values only their interpreter
// knows: the next word may be a value, code, or the script.
func (s *scan) long(word string) {
	if _, value, ok := strings.Cut(word, "="); ok {
		s.add(value)
		return
	}
	s.doubt = !s.maybe()
}

// maybe takes the next word for a script where it is plain, and goes on.
func (s *scan) maybe() bool {
	if s.at == len(s.argv) || strings.HasPrefix(s.argv[s.at], "-") || strings.HasPrefix(s.argv[s.at], "+") {
		return false
	}
	s.add(s.argv[s.at])
	s.at++
	return true
}

// whole is an option in a word with one dash, for which its last letter stands. A value
// of its own follows ":" or "=".
func (s *scan) whole(word string) {
	bit := uint64(1) << bitOf(word[len(word)-1])
	if strings.ContainsAny(word, ":=") {
		return
	}
	s.given = s.given || s.o.Inline&bit != 0
	if (s.o.Valued|s.o.Script)&bit != 0 {
		s.maybe()
		s.given = s.given || s.o.Script&bit != 0
	}
}

// bundle is a word of option letters.
func (s *scan) bundle(word string, doubt bool) {
	for i := 1; i < len(word); i++ {
		if word[i] == '-' {
			continue
		}
		rest := word[i+1:]
		bit := uint64(1) << bitOf(word[i])
		s.letter(bit, rest, doubt)
		if rest != "" && (s.o.Attached|s.o.Script)&bit != 0 {
			return
		}
	}
}

// letter is one option; rest is what follows in its word.
func (s *scan) letter(bit uint64, rest string, doubt bool) {
	valued := s.o.Valued&bit != 0
	attached := rest != "" && s.o.Attached&bit != 0
	switch {
	case s.o.Script&bit != 0:
		if rest != "" {
			s.add(rest)
		} else if s.at < len(s.argv) {
			s.add(s.argv[s.at])
			s.at++
		}
		s.given = s.given || !valued && !(doubt && rest != "")
	case s.o.Inline&bit != 0 && doubt:
		s.once = s.once || valued
	case s.o.Inline&bit != 0:
		s.given = true
		s.ended = s.ended || !valued
		if valued && !attached {
			s.at++
		}
	case valued && !attached && doubt:
		s.maybe()
	case valued && !attached:
		s.at++
	}
}
