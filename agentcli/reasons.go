package agentcli

import (
	"strings"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/lang"
)

// said is what a message of the catalogue says, in languages other than the one text
// is written in: English, or whatever the policy's author wrote.
func (a *app) said(key, text string) string {
	if a.Has(key) && (text == "" || a.Language() != lang.Languages[0]) {
		return a.T(key)
	}
	return text
}

// keyOf is where the catalogue speaks of a rule: by its kind, which stands before the
// colon of its id or is the id of a rule that is in no policy. Where no rule decided, or
// one with a name of its own, what was tried and the control say enough.
func (a *app) keyOf(rule, op string, control host.Control) string {
	kind, _, _ := strings.Cut(rule, ":")
	switch {
	case a.Has("agent.why." + kind):
		return kind
	case op == "make-setuid", op == "module":
		return op
	}
	return map[host.Control]string{host.Launch: "user-space", host.Utility: "utility", host.Containing: "setuid", host.Private: "private",
		host.KernelCtl: "deputy"}[control]
}

// why is why something is refused. What the policy's author wrote stays beside it.
func (a *app) why(e event.Event) string {
	said := a.said("agent.why."+a.keyOf(e.Rule, e.Op, host.Control(e.Control)), e.Why)
	if of := a.groupReason(e.Rule, e.Why); of != "" && said != e.Why {
		return said + a.T("agent.why", of)
	}
	if said != e.Why && e.Why != "" && strings.Contains(e.Rule, ":") {
		return said + a.T("agent.why", e.Why)
	}
	return said
}

// wayOut is what to do about a refusal that was legitimate work.
func (a *app) wayOut(e event.Event) string {
	return a.said("agent.do."+a.keyOf(e.Rule, e.Op, host.Control(e.Control)), e.WayOut)
}

// groupReason is why a group of the built-in utilities is refused, in the reader's
// language; "" where why does not end in the built-in policy's words.
func (a *app) groupReason(rule, why string) string {
	id, ours := strings.CutPrefix(rule, "utility:")
	key := "agent.utility." + id
	if !ours || !a.Has(key) || !strings.HasSuffix(why, lang.New(lang.Languages[0]).T(key)) {
		return ""
	}
	return a.T(key)
}
