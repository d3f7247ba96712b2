package ruleset_test

import (
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kannuki/kannuki/guard/ruleset"
	"github.com/kannuki/kannuki/policy"
)

// kernel decides with a ruleset as the kernel programs do: the nearest named place, the
// actor's lineages, the program's entry. It knows nothing of the policy.
type kernel struct {
	rs       ruleset.Ruleset
	places   map[string]ruleset.Place
	programs map[string]ruleset.Program
	now      time.Time
}

func newKernel(rs ruleset.Ruleset, now time.Time) kernel {
	k := kernel{rs, map[string]ruleset.Place{}, map[string]ruleset.Program{}, now}
	for _, p := range rs.Places {
		k.places[p.Path] = p
	}
	for _, p := range rs.Programs {
		k.programs[p.Path] = p
	}
	return k
}

// nearest walks from a file to the place it belongs to. named tells that it passed a
// directory of user space below a place with Names.
func (k kernel) nearest(at string) (place ruleset.Place, named bool) {
	if p, ok := k.places[at]; ok {
		return p, false
	}
	for dir := path.Dir(at); ; dir = path.Dir(dir) {
		if p, ok := k.places[dir]; ok && p.Flags&ruleset.File == 0 {
			return p, named && p.Flags&ruleset.Names != 0
		}
		named = named || slices.ContainsFunc(k.rs.UserNames, func(u ruleset.UserName) bool { return u.Name == path.Base(dir) })
		if dir == "/" {
			return ruleset.Place{}, false
		}
	}
}

// actor is what labels say of a process.
type actor struct {
	lineages []int
	flags    ruleset.Flags
}

func (k kernel) actor(q policy.Question) actor {
	var a actor
	for _, by := range q.By {
		if p, ok := k.programs[by.Program]; by.Program != "" && ok {
			a.flags |= p.Flags
			if p.Lineage > 0 {
				a.lineages = append(a.lineages, p.Lineage-1)
			}
		}
		for n, l := range k.rs.Lineages {
			name, instance, _ := strings.Cut(by.Unit, "@")
			template := instance != "" && l.Unit == name+"@"+path.Ext(instance)
			if by.Unit != "" && (l.Unit == by.Unit || template) || by.User != "" && l.Name == "user "+by.User {
				a.lineages, a.flags = append(a.lineages, n), a.flags|l.Flags
			}
		}
	}
	return a
}

func (k kernel) in(a actor, group uint16) bool {
	g := k.rs.Groups[group]
	return slices.ContainsFunc(a.lineages, func(n int) bool {
		return slices.Contains(g.Members, n) || slices.Contains(g.Temporary, n) && k.now.Before(g.Until)
	})
}

func (k kernel) allows(q policy.Question) bool {
	a := k.actor(q)
	switch q.Op {
	case policy.Exec:
		return k.exec(q, a)
	case policy.Write:
		return k.write(q, a)
	}
	p, _ := k.nearest(q.Path)
	return q.As != policy.AsContained || p.Flags&ruleset.Private == 0 || k.in(a, p.Readers)
}

func (k kernel) exec(q policy.Question, a actor) bool {
	place, named := k.nearest(q.Path)
	if place.Flags&ruleset.Launches == 0 || named {
		output := k.rs.BuildersAnywhere || place.Flags&ruleset.Output != 0
		return k.in(a, place.Launchers) || k.in(a, place.Coders) ||
			q.As == policy.AsUpdater && place.Flags&ruleset.Scratch != 0 ||
			q.As != policy.AsContained && a.flags&ruleset.Builder != 0 && output
	}
	if q.As != policy.AsContained {
		return true
	}
	p := k.programs[q.Path]
	if q.Setuid {
		return k.in(a, p.Setuid)
	}
	return p.Flags&ruleset.Utilities == 0 || k.in(a, p.Runs) || k.in(a, p.Popen)
}

