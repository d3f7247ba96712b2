package drill

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Aim tells what a step is about on this host, and which rule has to refuse it ("" for
// any); or why it is not to be done: there is nothing of the kind here, something else
// stands before the guard, or the policy does not refuse it. The scene is made already.
func (s Scene) Aim(step Step, pol policy.Policy) (target, rule string, w Why) {
	if step.makes != nothing {
		target = s.own(step)
	}
	if step.aim != nil {
		if target, w = step.aim(s, target); w.Code != "" {
			return "", "", w
		}
	}
	if step.Surface != "" {
		rule, w = surfaceRule(step.Surface, pol)
		return target, rule, w
	}
	return target, "", s.allowed(step, target, pol)
}

func surfaceRule(surface policy.Surface, pol policy.Policy) (string, Why) {
	i := slices.IndexFunc(pol.Kernel.Refuse, func(r policy.KernelSurface) bool { return r.Surface == surface })
	if i < 0 {
		return "", why(Allowed, "kernel.refuse")
	}
	return pol.Kernel.Refuse[i].ID, Why{}
}

// questions are the guard's operations as a policy asks about them.
var questions = map[string]policy.Op{
	"exec": policy.Exec, "library": policy.Exec, "mprotect": policy.Exec, "script": policy.Exec, "utility": policy.Exec, "setuid": policy.Exec, "read": policy.Read,
	"write": policy.Write, "create": policy.Write, "unlink": policy.Write, "rename": policy.Write, "link": policy.Write, "mkdir": policy.Write,
	"attributes": policy.Write, "extended-attributes": policy.Write,
}

// allowed tells where the policy lets a step happen to its target.
func (s Scene) allowed(step Step, target string, pol policy.Policy) Why {
	if target == "" || step.Control == host.Self {
		return Why{}
	}
	path := s.withoutRoot(target)
	if step.Op == "connect" {
		if !refusesSocket(pol, path) {
			return why(Allowed, "deputies.refuse")
		}
		return Why{}
	}
	op, about := questions[step.Op]
	if !about {
		return Why{}
	}
	v := pol.Explain(policy.Question{Op: op, Path: path, As: step.By(), Setuid: step.Op == "setuid"})
	if v.Allowed {
		return why(Allowed, v.Rule)
	}
	return Why{}
}

// refusesSocket tells whether a policy names a socket as a deputy's.
func refusesSocket(pol policy.Policy, path string) bool {
	under := func(at string) bool {
		real := strings.Replace(at, "/var/run/", "/run/", 1)
		return path == real || strings.HasPrefix(path, real+"/")
	}
	return slices.ContainsFunc(pol.Deputies.Refuse, func(d policy.Deputy) bool { return slices.ContainsFunc(d.Sockets, under) })
}

// Stands tells why a step is not to be done where its control is in this mode.
func (s Step) Stands(mode string) Why {
	switch {
	case mode == host.Enforce:
		return Why{}
	case mode != host.Observe:
		return why(NotInForce)
	case s.Effect:
		return why(Observes)
	}
	return Why{}
}
