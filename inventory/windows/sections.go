package windows

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// An export may hold the output of several commands, one after the other, each in a
// form of its own: JSON documents, CSV tables, and lines.

// read takes the facts of a whole text.
func (f *facts) read(text string) {
	broken := 0 // no JSON begins before here: an attempt that failed went this far
	for at := 0; at < len(text); {
		line, next := lineAt(text, at)
		if at >= broken && (strings.HasPrefix(line, "{") || strings.HasPrefix(line, "[")) {
			length, failed := f.document(text[at:])
			if length > 0 {
				at += length
				continue
			}
			broken = at + failed
		}
		if length := f.table(text[at:], line); length > 0 {
			at += length
			continue
		}
		f.line(line)
		at = next
	}
	f.closeList()
}

// lineAt is the line of text that begins at a place, and where the next one begins.
func lineAt(text string, at int) (line string, next int) {
	line, _, found := strings.Cut(text[at:], "\n")
	next = at + len(line)
	if found {
		next++
	}
	return strings.TrimRight(line, "\r"), next
}

// document reads a JSON document at the beginning of text: its length, or 0 and how
// far it could be read.
func (f *facts) document(text string) (length, failed int) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return 0, int(syntax.Offset)
		}
		return 0, len(text)
	}
	f.walk("", v)
	return int(dec.InputOffset()), 0
}

// walk takes the values of a ConvertTo-Json document.
func (f *facts) walk(key string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sortedKeys(v) {
			if list, ok := v[k].([]any); ok && f.list(keyOf(k), scalars(list)) {
				continue
			}
			f.walk(k, v[k])
		}
	case []any:
		for _, e := range v {
			f.walk(key, e)
		}
	case string:
		f.set(key, v)
	case json.Number:
		f.set(key, v.String())
	case bool:
		f.set(key, map[bool]string{true: "True", false: "False"}[v])
	}
}

// scalars are the strings and numbers of a list, as PowerShell would print them.
func scalars(list []any) []string {
	out := []string{}
	for _, e := range list {
		switch e := e.(type) {
		case string:
			out = append(out, e)
		case json.Number:
			out = append(out, e.String())
		}
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// table reads CSV whose heading, line, names something we know: its length, 0 when it
// is none.
func (f *facts) table(text, line string) int {
	comma := delimiter(line)
	if comma == 0 {
		return 0
	}
	length := tableLength(text)
	in := csv.NewReader(strings.NewReader(text[:length]))
	in.Comma, in.LazyQuotes, in.FieldsPerRecord = comma, true, -1
	heading, err := in.Read()
	if err != nil || !slices.ContainsFunc(heading, func(h string) bool { return keyOf(h) != keyNone }) {
		return 0
	}
	f.damaged = f.damaged || strings.Count(text[:length], `"`)%2 != 0
	for {
		row, err := in.Read()
		if err != nil { // the end: lazy quotes forgive everything else
			return length
		}
		for i, value := range row[:min(len(row), len(heading))] {
			f.set(heading[i], value)
		}
	}
}

// delimiter is what separates the columns of a heading, 0 where there are none we know.
func delimiter(heading string) rune {
	comma := ','
	for _, c := range []rune{';', '\t'} {
		if strings.Count(heading, string(c)) > strings.Count(heading, string(comma)) {
			comma = c
		}
	}
	for cell := range strings.SplitSeq(heading, string(comma)) {
		if len(cell) < len(heading) && keyOf(cell) != keyNone {
			return comma
		}
	}
	return 0
}

// tableLength is where a table ends: outside quotes, before a blank line, the next
// table's type or a JSON document.
func tableLength(text string) int {
	quotes := 0
	for at := 0; at < len(text); {
		line, next := lineAt(text, at)
		if quotes%2 == 0 && at > 0 && (strings.TrimSpace(line) == "" || strings.ContainsRune("{[", rune(line[0])) || strings.HasPrefix(line, "#TYPE")) {
			return at
		}
		quotes += strings.Count(line, `"`)
		at = next
	}
	return len(text)
}
