package vuln

// Type is one of the thirteen vulnerability types of TRIAGE.md section 1. A
// vulnerability may have several or none. The string values are stored and
// printed in JSON; they never change.
type Type string

// The thirteen types, in the order every table shows them.
const (
	DoS       Type = "dos"
	Exec      Type = "exec"
	Overflow  Type = "overflow"
	MemCorr   Type = "memcorr"
	SQLi      Type = "sqli"
	XSS       Type = "xss"
	Traversal Type = "traversal"
	Splitting Type = "splitting"
	Bypass    Type = "bypass"
	Info      Type = "info"
	Priv      Type = "priv"
	CSRF      Type = "csrf"
	Inclusion Type = "inclusion"
)

// Types lists all types in table order.
var Types = []Type{DoS, Exec, Overflow, MemCorr, SQLi, XSS, Traversal, Splitting, Bypass, Info, Priv, CSRF, Inclusion}

// Typing is one type given to a vulnerability, with who gave it and why.
type Typing struct {
	Type Type `json:"type"`
	// Source is where it was read: "text", "cwe", "vendor", "cvss" or "adp".
	Source string `json:"source"`
	// Confidence is "high" or "low".
	Confidence string `json:"confidence"`
	// Why is the evidence: the words that fired, the CWE id, the vector.
	Why string `json:"why"`
}
