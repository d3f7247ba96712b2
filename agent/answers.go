package agent

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func (s *server) getStatus(context.Context, question) (any, error) { return s.status(), nil }

func (s *server) getPolicy(context.Context, question) (any, error) {
	v := s.force.view()
	return PolicyText{PolicyStatus: v.policyStatus(), Text: v.loaded.text, Effective: policyfile.Format(v.effective)}, nil
}

func (s *server) checkPolicy(_ context.Context, q question) (any, error) {
	source, err := decode[Source](q)
	if err != nil {
		return nil, err
	}
	out := Checked{Mistakes: []*policyfile.Mistake{}, Unwise: []Advice{}}
	p, err := policyfile.Parse(strings.NewReader(source.Text), source.Name)
	if err != nil {
		out.Mistakes = append(out.Mistakes, policyfile.Mistakes(err)...)
		return out, nil
	}
	out.OK = true
	for _, u := range p.Check(s.now()) {
		out.Unwise = append(out.Unwise, Advice{At: u.Path, Message: u.Message, Hint: u.Hint})
	}
	return out, nil
}

func (s *server) diffPolicy(_ context.Context, q question) (any, error) {
	source, err := decode[Source](q)
	if err != nil {
		return nil, err
	}
	p, err := parse(source)
	if err != nil {
		return nil, err
	}
	v := s.force.view()
	return changes(v.effective, withModes(p, v.modes)), nil
}

// note tells everybody what was done by who asked for it.
func (s *server) note(q question, op, what string) {
	s.recorder.note(op, "", what, s.proc.actor(q.peer.pid, q.peer.uid))
}

// changed tells everybody about a change that was made.
func (s *server) changed(q question, op, what string, c Changed, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if c.Pending != nil {
		what += ", to be confirmed until " + stamp(c.Pending.Deadline)
	}
	s.note(q, op, what)
	s.kick()
	return c, nil
}

func (s *server) postApply(_ context.Context, q question) (any, error) {
	a, err := decode[Apply](q)
	if err != nil {
		return nil, err
	}
	c, err := s.force.applyPolicy(a, s.permit(q, a.Token))
	return s.changed(q, "policy-applied", "policy "+c.Policy, c, err)
}

func (s *server) postReload(_ context.Context, q question) (any, error) {
	var r Reload
	if len(q.body) > 0 {
		var err error
		if r, err = decode[Reload](q); err != nil {
			return nil, err
		}
	}
	c, err := s.force.reload(s.permit(q, r.Token))
	return s.changed(q, "policy-applied", "policy "+c.Policy+", read again", c, err)
}

func (s *server) postMode(_ context.Context, q question) (any, error) {
	m, err := decode[SetMode](q)
	if err != nil {
		return nil, err
	}
	c, err := s.force.setMode(m, s.permit(q, m.Token))
	return s.changed(q, "mode-set", strings.TrimSpace(string(m.Mode)+" "+listed(m.Controls)), c, err)
}

func (s *server) postConfirm(_ context.Context, q question) (any, error) {
	p, err := s.force.confirm()
	return s.settledBy(q, "confirmed", p, err)
}

func (s *server) postFallBack(_ context.Context, q question) (any, error) {
	p, err := s.force.fallBack()
	return s.settledBy(q, "fell-back", p, err)
}

func (s *server) settledBy(q question, op string, p Pending, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	s.note(q, op, p.What)
	s.kick()
	return p, nil
}

func (s *server) postExplain(_ context.Context, q question) (any, error) {
	e, err := decode[Explain](q)
	if err != nil {
		return nil, err
	}
	ask := policy.Question{Op: e.Op, Path: e.Path, As: e.As, At: s.now()}
	switch {
	case e.Op != policy.Exec && e.Op != policy.Write && e.Op != policy.Read:
		return nil, badRequest("there is no operation %q", "say exec, write or read", e.Op)
	case e.As != policy.AsContained && e.As != policy.AsSession && e.As != policy.AsUpdater && e.As != policy.AsAnyone:
		return nil, badRequest("there is no actor %q", "say contained, session, updater or anyone", e.As)
	case !filepath.IsAbs(e.Path):
		return nil, badRequest("path %q is not absolute", "begin it with /", e.Path)
	}
	for _, l := range e.By {
		ask.By = append(ask.By, policy.Who{Program: l.Program, Unit: l.Unit, User: l.User})
	}
	ask.Path = resolved(e.Path)
	if info, err := os.Stat(ask.Path); err == nil && info.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
		ask.Setuid = true
	}
	return Explained{Path: ask.Path, Verdict: s.force.view().effective.Explain(ask)}, nil
}

