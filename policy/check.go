package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// tolerated is how long a grant may still last when the policy names no longest time.
const tolerated = 90 * 24 * time.Hour

// Check returns what is unwise in a sound policy, at now. Nothing of it keeps the
// policy from being applied: a grant that has ended is here and not in Validate,
// because a policy that was good yesterday has to load after a reboot today.
func (p Policy) Check(now time.Time) []Problem {
	c := checker{p: p, now: now}
	for _, check := range []func(){c.modes, c.empty, c.places, c.grants, c.roles, c.writers, c.token} {
		check()
	}
	return c.out
}

type checker struct {
	p   Policy
	now time.Time
	out []Problem
}

func (c *checker) say(at, hint, format string, args ...any) {
	c.out = append(c.out, Problem{at, fmt.Sprintf(format, args...), hint})
}

func (c *checker) modes() {
	observed := 0
	for _, control := range Controls() {
		if c.p.ModeOf(control) == Observe {
			observed++
		}
	}
	if observed == len(Controls()) {
		c.say("mode", "kannuki-agent suggest tells what enforcing would need", "every control is in observe mode: nothing is refused")
		return
	}
	for _, control := range Controls() {
		if c.p.ModeOf(control) == Observe {
			c.say("controls."+string(control), "", "is in observe mode: what it would refuse happens")
		}
	}
}

// empty names sections without which a control has nothing to hold.
func (c *checker) empty() {
	if c.p.Containment.Listeners != On && len(c.p.Containment.Contain) == 0 {
		c.say("containment", `say "listeners: on"`, "nothing ever becomes contained: only launches and sealed places are guarded")
	}
	for _, s := range []struct {
		at   string
		n    int
		gone string
	}{
		{"spaces.private", len(c.p.Spaces.Private), "nothing is private"},
		{"spaces.persistence", len(c.p.Spaces.Persistence), "no persistence place is guarded"},
		{"interpreters.programs", len(c.p.Interpreters.Programs), "scripts of user space run"},
		{"utilities.refuse", len(c.p.Utilities.Refuse), "contained processes run every utility"},
		{"kernel.refuse", len(c.p.Kernel.Refuse), "contained processes reach every surface of the kernel"},
		{"deputies.refuse", len(c.p.Deputies.Refuse), "contained processes may ask every daemon"},
		{"updaters.programs", len(c.p.Updaters.Programs), "no update can be installed"},
	} {
		if s.n == 0 {
			c.say(s.at, "start from a base to have the built-in rules", "is empty: %s", s.gone)
		}
	}
}

func (c *checker) places() {
	for _, u := range c.p.Spaces.User {
		if _, inside := c.p.nearestSystem(merged(u.Path)); !inside {
			c.say("spaces.user["+u.ID+"]", "take it out", "%s is user space anyway", u.Path)
		}
	}
	for _, r := range c.p.Spaces.System {
		if at := r.Place.String(); at == "/home" || at == "/var" || at == "/srv" || at == "/root" {
			c.say("spaces.system["+r.ID+"]", "name the directory that holds the programs", "%s is wide: everything in it may launch", at)
		}
	}
	for _, t := range c.p.Trusted {
		if _, inside := c.p.nearestSystem(merged(t.File)); inside {
			c.say("trusted["+t.ID+"]", "take it out", "%s lies in system space and launches anyway", t.File)
		}
	}
}

func (c *checker) grants() {
	longest := c.p.Self.LongestGrant.Time()
	if longest == 0 {
		longest = tolerated
	}
	for _, g := range c.p.Grants {
		at := "grants[" + g.ID + "]"
		switch left := g.Expires.Sub(c.now); {
		case left <= 0:
			c.say(at+".expires", "take it out, or give it a new end", "ended at %s and does nothing", g.Expires.UTC().Format(time.RFC3339))
		case left > longest:
			c.say(at+".expires", "renew it when it is still needed", "ends in %d days; the longest wise time is %d days", int(left.Hours()/24), int(longest.Hours()/24))
		}
		for _, t := range g.Launch {
			if slices.Contains(shared, t) || t == "/home" || t == "/var" {
				c.say(at+".launch", "name a directory of its own", "%s is written by everybody: whatever lies there would launch for %s", t, g.To)
			}
		}
		for _, t := range g.Write {
			if slices.Contains(core, t) || t == "/etc" {
				c.say(at+".write", "name what is to be changed", "%s is wide", t)
			}
		}
	}
}

func (c *checker) roles() {
	used := map[string]bool{}
	for _, r := range c.p.allLineages() {
		used[r.Role] = true
	}
	for _, r := range c.p.Roles {
		if !used[r.Role] {
			c.say("roles["+r.ID+"]", "take it out", "no rule refers to it")
		}
	}
}

// writers warns of a contained service that may write where anybody may launch.
func (c *checker) writers() {
	for _, r := range c.p.Spaces.System {
		for _, w := range r.Writers {
			if i := slices.IndexFunc(c.p.Containment.Contain, func(k Contain) bool { return k.Who == w }); i >= 0 {
				c.say("spaces.system["+r.ID+"].writers", "give the files to a deployer that is not contained",
					"%s is contained (%s) and could put a program into %s, where everybody launches it", w, c.p.Containment.Contain[i].ID, r.Place)
			}
		}
	}
	for _, r := range c.p.Spaces.Persistence {
		if len(r.Writers) > 0 && strings.TrimSpace(r.Why) == "" {
			c.say("spaces.persistence["+r.ID+"].why", "say it in a sentence", "%s may change %s, and nobody said why", names(r.Writers), r.Place)
		}
	}
}

// token warns where it is asked for and nobody could sign one.
func (c *checker) token() {
	switch on := c.p.Self.Token == On; {
	case on && len(c.p.Self.Keys) == 0:
		c.say("self.keys", "make one with kannuki token key, on a machine that is no server, and name it here",
			"is empty while self.token is on: an administrator's session alone relaxes the guard")
	case !on && len(c.p.Self.Keys) > 0:
		c.say("self.token", `say "token: on"`, "is off, so nobody is asked for a token of self.keys")
	}
}
