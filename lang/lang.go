// Package lang says things in the administrator's language. It holds the message
// catalogues (English and Japanese), formats numbers and dates the way that language
// writes them, and knows how wide text is on a terminal. It promises that every
// message exists in every language with the same placeholders; a key that exists
// nowhere prints as itself, so nothing is lost.
package lang

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// A language's catalogue is every file that begins with its tag: en.json,
// en.reason.json, …, one per group of keys.
//
//go:embed *.json
var files embed.FS

// Languages are the languages there is a catalogue for, the fallback first.
var Languages = []string{"en", "ja"}

// Printer says messages in one language. It is safe for concurrent use.
type Printer struct {
	language string
	messages map[string]string
	numbers  *message.Printer
}

// New returns the printer for a language tag ("ja") or a POSIX locale
// ("ja_JP.UTF-8"). "C", "POSIX", "" and languages without a catalogue read English.
func New(tag string) Printer {
	chosen := choose(tag)
	return Printer{
		language: chosen,
		messages: catalogue(chosen),
		numbers:  message.NewPrinter(language.Make(chosen)),
	}
}

// choose maps a tag or locale to one of Languages.
func choose(tag string) string {
	name, _, _ := strings.Cut(tag, ".")
	name, _, _ = strings.Cut(name, "@")
	base, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "-")
	for _, l := range Languages {
		if base == l {
			return l
		}
	}
	return Languages[0]
}

// catalogue reads the embedded files of a language. They are part of the binary and
// checked by the tests: one that does not parse is a programming error.
func catalogue(name string) map[string]string {
	messages := map[string]string{}
	parts, _ := fs.Glob(files, name+"*.json") // fails on a bad pattern only
	for _, part := range parts {
		data, err := files.ReadFile(part)
		if err == nil {
			err = json.Unmarshal(data, &messages)
		}
		if err != nil {
			panic("lang: " + part + ": " + err.Error())
		}
	}
	return messages
}

// Language is the language p speaks: one of Languages.
func (p Printer) Language() string { return p.language }

// Has tells whether there is a message for key.
func (p Printer) Has(key string) bool {
	_, ok := p.messages[key]
	return ok
}

// T is the message of key with {0}, {1}, … replaced by args. {0|one|many} becomes
// "one" where argument 0 is the number 1 and "many" otherwise. Integers and floats are
// written the way the language writes them, times as dates; strings stay as they are
// (so a year or an id is passed as a string). An unknown key is returned as it is.
func (p Printer) T(key string, args ...any) string {
	template, ok := p.messages[key]
	if !ok {
		return key
	}
	return p.fill(template, args)
}

func (p Printer) fill(template string, args []any) string {
	if !strings.Contains(template, "{") {
		return template
	}
	var b strings.Builder
	for rest := template; rest != ""; {
		start := strings.IndexByte(rest, '{')
		end := strings.IndexByte(rest, '}')
		if start < 0 || end < start {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:start])
		b.WriteString(p.placeholder(rest[start:end+1], args))
		rest = rest[end+1:]
	}
	return b.String()
}

// placeholder is what stands for "{0}" or "{0|one|many}"; text that is no placeholder,
// or has no argument, stays.
func (p Printer) placeholder(text string, args []any) string {
	parts := strings.Split(text[1:len(text)-1], "|")
	i, err := strconv.Atoi(parts[0])
	if err != nil || i < 0 || i >= len(args) || (len(parts) != 1 && len(parts) != 3) {
		return text
	}
	if len(parts) == 1 {
		return p.format(args[i])
	}
	if fmt.Sprint(args[i]) == "1" {
		return parts[1]
	}
	return parts[2]
}

func (p Printer) format(arg any) string {
	switch v := arg.(type) {
	case string:
		return v
	case int, int64, float64:
		return p.numbers.Sprint(number.Decimal(v))
	case time.Time:
		return p.Date(v)
	}
	return fmt.Sprint(arg)
}

// Number writes n with the language's digit groups.
func (p Printer) Number(n int) string { return p.numbers.Sprint(number.Decimal(n)) }

// Percent writes a share (0–1) as a percentage with one decimal.
func (p Printer) Percent(share float64) string {
	return p.numbers.Sprint(number.Percent(share, number.Scale(1)))
}

// Date writes the day of t; empty for the zero time.
func (p Printer) Date(t time.Time) string { return p.layout("format.date", t) }

// DateTime writes day, minute and zone of t; empty for the zero time.
func (p Printer) DateTime(t time.Time) string { return p.layout("format.datetime", t) }

// layout formats t by a message that is a Go time layout.
func (p Printer) layout(key string, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(p.messages[key])
}

// Age says in words how long ago something was: minutes, hours, days, then months and
// years of 30.4 and 365 days. What lies in the future reads as "just now" while it
// could be a clock's error (an hour), else as such.
func (p Printer) Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < -time.Hour:
		return p.T("age.future")
	case d < time.Minute:
		return p.T("age.now")
	case d < time.Hour:
		return p.T("age.minutes", int(d/time.Minute))
	case d < 2*day:
		return p.T("age.hours", int(d/time.Hour))
	case d < 60*day:
		return p.T("age.days", int(d/day))
	case d < 730*day:
		return p.T("age.months", int(d.Hours()/24/30.4))
	}
	return p.T("age.years", int(d/(365*day)))
}
