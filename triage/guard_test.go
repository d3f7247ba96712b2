package triage

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/vuln"
)

// checkOnlyLengthens holds a verdict under a protection against that without one: the
// same findings, none more urgent, none due earlier, and none moved by what is not
// covered, not known, or no longer confirmed.
func checkOnlyLengthens(t *testing.T, bare, guarded Scan) (moved int) {
	t.Helper()
	if diff := cmp.Diff(found(bare), found(guarded)); diff != "" {
		t.Fatalf("%s: findings without (-) and with (+) a guard\n%s", bare.Host.Name, diff)
	}
	before := map[findingKey]*Finding{}
	for i := range bare.Findings {
		before[bare.Findings[i].key()] = &bare.Findings[i]
	}
	for i := range guarded.Findings {
		f := &guarded.Findings[i]
		was := before[f.key()]
		same := f.Decision == was.Decision && sameTime(f.Deadline, was.Deadline)
		switch {
		case Urgency(f.Decision) > Urgency(was.Decision):
			t.Fatalf("%s: the guard makes it more urgent: %s, %s without", f.ID, f.Decision, was.Decision)
		case f.Deadline != nil && (was.Deadline == nil || f.Deadline.Before(*was.Deadline)):
			t.Fatalf("%s: the guard shortens its deadline to %v from %v", f.ID, f.Deadline, was.Deadline)
		case was.Forensics && !f.Forensics:
			t.Fatalf("%s: the guard takes the search for traces away", f.ID)
		case f.Unguarded != "" && f.Unguarded != was.Decision:
			t.Fatalf("%s: without the guard said to be %s, and is %s", f.ID, f.Unguarded, was.Decision)
		case same:
			continue
		case f.Coverage == Limited && f.Exploitation == Active:
			// TRIAGE.md: what is exploited and not covered at all is raised, so what is
			// limited is not.
		case f.Coverage == None || f.Coverage == Limited || len(f.Types) == 0:
			t.Fatalf("%s: moved to %s by coverage %s of types %v", f.ID, f.Decision, f.Coverage, f.Types)
		case f.KEV && f.Exposure == Open && f.Impact == "total":
			t.Fatalf("%s: exploited, exposed and total, and moved to %s", f.ID, f.Decision)
		case Stale(guarded.Protection, guarded.At):
			t.Fatalf("%s: moved to %s by a protection last confirmed %v", f.ID, f.Decision, guarded.Protection.Reported)
		}
		moved++
	}
	return moved
}

func TestCoverageCanLengthenADeadlineAndNeverHidesAFinding(t *testing.T) {
	moved := 0
	for seed := range uint64(1200) {
		w := world{rand.New(rand.NewPCG(seed, 11))}
		e := engineAt(t, TableNames[w.IntN(2)], w.records())
		for range 4 {
			inv, first := w.host(), now.AddDate(0, 0, -w.IntN(90))
			bare, err := e.Scan(t.Context(), inv, host.Protection{}, first)
			if err != nil {
				t.Fatal(err)
			}
			guarded, err := e.Scan(t.Context(), inv, w.protection(), first)
			if err != nil {
				t.Fatal(err)
			}
			moved += checkOnlyLengthens(t, bare, guarded)
			for _, m := range Moves(guarded, bare) { // and back: what stops only returns
				if m.Later() {
					t.Fatalf("%s may wait longer without a guard: %+v", m.ID, m)
				}
			}
		}
	}
	t.Logf("%d findings moved", moved)
	if moved < 100 {
		t.Errorf("%d findings moved: this proves little", moved)
	}
}

