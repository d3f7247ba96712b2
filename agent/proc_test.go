package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"

	"github.com/kannuki/kannuki/event"
)

type process struct {
	comm, cmdline, cgroup, exe string
	parent                     int
}

// fakeProc is a /proc with these processes.
func fakeProc(t *testing.T, all map[int]process) string {
	t.Helper()
	dir := t.TempDir()
	for pid, p := range all {
		at := filepath.Join(dir, strconv.Itoa(pid))
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"stat": strconv.Itoa(pid) + " (" + p.comm + ") S " + strconv.Itoa(p.parent) + " 1 1", "cmdline": p.cmdline,
			"cgroup": p.cgroup, "loginuid": "4294967295"} {
			if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if p.exe != "" {
			if err := os.Symlink(p.exe, filepath.Join(at, "exe")); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestAnActorIsToldWithWhatProcSays(t *testing.T) {
	p := proc(fakeProc(t, map[int]process{
		1:  {comm: "systemd"},
		40: {comm: "nginx", parent: 1, exe: "/usr/sbin/nginx"},
		41: {comm: "a) (b", parent: 40, exe: "/usr/bin/x (deleted)", cmdline: "x\x00--y\x00", cgroup: "12:cpu:/other.service\n0::/system.slice/nginx.service/sub\n"},
	}))
	nginx := []event.Ancestor{{PID: 40, Comm: "nginx"}, {PID: 1, Comm: "systemd"}}
	for name, c := range map[string]struct{ told, want event.Actor }{
		"alive": {event.Actor{PID: 41, Comm: "a) (b"},
			event.Actor{PID: 41, Comm: "a) (b", Exe: "/usr/bin/x (deleted)", Cmdline: "x --y", Unit: "nginx.service", Ancestry: nginx}},
		"another process has its id now": {event.Actor{PID: 41, Comm: "curl"}, event.Actor{PID: 41, Comm: "curl"}},
		"gone, its parent is not": {event.Actor{PID: 99, Comm: "sh", Parent: 40, ParentIs: "nginx"},
			event.Actor{PID: 99, Comm: "sh", Parent: 40, ParentIs: "nginx", Ancestry: nginx}},
		"both gone": {event.Actor{PID: 99, Comm: "sh", Parent: 98, ParentIs: "x"}, event.Actor{PID: 99, Comm: "sh", Parent: 98, ParentIs: "x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if p.enrich(&c.told); !reflect.DeepEqual(c.told, c.want) {
				t.Errorf("got  %+v\nwant %+v", c.told, c.want)
			}
		})
	}
}

func TestAncestryEndsAfterEight(t *testing.T) {
	all := map[int]process{}
	for pid := 1; pid <= 20; pid++ {
		all[pid] = process{comm: "p" + strconv.Itoa(pid), parent: pid - 1}
	}
	if got := proc(fakeProc(t, all)).ancestry(20); len(got) != 8 || got[0].PID != 20 {
		t.Errorf("ancestry %v", got)
	}
}

func TestUnitIsTheUppermostServiceAsInTheKernel(t *testing.T) {
	for text, want := range map[string]string{
		"0::/system.slice/nginx.service\n":                                                               "nginx.service",
		"0::/user.slice/user-0.slice/session-3.scope\n":                                                  "session-3.scope",
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service\n":                       "user@1000.service",
		"0::/system.slice/ci.service/run-7.service/x.scope\n":                                            "ci.service",
		"0::/system.slice/docker-4f.scope/inner.scope\n":                                                 "inner.scope",
		"5:memory:/x.service\n1:name=systemd:/system.slice/cron.service\n0::/system.slice/ssh.service\n": "ssh.service",
		"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n":                          "postgresql@15-main.service",
		"0::/init.scope\n":    "init.scope",
		"0::/kubepods/x\n":    "",
		"not a control group": "",
		"":                    "",
	} {
		if got := parseUnit(text); got != want {
			t.Errorf("%q: unit %q, want %q", text, got, want)
		}
	}
}

func TestThisProcessIsReadFromTheRealProc(t *testing.T) {
	a := proc("/proc").actor(os.Getpid(), os.Getuid())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if a.Exe != exe || a.Parent != os.Getppid() || len(a.Ancestry) == 0 || a.Cmdline == "" {
		t.Errorf("actor %+v, exe should be %s", a, exe)
	}
	if proc("/proc").resident() < 1<<20 || proc("/proc").release() == "" {
		t.Error("no memory or kernel release read")
	}
}

func FuzzProc(f *testing.F) {
	f.Add("41 (a) (b) S 40 1 1", "0::/system.slice/nginx.service\n")
	f.Add("", "")
	f.Add(")(", "1:name=systemd:\n:::\n")
	f.Fuzz(func(t *testing.T, stat, cgroup string) {
		if comm, parent, ok := parseStat(stat); ok && len(comm) > len(stat) {
			t.Errorf("comm %q, parent %d of %q", comm, parent, stat)
		}
		if unit := parseUnit(cgroup); len(unit) > len(cgroup) {
			t.Errorf("unit %q of %q", unit, cgroup)
		}
	})
}
