package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/identity"
	"github.com/kannuki/kannuki/policy"
)

// operator signs tokens.
type operator struct {
	t   *testing.T
	key identity.PrivateKey
}

func newOperator(t *testing.T) operator {
	t.Helper()
	return operator{t, must(identity.NewKey(rand.Reader))(t)}
}

// guarded is a policy that takes o's tokens.
func (o operator) guarded(name string) string {
	return fmt.Sprintf("version: 1\nname: %s\nbase: standard\nself: {token: on, keys: [{name: ops, key: %q, why: test}]}\n", name, o.key.Public())
}

// sign is a token for this host and the next hour.
func (o operator) sign(may ...identity.Action) string {
	return o.signed(identity.Token{Host: hostHere, May: may, From: begin, Until: begin.Add(time.Hour), Reason: "INC-4711"})
}

func (o operator) signed(t identity.Token) string {
	o.t.Helper()
	return must(t.Sign(o.key, rand.Reader))(o.t)
}

// wanting is an agent whose policy asks for o's tokens.
func wanting(t *testing.T) (*rig, operator) {
	t.Helper()
	r, o := newRig(t), newOperator(t)
	r.write(r.cfg.Policy, o.guarded("web"))
	r.start()
	return r, o
}

// stranger makes the rig's caller a process of no login session.
func stranger(a *agent) {
	a.peer = func(c net.Conn) peer { p := peerOf(c); p.uid, p.login = 0, -1; return p }
}

// relaxations are all ways to let happen what was refused.
var relaxations = map[string]struct {
	may identity.Action
	ask func(ctx context.Context, r *rig, token string) error
}{
	"observe": {identity.Observe, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.SetMode(ctx, SetMode{Mode: policy.Observe, Controls: []host.Control{host.Launch}, Token: token})
		return err
	}},
	"enforce, falling back to observe": {identity.Observe, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.SetMode(ctx, SetMode{Mode: policy.Enforce, Controls: []host.Control{host.Launch}, Confirm: Span(time.Second), Token: token})
		return err
	}},
	"a policy that opens": {identity.Apply, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.ApplyPolicy(ctx, Apply{Source: source(web + "spaces: {system: [{path: /srv/x, seal: config}]}\n"), Token: token})
		return err
	}},
	"a policy that asks nobody": {identity.Apply, func(ctx context.Context, r *rig, token string) error {
		text, _ := os.ReadFile(r.cfg.Policy)
		_, err := r.client.ApplyPolicy(ctx, Apply{Source: source(strings.Replace(string(text), "token: on", "token: off", 1)), Token: token})
		return err
	}},
	"a policy without the key": {identity.Apply, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.ApplyPolicy(ctx, Apply{Source: source(web + "self: {token: on}\n"), Confirm: Span(time.Minute), Token: token})
		return err
	}},
	"a file that was edited": {identity.Apply, func(ctx context.Context, r *rig, token string) error {
		r.write(r.cfg.Policy, web)
		_, err := r.client.Reload(ctx, Reload{Token: token})
		return err
	}},
	"unlock": {identity.Unlock, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.Unlock(ctx, Unlock{Controls: []host.Control{host.Launch}, For: Span(time.Minute), Reason: "locked out", Token: token})
		return err
	}},
	"uninstall": {identity.Uninstall, func(ctx context.Context, r *rig, token string) error {
		_, err := r.client.Uninstall(ctx, Uninstall{Token: token})
		return err
	}},
}

func TestOnlyAnAdministratorsSessionRelaxes(t *testing.T) {
	for name, c := range relaxations {
		if name == "a policy that asks nobody" || name == "a policy without the key" {
			continue // they relax a policy that asks for tokens
		}
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.start(stranger)
			if strings.HasPrefix(name, "a policy") || strings.HasPrefix(name, "a file") { // these need something to open
				must(r.client.ApplyPolicy(t.Context(), Apply{Source: source("version: 1\nname: tight\nbase: standard\nwx: [{unit: a.service, why: w}]\n")}))(t)
			}
			before := r.fake.name()
			refusedWith(t, c.ask(t.Context(), r, ""), 403, "belongs to no login session", "log in")
			if r.fake.name() != before || r.fake.modeOf(host.Launch) != policy.Enforce || r.status().Unlocked != nil || r.status().Pending != nil {
				t.Error("a refused caller changed something")
			}
			if !strings.Contains(r.log.String(), "refused on the socket") {
				t.Errorf("log:\n%s", r.log)
			}
		})
	}
}