// FuzzOnlyLengthens lets a fuzzer choose the protection.
func FuzzOnlyLengthens(f *testing.F) {
	f.Add(uint64(1), uint16(0xffff), uint16(0xffff), int64(0), true)
	f.Add(uint64(2), uint16(0xfffb), uint16(0xffff), int64(600), false)
	f.Add(uint64(3), uint16(0xffff), uint16(0), int64(-3600), true)
	f.Fuzz(func(t *testing.T, seed uint64, enforced, proven uint16, ago int64, contained bool) {
		w := world{rand.New(rand.NewPCG(seed, 13))}
		e := engineAt(t, TableNames[seed%2], w.records())
		inv := w.host()
		p := inForce("demo", "demo.service", "lib.service", "lib")
		if !contained {
			p.Contained = nil
		}
		p.Reported = now.Add(-time.Duration(ago%100_000) * time.Second)
		for i := range p.Controls {
			if enforced&(1<<i) == 0 {
				p.Controls[i].Mode = host.Observe
			}
			if proven&(1<<i) == 0 {
				p.Controls[i].Proof = nil
			}
		}
		bare, err := e.Scan(t.Context(), inv, host.Protection{}, now)
		if err != nil {
			t.Fatal(err)
		}
		guarded, err := e.Scan(t.Context(), inv, p, now)
		if err != nil {
			t.Fatal(err)
		}
		checkOnlyLengthens(t, bare, guarded)
	})
}

func TestOfHostsWithProtectionsOfTheirOwnNothingIsKept(t *testing.T) {
	e := engineAt(t, "ssvc", fakeRecords{rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, nil)})
	kept := func() (n int) {
		for _, u := range e.units {
			n += len(u.groups)
		}
		return n
	}
	judge := func(steps int) {
		p := changed(inForce("demo"), func(s *host.ControlStatus) { proof := *s.Proof; proof.Steps = steps; s.Proof = &proof })
		if _, err := e.Judge(t.Context(), web(), p); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 50 {
		judge(i)
	}
	if n := kept(); n > 1 {
		t.Errorf("%d groups of findings are kept of 50 hosts that share nothing", n)
	}
	judge(49)
	judge(50)
	if n := kept(); n != 2 {
		t.Errorf("%d groups are kept, want that of the two hosts alike and the last one", n)
	}
}

