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

// staleUnit is a source package in the version processes still have mapped.
type staleUnit struct {
	unit
	processes []string // "nginx (pid 812)"
	current   int      // index of the installed unit
	exposure  exposure // of the most exposed of them
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
			s := stale(&units[current], current, r)
			at := slices.IndexFunc(out, func(o staleUnit) bool { return o.current == current && o.sourceVersion == s.sourceVersion })
			if at < 0 {
				at = len(out)
				out = append(out, s)
			}
			out[at].join(s.binaries[0], who, exposureOf(p, j.inv.Host.Addresses))
		}
	}
	return out
}

// join adds one process that has one binary package of s mapped.
func (s *staleUnit) join(b binary, who string, x exposure) {
	if !slices.Contains(s.binaries, b) {
		s.binaries = append(s.binaries, b)
		slices.SortFunc(s.binaries, func(a, b binary) int { return strings.Compare(a.name, b.name) })
	}
	if !slices.Contains(s.processes, who) {
		s.processes = append(s.processes, who)
	}
	s.exposure = s.exposure.wider(x)
}

// who names the processes, the first few where they are many.
func (s *staleUnit) who() string {
	const most = 5
	if len(s.processes) <= most {
		return strings.Join(s.processes, ", ")
	}
	return strings.Join(s.processes[:most], ", ") + ", +" + strconv.Itoa(len(s.processes)-most)
}

// stale is u as it was when a process mapped r. Logs tell binary versions; Debian
// rebuilds add "+bN" to the source's.
func stale(u *unit, current int, r host.Replaced) staleUnit {
	s := staleUnit{unit: *u, current: current}
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
	for i, u := range known {
		s := j.situation(u, notKernel)
		s.exposure = stale[i].exposure
		s.state, s.against, s.process = RestartNeeded, installed[stale[i].current], stale[i].who()
		_, gone := partition(u.hits, s.against.hits)
		j.add(u, gone, s)
	}
}
