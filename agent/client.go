package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
)

// Client talks to the agent of this host. What the agent refuses comes back as *Error;
// an agent that does not answer as an error that wraps ErrNoAgent.
type Client struct {
	socket string
	http   *http.Client
}

// ErrNoAgent is wrapped by every error of a Client that reached no agent.
var ErrNoAgent = errors.New("no agent answers")

// Dial returns a client of the agent at socket. It connects at the first question.
func Dial(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConns: 1}}}
}

// Close drops the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status tells what is in force. Also contained processes of root may ask.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, "/v1/status", nil)
}

// Events yields what happened since then, oldest first; with follow also what happens
// until ctx ends. An *Error without a Code tells what could not be read, and the rest
// follows; any other error is the end.
func (c *Client) Events(ctx context.Context, since time.Time, follow bool) iter.Seq2[event.Event, error] {
	query := url.Values{"since": {since.Format(time.RFC3339Nano)}}
	if follow {
		query.Set("follow", "true")
	}
	return func(yield func(event.Event, error) bool) {
		body, err := c.do(ctx, http.MethodGet, "/v1/events?"+query.Encode(), nil)
		if err != nil {
			yield(event.Event{}, err)
			return
		}
		defer body.Close()
		for lines := json.NewDecoder(body); ; {
			var l Line
			switch err := lines.Decode(&l); {
			case ctx.Err() != nil, errors.Is(err, io.EOF) && !follow:
				return
			case errors.Is(err, io.EOF):
				yield(event.Event{}, fmt.Errorf("%w any more at %s: it ended or starts anew", ErrNoAgent, c.socket))
				return
			case err != nil:
				yield(event.Event{}, fmt.Errorf("%w any more at %s: %w", ErrNoAgent, c.socket, err))
				return
			}
			if !yield(l.split()) {
				return
			}
		}
	}
}

// Policy returns the policy in force, as written and as it holds.
func (c *Client) Policy(ctx context.Context) (PolicyText, error) {
	return get[PolicyText](ctx, c, "/v1/policy", nil)
}

// CheckPolicy tells what is wrong or unwise in a policy.
func (c *Client) CheckPolicy(ctx context.Context, s Source) (Checked, error) {
	return post[Checked](ctx, c, "/v1/policy/check", s)
}

// DiffPolicy tells what a policy would change.
func (c *Client) DiffPolicy(ctx context.Context, s Source) ([]policy.Change, error) {
	return post[[]policy.Change](ctx, c, "/v1/policy/diff", s)
}

// ApplyPolicy puts a policy in force and keeps it.
func (c *Client) ApplyPolicy(ctx context.Context, a Apply) (Changed, error) {
	return post[Changed](ctx, c, "/v1/policy/apply", a)
}

// Reload reads the policy file again and puts it in force.
func (c *Client) Reload(ctx context.Context, r Reload) (Changed, error) {
	return post[Changed](ctx, c, "/v1/policy/reload", r)
}

// Confirm keeps the pending change, which it returns.
func (c *Client) Confirm(ctx context.Context) (Pending, error) {
	return post[Pending](ctx, c, "/v1/confirm", nil)
}

// FallBack goes back at once to what was before the pending change, which it returns.
func (c *Client) FallBack(ctx context.Context) (Pending, error) {
	return post[Pending](ctx, c, "/v1/fallback", nil)
}

// SetMode changes the mode of controls.
func (c *Client) SetMode(ctx context.Context, m SetMode) (Changed, error) {
	return post[Changed](ctx, c, "/v1/mode", m)
}

// Explain tells what would happen, and why.
func (c *Client) Explain(ctx context.Context, q Explain) (Explained, error) {
	return post[Explained](ctx, c, "/v1/explain", q)
}

// Contain makes a process contained, with every later child. PID 0 is the caller.
func (c *Client) Contain(ctx context.Context, pid int) error {
	_, err := post[struct{}](ctx, c, "/v1/contain", Process{PID: pid})
	return err
}

// Grant gives a process an exception.
func (c *Client) Grant(ctx context.Context, a Ask) (Grant, error) {
	return post[Grant](ctx, c, "/v1/grant", a)
}

// Grants lists the exceptions in force.
func (c *Client) Grants(ctx context.Context) ([]Grant, error) {
	return get[[]Grant](ctx, c, "/v1/grants", nil)
}

// Revoke ends a grant; what still runs under it is contained.
func (c *Client) Revoke(ctx context.Context, id uint64) error {
	_, err := post[struct{}](ctx, c, "/v1/revoke", Revoke{ID: id})
	return err
}

// Unlock puts controls in observe mode for a while.
func (c *Client) Unlock(ctx context.Context, u Unlock) (Unlocked, error) {
	return post[Unlocked](ctx, c, "/v1/unlock", u)
}

// Lock ends what is unlocked, which it returns.
func (c *Client) Lock(ctx context.Context) (Unlocked, error) {
	return post[Unlocked](ctx, c, "/v1/lock", nil)
}

// Uninstall has the guard let itself be taken off for a while.
func (c *Client) Uninstall(ctx context.Context, u Uninstall) (Unlocked, error) {
	return post[Unlocked](ctx, c, "/v1/uninstall", u)
}

// Token tells what a token for this host has to say.
func (c *Client) Token(ctx context.Context) (TokenStatus, error) {
	return get[TokenStatus](ctx, c, "/v1/token", nil)
}

// CheckToken tells whether a token would be taken, without taking it.
func (c *Client) CheckToken(ctx context.Context, text string) (identity.Token, error) {
	return post[identity.Token](ctx, c, "/v1/token/check", TokenText{Token: text})
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return answer[T](c.do(ctx, http.MethodGet, path, nil))
}

func post[T any](ctx context.Context, c *Client, path string, question any) (T, error) {
	var text []byte
	if question != nil {
		var err error
		if text, err = json.Marshal(question); err != nil {
			return *new(T), fmt.Errorf("asking the agent: %w", err)
		}
	}
	return answer[T](c.do(ctx, http.MethodPost, path, text))
}

func answer[T any](body io.ReadCloser, err error) (T, error) {
	var v T
	if err != nil {
		return v, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&v); err != nil {
		return v, fmt.Errorf("the agent's answer: %w; are kannuki-agent and the running agent of one version? systemctl restart kannuki-agent", err)
	}
	return v, nil
}

// do asks and returns the body of a good answer.
func (c *Client) do(ctx context.Context, method, path string, text []byte) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://agent"+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("asking the agent: %w", err)
	}
	if text != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	reply, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if reply.StatusCode == http.StatusOK {
		return reply.Body, nil
	}
	defer reply.Body.Close()
	refusal := &Error{Code: reply.StatusCode}
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxBody)).Decode(refusal); err != nil || refusal.Message == "" {
		refusal.Message = "the agent answered " + reply.Status
	}
	return nil, refusal
}

// unreachable says what to do about an agent that cannot be asked.
func (c *Client) unreachable(err error) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		err = inner.Err
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w you at %s: the socket is root's; use sudo", ErrNoAgent, c.socket)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w at %s: is kannuki-agent running? systemctl start kannuki-agent", ErrNoAgent, c.socket)
	}
	return fmt.Errorf("%w at %s: %w; see systemctl status kannuki-agent", ErrNoAgent, c.socket, err)
}
