package export

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/kannuki/kannuki/event"
)

// What every message says of its sender.
const (
	appName  = "kannuki-agent"
	facility = 10 // authpriv: security messages that not everybody reads
	// structuredID names our element. 32473 is the enterprise number RFC 5612 sets
	// aside for documentation and private use: kannuki has none of its own.
	structuredID = "kannuki@32473"
)

// Bounds of one message in bytes. Datagrams: what RFC 5424 section 6.1 says a receiver
// should take. Streams: what common receivers take unless they are told otherwise.
const (
	maxDatagram = 2048
	maxStream   = 8192
)

// Severities of RFC 5424 section 6.2.1.
const (
	severityWarning = 4
	severityNotice  = 5
	severityInfo    = 6
)

// severity of a kind: what was refused wants somebody to look, what was observed is
// worth noting.
func severity(k event.Kind) int {
	switch k {
	case event.Refused:
		return severityWarning
	case event.Observed:
		return severityNotice
	}
	return severityInfo
}

// syslog sends events as RFC 5424 messages.
type syslog struct {
	network, addr string
	line          *line
	head          header
	pause         pause
}

// header is what does not change between messages.
type header struct{ host, pid string }

func newSyslog(network, addr string) *syslog {
	return &syslog{network: network, addr: addr, line: &line{network: network, addr: addr},
		head: header{host: printable(hostname(), 255), pid: strconv.Itoa(os.Getpid())}}
}

func (s *syslog) Name() string { return "syslog " + s.network + " " + s.addr }

func (s *syslog) Send(ctx context.Context, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.pause.wait(ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name(), err)
	}
	if err := s.line.open(ctx); err != nil {
		s.pause.failed(0)
		return fmt.Errorf("%s: %w", s.Name(), err)
	}
	most := maxStream
	if s.line.datagrams() {
		most = maxDatagram
	}
	for i, e := range events {
		if err := s.line.send(ctx, s.head.message(e, most)); err != nil {
			s.line.close()
			s.pause.failed(0)
			return fmt.Errorf("%s: event %d of %d: %w", s.Name(), i+1, len(events), err)
		}
	}
	s.pause.succeeded()
	return nil
}

// message is e as one message of at most most bytes. What is too long loses the ends
// of its values first (of paths the beginning), then the text, never its structure.
func (h header) message(e event.Event, most int) string {
	head := fmt.Sprintf("<%d>1 %s %s %s %s %s ", facility*8+severity(e.Kind), timestamp(e.At), h.host, appName, h.pid, printable(string(e.Kind), 32))
	text := bom(plainText(sentence(e)))
	for limit := most; ; limit /= 2 {
		out := head + structured(e, limit)
		if len(out)+len(text)+1 <= most {
			return out + " " + text
		}
		if room := most - len(out) - 1; room >= most/8 || limit <= 8 && room > 0 {
			return out + " " + clip(text, room)
		}
		if limit <= 8 {
			return out
		}
	}
}

// timestamp is RFC 3339 with microseconds at most, as RFC 5424 section 6.2.3 asks.
func timestamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}

// printable is s as a header field: printable ASCII without spaces, "-" for nothing.
func printable(s string, most int) string {
	out := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if out == "" {
		return "-"
	}
	return out[:min(len(out), most)]
}

// bom marks text as UTF-8 (RFC 5424 section 6.4); what is ASCII needs no mark.
func bom(text string) string {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return "\ufeff" + text
		}
	}
	return text
}

// plainText is s as valid UTF-8 of printable characters only: others could end a line,
// colour a terminal or turn text round, and a path may hold any byte. They are written
// as \x0a or \u202e.
func plainText(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// clipHead cuts s to about n bytes from its beginning, as the end of a path says most.
func clipHead(s string, n int) string {
	if len(s) <= n {
		return s
	}
	from := len(s) - n
	for from < len(s) && !utf8.RuneStart(s[from]) {
		from++
	}
	return "…" + s[from:]
}

// structured is e as one SD-ELEMENT; no value of it is longer than about limit.
func structured(e event.Event, limit int) string {
	var b strings.Builder
	b.WriteString("[" + structuredID)
	put := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, ` %s="%s"`, name, escape.Replace(value))
		}
	}
	text := func(name, value string) { put(name, clip(plainText(value), limit)) }
	path := func(name, value string) { put(name, clipHead(plainText(value), limit)) }
	flag := func(name string, set bool) {
		if set {
			put(name, "true")
		}
	}
	text("control", e.Control)
	text("op", e.Op)
	put("count", strconv.Itoa(e.Count))
	path("path", e.Path)
	text("space", e.Space)
	text("rule", e.Rule)
	text("drill", e.Drill)
	put("pid", strconv.Itoa(e.Actor.PID))
	text("comm", e.Actor.Comm)
	path("exe", e.Actor.Exe)
	text("cmdline", e.Actor.Cmdline)
	text("unit", e.Actor.Unit)
	if e.Actor.Parent != 0 {
		put("ppid", strconv.Itoa(e.Actor.Parent))
	}
	text("pcomm", e.Actor.ParentIs)
	put("uid", strconv.Itoa(e.Actor.UID))
	put("login_uid", strconv.Itoa(e.Actor.LoginUID))
	flag("contained", e.Actor.Contained)
	flag("updater", e.Actor.Updater)
	flag("granted", e.Actor.Granted)
	text("ancestry", strings.Join(ancestry(e), " "))
	text("way_out", e.WayOut)
	b.WriteString("]")
	return b.String()
}

// ancestry lists the processes above the actor, nearest first: "sh(41)".
func ancestry(e event.Event) []string {
	var out []string
	for _, a := range e.Actor.Ancestry {
		out = append(out, fmt.Sprintf("%s(%d)", a.Comm, a.PID))
	}
	return out
}
