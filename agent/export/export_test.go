package export

import (
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
)

var at = time.Date(2026, 11, 23, 6, 7, 8, 123456789, time.FixedZone("JST", 9*3600))

// refusal is an event with everything in it.
func refusal() event.Event {
	return event.Event{At: at, Kind: event.Refused, Control: "launch", Op: "exec", Count: 3, Path: `/tmp/日本 "x" [1]\`, Space: "user",
		Rule: "user-space", Why: "/tmp may change, so nothing launches from it", WayOut: "install it as a package",
		Actor: event.Actor{PID: 4711, Comm: "nginx", Parent: 42, ParentIs: "nginx", UID: 33, LoginUID: -1, Contained: true,
			Exe: "/usr/sbin/nginx", Cmdline: "nginx: worker process", Unit: "nginx.service",
			Ancestry: []event.Ancestor{{PID: 42, Comm: "nginx"}, {PID: 1, Comm: "systemd"}}}}
}

// samples are the events of the golden files.
func samples() []event.Event {
	bare := event.Event{Kind: event.Note, Op: "contained", Count: 1, Actor: event.Actor{PID: 7, Comm: "redis-server", UID: 100, LoginUID: -1}}
	seen := event.Event{At: at.Add(time.Second), Kind: event.Observed, Control: "write", Op: "rename", Count: 1, Path: "…/cron.d/x\n[kannuki@32473 op=\"forged\"]",
		Rule: "persistence:/etc/cron.d", Actor: event.Actor{PID: 9, Comm: "sh", UID: 0, LoginUID: 1000, Updater: true, Granted: true}}
	return []event.Event{refusal(), bare, seen}
}

func TestAddressesBecomeExporters(t *testing.T) {
	for addr, want := range map[string]string{
		"unix:/dev/log":                   "syslog unix /dev/log",
		"unix:///run/systemd/journal/log": "syslog unix /run/systemd/journal/log",
		"udp://127.0.0.1":                 "syslog udp 127.0.0.1:514",
		"udp://loghost:5140":              "syslog udp loghost:5140",
		"tcp://[::1]:601/":                "syslog tcp [::1]:601",
		"http://127.0.0.1:4318":           "otlp http://127.0.0.1:4318/v1/logs",
		"https://n:secret@c/otlp/logs":    "otlp https://n:xxxxx@c/otlp/logs",
	} {
		if e, err := Parse(addr); err != nil || e.Name() != want {
			t.Errorf("%s: %v, %v; want %s", addr, e, err, want)
		}
	}
}

func TestWrongAddressesAreToldWithTheWayOut(t *testing.T) {
	for addr, want := range map[string]string{
		"":                                   `write unix:/dev/log, udp://`,
		"/dev/log":                           `did you mean "unix:/dev/log"?`,
		"loghost:514":                        `did you mean "udp://loghost:514"?`,
		"[::1]:514":                          `did you mean "udp://[::1]:514"?`,
		"127.0.0.1:4318":                     `did you mean "http://127.0.0.1:4318"?`,
		"upd://loghost":                      `did you mean "udp://loghost"?`,
		"htps://c:4318":                      `did you mean "https://c:4318"?`,
		"syslog://loghost":                   `did you mean "udp://loghost" or "tcp://loghost"?`,
		"grpc://c:4317":                      `http://HOST:4318`,
		"tls://loghost:6514":                 `let it speak TLS`,
		"kafka://k:9092":                     `unknown scheme "kafka"; write unix:`,
		"unix:dev/log":                       `is none`,
		"unix:/run/":                         `names no socket`,
		"unix:/" + strings.Repeat("a", 120):  `at most 107 bytes`,
		"udp://":                             `names no host`,
		"udp://h:0":                          `from 1 to 65535`,
		"tcp://h:70000":                      `from 1 to 65535`,
		"tcp://h:514/x?y":                    `did you mean "tcp://h:514"?`,
		"http://user:secret@[::1":            `missing ']'`,
		"https://user:secret@:4318/v1/logs#": `names no host`,
	} {
		_, err := Parse(addr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", addr, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", addr, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"unix:/dev/log", "udp://h:1", "https://a:b@c/d", "h:514", "tcp://[::1]:x", "::", "unix://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, addr string) {
		e, err := Parse(addr)
		if (e == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", addr, e, err)
		}
	})
}

// Whoever watches what arrives has to know that nobody attacks.
func TestEventsOfADrillSaySoWhereverTheyGo(t *testing.T) {
	e := refusal()
	e.Drill = "1b2c3d4e5f60718a"
	if line := structured(e, 1000); !strings.Contains(line, ` drill="1b2c3d4e5f60718a"`) {
		t.Error(line)
	}
	for _, kv := range eventAttributes(e) {
		if kv.Key == "kannuki.drill" && kv.Value.GetStringValue() == e.Drill {
			return
		}
	}
	t.Error("no attribute names the drill")
}
