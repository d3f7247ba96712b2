package ruleset

import (
	"path"
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// markKind is what one rule says about one place. Of two places as near, the smaller
// decides who may change a file.
type markKind int

const (
	markUnits markKind = iota // policy.ControlGroups
	markPersistence
	markSystem
	markUser
	markNames // directories of some names are user space
	markData
	markTrusted
	lastForWriting = markTrusted

	markGuard markKind = iota
	markPrivate
	markDeputy
	markCache
	markScratch
	markOutput
	markGrant
)

// mark is one rule at one place.
type mark struct {
	kind  markKind
	order int  // among those of its kind, as the policy has them
	file  bool // of a single file
	rule  string

	who       []policy.Who // writers, readers, connectors or to whom a cache belongs
	members   []int        // their lineages
	seal      policy.Seal
	byAccount bool
	libraries bool
	private   bool // a guard's place that is not read either
	names     []string
	grant     policy.Grant
	action    action // of the grant
}

// action is what a grant is for at one place.
type action int

const (
	grantLaunch action = iota
	grantWrite
	grantRead
)

func (m mark) control() host.Control {
	switch m.kind {
	case markUser, markNames, markCache, markScratch, markOutput, markTrusted:
		return host.Launch
	case markPrivate:
		return host.Private
	case markDeputy:
		return host.Containing
	case markGuard:
		return host.Self
	}
	return host.Write
}

// spaces puts every rule's mark where its places really lie.
func (c *compiler) spaces() {
	s := c.p.Spaces
	for _, at := range policy.GuardPlaces() {
		c.mark(at, mark{kind: markGuard, rule: policy.RuleGuard, private: policy.IsGuardSecret(at)})
	}
	for _, at := range policy.GuardFiles() {
		c.mark(at, mark{kind: markGuard, file: true, rule: policy.RuleGuard})
	}
	c.mark(policy.ControlGroups, mark{kind: markUnits, rule: policy.RuleUnits, seal: policy.Config})
	for i, r := range s.Persistence {
		c.markPlace(r.Place, mark{kind: markPersistence, order: i, rule: r.ID, who: r.Writers, seal: r.Seal})
	}
	for i, r := range s.System {
		c.markPlace(r.Place, mark{kind: markSystem, order: i, rule: r.ID, who: r.Writers, seal: r.Seal})
	}
	for i, r := range s.User {
		m := mark{kind: markUser, order: i, rule: r.ID, names: r.Names}
		if len(r.Names) > 0 {
			m.kind = markNames
		}
		c.mark(r.Path, m)
	}
	for i, r := range s.Data {
		c.markPlace(r.Place, mark{kind: markData, order: i, rule: r.ID, who: r.Owners, byAccount: r.ByAccount})
	}
	for i, r := range s.Private {
		c.markPlace(r.Place, mark{kind: markPrivate, order: i, rule: r.ID, who: r.Readers})
	}
	for i, r := range c.p.Trusted {
		c.mark(r.File, mark{kind: markTrusted, order: i, file: true, rule: r.ID})
	}
	c.otherPlaces()
	c.grantPlaces()
}

// otherPlaces are those that are no space: sockets, caches, scratch and output.
func (c *compiler) otherPlaces() {
	for i, r := range c.p.Deputies.Refuse {
		for _, at := range r.Sockets {
			c.mark(at, mark{kind: markDeputy, order: i, rule: r.ID, who: c.connectors(r.Name)})
		}
	}
	for i, r := range c.p.Interpreters.Caches {
		c.mark(r.Path, mark{kind: markCache, order: i, rule: r.ID, who: r.To, libraries: r.Libraries})
	}
	for i, r := range c.p.Updaters.Programs {
		for _, at := range r.Scratch {
			c.mark(at, mark{kind: markScratch, order: i, rule: r.ID})
		}
	}
	for i, r := range c.p.Builders {
		for _, at := range r.Output {
			c.markPlace(policy.Place{Path: at}, mark{kind: markOutput, order: i, rule: r.ID})
		}
	}
}

func (c *compiler) connectors(deputy string) []policy.Who {
	var out []policy.Who
	for _, a := range c.p.Deputies.Allow {
		if slices.Contains(a.Names, deputy) {
			out = append(out, a.To...)
		}
	}
	return out
}

// live are the grants that have not ended.
func (c *compiler) live() []policy.Grant {
	return slices.DeleteFunc(slices.Clone(c.p.Grants), func(g policy.Grant) bool { return !c.now.Before(g.Expires) })
}

func (c *compiler) grantPlaces() {
	for i, g := range c.live() {
		for what, targets := range [][]string{grantLaunch: g.Launch, grantWrite: g.Write, grantRead: g.Read} {
			for _, at := range targets {
				c.markPlace(policy.Place{Path: at}, mark{kind: markGrant, order: i, rule: g.ID, who: []policy.Who{g.To}, grant: g, action: action(what)})
			}
		}
	}
}

// markPlace marks a place of the policy: one in homes is one in every home.
func (c *compiler) markPlace(p policy.Place, m mark) {
	m.file = p.File != ""
	m.members = c.all(m.control(), m.rule, m.who)
	rest, home := strings.CutPrefix(p.String(), "~/")
	if !home {
		c.mark(p.String(), m)
		return
	}
	for _, h := range c.host.Homes {
		c.mark(path.Join(h, rest), m)
	}
}

// mark puts m where at really lies. A link that leads there is marked too, as a file:
// who replaces it moves the whole place.
func (c *compiler) mark(at string, m mark) {
	if m.members == nil {
		m.members = c.all(m.control(), m.rule, m.who)
	}
	where, err := c.tree.locate(at)
	if err != nil {
		c.gap(m.control(), m.rule, at, err.Error())
		return
	}
	if m.file && where.kind == directory {
		c.gap(m.control(), m.rule, at, "is named as a single file and is a directory: what lies in it is not meant")
	}
	c.put(where.path, m)
	if m.kind == markPersistence || m.kind == markSystem || m.kind == markData || m.kind == markGuard {
		m.file = true
		for _, l := range where.links {
			c.put(l, m)
		}
	}
}

func (c *compiler) put(at string, m mark) {
	c.marks[at] = append(c.marks[at], m)
}

// userNames is the one list of names the kernel looks for below places with Names.
func (c *compiler) userNames() []UserName {
	var out []UserName
	for _, r := range c.p.Spaces.User {
		for _, name := range r.Names {
			if len(name) > MaxName {
				c.gap(host.Launch, r.ID, name, "is a longer name than the kernel compares")
				continue
			}
			out = append(out, UserName{name, c.rule(r.ID)})
		}
	}
	slices.SortStableFunc(out, func(a, b UserName) int { return strings.Compare(a.Name, b.Name) })
	out = slices.CompactFunc(out, func(a, b UserName) bool { return a.Name == b.Name })
	for _, r := range c.p.Spaces.User {
		for _, u := range out {
			if len(r.Names) > 0 && !slices.Contains(r.Names, u.Name) {
				c.gap(host.Write, r.ID, u.Name, "names of user space are one list on this host: the name counts below "+r.Path+" too")
			}
		}
	}
	return out
}
