package classify

import (
	"strings"

	"github.com/kannuki/kannuki/vuln"
)

// rule gives a type to texts in which one of its phrases stands.
type rule struct {
	typ        vuln.Type
	confidence string
	phrases    []phrase
	// both are two texts that fire together, wherever they stand.
	both [2]string
}

func (r *rule) find(text string) (string, bool) {
	for i := range r.phrases {
		if span, ok := r.phrases[i].find(text); ok {
			return span, true
		}
	}
	if a, b := r.both[0], r.both[1]; a != "" && strings.Contains(text, a) && strings.Contains(text, b) {
		return a + " … " + b, true
	}
	return "", false
}

// says is a phrase of fixed text, in any of several spellings.
func says(heads ...string) phrase { return phrase{heads: heads} }

func words(w ...string) []string { return w }

// compatibleRules are the texts of TRIAGE.md 1a, word by word.
var compatibleRules = []rule{
	{typ: vuln.DoS, confidence: high, phrases: []phrase{says("denial of service")}},
	{typ: vuln.Exec, confidence: high, phrases: []phrase{
		{heads: words("execut"), steps: []step{{gap: 6, words: words("code", "command", "commands", "program", "sql", "bytecode"), whole: true}}},
		{heads: words("code", "command", "javascript"), whole: true, steps: []step{{words: words("execut")}}},
		says("arbitrary code", "arbitrary command"),
	}},
	{typ: vuln.Overflow, confidence: high, phrases: []phrase{says("overflow")}},
	{typ: vuln.MemCorr, confidence: high, phrases: memoryCorruption},
	{typ: vuln.SQLi, confidence: high, phrases: []phrase{says("sql injection")}},
	{typ: vuln.XSS, confidence: high, phrases: []phrase{says("xss", "cross-site scripting")}},
	{typ: vuln.Traversal, confidence: high, phrases: []phrase{says("directory traversal")}},
	{typ: vuln.Splitting, confidence: high, phrases: []phrase{says("response splitting")}},
	{typ: vuln.Bypass, confidence: high, phrases: []phrase{says("bypass")}},
	{typ: vuln.Info, confidence: high, phrases: []phrase{
		{need: "information", heads: words("obtain", "gain", "disclos", "leak", "expos", "access"), steps: sensitiveInformation},
		{need: "information", heads: words("obtain"), whole: true, steps: []step{{gap: 4, words: words("information")}}},
	}},
	{typ: vuln.Priv, confidence: high, phrases: []phrase{
		{need: "privilege", heads: words("gain"), steps: []step{{gap: 4, words: words("privilege")}}},
		{heads: words("gain"), steps: []step{{words: words("root", "admin")}}},
	}},
	{typ: vuln.CSRF, confidence: high, phrases: []phrase{says("csrf", "cross-site request forgery")}},
	{typ: vuln.Inclusion, confidence: high, phrases: []phrase{says("file inclusion")}, both: [2]string{"inclusion", "file"}},
}

var (
	memoryCorruption = []phrase{
		says("memory corruption"),
		{need: "memory", heads: words("corrupt"), steps: []step{{gap: 3, words: words("memory")}}},
		{need: "corrupt", heads: words("memory", "heap"), whole: true, steps: []step{{gap: 2, words: words("corrupt")}}},
	}
	sensitiveInformation = []step{{gap: 4, words: words("sensitive"), whole: true}, {gap: 3, words: words("information")}}
)

// compatibleWeaknesses are the five CWE ids of TRIAGE.md 1a.
var compatibleWeaknesses = []struct {
	cwe int
	typ vuln.Type
}{{119, vuln.Overflow}, {89, vuln.SQLi}, {79, vuln.XSS}, {22, vuln.Traversal}, {200, vuln.Info}}

