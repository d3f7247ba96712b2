package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/policy"
)

// everything asks every question there is, by its path.
func everything(ctx context.Context, c *Client) map[string]error {
	out := map[string]error{}
	_, out["/v1/status"] = c.Status(ctx)
	_, out["/v1/policy"] = c.Policy(ctx)
	_, out["/v1/policy/check"] = c.CheckPolicy(ctx, source(web))
	_, out["/v1/policy/diff"] = c.DiffPolicy(ctx, source(web))
	_, out["/v1/policy/apply"] = c.ApplyPolicy(ctx, Apply{Source: source(web)})
	_, out["/v1/policy/reload"] = c.Reload(ctx, Reload{})
	_, out["/v1/confirm"] = c.Confirm(ctx)
	_, out["/v1/fallback"] = c.FallBack(ctx)
	_, out["/v1/mode"] = c.SetMode(ctx, SetMode{Mode: policy.Observe})
	_, out["/v1/explain"] = c.Explain(ctx, Explain{Op: policy.Exec, Path: "/", As: policy.AsAnyone})
	out["/v1/contain"] = c.Contain(ctx, 1)
	_, out["/v1/grant"] = c.Grant(ctx, Ask{PID: 1, For: Span(time.Minute), Reason: "test"})
	_, out["/v1/grants"] = c.Grants(ctx)
	out["/v1/revoke"] = c.Revoke(ctx, 1)
	_, out["/v1/unlock"] = c.Unlock(ctx, Unlock{For: Span(time.Minute), Reason: "test"})
	_, out["/v1/lock"] = c.Lock(ctx)
	_, out["/v1/uninstall"] = c.Uninstall(ctx, Uninstall{})
	_, out["/v1/token"] = c.Token(ctx)
	_, out["/v1/token/check"] = c.CheckToken(ctx, "x")
	for _, err := range c.Events(ctx, time.Time{}, false) {
		if e := (*Error)(nil); errors.As(err, &e) && e.Code == http.StatusForbidden {
			out["/v1/events"] = err
		}
	}
	return out
}

func TestEveryQuestionThereIsIsAsked(t *testing.T) {
	asked := everything(t.Context(), Dial("/nowhere"))
	for _, r := range routes {
		if _, ok := asked[r.path]; !ok {
			t.Errorf("%s is tested by nothing", r.path)
		}
	}
}

func TestOnlyRootIsAnswered(t *testing.T) {
	r := newRig(t)
	r.start(func(a *agent) { a.peer = func(c net.Conn) peer { p := peerOf(c); p.uid = 1000; return p } })
	for path, err := range everything(t.Context(), r.client) {
		if path != "/v1/events" { // which is nothing else where it is refused
			refusedWith(t, err, 403, "root only", "user 1000", "sudo")
		}
	}
	if r.fake.name() != "standard" || r.fake.modeOf("launch") != policy.Enforce || len(r.fake.contained)+len(r.fake.grants) > 0 {
		t.Error("a refused question changed something")
	}
}

func TestAContainedCallerReadsTheStatusAndNothingElse(t *testing.T) {
	r := newRig(t)
	r.start()
	r.fake.mu.Lock()
	r.fake.labels[os.Getpid()] = guard.Label{Contained: true, Rule: "contain:nginx.service"}
	r.fake.mu.Unlock()
	for path, err := range everything(t.Context(), r.client) {
		if path == "/v1/status" {
			if err != nil {
				t.Errorf("status: %v", err)
			}
			continue
		}
		refusedWith(t, err, 403, fmt.Sprintf("process %d is contained (rule contain:nginx.service)", os.Getpid()), "login session")
	}
	if r.fake.name() != "standard" || r.fake.modeOf("launch") != policy.Enforce || len(r.fake.contained)+len(r.fake.grants) > 0 {
		t.Error("a contained process changed something")
	}
	if !strings.Contains(r.log.String(), "refused on the socket") {
		t.Errorf("log:\n%s", r.log)
	}
	r.fake.mu.Lock()
	delete(r.fake.labels, os.Getpid())
	r.fake.mu.Unlock()
	var told []event.Event
	for e, err := range r.client.Events(t.Context(), time.Time{}, false) {
		told = append(told, must(e, err)(t))
	}
	if len(told) != 1 || told[0].Op != "caller-refused" || told[0].Actor.PID != os.Getpid() {
		t.Errorf("one note for all of it in the same second, got %+v", told)
	}
}

