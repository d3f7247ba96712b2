package ruleset

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// lineages numbers whoever the policy names and sets of them.
type lineages struct {
	list     []Lineage
	byName   map[string]int
	groups   []Group
	byMember map[string]uint16
}

// everyone expands roles: they do not nest.
func (c *compiler) everyone(who []policy.Who) []policy.Who {
	var out []policy.Who
	for _, w := range who {
		if w.Role == "" {
			out = append(out, w)
			continue
		}
		for _, r := range c.p.Roles {
			if r.Role == w.Role {
				out = append(out, r.Who...)
			}
		}
	}
	return out
}

// all are the lineages of who, ascending. Whoever cannot be told here is left out,
// which is a gap of rule.
func (c *compiler) all(control host.Control, rule string, who []policy.Who) []int {
	var out []int
	for _, w := range c.everyone(who) {
		if n, ok := c.lineage(control, rule, w); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// lineage is the number of one Who without a role. A program's is named for where it
// really lies: two names of one file are one lineage, because the kernel sees the file.
func (c *compiler) lineage(control host.Control, rule string, w policy.Who) (int, bool) {
	l, why := c.identify(w)
	if why == "" && w.Program != "" {
		at, err := c.tree.locate(w.Program)
		if err != nil {
			why = err.Error()
		}
		l.Name = "program " + at.path
	}
	if n, ok := c.byName[l.Name]; ok && why == "" {
		return n, true
	}
	if why == "" && len(c.list) == MaxLineages {
		why = fmt.Sprintf("the kernel tells %d lineages from each other; this one is left out", MaxLineages)
	}
	if why != "" {
		c.gap(control, rule, w.String(), why)
		return 0, false
	}
	n := len(c.list)
	c.list, c.byName[l.Name] = append(c.list, l), n
	if w.Program != "" {
		for _, p := range c.programsAt(control, rule, w.Program) {
			p.Lineage = n + 1
		}
	}
	return n, true
}

// identify is how the kernel knows w, or why it does not.
func (c *compiler) identify(w policy.Who) (l Lineage, why string) {
	switch {
	case len(w.Unit) > MaxUnit:
		return l, fmt.Sprintf("the name of its unit is longer than %d bytes", MaxUnit)
	case w.Unit != "":
		return Lineage{Name: "unit " + w.Unit, Unit: w.Unit}, ""
	case w.User != "":
		uid, ok := c.host.Accounts[w.User]
		if !ok {
			return l, "there is no such account on this host"
		}
		return Lineage{Name: "user " + w.User, UID: uid, User: true}, ""
	case w.Program != "":
		return l, ""
	}
	return l, "names nobody"
}

// flag gives what w names a flag, for the first rule that has something to say of it.
func (c *compiler) flag(control host.Control, rule string, who policy.Who, f Flags) {
	for _, w := range c.everyone([]policy.Who{who}) {
		if w.Program != "" {
			for _, p := range c.programsAt(control, rule, w.Program) {
				if p.Flags == 0 {
					p.Rule = c.rule(rule)
				}
				p.Flags |= f
			}
			continue
		}
		if n, ok := c.lineage(control, rule, w); ok {
			l := &c.list[n]
			if l.Flags == 0 {
				l.Rule = c.rule(rule)
			}
			l.Flags |= f
		}
	}
}

// temporary are lineages of one grant.
type temporary struct {
	lineages []int
	until    time.Time
}

// group is the number of a set of lineages; temps join until the first of them ends.
// Where there is no room for one more set it is 0: nobody.
func (c *compiler) group(control host.Control, rule string, members []int, temps []temporary) uint16 {
	var g Group
	g.Members = members
	for _, t := range temps {
		for _, n := range t.lineages {
			if !slices.Contains(members, n) && !slices.Contains(g.Temporary, n) {
				g.Temporary = append(g.Temporary, n)
			}
		}
		if g.Until.IsZero() || t.until.Before(g.Until) {
			g.Until = t.until
		}
	}
	if len(g.Temporary) == 0 {
		g.Until = time.Time{}
	}
	if len(g.Members)+len(g.Temporary) == 0 {
		return 0
	}
	slices.Sort(g.Temporary)
	key := groupKey(g)
	if n, ok := c.byMember[key]; ok {
		return n
	}
	if len(c.groups) == MaxGroups {
		c.gap(control, rule, "", fmt.Sprintf("the kernel knows %d sets of exceptions; this one is left out", MaxGroups-1))
		return 0
	}
	n := uint16(len(c.groups))
	c.groups, c.byMember[key] = append(c.groups, g), n
	return n
}

func groupKey(g Group) string {
	var b strings.Builder
	for _, n := range g.Members {
		b.WriteString(strconv.Itoa(n) + ",")
	}
	for _, n := range g.Temporary {
		b.WriteString("~" + strconv.Itoa(n))
	}
	return b.String() + g.Until.String()
}

// union joins two sets: ascending, each once.
func union[T cmp.Ordered](a, b []T) []T {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
