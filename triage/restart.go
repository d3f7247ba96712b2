package triage

import (
	"slices"
	"strconv"
	"strings"

	"github.com/kannuki/kannuki/host"
)

// States of a finding whose fix is on disk but not what runs.
const (
	RebootNeeded  = "reboot-needed"
	RestartNeeded = "restart-needed"
)

// staleUnit is a source package in the version a process still has mapped.
type staleUnit struct {
	unit
	process   string // "nginx (pid 812)"
	current   int    // index of the installed unit
	installed string // its source version
	exposure  exposure
}

// restarts finds the processes that still run replaced files. Where the package
// manager's log tells which version they run, that version is judged; where it does
// not, the process is named as not judged.
func (j *judging) restarts(units []unit) []staleUnit {
	var out []staleUnit
	for i := range j.inv.Processes {
		p := &j.inv.Processes[i]
		who := p.Name + " (pid " + strconv.Itoa(p.PID) + ")"
		for _, r := range p.Replaced {
			current := slices.IndexFunc(units, func(u unit) bool {
				return slices.ContainsFunc(u.binaries, func(b binary) bool { return b.name == r.Package })
			})
			if r.Version == "" || current < 0 {
				j.skip(who, "", CodeSkipReplaced, who, r.Path, r.Package)
				continue
			}
			out = append(out, stale(&units[current], current, r, who, j.exposureOf(p)))
		}
	}
	return out
}

func (j *judging) exposureOf(p *host.Process) exposure {
	x := exposure{level: Small, process: p.Name}
	for _, l := range p.Listeners {
		x = x.wider(exposure{listenerLevel(l, j.inv.Host.Addresses), p.Name, netAddress(l)})
	}
	return x
}

// stale is u as it was when the process mapped r. Logs tell binary versions; Debian
// rebuilds add "+bN" to the source's.
func stale(u *unit, current int, r host.Replaced, who string, x exposure) staleUnit {
	s := staleUnit{unit: *u, process: who, current: current, installed: u.sourceVersion, exposure: x}
	s.sourceVersion = r.Version
	if i := strings.LastIndex(r.Version, "+b"); i > 0 && u.kind == "dpkg" {
		if _, err := strconv.Atoi(r.Version[i+2:]); err == nil {
			s.sourceVersion = r.Version[:i]
		}
	}
	s.binaries = []binary{{name: r.Package, version: r.Version}}
	return s
}

func unitsIn(stale []staleUnit) []unit {
	out := make([]unit, len(stale))
	for i := range stale {
		out[i] = stale[i].unit
	}
	return out
}

// judgeRestarts adds what a stale process is still open to and its installed
// package is not.
func (j *judging) judgeRestarts(stale []staleUnit, known, installed []*unit) {
	done := map[string]bool{}
	for i, u := range known {
		s := j.situation(u, notKernel)
		s.exposure = stale[i].exposure
		s.state, s.fixed, s.process = RestartNeeded, stale[i].installed, stale[i].process
		key := u.source + "\x00" + u.sourceVersion + "\x00" + s.process
		if done[key] {
			continue
		}
		done[key] = true
		_, gone := partition(u.hits, installed[stale[i].current].hits)
		j.add(u, gone, s)
	}
}
