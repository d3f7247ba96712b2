package agent

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
)

// tokensFile is below Config.State: which tokens were used.
const tokensFile = "tokens.json"

// ReasonTokenWanted is the Reason of an Error that a token would help against.
const ReasonTokenWanted = "token-wanted"

// permits decides who may relax the guard: an administrator's session, and where the
// policy in force asks for one, a signed token. A token is written down as used before
// anything is done with it.
type permits struct {
	host  string // this host's id; "": it has none
	files *keep
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex
	ledger identity.Ledger
}

// load reads which tokens were used. Where that is lost, tokens signed before now are good
// no more.
func (p *permits) load() {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, err := p.files.read(tokensFile, &p.ledger)
	if found && err == nil && !p.ledger.Began.IsZero() {
		return
	}
	if found || err != nil {
		p.log.Error("which tokens were used is lost: those signed before now are refused", "file", p.files.path(tokensFile), "error", err)
	}
	p.ledger = identity.NewLedger(p.now())
	if err := p.files.write(tokensFile, p.ledger); err != nil {
		p.log.Error("which tokens are used cannot be kept", "error", err)
	}
}

// asker is who asks for something that relaxes the guard, with what he shows.
type asker struct {
	peer  peer
	token string // its text; "": he shows none
}

// permit lets who do a, or says why not. self is of the policy in force, used the token
// that was spent.
func (p *permits) permit(self policy.Self, who asker, a identity.Ask) (used *identity.Token, err error) {
	if who.peer.login < 0 {
		return nil, &Error{Code: http.StatusForbidden, Reason: "no-session", Args: []string{fmt.Sprint(who.peer.pid)},
			Message: fmt.Sprintf("process %d belongs to no login session, and only an administrator's session relaxes the guard", who.peer.pid),
			Hint:    "log in (ssh, console) and ask from there: a job, a unit or a container does not"}
	}
	if !tokenWanted(self) {
		return nil, nil
	}
	if who.token == "" {
		return nil, &Error{Code: http.StatusForbidden, Reason: ReasonTokenWanted, Args: []string{string(a.Action), p.host},
			Message: fmt.Sprintf("the policy in force asks for a signed token for this (%s)", a.Action),
			Hint:    fmt.Sprintf("have one signed (kannuki token sign --may %s --host %s) and pass it with --token FILE", a.Action, cmp.Or(p.host, "ID"))}
	}
	t, err := p.spend(tokenKeys(self), who.token, a)
	if err != nil {
		return nil, refusedToken(err)
	}
	return &t, nil
}

// spend takes a token, once.
func (p *permits) spend(keys []identity.PublicKey, text string, a identity.Ask) (identity.Token, error) {
	s, err := identity.Parse(text)
	if err == nil {
		err = identity.Verifier{Host: p.host, Keys: keys}.Verify(s, a)
	}
	if err != nil {
		return identity.Token{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := p.ledger.Spend(s.Token, p.now())
	if err != nil {
		return identity.Token{}, err
	}
	if err := p.files.write(tokensFile, next); err != nil {
		return identity.Token{}, &Error{Code: http.StatusInternalServerError, Message: "that the token is used cannot be kept, so it is not taken: " + err.Error(), Hint: "make room on the disk of " + p.files.dir}
	}
	p.ledger = next
	return s.Token, nil
}

// check tells whether a token would be taken for what it is for, without taking it.
func (p *permits) check(self policy.Self, text string) (identity.Token, error) {
	s, err := identity.Parse(text)
	if err != nil {
		return identity.Token{}, refusedToken(err)
	}
	err = identity.Verifier{Host: p.host, Keys: tokenKeys(self)}.Verify(s, identity.Ask{Action: s.May[0], Controls: s.Controls})
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		err = p.ledger.Check(s.Token, p.now())
	}
	if err != nil {
		return identity.Token{}, refusedToken(err)
	}
	return s.Token, nil
}

// refusedToken is identity's refusal as the socket answers it.
func refusedToken(err error) error {
	var e *identity.Error
	if !errors.As(err, &e) {
		return err
	}
	return &Error{Code: http.StatusForbidden, Reason: "token-" + string(e.Code), Args: e.Args, Message: e.Message, Hint: e.Hint}
}

// tokenKeys are the keys of a policy, whose form the policy has checked.
func tokenKeys(self policy.Self) []identity.PublicKey {
	var out []identity.PublicKey
	for _, k := range self.Keys {
		if key, err := identity.ParsePublicKey(k.Key); err == nil {
			out = append(out, key)
		}
	}
	return out
}

// tokenWanted tells whether a policy is relaxed with a token only. Without a key nobody
// could sign one.
func tokenWanted(self policy.Self) bool { return self.Token == policy.On && len(tokenKeys(self)) > 0 }

// status is what a token for this host has to say.
func (p *permits) status(self policy.Self) TokenStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := TokenStatus{Host: p.host, Wanted: tokenWanted(self), Asked: self.Token == policy.On, Keys: []TokenKey{},
		Used: len(p.ledger.Used), Since: p.ledger.Began}
	for _, k := range self.Keys {
		if key, err := identity.ParsePublicKey(k.Key); err == nil {
			s.Keys = append(s.Keys, TokenKey{Name: k.Name, ID: key.ID()})
		}
	}
	return s
}

// loosened are the controls whose mode goes from enforce to something else; other tells
// that something else is loosened as well.
func loosened(from, to policy.Policy) (controls []host.Control, other bool) {
	for _, c := range policy.Diff(from, to) {
		control := host.Control("")
		if name, ok := cutControl(c.Rule); ok {
			control = name
		}
		switch {
		case !c.Loosens:
		case control == "":
			other = true
		case !slices.Contains(controls, control):
			controls = append(controls, control)
		}
	}
	return controls, other
}

// cutControl is the control whose mode a change is about.
func cutControl(rule string) (host.Control, bool) {
	for _, c := range policy.Controls() {
		if rule == "controls."+string(c) {
			return c, true
		}
	}
	return "", false
}