// What tightens is for every uncontained root, session or not: jobs do it.
func TestTighteningNeedsNoSession(t *testing.T) {
	r := newRig(t)
	r.write(filepath.Join(r.cfg.State, modesFile), `{"launch": "observe"}`)
	r.start(stranger)
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce}))(t)
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source("version: 1\nname: tight\nbase: standard\nwx: [{unit: a.service, why: w}]\n")}))(t)
	if r.fake.name() != "tight" || r.fake.modeOf(host.Launch) != policy.Enforce {
		t.Errorf("in force is %s", r.fake.name())
	}
}

func TestWhereThePolicyAsksForATokenNothingIsRelaxedWithoutAGoodOne(t *testing.T) {
	for name, c := range relaxations {
		t.Run(name, func(t *testing.T) {
			r, o := wanting(t)
			ask := func(token string) error { return c.ask(t.Context(), r, token) }
			untouched := func() {
				t.Helper()
				if s := r.status(); r.fake.name() != "web" || r.fake.modeOf(host.Launch) != policy.Enforce || s.Unlocked != nil || s.Pending != nil {
					t.Errorf("something was relaxed: %+v", s)
				}
			}
			refusedWith(t, ask(""), 403, "asks for a signed token", "kannuki token sign --may "+string(c.may), hostHere)
			other := newOperator(t)
			wrong := identity.Observe
			if c.may == wrong {
				wrong = identity.Unlock
			}
			for want, token := range map[string]string{
				"this is no token":                      "hello",
				"which the policy in force d":           other.sign(c.may),
				"and this is " + hostHere:               o.signed(identity.Token{Host: strings.Repeat("f", 32), May: identity.Actions(), From: begin, Until: begin.Add(time.Hour)}),
				"the token ended at":                    o.signed(identity.Token{Host: hostHere, May: identity.Actions(), From: begin.Add(-2 * time.Hour), Until: begin.Add(-time.Hour)}),
				"the token is good from":                o.signed(identity.Token{Host: hostHere, May: identity.Actions(), From: begin.Add(time.Hour), Until: begin.Add(2 * time.Hour)}),
				"the token is not for " + string(c.may): o.sign(wrong),
			} {
				refusedWith(t, ask(token), 403, want)
				untouched()
			}
			token := o.sign(c.may)
			if err := ask(token); err != nil {
				t.Fatalf("a good token: %v", err)
			}
			ledger, err := os.ReadFile(filepath.Join(r.cfg.State, tokensFile))
			if id := must(identity.Parse(token))(t).ID; err != nil || strings.Count(string(ledger), id) != 1 {
				t.Errorf("that the token is used is not written down: %v\n%s", err, ledger)
			}
		})
	}
}

func TestATokenThatIsNotNeededIsNotUsed(t *testing.T) {
	r, o := wanting(t)
	token := o.sign(identity.Actions()...)
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce, Token: token}))(t)
	must(r.client.ApplyPolicy(t.Context(), Apply{Source: source(o.guarded("renamed")), Token: token}))(t)
	must(r.client.CheckToken(t.Context(), token))(t)
	if s := must(r.client.Token(t.Context()))(t); !s.Wanted || s.Used != 0 || s.Host != hostHere || len(s.Keys) != 1 || s.Keys[0].ID != o.key.Public().ID() {
		t.Errorf("%+v", s)
	}
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Token: token}))(t)
	_, err := r.client.CheckToken(t.Context(), token)
	refusedWith(t, err, 403, "used already, at 2026-11-23T07:00:00Z")
	if s := must(r.client.Token(t.Context()))(t); s.Used != 1 {
		t.Errorf("%+v", s)
	}
	var told []string
	for e, err := range r.client.Events(t.Context(), time.Time{}, false) {
		told = append(told, must(e, err)(t).Op+": "+e.Why)
	}
	if got := strings.Join(told, "\n"); strings.Count(got, "token-used: observe: token ") != 1 || !strings.Contains(got, "INC-4711") {
		t.Errorf("told:\n%s", got)
	}
}

