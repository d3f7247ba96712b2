package version

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kannuki/kannuki/vuln"
)

// Set is the versions one statement calls affected, parsed once and asked often.
// It is immutable.
type Set struct {
	order     Order
	intervals []interval
	versions  []key
	listed    []string // versions as they were written
}

// Hit says why a version is in a Set.
type Hit struct {
	// Interval is what matched: "0 ≤ v < X", "A ≤ v ≤ B", "v ≥ A", or "v = X" for a
	// version listed on its own.
	Interval string
	// Fixed is the smallest fix above the version that no other interval of the set
	// takes back; empty where the record knows none.
	Fixed string
}

// interval is [low, high) or [low, high]; open ends have no bound.
type interval struct {
	order     Order
	low, high *bound // low nil: before every version; high nil: no end
	inclusive bool   // high belongs to it
	fix       *bound // leads out of it
}

type bound struct {
	key
	text string
}

// InRange is Compile and Contains in one, for a version that is asked once.
func InRange(order Order, v string, ranges []vuln.Range, versions []string) (hit bool, which, fixed string, err error) {
	s, err := Compile(order, ranges, versions)
	if err != nil {
		return false, "", "", err
	}
	h, hit, err := s.Contains(v)
	return hit, h.Interval, h.Fixed, err
}

// Compile parses OSV ranges and listed versions. Events may come in any order;
// several intervals and several fixes in one range are one union. GIT ranges say
// nothing about package versions and are left out; a SEMVER range is in Semver
// order whatever the order of the package. No ranges and no versions is the empty
// set. An event that is not exactly one bound, a bound that is no version, and a
// range that ends without having begun are errors: a record half understood must
// be rejected, not half used.
func Compile(order Order, ranges []vuln.Range, versions []string) (*Set, error) {
	s := &Set{order: order, listed: versions}
	for i, r := range ranges {
		o := order
		switch r.Kind {
		case "GIT":
			continue
		case "SEMVER":
			o = Semver
		case "", "ECOSYSTEM":
		default:
			return nil, fmt.Errorf("range %d: kind %q is none of ECOSYSTEM, SEMVER, GIT", i, r.Kind)
		}
		intervals, err := compileRange(o, r.Events)
		if err != nil {
			return nil, fmt.Errorf("range %d: %w", i, err)
		}
		s.intervals = append(s.intervals, intervals...)
	}
	for i, v := range versions {
		var k key
		if err := k.parse(order, v); err != nil {
			return nil, fmt.Errorf("version %d: %w", i, err)
		}
		s.versions = append(s.versions, k)
	}
	return s, nil
}

// Kinds of event, in the order they count at one version while an interval is open.
const (
	fixed = iota
	lastAffected
	introduced
)

type event struct {
	kind  int
	bound *bound // nil: before every version
}

func readEvent(order Order, e vuln.Event) (event, error) {
	ev, filled := event{}, 0
	text := ""
	for kind, s := range [...]string{fixed: e.Fixed, lastAffected: e.LastAffected, introduced: e.Introduced} {
		if s != "" {
			ev.kind, text = kind, s
			filled++
		}
	}
	if filled != 1 {
		return ev, fmt.Errorf("an event must have exactly one of introduced, fixed and last_affected, this has %d", filled)
	}
	// OSV: "0" is before every version. Debian writes fixed "0" for "never affected".
	if text == "0" && ev.kind != lastAffected {
		return ev, nil
	}
	ev.bound = &bound{text: text}
	return ev, ev.bound.parse(order, text)
}

func compareBounds(a, b *bound) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.compare(&b.key)
}

