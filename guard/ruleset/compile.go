package ruleset

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// Compile turns a policy, joined with its base and filled (policy.Policy.Fill), into a
// ruleset for h at now: the kernel then answers as policy.Policy.Explain does. Grants
// that have ended are gone. Gaps are what the ruleset does not hold; where it had to
// leave something out it is an exception, never a refusal.
func Compile(p policy.Policy, h Host, now time.Time) (Ruleset, []Gap) {
	c := &compiler{
		p: p, host: h, now: now,
		tree:     tree{fs: h.FS, nodes: map[string]node{}},
		rules:    []string{""},
		ruleNo:   map[string]uint16{},
		marks:    map[string][]mark{},
		programs: map[string]*program{},
		told:     map[Gap]bool{},
		lineages: lineages{byName: map[string]int{}, groups: []Group{{}}, byMember: map[string]uint16{}},
	}
	c.flags()
	c.named()
	c.edges()
	c.allowances()
	rs := Ruleset{
		Listeners:        p.Containment.Listeners == policy.On,
		BuildersAnywhere: c.buildersAnywhere(),
		Extensions:       c.extensions(),
	}
	rs.Enforce, rs.Observe = modes(p)
	c.spaces()
	rs.UserNames = c.userNames()
	rs.Places = c.places()
	rs.Starters = c.starters()
	rs.Runtimes = c.runtimes()
	rs.Surfaces = c.surfaces()
	rs.Tracers = c.tracers()
	rs.Ports = c.ports()
	rs.Abstract = c.abstracts()
	rs.Programs = c.sortedPrograms()
	rs.Rules, rs.Lineages, rs.Groups = c.rules, c.list, c.groups
	for _, g := range beyond(p) {
		c.gap(host.Control(g.Control), g.Rule, g.Subject, g.Why)
	}
	return rs, c.gaps
}

type compiler struct {
	p    policy.Policy
	host Host
	now  time.Time
	tree tree

	rules  []string
	ruleNo map[string]uint16
	marks  map[string][]mark // by where they really lie

	programs map[string]*program

	gaps []Gap
	told map[Gap]bool

	lineages
}

// gap is told once.
func (c *compiler) gap(control host.Control, rule, subject, why string) {
	g := Gap{Control: string(control), Rule: rule, Subject: subject, Why: why}
	if !c.told[g] {
		c.told[g] = true
		c.gaps = append(c.gaps, g)
	}
}

// rule is the number of a rule's id. Past the last number a rule still holds, and
// events do not name it.
func (c *compiler) rule(id string) uint16 {
	if n, ok := c.ruleNo[id]; ok || id == "" {
		return n
	}
	if len(c.rules) > math.MaxUint16 {
		c.gap("", id, "", fmt.Sprintf("events name %d rules; this one holds without a name", math.MaxUint16))
		return 0
	}
	n := uint16(len(c.rules))
	c.rules, c.ruleNo[id] = append(c.rules, id), n
	return n
}

// flags says what programs, units and users are. What contains comes first: where
// numbers run out, exceptions go without.
func (c *compiler) flags() {
	for _, r := range c.p.Containment.Contain {
		c.flag(host.Containing, r.ID, r.Who, Contained)
	}
	for _, r := range c.p.Containment.Exempt {
		c.flag(host.Containing, r.ID, r.Who, Exempt)
	}
	for _, r := range c.p.Updaters.Programs {
		c.flag(host.Write, r.ID, r.Who, Updater)
	}
	for _, r := range c.p.Builders {
		c.flag(host.Launch, r.ID, r.Who, Builder)
	}
	for _, r := range c.p.WX {
		c.flag(host.ProcessCtl, r.ID, r.Who, WX)
	}
	c.flag(host.Self, policy.RuleGuard, policy.Who{Program: policy.GuardProgram}, Agent)
}

func modes(p policy.Policy) (enforce, observe Controls) {
	for _, control := range policy.Controls() {
		if p.ModeOf(control) == policy.Enforce {
			enforce |= ControlBit(control)
		} else {
			observe |= ControlBit(control)
		}
	}
	return enforce, observe
}

var controlBits = map[host.Control]Controls{
	host.Launch: ControlLaunch, host.Write: ControlWrite, host.Containing: ControlContain, host.ProcessCtl: ControlProcess,
	host.Utility: ControlUtility, host.KernelCtl: ControlKernel, host.Private: ControlPrivate, host.Self: ControlSelf,
}

// ControlBit is the kernel's bit of a control.
func ControlBit(c host.Control) Controls { return controlBits[c] }

// ControlsOf are the controls of some bits, in the order of policy.Controls.
func ControlsOf(bits Controls) []host.Control {
	return slices.DeleteFunc(policy.Controls(), func(c host.Control) bool { return bits&controlBits[c] == 0 })
}

// buildersAnywhere tells whether some builder launches from all of user space. The
// kernel knows builders and output, and not whose output: a builder is held to more than
// its own only where another has more.
func (c *compiler) buildersAnywhere() bool {
	anywhere := slices.ContainsFunc(c.p.Builders, func(b policy.Builder) bool { return len(b.Output) == 0 })
	for _, b := range c.p.Builders {
		if len(b.Output) > 0 && (anywhere || !slices.Equal(b.Output, c.p.Builders[0].Output)) {
			c.gap(host.Launch, b.ID, b.Who.String(), "builders launch from each other's output: it is not held to its own")
		}
	}
	return anywhere
}

func (c *compiler) extensions() []string {
	var out []string
	for _, i := range c.p.Interpreters.Programs {
		for _, ext := range i.Extensions {
			if len(ext) < 2 || len(ext) > 7 {
				c.gap(host.Launch, i.ID, ext, "extensions have 2 to 7 bytes with their dot")
				continue
			}
			out = append(out, ext)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
