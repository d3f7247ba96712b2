package classify

import (
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/kannuki/kannuki/vuln"
)

// vector is what typing needs of a CVSS base vector, in the letters of version 3:
// av N A L P, pr N L H, ui N R, scope U C, and c i a N L H. Version 2 says Complete
// and Partial for High and Low, has no scope and hides ui in its complexity; version 4 counts what
// happens to the vulnerable system.
type vector struct {
	known        bool
	av, pr, ui   byte
	scope        byte
	c, i, a      byte
	text, scorer string
}

func (v *vector) String() string { return v.text + by(v.scorer) }

func (v *vector) onlyAvailability() bool    { return v.c == 'N' && v.i == 'N' && v.a == 'H' }
func (v *vector) onlyConfidentiality() bool { return v.c != 'N' && v.i == 'N' && v.a == 'N' }
func (v *vector) total() bool               { return v.c == 'H' && v.i == 'H' && v.a == 'H' }

// firstVector reads the first vector that can be read.
func firstVector(list []vuln.Severity) vector {
	for _, s := range list {
		if s.Vector == "" {
			continue
		}
		if v, ok := parseVector(s.Vector); ok {
			v.text, v.scorer = s.Vector, s.Source
			return v
		}
	}
	return vector{}
}

// metrics is what the four versions' parsers have in common.
type metrics interface {
	Get(abv string) (string, error)
}

func parseVector(text string) (vector, bool) {
	text = strings.TrimSpace(text)
	var m metrics
	var err error
	switch {
	case strings.HasPrefix(text, "CVSS:3.1/"):
		m, err = gocvss31.ParseVector(text)
	case strings.HasPrefix(text, "CVSS:3.0/"):
		m, err = gocvss30.ParseVector(text)
	case strings.HasPrefix(text, "CVSS:4.0/"):
		m, err = gocvss40.ParseVector(text)
		if err == nil {
			return fromV4(m), true
		}
	default:
		m, err = gocvss20.ParseVector(strings.Trim(text, "()"))
		if err == nil {
			return fromV2(m), true
		}
	}
	if err != nil {
		return vector{}, false
	}
	return vector{known: true, av: letter(m, "AV"), pr: letter(m, "PR"), ui: letter(m, "UI"), scope: letter(m, "S"),
		c: letter(m, "C"), i: letter(m, "I"), a: letter(m, "A")}, true
}

func fromV4(m metrics) vector {
	v := vector{known: true, av: letter(m, "AV"), pr: letter(m, "PR"), ui: 'R',
		c: letter(m, "VC"), i: letter(m, "VI"), a: letter(m, "VA"), scope: 'U'}
	if letter(m, "UI") == 'N' {
		v.ui = 'N'
	}
	if letter(m, "SC") != 'N' || letter(m, "SI") != 'N' || letter(m, "SA") != 'N' {
		v.scope = 'C'
	}
	return v
}

func fromV2(m metrics) vector {
	v := vector{known: true, av: letter(m, "AV"), ui: '?', scope: '?',
		c: impactV2[letter(m, "C")], i: impactV2[letter(m, "I")], a: impactV2[letter(m, "A")]}
	switch letter(m, "Au") {
	case 'N':
		v.pr = 'N'
	case 'S':
		v.pr = 'L'
	default:
		v.pr = 'H'
	}
	if letter(m, "AC") == 'L' { // what needs a victim's help is medium or high in version 2
		v.ui = 'N'
	}
	return v
}

var impactV2 = map[byte]byte{'N': 'N', 'P': 'L', 'C': 'H'}

func letter(m metrics, name string) byte {
	value, err := m.Get(name)
	if err != nil || value == "" {
		return '?'
	}
	return value[0]
}

// takeVector adds what only the vector tells (TRIAGE.md 1b.4): what an attacker
// makes of a memory-safety weakness, and a type where nothing else gave one.
func (v *verdict) takeVector(list []vuln.Weakness, vec *vector) {
	if !vec.known {
		return
	}
	if hasMemoryWeakness(list) {
		v.takeMemoryVector(vec)
	}
	if v.have != 0 {
		return
	}
	why := vec.String()
	switch {
	case vec.onlyAvailability():
		v.give(vuln.DoS, fromCVSS, high, why)
	case vec.onlyConfidentiality():
		v.give(vuln.Info, fromCVSS, high, why)
	case vec.av == 'L' && vec.pr != 'H' && vec.total():
		// Whoever needs a victim's help and no account gets the victim's rights, not more.
		confidence := high
		if vec.pr == 'N' && vec.ui != 'N' {
			confidence = low
		}
		v.give(vuln.Priv, fromCVSS, confidence, why)
	case vec.av == 'N' && vec.pr == 'N' && vec.ui == 'N' && vec.total():
		v.give(vuln.Exec, fromCVSS, low, why)
	}
}

// takeMemoryVector gives exec and priv only where integrity is lost: who can but
// read or crash gains neither.
func (v *verdict) takeMemoryVector(vec *vector) {
	why := "memory-safety weakness and " + vec.String()
	switch {
	case vec.onlyAvailability():
		v.give(vuln.DoS, fromCVSS, high, why)
	case vec.onlyConfidentiality():
		v.give(vuln.Info, fromCVSS, high, why)
	case vec.av == 'N' && vec.i == 'H':
		v.give(vuln.Exec, fromCVSS, low, why)
	case vec.av == 'L' && vec.pr == 'L' && vec.i == 'H':
		v.give(vuln.Priv, fromCVSS, low, why)
	}
}

func hasMemoryWeakness(list []vuln.Weakness) bool {
	for _, w := range list {
		if weaknesses[number(w.CWE)].memory {
			return true
		}
	}
	return false
}
