package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/event"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// schemaURL is the version of the semantic conventions the names below are from.
const schemaURL = "https://opentelemetry.io/schemas/1.37.0"

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// otlp sends events as OpenTelemetry logs over HTTP, in protobuf.
type otlp struct {
	url      *url.URL
	client   *http.Client
	resource *resource.Resource
	pause    pause
}

func newOTLP(u *url.URL) *otlp {
	r := &resource.Resource{Attributes: []*common.KeyValue{text("service.name", appName)}}
	if name := hostname(); name != "" {
		r.Attributes = append(r.Attributes, text("host.name", name))
	}
	return &otlp{url: u, resource: r, client: &http.Client{Timeout: 3 * patience,
		// A collector that moved has to be named anew: events go where they were sent.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (o *otlp) Name() string { return "otlp " + o.url.Redacted() }

func (o *otlp) Send(ctx context.Context, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := o.pause.wait(ctx); err != nil {
		return fmt.Errorf("%s: %w", o.Name(), err)
	}
	retryAfter, err := o.post(ctx, events)
	if rejected := (*Rejected)(nil); err == nil || errors.As(err, &rejected) {
		o.pause.succeeded()
		return err
	}
	o.pause.failed(retryAfter)
	return fmt.Errorf("%s: %w", o.Name(), err)
}

// post sends one request; of one that is too large, its halves.
func (o *otlp) post(ctx context.Context, events []event.Event) (retryAfter time.Duration, err error) {
	body, err := proto.Marshal(o.request(events))
	if err != nil {
		return 0, &Rejected{o.Name(), len(events), err.Error()}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.url.String(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", appName)
	resp, err := o.client.Do(req)
	if err != nil {
		if inner := (*url.Error)(nil); errors.As(err, &inner) {
			err = inner.Err // Name says where, without a password
		}
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode == http.StatusRequestEntityTooLarge && len(events) > 1:
		return o.halves(ctx, events)
	case resp.StatusCode == http.StatusBadRequest, resp.StatusCode == http.StatusRequestEntityTooLarge:
		return 0, &Rejected{o.Name(), len(events), resp.Status + saying(answer)}
	case resp.StatusCode/100 != 2:
		seconds, _ := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16)
		return time.Duration(seconds) * time.Second, fmt.Errorf("answered %s%s%s", resp.Status, saying(answer), wayOut(resp.StatusCode))
	case err != nil:
		return 0, fmt.Errorf("reading the answer: %w", err)
	}
	return 0, o.partial(answer)
}

func (o *otlp) halves(ctx context.Context, events []event.Event) (time.Duration, error) {
	_, first := o.post(ctx, events[:len(events)/2])
	if rejected := (*Rejected)(nil); first != nil && !errors.As(first, &rejected) {
		return 0, first
	}
	retryAfter, second := o.post(ctx, events[len(events)/2:])
	if rejected := (*Rejected)(nil); first == nil || second != nil && !errors.As(second, &rejected) {
		return retryAfter, second
	} else if second == nil {
		return 0, first
	}
	var a, b *Rejected
	errors.As(first, &a)
	errors.As(second, &b)
	return 0, &Rejected{o.Name(), a.Events + b.Events, a.Why}
}

// partial reads what the collector says it did not take.
func (o *otlp) partial(answer []byte) error {
	var resp collector.ExportLogsServiceResponse
	if proto.Unmarshal(answer, &resp) != nil {
		return nil // taken, and answered in another encoding
	}
	if n := resp.GetPartialSuccess().GetRejectedLogRecords(); n > 0 {
		return &Rejected{o.Name(), int(n), plainText(resp.GetPartialSuccess().GetErrorMessage())}
	}
	return nil
}

// saying is the beginning of an answer where it is text.
func saying(answer []byte) string {
	for _, c := range answer {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return ""
		}
	}
	text := strings.Join(strings.Fields(string(answer)), " ")
	if text == "" {
		return ""
	}
	return ": " + clip(plainText(text), 200)
}

func wayOut(status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return "; give the collector's account, as https://NAME:PASSWORD@HOST"
	case status == http.StatusNotFound || status == http.StatusMethodNotAllowed:
		return "; OTLP collectors take logs at " + otlpPath + ", unless they are told otherwise"
	case status/100 == 3:
		return "; name the address it points to"
	}
	return ""
}

func (o *otlp) request(events []event.Event) *collector.ExportLogsServiceRequest {
	scope := &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: "github.com/kannuki/kannuki"}, SchemaUrl: schemaURL}
	for _, e := range events {
		scope.LogRecords = append(scope.LogRecords, logRecord(e))
	}
	return &collector.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: o.resource, ScopeLogs: []*logs.ScopeLogs{scope}, SchemaUrl: schemaURL}}}
}

