package ruleset_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
)

func place(t *testing.T, rs ruleset.Ruleset, at string) ruleset.Place {
	t.Helper()
	for _, p := range rs.Places {
		if p.Path == at {
			return p
		}
	}
	t.Fatalf("%s is no place", at)
	return ruleset.Place{}
}

func program(rs ruleset.Ruleset, at string) ruleset.Program {
	for _, p := range rs.Programs {
		if p.Path == at {
			return p
		}
	}
	return ruleset.Program{}
}

func TestAGrantCountsUntilItEnds(t *testing.T) {
	end := noon.Add(time.Hour)
	later := end.Add(time.Hour)
	p := sealed("/opt")
	p.Grants = []policy.Grant{
		{ID: "one", To: policy.Who{Unit: "a.service"}, Launch: []string{"/data/bin"}, Write: []string{"/opt/app"}, Expires: end},
		{ID: "two", To: policy.Who{Unit: "b.service"}, Launch: []string{"/data"}, Utilities: []string{"find"}, Expires: later},
	}
	p.Programs = []policy.ProgramDir{{Path: "/usr/bin"}}
	p.Utilities.Refuse = []policy.Utility{{Category: "wrapper", Names: []string{"find", "env"}}}
	p.Fill()
	for _, row := range []struct {
		now                              time.Time
		bin, data, app, find             string
		binPlace, dataPlace, grantsPlace bool
	}{
		{noon, "unit a.service until T, unit b.service until T", "unit b.service until U", "unit a.service until T", "unit b.service until U", true, true, true},
		{end, "", "unit b.service until U", "", "unit b.service until U", false, true, true},
		{later, "", "", "", "", false, false, false},
	} {
		rs, _ := ruleset.Compile(p, ruleset.Host{}, row.now)
		words := strings.NewReplacer("T", end.Format(time.RFC3339), "U", later.Format(time.RFC3339))
		for at, want := range map[string]string{"/data/bin": row.bin, "/data": row.data} {
			i := slices.IndexFunc(rs.Places, func(p ruleset.Place) bool { return p.Path == at })
			if (i >= 0) != (want != "") {
				t.Errorf("%s: at %s is a place: %v", row.now, at, i >= 0)
			} else if i >= 0 && (members(rs, rs.Places[i].Launchers) != words.Replace(want) || rs.Places[i].Coders != rs.Places[i].Launchers) {
				t.Errorf("%s: at %s launch %q, want %q", row.now, at, members(rs, rs.Places[i].Launchers), words.Replace(want))
			}
		}
		if row.app != "" {
			if got := members(rs, place(t, rs, "/opt/app").Writers); got != words.Replace(row.app) {
				t.Errorf("%s: /opt/app is written by %q", row.now, got)
			}
		}
		if got := members(rs, program(rs, "/usr/bin/find").Runs); got != words.Replace(row.find) {
			t.Errorf("%s: find is run by %q, want %q", row.now, got, row.find)
		}
		if program(rs, "/usr/bin/env").Runs != 0 {
			t.Error("env is run by somebody")
		}
	}
}

func TestAProgramIsNamedWithItsVersionsAndWhereItsLinksLead(t *testing.T) {
	rs, gaps := compile(t, builtin(t, "standard"), debian())
	for at, want := range map[string]string{
		"/usr/bin/python3.11":                         "interpreter+utility",
		"/usr/bin/python3":                            "interpreter+utility",
		"/usr/bin/perl5.36-x86_64-linux-gnu":          "interpreter+utility",
		"/usr/bin/mawk":                               "interpreter+utility",
		"/usr/bin/nc.openbsd":                         "utility",
		"/usr/bin/ruby":                               "interpreter+utility", // not installed
		"/usr/local/bin/ruby":                         "interpreter+utility",
		"/usr/bin/kmod":                               "updater+utility+loader",
		"/usr/sbin/insmod":                            "utility+loader",
		"/usr/bin/ls":                                 "",
		"/usr/lib/jvm/java-17-openjdk-amd64/bin/java": "interpreter+utility",
		"/etc/alternatives/awk":                       "", // no program lies there
	} {
		if got := programFlags(program(rs, at).Flags); got != want {
			t.Errorf("%s is %q, want %q", at, got, want)
		}
	}
	if o := program(rs, "/usr/bin/mawk").Options; !o.NoScript {
		t.Errorf("mawk has the options of another language: %+v", o)
	}
	for _, g := range gaps {
		if g.Control == "utility" {
			t.Errorf("a gap: %+v", g)
		}
	}
}

