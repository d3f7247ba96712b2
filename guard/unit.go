package guard

import "strings"

// UnitOf is the systemd unit that lineages know a process by: the uppermost service in
// the text of its /proc/PID/cgroup, see cgroups(7); "" outside services. What runs in a
// service of a service is of the upper one, as for unit_of of guard/bpf/exec.h.
func UnitOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		at, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for name := range strings.SplitSeq(at, "/") {
			if strings.HasSuffix(name, ".service") {
				return name
			}
		}
	}
	return ""
}