func (k kernel) write(q policy.Question, a actor) bool {
	place, named := k.nearest(q.Path)
	if place.Flags&(ruleset.Guard|ruleset.File) == ruleset.Guard {
		return false
	}
	if q.As == policy.AsUpdater || named {
		return true
	}
	switch {
	case place.Flags&ruleset.Sealed != 0:
		return k.in(a, place.Writers)
	case place.Flags&(ruleset.Config|ruleset.Data) != 0:
		return q.As != policy.AsContained || k.in(a, place.Writers)
	}
	return true
}

// custom differs from standard in every way that places and lineages can.
func custom(t testing.TB) policy.Policy {
	t.Helper()
	until := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	p := policy.Policy{
		Version: 1, Name: "custom", Base: "standard", Without: []string{"builder:/usr/bin/make"},
		Spaces: policy.Spaces{
			System: []policy.SystemPath{
				{Place: policy.Place{Path: "/srv/shop"}, Seal: policy.Sealed, Writers: []policy.Who{{Unit: "shop-deploy@.service"}, {User: "deploy"}}},
				{Place: policy.Place{Path: "/srv/shop/var/plugins"}, Seal: policy.Config},
				{Place: policy.Place{Path: "/var/www/html/uploads/trusted"}, Seal: policy.Config},
				{Place: policy.Place{Path: "/usr/bin"}, Seal: policy.Config},
			},
			User:        []policy.UserPath{{Path: "/srv/shop/var", Why: "uploads"}, {Path: "/opt/app/data", Why: "data"}},
			Private:     []policy.PrivatePath{{Place: policy.Place{Path: "/srv/shop/keys"}, Readers: []policy.Who{{Unit: "shop.service"}}}, {Place: policy.Place{File: "/srv/shop/keys/root"}}},
			Persistence: []policy.PersistencePath{{Place: policy.Place{Path: "/srv/shop/hooks"}, Seal: policy.Sealed}, {Place: policy.Place{File: "/var/lib/job"}, Writers: []policy.Who{{Program: "/usr/sbin/nginx"}}}},
			Data:        []policy.DataPath{{Place: policy.Place{Path: "/srv/shop/var/db"}, Owners: []policy.Who{{Unit: "shop.service"}}}, {Place: policy.Place{Path: "/data"}, ByAccount: true}},
		},
		Interpreters: policy.Interpreters{Caches: []policy.Cache{{Path: "/var/cache/shop", To: []policy.Who{{Unit: "shop.service"}}, Why: "templates"}}},
		Updaters:     policy.Updaters{Programs: []policy.Updater{{Who: policy.Who{Program: "/usr/local/bin/shop-update"}, Scratch: []string{"/var/cache/shop-update"}, Why: "updates"}}},
		Builders:     []policy.Builder{{Who: policy.Who{User: "aiko"}, Why: "develops"}},
		Utilities:    policy.Utilities{Allow: []policy.UtilityAllowance{{ID: "shop-tools", To: []policy.Who{{Unit: "shop.service"}}, Names: []string{"python"}, Categories: []string{"transfer"}, Why: "fetches"}}},
		Trusted:      []policy.Trusted{{File: "/var/lib/tool", SHA256: strings.Repeat("0a", 32), To: []policy.Who{{Unit: "shop.service"}}, Why: "pinned"}},
		Grants: []policy.Grant{
			{ID: "g-live", To: policy.Who{Unit: "shop.service"}, Launch: []string{"/data/bin"}, Write: []string{"/srv/shop/hooks/post"}, Read: []string{"/srv/shop/keys"}, Utilities: []string{"find"}, Expires: until(1), Reason: "r", Owner: "o"},
			{ID: "g-over", To: policy.Who{Unit: "nginx.service"}, Launch: []string{"/data/bin"}, Write: []string{"/srv/shop/hooks"}, Read: []string{"~/.ssh"}, Utilities: []string{"curl"}, Expires: until(-1), Reason: "r", Owner: "o"},
			{ID: "g-home", To: policy.Who{User: "aiko"}, Launch: []string{"~/bin"}, Write: []string{"/usr/share/doc"}, Expires: until(5), Reason: "r", Owner: "o"},
		},
	}
	p.Fill()
	return p.Over(builtin(t, "standard"))
}

