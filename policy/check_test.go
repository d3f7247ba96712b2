package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

func grant(id string, ends time.Duration) policy.Grant {
	return policy.Grant{ID: id, To: policy.Who{User: "aiko"}, Launch: []string{"/srv/x"}, Expires: noon.Add(ends), Reason: "r", Owner: "o"}
}

func TestCheckNamesWhatIsUnwise(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*policy.Policy)
		want string // of the one finding; "" for none
	}{
		{"nothing", func(*policy.Policy) {}, ""},
		{"ended grant", func(p *policy.Policy) { p.Grants = []policy.Grant{grant("a", 0)} },
			"grants[a].expires: ended at 2026-11-23T12:00:00Z and does nothing; take it out, or give it a new end"},
		{"grant in force", func(p *policy.Policy) { p.Grants = []policy.Grant{grant("a", time.Hour)} }, ""},
		{"long grant", func(p *policy.Policy) { p.Grants = []policy.Grant{grant("a", 40*24*time.Hour)} },
			"grants[a].expires: ends in 40 days; the longest wise time is 30 days; renew it when it is still needed"},
		{"grant to launch from everybody's place", func(p *policy.Policy) {
			g := grant("a", time.Hour)
			g.Launch = []string{"/tmp"}
			p.Grants = []policy.Grant{g}
		}, "grants[a].launch: /tmp is written by everybody: whatever lies there would launch for sessions of aiko; name a directory of its own"},
		{"grant to change everything", func(p *policy.Policy) {
			g := grant("a", time.Hour)
			g.Write = []string{"/usr"}
			p.Grants = []policy.Grant{g}
		}, "grants[a].write: /usr is wide; name what is to be changed"},
		{"one control observed", func(p *policy.Policy) { p.Controls = map[host.Control]policy.Mode{host.Utility: policy.Observe} },
			"controls.utility: is in observe mode: what it would refuse happens"},
		{"nothing becomes contained", func(p *policy.Policy) { p.Containment.Listeners, p.Containment.Contain = policy.Off, nil },
			`containment: nothing ever becomes contained: only launches and sealed places are guarded; say "listeners: on"`},
		{"no utilities", func(p *policy.Policy) {
			p.Utilities = policy.Utilities{}
			p.Roles = slices.DeleteFunc(p.Roles, func(r policy.Role) bool { return r.ID == "role:addresses" }) // nothing else refers to it
		},
			"utilities.refuse: is empty: contained processes run every utility; start from a base to have the built-in rules"},
		{"carve-out of user space", func(p *policy.Policy) {
			p.Spaces.User = append(p.Spaces.User, policy.UserPath{ID: "user:/srv/x", Path: "/srv/x", Why: "w"})
		}, "spaces.user[user:/srv/x]: /srv/x is user space anyway; take it out"},
		{"wide system space", func(p *policy.Policy) {
			p.Spaces.System = append(p.Spaces.System, policy.SystemPath{ID: "system:/srv", Place: policy.Place{Path: "/srv"}, Seal: policy.Config})
		}, "spaces.system[system:/srv]: /srv is wide: everything in it may launch; name the directory that holds the programs"},
		{"a token of nobody", func(p *policy.Policy) { p.Self.Token = policy.On },
			"self.keys: is empty while self.token is on: an administrator's session alone relaxes the guard; make one with kannuki token key, on a machine that is no server, and name it here"},
		{"a key for nothing", func(p *policy.Policy) {
			p.Self.Keys = []policy.TokenKey{{ID: "key:ops", Name: "ops", Key: "kannuki-key1:" + strings.Repeat("A", 43)}}
		},
			`self.token: is off, so nobody is asked for a token of self.keys; say "token: on"`},
		{"unused role", func(p *policy.Policy) {
			p.Roles = append(p.Roles, policy.Role{ID: "role:x", Role: "x", Who: []policy.Who{{User: "a"}}, Why: "w"})
		}, "roles[role:x]: no rule refers to it; take it out"},
		{"trusted system file", func(p *policy.Policy) {
			p.Trusted = []policy.Trusted{{ID: "t", File: "/usr/bin/x", SHA256: strings.Repeat("0", 64), To: []policy.Who{{User: "a"}}, Why: "w"}}
		}, "trusted[t]: /usr/bin/x lies in system space and launches anyway; take it out"},
		{"contained writer of what launches", func(p *policy.Policy) {
			w := policy.Who{Unit: "app.service"}
			p.Containment.Contain = []policy.Contain{{ID: "contain:app.service", Who: w}}
			p.Spaces.System = append(p.Spaces.System, policy.SystemPath{ID: "s", Place: policy.Place{Path: "/srv/app"}, Seal: policy.Sealed, Writers: []policy.Who{w}})
		}, "spaces.system[s].writers: app.service is contained (contain:app.service) and could put a program into /srv/app, where everybody launches it; give the files to a deployer that is not contained"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := builtin(t, policyfile.Default)
			c.edit(&p)
			var got []string
			for _, f := range p.Check(noon) {
				got = append(got, f.String())
			}
			var want []string
			if c.want != "" {
				want = []string{c.want}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			if problems := p.Validate(); problems != nil {
				t.Errorf("unwise is not wrong: %v", problems)
			}
		})
	}
}

