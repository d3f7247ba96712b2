package classify

import (
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// weaknessTable is TRIAGE.md 1b.3 as data: the CWE ids that always mean a type, and
// those that do only if the text or the CVSS vector agrees. "22-29" is a range.
var weaknessTable = []struct {
	typ             vuln.Type
	always, ifAgree string
}{
	{vuln.DoS, "369 400 399 401 405 407 409 410 617 674 730 770 771 772 776 789 834 835 1050 1333 476 248",
		"20 252 404 754 755 664 667 672 185 682 125"},
	{vuln.Exec, "77 78 94 95 96 98 434 494 502 506 624 917 1336 114",
		"74 88 91 426 427 428 470 829 913 915 1321 1188 134 704"},
	{vuln.Overflow, "119 120 121 122 124 128 131 190 191 192 193 194 195 196 242 680 785 787 788 805 806",
		"129 197 676 681 189"},
	{vuln.MemCorr, "415 416 590 762 763 822 823 824 825 843",
		"119 787 788 908 457 665 362 366 404"},
	{vuln.SQLi, "89 564", "943"},
	{vuln.XSS, "79 80 81 83 84 85 86 87", "116 692"},
	{vuln.Traversal, "22-29 35-40", "73 641"},
	{vuln.Splitting, "113", "93"},
	{vuln.Bypass, "284 285 287 288 289 290 294 302-307 345 346 347 354 358 425 565 602 603 639 693 807 836 862 863",
		"254 255 259 295 297 321 384 444 613 640 653 798 1390 1391"},
	{vuln.Info, "200-204 208 209 210 212-215 226 244 312 313 315 316 319 359 385 402 403 497 524-527 530 532 534 535 538 540 548 552 598 611 615 922",
		"125 126 127 310 311 326 327 330 331 338 522 668 908 918"},
	{vuln.Priv, "250 265-274 276 277 278 280-283 648",
		"264 275 59 61 379 362 367 426 427 428 732"},
	{vuln.CSRF, "352", ""},
	{vuln.Inclusion, "98", "829"},
}

// memorySafety are the weaknesses by which memory is read or written where it must
// not be: there the CVSS vector tells what an attacker makes of it.
const memorySafety = "118-127 129 131 134 190 191 415 416 457 466 562 590 680 761-763 785-788 805 806 822-825 843 908"

// weakness is what one CWE id says.
type weakness struct {
	always, ifAgree set
	memory          bool
}

// weaknesses is the table by CWE number.
var weaknesses = buildWeaknesses()

func buildWeaknesses() map[int]weakness {
	m := map[int]weakness{}
	for _, row := range weaknessTable {
		eachNumber(row.always, func(n int) { w := m[n]; w.always |= bit(row.typ); m[n] = w })
		eachNumber(row.ifAgree, func(n int) { w := m[n]; w.ifAgree |= bit(row.typ); m[n] = w })
	}
	eachNumber(memorySafety, func(n int) { w := m[n]; w.memory = true; m[n] = w })
	return m
}

// eachNumber reads "22-29 35"; a malformed table is a programming error.
func eachNumber(list string, f func(int)) {
	for field := range strings.FieldsSeq(list) {
		from, to, ranged := strings.Cut(field, "-")
		if !ranged {
			to = from
		}
		a, err1 := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || a > b {
			panic("classify: bad CWE list entry " + field)
		}
		for n := a; n <= b; n++ {
			f(n)
		}
	}
}

// number reads the number of "CWE-79", also where a name follows; 0 where there is
// none ("NVD-CWE-Other").
func number(cwe string) int {
	cwe = strings.TrimSpace(cwe)
	if len(cwe) < 5 || !strings.EqualFold(cwe[:4], "CWE-") {
		return 0
	}
	n := 0
	for i := 4; i < len(cwe) && i < 10 && '0' <= cwe[i] && cwe[i] <= '9'; i++ {
		n = n*10 + int(cwe[i]-'0')
	}
	return n
}

// takeWeaknesses gives the types of the CWE ids: first those that always hold, of
// all ids, then those that need agreement.
func (v *verdict) takeWeaknesses(list []vuln.Weakness, text string, vec *vector) {
	for _, w := range list {
		for _, t := range weaknesses[number(w.CWE)].always.types() {
			v.give(t, sourceOf(w), high, w.CWE+by(w.Source))
		}
	}
	for _, w := range list {
		n := number(w.CWE)
		for _, t := range weaknesses[n].ifAgree.types() {
			if v.have.has(t) {
				continue
			}
			if why, ok := agrees(t, n, v.have, text, vec); ok {
				v.give(t, sourceOf(w), low, w.CWE+by(w.Source)+" and "+why)
			}
		}
	}
}

// hints are word beginnings by which a text agrees with a weakness that may mean the
// type. They are weaker than the text rules and never give a type alone.
var hints = map[vuln.Type][]string{
	vuln.DoS:       words("panic", "null pointer", "reboot", "restart", "unavailab", "unresponsive", "deadlock", "exhaust", "out of memory", "freez", "abort", "assert", "terminat", "segfault", "segmentation fault", "oops"),
	vuln.Exec:      words("run arbitrary", "run code", "dll", "hijack", "trojan", "malicious librar", "shell command"),
	vuln.Overflow:  words("bounds", "buffer", "overrun", "underflow", "integer", "wraparound"),
	vuln.MemCorr:   words("use-after-free", "use after free", "double free", "double-free", "uninitiali", "type confusion", "corrupt", "dangling", "out-of-bounds write", "out of bounds write"),
	vuln.SQLi:      words("sql", "quer"),
	vuln.XSS:       words("script", "html", "browser"),
	vuln.Traversal: words("path", "directory", "directories", "file name", "filename"),
	vuln.Splitting: words("header", "crlf", "response"),
	vuln.Bypass:    words("authenticat", "authoriz", "authoris", "unauthenticat", "unauthoriz", "unauthoris", "hard-coded", "hardcoded", "hard coded", "impersonat", "spoof", "man-in-the-middle", "session"),
	vuln.Info:      words("disclos", "leak", "sensitive", "plaintext", "plain text", "cleartext", "clear text", "decrypt", "expos", "steal", "confidential"),
	vuln.Priv:      words("privileges", "root access", "as root", "to root", "administrator", "elevat"),
	vuln.Inclusion: words("includ"),
}

// agrees tells whether the text or the vector supports that weakness cwe means t
// here, and which of them. have are the types that are sure already.
func agrees(t vuln.Type, cwe int, have set, text string, vec *vector) (why string, ok bool) {
	for _, h := range hints[t] {
		p := phrase{heads: []string{h}, start: true}
		if span, ok := p.find(text); ok {
			return quote(span), true
		}
	}
	if vec.known && vectorAgrees(t, cwe, have, vec) {
		return vec.String(), true
	}
	return "", false
}

// vectorAgrees is the CVSS half of agreement: the consequences the vector states
// are the type's.
func vectorAgrees(t vuln.Type, cwe int, have set, v *vector) bool {
	switch t {
	case vuln.DoS:
		return v.onlyAvailability()
	case vuln.Exec:
		// A query or a script in the browser explains the same vector.
		return v.c == 'H' && v.i == 'H' && !have.has(vuln.SQLi) && !have.has(vuln.XSS)
	case vuln.Overflow:
		return v.a == 'H'
	case vuln.MemCorr:
		return v.i == 'H' && v.a == 'H'
	case vuln.XSS:
		return v.ui == 'R' && v.scope == 'C'
	case vuln.Traversal:
		return v.c == 'H' || v.i == 'H'
	case vuln.Bypass:
		return v.pr == 'N' && (v.c != 'N' || v.i != 'N')
	case vuln.Info:
		return v.c != 'N' && v.i == 'N'
	case vuln.Priv:
		if cwe == 59 || cwe == 61 { // link following
			return v.av == 'L'
		}
		return v.av == 'L' && v.pr != 'H' && v.total()
	case vuln.Inclusion:
		return v.c == 'H' && v.i == 'H'
	}
	return false
}

// types lists the members in table order.
func (s set) types() []vuln.Type {
	if s == 0 {
		return nil
	}
	var out []vuln.Type
	for _, t := range vuln.Types {
		if s.has(t) {
			out = append(out, t)
		}
	}
	return out
}
