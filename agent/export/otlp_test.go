package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/golden"
	collector "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	logs "go.opentelemetry.io/proto/slim/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// otlpReceiver is a collector of this process. answer decides on each request, given
// its events; an empty answer is success.
func otlpReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, records []*logs.LogRecord)) (addr string, taken *[]*logs.LogRecord) {
	t.Helper()
	taken = new([]*logs.LogRecord)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var req collector.ExportLogsServiceRequest
		if err != nil || r.Method != http.MethodPost || r.URL.Path != otlpPath || r.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(body, &req) != nil {
			t.Errorf("%s %s, %v: %q", r.Method, r.URL, r.Header, body)
		}
		var records []*logs.LogRecord
		for _, rl := range req.ResourceLogs {
			for _, sl := range rl.ScopeLogs {
				records = append(records, sl.LogRecords...)
			}
		}
		if answer != nil {
			answer(w, r, records)
			return
		}
		*taken = append(*taken, records...)
	}))
	t.Cleanup(server.Close)
	return server.URL, taken
}

func attributes(r *logs.LogRecord) map[string]*common.AnyValue {
	out := map[string]*common.AnyValue{}
	for _, kv := range r.Attributes {
		out[kv.Key] = kv.Value
	}
	return out
}

func TestACollectorReadsWhatWasSent(t *testing.T) {
	addr, taken := otlpReceiver(t, nil)
	if err := exporter(t, addr).Send(context.Background(), samples()); err != nil {
		t.Fatal(err)
	}
	if len(*taken) != 3 {
		t.Fatalf("%d records", len(*taken))
	}
	r := (*taken)[0]
	a := attributes(r)
	e := refusal()
	if r.TimeUnixNano != uint64(at.UnixNano()) || r.ObservedTimeUnixNano != r.TimeUnixNano || r.SeverityNumber != 13 || r.EventName != "kannuki.refused" ||
		a["process.pid"].GetIntValue() != 4711 || a["process.executable.path"].GetStringValue() != e.Actor.Exe || a["process.executable.name"].GetStringValue() != "nginx" ||
		a["file.path"].GetStringValue() != e.Path || !a["kannuki.contained"].GetBoolValue() || a["kannuki.count"].GetIntValue() != 3 ||
		a["kannuki.ancestry"].GetArrayValue().Values[1].GetStringValue() != "systemd(1)" {
		t.Errorf("%v", r)
	}
	if r := (*taken)[1]; r.TimeUnixNano != 0 || r.SeverityNumber != 9 {
		t.Errorf("%v", r)
	}
}

func TestRecordsAsTheyAreSent(t *testing.T) {
	o := exporter(t, "http://127.0.0.1:4318").(*otlp)
	o.resource.Attributes = o.resource.Attributes[:1] // not this machine's name
	raw, err := protojson.Marshal(o.request(samples()))
	if err != nil {
		t.Fatal(err)
	}
	// protojson varies its spaces on purpose.
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	var tidy any
	if err := json.Unmarshal(out.Bytes(), &tidy); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(tidy, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "otlp.golden", string(text)+"\n")
}

func TestBytesThatAreNoTextAreSentAllTheSame(t *testing.T) {
	addr, taken := otlpReceiver(t, nil)
	e := event.Event{Kind: "\xff", Op: "\xfe", Path: "/tmp/\xff", Actor: event.Actor{Comm: "\xc3", Ancestry: []event.Ancestor{{Comm: "\xff"}}}}
	if err := exporter(t, addr).Send(context.Background(), []event.Event{e}); err != nil || len(*taken) != 1 {
		t.Fatalf("%v, %d records", err, len(*taken))
	}
}

func TestABatchTooLargeIsSentInParts(t *testing.T) {
	var got []int
	addr, _ := otlpReceiver(t, func(w http.ResponseWriter, _ *http.Request, records []*logs.LogRecord) {
		if len(records) > 3 {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		for _, r := range records {
			got = append(got, int(attributes(r)["kannuki.count"].GetIntValue()))
		}
	})
	var events []event.Event
	for n := range 20 {
		events = append(events, event.Event{Kind: event.Refused, Op: "exec", Count: n})
	}
	if err := exporter(t, addr).Send(context.Background(), events); err != nil || len(got) != 20 || !slices.IsSorted(got) {
		t.Errorf("%v, %v", err, got)
	}
}

func TestAnswersAreToldWithTheWayOut(t *testing.T) {
	partial, err := proto.Marshal(&collector.ExportLogsServiceResponse{PartialSuccess: &collector.ExportLogsPartialSuccess{RejectedLogRecords: 2, ErrorMessage: "too old"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		status   int
		body     string
		rejected int // events refused for good; 0: to be sent again
		want     string
	}{
		{200, string(partial), 2, "too old"},
		{400, "bad\nrequest", 3, "bad request"},
		{401, "", 0, "https://NAME:PASSWORD@HOST"},
		{404, "404 page not found", 0, "/v1/logs"},
		{413, "", 3, "413"},
		{429, "", 0, "429 Too Many Requests"},
		{302, "", 0, "name the address it points to"},
		{503, "\x00\x01", 0, "503 Service Unavailable"},
	} {
		addr, _ := otlpReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []*logs.LogRecord) {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		err := exporter(t, strings.Replace(addr, "://", "://user:secret@", 1)).Send(context.Background(), samples())
		var rejected *Rejected
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\x00") ||
			errors.As(err, &rejected) != (c.rejected > 0) || rejected != nil && rejected.Events != c.rejected {
			t.Errorf("%d: %v", c.status, err)
		}
	}
}

func TestTheAccountIsSentToTheCollector(t *testing.T) {
	got := ""
	addr, _ := otlpReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []*logs.LogRecord) {
		user, password, _ := r.BasicAuth()
		got = user + " " + password
	})
	if err := exporter(t, strings.Replace(addr, "://", "://user:secret@", 1)).Send(context.Background(), samples()); err != nil || got != "user secret" {
		t.Errorf("%v, %q", err, got)
	}
}

func TestACollectorThatAsksForTimeGetsIt(t *testing.T) {
	asked := 0
	addr, _ := otlpReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ []*logs.LogRecord) {
		asked++
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	to := exporter(t, addr)
	if err := to.Send(context.Background(), samples()); err == nil {
		t.Fatal("503 is no error")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := to.Send(ctx, samples()); !errors.Is(err, context.Canceled) || asked != 1 || !strings.Contains(err.Error(), "10m0s") {
		t.Errorf("%v after %d requests", err, asked)
	}
}