// compileRange turns the events of one range into intervals, lowest first.
func compileRange(order Order, events []vuln.Event) ([]interval, error) {
	list := make([]event, 0, len(events))
	for i, e := range events {
		ev, err := readEvent(order, e)
		if err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
		list = append(list, ev)
	}
	slices.SortStableFunc(list, func(a, b event) int {
		return cmp.Or(compareBounds(a.bound, b.bound), cmp.Compare(a.kind, b.kind))
	})
	var out []interval
	var open *interval
	begun := false
	for len(list) > 0 {
		// Events at one version: what is open ends before the next begins, and what
		// begins here may end here.
		n := 1
		for n < len(list) && compareBounds(list[0].bound, list[n].bound) == 0 {
			n++
		}
		group := list[:n]
		list = list[n:]
		begun = begun || group[n-1].kind == introduced
		if !begun {
			return nil, fmt.Errorf("ends at %s before anything was introduced", textOf(group[0].bound))
		}
		if open == nil && group[n-1].kind == introduced {
			open = &interval{order: order, low: group[n-1].bound}
			group = group[:n-1]
		}
		open, out = endGroup(order, open, out, group)
	}
	if open != nil {
		out = append(out, *open)
	}
	return out, nil
}

// endGroup applies the events of one version, in kind order, to the open interval.
func endGroup(order Order, open *interval, out []interval, group []event) (*interval, []interval) {
	for _, e := range group {
		switch {
		case e.kind == introduced && open == nil:
			open = &interval{order: order, low: e.bound}
		case e.kind == introduced: // already affected
		case open != nil:
			open.high, open.inclusive = e.bound, e.kind == lastAffected
			if e.kind == fixed {
				open.fix = e.bound
			}
			if e.kind == lastAffected || compareBounds(open.low, open.high) < 0 {
				out = append(out, *open)
			}
			open = nil
		case e.kind == fixed && len(out) > 0 && out[len(out)-1].fix == nil:
			out[len(out)-1].fix = e.bound // last_affected said where it ends, this says what to install
		}
	}
	return open, out
}

func textOf(b *bound) string {
	if b == nil {
		return "0"
	}
	return b.text
}

// Contains tells whether v is affected, and if so by which interval and what fixes
// it. The error is an *Error about v.
func (s *Set) Contains(v string) (Hit, bool, error) {
	var k key
	if err := k.parse(s.order, v); err != nil {
		return Hit{}, false, err
	}
	for i := range s.intervals {
		in, err := s.intervals[i].contains(&k, v)
		if err != nil {
			return Hit{}, false, err
		}
		if in {
			return Hit{Interval: s.intervals[i].String(), Fixed: s.fix(&s.intervals[i])}, true, nil
		}
	}
	for i := range s.versions {
		if s.versions[i].compare(&k) == 0 {
			return Hit{Interval: "v = " + s.listed[i]}, true, nil
		}
	}
	return Hit{}, false, nil
}

// fix follows the fix of the interval hit until it leads out of the whole set.
func (s *Set) fix(hit *interval) string {
	for range len(s.intervals) + 1 {
		if hit.fix == nil {
			return ""
		}
		next := slices.IndexFunc(s.intervals, func(in interval) bool { return in.order == hit.order && in.holds(&hit.fix.key) })
		if next < 0 {
			return hit.fix.text
		}
		hit = &s.intervals[next]
	}
	return ""
}

// contains reads v again where the interval has an order of its own.
func (in *interval) contains(k *key, v string) (bool, error) {
	if k.order == in.order {
		return in.holds(k), nil
	}
	var own key
	if err := own.parse(in.order, v); err != nil {
		return false, err
	}
	return in.holds(&own), nil
}

func (in *interval) holds(k *key) bool {
	if in.low != nil && k.compare(&in.low.key) < 0 {
		return false
	}
	switch {
	case in.high == nil:
		return true
	case !in.inclusive:
		return k.compare(&in.high.key) < 0
	case k.order == RPM && !in.high.revised && k.revised:
		// A last affected rpm version without a release means all its releases.
		k = &key{order: RPM, epoch: k.epoch, upstream: k.upstream}
	}
	return k.compare(&in.high.key) <= 0
}

// String writes the interval as a reader would.
func (in *interval) String() string {
	switch {
	case in.high == nil:
		return "v ≥ " + textOf(in.low)
	case in.inclusive:
		return textOf(in.low) + " ≤ v ≤ " + in.high.text
	}
	return textOf(in.low) + " ≤ v < " + in.high.text
}