// The kernel's word for who connects, without a stand-in: a thread of this process
// takes another user's id and connects.
func TestTheKernelSaysWhoConnects(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIPPED: only root can take another user's id; run as root to test SO_PEERCRED")
	}
	r := newRig(t)
	r.start()
	// The directory keeps others out too; here only the question of who it is shall count.
	for at := filepath.Dir(r.cfg.Socket); at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(r.cfg.Socket, 0o666); err != nil {
		t.Fatal(err)
	}
	for uid, want := range map[int]string{65534: "403 Forbidden", 0: "200 OK"} {
		if got := askAs(t, uid, r.cfg.Socket); !strings.HasPrefix(got, "HTTP/1.1 "+want) {
			t.Errorf("user %d: %q", uid, got)
		}
	}
}

// askAs asks for the status from a thread that is another user, and ends the thread.
func askAs(t *testing.T, uid int, socket string) string {
	t.Helper()
	got := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); errno != 0 {
			got <- errno.Error()
			return
		}
		c, err := net.Dial("unix", socket)
		if err != nil {
			got <- err.Error()
			return
		}
		defer c.Close()
		fmt.Fprint(c, "GET /v1/status HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n")
		answer, err := io.ReadAll(c)
		if err != nil {
			got <- err.Error()
			return
		}
		got <- string(answer)
	}()
	return <-got
}

func TestTheSocketIsRootsAlone(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Socket, "left by an agent that was killed")
	r.start()
	for path, want := range map[string]os.FileMode{r.cfg.Socket: 0o600 | os.ModeSocket, filepath.Dir(r.cfg.Socket): 0o700 | os.ModeDir, r.cfg.State: 0o700 | os.ModeDir} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
	}
}

func TestAMalformedRequestIsToldWhatIsWrong(t *testing.T) {
	r := newRig(t)
	r.start()
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", "/v1/mode", ``, "it is empty"},
		{"POST", "/v1/mode", `{"mode": "observe", "control": []}`, `unknown field \"control\"`},
		{"POST", "/v1/mode", `{"mode": 5}`, `key \"mode\" holds a number`},
		{"POST", "/v1/mode", `{"mode": "observe"} {}`, "something follows its JSON value, at byte 21"},
		{"POST", "/v1/mode", `{"mode": "obs`, "unexpected EOF"},
		{"POST", "/v1/mode", `{"mode": "observe", "confirm": "soon"}`, "write it as 10m"},
		{"POST", "/v1/explain", `{"op": "run", "path": "/x", "as": "anyone"}`, "say exec, write or read"},
		{"POST", "/v1/explain", `{"op": "exec", "path": "/x", "as": "root"}`, "say contained, session, updater or anyone"},
		{"POST", "/v1/explain", `{"op": "exec", "path": "x", "as": "anyone"}`, "begin it with /"},
		{"GET", "/v1/mode", ``, "/v1/mode takes POST"},
		{"GET", "/v2/status", ``, "there is no /v2/status"},
		{"GET", "/v1/events?since=yesterday", ``, "write it as 2026-11-23T07:00:00Z"},
		{"GET", "/v1/events?follow=perhaps", ``, "neither true nor false"},
		{"GET", "/v1/events?until=x", ``, "there are since, follow"},
		{"POST", "/v1/policy/check", `{"name": "` + strings.Repeat("x", maxBody) + `"}`, "too large"},
	} {
		q, err := http.NewRequestWithContext(t.Context(), c.method, "http://agent"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := r.client.http.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(reply.Body)
		reply.Body.Close()
		if reply.StatusCode < 400 || !bytes.Contains(text, []byte(c.want)) || reply.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %.60s: %s %s, want %q", c.method, c.path, c.body, reply.Status, text, c.want)
		}
	}
}

func TestAPolicyIsCheckedAndComparedWithoutBeingApplied(t *testing.T) {
	r := newRig(t)
	r.start()
	bad := must(r.client.CheckPolicy(t.Context(), source(malformed)))(t)
	if bad.OK || len(bad.Mistakes) != 1 || bad.Mistakes[0].File != "new.yaml" {
		t.Errorf("check %+v", bad)
	}
	unwise := must(r.client.CheckPolicy(t.Context(), source(web+"mode: observe\n")))(t)
	if !unwise.OK || len(unwise.Unwise) == 0 || unwise.Unwise[0].At != "mode" {
		t.Errorf("check %+v", unwise)
	}
	changes := must(r.client.DiffPolicy(t.Context(), source("version: 1\nname: standard\nbase: standard\ncontrols: {launch: observe}\n")))(t)
	if len(changes) != 1 || changes[0].Rule != "controls.launch" || !changes[0].Loosens {
		t.Errorf("diff %+v", changes)
	}
	_, err := r.client.DiffPolicy(t.Context(), source(malformed))
	refusedWith(t, err, 422, "new.yaml:3:7")
	if r.fake.name() != "standard" || len(r.fake.applied) != 1 {
		t.Error("something was applied")
	}
}

