package guard

import (
	"maps"
	"sync"

	"github.com/kannuki/kannuki/guard/ruleset"
)

// generations are the last two rulesets that were put in force, by generation: events
// are named by them, also while the next is on its way. The zero value holds none.
type generations struct {
	mu   sync.Mutex
	sets map[uint64]ruleset.Ruleset
}

// add takes the ruleset of the next generation, and returns that of the one before it.
func (g *generations) add(next uint64, rs ruleset.Ruleset) (before ruleset.Ruleset, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sets == nil {
		g.sets = map[uint64]ruleset.Ruleset{}
	}
	before, known = g.sets[next-1]
	g.sets[next] = rs
	maps.DeleteFunc(g.sets, func(gen uint64, _ ruleset.Ruleset) bool { return gen+1 < next })
	return before, known
}

func (g *generations) remove(gen uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sets, gen)
}

// rule names a rule of a generation; "" where it is not known any more.
func (g *generations) rule(gen uint64, number uint32) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	rules := g.sets[gen].Rules
	if int(number) >= len(rules) {
		return ""
	}
	return rules[number]
}
