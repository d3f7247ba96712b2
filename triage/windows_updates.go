package triage

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kannuki/kannuki/vuln"
)

// evidence is what the updates and the build of a Windows host prove to be fixed.
type evidence struct {
	// updates are the installed ones and those they supersede, over all steps the
	// listings name.
	updates map[string]bool
	// level is the highest build all of whose fixes are in: the host's own where Windows
	// is serviced by cumulative updates only (since 10.0), else that of an installed
	// cumulative update. Where a chain of supersedence has a hole, it leads past it.
	level string
	// patched is the same of a host that is updated without restarting; empty where it
	// is not: a hotpatch's number says nothing about a host that takes other updates.
	patched string
	// newest is the number of the newest cumulative update that is in, and since its day:
	// it holds all that were released before it, also those of years for which no build
	// is documented.
	newest   int
	since    time.Time
	releases map[string]time.Time
	modern   bool // the build is of Windows 10 or later
}

// servicing is what vendors list for one product, and when its cumulative updates were
// released.
type servicing struct {
	listings []Listing
	releases map[string]time.Time // by KB
}

// kinds of updates, as Microsoft's documents call them.
type updateKind int

const (
	cumulativeUpdate updateKind = iota // holds every earlier fix of the system
	hotpatchUpdate                     // holds the earlier hotpatches since its baseline
	singleUpdate                       // holds itself: "Security Only", servicing stacks, standalone fixes
)

// kindOf reads the kind of an update. A plain "Security Update" is a cumulative one
// since Windows 10; before, only monthly rollups are.
func kindOf(f vuln.Fix, modern bool) updateKind {
	kind := strings.ToLower(f.Kind)
	if strings.Contains(kind, "hotpatch") {
		return hotpatchUpdate
	}
	for _, word := range []string{"security only", "ie cumulative", "servicing", "standalone", "setup du"} {
		if strings.Contains(kind, word) {
			return singleUpdate
		}
	}
	if !modern && !strings.Contains(kind, "rollup") {
		return singleUpdate
	}
	return cumulativeUpdate
}

func isModern(build string) bool { return strings.HasPrefix(build, "10.0.") }

// releasesOf dates the cumulative updates of a product by the vulnerabilities they fix:
// most of these are published on the day of the update. Where two days have as many, or
// another update fixes more that day (a fix beside the cumulative one, though called
// the same), an update has no date.
func releasesOf(listings []Listing, published func(id string) time.Time) map[string]time.Time {
	days := map[string]map[time.Time]int{} // by KB: vulnerabilities by day
	for i := range listings {
		for _, f := range listings[i].Fixes {
			if kindOf(f, true) != cumulativeUpdate {
				continue
			}
			for _, id := range listings[i].Vulnerabilities {
				if at := published(id); !at.IsZero() {
					if days[f.KB] == nil {
						days[f.KB] = map[time.Time]int{}
					}
					days[f.KB][at.UTC().Truncate(24*time.Hour)]++
				}
			}
		}
	}
	type lead struct {
		kb    string
		count int
	}
	leads := map[time.Time]lead{}
	for _, kb := range slices.Sorted(maps.Keys(days)) {
		day, count := mode(days[kb])
		if l := leads[day]; kb != "" && count > l.count {
			leads[day] = lead{kb, count}
		}
	}
	out := map[string]time.Time{}
	for day, l := range leads {
		if !day.IsZero() {
			out[l.kb] = day
		}
	}
	return out
}

// mode is the day with the most, the zero time where two have as many.
func mode(days map[time.Time]int) (day time.Time, count int) {
	for d, n := range days {
		switch {
		case n > count:
			day, count = d, n
		case n == count:
			day = time.Time{}
		}
	}
	return day, count
}

func (p *servicing) evidenceOf(installed []string, build string) evidence {
	e := evidence{updates: closure(p.listings, installed), releases: p.releases, modern: isModern(build)}
	hotpatched := false
	eachFix(p.listings, func(f vuln.Fix) {
		has := slices.Contains(installed, f.KB)
		if has && kindOf(f, e.modern) == cumulativeUpdate {
			e.take(f)
		}
		if !sameBranch(f.Build, build) {
			return
		}
		switch kindOf(f, e.modern) {
		case cumulativeUpdate:
			if has {
				e.level = later(e.level, f.Build)
			}
		case hotpatchUpdate:
			if has {
				e.patched = later(e.patched, f.Build)
			}
			hotpatched = hotpatched || has || f.Build == build
		}
	})
	switch {
	case hotpatched:
		e.patched = later(e.patched, build)
	case e.modern:
		e.level = later(e.level, build)
	}
	eachFix(p.listings, func(f vuln.Fix) {
		if kindOf(f, e.modern) == cumulativeUpdate && reaches(e.level, f.Build) {
			e.take(f)
		}
	})
	return e
}