func TestDiffSpeaksToAdministrators(t *testing.T) {
	a := builtin(t, policyfile.Default)
	b := builtin(t, policyfile.Default)
	b.Controls = map[host.Control]policy.Mode{host.Utility: policy.Observe}
	b.Spaces.System = append(b.Spaces.System[1:len(b.Spaces.System):len(b.Spaces.System)],
		policy.SystemPath{ID: "system:/srv/shop", Place: policy.Place{Path: "/srv/shop"}, Seal: policy.Sealed, Writers: []policy.Who{{Unit: "deploy.service"}}})
	b.Spaces.Private = append([]policy.PrivatePath{}, b.Spaces.Private...)
	b.Spaces.Private[1].Why = "said differently"
	b.Kernel.Refuse = b.Kernel.Refuse[1:]
	b.Self.Token, b.Self.LongestGrant = policy.On, "60d"
	b.Grants = []policy.Grant{grant("fix", time.Hour)}
	b.WX = []policy.WX{{ID: "wx:a.service", Who: policy.Who{Unit: "a.service"}}}
	edge := b.Containment.Edges[0]
	b.Containment.Edges = append([]policy.Edge{edge}, b.Containment.Edges[1:]...)
	b.Containment.Edges[0].Leaves = false
	type line struct {
		Rule, Kind, Text string
		Loosens          bool
	}
	var got []line
	for _, c := range policy.Diff(a, b) {
		got = append(got, line{c.Rule, c.Kind, c.Text, c.Loosens})
	}
	want := []line{
		{"controls.utility", "changed", "control utility goes from enforce to observe: it records what would be refused", true},
		{"self.token", "changed", `asking for a signed token goes from "off" to "on"`, false},
		{"self.longest_grant", "changed", `the longest grant goes from "30d" to "60d"`, true},
		{"system:/srv/shop", "added", "from now on /srv/shop may launch; only updaters change it, except deploy.service", true},
		{"edge:/usr/sbin/dhclient>/usr/sbin/dhclient-script", "changed", "instead of: /usr/sbin/dhclient may start /usr/sbin/dhclient-script; it is not contained then; from now on: /usr/sbin/dhclient may start /usr/sbin/dhclient-script", true},
		{"wx:a.service", "added", "from now on a.service has no memory that is writable and executable", false},
		{"fix", "added", "from now on sessions of aiko may launch /srv/x until 2026-11-23 13:00 UTC", true},
		{"system:/usr", "removed", "no longer: /usr may launch; only updaters change it", true},
		{"kernel:userns", "removed", "no longer: contained processes do not use userns", true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if same := policy.Diff(a, a); same != nil {
		t.Errorf("a policy differs from itself: %v", same)
	}
}

// More keys let more people relax the guard, and without the last nobody is asked.
func TestEveryChangeOfKeysLoosens(t *testing.T) {
	none, one := builtin(t, "strict"), builtin(t, "strict")
	one.Self.Keys = []policy.TokenKey{{ID: "key:ops", Name: "ops", Key: "kannuki-key1:one"}}
	other := one
	other.Self.Keys = []policy.TokenKey{{ID: "key:ops", Name: "ops", Key: "kannuki-key1:other"}}
	for _, c := range []struct{ a, b policy.Policy }{{none, one}, {one, none}, {one, other}} {
		got := policy.Diff(c.a, c.b)
		if len(got) != 1 || got[0].Rule != "key:ops" || !got[0].Loosens {
			t.Errorf("%+v", got)
		}
	}
}

func TestASmallerPolicyThanAHostNeedsIsRefused(t *testing.T) {
	var got []string
	for _, p := range (policy.Policy{Version: 1, Name: "x", Mode: policy.Enforce}).Validate() {
		got = append(got, p.Path)
	}
	if d := cmp.Diff([]string{"programs", "spaces.system", "spaces.system"}, got); d != "" {
		t.Error(d)
	}
}

func TestIDsAreUniqueInEveryBuiltin(t *testing.T) {
	for _, name := range policyfile.BuiltinNames() {
		seen := map[string]bool{}
		for _, r := range builtin(t, name).Rules() {
			if r.ID == "" || seen[r.ID] {
				t.Errorf("%s: rule %q of %s", name, r.ID, r.List)
			}
			seen[r.ID] = true
		}
	}
}

func TestRolesDoNotNest(t *testing.T) {
	p := builtin(t, policyfile.Default)
	p.Roles = append(p.Roles, policy.Role{ID: "role:loop", Role: "loop", Who: []policy.Who{{Role: "loop"}}, Why: "w"})
	problems := p.Validate()
	if len(problems) != 1 || problems[0].Path != "roles[role:loop].who[0].role" {
		t.Fatalf("%v", problems)
	}
	p.Spaces.Private[0].Readers = []policy.Who{{Role: "loop"}}
	if v := p.Explain(ask(policy.Read, "/etc/shadow", policy.AsContained)); v.Allowed {
		t.Error(v)
	}
}

func TestDurationsAreSums(t *testing.T) {
	for text, want := range map[policy.Duration]time.Duration{"": 0, "10m": 10 * time.Minute, "1d2h3m4s": 26*time.Hour + 3*time.Minute + 4*time.Second, "99999999d": 0} {
		if got := text.Time(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	words := []string{"standard", "strict", "observe"}
	for text, want := range map[string]string{"standart": "standard", "Strict": "strict", "obsreve": "observe", "zzz": "", strings.Repeat("a", 5000): ""} {
		if got := policy.Nearest(text, words); got != want {
			t.Errorf("%.20s: %q, want %q", text, got, want)
		}
	}
}

func TestLineagesReplacesRolesByTheirMembers(t *testing.T) {
	p := policy.Policy{Roles: []policy.Role{{Role: "web", Who: []policy.Who{{Unit: "a.service"}, {Unit: "b.service"}}}}}
	got := p.Lineages([]policy.Who{{Unit: "b.service"}, {Role: "web"}, {Role: "unknown"}, {User: "aiko"}})
	if d := cmp.Diff([]policy.Who{{Unit: "b.service"}, {Unit: "a.service"}, {User: "aiko"}}, got); d != "" {
		t.Error(d)
	}
}
