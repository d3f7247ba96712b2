package ruleset

import (
	"bufio"
	"io/fs"
	"path"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// unitDirs are where units of the system lie, those that hide others first. Units made
// until the next start (/run/systemd) are left out: an administrator wrote none of them.
var unitDirs = []string{"/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// schedulers start what an administrator or a package put into root's crontabs, which
// are persistence places: nothing contained writes them.
var schedulers = []string{"cron.service", "crond.service"}

// starters is the group of those who may start updaters without a login session: the
// policy's own, the schedulers and every service that a timer of the system starts.
// A timer counts only where it lies in system space, so that what starts updaters is
// changed by administrators and updates alone. The agent needs no lineage: the kernel
// programs know it by its process.
func (c *compiler) starters() uint16 {
	var members []int
	for _, r := range c.p.Updaters.Starters {
		members = append(members, c.all(host.Write, r.ID, []policy.Who{r.Who})...)
	}
	for _, unit := range append(c.timed(), schedulers...) {
		members = append(members, c.all(host.Write, ruleTimer, []policy.Who{{Unit: unit}})...)
	}
	return c.group(host.Write, ruleTimer, union(members, nil), nil)
}

// runtimes are the lineages that start containers.
func (c *compiler) runtimes() uint16 {
	var members []int
	var rule string
	for _, r := range c.p.Containment.Exempt {
		if r.Profile == policy.ProfileRuntime {
			members = append(members, c.all(host.Containing, r.ID, []policy.Who{r.Who})...)
			rule = r.ID
		}
	}
	return c.group(host.Containing, rule, union(members, nil), nil)
}

// ruleTimer stands in gaps for what no rule of the policy names.
const ruleTimer = "system-timers"

// timed are the services that timers of the system start.
func (c *compiler) timed() []string {
	var out []string
	seen := map[string]bool{}
	for _, d := range unitDirs {
		dir, err := c.tree.locate(d)
		if err != nil || dir.kind != directory {
			continue
		}
		list, err := fs.ReadDir(c.host.FS, strings.TrimPrefix(dir.path, "/"))
		if err != nil {
			c.gap(host.Write, ruleTimer, d, err.Error())
			continue
		}
		for _, f := range list {
			if path.Ext(f.Name()) != ".timer" || seen[f.Name()] {
				continue
			}
			seen[f.Name()] = true
			if unit, ok := c.timer(path.Join(dir.path, f.Name())); ok {
				out = append(out, unit)
			}
		}
	}
	return out
}

// timer is the service a timer starts; ok is false where it is masked, starts no
// service, or lies where somebody else may have written it.
func (c *compiler) timer(at string) (unit string, ok bool) {
	where, err := c.tree.locate(at)
	if err != nil || where.kind != file || c.effective(where.path, true).Flags&Launches == 0 {
		return "", false
	}
	f, err := c.host.FS.Open(strings.TrimPrefix(where.path, "/"))
	if err != nil {
		c.gap(host.Write, ruleTimer, at, err.Error())
		return "", false
	}
	defer f.Close()
	unit = strings.TrimSuffix(path.Base(at), ".timer") + ".service"
	section := ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			section = line
		}
		if key, value, found := strings.Cut(line, "="); found && section == "[Timer]" && strings.TrimSpace(key) == "Unit" {
			unit = strings.TrimSpace(value)
		}
	}
	return unit, path.Ext(unit) == ".service"
}