// questions are every place of the policy and what lies in, above and beside it, asked
// of every kind of actor. Trusted files are left out: that they launch for nobody yet is
// a gap.
func questions(rs ruleset.Ruleset, h ruleset.Host) []policy.Question {
	paths := map[string]bool{"/tmp/x": true, "/var/lib/nginx/x": true, "/data/bin/tool": true, "/dev/shm/x": true}
	for _, p := range rs.Places {
		if p.Path == "/var/lib/tool" {
			continue
		}
		paths[p.Path+"-beside"] = true
		if p.Flags&ruleset.File != 0 {
			paths[p.Path] = true
			continue
		}
		for _, below := range []string{"/x", "/a/b/x", "/a/uploads/x", "/uploads/a/cache/x", "/uploads"} {
			paths[p.Path+below] = true
		}
	}
	for _, p := range rs.Programs {
		// Explain knows no links, so not that this one is called java.
		if n, err := lstat(h, p.Path); err == nil && n.Mode().IsRegular() && !strings.HasPrefix(p.Path, "/usr/lib/jvm/") {
			paths[p.Path] = true
		}
	}
	actors := [][]policy.Who{
		nil, {{Unit: "nginx.service"}}, {{Unit: "shop.service"}}, {{Unit: "shop-deploy@blue.service"}}, {{Unit: "postgresql@15-main.service"}},
		{{Program: "/usr/sbin/nginx"}, {Unit: "nginx.service"}}, {{User: "aiko"}}, {{User: "deploy"}}, {{Unit: "nagios-nrpe-server.service"}},
		{{Unit: "php8.2-fpm.service"}}, {{Program: "/usr/sbin/sendmail"}}, {{Program: "/usr/sbin/unix_chkpwd"}}, {{User: "aiko"}, {Program: "/usr/bin/make"}},
		{{Unit: "gitlab-runner.service"}}, {{User: "root"}, {Program: "/usr/bin/dpkg"}}, {{Unit: "jenkins.service"}},
	}
	var out []policy.Question
	for i, at := range slices.Sorted(maps.Keys(paths)) {
		// Every place meets three of the actors, each actor every third place or so.
		for j := range 3 {
			by := actors[(i*7+j*5)%len(actors)]
			for _, as := range []policy.As{policy.AsContained, policy.AsSession, policy.AsUpdater, policy.AsAnyone} {
				for _, op := range []policy.Op{policy.Exec, policy.Write, policy.Read} {
					out = append(out, policy.Question{Op: op, Path: at, As: as, By: by, Homes: h.Homes, At: noon})
				}
				out = append(out, policy.Question{Op: policy.Exec, Path: at, As: as, By: by, Homes: h.Homes, At: noon, Setuid: true})
			}
		}
	}
	return out
}

func TestTheKernelAnswersAsExplainDoes(t *testing.T) {
	policies := map[string]policy.Policy{"standard": builtin(t, "standard"), "strict": builtin(t, "strict"), "custom": custom(t)}
	for name, p := range policies {
		t.Run(name, func(t *testing.T) {
			h := debian()
			rs, _ := compile(t, p, h)
			k := newKernel(rs, noon)
			asked, refused := 0, 0
			for _, q := range questions(rs, h) {
				v := p.Explain(q)
				asked++
				if !v.Allowed {
					refused++
				}
				if got := k.allows(q); got != v.Allowed {
					place, _ := k.nearest(q.Path)
					t.Fatalf("%s %s as %s by %v setuid %v: kernel %v, explain %s\nplace %s %s", q.Op, q.Path, q.As, q.By, q.Setuid, got, v, place.Path, placeFlags(place.Flags))
				}
			}
			if refused*10 < asked || refused*10 > asked*9 {
				t.Errorf("%d of %d questions refused: they do not try both answers", refused, asked)
			}
			t.Logf("%d questions, %d refused", asked, refused)
		})
	}
}

