package export

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/golden"
)

// received is a message taken apart by the grammar of RFC 5424 section 6, written here
// a second time and strictly.
type received struct {
	pri                          int
	time, host, app, pid, id, sd string
	params                       map[string]string
	text                         string
}

var (
	grammar   = regexp.MustCompile(`^<(0|[1-9][0-9]{0,2})>1 (-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2})) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) `)
	element   = regexp.MustCompile(`^\[([!#-<>-\\^-~]{1,32})((?: [!#-<>-\\^-~]{1,32}="(?:[^"\\\]]|\\["\\\]])*")*)\]`)
	parameter = regexp.MustCompile(`^ ([^=]+)="((?:[^"\\\]]|\\["\\\]])*)"`)
	unescape  = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\]`, `]`)
)

func parse(message string) (r received, err error) {
	m := grammar.FindStringSubmatch(message)
	if m == nil || !utf8.ValidString(message) {
		return r, fmt.Errorf("no header: %q", message)
	}
	r = received{time: m[2], host: m[3], app: m[4], pid: m[5], id: m[6], params: map[string]string{}}
	r.pri, _ = strconv.Atoi(m[1])
	rest := message[len(m[0]):]
	for strings.HasPrefix(rest, "[") {
		e := element.FindStringSubmatch(rest)
		if e == nil {
			return r, fmt.Errorf("no structured data: %q", rest)
		}
		r.sd, rest = e[1], rest[len(e[0]):]
		for params := e[2]; params != ""; {
			p := parameter.FindStringSubmatch(params)
			r.params[p[1]], params = unescape.Replace(p[2]), params[len(p[0]):]
		}
	}
	if rest != "" && !strings.HasPrefix(rest, " ") {
		return r, fmt.Errorf("no space after the structured data: %q", rest)
	}
	r.text = strings.TrimPrefix(rest, " ")
	ascii := strings.IndexFunc(r.text, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
	if marked := strings.HasPrefix(r.text, "\ufeff"); !ascii && !marked {
		return r, fmt.Errorf("UTF-8 without its mark: %q", r.text)
	}
	return r, nil
}

func TestMessagesAsTheyAreSent(t *testing.T) {
	var out strings.Builder
	for _, e := range samples() {
		message := header{"host.example", "815"}.message(e, maxStream)
		if _, err := parse(message); err != nil {
			t.Error(err)
		}
		out.WriteString(strings.ReplaceAll(message, "\ufeff", "<BOM>") + "\n")
	}
	golden.Check(t, "syslog.golden", out.String())
}

func TestValuesAreEscaped(t *testing.T) {
	for _, c := range []struct{ path, wire, read string }{
		{`a"b`, `a\"b`, `a"b`},
		{`a]b`, `a\]b`, `a]b`},
		{`a\b`, `a\\b`, `a\b`},
		{`a\`, `a\\`, `a\`},
		{`\"]`, `\\\"\]`, `\"]`},
		{"a\nb", `a\\x0ab`, `a\x0ab`},
		{"a\x00\x1b[31m", `a\\x00\\x1b[31m`, `a\x00\x1b[31m`},
		{"a\xffb", `a\\xffb`, `a\xffb`},
		{"a\u202eb", `a\\u202eb`, `a\u202eb`},
		{"a\u0085b", `a\\x85b`, `a\x85b`},
		{"鍵 é", "鍵 é", "鍵 é"},
		{`x" y="z`, `x\" y=\"z`, `x" y="z`},
	} {
		message := header{"h", "1"}.message(event.Event{Kind: event.Refused, Op: "exec", Count: 1, Path: c.path}, maxDatagram)
		r, err := parse(message)
		if err != nil || !strings.Contains(message, ` path="`+c.wire+`"`) || r.params["path"] != c.read {
			t.Errorf("%q: %q, %v in %q", c.path, r.params["path"], err, message)
		}
	}
}

