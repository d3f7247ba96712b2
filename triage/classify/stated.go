package classify

import (
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// consequences are the types that say what an attacker gets; the others say how.
var consequences = bit(vuln.DoS) | bit(vuln.Exec) | bit(vuln.Bypass) | bit(vuln.Info) | bit(vuln.Priv)

// statements are the words in which a publisher files a vulnerability under one
// consequence: as a class ("an information disclosure vulnerability exists", "… aka
// 'Windows Elevation of Privilege Vulnerability'"), or by what is allowed to whom.
var statements = []struct {
	typ   vuln.Type
	words []string
}{
	{vuln.Exec, words("remote code execution vulnerability", "attacker to execute code")},
	{vuln.Priv, words("elevation of privilege vulnerability", "attacker to elevate privileges")},
	{vuln.Info, words("information disclosure vulnerability", "attacker to disclose information")},
	{vuln.DoS, words("denial of service vulnerability", "attacker to deny service")},
	{vuln.Bypass, words("security feature bypass vulnerability", "authentication bypass vulnerability", "attacker to bypass a security feature")},
}

// stated are the consequences a prepared text states in so many words. Where it states
// one, a weakness or a vector, which only suggest what usually follows from them, adds
// no other: an XML parser that runs code does not disclose files as well because most
// of its kind do. What the text says besides counts as ever.
func stated(text string) set {
	var found set
	for _, s := range statements {
		for _, w := range s.words {
			if strings.Contains(text, w) {
				found |= bit(s.typ)
			}
		}
	}
	return found
}