// fullRules are the texts of TRIAGE.md 1b, for prepared text: those of 1a and what
// goes beyond, in the spellings and inflections real descriptions use. Stems that
// 1a finds inside any word ("gain" in "against") start a word here.
var fullRules = []rule{
	{typ: vuln.DoS, confidence: high, phrases: []phrase{
		says("denial of service", "denial-of-service", "denial of-service", "denial-of service"),
		{heads: words("dos", "hang", "hangs", "hanging", "hung"), start: true, whole: true},
		says("stop responding", "stops responding", "stopped responding", "infinite loop"),
		says("deny service", "denies service", "denying service"),
		{heads: words("crash"), start: true},
	}},
	{typ: vuln.Exec, confidence: high, phrases: []phrase{
		{heads: words("execut"), steps: []step{{gap: 6, words: words("code", "command", "commands", "program", "bytecode"), whole: true}}, refuse: notTheServer},
		{heads: words("code", "command"), whole: true, steps: []step{{words: words("execut")}}, refuse: notTheServer},
		{heads: words("arbitrary code", "arbitrary command"), refuse: notTheServer},
		says("command injection", "command-injection"),
		{heads: words("deserializ", "deserialis"), steps: []step{
			{gap: 10, words: words("lead", "result", "allow", "caus", "enabl", "permit", "run")},
			{gap: 6, words: words("code"), whole: true}}, refuse: notTheServer},
	}},
	{typ: vuln.Overflow, confidence: high, phrases: []phrase{says("overflow")}},
	{typ: vuln.MemCorr, confidence: high, phrases: memoryCorruption},
	{typ: vuln.SQLi, confidence: high, phrases: []phrase{says("sql injection", "sql-injection")}},
	{typ: vuln.XSS, confidence: high, phrases: []phrase{says("xss", "cross-site scripting", "cross site scripting")}},
	{typ: vuln.Traversal, confidence: high, phrases: []phrase{
		says("directory traversal", "directory-traversal", "path traversal", "path-traversal", "zip slip", "zip-slip", "zipslip")}},
	{typ: vuln.Splitting, confidence: high, phrases: []phrase{says("response splitting", "crlf injection", "crlf-injection")}},
	{typ: vuln.Bypass, confidence: high, phrases: []phrase{
		says("bypass", "sandbox escape", "sandbox-escape"),
		{need: "sandbox", heads: words("escap"), start: true, steps: []step{{gap: 3, words: words("sandbox")}}},
	}},
	{typ: vuln.Info, confidence: high, phrases: []phrase{
		{need: "information", heads: words("obtain", "gain", "disclos", "leak", "expos", "access"), start: true, steps: sensitiveInformation},
		{need: "information", heads: words("obtain"), start: true, whole: true, steps: []step{{gap: 4, words: words("information")}}},
		says("information disclosure", "information-disclosure", "information leak", "information-leak"),
		{need: "information", heads: words("disclose", "discloses", "disclosing"), start: true, whole: true, steps: []step{{gap: 2, words: words("information"), whole: true}}},
		{need: "arbitrary", heads: words("read", "reads", "reading"), start: true, whole: true, steps: []step{
			{gap: 1, words: words("arbitrary"), whole: true}, {gap: 3, words: words("file", "files", "memory"), whole: true}}},
		says("arbitrary file read", "arbitrary memory read"),
	}},
	{typ: vuln.Priv, confidence: high, phrases: []phrase{
		{need: "privilege", heads: words("gain"), start: true, steps: []step{{gap: 4, words: words("privilege")}}},
		{heads: words("gain"), start: true, steps: []step{{words: words("root", "admin")}}},
		{need: "escalat", heads: words("privilege"), start: true, steps: []step{{words: words("escalat")}}},
		{need: "privilege", heads: words("escalat"), start: true, steps: []step{{gap: 3, words: words("privilege")}}},
		{need: "privilege", heads: words("elevation", "elevate", "elevates", "elevating"), start: true, whole: true, steps: []step{{gap: 3, words: words("privilege")}}},
	}},
	{typ: vuln.CSRF, confidence: high, phrases: []phrase{says("csrf", "cross-site request forgery", "cross site request forgery")}},
	{typ: vuln.Inclusion, confidence: high, phrases: []phrase{says("file inclusion")}},
	// The two words apart are much weaker evidence than the two together.
	{typ: vuln.Inclusion, confidence: low, both: [2]string{"inclusion", "file"}},
}

// notTheServer tells that what is executed is a query or runs in a visitor's
// browser: that is sqli or xss, never code execution on the server.
func notTheServer(span string) bool {
	for _, w := range [...]string{"sql", "javascript", "html", "web script", "script code"} {
		if strings.Contains(span, w) {
			return true
		}
	}
	return false
}
