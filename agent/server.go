package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kannuki/kannuki/event"
)

// maxBody bounds a request in bytes: a policy may have 1 MiB, and JSON quotes it.
const maxBody = 3 << 20

// server answers on the socket: HTTP/1.1 with JSON.
type server struct {
	*agent
	peer func(net.Conn) peer // asks the kernel, but in tests

	refusedMu   sync.Mutex
	refusals    int       // since one was told
	refusedTold time.Time // when
}

// question is one request with who asks.
type question struct {
	peer peer
	body []byte
	url  url.Values
}

// route is what one path answers to.
type route struct {
	method, path string
	anyRoot      bool // contained processes of root too
	answer       func(*server, context.Context, question) (any, error)
}

// routes is the whole door.
var routes = []route{
	{http.MethodGet, "/v1/status", true, (*server).getStatus},
	{http.MethodGet, "/v1/policy", false, (*server).getPolicy},
	{http.MethodPost, "/v1/policy/check", false, (*server).checkPolicy},
	{http.MethodPost, "/v1/policy/diff", false, (*server).diffPolicy},
	{http.MethodPost, "/v1/policy/apply", false, (*server).postApply},
	{http.MethodPost, "/v1/policy/reload", false, (*server).postReload},
	{http.MethodPost, "/v1/confirm", false, (*server).postConfirm},
	{http.MethodPost, "/v1/fallback", false, (*server).postFallBack},
	{http.MethodPost, "/v1/mode", false, (*server).postMode},
	{http.MethodPost, "/v1/explain", false, (*server).postExplain},
	{http.MethodPost, "/v1/contain", false, (*server).postContain},
	{http.MethodPost, "/v1/grant", false, (*server).postGrant},
	{http.MethodGet, "/v1/grants", false, (*server).getGrants},
	{http.MethodPost, "/v1/revoke", false, (*server).postRevoke},
	{http.MethodPost, "/v1/unlock", false, (*server).postUnlock},
	{http.MethodPost, "/v1/lock", false, (*server).postLock},
	{http.MethodPost, "/v1/uninstall", false, (*server).postUninstall},
	{http.MethodGet, "/v1/token", false, (*server).getToken},
	{http.MethodPost, "/v1/token/check", false, (*server).checkToken},
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range slices.Concat(routes, drillRoutes) {
		mux.HandleFunc(r.path, func(w http.ResponseWriter, q *http.Request) { s.serve(w, q, r) })
	}
	mux.HandleFunc("/v1/events", func(w http.ResponseWriter, q *http.Request) {
		if s.mayAsk(w, q, route{method: http.MethodGet, path: "/v1/events"}) {
			s.streamEvents(w, q)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, q *http.Request) {
		refuse(w, &Error{Code: http.StatusNotFound, Message: "there is no " + q.URL.Path, Hint: "are kannuki-agent and the running agent of one version? systemctl restart kannuki-agent"})
	})
	return mux
}

// http is the server for the socket's connections. Whoever follows is let go when ctx ends.
func (s *server) http(ctx context.Context) *http.Server {
	return &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler:     s.handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return withPeer(ctx, s.peer(c)) },
	}
}

// mayAsk admits the request, or answers why not.
func (s *server) mayAsk(w http.ResponseWriter, q *http.Request, r route) bool {
	p := peerIn(q.Context())
	if e := s.admit(p, r.anyRoot); e != nil {
		s.noteRefused(p, r.path, e.Message)
		refuse(w, e)
		return false
	}
	if q.Method != r.method {
		refuse(w, &Error{Code: http.StatusMethodNotAllowed, Message: r.path + " takes " + r.method, Hint: "not " + q.Method})
		return false
	}
	return true
}

