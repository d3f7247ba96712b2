// Package export sends events to where an administrator collects them: as syslog
// (RFC 5424) to a local socket or over the network, or as OpenTelemetry logs over
// OTLP/HTTP. It promises at least once, not exactly once: what Send returned an error
// for is to be sent again, and may then arrive twice. Datagrams (unix:, udp:) promise
// nothing beyond this host, as datagrams do.
package export

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/nearest"
)

// Exporter sends events to one destination. Send is for one goroutine at a time.
type Exporter interface {
	// Name is kind and destination, without secrets: "syslog udp 127.0.0.1:514".
	Name() string
	// Send returns nil once all events are handed over. After a failure the next calls
	// wait a while, longer each time, before they try again; an error that is a
	// *Rejected will not get better by sending the same events again.
	Send(ctx context.Context, events []event.Event) error
}

// Rejected says that the destination took delivery and refused some events for good.
type Rejected struct {
	Name   string
	Events int // how many were refused
	Why    string
}

func (r *Rejected) Error() string {
	return fmt.Sprintf("%s refused %d events for good: %s", r.Name, r.Events, r.Why)
}

const (
	syslogPort = "514"
	otlpPath   = "/v1/logs" // where OTLP/HTTP collectors take logs
	examples   = "unix:/dev/log, udp://127.0.0.1:514, tcp://loghost:514 or https://collector:4318"
)

var schemes = []string{"unix", "udp", "tcp", "http", "https"}

// Parse makes the exporter an address asks for. It connects to nothing yet.
//
//	unix:/dev/log          syslog, local socket (datagrams, or a stream, as it is there)
//	udp://HOST[:514]       syslog, one datagram per event (RFC 5426)
//	tcp://HOST[:514]       syslog, octet counting (RFC 6587)
//	http://HOST:4318       OpenTelemetry logs; https:// too, /v1/logs where no path is given
func Parse(addr string) (Exporter, error) {
	scheme, rest, ok := strings.Cut(addr, ":")
	if !ok || strings.HasPrefix(addr, "/") || !strings.HasPrefix(rest, "/") {
		return nil, noScheme(addr)
	}
	switch scheme {
	case "unix":
		return parseUnix(addr, rest)
	case "udp", "tcp":
		return parseSyslog(addr, scheme)
	case "http", "https":
		return parseOTLP(addr)
	}
	return nil, unknownScheme(addr, scheme, rest)
}

func fault(addr, what, way string) error {
	return fmt.Errorf("export address %q %s; %s", addr, what, way)
}

// noScheme tells what was probably meant by an address without one.
func noScheme(addr string) error {
	switch host, port, err := net.SplitHostPort(addr); {
	case strings.HasPrefix(addr, "/"):
		return fault(addr, "has no scheme", fmt.Sprintf("did you mean %q?", "unix:"+addr))
	case err == nil && port == "4318":
		return fault(addr, "has no scheme", fmt.Sprintf("did you mean %q?", "http://"+addr))
	case err == nil && host != "" && !strings.Contains(addr, "/") && !isScheme(host):
		return fault(addr, "has no scheme", fmt.Sprintf("did you mean %q?", "udp://"+addr))
	}
	return fault(addr, "is none", "write "+examples)
}

func isScheme(s string) bool { return nearest.Distance(s, nearest.Word(s, schemes)) == 0 }

func unknownScheme(addr, scheme, rest string) error {
	way := "write " + examples
	switch scheme {
	case "syslog":
		way = fmt.Sprintf("did you mean %q or %q?", "udp:"+rest, "tcp:"+rest)
	case "otlp", "grpc":
		way = "OpenTelemetry goes over HTTP, as http://HOST:4318"
	case "tls", "syslog+tls":
		way = "send to a relay on this host, as unix:/dev/log, and let it speak TLS; or use OpenTelemetry over https://"
	default:
		if near := nearest.Word(scheme, schemes); nearest.Distance(scheme, near) <= 2 {
			way = fmt.Sprintf("did you mean %q?", near+":"+rest)
		}
	}
	return fault(addr, fmt.Sprintf("has the unknown scheme %q", scheme), way)
}

func parseUnix(addr, rest string) (Exporter, error) {
	path := rest
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		path = after
	}
	if !filepath.IsAbs(path) || strings.HasSuffix(path, "/") {
		return nil, fault(addr, "names no socket", "give its absolute path, as unix:/dev/log")
	}
	if len(path) > 107 { // sun_path
		return nil, fault(addr, "is too long for a socket", "a socket's path has at most 107 bytes")
	}
	return newSyslog("unix", path), nil
}

// parseURL parses what is a URL for all schemes but unix.
func parseURL(addr string) (*url.URL, error) {
	u, err := url.Parse(addr)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // without the address, which may hold a password
		}
		return nil, fmt.Errorf("export address: %w; write %s", err, examples)
	}
	if u.Hostname() == "" {
		return nil, fault(u.Redacted(), "names no host", "write "+examples)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fault(u.Redacted(), "has no port", "a port is a number from 1 to 65535")
		}
	}
	return u, nil
}

func parseSyslog(addr, scheme string) (Exporter, error) {
	u, err := parseURL(addr)
	if err != nil {
		return nil, err
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
		return nil, fault(u.Redacted(), "says more than host and port", fmt.Sprintf("did you mean %q?", scheme+"://"+u.Host))
	}
	port := u.Port()
	if port == "" {
		port = syslogPort
	}
	return newSyslog(scheme, net.JoinHostPort(u.Hostname(), port)), nil
}

func parseOTLP(addr string) (Exporter, error) {
	u, err := parseURL(addr)
	if err != nil {
		return nil, err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = otlpPath
	}
	return newOTLP(u), nil
}

// hostname is this host's name, or "" where it has none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// sentence tells an event to a human reader.
func sentence(e event.Event) string {
	var b strings.Builder
	b.WriteString(string(e.Kind) + " " + e.Op)
	if e.Path != "" {
		b.WriteString(" of " + e.Path)
	}
	if e.Actor.Comm != "" {
		b.WriteString(" by " + e.Actor.Comm)
	}
	fmt.Fprintf(&b, " (pid %d, uid %d", e.Actor.PID, e.Actor.UID)
	if e.Actor.Unit != "" {
		b.WriteString(", " + e.Actor.Unit)
	}
	if e.Actor.Contained {
		b.WriteString(", contained")
	}
	b.WriteString(")")
	if e.Count > 1 {
		fmt.Fprintf(&b, ", %d times", e.Count)
	}
	if e.Why != "" {
		b.WriteString(": " + e.Why)
	}
	return b.String()
}
