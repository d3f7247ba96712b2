package guard

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// required are the hooks without which no claim is made at all.
var required = []string{"bprm_creds_for_exec", "mmap_file", "file_open", "task_alloc"}

// choose leaves in spec the programs of one tier that this kernel has hooks for, and
// tells which hooks it lacks.
func choose(spec *ebpf.CollectionSpec, tier string) ([]Missing, error) {
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		return nil, fmt.Errorf("this kernel describes no types (BTF): %w", err)
	}
	keep, drop := "lsm_", "mod_"
	if tier == TierModRet {
		keep, drop = drop, keep
	}
	var missing []Missing
	for name, program := range spec.Programs {
		if strings.HasPrefix(name, drop) {
			delete(spec.Programs, name)
			continue
		}
		hook, ours := strings.CutPrefix(name, keep)
		if !ours {
			continue
		}
		if why := lacks(kernel, program); why != "" {
			delete(spec.Programs, name)
			if !strings.HasSuffix(hook, "_2") && !strings.Contains(why, "arguments") {
				missing = append(missing, Missing{hook, why})
			}
		}
	}
	for _, hook := range required {
		if spec.Programs[keep+hook] == nil {
			return nil, fmt.Errorf("the hook %s is not there", hook)
		}
	}
	return missing, nil
}

// lacks tells why a program cannot be attached to this kernel; "" when it can.
func lacks(kernel *btf.Spec, program *ebpf.ProgramSpec) string {
	target := program.AttachTo
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
