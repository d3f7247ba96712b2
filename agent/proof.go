package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// proofsFile is below Config.State: what drills have shown.
const proofsFile = "proofs.json"

// grounds are what a proof rests on: where one of them is another, it proves nothing any
// more. The generation of the policy is none: it counts how often the same text was
// resolved to this host's places, which says nothing about what is refused.
type grounds struct {
	Kernel string `json:"kernel"` // uname -r
	Tier   string `json:"tier"`
	Policy string `json:"policy"` // SHA-256 of its text; modes stand beside it
	Agent  string `json:"agent"`  // version: it brings the kernel programs and the built-in policies
}

func (a *agent) grounds(v view, g guard.Status) grounds {
	sum := sha256.Sum256([]byte(v.heldText))
	return grounds{Kernel: a.proc.release(), Tier: g.Tier, Policy: hex.EncodeToString(sum[:]), Agent: a.cfg.Version}
}

// differs says what is another one; "" where nothing is.
func (g grounds) differs(now grounds) string {
	for _, c := range []struct{ what, was, is string }{{"kernel", g.Kernel, now.Kernel}, {"tier", g.Tier, now.Tier}, {"agent", g.Agent, now.Agent}} {
		if c.was != c.is {
			return fmt.Sprintf("the %s was %s and is %s", c.what, c.was, c.is)
		}
	}
	if g.Policy != now.Policy {
		return "the policy is another one"
	}
	return ""
}

// proof is what the last drill of a control has shown.
type proof struct {
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	Passed  bool      `json:"passed"`
	Steps   int       `json:"steps"`
	On      grounds   `json:"on"`
}

// void says why a proof of a control in this mode does not count now; "" where it does.
func (p proof) void(mode string, on grounds, now time.Time) string {
	switch {
	case mode != host.Enforce:
		return "the control does not refuse any more"
	case !now.Before(p.Expires):
		return "it has expired"
	case now.Before(p.At.Add(-time.Minute)):
		return "it is of a time to come"
	}
	return p.On.differs(on)
}

// proofs keeps what drills have shown, over restarts.
type proofs struct {
	files *keep
	log   *slog.Logger

	mu   sync.Mutex
	last map[host.Control]proof
	// off are controls that did not refuse for a moment, of which nobody was told yet that
	// their proof has ended.
	off map[host.Control]bool
}

// relaxed ends the proofs of the controls that do not refuse under p. It is told of every
// policy that was in force, so that none is off and on again unnoticed.
func (p *proofs) relaxed(by policy.Policy) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range policy.Controls() {
		if by.ModeOf(c) != policy.Enforce {
			if p.off == nil {
				p.off = map[host.Control]bool{}
			}
			p.off[c] = true
		}
	}
}

// void says why what is kept of a control does not count now; "" where it does.
func (p *proofs) void(c host.Control, mode string, on grounds, now time.Time) string {
	if p.off[c] {
		mode = host.Observe
	}
	return p.last[c].void(mode, on, now)
}

func (p *proofs) load() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = map[host.Control]proof{}
	if _, err := p.files.read(proofsFile, &p.last); err != nil || p.last == nil {
		p.log.Error("what drills have shown is lost: kannuki-agent drill shows it again", "error", err)
		p.last = map[host.Control]proof{}
	}
}

// keep writes down what a drill has shown of some controls.
func (p *proofs) keep(of map[host.Control]proof) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := maps.Clone(p.last)
	maps.Copy(next, of)
	if err := p.files.write(proofsFile, next); err != nil {
		return err
	}
	p.last = next
	maps.DeleteFunc(p.off, func(c host.Control, _ bool) bool { _, anew := of[c]; return anew })
	return nil
}

// of is the proof of a control that counts now; nil where there is none.
func (p *proofs) of(c host.Control, mode string, on grounds, generation uint64, now time.Time) *host.Proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept, ok := p.last[c]
	if !ok || p.void(c, mode, on, now) != "" {
		return nil
	}
	return &host.Proof{At: kept.At, Expires: kept.Expires, Generation: generation, Kernel: kept.On.Kernel, Passed: kept.Passed, Steps: kept.Steps}
}

// ended is a proof that has gone, and why.
type ended struct {
	control host.Control
	why     string
}

// drop forgets the proofs that do not count any more: what was off for a while is proven
// anew.
func (p *proofs) drop(modeOf func(host.Control) string, on grounds, now time.Time) (gone []ended) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := maps.Clone(p.last)
	for _, c := range slices.Sorted(maps.Keys(p.last)) {
		if why := p.void(c, modeOf(c), on, now); why != "" {
			gone = append(gone, ended{c, why})
			delete(next, c)
		}
	}
	clear(p.off)
	if len(gone) == 0 {
		return nil
	}
	if err := p.files.write(proofsFile, next); err != nil {
		p.log.Error("that a drill's proof has ended cannot be kept", "error", err)
	}
	p.last = next
	return gone
}

// vouch puts the proofs that count into what is reported, and tells of those that do not
// any more. Where nothing is in force nothing is known of what will be.
func (a *agent) vouch(p *host.Protection, v view, g guard.Status, now time.Time) {
	if p.Tier == "" {
		return
	}
	modes, on := map[host.Control]string{}, a.grounds(v, g)
	for i, s := range p.Controls {
		modes[s.Control] = s.Mode
		p.Controls[i].Proof = a.proofs.of(s.Control, s.Mode, on, p.Generation, now)
	}
	for _, e := range a.proofs.drop(func(c host.Control) string { return modes[c] }, on, now) {
		a.log.Warn("a drill's proof has ended", "control", e.control, "why", e.why)
		a.recorder.note("proof-ended", "", fmt.Sprintf("%s: %s", e.control, e.why), event.Actor{LoginUID: -1})
	}
}

// proven adds the proofs that count to the controls of a status.
func (a *agent) proven(all []ControlStatus, v view, g guard.Status, now time.Time) {
	on := a.grounds(v, g)
	for i, s := range all {
		if s.Mode == string(policy.Enforce) {
			all[i].Proof = a.proofs.of(s.Control, s.Mode, on, g.Generation, now)
		}
	}
}