func TestKindsHaveTheirSeverity(t *testing.T) {
	for kind, want := range map[event.Kind]int{event.Refused: 84, event.Observed: 85, event.Note: 86} {
		r, err := parse(header{"-", "1"}.message(event.Event{Kind: kind, Op: "exec"}, maxDatagram))
		if err != nil || r.pri != want || r.id != string(kind) {
			t.Errorf("%s: %d, %v; want %d", kind, r.pri, err, want)
		}
	}
}

// TestLongMessagesKeepTheirStructure: whatever is long in an event, the message fits
// and the end of the path, the rule and the process are still there.
func TestLongMessagesKeepTheirStructure(t *testing.T) {
	long := strings.Repeat(`鍵"\`, 3000)
	for _, most := range []int{maxDatagram, maxStream} {
		e := refusal()
		e.Path, e.Why, e.WayOut, e.Actor.Cmdline, e.Actor.Exe = "/"+long+"/end", long, long, long, "/"+long
		for range 300 {
			e.Actor.Ancestry = append(e.Actor.Ancestry, event.Ancestor{PID: 1, Comm: "]]]"})
		}
		message := header{"h", "1"}.message(e, most)
		r, err := parse(message)
		if err != nil || len(message) > most || !strings.HasSuffix(r.params["path"], "/end") || r.params["rule"] != "user-space" || r.params["pid"] != "4711" {
			t.Errorf("%d of %d bytes: %v\n%s", len(message), most, err, message)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(`/tmp/"x"]`, "nginx", "a b", "refused")
	f.Add("\xff\ufeff\\", "", "[", "a b")
	f.Fuzz(func(t *testing.T, path, comm, why, kind string) {
		e := event.Event{At: at, Kind: event.Kind(kind), Op: "exec", Path: path, Why: why, Rule: comm, Actor: event.Actor{Comm: comm, Cmdline: path + why}}
		message := header{"h", "1"}.message(e, maxDatagram)
		if _, err := parse(message); err != nil || len(message) > maxDatagram || strings.ContainsAny(message, "\n\x00") {
			t.Fatalf("%d bytes: %v", len(message), err)
		}
	})
}

// receiver is a syslog receiver of this process; what arrives comes out of the channel.
func receiver(t *testing.T, network, addr string) (at string, messages <-chan string) {
	t.Helper()
	out := make(chan string, 100)
	if network == "udp" || network == "unixgram" {
		conn, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		go func() {
			buf := make([]byte, 1<<16)
			for {
				n, _, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				out <- string(buf[:n])
			}
		}()
		return conn.LocalAddr().String(), out
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go readStream(conn, network, out)
		}
	}()
	return l.Addr().String(), out
}

// readStream reads messages; after one about "hang-up" it closes the connection.
func readStream(conn net.Conn, network string, out chan<- string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		message, err := readOne(in, network)
		if err != nil {
			return
		}
		out <- message
		if strings.Contains(message, "hang-up") {
			return
		}
	}
}

func readOne(in *bufio.Reader, network string) (string, error) {
	if network == "unix" {
		line, err := in.ReadString('\n')
		return strings.TrimSuffix(line, "\n"), err
	}
	digits, err := in.ReadString(' ')
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(digits, " "))
	if err != nil {
		return "", err
	}
	buf := make([]byte, n)
	_, err = io.ReadFull(in, buf)
	return string(buf), err
}

func next(t *testing.T, messages <-chan string) string {
	t.Helper()
	select {
	case m := <-messages:
		return m
	case <-time.After(10 * time.Second):
		t.Fatal("nothing arrived")
		return ""
	}
}

func exporter(t *testing.T, addr string) Exporter {
	t.Helper()
	e, err := Parse(addr)
	if err != nil {
		t.Fatal(err)
	}
	switch x := e.(type) {
	case *syslog:
		x.pause.shortest = 20 * time.Millisecond
	case *otlp:
		x.pause.shortest = 20 * time.Millisecond
	}
	return e
}

func TestEveryTransportDeliversEveryEvent(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ network, listen, scheme string }{
		{"unixgram", filepath.Join(dir, "gram"), "unix:"},
		{"unix", filepath.Join(dir, "stream"), "unix:"},
		{"udp", "127.0.0.1:0", "udp://"},
		{"tcp", "127.0.0.1:0", "tcp://"},
	} {
		t.Run(c.network, func(t *testing.T) {
			addr, messages := receiver(t, c.network, c.listen)
			to := exporter(t, c.scheme+addr)
			for round := range 2 {
				if err := to.Send(context.Background(), samples()); err != nil {
					t.Fatal(err)
				}
				for _, e := range samples() {
					r, err := parse(next(t, messages))
					if err != nil || r.sd != structuredID || r.params["op"] != e.Op || r.params["pid"] != strconv.Itoa(e.Actor.PID) {
						t.Errorf("round %d: %+v, %v; sent %+v", round, r, err, e)
					}
				}
			}
		})
	}
}

func TestAConnectionTheReceiverClosedIsOpenedAnew(t *testing.T) {
	addr, messages := receiver(t, "tcp", "127.0.0.1:0")
	to := exporter(t, "tcp://"+addr)
	for i := range 5 {
		e := event.Event{Kind: event.Refused, Op: "hang-up", Count: i + 1}
		if err := to.Send(context.Background(), []event.Event{e}); err != nil {
			t.Fatal(err)
		}
		if r, err := parse(next(t, messages)); err != nil || r.params["count"] != strconv.Itoa(i+1) {
			t.Fatalf("event %d: %+v, %v", i+1, r, err)
		}
		waitHungUp(t, to.(*syslog).line.conn)
	}
}

func waitHungUp(t *testing.T, conn net.Conn) {
	t.Helper()
	for range 1000 {
		if hungUp(conn) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the receiver's hang-up was not seen")
}

func TestAReceiverThatComesBackIsFoundAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	to := exporter(t, "unix:"+path)
	for range 2 {
		if err := to.Send(context.Background(), samples()); err == nil || !strings.Contains(err.Error(), path) {
			t.Fatalf("nobody listens, and Send says %v", err)
		}
	}
	_, messages := receiver(t, "unixgram", path)
	// Short times each: the pause after the failures goes on from one to the next.
	var err error
	for range 100 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		err = to.Send(ctx, samples()[:1])
		cancel()
		if err == nil {
			break
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Fatal("never sent again:", err)
	}
	if _, err := parse(next(t, messages)); err != nil {
		t.Error(err)
	}
}

func TestAReceiverThatReadsNothingEndsWithTheContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	to := exporter(t, "tcp://"+l.Addr().String())
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	many := slices.Repeat(samples(), 20_000)
	if err := to.Send(ctx, many); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestLoggerWritesTheSameHeader compares with logger(1) of util-linux, sent to the
// same receiver, field by field.
func TestLoggerWritesTheSameHeader(t *testing.T) {
	logger, err := exec.LookPath("logger")
	if err != nil {
		t.Skip("no logger(1) on this machine")
	}
	addr, messages := receiver(t, "udp", "127.0.0.1:0")
	host, port, _ := net.SplitHostPort(addr)
	to := exporter(t, "udp://"+addr).(*syslog)
	cmd := exec.Command(logger, "-n", host, "-P", port, "-d", "--rfc5424", "-p", "authpriv.warning", "-t", appName, "--id="+to.head.pid,
		"--msgid", "refused", "--sd-id", structuredID, "--sd-param", `path="/tmp/\"x\" [1\]\\"`, "--", "refused exec")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs, err := parse(next(t, messages))
	if err != nil {
		t.Fatal(err)
	}
	e := event.Event{At: at, Kind: event.Refused, Op: "exec", Path: `/tmp/"x" [1]\`}
	if err := to.Send(context.Background(), []event.Event{e}); err != nil {
		t.Fatal(err)
	}
	ours, err := parse(next(t, messages))
	if err != nil {
		t.Fatal(err)
	}
	if ours.pri != theirs.pri || ours.host != theirs.host || ours.app != theirs.app || ours.pid != theirs.pid || ours.id != theirs.id ||
		ours.params["path"] != theirs.params["path"] {
		t.Errorf("ours %+v\ntheirs %+v", ours, theirs)
	}
}
