package version

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kannuki/kannuki/vuln"
)

// events reads "i:0 f:1.2 l:1.3" as a range's events.
func events(kind, text string) vuln.Range {
	r := vuln.Range{Kind: kind}
	for _, word := range strings.Fields(text) {
		var e vuln.Event
		switch what, v, _ := strings.Cut(word, "="); what {
		case "i":
			e.Introduced = v
		case "f":
			e.Fixed = v
		case "l":
			e.LastAffected = v
		}
		r.Events = append(r.Events, e)
	}
	return r
}

func TestRangesContainWhatOSVSaysTheyDo(t *testing.T) {
	eco := func(texts ...string) (out []vuln.Range) {
		for _, s := range texts {
			out = append(out, events("ECOSYSTEM", s))
		}
		return out
	}
	for _, c := range []struct {
		name     string
		order    Order
		ranges   []vuln.Range
		versions []string
		v        string
		interval string // "" is not affected
		fixed    string
	}{
		{"below the fix", Dpkg, eco("i=0 f=1:9.2p1-2+deb12u3"), nil, "1:9.2p1-2+deb12u2", "0 ≤ v < 1:9.2p1-2+deb12u3", "1:9.2p1-2+deb12u3"},
		{"the fix itself", Dpkg, eco("i=0 f=1.2-1"), nil, "1.2-1", "", ""},
		{"a backport is before the fix", Dpkg, eco("i=0 f=1.2-1"), nil, "1.2-1~bpo12+1", "0 ≤ v < 1.2-1", "1.2-1"},
		{"no fix", Dpkg, eco("i=0"), nil, "99", "v ≥ 0", ""},
		{"no fix, later start", Dpkg, eco("i=2.0"), nil, "2.0", "v ≥ 2.0", ""},
		{"before the start", Dpkg, eco("i=2.0"), nil, "2.0~rc1", "", ""},
		{"zero is before a tilde", Dpkg, eco("i=0 f=1"), nil, "0~0", "0 ≤ v < 1", "1"},
		{"last affected is inside", Dpkg, eco("i=1 l=1.5"), nil, "1.5", "1 ≤ v ≤ 1.5", ""},
		{"after last affected", Dpkg, eco("i=1 l=1.5"), nil, "1.5-1", "", ""},
		{"last affected, and a fix beside it", Dpkg, eco("i=0 l=1.5 f=1.7"), nil, "1.2", "0 ≤ v ≤ 1.5", "1.7"},
		{"between last affected and the fix", Dpkg, eco("i=0 l=1.5 f=1.7"), nil, "1.6", "", ""},
		{"second interval", Dpkg, eco("i=0 f=1.2 i=2.0 f=2.3"), nil, "2.1", "2.0 ≤ v < 2.3", "2.3"},
		{"between two intervals", Dpkg, eco("i=0 f=1.2 i=2.0 f=2.3"), nil, "1.9", "", ""},
		{"events in any order", Dpkg, eco("f=2.3 i=2.0 f=1.2 i=0"), nil, "1.1", "0 ≤ v < 1.2", "1.2"},
		{"the first of several fixes", Dpkg, eco("i=0 f=1.2 f=1.4"), nil, "1.0", "0 ≤ v < 1.2", "1.2"},
		{"several fixes: fixed from the first on", Dpkg, eco("i=0 f=1.4 f=1.2"), nil, "1.3", "", ""},
		{"fixed and introduced again at one version", Dpkg, eco("i=0 f=1 i=1 f=2"), nil, "1", "1 ≤ v < 2", "2"},
		{"fixed at 0: never affected", Dpkg, eco("i=0 f=0"), nil, "1", "", ""},
		{"an empty interval", Dpkg, eco("i=1 f=1"), nil, "1", "", ""},
		{"the fix of one range lies in another", Dpkg, eco("i=0 f=1.2", "i=1.0 f=1.9"), nil, "0.5", "0 ≤ v < 1.2", "1.9"},
		{"the fix of one range lies where nothing fixes", Dpkg, eco("i=0 f=1.2", "i=1.0"), nil, "0.5", "0 ≤ v < 1.2", ""},
		{"a listed version", Dpkg, nil, []string{"1.0-1", "1.0-2"}, "0:1.0-2", "v = 1.0-2", ""},
		{"not listed", Dpkg, nil, []string{"1.0-1"}, "1.0-1+b1", "", ""},
		{"nothing said", Dpkg, nil, nil, "1", "", ""},
		{"git says nothing", Dpkg, []vuln.Range{events("GIT", "i=0 f=deadbeef-")}, nil, "1", "", ""},
		{"rpm", RPM, eco("i=0 f=32:9.16.23-11.el9_2.2"), nil, "32:9.16.23-11.el9", "0 ≤ v < 32:9.16.23-11.el9_2.2", "32:9.16.23-11.el9_2.2"},
		{"rpm last affected without release", RPM, eco("i=0 l=1.2"), nil, "1.2-3.el9", "0 ≤ v ≤ 1.2", ""},
		{"rpm fixed without release", RPM, eco("i=0 f=1.2"), nil, "1.2-3.el9", "", ""},
		{"apk", APK, eco("i=0 f=3.1.4-r5"), nil, "3.1.4-r4", "0 ≤ v < 3.1.4-r5", "3.1.4-r5"},
		{"semver in its own order", Dpkg, []vuln.Range{events("SEMVER", "i=1.0.0-rc.1 f=1.0.0")}, nil, "1.0.0-rc.2", "1.0.0-rc.1 ≤ v < 1.0.0", "1.0.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hit, interval, fixed, err := InRange(c.order, c.v, c.ranges, c.versions)
			if err != nil {
				t.Fatal(err)
			}
			if hit != (c.interval != "") || interval != c.interval || fixed != c.fixed {
				t.Errorf("got %v %q fixed %q, want %q fixed %q", hit, interval, fixed, c.interval, c.fixed)
			}
		})
	}
}

func TestHalfUnderstoodRangesAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		ranges   []vuln.Range
		versions []string
		want     string
	}{
		"two bounds in one event": {[]vuln.Range{{Events: []vuln.Event{{Introduced: "0", Fixed: "1"}}}}, nil, "event 0"},
		"an empty event":          {[]vuln.Range{{Events: []vuln.Event{{Introduced: "0"}, {}}}}, nil, "event 1"},
		"a bound no version":      {[]vuln.Range{events("", "i=0 f=1.0-")}, nil, `dpkg version "1.0-"`},
		"an end without a start":  {[]vuln.Range{events("", "f=1.0")}, nil, "ends at 1.0"},
		"an end before the start": {[]vuln.Range{events("", "i=2 f=1.0")}, nil, "ends at 1.0"},
		"an unknown kind":         {[]vuln.Range{{Kind: "MAVEN"}}, nil, `"MAVEN"`},
		"a listed non-version":    {nil, []string{"1", ":"}, "version 1"},
		"the second range":        {[]vuln.Range{events("", "i=0"), events("", "l=1")}, nil, "range 1"},
	} {
		if _, err := Compile(Dpkg, c.ranges, c.versions); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	s, err := Compile(Dpkg, []vuln.Range{events("", "i=0")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var e *Error
	if _, _, err := s.Contains("1:"); !errors.As(err, &e) || e.Version != "1:" {
		t.Errorf("an installed version that is none: got %v", err)
	}
}

// byTheBook is OSV's published evaluation, one event after the other.
func byTheBook(t *testing.T, v string, r vuln.Range) bool {
	type step struct{ at, what string }
	var steps []step
	for _, e := range r.Events {
		switch {
		case e.Introduced != "":
			steps = append(steps, step{e.Introduced, "i"})
		case e.Fixed != "":
			steps = append(steps, step{e.Fixed, "f"})
		default:
			steps = append(steps, step{e.LastAffected, "l"})
		}
	}
	compare := func(a, b string) int {
		c, err := Compare(Dpkg, a, b)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for i := range steps { // insertion sort: no code shared with what is tested
		for j := i; j > 0 && compare(steps[j].at, steps[j-1].at) < 0; j-- {
			steps[j], steps[j-1] = steps[j-1], steps[j]
		}
	}
	affected := false
	for _, s := range steps {
		c := compare(v, s.at)
		switch {
		case s.what == "i" && c >= 0:
			affected = true
		case s.what == "f" && c >= 0, s.what == "l" && c > 0:
			affected = false
		}
	}
	return affected
}

func TestRangesAgreeWithOSVsPublishedEvaluation(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	hits := 0
	for range 20_000 {
		// Distinct bounds: at one version the published evaluation depends on the sort.
		text, at := "", 1+r.IntN(3)
		for i := range 1 + r.IntN(6) {
			what := pick(r, []string{"i", "f", "l"})
			if i == 0 {
				what = "i"
			}
			text += " " + what + "=" + string(rune('0'+at/10)) + string(rune('0'+at%10))
			at += 1 + r.IntN(4)
		}
		rng := events("", text)
		r.Shuffle(len(rng.Events), func(i, j int) { rng.Events[i], rng.Events[j] = rng.Events[j], rng.Events[i] })
		for v := range 25 {
			s := string(rune('0'+v/10)) + string(rune('0'+v%10))
			got, _, fix, err := InRange(Dpkg, s, []vuln.Range{rng}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := byTheBook(t, s, rng); got != want {
				t.Fatalf("%s in %s: got %v, want %v", s, text, got, want)
			}
			if got {
				hits++
			}
			if fix != "" && byTheBook(t, fix, rng) {
				t.Fatalf("%s in %s: the fix %s is affected", s, text, fix)
			}
		}
	}
	if hits < 50_000 {
		t.Errorf("only %d hits", hits)
	}
}

func FuzzInRange(f *testing.F) {
	f.Add(uint8(Dpkg), "1.0", "0", "1.2", "1.1", "1.0-1")
	f.Add(uint8(RPM), "1.0-1", "1.0", "1.0", "2", "1:1")
	f.Add(uint8(Semver), "1.0.0", "0", "0", "1.0.0-a", "v1")
	f.Fuzz(func(t *testing.T, order uint8, v, intro, fix, last, listed string) {
		r := vuln.Range{Events: []vuln.Event{{Introduced: intro}, {Fixed: fix}, {LastAffected: last}}}
		hit, interval, fixed, err := InRange(Order(order), v, []vuln.Range{r}, []string{listed})
		if err != nil && (hit || interval != "" || fixed != "") {
			t.Error("an answer beside an error")
		}
		if err == nil && hit != (interval != "") {
			t.Errorf("hit %v with interval %q", hit, interval)
		}
	})
}

func TestAskingACompiledSetAllocatesNothingOnAMiss(t *testing.T) {
	s, err := Compile(Dpkg, []vuln.Range{events("", "i=0 f=1.2 i=2.0 f=2.3-1+deb12u4")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, in, err := s.Contains("2.3-1+deb12u5"); in || err != nil {
			t.Fatal(in, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkContains(b *testing.B) {
	s, err := Compile(Dpkg, []vuln.Range{events("", "i=0 f=1:9.2p1-2+deb12u3")}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, in, err := s.Contains("1:9.2p1-2+deb12u4"); in || err != nil {
			b.Fatal(in, err)
		}
	}
}