// resolved follows links as far as path exists.
func resolved(path string) string {
	path = filepath.Clean(path)
	for dir, rest := path, ""; ; dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == "/" {
			return path
		}
	}
}

// enforcing is an error where nothing can be enforced.
func (s *server) enforcing() error {
	if s.enforcer != nil {
		return nil
	}
	return &Error{Code: http.StatusServiceUnavailable, Message: "nothing can be enforced on this host: " + s.reason(), Hint: "see kannuki-agent status"}
}

func orCaller(pid int, q question) int {
	if pid == 0 {
		return q.peer.pid
	}
	return pid
}

func (s *server) postContain(_ context.Context, q question) (any, error) {
	p, err := decode[Process](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	pid := orCaller(p.PID, q)
	if err := s.enforcer.Contain(pid); err != nil {
		return nil, badRequest("process %d cannot be contained: %v", "is it running?", pid, err)
	}
	s.note(q, "contained-by-hand", fmt.Sprintf("process %d", pid))
	return struct{}{}, nil
}

func (s *server) postGrant(_ context.Context, q question) (any, error) {
	a, err := decode[Ask](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	a.PID = orCaller(a.PID, q)
	if err := s.grantable(a); err != nil {
		return nil, err
	}
	g, err := s.enforcer.Grant(a.PID, guard.Exception{For: time.Duration(a.For), Launch: a.Launch, Write: a.Write})
	if err != nil {
		return nil, badRequest("no grant for process %d: %v", "is it running?", a.PID, err)
	}
	comm, _, _ := s.proc.stat(a.PID)
	s.grants.keep(g.ID, grantNote{PID: a.PID, Comm: comm, Reason: a.Reason})
	s.note(q, "granted", fmt.Sprintf("grant %d for process %d until %s: %s", g.ID, a.PID, stamp(g.Until), a.Reason))
	return s.grants.document(g), nil
}

// defaultLongest is the longest grant of a policy that names none.
const defaultLongest = 24 * time.Hour

// grantable checks what was asked for against the policy.
func (s *server) grantable(a Ask) error {
	longest := s.force.view().effective.Self.LongestGrant.Time()
	if longest == 0 {
		longest = defaultLongest
	}
	switch d := time.Duration(a.For); {
	case d <= 0:
		return badRequest("a grant needs an end", "say for how long: --for 15m")
	case d > longest:
		return badRequest("a grant for %v is longer than the policy allows", "at most "+longest.String()+" (self.longest_grant)", d)
	case strings.TrimSpace(a.Reason) == "":
		return badRequest("a grant needs a reason", `say it in a sentence: --reason "vendor's installer, ticket 4711"`)
	}
	for _, path := range append(append([]string{}, a.Launch...), a.Write...) {
		if !filepath.IsAbs(path) {
			return badRequest("path %q is not absolute", "begin it with /", path)
		}
	}
	return nil
}

func (s *server) getGrants(context.Context, question) (any, error) {
	if err := s.enforcing(); err != nil {
		return nil, err
	}
	return s.grants.list()
}

func (s *server) postRevoke(_ context.Context, q question) (any, error) {
	r, err := decode[Revoke](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	if err := s.enforcer.Revoke(r.ID); err != nil {
		return nil, badRequest("grant %d cannot be revoked: %v", "kannuki-agent status lists the grants in force", r.ID, err)
	}
	s.note(q, "revoked", fmt.Sprintf("grant %d", r.ID))
	return struct{}{}, nil
}