// One file goes by two names, and only one of them is allowed.
func TestAFileOfSeveralNamesIsRunByWhoMayRunEach(t *testing.T) {
	p := policy.Policy{Version: 1, Name: "test", Mode: policy.Enforce, Programs: []policy.ProgramDir{{Path: "/usr/bin"}}}
	p.Utilities.Refuse = []policy.Utility{{Category: "shell", Names: []string{"sh"}}, {Category: "relay", Names: []string{"nc"}}}
	p.Utilities.Allow = []policy.UtilityAllowance{
		{ID: "one", To: []policy.Who{{Unit: "a.service"}}, Names: []string{"sh"}},
		{ID: "both", To: []policy.Who{{Unit: "b.service"}}, Names: []string{"sh"}, Categories: []string{"relay"}},
	}
	p.Fill()
	rs, _ := ruleset.Compile(p, ruleset.Host{FS: files("usr/bin/sh -> ../lib/multi\nusr/bin/nc -> ../lib/multi\nusr/lib/multi")}, noon)
	if got := members(rs, program(rs, "/usr/lib/multi").Runs); got != "unit b.service" {
		t.Errorf("run by %q", got)
	}
}

func TestTimersOfTheSystemStartUpdaters(t *testing.T) {
	rs, _ := compile(t, builtin(t, "standard"), debian())
	got := strings.Split(members(rs, rs.Starters), ", ")
	for unit, want := range map[string]bool{
		"apt-daily.service":   true,
		"rotate-logs.service": true, // its timer names it
		"cron.service":        true,
		"packagekit.service":  true,  // the policy names it
		"e2scrub_all.service": false, // masked
		"evil.service":        false, // its timer lies in a home
		"linked.service":      false,
		"reach.service":       false, // its timer reaches a target
	} {
		if slices.Contains(got, "unit "+unit) != want {
			t.Errorf("%s starts updaters: %v, want %v", unit, !want, want)
		}
	}
}

func TestWhoCannotBeToldIsLeftOutAndSaid(t *testing.T) {
	p := sealed("/opt")
	long := strings.Repeat("x", ruleset.MaxUnit) + ".service"
	p.Spaces.System[0].Writers = []policy.Who{{User: "nobody-here"}, {Unit: long}, {Unit: "a.service"}}
	rs, gaps := ruleset.Compile(p, ruleset.Host{}, noon)
	if got := members(rs, place(t, rs, "/opt").Writers); got != "unit a.service" {
		t.Errorf("written by %q", got)
	}
	for _, w := range p.Spaces.System[0].Writers[:2] {
		if !hasGap(gaps, "system:/opt", w.String()) {
			t.Errorf("no gap for %s: %v", w, gaps)
		}
	}
}

// What there is no room for are exceptions; every refusal is there.
func TestPastTheLimitsExceptionsAreLeftOutAndRefusalsStay(t *testing.T) {
	p := many(ruleset.MaxGroups + 500)
	p.Containment.Contain = []policy.Contain{{Who: policy.Who{Unit: "contained.service"}}}
	p.Fill()
	rs, gaps := ruleset.Compile(p, ruleset.Host{}, noon)
	if len(rs.Lineages) > ruleset.MaxLineages || len(rs.Groups) > ruleset.MaxGroups {
		t.Fatalf("%d lineages, %d groups", len(rs.Lineages), len(rs.Groups))
	}
	left := 0
	for i := range p.Spaces.System {
		place := place(t, rs, fmt.Sprintf("/srv/app%d", i))
		if place.Flags&ruleset.Sealed == 0 {
			t.Fatalf("%s is not sealed", place.Path)
		}
		if members(rs, place.Writers) == "" {
			left++
			if !slices.ContainsFunc(gaps, func(g ruleset.Gap) bool { return g.Rule == p.Spaces.System[i].ID }) {
				t.Fatalf("%s lost its writers and nobody said so", place.Path)
			}
		}
	}
	if left == 0 {
		t.Error("nothing was left out: the test tries no limit")
	}
	if l := rs.Lineages[0]; l.Unit != "contained.service" || l.Flags&ruleset.Contained == 0 {
		t.Errorf("what is contained is not first: %+v", l)
	}
}

// many is a policy of n places with a writer each.
func many(n int) policy.Policy {
	p := policy.Policy{Version: 1, Name: "many", Mode: policy.Enforce}
	for i := range n {
		p.Spaces.System = append(p.Spaces.System, policy.SystemPath{Place: policy.Place{Path: fmt.Sprintf("/srv/app%d", i)}, Seal: policy.Sealed,
			Writers: []policy.Who{{Unit: fmt.Sprintf("deploy%d.service", i%700)}}})
	}
	p.Fill()
	return p
}

func TestEveryPolicyCompilesTheSameTwice(t *testing.T) {
	for _, name := range []string{"standard", "strict", "observe"} {
		one, _ := compile(t, builtin(t, name), debian())
		two, _ := compile(t, builtin(t, name), debian())
		all := func(ruleset.Program) bool { return true }
		if listing(one, all) != listing(two, all) || fmt.Sprint(one) != fmt.Sprint(two) {
			t.Errorf("%s differs", name)
		}
	}
}

// A host with 10,000 rules more than standard: one Compile stays well below a second.
func BenchmarkCompile(b *testing.B) {
	for _, extra := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprintf("standard+%d", extra), func(b *testing.B) {
			p := many(extra).Over(builtin(b, "standard"))
			h := debian()
			for b.Loop() {
				rs, _ := ruleset.Compile(p, h, noon)
				b.ReportMetric(float64(len(rs.Places)), "places")
			}
		})
	}
}
