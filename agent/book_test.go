package agent

import (
	"strings"
	"testing"

	"github.com/kannuki/kannuki/event"
	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policyfile"
)

func TestEveryRefusalSaysAWayOutThatFitsWhatWasTried(t *testing.T) {
	p, err := policyfile.Builtin("standard")
	if err != nil {
		t.Fatal(err)
	}
	b := newBook(p)
	web := event.Actor{PID: 7, Comm: "nginx", LoginUID: -1, Contained: true, Exe: "/usr/sbin/nginx", Unit: "nginx.service"}
	unknown := event.Actor{PID: 7, Comm: "nginx", LoginUID: -1, Contained: true}
	for name, c := range map[string]struct {
		control        host.Control
		op, path, rule string
		actor          event.Actor
		why, wayOut    string
	}{
		"utility":            {host.Utility, "utility", "/usr/bin/curl", "utility:download", web, "", "name the edge from it to /usr/bin/curl"},
		"utility, cut path":  {host.Utility, "utility", "…/bin/curl", "utility:download", web, "", "name the edge from it to …/bin/curl"},
		"setuid":             {host.Containing, "setuid", "/usr/bin/sudo", "", web, "raise its privileges", "with setuid: true"},
		"setuid, cut path":   {host.Containing, "setuid", "…/bin/sudo", "", unknown, "raise its privileges", "with setuid: true"},
		"deputy":             {host.KernelCtl, "connect", "/run/docker.sock", "deputy:docker", web, "do not talk to docker", `if nginx.service cannot work without it, allow it under deputies.allow, with "docker" in names`},
		"deputy of somebody": {host.KernelCtl, "connect", "…/docker.sock", "deputy:docker", unknown, "do not talk to docker", "if the service cannot work without it, allow it under deputies.allow"},
		"read":               {host.Private, "read", "/etc/shadow", "private:/etc/shadow", web, "", "name it as a reader of rule private:/etc/shadow"},
		"make-setuid":        {host.Write, "make-setuid", "/tmp/x", "", web, "set-user-ID", "no rule lets a contained process do it"},
		"module":             {host.Launch, "module", "/tmp/x.ko", "user-space", unknown, "user space", "install it as a package"},
		"module from memory": {host.Launch, "module", "", "", event.Actor{LoginUID: 0}, "system space only", "install the module as a package"},
		"into another unit":  {host.Write, "write", "/sys/fs/cgroup/system.slice/cron.service/cgroup.procs", "control-groups", web, "", "let systemd start it in a unit of its own"},
		"script":             {host.Launch, "script", "/tmp/x.py", "user-space", web, "user space", "kannuki-agent grant"},
		"library":            {host.Launch, "library", "/tmp/x.so", "user-space", web, "user space", "kannuki-agent grant"},
		"mprotect":           {host.Launch, "mprotect", "/tmp/x.so", "user-space", web, "user space", "kannuki-agent grant"},
		"write, no rule":     {host.Write, "mount", "…/x", "", web, "", "name it as a writer of that place"},
	} {
		t.Run(name, func(t *testing.T) {
			e := event.Event{At: begin, Kind: event.Refused, Control: string(c.control), Op: c.op, Path: c.path, Rule: c.rule, Count: 1, Actor: c.actor}
			b.tell(&e, begin)
			if !strings.Contains(e.WayOut, c.wayOut) || strings.HasSuffix(e.WayOut, "rule ") {
				t.Errorf("way out %q, want %q in it", e.WayOut, c.wayOut)
			}
			if !strings.Contains(e.Why, c.why) {
				t.Errorf("why %q, want %q in it", e.Why, c.why)
			}
		})
	}
}

func TestASetuidHelperTheServiceMayRunOtherwiseIsStillRefusedForItsBit(t *testing.T) {
	p, err := policyfile.Parse(strings.NewReader(web+"containment: {edges: [{from: {unit: nginx.service}, to: /usr/bin/ping, why: checks}]}\n"), "web.yaml")
	if err != nil {
		t.Fatal(err)
	}
	e := event.Event{At: begin, Kind: event.Refused, Control: string(host.Containing), Op: "setuid", Path: "/usr/bin/ping", Count: 1,
		Actor: event.Actor{LoginUID: -1, Contained: true, Unit: "nginx.service"}}
	newBook(p).tell(&e, begin)
	if want := "name the edge from it to /usr/bin/ping with setuid: true"; !strings.Contains(e.WayOut, want) {
		t.Errorf("way out %q, want %q in it", e.WayOut, want)
	}
}
