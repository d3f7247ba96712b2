package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// counted is the census of a host of these processes.
func counted(t *testing.T, all map[int]process, labels map[int]guard.Label, tweak ...func(*fake, string)) census {
	t.Helper()
	f := newFake()
	f.labels = labels
	dir := fakeProc(t, all)
	for _, tw := range tweak {
		tw(f, dir)
	}
	packages := map[string]string{"/usr/sbin/nginx": "nginx", "/usr/bin/helper": "helper", "/usr/bin/python3.11": "python3.11"}
	return (&agent{enforcer: f, proc: proc(dir), stock: &stock{packages: packages}}).census()
}

// in is a process of a service.
func in(unit, exe string) process {
	return process{comm: filepath.Base(exe), parent: 1, cgroup: "0::/system.slice/" + unit + "\n", exe: exe}
}

// stat gives a process another state, flags and number of threads.
func stat(pid int, state string, flags uint64, threads int) func(*fake, string) {
	return func(_ *fake, dir string) {
		text := fmt.Sprintf("%d (a) b) %s 1 1 1 0 -1 %d 0 0 0 0 0 0 0 0 20 0 %d 0 100", pid, state, flags, threads)
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(pid), "stat"), []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
}

func untold(pid int, err error) func(*fake, string) {
	return func(f *fake, _ string) { f.untold = map[int]error{pid: err} }
}

func TestAServiceIsContainedOnlyWhereEveryProcessOfItIs(t *testing.T) {
	held := guard.Label{Contained: true}
	two := map[int]process{41: in("nginx.service", "/usr/sbin/nginx"), 42: in("nginx.service", "/usr/bin/helper")}
	helperOut := []host.PartlyContained{{Name: "nginx.service", Outside: []string{"/usr/bin/helper"}}}
	for _, c := range []struct {
		name      string
		all       map[int]process
		labels    map[int]guard.Label
		tweak     func(*fake, string)
		contained []string
		partly    []host.PartlyContained
	}{
		{"all of them", two, map[int]guard.Label{41: held, 42: held}, nil, []string{"helper", "nginx", "nginx.service"}, nil},
		{"one of two", two, map[int]guard.Label{41: held}, nil, []string{"nginx"}, helperOut},
		{"none of them", two, nil, nil, nil, nil},
		{"none there", map[int]process{}, nil, nil, nil, nil},
		{"one that the guard cannot tell about", two, map[int]guard.Label{41: held, 42: held}, untold(42, errors.New("map is gone")), []string{"nginx"}, helperOut},
		{"one that has ended meanwhile", two, map[int]guard.Label{41: held}, untold(42, fmt.Errorf("process 42: %w", guard.ErrNoProcess)), []string{"nginx", "nginx.service"}, nil},
		{"one that is dead", two, map[int]guard.Label{41: held}, stat(42, "Z", 0, 1), []string{"nginx", "nginx.service"}, nil},
		{"one whose first thread is dead", two, map[int]guard.Label{41: held}, stat(42, "Z", 0, 3), []string{"nginx"}, helperOut},
		{"a thread of the kernel in its control group", two, map[int]guard.Label{41: held}, stat(42, "I", kernelThread|0x40, 1), []string{"nginx", "nginx.service"}, nil},
		{"only those that are dead", two, map[int]guard.Label{41: held}, stat(41, "X", 0, 1), nil, nil},
		{"a program that was replaced", map[int]process{41: in("nginx.service", "/usr/sbin/nginx"), 42: in("old.service", "/usr/sbin/nginx (deleted)")},
			map[int]guard.Label{41: held}, nil, []string{"nginx.service"}, []host.PartlyContained{{Name: "nginx", Outside: []string{"/usr/sbin/nginx"}}}},
		{"a package that a session runs too", map[int]process{41: in("shop.service", "/usr/bin/python3.11"),
			42: {comm: "python3", parent: 7, cgroup: "0::/user.slice/user-0.slice/session-3.scope\n", exe: "/usr/bin/python3.11"}},
			map[int]guard.Label{41: held}, nil, []string{"shop.service"}, []host.PartlyContained{{Name: "python3.11", Outside: []string{"/usr/bin/python3.11"}}}},
		{"a process of which no program is known", map[int]process{41: in("nginx.service", "/usr/sbin/nginx"), 42: {comm: "who", parent: 1, cgroup: "0::/system.slice/nginx.service\n"}},
			map[int]guard.Label{41: held}, nil, []string{"nginx"}, []host.PartlyContained{{Name: "nginx.service", Outside: []string{"who"}}}},
	} {
		tweak := c.tweak
		if tweak == nil {
			tweak = func(*fake, string) {}
		}
		got := counted(t, c.all, c.labels, tweak)
		if !slices.Equal(got.contained, c.contained) || !reflect.DeepEqual(got.partly, c.partly) {
			t.Errorf("%s: contained %q, partly %v; want %q, %v", c.name, got.contained, got.partly, c.contained, c.partly)
		}
	}
}

