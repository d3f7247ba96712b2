package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/inventory"
	"github.com/kannuki/kannuki/policy"
)

// hostID is what tokens for this host name.
func hostID(cfg Config) string {
	if cfg.HostID != "" {
		return cfg.HostID
	}
	id, err := inventory.HostID("")
	if err != nil {
		cfg.Log.Error("this host's id cannot be read, so no token is taken", "error", err)
	}
	return id
}

// permit is what the caller of q may relax, with the token he shows. Who used one, and who
// was refused, is recorded.
func (s *server) permit(q question, token string) permit {
	return func(a identity.Ask, inForce policy.Policy) (string, error) {
		used, err := s.permits.permit(inForce.Self, asker{q.peer, token}, a)
		if err != nil {
			if e := (*Error)(nil); errors.As(err, &e) {
				s.noteRefused(q.peer, string(a.Action), e.Message)
			}
			return "", err
		}
		if used == nil {
			return "", nil
		}
		s.note(q, "token-used", fmt.Sprintf("%s: token %s, signed with key %s: %s", a.Action, used.ID, used.Key, cmp.Or(used.Reason, "no reason was given")))
		return used.ID, nil
	}
}

// unseen permits nothing: a hang-up shows neither a session nor a token.
func unseen(identity.Ask, policy.Policy) (string, error) {
	return "", &Error{Code: http.StatusForbidden, Reason: "unseen", Message: "a signal does not say who sent it, so it relaxes nothing", Hint: "use kannuki-agent policy reload"}
}

func (s *server) postUnlock(_ context.Context, q question) (any, error) {
	u, err := decode[Unlock](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	return s.opened(q, "unlocked", func() (Unlocked, error) { return s.force.unlock(u, s.permit(q, u.Token)) })
}

func (s *server) postUninstall(_ context.Context, q question) (any, error) {
	u, err := decode[Uninstall](q)
	if err == nil {
		err = s.enforcing()
	}
	if err != nil {
		return nil, err
	}
	return s.opened(q, "uninstall-allowed", func() (Unlocked, error) { return s.force.letGo(s.permit(q, u.Token)) })
}

// opened tells everybody what was opened.
func (s *server) opened(q question, op string, open func() (Unlocked, error)) (any, error) {
	u, err := open()
	if err != nil {
		return nil, err
	}
	s.note(q, op, fmt.Sprintf("%s until %s: %s", listed(u.Controls), stamp(u.Until), u.Reason))
	s.kick()
	return u, nil
}

func (s *server) postLock(_ context.Context, q question) (any, error) {
	u, err := s.force.lock()
	if err != nil {
		return nil, err
	}
	s.note(q, "locked", listed(u.Controls))
	s.kick()
	return u, nil
}

func (s *server) getToken(context.Context, question) (any, error) {
	return s.permits.status(s.force.view().effective.Self), nil
}

func (s *server) checkToken(_ context.Context, q question) (any, error) {
	t, err := decode[TokenText](q)
	if err != nil {
		return nil, err
	}
	return s.permits.check(s.force.view().effective.Self, t.Token)
}