func TestExplainFollowsLinks(t *testing.T) {
	r := newRig(t)
	r.start()
	dir := t.TempDir()
	link := filepath.Join(dir, "tool")
	if err := os.Symlink("/usr/bin", link); err != nil {
		t.Fatal(err)
	}
	v := must(r.client.Explain(t.Context(), Explain{Op: policy.Exec, Path: link + "/no-such-program", As: policy.AsAnyone}))(t)
	if v.Path != "/usr/bin/no-such-program" || !v.Allowed {
		t.Errorf("through a link: %+v", v)
	}
	v = must(r.client.Explain(t.Context(), Explain{Op: policy.Write, Path: "/etc/cups/x", As: policy.AsContained, By: []Lineage{{Unit: "cups.service"}}}))(t)
	if !v.Allowed || v.Rule != "system:/etc/cups" {
		t.Errorf("by its writer: %+v", v)
	}
}

func TestAGrantHasAnEndAReasonAndALimit(t *testing.T) {
	r := newRig(t)
	r.start()
	for want, ask := range map[string]Ask{
		"--for 15m":           {Reason: "x"},
		"needs a reason":      {For: Span(time.Minute)},
		"self.longest_grant":  {For: Span(1000 * time.Hour), Reason: "x"},
		`"bin" is not absolu`: {For: Span(time.Minute), Reason: "x", Launch: []string{"bin"}},
	} {
		_, err := r.client.Grant(t.Context(), ask)
		refusedWith(t, err, 400, want)
	}
	g := must(r.client.Grant(t.Context(), Ask{For: Span(15 * time.Minute), Launch: []string{"/tmp/x"}, Reason: "ticket 4711"}))(t)
	if g.PID != os.Getpid() || !g.Until.Equal(begin.Add(15*time.Minute)) || g.Reason != "ticket 4711" || g.Comm == "" {
		t.Errorf("grant %+v", g)
	}
	r.restart()
	all := must(r.client.Grants(t.Context()))(t)
	if len(all) != 1 || all[0].Reason != "ticket 4711" {
		t.Errorf("after a restart: %+v", all)
	}
	if err := r.client.Revoke(t.Context(), g.ID); err != nil {
		t.Error(err)
	}
	refusedWith(t, r.client.Revoke(t.Context(), g.ID), 400, "grant 1 cannot be revoked")
	var ops []string
	for e, err := range r.client.Events(t.Context(), time.Time{}, false) {
		ops = append(ops, must(e, err)(t).Op)
	}
	if got := strings.Join(ops, " "); got != "granted revoked" {
		t.Errorf("notes %q", got)
	}
}

func TestContainIsOfTheCallerUnlessItNamesAnother(t *testing.T) {
	r := newRig(t)
	r.start()
	for _, pid := range []int{0, 4711} {
		if err := r.client.Contain(t.Context(), pid); err != nil {
			t.Fatal(err)
		}
	}
	if fmt.Sprint(r.fake.contained) != fmt.Sprintf("[%d 4711]", os.Getpid()) {
		t.Errorf("contained %v", r.fake.contained)
	}
}

func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{"mode":"observe","confirm":"10m"}`, `{"name":"x","text":"y"}`, `{}{}`, ``, `[`, `{"for":"-1s"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q := question{body: body}
		_, apply := decode[Apply](q)
		_, mode := decode[SetMode](q)
		_, ask := decode[Ask](q)
		_, explain := decode[Explain](q)
		_, unlock := decode[Unlock](q)
		_, reload := decode[Reload](q)
		_, token := decode[TokenText](q)
		for _, err := range []error{apply, mode, ask, explain, unlock, reload, token} {
			var e *Error
			if err != nil && (!errors.As(err, &e) || e.Code != 400 || e.Hint == "") {
				t.Errorf("%q: %v", body, err)
			}
		}
	})
}