func TestOnlyLineagesThatRunContainedOpenASurface(t *testing.T) {
	got := counted(t, map[int]process{41: in("openvpn@a.service", "/usr/sbin/openvpn"), 42: in("chrony.service", "/usr/sbin/chronyd")},
		map[int]guard.Label{41: {Contained: true, Lineages: []string{"unit openvpn@.service", "program /usr/sbin/openvpn"}}, 42: {Lineages: []string{"unit chrony.service"}}})
	if want := []string{"program /usr/sbin/openvpn", "unit openvpn@.service"}; !slices.Equal(got.lineages, want) {
		t.Errorf("%q, want %q", got.lineages, want)
	}
}

func TestAServiceIsHeldToWXOnlyWhereEveryProcessOfItIs(t *testing.T) {
	held, free := guard.Label{Contained: true, WX: true}, guard.Label{Contained: true}
	two := map[int]process{41: in("nginx.service", "/usr/sbin/nginx"), 42: in("nginx.service", "/usr/bin/helper")}
	for _, c := range []struct {
		name   string
		labels map[int]guard.Label
		tweak  func(*fake, string)
		want   []string
	}{
		{"all of them", map[int]guard.Label{41: held, 42: held}, nil, []string{"helper", "nginx", "nginx.service"}},
		{"though they are not contained", map[int]guard.Label{41: {WX: true}, 42: {WX: true}}, nil, []string{"helper", "nginx", "nginx.service"}},
		{"one of two", map[int]guard.Label{41: held, 42: free}, nil, []string{"nginx"}},
		{"none", map[int]guard.Label{41: free, 42: free}, nil, nil},
		{"one that the guard cannot tell about", map[int]guard.Label{41: held, 42: held}, untold(42, errors.New("map is gone")), []string{"nginx"}},
		{"one that has ended meanwhile", map[int]guard.Label{41: held}, untold(42, fmt.Errorf("process 42: %w", guard.ErrNoProcess)), []string{"nginx", "nginx.service"}},
	} {
		tweak := c.tweak
		if tweak == nil {
			tweak = func(*fake, string) {}
		}
		if got := counted(t, two, c.labels, tweak); !slices.Equal(got.wx, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got.wx, c.want)
		}
	}
}

func TestALineageCountsAsRunningForADayAfterItWasLastSeen(t *testing.T) {
	a, at := &agent{}, begin
	for _, step := range []struct {
		after time.Duration
		now   []string
		want  []string
	}{
		{0, []string{"program /usr/bin/ping", "unit a.service"}, []string{"program /usr/bin/ping", "unit a.service"}},
		{23 * time.Hour, []string{"unit a.service"}, []string{"program /usr/bin/ping", "unit a.service"}},
		{time.Hour, nil, []string{"unit a.service"}},
		{22*time.Hour + 59*time.Minute, nil, []string{"unit a.service"}},
		{time.Minute, nil, nil},
	} {
		at = at.Add(step.after)
		if got := a.seen(step.now, at); !slices.Equal(got, step.want) {
			t.Errorf("%v later: %q, want %q", step.after, got, step.want)
		}
	}
}

