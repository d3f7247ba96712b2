package guard

import (
	"fmt"
	"os"
	"strings"

	"github.com/kannuki/kannuki/guard/bpf"
	"github.com/kannuki/kannuki/host"
)

// heard asks for a refusal once more: programs stay attached and are never called where
// somebody has switched off what they hang on.
func (g *Guard) heard() error {
	g.asking.Lock()
	defer g.asking.Unlock()
	err := g.canary()
	if err == nil {
		return nil
	}
	const ftrace = "/proc/sys/kernel/ftrace_enabled"
	if on, readErr := os.ReadFile(ftrace); readErr == nil && strings.TrimSpace(string(on)) == "0" {
		return fmt.Errorf("%w; %s is 0: sysctl kernel.ftrace_enabled=1 puts it right", err, ftrace)
	}
	return err
}

// Status tells what is in force.
func (g *Guard) Status() (Status, error) {
	s := Status{Tier: g.tier, Adopted: g.adopted, Missing: g.missing, Hooks: map[host.Control]int{}}
	var err error
	if s.Generation, err = g.Generation(); err != nil {
		return s, err
	}
	if err := g.modes(&s); err != nil {
		return s, err
	}
	if err := g.heard(); err != nil {
		s.Deaf = err.Error()
	} else {
		for _, name := range g.programs {
			for _, c := range controlsOf(name) {
				s.Hooks[c]++
			}
		}
	}
	if err := g.counters(&s); err != nil {
		return s, err
	}
	for name, m := range g.maps {
		info, err := m.Info()
		if err != nil {
			return s, fmt.Errorf("guard: size of %s: %w", name, err)
		}
		if n, ok := info.Memlock(); ok {
			s.KernelBytes += n
		}
	}
	return s, nil
}

func (g *Guard) counters(s *Status) error {
	for what, into := range map[bpf.GuardCounter]*uint64{bpf.GuardCounterCOUNT_LOST: &s.Drops.Refusals,
		bpf.GuardCounterCOUNT_NOTES_LOST: &s.Drops.Notes, bpf.GuardCounterCOUNT_SUMMED: &s.Drops.Summed,
		bpf.GuardCounterCOUNT_REFUSED: &s.Refused, bpf.GuardCounterCOUNT_OBSERVED: &s.Observed} {
		var perCPU []uint64
		if err := g.maps["counters"].Lookup(uint32(what), &perCPU); err != nil {
			return fmt.Errorf("guard: counters: %w", err)
		}
		for _, n := range perCPU {
			*into += n
		}
	}
	return nil
}

// served are the controls of each hook that serves others than containment, or more.
var served = map[string][]host.Control{
	"inode_follow_link": {host.Launch}, "mmap_file": {host.Launch, host.ProcessCtl}, "file_mprotect": {host.Launch, host.ProcessCtl},
	"kernel_read_file": {host.Launch, host.KernelCtl}, "kernel_load_data": {host.Launch, host.KernelCtl},
	"bprm_creds_for_exec": {host.Launch, host.Utility, host.Containing}, "bprm_check_security": {host.Launch, host.Utility, host.Containing},
	"file_open": {host.Launch, host.Write, host.Private, host.KernelCtl, host.Self},
	"sb_mount":  {host.Write, host.Self}, "move_mount": {host.Write, host.Self}, "task_alloc": {host.Containing, host.KernelCtl},
	"ptrace_access_check": {host.ProcessCtl, host.Self}, "ptrace_traceme": {host.ProcessCtl}, "file_fcntl": {host.ProcessCtl}, "task_kill": {host.ProcessCtl, host.Self},
	"task_setscheduler": {host.ProcessCtl, host.Self}, "task_setnice": {host.ProcessCtl, host.Self}, "task_setioprio": {host.ProcessCtl, host.Self},
	"task_setrlimit": {host.ProcessCtl, host.Self}, "task_fix_setuid": {host.ProcessCtl}, "task_fix_setgid": {host.ProcessCtl}, "task_fix_setgroups": {host.ProcessCtl}, "capset": {host.ProcessCtl},
	"capable": {host.KernelCtl}, "userns_create": {host.KernelCtl}, "perf_event_open": {host.KernelCtl}, "locked_down": {host.KernelCtl},
	"kernel_module_request": {host.KernelCtl}, "inode_init_security_anon": {host.KernelCtl}, "key_alloc": {host.KernelCtl}, "key_permission": {host.KernelCtl},
	"socket_create": {host.KernelCtl}, "socket_setsockopt": {host.KernelCtl}, "netlink_send": {host.KernelCtl},
	"bpf": {host.KernelCtl, host.Self}, "bpf_map": {host.Self}, "bpf_prog": {host.Self}, "sb_umount": {host.Self}, "sb_remount": {host.Self}, keepFtrace: {host.Self},
}

// controlsOf are the controls a program of guard/bpf serves.
func controlsOf(program string) []host.Control {
	hook := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(program, "lsm_"), "mod_"), "_2")
	if controls, ok := served[hook]; ok {
		return controls
	}
	if strings.HasPrefix(hook, "inode_") || strings.HasPrefix(hook, "file_ioctl") {
		return []host.Control{host.Write}
	}
	return []host.Control{host.Containing} // sockets, committed credentials, exit
}
