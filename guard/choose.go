package guard

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// required are the hooks without which no claim is made at all.
var required = []string{"bprm_creds_for_exec", "mmap_file", "file_open", "task_alloc", "on_committed_creds"}

// choose takes from the whole the programs of one tier that this kernel has hooks for, and
// tells which hooks it lacks.
func choose(whole object, tier string) (object, []Missing, error) {
	keep, drop := "lsm_", "mod_"
	if tier == TierModRet {
		keep, drop = drop, keep
	}
	var missing []Missing
	o := whole.with(func(name string) bool {
		if strings.HasPrefix(name, drop) {
			return false
		}
		why := lacks(whole.kernel, whole.spec.Programs[name])
		hook := strings.TrimPrefix(name, keep)
		if why != "" && !strings.HasSuffix(hook, "_2") && !strings.Contains(why, "arguments") {
			missing = append(missing, Missing{hook, why})
		}
		return why == ""
	})
	for _, hook := range required {
		if o.spec.Programs[keep+hook] == nil && o.spec.Programs[hook] == nil {
			return object{}, nil, fmt.Errorf("the hook %s is not there", hook)
		}
	}
	return o, missing, nil
}

// lacks tells why a program cannot be attached to this kernel; "" when it can.
func lacks(kernel *btf.Spec, program *ebpf.ProgramSpec) string {
	if program.Type == ebpf.CGroupSysctl {
		if controlGroups() == "" {
			return "control groups of version 2 are not mounted"
		}
		return ""
	}
	target := program.AttachTo
	if program.Type == ebpf.Tracing && program.AttachType == ebpf.AttachTraceRawTp {
		return "" // a tracepoint: loading tells
	}
	if program.Type == ebpf.LSM {
		target = "bpf_lsm_" + target
	}
	var function *btf.Func
	if err := kernel.TypeByName(target, &function); err != nil {
		return "this kernel has no " + target
	}
	want, ok := arguments[program.Name]
	if proto, isProto := function.Type.(*btf.FuncProto); ok && isProto && len(proto.Params) != want {
		return fmt.Sprintf("%s has %d arguments, not %d", target, len(proto.Params), want)
	}
	return ""
}

// arguments are the parameter counts of hooks that differ between kernels: there is a
// program for each.
var arguments = map[string]int{"lsm_inode_setattr": 3, "lsm_inode_setattr_2": 2}