func TestASurfaceThatSomebodyHereMayUseIsNotSaidToBeRefused(t *testing.T) {
	real := filepath.Join(t.TempDir(), "dhclient-4.4")
	link := filepath.Join(t.TempDir(), "dhclient")
	if err := errors.Join(os.WriteFile(real, nil, 0o755), os.Symlink(real, link)); err != nil {
		t.Fatal(err)
	}
	refuse := func(names ...policy.Surface) (out []policy.KernelSurface) {
		for _, n := range names {
			out = append(out, policy.KernelSurface{ID: "kernel:" + string(n), Surface: n})
		}
		return out
	}
	p := policy.Policy{
		Roles: []policy.Role{{Role: "vpn", Who: []policy.Who{{Unit: "openvpn@.service"}, {Unit: "wg.service"}}}},
		Kernel: policy.Kernel{Refuse: refuse("userns", "xfrm", "nf_tables", "bpf"), Allow: []policy.KernelAllowance{
			{ID: "tunnels", To: []policy.Who{{Role: "vpn"}}, Surfaces: []policy.Surface{"xfrm", "nf_tables"}},
			{ID: "leases", To: []policy.Who{{Program: link}}, Surfaces: []policy.Surface{"nf_tables"}}}},
		Grants: []policy.Grant{{ID: "debug", To: policy.Who{User: "alice"}, Surfaces: []policy.Surface{"bpf"}, Expires: begin.Add(time.Hour)}},
	}
	missing := []guard.Gap{{Control: "kernel", Rule: "kernel:userns", Subject: "userns", Why: "this kernel has no bpf_lsm_userns_create"}, {Control: "write", Rule: "system:/opt"}}
	for _, c := range []struct {
		name     string
		lineages []string
		gaps     []guard.Gap
		at       time.Time
		refused  []string
		allowed  []host.AllowedSurface
	}{
		{"nobody of those runs", []string{"unit nginx.service"}, nil, begin, []string{"userns", "xfrm", "nf_tables", "bpf"}, nil},
		{"an instance of a unit of a role", []string{"unit openvpn@.service"}, nil, begin, []string{"userns", "bpf"},
			[]host.AllowedSurface{{Surface: "xfrm", To: []string{"openvpn@.service"}}, {Surface: "nf_tables", To: []string{"openvpn@.service"}}}},
		{"a program by another name of its file", []string{"program " + real}, nil, begin, []string{"userns", "xfrm", "bpf"},
			[]host.AllowedSurface{{Surface: "nf_tables", To: []string{link}}}},
		{"two of them", []string{"program " + real, "unit wg.service"}, nil, begin, []string{"userns", "bpf"},
			[]host.AllowedSurface{{Surface: "xfrm", To: []string{"wg.service"}}, {Surface: "nf_tables", To: []string{"wg.service", link}}}},
		{"a grant", []string{"user alice"}, nil, begin, []string{"userns", "xfrm", "nf_tables"}, []host.AllowedSurface{{Surface: "bpf", To: []string{"sessions of alice"}}}},
		{"a grant that has ended", []string{"user alice"}, nil, begin.Add(time.Hour), []string{"userns", "xfrm", "nf_tables", "bpf"}, nil},
		{"a hook that is missing", nil, missing, begin, []string{"xfrm", "nf_tables", "bpf"}, nil},
	} {
		refused, allowed := surfaces(p, c.gaps, c.lineages, c.at)
		if !slices.Equal(refused, c.refused) || !reflect.DeepEqual(allowed, c.allowed) {
			t.Errorf("%s: refused %q, allowed %v; want %q, %v", c.name, refused, allowed, c.refused, c.allowed)
		}
	}
}

// everyControl lets the fake have hooks of all controls.
func everyControl(f *fake) {
	for _, c := range policy.Controls() {
		f.status.Hooks[c] = 2
	}
}

func TestWhatIsReportedOfSurfacesFollowsWhoRunsAndWhatTheKernelLacks(t *testing.T) {
	r := newRig(t)
	everyControl(r.fake)
	r.cfg.Proc = fakeProc(t, map[int]process{41: in("openvpn@a.service", "/usr/sbin/openvpn")})
	r.fake.gaps = []guard.Gap{{Control: "kernel", Rule: "kernel:userns", Subject: "userns", Why: "this kernel has no bpf_lsm_userns_create"}}
	r.start()
	p := r.reported(func(p host.Protection) bool { return p.Enforced(host.KernelCtl) })
	if slices.Contains(p.Surfaces, "userns") || !slices.Contains(p.Surfaces, "xfrm") || p.Allowed != nil {
		t.Errorf("surfaces %q, allowed %v", p.Surfaces, p.Allowed)
	}
	r.fake.mu.Lock()
	r.fake.labels[41] = guard.Label{Contained: true, Lineages: []string{"unit openvpn@.service"}}
	r.fake.mu.Unlock()
	p = r.reported(func(p host.Protection) bool { return p.Allowed != nil })
	xfrm := slices.ContainsFunc(p.Allowed, func(a host.AllowedSurface) bool {
		return a.Surface == "xfrm" && slices.Equal(a.To, []string{"openvpn@.service"})
	})
	if slices.Contains(p.Surfaces, "xfrm") || !xfrm || !slices.Contains(p.Surfaces, "bpf") || !slices.Equal(p.Contained, []string{"openvpn@a.service"}) {
		t.Errorf("with a tunnel: surfaces %q, allowed %v, contained %q", p.Surfaces, p.Allowed, p.Contained)
	}
	must(r.client.SetMode(t.Context(), SetMode{Mode: policy.Observe, Controls: []host.Control{host.KernelCtl}}))(t)
	if p = r.reported(not(func(p host.Protection) bool { return p.Enforced(host.KernelCtl) })); p.Surfaces != nil || p.Allowed != nil {
		t.Errorf("observing: surfaces %q, allowed %v", p.Surfaces, p.Allowed)
	}
}
