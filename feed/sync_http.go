package feed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	keyHeader   = "apiKey"         // NVD's name for it
	maxWait     = 10 * time.Minute // longest a publisher may make us wait inside a run
	firstWait   = 2 * time.Second
	longestWait = 2 * time.Minute
)

// errRedirect is a redirect that is not followed.
var errRedirect = errors.New("redirect refused")

// guardRedirects returns a client like c that takes the API key off a request that
// is redirected to another host, and follows no redirect from https to http. Go's own
// client strips only the headers it knows as credentials.
func guardRedirects(c *http.Client) *http.Client {
	guarded := *c
	before := c.CheckRedirect
	guarded.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return fmt.Errorf("%w: ten in a row", errRedirect)
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return fmt.Errorf("%w: from https to %s", errRedirect, req.URL.Scheme)
		}
		if req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
			req.Header.Del(keyHeader)
		}
		if before != nil {
			return before(req, via)
		}
		return nil
	}
	return &guarded
}

// limiter keeps requests within a publisher's pace, over any span, not per tick.
type limiter struct {
	pace  pace
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	times []time.Time
}

func (l *limiter) wait(ctx context.Context) error {
	if l.pace.requests == 0 {
		return ctx.Err()
	}
	if len(l.times) >= l.pace.requests {
		free := l.times[len(l.times)-l.pace.requests].Add(l.pace.span)
		if d := free.Sub(l.now()); d > 0 {
			if err := l.sleep(ctx, d); err != nil {
				return err
			}
		}
		l.times = l.times[len(l.times)-l.pace.requests+1:]
	}
	l.times = append(l.times, l.now())
	return ctx.Err()
}

// retryable is an error after which the same request may succeed.
type retryable struct {
	err   error
	after time.Duration // as the publisher asked; 0: by our own back-off
}

func (r *retryable) Error() string { return r.err.Error() }
func (r *retryable) Unwrap() error { return r.err }

// attempts repeats try, with growing waits, while its error is retryable.
func (s *syncer) attempts(ctx context.Context, try func() error) error {
	wait := firstWait
	for n := 1; ; n++ {
		if err := s.limit.wait(ctx); err != nil {
			return err
		}
		s.out.Requests++
		err := try()
		var again *retryable
		if err == nil || !errors.As(err, &again) || ctx.Err() != nil {
			return err
		}
		if n >= s.opt.Attempts {
			return fmt.Errorf("%w (gave up after %d attempts)", again.err, n)
		}
		if again.after > maxWait {
			return fmt.Errorf("%w (the publisher asks to wait %v: run sync again then)", again.err, again.after.Round(time.Second))
		}
		pause := again.after
		if pause == 0 {
			pause = jitter(wait)
			wait = min(2*wait, longestWait)
		}
		if err := s.opt.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// request makes a GET request with our name on it, and the key where it belongs.
func (s *syncer) request(ctx context.Context, addr string) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, nil)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", addr, err)
	}
	req.Header.Set("User-Agent", "kannuki/"+s.opt.Version)
	if s.src.accept != "" {
		req.Header.Set("Accept", s.src.accept)
	}
	if s.src.keyed.requests > 0 && s.opt.NVDKey != "" && sameHost(addr, s.src.Base) {
		req.Header.Set(keyHeader, s.opt.NVDKey)
	}
	return req, nil
}

func sameHost(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && x.Host == y.Host && x.Scheme == y.Scheme
}

// do sends req. A connection that fails may be tried again, one the user's own
// settings forbid may not.
func (s *syncer) do(req *http.Request) (*http.Response, error) {
	resp, err := s.opt.Client.Do(req)
	if err == nil {
		return resp, nil
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // it repeats method and address
	}
	if cause := context.Cause(req.Context()); cause != nil {
		err = cause
	}
	err = fmt.Errorf("GET %s: %w (check the network, or give a proxy)", req.URL.Redacted(), err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errRedirect) {
		return nil, err
	}
	return nil, &retryable{err: err}
}

// StatusError is an HTTP answer that is no success.
type StatusError struct {
	Address string
	Code    int
	Hint    string
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("GET %s: %d %s: %s", e.Address, e.Code, http.StatusText(e.Code), e.Hint)
}

