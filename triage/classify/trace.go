package classify

import (
	"bytes"
	"strings"
)

// Kernel descriptions are commit messages: they carry oops reports, call traces and
// register dumps, whose symbols (check_add_overflow, execute_command) are no types.

// traceMarks start a line that a crash report wrote, not a person.
var traceMarks = []string{
	"call trace", "backtrace", "stack backtrace", "<task>", "</task>", "<irq>", "</irq>", "rip:", "rsp:", "rax:", "rdx:", "rbp:", "r10:", "r13:",
	"cpu:", "code:", "hardware name:", "modules linked in", "workqueue:", "---[ end trace", "------------[ cut here", "kernel bug at",
	"fs:", "cs:", "cr2:", "dr0:", "dr3:", "pkru:", "pc :", "lr :", "sp :", "pstate:", "nip:", "nip [", "lr [", "internal error: oops", "oops:",
	"warning: cpu:", "general protection fault", "info: task", "freed by task", "allocated by task", "last potentially related work",
}

// diagnoses start a line of a trace in which a sanitizer says what is wrong; the
// diagnosis, up to the place, may be read.
var diagnoses = []string{"ubsan:", "bug: kasan:", "kasan:", "bug: kmsan:", "bug: kcsan:", "bug: kfence:"}

func hasTrace(text string) bool {
	return strings.Contains(text, "+0x") || strings.Contains(text, "call trace") || strings.Contains(text, "backtrace") ||
		strings.Contains(text, "cut here ]") || strings.Contains(text, "hardware name:") || strings.Contains(text, "[inline]") ||
		strings.Contains(text, "san: ") || strings.Contains(text, "\n[")
}

// cutTrace blanks the lines of crash reports, and in text that lost its line breaks
// everything from the first "call trace" to the last address.
func cutTrace(b []byte) {
	if bytes.IndexByte(b, '\n') < 0 {
		cutFlatTrace(b)
		return
	}
	inTrace := false
	for from := 0; from < len(b); {
		end := len(b)
		if i := bytes.IndexByte(b[from:], '\n'); i >= 0 {
			end = from + i
		}
		line := b[from:end]
		content := withoutTimestamp(line)
		switch {
		case len(content) == 0:
			inTrace = false
		case startsAny(content, diagnoses):
			if i := bytes.Index(line, []byte(" in ")); i >= 0 {
				blank(line[i:])
			} else if isFrame(content) {
				blank(line)
			}
		case startsAny(content, traceMarks):
			inTrace = true
			blank(line)
		case inTrace || len(content) < len(bytes.TrimSpace(line)) || isFrame(content):
			blank(line)
		}
		from = end + 1
	}
}

// withoutTimestamp trims a line and the "[  496.310233]" (or "[ 3405.966610][T230589]")
// the kernel's log puts before it.
func withoutTimestamp(line []byte) []byte {
	line = bytes.TrimSpace(line)
	for len(line) > 0 && line[0] == '[' {
		end := bytes.IndexByte(line, ']')
		if end < 0 || !isStamp(line[1:end]) {
			break
		}
		line = bytes.TrimSpace(line[end+1:])
	}
	return line
}

// isStamp knows "  496.310233", "t230589" and "c0".
func isStamp(b []byte) bool {
	b = bytes.TrimSpace(b)
	if len(b) < 2 {
		return false
	}
	if b[0] == 't' || b[0] == 'c' {
		b = b[1:]
	} else if bytes.IndexByte(b, '.') < 0 {
		return false
	}
	for _, c := range b {
		if c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isFrame tells a stack frame: an address offset, or an inlined function's place.
func isFrame(line []byte) bool {
	return bytes.Contains(line, []byte("+0x")) || bytes.HasSuffix(line, []byte("[inline]"))
}

func cutFlatTrace(b []byte) {
	begin := bytes.Index(b, []byte("call trace"))
	if begin < 0 {
		begin = bytes.Index(b, []byte("+0x"))
	}
	if last := bytes.LastIndex(b, []byte("+0x")); begin >= 0 && last > begin {
		end := last
		for end < len(b) && b[end] != ' ' {
			end++
		}
		blank(b[begin:end])
	}
}

// hasSymbol is a cheap look for what maskSymbols would change.
func hasSymbol(text string) bool {
	return strings.IndexByte(text, '_') >= 0 || strings.Contains(text, "()") || strings.Contains(text, "->") ||
		strings.Contains(text, ".c") || strings.Contains(text, ".h")
}

// maskSymbols turns names of source code into words no rule knows: names with an
// underscore in them, called functions "name()", members "->name", and C files.
// It leaves lengths and word counts as they are.
func maskSymbols(b []byte) {
	for i := 0; i < len(b); {
		if !isWord(b[i]) {
			i++
			continue
		}
		begin := i
		for i < len(b) && isWord(b[i]) {
			i++
		}
		name, rest := b[begin:i], b[i:]
		if bytes.IndexByte(name, '_') >= 0 || bytes.HasPrefix(rest, []byte("()")) ||
			bytes.HasSuffix(b[:begin], []byte("->")) || isCFile(rest) {
			for j := range name {
				name[j] = '_'
			}
		}
	}
}

func isCFile(rest []byte) bool {
	return len(rest) >= 2 && rest[0] == '.' && (rest[1] == 'c' || rest[1] == 'h') && (len(rest) == 2 || !isWord(rest[2]))
}