// A token for one control is good for that one, however the mode is changed.
func TestATokenForAControlRelaxesNoOther(t *testing.T) {
	r, o := wanting(t)
	narrow := func() string {
		return o.signed(identity.Token{Host: hostHere, May: identity.Actions(), Controls: []host.Control{host.Write}, Longest: 60, From: begin, Until: begin.Add(time.Hour)})
	}
	for want, m := range map[string]SetMode{
		"does not relax control launch": {Mode: policy.Observe, Controls: []host.Control{host.Launch, host.Write}, Token: narrow()},
		"does not relax control":        {Mode: policy.Observe, Token: narrow()},
	} {
		_, err := r.client.SetMode(t.Context(), m)
		refusedWith(t, err, 403, want, "write")
	}
	for want, u := range map[string]Unlock{
		"does not relax control any": {For: Span(time.Minute), Reason: "x", Token: narrow()},
		"1m0s at most":               {Controls: []host.Control{host.Write}, For: Span(2 * time.Minute), Reason: "x", Token: narrow()},
	} {
		_, err := r.client.Unlock(t.Context(), u)
		refusedWith(t, err, 403, want)
	}
	_, err := r.client.ApplyPolicy(t.Context(), Apply{Source: source(web), Token: narrow()})
	refusedWith(t, err, 403, "does not relax control any")
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.Write}, Token: narrow()}))(t)
}

func TestWithoutAKeyASessionIsEnoughAndTheStatusSaysSo(t *testing.T) {
	r := newRig(t)
	r.write(r.cfg.Policy, other) // strict, without a key
	r.start()
	if s := r.status(); len(s.Faults) != 1 || !strings.Contains(s.Faults[0], "names no key") {
		t.Errorf("faults %q", s.Faults)
	}
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe}))(t)
}

func TestASignalRelaxesNothing(t *testing.T) {
	r := newRig(t)
	reload := make(chan os.Signal)
	r.cfg.Reload = reload
	r.write(r.cfg.Policy, "version: 1\nname: tight\nbase: standard\nwx: [{unit: a.service, why: w}]\n")
	r.start()
	r.write(r.cfg.Policy, web)
	reload <- syscall.SIGHUP
	r.untilStatus(func(s Status) bool { return !s.Policy.Good })
	if s := r.status(); r.fake.name() != "tight" || !strings.Contains(s.Policy.Fault, "relaxes what is in force") || !strings.Contains(s.Policy.Fault, "policy reload") {
		t.Errorf("%+v", s.Policy)
	}
	must(r.client.Reload(t.Context(), Reload{}))(t)
	if s := r.status(); r.fake.name() != "web" || !s.Policy.Good {
		t.Errorf("%+v", s.Policy)
	}
}

// An agent that starts asks nobody: a file that was edited meanwhile relaxes nothing.
func TestAPolicyFileEditedWhileTheAgentWasOffRelaxesNothing(t *testing.T) {
	r, o := wanting(t)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r.write(r.cfg.Policy, web)
	r.start()
	if s := r.status(); s.Policy.Good || !strings.Contains(s.Policy.Fault, "takes a token") || !strings.Contains(strings.Join(s.Faults, " "), "policy reload --token FILE") {
		t.Errorf("%+v %q", s.Policy, s.Faults)
	}
	_, err := r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe})
	refusedWith(t, err, 403, "asks for a signed token")
	must(r.client.Reload(t.Context(), Reload{Token: o.sign(identity.Apply)}))(t)
	r.restart()
	if s := r.status(); !s.Policy.Good || len(s.Faults) > 0 {
		t.Errorf("%+v %q", s.Policy, s.Faults)
	}
}