// statusHints say what to do about an answer.
var statusHints = map[int]string{
	http.StatusUnauthorized:      "the publisher wants an API key",
	http.StatusForbidden:         "access was refused: check the API key, and that the proxy lets this address through",
	http.StatusNotFound:          "nothing is there: give the new address of this source, or a mirror",
	http.StatusGone:              "it was taken down: give the new address of this source, or a mirror",
	http.StatusProxyAuthRequired: "the proxy wants a user and password: put them into the proxy's address",
	http.StatusTooManyRequests:   "too many requests: run sync again later",
}

// refused turns an answer that is no success into an error and closes it.
func (s *syncer) refused(resp *http.Response) error {
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // so that the connection can be used again
	_ = resp.Body.Close()
	e := &StatusError{Address: resp.Request.URL.Redacted(), Code: resp.StatusCode, Hint: statusHints[resp.StatusCode]}
	tooMany := e.Code == http.StatusTooManyRequests || e.Code == s.src.refusal
	switch {
	case tooMany && e.Code != http.StatusTooManyRequests:
		e.Hint = "the publisher counts too many requests from here, or does not know the API key: check the key, run sync again later"
	case e.Code == http.StatusNotFound && s.src.keyed.requests > 0 && s.opt.NVDKey != "":
		e.Hint = "the API key is not valid, or the API has moved: check both"
	case e.Hint == "" && e.Code >= 500:
		e.Hint = "the publisher's server has a problem: run sync again later"
	case e.Hint == "":
		e.Hint = "this is not the file: check the address of this source"
	}
	if !tooMany && e.Code < 500 && e.Code != http.StatusRequestTimeout {
		return e
	}
	after := retryAfter(resp.Header.Get("Retry-After"), s.opt.Now())
	if after == 0 && tooMany {
		after = max(s.src.pace.span, 0)
	}
	return &retryable{err: e, after: after}
}

// retryAfter reads seconds or a date; 0 where there is neither.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if n, err := strconv.ParseInt(v, 10, 32); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil && t.After(now) {
		return t.Sub(now)
	}
	return 0
}

// errStalled is why a request was ended by its watch.
var errStalled = errors.New("no byte came for too long")

// watched is a body that ends its request when nothing comes for a while.
type watched struct {
	io.Reader
	ctx   context.Context
	timer *time.Timer
	after time.Duration
}

// watch starts the watch over a request made with ctx; done must be called.
func (s *syncer) watch(parent context.Context) (ctx context.Context, w *watched, done func()) {
	ctx, cancel := context.WithCancelCause(parent)
	w = &watched{ctx: ctx, after: s.opt.stall}
	w.timer = time.AfterFunc(w.after, func() { cancel(errStalled) })
	return ctx, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.after)
	n, err := w.Reader.Read(p)
	if err != nil && errors.Is(context.Cause(w.ctx), errStalled) {
		err = errStalled
	}
	return n, err
}

// document fetches an index of at most max bytes into memory.
func (s *syncer) document(ctx context.Context, addr, accept string, max int64) (body []byte, err error) {
	err = s.attempts(ctx, func() error {
		ctx, incoming, done := s.watch(ctx)
		defer done()
		req, err := s.request(ctx, addr)
		if err != nil {
			return err
		}
		if accept != "" {
			req.Header.Set("Accept", accept)
		}
		resp, err := s.do(req)
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return s.refused(resp)
		}
		defer resp.Body.Close()
		incoming.Reader = resp.Body
		body, err = io.ReadAll(io.LimitReader(incoming, max+1))
		s.out.Bytes += int64(len(body))
		if err != nil {
			return &retryable{err: fmt.Errorf("GET %s: after %d bytes: %w", addr, len(body), err)}
		}
		if int64(len(body)) > max {
			return fmt.Errorf("GET %s: more than %d bytes: this is not what the source should hold; check its address", addr, max)
		}
		return nil
	})
	return body, err
}

// missing tells whether err is the answer that there is no such file.
func missing(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Code == http.StatusNotFound
}