// take notes that a cumulative update with a known day is in.
func (e *evidence) take(f vuln.Fix) {
	if day := e.releases[f.KB]; day.After(e.since) {
		e.newest, e.since = number([]string{f.KB}, 0), day
	}
}

// holds tells whether a fix is in.
func (e evidence) holds(f vuln.Fix) bool {
	if f.KB != "" && e.updates[f.KB] {
		return true
	}
	switch kindOf(f, e.modern) {
	case cumulativeUpdate:
		return e.reaches(f)
	case hotpatchUpdate:
		return reaches(e.patched, f.Build)
	}
	return false
}

// reaches tells whether the newest update that is in holds a cumulative one: by their
// builds where both are known, else by day and number. What is called a security
// update and has neither a day nor a predecessor may be a fix beside the cumulative ones.
func (e evidence) reaches(f vuln.Fix) bool {
	if sameBranch(e.level, f.Build) {
		return compareBuilds(e.level, f.Build) >= 0
	}
	day := e.releases[f.KB]
	if day.IsZero() && e.modern && len(f.Supersedes) == 0 {
		return false
	}
	// An update that repairs an old vulnerability again seems as old as that: its number does not.
	kb := number([]string{f.KB}, 0)
	return kb > 0 && kb <= e.newest && !day.After(e.since)
}

// rebootFor returns the cumulative updates that are installed although an older build
// runs, and the newest of their builds; nil where there are none or the running
// build's revision is unknown.
func (p *servicing) rebootFor(installed []string, build string) (waiting []string, newest string) {
	if !isModern(build) || strings.Count(build, ".") < 3 || p.evidenceOf(installed, build).patched != "" {
		return nil, ""
	}
	// One update may be listed with several builds: it waits when the lowest does.
	lowest := map[string]string{}
	eachFix(p.listings, func(f vuln.Fix) {
		if kindOf(f, true) == cumulativeUpdate && sameBranch(f.Build, build) && slices.Contains(installed, f.KB) &&
			(lowest[f.KB] == "" || compareBuilds(f.Build, lowest[f.KB]) < 0) {
			lowest[f.KB] = f.Build
		}
	})
	for _, kb := range installed {
		if lowest[kb] != "" && compareBuilds(lowest[kb], build) > 0 {
			waiting, newest = append(waiting, kb), later(newest, lowest[kb])
		}
	}
	return waiting, newest
}

func eachFix(listings []Listing, do func(vuln.Fix)) {
	for i := range listings {
		for _, f := range listings[i].Fixes {
			do(f)
		}
	}
}

// closure is every update the installed ones are or supersede, over all steps the
// listings name.
func closure(listings []Listing, installed []string) map[string]bool {
	supersedes := map[string][]string{}
	eachFix(listings, func(f vuln.Fix) { supersedes[f.KB] = append(supersedes[f.KB], f.Supersedes...) })
	out := map[string]bool{}
	todo := slices.Clone(installed)
	for len(todo) > 0 {
		kb := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if kb == "" || out[kb] {
			continue
		}
		out[kb] = true
		todo = append(todo, supersedes[kb]...)
	}
	return out
}

// sameBranch tells whether two builds count the same revisions ("10.0.17763.…"). The
// documents also give numbers of parts ("1.003" of Internet Explorer), which compare
// with no build of Windows.
func sameBranch(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	return len(x) >= 3 && len(y) >= 3 && slices.Equal(x[:3], y[:3])
}

func reaches(level, build string) bool {
	return sameBranch(level, build) && compareBuilds(level, build) >= 0
}

func later(a, b string) string {
	if compareBuilds(a, b) < 0 {
		return b
	}
	return a
}

// compareBuilds compares dotted build numbers number by number; a missing number is 0.
func compareBuilds(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if c := cmp.Compare(number(x, i), number(y, i)); c != 0 {
			return c
		}
	}
	return 0
}

func number(parts []string, i int) int {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.Atoi(parts[i])
	return n
}