func TestEveryStageOfAnAttackIsJudgedByTheControlsThatRefuseIt(t *testing.T) {
	web := Component{Source: "nginx", Packages: []string{"nginx"}}
	states := func(c Component, types, v string, p host.Protection) string {
		out := ""
		for _, s := range Cover(c, typed(types), vector(v), p, morning).Stages {
			mark := map[string]string{StageRefused: "R", StagePartly: "p", StageOpen: "-"}[s.State]
			if s.State != StageOpen && !s.Proven {
				mark += "?"
			}
			out += mark
		}
		return out
	}
	full := guarded("nginx")
	for _, c := range []struct {
		name      string
		component Component
		types, v  string
		p         host.Protection
		want      string // entry execution persistence privilege impact
	}{
		{"a contained service", web, "exec", remoteAll, full, "-RRRp"},
		{"a service nobody contains", Component{Source: "sshd"}, "exec", remoteAll, full, "-pp--"},
		{"inclusion is stopped at its first step", web, "inclusion", remoteAll, full, "RRRRp"},
		{"a setuid program", Component{Source: "sudo"}, "priv", localAll, full, "RRRRp"},
		{"the kernel", Component{Source: "linux", Kernel: true}, "exec", remoteAll, full, "-----"},
		{"a refused surface of the kernel", Component{Source: "linux", Kernel: true, Vulnerability: "CVE-2024-1086"}, "priv", localAll, full, "RRRRp"},
		{"what the service itself skips does not free it", web, "bypass", remoteAll, full, "-RRRp"},
		{"utilities allowed", web, "exec", remoteAll, changed(full, observing, host.Utility), "-pRRp"},
		{"writing allowed", web, "exec", remoteAll, changed(full, observing, host.Write), "-R-Rp"},
		{"containment off", web, "exec", remoteAll, changed(full, observing, host.Containing), "-pppp"},
		{"launching allowed, nobody contained", Component{Source: "sshd"}, "exec", remoteAll, changed(full, observing, host.Launch), "--p--"},
		{"unproven is one step back", web, "exec", remoteAll, changed(full, unproven), "-p?p?p?-"},
		{"one unproven control", web, "exec", remoteAll, changed(full, unproven, host.KernelCtl), "-RRp?p"},
		{"only stopping it", web, "dos", remoteStop, full, ""},
		{"no guard", web, "exec", remoteAll, host.Protection{}, ""},
	} {
		if got := states(c.component, c.types, c.v, c.p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAPackageSaidToBeContainedAnswersOnlyForWhatNoServiceRuns(t *testing.T) {
	for _, c := range []struct {
		name      string
		units     []string
		loose     bool
		contained []string
		want      Effect
	}{
		{"a service and its package", []string{"a.service"}, false, []string{"a.service", "python3"}, Contained},
		{"another service runs it too, uncontained", []string{"a.service", "b.service"}, false, []string{"a.service", "python3"}, None},
		{"both contained", []string{"a.service", "b.service"}, false, []string{"a.service", "b.service"}, Contained},
		{"a process of a session too, of a package that runs contained", []string{"a.service"}, true, []string{"a.service", "python3"}, Contained},
		{"a process of a session too, of one that does not", []string{"a.service"}, true, []string{"a.service"}, None},
		{"only a process of a session", nil, true, []string{"python3"}, Contained},
		{"nothing seen to run it", nil, false, []string{"python3"}, Contained},
		{"nothing seen, and not named", nil, false, []string{"a.service"}, None},
		{"services nobody names, of a named package", []string{"a.service"}, false, []string{"python3"}, Contained},
	} {
		component := Component{Source: "python3.11", Packages: []string{"python3"}, Units: c.units, Loose: c.loose}
		if got := Cover(component, typed("exec"), vector(remoteAll), guarded(c.contained...), morning); got.Effect != c.want {
			t.Errorf("%s: %s, want %s: %v", c.name, got.Effect, c.want, got.Reasons)
		}
	}
}

func TestWhatIfTellsWhatMovesBothWaysAndChangesNothing(t *testing.T) {
	records := fakeRecords{rated("CVE-1", "Debian:12", "demo", "", codeExecution, remoteAll, &vuln.SSVC{Exploitation: PoC, Automatable: "yes"}),
		rated("CVE-2", "Debian:12", "demo", "", "It allows a denial of service.", remoteStop, nil)}
	e := engineAt(t, "ssvc", records)
	on := inForce("demo", "demo.service")
	off := Without(on, host.Utility)
	if on.Enforced(host.Utility) == off.Enforced(host.Utility) || off.Proven(host.Utility, now) {
		t.Fatal("Without changed what it was given, or nothing")
	}
	for _, c := range []struct {
		name          string
		before, after host.Protection
		want          string
	}{
		{"a control is relaxed", on, off, "CVE-1 contained scheduled > limited out-of-cycle sooner"},
		{"a control is turned on", off, on, "CVE-1 limited out-of-cycle > contained scheduled later"},
		{"what does not count for it", on, Without(on, host.Self), ""},
		{"everything stops", on, host.Protection{}, "CVE-1 contained scheduled > none out-of-cycle sooner"},
	} {
		moves, findings, err := e.WhatIf(t.Context(), web(), now, c.before, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, m := range moves {
			way := map[[2]bool]string{{true, false}: "sooner", {false, true}: "later"}[[2]bool{m.Sooner(), m.Later()}]
			got += m.ID + " " + string(m.Before.Coverage) + " " + string(m.Before.Decision) + " > " + string(m.After.Coverage) + " " + string(m.After.Decision) + " " + way
		}
		if got != c.want || findings != 2 {
			t.Errorf("%s: %q of %d findings, want %q of 2", c.name, got, findings, c.want)
		}
	}
}

func TestWithoutPredictsExactlyWhatRelaxingAControlMoves(t *testing.T) {
	moved := 0
	for seed := range uint64(150) {
		w := world{rand.New(rand.NewPCG(seed, 17))}
		e := engineAt(t, "ssvc", w.records())
		inv := w.host()
		before := inForce("demo", "demo.service", "lib.service")
		before.Allowed = []host.AllowedSurface{{Surface: "xfrm", To: []string{"wg.service"}}}
		for _, c := range allControls {
			predicted, _, err := e.WhatIf(t.Context(), inv, now, before, Without(before, c))
			if err != nil {
				t.Fatal(err)
			}
			// What an agent reports then: the control observes, its proof and what it
			// refused are gone, everything else is as it was, a minute later.
			after := changed(before, observing, c)
			after = changed(after, unproven, c)
			after.Reported = now
			if c == host.KernelCtl {
				after.Surfaces, after.Allowed = nil, nil
			}
			was, err := e.Scan(t.Context(), inv, before, now)
			if err != nil {
				t.Fatal(err)
			}
			is, err := e.Scan(t.Context(), inv, after, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(predicted, Moves(was, is)); diff != "" {
				t.Fatalf("seed %d, without %s (-predicted +happened)\n%s", seed, c, diff)
			}
			moved += len(predicted)
		}
	}
	if moved < 50 {
		t.Errorf("%d moves: this proves little", moved)
	}
}

func TestAPolicysProtectionIsPredictedFromWhatRuns(t *testing.T) {
	p := policy.Policy{Mode: policy.Enforce, Controls: map[host.Control]policy.Mode{host.Utility: policy.Observe},
		Kernel: policy.Kernel{Refuse: []policy.KernelSurface{{Surface: "userns"}, {Surface: "bpf"}}},
		Roles:  []policy.Role{{Role: "php", Who: []policy.Who{{Program: "/usr/sbin/php-fpm8.2"}, {Unit: "php@.service"}}}},
		WX:     []policy.WX{{Who: policy.Who{Unit: "web.service"}}},
		Containment: policy.Containment{Listeners: policy.On,
			Contain: []policy.Contain{{Who: policy.Who{Role: "php"}}},
			Exempt:  []policy.Exempt{{Who: policy.Who{Program: "/usr/sbin/sshd"}}}}}
	everywhere := []host.Listener{{Address: "0.0.0.0", Port: 80}}
	inside := []host.Listener{{Address: "127.0.0.1", Port: 5432}}
	inv := &host.Inventory{Kernel: host.Kernel{Running: "6.12"}, Processes: []host.Process{
		{Name: "web", Exe: "/usr/sbin/web", Unit: "web.service", Package: "web", Listeners: everywhere},
		{Name: "helper", Exe: "/usr/bin/python3", Unit: "web.service", Package: "python3"},
		{Name: "job", Exe: "/usr/bin/python3", Unit: "job.service", Package: "python3"},
		{Name: "sshd", Exe: "/usr/sbin/sshd", Unit: "ssh.service", Package: "sshd", Listeners: everywhere},
		{Name: "db", Exe: "/usr/bin/db", Unit: "db.service", Package: "db", Listeners: inside},
		{Name: "fpm", Exe: "/usr/sbin/php-fpm8.2", Unit: "fpm.service", Package: "php8.2-fpm"},
		{Name: "pool", Exe: "/usr/bin/pool", Unit: "php@shop.service", Package: "pool"},
		{Name: "odd", Exe: "/srv/odd", Package: "", Listeners: everywhere},
	}}
	current := host.Protection{Generation: 4, Tier: "bpf-lsm", Controls: []host.ControlStatus{{Control: host.Write, Mode: host.Observe, Hooks: 9, Gaps: []string{"one"}}}}
	got := Predict(p, inv, current, now)
	if want := []string{"fpm.service", "php8.2-fpm", "php@shop.service", "pool", "web", "web.service"}; !slices.Equal(got.Contained, want) {
		t.Errorf("contained %q, want %q", got.Contained, want)
	}
	if !slices.Equal(got.Surfaces, []string{"userns", "bpf"}) || got.Kernel != "6.12" || got.Tier != "bpf-lsm" {
		t.Errorf("%+v", got)
	}
	for _, c := range policy.Controls() {
		if wanted := c != host.Utility; got.Enforced(c) != wanted || got.Proven(c, now) != wanted {
			t.Errorf("%s: enforced %v, proven %v", c, got.Enforced(c), got.Proven(c, now))
		}
	}
	if i := slices.IndexFunc(got.Controls, func(s host.ControlStatus) bool { return s.Control == host.Write }); got.Controls[i].Gaps == nil {
		t.Error("what the kernel could not do before is forgotten")
	}
	if want := []host.PartlyContained{{Name: "python3", Outside: []string{"/usr/bin/python3"}}}; !slices.EqualFunc(got.Partly, want, func(a, b host.PartlyContained) bool { return a.Name == b.Name && slices.Equal(a.Outside, b.Outside) }) {
		t.Errorf("partly %v, want %v", got.Partly, want)
	}
	if want := []string{"web", "web.service"}; !slices.Equal(got.WX, want) || Without(got, host.ProcessCtl).WX != nil || Without(got, host.Launch).WX == nil {
		t.Errorf("held to W^X: %q, want %q and no longer than process enforces", got.WX, want)
	}
	p.Containment.Listeners, p.Controls = policy.Off, map[host.Control]policy.Mode{host.KernelCtl: policy.Observe, host.ProcessCtl: policy.Observe}
	if got = Predict(p, inv, current, now); got.WX != nil {
		t.Errorf("process observing: held to W^X: %q", got.WX)
	}
	if slices.Contains(got.Contained, "web.service") || !slices.Contains(got.Contained, "fpm.service") || got.Surfaces != nil {
		t.Errorf("listeners off, kernel observing: contained %q, surfaces %q", got.Contained, got.Surfaces)
	}
}

func TestAPolicysSurfacesArePredictedWithWhoMayUseThemAndWhatTheKernelCannotRefuse(t *testing.T) {
	p := policy.Policy{Mode: policy.Enforce, Containment: policy.Containment{Listeners: policy.On},
		Kernel: policy.Kernel{Refuse: []policy.KernelSurface{{Surface: "userns"}, {Surface: "xfrm"}, {Surface: "bpf"}, {Surface: "clock"}},
			Allow: []policy.KernelAllowance{{ID: "tunnels", To: []policy.Who{{Unit: "openvpn@.service"}}, Surfaces: []policy.Surface{"xfrm"}},
				{ID: "clocks", To: []policy.Who{{Unit: "chrony.service"}}, Surfaces: []policy.Surface{"clock"}}}}}
	inv := &host.Inventory{Processes: []host.Process{
		{Name: "openvpn", Exe: "/usr/sbin/openvpn", Unit: "openvpn@a.service", Listeners: []host.Listener{{Address: "0.0.0.0", Port: 1194}}},
		{Name: "chronyd", Exe: "/usr/sbin/chronyd", Unit: "chrony.service", Listeners: []host.Listener{{Address: "127.0.0.1", Port: 323}}},
	}}
	current := host.Protection{Controls: []host.ControlStatus{{Control: host.Write, Mode: host.Enforce, Gaps: []string{"bpf: of another control"}},
		{Control: host.KernelCtl, Mode: host.Enforce, Gaps: []string{"userns: this kernel has no bpf_lsm_userns_create (rule kernel:userns)"}}}}
	got := Predict(p, inv, current, now)
	if !slices.Equal(got.Surfaces, []string{"bpf", "clock"}) || len(got.Allowed) != 1 || got.Allowed[0].Surface != "xfrm" || !slices.Equal(got.Allowed[0].To, []string{"openvpn@.service"}) {
		t.Errorf("surfaces %q, allowed %v", got.Surfaces, got.Allowed)
	}
}

func TestWhatAProtectionLostIsNamed(t *testing.T) {
	was := inForce("web.service", "db.service")
	soon := now.Add(2 * time.Hour) // past the proofs of inForce
	fresh := func(p host.Protection, at time.Time) host.Protection { p.Reported = at; return p }
	for _, c := range []struct {
		name string
		was  host.Protection
		is   host.Protection
		at   time.Time
		want string // codes
	}{
		{"nothing", was, fresh(was, now), now, ""},
		{"the agent is silent", was, was, now.Add(20 * time.Minute), CodeProtectionStale},
		{"the agent says that nothing is in force", was, host.Protection{Reported: now}, now, CodeReturnControl + " " + CodeReturnContained},
		{"a control observes", was, fresh(changed(was, observing, host.Launch), now), now, CodeReturnControl},
		{"a drill expired", was, fresh(was, soon), soon, CodeReturnProof},
		{"a service is no longer contained", was, func() host.Protection { p := fresh(was, now); p.Contained = []string{"web.service"}; return p }(), now, CodeReturnContained},
		{"a surface is open", was, func() host.Protection { p := fresh(was, now); p.Surfaces = []string{"bpf"}; return p }(), now, CodeReturnSurface},
		{"nothing counted before", changed(was, observing), host.Protection{Reported: now}, now, ""},
		{"there was no guard", host.Protection{}, host.Protection{}, now, ""},
	} {
		var codes []string
		for _, r := range Weakened(c.was, now, c.is, c.at) {
			if !slices.Contains(codes, r.Code) {
				codes = append(codes, r.Code)
			}
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
