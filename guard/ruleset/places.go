package ruleset

import (
	"cmp"
	"maps"
	"path"
	"slices"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// near is a mark with how near it is: a larger depth is nearer.
type near struct {
	mark
	depth int
}

// places are all marked places with everything that holds there.
func (c *compiler) places() []Place {
	out := make([]Place, 0, len(c.marks))
	for _, at := range slices.Sorted(maps.Keys(c.marks)) {
		single := c.single(at)
		if single && len(path.Base(at)) > MaxName {
			for _, m := range c.marks[at] {
				c.gap(m.control(), m.rule, at, "its name is longer than the kernel compares")
			}
			continue
		}
		out = append(out, c.effective(at, single))
	}
	return out
}

// single tells whether a marked place is one file: every rule means one, or it is one.
func (c *compiler) single(at string) bool {
	if !slices.ContainsFunc(c.marks[at], func(m mark) bool { return !m.file }) {
		return true
	}
	n, err := c.tree.look(at)
	return err == nil && n.kind == file
}

// around are the marks a file at a place is under: its own and those above it. A mark
// of a single file is none of what lies in a directory of that name.
func (c *compiler) around(at string, single bool) []near {
	var out []near
	for dir := at; ; dir = path.Dir(dir) {
		for _, m := range c.marks[dir] {
			if m.file && !(single && dir == at) {
				continue
			}
			n := near{m, policy.Nearness(dir)}
			switch m.kind {
			case markUser:
				n.depth = len(dir)
			case markNames:
				n.depth = named(at, dir, single, m.names)
			}
			out = append(out, n)
		}
		if dir == "/" {
			return out
		}
	}
}

// named is the length of the longest directory of at below top that has one of names.
func named(at, top string, single bool, names []string) int {
	if single {
		at = path.Dir(at)
	}
	for ; len(at) > len(top); at = path.Dir(at) {
		if slices.Contains(names, path.Base(at)) {
			return len(at)
		}
	}
	return 0
}

// nearest is the nearest mark that match takes; of two as near the one of the smaller
// kind, then the one that the policy has first.
func nearest(marks []near, match func(markKind) bool) (best near, ok bool) {
	for _, m := range marks {
		if !match(m.kind) || m.depth == 0 {
			continue
		}
		if !ok || cmp.Or(cmp.Compare(m.depth, best.depth), cmp.Compare(best.kind, m.kind), cmp.Compare(best.order, m.order)) > 0 {
			best, ok = m, true
		}
	}
	return best, ok
}

func is(kinds ...markKind) func(markKind) bool {
	return func(k markKind) bool { return slices.Contains(kinds, k) }
}

// effective is a place with everything that holds there, so that nothing above it has
// to be asked. It follows policy.Policy.Explain step by step.
func (c *compiler) effective(at string, single bool) Place {
	marks := c.around(at, single)
	p := Place{Path: at}
	if single {
		p.Flags |= File
	}
	if !single && slices.ContainsFunc(marks, func(m near) bool { return m.kind == markNames }) {
		p.Flags |= Names
	}
	c.launching(&p, marks)
	c.writing(&p, marks)
	c.reading(&p, marks)
	if d, ok := nearest(marks, is(markDeputy)); ok {
		p.Flags |= Deputy
		p.DeputyRule = c.rule(d.rule)
		p.Connectors = c.group(host.Containing, d.rule, d.members, nil)
	}
	return p
}

func (c *compiler) launching(p *Place, marks []near) {
	user, carved := nearest(marks, is(markUser, markNames))
	sys, ok := nearest(marks, is(markSystem))
	if ok && (!carved || user.depth <= sys.depth) {
		p.Flags |= Launches
		p.LaunchRule = c.rule(sys.rule)
	} else if carved {
		p.LaunchRule = c.rule(user.rule)
	}
	if p.Flags&(Launches|Names) == Launches {
		return // exceptions are from user space, and there is none here
	}
	var coders, launchers []int
	for _, m := range marks {
		switch m.kind {
		case markCache:
			coders = union(coders, m.members)
			if m.libraries {
				launchers = union(launchers, m.members)
			}
		case markScratch:
			p.Flags |= Scratch
		case markOutput:
			p.Flags |= Output
		}
	}
	temps := c.granted(marks, grantLaunch)
	p.Launchers = c.group(host.Launch, "", launchers, temps)
	p.Coders = c.group(host.Launch, "", coders, temps)
}

func (c *compiler) writing(p *Place, marks []near) {
	if g, ok := nearest(marks, is(markGuard)); ok {
		p.Flags |= Sealed | Guard
		p.WriteRule = c.rule(g.rule)
		return
	}
	m, ok := nearest(marks, func(k markKind) bool { return k <= lastForWriting })
	if !ok {
		return
	}
	p.WriteRule = c.rule(m.rule)
	switch {
	case m.kind == markUser || m.kind == markNames:
		p.Flags |= User
		return
	case m.kind == markData || m.kind == markTrusted:
		p.Flags |= Data
		if m.byAccount {
			p.Flags |= ByAccount
		}
	case m.seal == policy.Sealed:
		p.Flags |= Sealed
	default:
		p.Flags |= Config
	}
	if m.kind == markPersistence || m.kind == markUnits {
		p.Flags |= Persist
	}
	p.Writers = c.group(host.Write, m.rule, m.members, c.granted(marks, grantWrite))
}

func (c *compiler) reading(p *Place, marks []near) {
	if slices.ContainsFunc(marks, func(m near) bool { return m.kind == markGuard && m.private }) {
		p.Flags |= Private
		p.PrivateRule = c.rule(policy.RuleGuard)
		return
	}
	m, ok := nearest(marks, is(markPrivate))
	if !ok {
		return
	}
	p.Flags |= Private
	p.PrivateRule = c.rule(m.rule)
	p.Readers = c.group(host.Private, m.rule, m.members, c.granted(marks, grantRead))
}

// granted are the lineages of the grants among marks.
func (c *compiler) granted(marks []near, what action) []temporary {
	var out []temporary
	for _, m := range marks {
		if m.kind == markGrant && m.action == what {
			out = append(out, temporary{m.members, m.grant.Expires})
		}
	}
	return out
}
