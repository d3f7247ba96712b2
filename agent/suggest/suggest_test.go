package suggest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	godiff "github.com/google/go-cmp/cmp"
	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/internal/golden"
	"github.com/kannuki/kannuki/policy"
	"github.com/kannuki/kannuki/policyfile"
)

var monday = time.Date(2026, 11, 16, 9, 0, 0, 0, time.UTC)

func standard(t testing.TB) policy.Policy {
	t.Helper()
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The actors of the scenarios.

func service(unit, comm, exe string, uid int) event.Actor {
	return event.Actor{PID: 700, Comm: comm, Parent: 1, ParentIs: "systemd", UID: uid, LoginUID: -1, Exe: exe, Unit: unit, Contained: true}
}

func uncontained(a event.Actor) event.Actor { // the same, not contained
	a.Contained = false
	return a
}

func below(a event.Actor, parents ...string) event.Actor {
	a.ParentIs, a.Ancestry = parents[0], nil
	for i, p := range parents {
		a.Ancestry = append(a.Ancestry, event.Ancestor{PID: 600 - i, Comm: p})
	}
	return a
}

func session(uid int, comm string) event.Actor {
	return event.Actor{PID: 900, Comm: comm, ParentIs: "bash", UID: uid, LoginUID: uid, Exe: "/usr/bin/" + comm, Unit: fmt.Sprintf("session-%d.scope", uid)}
}

var (
	nginx  = service("nginx.service", "nginx", "/usr/sbin/nginx", 33)
	php    = service("php8.2-fpm.service", "php-fpm8.2", "/usr/sbin/php-fpm8.2", 33)
	shop   = service("shop.service", "shopd", "/srv/shop/bin/shopd", 990)
	report = service("report.service", "reportd", "/opt/report/bin/reportd", 991)
	cron   = uncontained(service("cron.service", "sh", "/usr/bin/dash", 0))
	ci     = uncontained(service("ci-runner.service", "go", "/usr/local/go/bin/go", 995))
	deploy = uncontained(service("shop-deploy.service", "tar", "/usr/bin/tar", 0))
)

// log is a list of events in the making.
type log struct {
	events []event.Event
}

// daily records op on each path once a day, for days.
func (l *log) daily(a event.Actor, op string, days int, paths ...string) *log {
	for d := range days {
		for i, p := range paths {
			l.events = append(l.events, event.Event{At: monday.AddDate(0, 0, d).Add(time.Duration(i) * time.Minute), Kind: event.Observed, Op: op, Count: 1, Path: p, Actor: a})
		}
	}
	return l
}

func (l *log) rule(rule string) *log { // of what was recorded last
	l.events[len(l.events)-1].Rule = rule
	return l
}

// scenarios are what hosts record in their first days.
func scenarios() map[string][]event.Event {
	return map[string][]event.Event{
		"webshop": new(log).
			daily(shop, "exec", 7, "/srv/shop/bin/resize", "/srv/shop/bin/mailer", "/srv/shop/lib/plugins/pdf.so").
			daily(shop, "library", 7, "/srv/shop/data/cache/native-7f3/libzstd.so").
			daily(shop, "write", 7, "/srv/shop/data/orders.db", "/srv/shop/data/sessions/1.json", "/srv/shop/data/sessions/2.json").
			daily(report, "write", 2, "/srv/shop/data/exports/nov.csv").
			daily(php, "create", 3, "/var/www/blog/wp-content/languages/ja/admin.mo", "/var/www/blog/wp-content/languages/ja/core.mo").
			daily(php, "write", 1, "/var/www/blog/wp-config-sample.txt").
			daily(nginx, "read", 7, "/etc/ssl/private/shop.key", "/etc/wireguard/wg0.conf").
			daily(shop, "read", 7, "/etc/ssl/private/shop.key").
			daily(deploy, "create", 2, "/opt/shop/releases/20261116/app.jar", "/opt/shop/releases/20261117/app.jar", "/opt/shop/current").events,
		"helpers": new(log).
			daily(below(report, "reportd"), "utility", 5, "/usr/bin/dash").
			daily(below(report, "sh", "reportd"), "utility", 5, "/usr/bin/rsync", "/usr/bin/gzip").
			daily(php, "utility", 4, "/usr/bin/dash").
			daily(shop, "utility", 3, "/usr/bin/unzip").
			daily(nginx, "utility", 2, "/usr/bin/whoami").
			daily(shop, "setuid", 3, "/usr/bin/ping").
			daily(shop, "setuid", 3, "/usr/bin/sudo").events,
		"people": new(log).
			daily(session(1000, "bash"), "exec", 5, "/home/alice/bin/rotate", "/home/alice/bin/check").
			daily(session(1000, "python3"), "script", 3, "/home/alice/.ansible/tmp/ansible-tmp-1763284000.1/AnsiballZ_apt.py", "/home/alice/.ansible/tmp/ansible-tmp-1763294444.2/AnsiballZ_copy.py").
			daily(session(1001, "bash"), "exec", 1, "/home/bob/fix.sh", "/tmp/fix.sh").
			daily(cron, "script", 7, "/home/alice/bin/nightly.sh", "/srv/tools/backup.sh", "/srv/tools/prune.sh").
			daily(session(1000, "vim"), "write", 1, "/opt/vendor/etc/agent.conf").
			daily(session(1001, "vim"), "write", 1, "/opt/vendor/etc/agent.conf", "/usr/lib/systemd/system/x.service").
			daily(below(session(1000, "bash"), "cargo", "bash"), "exec", 2, "/home/alice/src/app/target/debug/build/a-11/build-script", "/home/alice/src/app/target/debug/app").
			daily(below(ci, "go", "runner"), "exec", 6, "/tmp/go-build123456/b001/pkg.test", "/var/lib/ci/work/a/a.test").events,
		"attack": new(log).
			daily(nginx, "exec", 1, "/tmp/.x", "/dev/shm/k", "/var/tmp/a/b/miner", "/memfd:x").
			daily(php, "script", 1, "/var/www/blog/uploads/shell.php", "/home/alice/x.sh").
			daily(php, "create", 1, "/var/www/blog/theme/shell.php").
			daily(below(nginx, "nginx"), "utility", 1, "/usr/bin/dash", "/usr/bin/curl", "/usr/bin/python3.11").
			daily(nginx, "utility", 9, "/usr/sbin/useradd").
			daily(nginx, "write", 1, "/etc/cron.d/x", "/root/.ssh/authorized_keys", "/etc/ld.so.preload", "/usr/bin/ls", "/var/lib/kannuki/x", "/sys/fs/cgroup/system.slice/cgroup.procs", "/usr/local/bin/x").
			daily(nginx, "read", 1, "/etc/shadow", "/root/.ssh/id_ed25519", "/etc/ssh/ssh_host_rsa_key").
			daily(nginx, "write", 1, "/var/lib/postgresql/15/main/base/1", "/var/log/journal/a/system.journal").
			daily(shop, "write", 1, "/srv/shop/bin/new").
			daily(shop, "exec", 1, "/srv/shop/bin/new").
			daily(nginx, "mount", 1, "/usr").daily(nginx, "connect", 1, "/run/dbus/system_bus_socket").
			daily(nginx, "exec", 1, "…/deep/down/x").
			daily(nginx, "exec", 1, "/usr/sbin/nginx").
			daily(shop, "exec", 1, "/usr/bin/mount").rule(policy.RuleSetuid).events,
	}
}

var accounts = Host{Accounts: map[int]string{1000: "alice"}}

func TestScenarios(t *testing.T) {
	for name, events := range scenarios() {
		t.Run(name, func(t *testing.T) {
			p := standard(t)
			list := accounts.From(slices.Values(events), p)
			promises(t, p, events, list)
			golden.Check(t, name+".golden", render(list))
		})
	}
}

func render(list []Suggestion) string {
	var b strings.Builder
	for _, s := range list {
		fmt.Fprintf(&b, "%s %s (%s) %s: %d events, %d actors\n", s.Advice, s.ID, cmp.Or(string(s.Risk), "-"), s.Reason, s.Events, s.Actors)
		for _, o := range s.sights {
			fmt.Fprintf(&b, "    # %s %s by %s\n", o.op, o.q.Path, o.actor)
		}
		for line := range strings.Lines(s.Lines) {
			b.WriteString("    " + line)
		}
	}
	return b.String()
}

// promises checks what the package says of itself, on one list.
func promises(t *testing.T, p policy.Policy, events []event.Event, list []Suggestion) {
	t.Helper()
	with, err := policyfile.Parse(strings.NewReader("version: 1\nname: tried\nbase: standard\n"+Lines(list)), "tried.yaml")
	if err != nil {
		t.Fatalf("all lines together are no policy: %v\n%s", err, Lines(list))
	}
	told := 0
	for _, s := range list {
		told += s.Events
		if s.Why == "" || s.Reason == "" || s.Events == 0 || s.Actors == 0 || s.First.After(s.Last) || (s.Advice == Add) != (s.Lines != "") || (s.Advice == Add) != (s.Risk != "") {
			t.Errorf("half a suggestion: %+v", s)
		}
		if s.Advice != Add {
			continue
		}
		alone, err := policyfile.Parse(strings.NewReader("version: 1\nname: tried\nbase: standard\n"+s.Lines), "tried.yaml")
		if err != nil {
			t.Fatalf("the lines of %s are no policy: %v\n%s", s.ID, err, s.Lines)
		}
		for _, o := range s.sights {
			if v := p.Explain(o.q); v.Allowed {
				t.Errorf("%s is for %s, which was allowed before: %s", s.ID, o.q.Path, v)
			}
			if a, b := alone.Explain(o.q), with.Explain(o.q); !a.Allowed || !b.Allowed {
				t.Errorf("%s claims %s %s by %s: alone %s; with all %s", s.ID, o.op, o.q.Path, o.actor, a, b)
			}
		}
	}
	recorded := 0
	for _, e := range events {
		if e.Kind != event.Note {
			recorded += max(1, e.Count)
		}
	}
	if told != recorded {
		t.Errorf("%d events are accounted for, %d were recorded", told, recorded)
	}
	harmless(t, p, with, list)
	narrow(t, p, with, list)
}

// narrow checks that nobody gets what others asked for, and that nothing a contained
// process may now write is something anybody launches because of it.
func narrow(t *testing.T, p, with policy.Policy, list []Suggestion) {
	t.Helper()
	for _, s := range list {
		for _, o := range s.sights {
			if s.Advice != Add || o.q.Op == policy.Exec {
				continue
			}
			stranger := o.q
			stranger.By = []policy.Who{{Unit: "stranger.service"}}
			// A user place is for everybody: nothing launches from it.
			if with.Explain(stranger).Allowed && !strings.HasPrefix(s.ID, "user:") {
				t.Errorf("%s lets a stranger %s %s", s.ID, o.q.Op, o.q.Path)
			}
			for _, other := range list {
				for _, who := range other.sights {
					asks := o.q
					asks.By = who.q.By
					enclosed := slices.ContainsFunc(list, func(x Suggestion) bool {
						_, at, _ := strings.Cut(x.ID, ":")
						return slices.ContainsFunc(x.sights, func(q *sight) bool { return q.who == who.who }) && within(o.q.Path, at)
					})
					if !enclosed && with.Explain(asks).Allowed && !p.Explain(asks).Allowed && !strings.HasPrefix(s.ID, "user:") {
						t.Errorf("%s lets %s %s %s, for which it did not ask", s.ID, who.actor, o.q.Op, o.q.Path)
					}
				}
			}
			if o.q.Op == policy.Write && o.contained() {
				launch := policy.Question{Op: policy.Exec, Path: o.q.Path, As: policy.AsAnyone, At: o.q.At}
				if with.Explain(launch).Allowed && !p.Explain(launch).Allowed {
					t.Errorf("%s may write %s, and it launches", o.actor, o.q.Path)
				}
			}
		}
	}
}

// harmless checks what no suggestion may ever do, whatever was recorded.
func harmless(t *testing.T, p, with policy.Policy, list []Suggestion) {
	t.Helper()
	for _, path := range []string{"/tmp/x", "/tmp/a/b", "/var/tmp/x", "/dev/shm/x", "/run/user/1000/x", "/home/carol/x", "/x", "/root/x", "/var/lib/x", "/srv/x", "/opt/.."} {
		for _, as := range []policy.As{policy.AsContained, policy.AsSession, policy.AsAnyone} {
			q := policy.Question{Op: policy.Exec, Path: path, As: as, By: []policy.Who{{Unit: "other.service"}}, At: monday}
			if before, after := p.Explain(q), with.Explain(q); after.Allowed && !before.Allowed {
				t.Errorf("%s launches now for everybody: %s", path, after)
			}
		}
	}
	for _, program := range []string{"/usr/bin/dash", "/usr/bin/curl", "/usr/bin/python3.11", "/usr/sbin/useradd"} {
		if v := with.Explain(policy.Question{Op: policy.Exec, Path: program, As: policy.AsContained, By: []policy.Who{{Unit: "other.service"}}}); v.Allowed {
			t.Errorf("%s runs in every service now: %s", program, v)
		}
	}
	all := Policy(list)
	for _, e := range all.Containment.Edges {
		if e.Leaves {
			t.Errorf("edge %s leads out of containment", e.ID)
		}
	}
	var places []string
	for _, r := range all.Spaces.System {
		places = append(places, r.Place.String())
	}
	for _, r := range all.Spaces.User {
		places = append(places, r.Path)
	}
	for _, r := range all.Spaces.Data {
		places = append(places, r.Place.String())
	}
	for _, r := range all.Interpreters.Caches {
		places = append(places, r.Path)
	}
	for _, r := range all.Builders {
		places = append(places, r.Output...)
	}
	for _, r := range all.Grants {
		places = append(places, r.Launch...)
	}
	for _, at := range places {
		if slices.Contains([]string{"/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/home", "/root", "/run", "/var", "/srv", "/opt", "/etc", "/usr", "/var/lib", "/mnt"}, at) ||
			everybodys(at) || at == home(at) {
			t.Errorf("a line names %s", at)
		}
	}
}

// TestPromisesHoldForWhateverIsRecorded makes up events and checks every promise.
func TestPromisesHoldForWhateverIsRecorded(t *testing.T) {
	p := standard(t)
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 2))
	for i := range 40 {
		events := made(random, 1+random.IntN(60))
		t.Run(fmt.Sprintf("seed %d/%d", seed, i), func(t *testing.T) {
			list := accounts.From(slices.Values(events), p)
			promises(t, p, events, list)
			shuffled := slices.Clone(events)
			random.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
			if diff := godiff.Diff(Lines(list), Lines(accounts.From(slices.Values(shuffled), p))); diff != "" {
				t.Errorf("the order of events changes the lines:\n%s", diff)
			}
		})
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func made(r *rand.Rand, n int) []event.Event {
	var out []event.Event
	for range n {
		a := pick(r, nginx, php, shop, report, cron, ci, deploy, below(ci, "make"), session(1000, "bash"), session(1001, "vim"), below(session(1000, "go"), "go"),
			event.Actor{Comm: "x", LoginUID: -1}, service("user@1000.service", "x", "/opt/x/x", 5), uncontained(service("", "agent", "/opt/vendor/agent", 0)))
		top := pick(r, "", "/tmp", "/dev/shm", "/home", "/home/alice", "/root", "/srv", "/srv/app", "/opt", "/opt/app", "/etc", "/etc/cups", "/var/www", "/var/www/blog/x",
			"/var/lib", "/var/lib/app", "/usr/bin", "/usr/local/bin", "/usr/lib/x", "/var/lib/mysql", "/mnt/a", "/etc/ssl/private", "/run/app", "…", "/data", "/var/lib/kannuki")
		for range r.IntN(4) {
			top += "/" + pick(r, "a", "b", "c", "cache", "uploads", "123456", "x.php", "x y", "[z]", "tmp", "日本", "q\n", ".")
		}
		name := pick(r, "dash", "curl", "sudo", "ping", "rsync", "file", "lib.so", "x.sh", "{}", "key.pem")
		out = append(out, event.Event{At: monday.Add(time.Duration(r.IntN(200)) * time.Hour), Kind: pick(r, event.Observed, event.Refused, event.Note), Count: r.IntN(5),
			Op: pick(r, "exec", "library", "script", "write", "create", "rename", "read", "utility", "setuid", "mount", "odd"), Path: top + "/" + name, Actor: a})
	}
	return out
}

func TestNothingRecordedSuggestsNothing(t *testing.T) {
	note := event.Event{Kind: event.Note, Op: "contained", Actor: nginx}
	if list := From(slices.Values([]event.Event{note}), standard(t)); len(list) != 0 || Lines(list) != "" {
		t.Errorf("got %+v", list)
	}
}

func TestWhatWasAddedIsNotSuggestedAgain(t *testing.T) {
	p := standard(t)
	for name, events := range scenarios() {
		list := accounts.From(slices.Values(events), p)
		for _, s := range accounts.From(slices.Values(events), Policy(list).Over(p)) {
			if s.Advice == Add {
				t.Errorf("%s: %s is suggested after everything was added", name, s.ID)
			}
		}
	}
}

// TestABuilderWhoseOutputCannotBeNamedGetsNoLine: a builder without output would
// launch from all of user space.
func TestABuilderWhoseOutputCannotBeNamedGetsNoLine(t *testing.T) {
	l := new(log).daily(below(ci, "make", "runner"), "exec", 3, "/var/lib/[ci]/a.test", "/var/lib/{x}/b.test")
	list := From(slices.Values(l.events), standard(t))
	if len(list) != 1 || list[0].Advice != Unable || list[0].Reason != "name" || list[0].Events != 6 {
		t.Errorf("got\n%s", render(list))
	}
}

// TestSuggestionsAreFew: a place for a directory of files and not a line for each.
func TestSuggestionsAreFew(t *testing.T) {
	l := new(log)
	for i := range 200 {
		l.daily(shop, "exec", 1, fmt.Sprintf("/srv/shop/modules/m%d/run", i)).daily(shop, "write", 1, fmt.Sprintf("/srv/shop/data/%d", i))
	}
	list := From(slices.Values(l.events), standard(t))
	if len(list) != 2 || list[0].ID != "data:/srv/shop/data" || list[1].ID != "system:/srv/shop/modules" || list[1].Events != 200 || list[1].Risk != High {
		t.Errorf("got\n%s", render(list))
	}
}

// BenchmarkFrom is a host's fortnight: 100,000 events about 2,000 files.
func BenchmarkFrom(b *testing.B) {
	p := standard(b)
	l := new(log)
	for range 14 {
		for i := range 2000 {
			l.daily(shop, pick(rand.New(rand.NewPCG(uint64(i), 1)), "exec", "write"), 1, fmt.Sprintf("/srv/app%d/part%d/m%d/run", i%9, i%40, i))
		}
	}
	events := slices.Repeat(l.events, 4)[:100_000]
	b.ReportAllocs()
	for b.Loop() {
		if list := accounts.From(slices.Values(events), p); len(list) == 0 {
			b.Fatal("nothing")
		}
	}
}

// The suggester decides by categories of utilities: each has to be one of the policy.
func TestEveryCategoryTheRulesNameIsOneOfThePolicy(t *testing.T) {
	p := standard(t)
	for _, c := range slices.Concat(exits, mild) {
		if !slices.ContainsFunc(p.Utilities.Refuse, func(u policy.Utility) bool { return u.Category == c }) {
			t.Errorf("no utility is of category %q", c)
		}
	}
}