// noteRefused tells of a caller that was refused, once a second at most: whoever asks
// again and again must not fill the spool.
func (s *server) noteRefused(p peer, path, why string) {
	s.refusedMu.Lock()
	s.refusals++
	count, now := s.refusals, s.now()
	if now.Sub(s.refusedTold) < time.Second && !now.Before(s.refusedTold) {
		s.refusedMu.Unlock()
		return
	}
	s.refusals, s.refusedTold = 0, now
	s.refusedMu.Unlock()
	s.log.Warn("refused on the socket", "path", path, "pid", p.pid, "uid", p.uid, "why", why, "count", count)
	s.recorder.keep(event.Event{At: now, Kind: event.Note, Op: "caller-refused", Path: path, Count: count, Why: why, Actor: s.proc.actor(p.pid, p.uid)})
}

func (s *server) serve(w http.ResponseWriter, q *http.Request, r route) {
	if !s.mayAsk(w, q, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxBody))
	if err != nil {
		refuse(w, badRequest("the request cannot be read: %v", "at most "+strconv.Itoa(maxBody)+" bytes", err))
		return
	}
	answer, err := r.answer(s, q.Context(), question{peer: peerIn(q.Context()), body: body, url: q.URL.Query()})
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		s.log.Warn("an answer could not be sent", "path", r.path, "error", err)
	}
}

// refuse answers with a sentence.
func refuse(w http.ResponseWriter, err error) {
	e := (*Error)(nil)
	if !errors.As(err, &e) {
		e = &Error{Code: http.StatusInternalServerError, Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Code)
	// Whoever asked may be gone; there is nobody else to tell.
	_ = json.NewEncoder(w).Encode(e)
}

// decode reads the question strictly: one JSON value, known keys only.
func decode[T any](q question) (T, error) {
	var v T
	d := json.NewDecoder(bytes.NewReader(q.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, badRequest("the request is malformed: %s", "its shape is in docs/formats.md", jsonFault(err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, badRequest("the request is malformed: something follows its JSON value, at byte %d", "send one value", d.InputOffset())
	}
	return v, nil
}

func jsonFault(err error) string {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return fmt.Sprintf("key %q holds a %s, at byte %d", wrong.Field, wrong.Value, wrong.Offset)
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v, at byte %d", syntax, syntax.Offset)
	case errors.Is(err, io.EOF):
		return "it is empty"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// writeTimeout is how long a line may take to whoever follows.
const writeTimeout = 30 * time.Second

// streamEvents answers with one Line per event.
func (s *server) streamEvents(w http.ResponseWriter, q *http.Request) {
	since, follow, err := eventQuery(q.URL.Query())
	if err != nil {
		refuse(w, err)
		return
	}
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	if follow {
		_ = out.Flush() // whoever follows knows that it does
	}
	lines := json.NewEncoder(w)
	for e, err := range s.recorder.events(since, follow, q.Context().Done()) {
		// A deadline that is long over ends the write under way.
		slow := time.AfterFunc(writeTimeout, func() { _ = out.SetWriteDeadline(time.Unix(1, 0)) })
		failed := lines.Encode(lineOf(e, err)) != nil || follow && out.Flush() != nil
		if slow.Stop(); failed {
			return
		}
	}
}

// lineOf is an event, or what could not be read in its place: the rest follows.
func lineOf(e event.Event, err error) Line {
	if err != nil {
		return Line{Error: err.Error()}
	}
	return Line{Event: &e}
}

func eventQuery(query url.Values) (since time.Time, follow bool, err error) {
	for key, values := range query {
		v := values[len(values)-1]
		switch key {
		case "since":
			if since, err = time.Parse(time.RFC3339Nano, v); err != nil {
				return since, false, badRequest("since=%q is no time", "write it as 2026-11-23T07:00:00Z", v)
			}
		case "follow":
			if follow, err = strconv.ParseBool(v); err != nil {
				return since, false, badRequest("follow=%q is neither true nor false", "", v)
			}
		default:
			return since, false, badRequest("there is no %q to ask events by", "there are since, follow", key)
		}
	}
	return since, follow, nil
}