// Rules at random places, nested in each other in every order, so that it is not only
// the built-in policies that agree.
func TestTheKernelAnswersAsExplainDoesOfAnyNesting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"a", "b", "uploads", "usr", "bin", "home"}
	somewhere := func() string {
		at := ""
		for range 1 + r.IntN(4) {
			at += "/" + names[r.IntN(len(names))]
		}
		return at
	}
	who := func() []policy.Who {
		return [][]policy.Who{nil, {{Unit: "a.service"}}, {{Unit: "b@.service"}, {Program: "/usr/sbin/nginx"}}, {{Role: "some"}}}[r.IntN(4)]
	}
	for range 300 {
		p := policy.Policy{Version: 1, Name: "random", Mode: policy.Enforce, Roles: []policy.Role{{Role: "some", Who: []policy.Who{{Unit: "a.service"}, {User: "aiko"}}}}}
		for range r.IntN(10) {
			place := policy.Place{Path: somewhere()}
			if r.IntN(4) == 0 {
				place = policy.Place{File: somewhere()}
			}
			switch r.IntN(8) {
			case 0, 1:
				p.Spaces.System = append(p.Spaces.System, policy.SystemPath{Place: place, Seal: []policy.Seal{policy.Sealed, policy.Config}[r.IntN(2)], Writers: who()})
			case 2:
				p.Spaces.User = append(p.Spaces.User, policy.UserPath{Path: somewhere()})
			case 3:
				if len(p.Spaces.User) == 0 || len(p.Spaces.User[0].Names) == 0 {
					p.Spaces.User = append([]policy.UserPath{{Path: somewhere(), Names: []string{"uploads"}}}, p.Spaces.User...)
				}
			case 4:
				p.Spaces.Persistence = append(p.Spaces.Persistence, policy.PersistencePath{Place: place, Seal: policy.Config, Writers: who()})
			case 5:
				p.Spaces.Data = append(p.Spaces.Data, policy.DataPath{Place: place, Owners: who()})
			case 6:
				p.Spaces.Private = append(p.Spaces.Private, policy.PrivatePath{Place: place, Readers: who()})
			case 7:
				p.Grants = append(p.Grants, policy.Grant{ID: "g", To: policy.Who{Unit: "a.service"}, Launch: []string{somewhere()}, Write: []string{somewhere()}, Read: []string{somewhere()}, Expires: noon.Add(time.Duration(r.IntN(3)-1) * time.Hour)})
			}
		}
		p.Fill()
		rs, _ := ruleset.Compile(p, ruleset.Host{FS: files("bin -> usr/bin\n usr/bin/"), Accounts: map[string]int{"aiko": 1000}}, noon)
		k := newKernel(rs, noon)
		for range 200 {
			q := policy.Question{
				Op: []policy.Op{policy.Exec, policy.Write, policy.Read}[r.IntN(3)], Path: somewhere() + "/x", At: noon, Homes: []string{},
				As: []policy.As{policy.AsContained, policy.AsSession}[r.IntN(2)],
				By: [][]policy.Who{nil, {{Unit: "a.service"}}, {{Unit: "b@1.service"}}, {{Program: "/usr/sbin/nginx"}}, {{User: "aiko"}}}[r.IntN(5)],
			}
			if file := somewhere(); r.IntN(5) == 0 && file != "/bin" && k.places[file].Flags&ruleset.File != 0 {
				q.Path = file
			}
			if strings.HasPrefix(q.Path+"/", "/bin/") {
				q.Path = "/usr" + q.Path // as the host has it, and so the kernel
			}
			if v, got := p.Explain(q), k.allows(q); got != v.Allowed {
				t.Fatalf("%+v\nkernel %v, explain %s\nspaces %+v\ngrants %+v", q, got, v, p.Spaces, p.Grants)
			}
		}
	}
}