// logRecord is e in OpenTelemetry's words: process.* and file.* as the semantic
// conventions have them, kannuki.* what they have no word for. Observed is when the
// kernel told of it, which is when it happened.
func logRecord(e event.Event) *logs.LogRecord {
	number, name := otelSeverity(e.Kind)
	r := &logs.LogRecord{SeverityNumber: number, SeverityText: name, EventName: "kannuki." + valid(string(e.Kind)),
		Body: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: plainText(sentence(e))}}}
	if !e.At.IsZero() {
		r.TimeUnixNano = uint64(e.At.UnixNano())
		r.ObservedTimeUnixNano = r.TimeUnixNano
	}
	r.Attributes = append(eventAttributes(e), actorAttributes(e)...)
	return r
}

// otelSeverity is the syslog severity by OpenTelemetry's numbers (Logs Data Model,
// appendix B): notice is INFO2.
func otelSeverity(k event.Kind) (logs.SeverityNumber, string) {
	switch severity(k) {
	case severityWarning:
		return logs.SeverityNumber_SEVERITY_NUMBER_WARN, "warning"
	case severityNotice:
		return logs.SeverityNumber_SEVERITY_NUMBER_INFO2, "notice"
	}
	return logs.SeverityNumber_SEVERITY_NUMBER_INFO, "info"
}

func eventAttributes(e event.Event) []*common.KeyValue {
	out := []*common.KeyValue{text("kannuki.op", e.Op), number("kannuki.count", e.Count)}
	for _, a := range [][2]string{{"kannuki.control", e.Control}, {"file.path", e.Path}, {"kannuki.space", e.Space},
		{"kannuki.rule", e.Rule}, {"kannuki.why", e.Why}, {"kannuki.way_out", e.WayOut}, {"kannuki.drill", e.Drill}} {
		if a[1] != "" {
			out = append(out, text(a[0], a[1]))
		}
	}
	return out
}

func actorAttributes(e event.Event) []*common.KeyValue {
	a := e.Actor
	out := []*common.KeyValue{number("process.pid", a.PID), number("process.user.id", a.UID), number("kannuki.login_uid", a.LoginUID),
		truth("kannuki.contained", a.Contained), truth("kannuki.updater", a.Updater), truth("kannuki.granted", a.Granted)}
	if a.Parent != 0 {
		out = append(out, number("process.parent_pid", a.Parent))
	}
	if a.Exe != "" {
		out = append(out, text("process.executable.path", a.Exe), text("process.executable.name", path.Base(a.Exe)))
	}
	for _, kv := range [][2]string{{"process.command_line", a.Cmdline}, {"kannuki.comm", a.Comm}, {"kannuki.parent_comm", a.ParentIs}, {"kannuki.unit", a.Unit}} {
		if kv[1] != "" {
			out = append(out, text(kv[0], kv[1]))
		}
	}
	if above := ancestry(e); len(above) > 0 {
		var list common.ArrayValue
		for _, one := range above {
			list.Values = append(list.Values, &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: valid(one)}})
		}
		out = append(out, &common.KeyValue{Key: "kannuki.ancestry", Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &list}}})
	}
	return out
}

// valid is s as the UTF-8 that protobuf insists on; a path may hold any byte.
func valid(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: valid(value)}}}
}

func number(key string, value int) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: int64(value)}}}
}

func truth(key string, value bool) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_BoolValue{BoolValue: value}}}
}