func TestALostLedgerTakesNoTokenFromBefore(t *testing.T) {
	for name, lose := range map[string]func(path string) error{
		"gone":    os.Remove,
		"damaged": func(path string) error { return os.WriteFile(path, []byte("{"), 0o600) },
		"emptied": func(path string) error { return os.WriteFile(path, []byte("{}"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r, o := wanting(t)
			token := o.sign(identity.Observe)
			must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Token: token}))(t)
			if err := errors.Join(r.stop(), lose(filepath.Join(r.cfg.State, tokensFile))); err != nil {
				t.Fatal(err)
			}
			r.clock.advance(10 * time.Minute)
			r.start()
			must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Enforce}))(t)
			_, err := r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Token: token})
			refusedWith(t, err, 403, "not known here any more", "sign another one")
			next := o.signed(identity.Token{Host: hostHere, May: identity.Actions(), From: begin.Add(10 * time.Minute), Until: begin.Add(time.Hour)})
			must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Token: next}))(t)
		})
	}
}

func TestOneTokenAtOnceIsUsedOnce(t *testing.T) {
	r, o := wanting(t)
	token := o.sign(identity.Unlock)
	var tries sync.WaitGroup
	taken := make(chan struct{}, 20)
	for range 20 {
		tries.Go(func() {
			c := Dial(r.cfg.Socket)
			defer c.Close()
			if _, err := c.Unlock(t.Context(), Unlock{For: Span(time.Minute), Reason: "x", Token: token}); err == nil {
				taken <- struct{}{}
			}
		})
	}
	tries.Wait()
	if len(taken) != 1 {
		t.Errorf("it was taken %d times", len(taken))
	}
}

// A token is written down as used before anything opens: whenever the agent is killed,
// what it opened it does not open again.
func TestATokenThatOpenedSomethingIsUsedWheneverTheAgentIsKilled(t *testing.T) {
	o := newOperator(t)
	steps := 0
	for ; ; steps++ {
		dir, clock, token := t.TempDir(), &clock{at: begin}, o.sign(identity.Unlock)
		life := func(fake *fake, step func(string)) (*inForce, permit) {
			f := state(t, dir, clock, fake, step)
			p := &permits{host: hostHere, files: f.keep, now: clock.now, log: f.log}
			if err := os.WriteFile(f.keep.policy, []byte(o.guarded("web")), 0o600); err != nil {
				t.Fatal(err)
			}
			f.start()
			p.load()
			return f, func(a identity.Ask, inForce policy.Policy) (string, error) {
				used, err := p.permit(inForce.Self, asker{peer{login: 1000}, token}, a)
				if err != nil {
					return "", err
				}
				return used.ID, nil
			}
		}
		ask := Unlock{Controls: []host.Control{host.Launch}, For: Span(10 * time.Minute), Reason: "x"}
		first := newFake()
		f, permit := life(first, func(string) {})
		at, killed := killedAt(steps, func(step func(string)) { f.keep.step = step; _, _ = f.unlock(ask, permit) })
		opened := first.modeOf(host.Launch) == policy.Observe
		second := newFake()
		f, permit = life(second, func(string) {})
		opened = opened || second.modeOf(host.Launch) == policy.Observe
		_, err := f.unlock(ask, permit)
		if opened && err == nil {
			t.Errorf("killed before %q: it opened, and the token is good again", at)
		}
		clock.advance(11 * time.Minute)
		last := newFake()
		if f, _ = life(last, func(string) {}); last.modeOf(host.Launch) != policy.Enforce || f.unlocked != nil {
			t.Errorf("killed before %q: after its end launch is in mode %s", at, last.modeOf(host.Launch))
		}
		if _, err := os.Stat(f.keep.path(unlockFile)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("killed before %q: %s is still there: %v", at, unlockFile, err)
		}
		if !killed {
			break
		}
	}
	if steps < 3 {
		t.Errorf("only %d steps were seen", steps)
	}
}

func TestALoginSessionIsWhatTheKernelSays(t *testing.T) {
	dir := t.TempDir()
	for name, want := range map[string]int{"1000": 1000, "0": 0, "4294967295": -1, "": -1, "none": -1} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, "7"), 0o700), os.WriteFile(filepath.Join(dir, "7", "loginuid"), []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
		if got := proc(dir).login(7); got != want {
			t.Errorf("%q: %d, want %d", name, got, want)
		}
	}
	if got := proc(dir).login(8); got != -1 {
		t.Errorf("a process that is gone: %d", got)
	}
}
