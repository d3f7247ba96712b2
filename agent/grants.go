package agent

import (
	"log/slog"
	"maps"
	"strconv"
	"sync"

	"github.com/kannuki/kannuki/guard"
)

// grantNote is what the kernel does not keep about a grant.
type grantNote struct {
	PID    int    `json:"pid"`
	Comm   string `json:"comm,omitempty"`
	Reason string `json:"reason"`
}

// grants knows why grants were given, also those of an earlier agent.
type grants struct {
	enforcer Enforcer
	files    *keep
	log      *slog.Logger

	mu    sync.Mutex
	notes map[string]grantNote // by id, as JSON has it
}

func (g *grants) load() {
	g.notes = map[string]grantNote{}
	if _, err := g.files.read(grantsFile, &g.notes); err != nil || g.notes == nil {
		g.log.Warn("why earlier grants were given is lost", "error", err)
		g.notes = map[string]grantNote{}
	}
}

// keep remembers why a grant was given, and forgets grants that have ended.
func (g *grants) keep(id uint64, n grantNote) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if live, err := g.enforcer.Grants(); err == nil {
		in := map[string]bool{}
		for _, l := range live {
			in[key(l.ID)] = true
		}
		maps.DeleteFunc(g.notes, func(id string, _ grantNote) bool { return !in[id] })
	}
	g.notes[key(id)] = n
	if err := g.files.write(grantsFile, g.notes); err != nil {
		g.log.Warn("why a grant was given cannot be kept", "error", err)
	}
}

func key(id uint64) string { return strconv.FormatUint(id, 10) }

// list are the grants in force.
func (g *grants) list() ([]Grant, error) {
	live, err := g.enforcer.Grants()
	if err != nil {
		return nil, err
	}
	out := []Grant{}
	for _, l := range live {
		out = append(out, g.document(l))
	}
	return out, nil
}

func (g *grants) document(l guard.Grant) Grant {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := Grant{ID: l.ID, PID: l.PID, Until: l.Until, Launch: l.Launch, Write: l.Write}
	// After a reboot the kernel counts from one again: the note must be of this process.
	if n := g.notes[key(l.ID)]; n.PID == l.PID {
		out.Comm, out.Reason = n.Comm, n.Reason
	}
	return out
}
