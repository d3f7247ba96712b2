package guard

import (
	"slices"
	"strings"

	"github.com/kannuki/kannuki/host"
	"github.com/kannuki/kannuki/policy"
)

// askedBy are the surfaces of the kernel that each hook asks for, as surface.h of
// guard/bpf has them. Those without a hook of their own are asked for when a capability
// is (see syscalls).
var askedBy = map[string][]policy.Surface{
	"userns_create":            {"userns"},
	"task_alloc":               {"namespaces"},
	"capable":                  {"namespaces", "mount", "file-handle", "module", "kexec", "raw-memory", "raw-disk", "sysctl", "netlink", "clock", "reboot", "fanotify"},
	"kernel_read_file":         {"module", "kexec"},
	"kernel_load_data":         {"module", "kexec"},
	"kernel_module_request":    {"module-autoload"},
	"bpf":                      {"bpf"},
	"perf_event_open":          {"perf"},
	"locked_down":              {"raw-memory", "kexec", "sysfs", "perf"},
	"file_open":                {"raw-disk", "sysctl", "binfmt", "sysrq", "sysfs", "reboot"},
	"inode_setattr":            {"sysctl", "binfmt", "sysrq", "sysfs"},
	"socket_create":            {"af_alg", "af_packet", "raw-socket", "vsock", "xfrm", "nf_tables", "rxrpc", "netlink", "socket-families"},
	"socket_setsockopt":        {"nf_tables"},
	"netlink_send":             {"netlink"},
	"inode_init_security_anon": {"io_uring", "userfaultfd"},
	"key_alloc":                {"keyctl"},
	"key_permission":           {"keyctl"},
}

// unasked are the surfaces that p refuses and that a hook this kernel lacks would have to
// ask for: each is a gap of its rule, for there is a way to it that nobody watches.
func unasked(p policy.Policy, missing []Missing) []Gap {
	var out []Gap
	for _, r := range p.Kernel.Refuse {
		var why []string
		for _, m := range missing {
			if slices.Contains(askedBy[m.Hook], r.Surface) {
				why = append(why, m.Why)
			}
		}
		if why != nil {
			out = append(out, Gap{Control: string(host.KernelCtl), Rule: r.ID, Subject: string(r.Surface), Why: "not every way to it is asked about: " + strings.Join(why, ", ")})
		}
	}
	return out
}
